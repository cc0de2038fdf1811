"""State after the last final block, in a database of its own: values, tree pages, head and local index.

One synced batch a block holds all of them, so what is read always belongs together. The state tree's
root is computed again from the pages at every open and compared with the head's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.block import Header, block_id
from ledger.codec import Canonical, decode, encode
from ledger.errors import LedgerError
from ledger.merkle import log
from ledger.merkle.pages import PageError, repage
from ledger.merkle.tree import StateTree, TreeUpdate, suggest_depth
from ledger.transition import REPLAYS
from ledger.types import Bytes32, ChainId, Counter, Hash, Height, TxId
from ledger.world import Layer
from node.store.database import Batch, Database, Reader, check_identity, identity_entry
from node.store.failure import StoreCorrupted, StoreLost

KIND: Final = "state"
CACHE_BYTES: Final = 64 << 20
CACHE_ENTRY_BYTES: Final = 200  # what one entry of the cache costs beside its key and value
INDEX_KEY_BYTES_MAX: Final = 2_048
_REPAGE_BATCH_BYTES: Final = 8 << 20
_HEAD_BYTES_MAX: Final = 16 << 10

# First byte of a key. Behind _PAGE stand the depth (1 byte) and the bucket (3 bytes, big-endian).
_HEAD, _VALUE, _PAGE, _INDEX = b"h", b"v", b"p", b"x"
_REPLAYS_PREFIX: Final = REPLAYS.key(b"")


class StateHead(Canonical):
    """The block that the state stands after. `history` covers the ids of all headers up to and with it."""

    header: Header
    block_id: Bytes32
    history: log.Frontier

    @property
    def height(self) -> Height:
        """The block's height."""
        return Height(self.header.height)


class _StoredHead(Canonical):
    """The head, and how this node has cut its pages."""

    head: StateHead
    tree_depth: Counter
    leaf_count: Counter


@dataclass(frozen=True, slots=True)
class Staged:
    """A block's batch, made but not yet written."""

    batch: Batch
    head: StateHead
    layer: Layer


def genesis_head(header: Header) -> StateHead:
    """The head of a chain that has block 0 and no more."""
    identifier = block_id(header)
    return StateHead(header, identifier, log.EMPTY_FRONTIER.append(log.leaf_hash(identifier)))


def genesis_root(writes: Mapping[bytes, bytes]) -> Hash:
    """The state root that block 0 must name: the tree over these values."""
    return _genesis_update(writes)[1].root


class StateStore:
    """Committed state of one chain (`ledger.world.CommittedState`)."""

    def __init__(
        self,
        database: Database,
        chain_id: ChainId,
        *,
        tree_depth: int | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """Open what `create` made, and build the state tree from its pages.

        Args:
            tree_depth: cut the pages to this depth; None: as suits the number of leaves.

        Raises:
            StoreLost, StoreCorrupted, StoreMismatch
        """
        check_identity(database, KIND, chain_id)
        self._database = database
        self._reader: Reader = database
        self._cache = _Cache(cache_bytes)
        stored = self._stored_head()
        self._head = stored.head
        wanted = tree_depth or max(stored.tree_depth, suggest_depth(stored.leaf_count))
        if wanted != stored.tree_depth:
            self._cut_again(stored, wanted)
        self._remove_other_pages(wanted)
        self._tree = self._load_tree(wanted)
        self._recent = _Recent()
        for key, value in self._scan(_VALUE + _REPLAYS_PREFIX, _VALUE + _after(_REPLAYS_PREFIX)):
            self._check_covered(key[1:], value)
            self._recent.put(key[1:], value)

    @staticmethod
    def create(
        database: Database,
        chain_id: ChainId,
        header: Header,
        writes: Mapping[bytes, bytes],
        *,
        tree_depth: int | None = None,
    ) -> None:
        """Write identity and the state of block 0 into an empty database, in one batch."""
        depth, update = _genesis_update(writes, tree_depth)
        assert header.height == 0
        assert header.state_root == update.root, "the header of block 0 names another state"
        head = _StoredHead(genesis_head(header), depth, update.leaves_added)
        database.write(
            {**identity_entry(KIND, chain_id), **_entries(writes, update, depth), _HEAD: encode(head)}
        )

    # --- writing --------------------------------------------------------------

    def commit(self, head: StateHead, layer: Layer, index: Batch | None = None) -> None:
        """Take in the layer of the next final block: when this returns it survives a power cut.

        Args:
            head: the block and the history up to it.
            layer: stands directly on this state.
            index: local entries to put (or, with None, to remove), by index key.
        """
        staged = self.stage(head, layer, index)
        self.write(staged)
        self.settle(staged)

    def stage(self, head: StateHead, layer: Layer, index: Batch | None = None) -> Staged:
        """Make the batch of the next block. `write` and `settle` must follow before another is staged."""
        update = layer.update
        assert head.height == self._head.height + 1, (
            f"state of height {head.height} after {self._head.height}"
        )
        assert head.header.parent_id == self._head.block_id, "the block does not follow the head"
        assert update.base == self._tree.root, "the layer does not stand on this state"
        assert update.root == head.header.state_root
        stored = _StoredHead(head, self._tree.depth, self._tree.leaf_count + update.leaves_added)
        batch = _entries(layer.writes, update, self._tree.depth)
        batch[_HEAD] = encode(stored)
        for key, value in (index or {}).items():
            assert len(key) <= INDEX_KEY_BYTES_MAX
            batch[_INDEX + key] = value
        return Staged(batch, head, layer)

    def write(self, staged: Staged) -> None:
        """Make the batch durable; touches nothing else, so another thread may wait for the disk."""
        self._database.write(staged.batch)

    def write_index(self, index: Batch) -> None:
        """Make local entries of blocks durable that this state stands on or above."""
        self._database.write({_INDEX + key: value for key, value in index.items()})

    def settle(self, staged: Staged) -> None:
        """Let readers see the state that was written."""
        self._tree.commit(staged.layer.update)
        self._head = staged.head
        for key, value in staged.layer.writes.items():
            self._cache.put(key, value)
            if key.startswith(_REPLAYS_PREFIX):
                self._recent.put(key, value or b"")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, readers see what was there before, though a batch becomes durable meanwhile."""
        snapshot = self._database.snapshot()
        self._reader = snapshot
        try:
            yield
        finally:
            self._reader = self._database
            snapshot.close()

    # --- reading --------------------------------------------------------------

    @property
    def head(self) -> StateHead:
        """The block that this state stands after."""
        return self._head

    @property
    def tree(self) -> StateTree:
        """The state tree over exactly the keys that `get` answers."""
        return self._tree

    def get(self, key: bytes) -> bytes | None:
        """The value at a full key.

        Raises:
            StoreCorrupted
        """
        found, value = self._cache.get(key)
        if not found:
            value = self._reader.get(_VALUE + key)
            self._cache.put(key, value)
        return value

    def is_recent(self, transaction_id: TxId) -> bool:
        """Whether the transaction stands in a block of the replay window."""
        return transaction_id in self._recent

    def page(self, bucket: int) -> bytes | None:
        """The page of a bucket of the state tree."""
        return self._reader.get(_page_key(self._tree.depth, bucket))

    def scan(self, start: bytes, stop: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """At most `limit` values with start <= full key < stop, in key order."""
        return [(key[1:], value) for key, value in self._scan(_VALUE + start, _VALUE + stop, limit=limit)]

    def index_get(self, key: bytes) -> bytes | None:
        """A local index entry. It is this node's own and no part of the state."""
        return self._reader.get(_INDEX + key)

    def index_scan(
        self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """At most `limit` index entries with start <= key < stop, in key order or from the end."""
        found = self._scan(_INDEX + start, _INDEX + stop, limit=limit, reverse=reverse)
        return [(key[1:], value) for key, value in found]

    def audit(self) -> Iterator[int]:
        """Hash every value again and compare with the tree; yields how many were sound so far.

        Raises:
            StoreCorrupted: a value differs from what the root covers, or one is missing or too many.
        """
        count = 0
        for key, value in self._scan(_VALUE, _after(_VALUE)):
            self._check_covered(key[1:], value)
            count += 1
            yield count
        if count != self._tree.leaf_count:
            raise StoreCorrupted(
                self._database.path, "values", f"{count} values, the root covers {self._tree.leaf_count}"
            )

    def _check_covered(self, key: bytes, value: bytes) -> None:
        """Refuse a value that is not the one that the root covers."""
        try:
            covered = self._tree.value_hash(sha256(key).digest())
        except PageError as problem:
            raise StoreCorrupted(self._database.path, "state tree", str(problem)) from None
        if covered != sha256(value).digest():
            raise StoreCorrupted(
                self._database.path, f"key {key.hex()}", "not the value that the root covers"
            )

    # --- opening --------------------------------------------------------------

    def _stored_head(self) -> _StoredHead:
        data = self._database.get(_HEAD)
        if data is None:
            raise StoreLost(self._database.path, "it has no head")
        try:
            stored = decode(data, _StoredHead, _HEAD_BYTES_MAX)
        except LedgerError as refusal:
            raise StoreCorrupted(self._database.path, "head", str(refusal)) from None
        if block_id(stored.head.header) != stored.head.block_id:
            raise StoreCorrupted(self._database.path, "head", "the header is not the one that its id names")
        return stored

    def _load_tree(self, depth: int) -> StateTree:
        try:
            tree = StateTree(depth, self, self._pages(depth))
        except PageError as problem:
            raise StoreCorrupted(self._database.path, "state tree", str(problem)) from None
        if tree.root != self._head.header.state_root:
            raise StoreCorrupted(
                self._database.path,
                "state tree",
                f"its root is {tree.root.hex()}, height {self._head.height} names "
                f"{self._head.header.state_root.hex()}",
            )
        return tree

    def _pages(self, depth: int) -> Iterator[tuple[int, bytes]]:
        prefix = _PAGE + bytes([depth])
        for key, page in self._scan(prefix, _after(prefix)):
            yield int.from_bytes(key[len(prefix) :], "big"), page

    def _cut_again(self, stored: _StoredHead, depth: int) -> None:
        """Write the pages at another depth, then switch to them: a crash costs the work, no more."""
        batch: dict[bytes, bytes | None] = {}
        size = 0
        for bucket, page in repage(self._pages(stored.tree_depth), depth):
            batch[_page_key(depth, bucket)] = page
            size += len(page)
            if size > _REPAGE_BATCH_BYTES:
                self._database.write(batch)
                batch, size = {}, 0
        self._database.write({**batch, _HEAD: encode(_StoredHead(stored.head, depth, stored.leaf_count))})

    def _remove_other_pages(self, depth: int) -> None:
        """Remove pages of depths that are not in use: left over by `_cut_again`, finished or not."""
        kept = _PAGE + bytes([depth])
        for start, stop in ((_PAGE, kept), (_after(kept), _after(_PAGE))):
            while left_over := [key for key, _ in self._scan(start, stop, limit=10_000)]:
                self._database.write(dict.fromkeys(left_over))

    def _scan(
        self, start: bytes, stop: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return self._reader.scan(start, stop, limit=limit, reverse=reverse)


class _Recent:
    """The ids of the transactions of the replay window, as the state's ring of replay records holds them."""

    def __init__(self) -> None:
        self._slots: dict[bytes, tuple[bytes, ...]] = {}
        self._ids: set[bytes] = set()

    def __contains__(self, transaction_id: TxId) -> bool:
        return transaction_id in self._ids

    def put(self, slot: bytes, record: bytes) -> None:
        """Replace what a slot of the ring holds."""
        self._ids.difference_update(self._slots.pop(slot, ()))
        ids = decode(record, REPLAYS.kind, len(record)).transaction_ids
        self._slots[slot] = ids
        self._ids.update(ids)


class _Cache:
    """Values by full key, absent ones too, the least recently used leaving first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: OrderedDict[bytes, bytes | None] = OrderedDict()

    def get(self, key: bytes) -> tuple[bool, bytes | None]:
        """Whether the key is known, and its value."""
        if key not in self._entries:
            return False, None
        self._entries.move_to_end(key)
        return True, self._entries[key]

    def put(self, key: bytes, value: bytes | None) -> None:
        """Remember a value or its absence."""
        if key in self._entries:
            self._bytes -= _cost(key, self._entries.pop(key))
        self._entries[key] = value
        self._bytes += _cost(key, value)
        while self._bytes > self._bytes_max:
            self._bytes -= _cost(*self._entries.popitem(last=False))


def _cost(key: bytes, value: bytes | None) -> int:
    return CACHE_ENTRY_BYTES + len(key) + len(value or b"")


def _page_key(depth: int, bucket: int) -> bytes:
    return _PAGE + bytes([depth]) + bucket.to_bytes(3, "big")


def _after(prefix: bytes) -> bytes:
    """The first key above all keys that begin with `prefix`, whose last byte is below 255."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _entries(
    writes: Mapping[bytes, bytes | None] | Mapping[bytes, bytes], update: TreeUpdate, depth: int
) -> dict[bytes, bytes | None]:
    entries: dict[bytes, bytes | None] = {_VALUE + key: value for key, value in writes.items()}
    for bucket, page in update.pages.items():
        entries[_page_key(depth, bucket)] = page or None
    return entries


class _NoPages:
    """The pages of an empty tree."""

    def page(self, bucket: int) -> bytes | None:
        """None, whichever bucket."""


def _genesis_update(writes: Mapping[bytes, bytes], tree_depth: int | None = None) -> tuple[int, TreeUpdate]:
    depth = tree_depth or suggest_depth(len(writes))
    empty = StateTree(depth, _NoPages(), ())
    return depth, empty.preview(
        {sha256(key).digest(): sha256(value).digest() for key, value in writes.items()}
    )
