"""Final blocks by height, in a database of their own: written once, in order, never changed.

Each block is one synced batch. What is read is hashed again and compared with the id under which
it was written, whatever the disk says about it. Blocks that are not final have no place here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from msgspec import Meta

from ledger.block import (
    ENCODED_BYTES_MAX,
    Block,
    Header,
    block_id,
    certificate_hash,
    transactions_root,
)
from ledger.codec import Canonical, decode, encode
from ledger.errors import LedgerError
from ledger.merkle import log
from ledger.receipt import Receipt, receipt_bytes
from ledger.recovery import decode_recovery, is_recovery
from ledger.types import (
    BLOCK_TRANSACTIONS_MAX,
    HASH_BYTES,
    RECOVERY_BYTES_MAX,
    BlockId,
    ChainId,
    Epoch,
    Height,
    TxId,
)
from ledger.vote import Certificate
from node.link import Link, make_link
from node.store.database import Batch, Database, check_identity, identity_entry
from node.store.failure import StoreCorrupted
from node.store.settled import EpochRecord, Retention, SettledViews, epoch_entry, settled_entries

Value = TypeVar("Value")

KIND: Final = "blocks"
RECEIPTS_BYTES_MAX: Final = 64 << 20
_HEADER_BYTES_MAX: Final = 2_048

# First byte of a key; heights follow as 8 bytes, big-endian, so that key order is height order.
_HEADER, _BODY, _RECEIPTS, _FINALIZATION, _COVERING = b"H", b"B", b"R", b"F", b"J"
_RECOVERY: Final = b"A"  # the ended epoch follows
_HEIGHT_OF_BLOCK, _PLACE_OF_TRANSACTION = b"I", b"T"
_END: Final = b"\xff" * 8


class _Body(Canonical):
    """What a block holds beside its header."""

    last_certificate: Annotated[bytes, Meta(max_length=RECOVERY_BYTES_MAX)]
    transactions: Annotated[tuple[bytes, ...], Meta(max_length=BLOCK_TRANSACTIONS_MAX)]


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A final block as it is written.

    receipts: of its transactions, in order.
    finalization: the encoded certificate that makes this very block final, or b"" where a descendant's does.
    covering: the encoded certificate of a descendant that does, or b"" where the block has its own.
        In either a recovery may stand, where operators began an epoch on the block that it names.
    settled: certificates to keep for disputes, by view (`node.store.settled`).
    epoch: the epoch that this block begins, where it is the last of one.
    retention: how long such certificates are kept.
    """

    id: BlockId
    block: Block
    receipts: tuple[Receipt, ...]
    finalization: bytes
    covering: bytes = b""
    settled: tuple[Certificate, ...] = ()
    epoch: tuple[Epoch, EpochRecord] | None = None
    retention: Retention | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """A block's batch, made but not yet written."""

    batch: Batch
    height: Height
    id: BlockId


@dataclass(frozen=True, slots=True)
class FinalizedPage:
    """Consecutive final blocks, oldest first, and what proves the last of them final.

    blocks: encoded blocks.
    link: leads to the header that `finalization` names. None unless the run of blocks up to that certificate
        is longer than a page may be.
    finalization: the encoded certificate of the header of `link`, or of the last block, or the encoded
        recovery that names it.
    """

    blocks: tuple[bytes, ...]
    link: Link | None
    finalization: bytes


class BlockStore:
    """The final blocks of one chain, from genesis (height 0) to the head."""

    def __init__(self, database: Database, chain_id: ChainId) -> None:
        """Open what `create` made.

        Raises:
            StoreLost, StoreCorrupted, StoreMismatch
        """
        check_identity(database, KIND, chain_id)
        self._database = database
        self.settled = SettledViews(database)
        newest = list(database.scan(_HEADER, _HEADER + _END, limit=1, reverse=True))
        if not newest:
            raise StoreCorrupted(database.path, "height 0", "it holds no block")
        self._height = Height(int.from_bytes(newest[0][0][1:], "big"))
        self._id = self._header(self._height)[0]

    @staticmethod
    def create(database: Database, chain_id: ChainId, genesis_block: Block) -> None:
        """Write identity and block 0 into an empty database, in one batch."""
        assert genesis_block.header.height == 0
        first = StoredBlock(block_id(genesis_block.header), genesis_block, (), b"")
        database.write({**identity_entry(KIND, chain_id), **_entries(first)})

    # --- writing --------------------------------------------------------------

    def append(self, stored: StoredBlock) -> None:
        """Write the next block: when this returns it survives a power cut."""
        staged = self.stage(stored)
        self.write(staged)
        self.settle(staged)

    def stage(self, stored: StoredBlock) -> Staged:
        """Make the batch of the next block. `write` and `settle` must follow before another is staged."""
        height = Height(stored.block.header.height)
        assert height == self._height + 1, (
            f"height {height} after {self._height}: neither gap nor overwriting"
        )
        assert stored.block.header.parent_id == self._id, "the block does not follow the head"
        assert len(stored.receipts) == len(stored.block.transactions)
        batch = _entries(stored) | settled_entries(stored.settled)
        if stored.epoch is not None:
            batch |= epoch_entry(*stored.epoch)
        if stored.retention is not None:
            header = stored.block.header
            batch |= dict.fromkeys(self.settled.outdated(header.epoch, header.time_ms, stored.retention))
        return Staged(batch, height, stored.id)

    def write(self, staged: Staged) -> None:
        """Make the batch durable; touches nothing else, so another thread may wait for the disk."""
        self._database.write(staged.batch)

    def settle(self, staged: Staged) -> None:
        """Let readers see the block that was written."""
        self._height, self._id = staged.height, staged.id

    def keep_recovery(self, data: bytes) -> None:
        """Make a recovery durable that was verified, before anything rests on it."""
        self._database.write(_recovery_entry(data))

    # --- reading --------------------------------------------------------------

    @property
    def head(self) -> tuple[Height, BlockId]:
        """The last block."""
        return self._height, self._id

    def id_at(self, height: Height) -> BlockId | None:
        """The id of the block at a height, or None above the head."""
        return None if height > self._height else self._header(height)[0]

    def header(self, height: Height) -> Header | None:
        """The header at a height, or None above the head.

        Raises:
            StoreCorrupted
        """
        return None if height > self._height else self._header(height)[1]

    def block(self, height: Height) -> Block | None:
        """The block at a height, hashed again, or None above the head.

        Raises:
            StoreCorrupted
        """
        return None if height > self._height else self._block(height)

    def receipts(self, height: Height) -> tuple[Receipt, ...] | None:
        """The receipts of the block at a height, in order, or None above the head.

        Raises:
            StoreCorrupted
        """
        if height > self._height:
            return None
        receipts = self._decoded(_RECEIPTS, height, tuple[Receipt, ...], RECEIPTS_BYTES_MAX)
        if log.root([receipt_bytes(each) for each in receipts]) != self._header(height)[1].receipts_root:
            raise self._corrupted(height, "the receipts are not those of the header")
        return receipts

    def stored(self, height: Height) -> StoredBlock | None:
        """All that was written with the block at a height, or None above the head.

        Raises:
            StoreCorrupted
        """
        receipts = self.receipts(height)
        if receipts is None:
            return None
        key = _number(height)
        return StoredBlock(
            self._header(height)[0],
            self._block(height),
            receipts,
            self._database.get(_FINALIZATION + key) or b"",
            self._database.get(_COVERING + key) or b"",
        )

    def height_of(self, identifier: BlockId) -> Height | None:
        """The height of a block by its id."""
        found = self._database.get(_HEIGHT_OF_BLOCK + identifier)
        height = None if found is None else Height(int.from_bytes(found, "big"))
        return None if height is None or height > self._height else height

    def place_of(self, transaction_id: TxId) -> tuple[Height, int] | None:
        """The height and the index in the block of a transaction by its id."""
        found = self._database.get(_PLACE_OF_TRANSACTION + transaction_id)
        if found is None:
            return None
        if len(found) != 12:
            raise StoreCorrupted(self._database.path, f"transaction {transaction_id.hex()}", "not a place")
        height = Height(int.from_bytes(found[:8], "big"))
        return None if height > self._height else (height, int.from_bytes(found[8:], "big"))

    def recovery(self, ended: Epoch) -> bytes | None:
        """The encoded recovery that gave an epoch up, or None."""
        return self._database.get(_RECOVERY + _number(ended))

    def finalization(self, height: Height) -> tuple[Height, bytes] | None:
        """The nearest certificate that makes the block at a height final: its own, or a descendant's.

        Answers the height that the certificate names, and the encoded certificate; or the recovery.
        """
        start, stop = _FINALIZATION + _number(height), _FINALIZATION + _number(self._height + 1)
        for key, certificate in self._database.scan(start, stop, limit=1):
            return Height(int.from_bytes(key[1:], "big")), certificate
        return None

    def finalized_page(self, start: Height, blocks_max: int, bytes_max: int) -> FinalizedPage | None:
        """Blocks from `start` on, proved final, for a node that is behind; None where nothing is to be had.

        The page ends at the last block within the limits that has a certificate of its own. Where there is
        none, it ends at the last block within the limits (one at least) and `link` leads on to the next. It
        holds blocks of one epoch: the last block of each has a certificate of its own, so no run crosses it.

        Raises:
            StoreCorrupted
        """
        assert blocks_max >= 1
        blocks: list[bytes] = []
        size = 0
        epoch = None
        end = None  # how many of the blocks a certificate of their own allows, and that certificate
        for height in range(start, min(start + blocks_max, self._height + 1)):
            block = self._block(Height(height))
            data = encode(block)
            epoch = block.header.epoch if epoch is None else epoch
            if block.header.epoch != epoch or (blocks and size + len(data) > bytes_max):
                break
            blocks.append(data)
            size += len(data)
            certificate = self._database.get(_FINALIZATION + _number(height))
            if certificate is not None:
                end = len(blocks), certificate
        if not blocks:
            return None
        if end is not None:
            return FinalizedPage(tuple(blocks[: end[0]]), None, end[1])
        following = self.finalization(Height(start + len(blocks)))
        if following is None:
            return None
        link = self._link(Height(start + len(blocks)), following[0])
        return None if link.header.epoch != epoch else FinalizedPage(tuple(blocks), link, following[1])

    def _link(self, first: Height, covering: Height) -> Link:
        """The link from the block below `first` to the header at `covering`."""
        start, stop = _HEADER + _number(first), _HEADER + _number(covering)
        between = [BlockId(value[:HASH_BYTES]) for _, value in self._database.scan(start, stop)]
        return make_link(self._header(covering)[1], between)

    def audit(self) -> Iterator[Height]:
        """Read every block and its receipts again, from genesis up; yields each height that is sound.

        Raises:
            StoreCorrupted: at the first height that is not.
        """
        parent = None
        for height in range(self._height + 1):
            stored = self.stored(Height(height))
            assert stored is not None
            if parent is not None and stored.block.header.parent_id != parent:
                raise self._corrupted(Height(height), "it does not follow the block below")
            parent = stored.id
            yield Height(height)

    def _header(self, height: Height) -> tuple[BlockId, Header]:
        data = self._read(_HEADER, height)
        identifier = BlockId(data[:HASH_BYTES])
        try:
            header = decode(data[HASH_BYTES:], Header, _HEADER_BYTES_MAX)
        except LedgerError as refusal:
            raise self._corrupted(height, str(refusal)) from None
        if header.height != height or block_id(header) != identifier:
            raise self._corrupted(height, "the header is not the one that its id names")
        return identifier, header

    def _block(self, height: Height) -> Block:
        _, header = self._header(height)
        body = self._decoded(_BODY, height, _Body, ENCODED_BYTES_MAX)
        if (
            transactions_root(body.transactions) != header.transactions_root
            or certificate_hash(body.last_certificate) != header.last_certificate_hash
        ):
            raise self._corrupted(height, "the body is not the one that the header names")
        return Block(header, body.last_certificate, body.transactions)

    def _decoded(self, table: bytes, height: Height, kind: type[Value], bytes_max: int) -> Value:
        try:
            return decode(self._read(table, height), kind, bytes_max)
        except LedgerError as refusal:
            raise self._corrupted(height, str(refusal)) from None

    def _read(self, table: bytes, height: Height) -> bytes:
        data = self._database.get(table + _number(height))
        if data is None:
            raise self._corrupted(height, "it is missing")
        return data

    def _corrupted(self, height: Height, message: str) -> StoreCorrupted:
        return StoreCorrupted(self._database.path, f"height {height}", message)


def _number(height: int) -> bytes:
    return height.to_bytes(8, "big")


def _recovery_entry(data: bytes) -> dict[bytes, bytes | None]:
    return {_RECOVERY + _number(decode_recovery(data).recovery.ended_epoch): data}


def _entries(stored: StoredBlock) -> dict[bytes, bytes | None]:
    """All keys of one block."""
    block = stored.block
    key = _number(block.header.height)
    entries: dict[bytes, bytes | None] = {
        _HEADER + key: stored.id + encode(block.header),
        _BODY + key: encode(_Body(block.last_certificate, block.transactions)),
        _RECEIPTS + key: encode(stored.receipts),
        _HEIGHT_OF_BLOCK + stored.id: key,
    }
    if stored.finalization:
        entries[_FINALIZATION + key] = stored.finalization
    if is_recovery(block.last_certificate):
        entries |= _recovery_entry(block.last_certificate)
    if stored.covering:
        entries[_COVERING + key] = stored.covering
    for index, receipt in enumerate(stored.receipts):
        entries[_PLACE_OF_TRANSACTION + receipt.transaction_id] = key + index.to_bytes(4, "big")
    return entries
