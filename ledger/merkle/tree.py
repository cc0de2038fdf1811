"""The state tree: one root over every key of the state, cheap to change and to prove.

Storage is split in two. The top 2^depth nodes are an array in memory; below it each
bucket is a page of leaves (`ledger.merkle.pages`) that the caller keeps in its store. The root
is defined by the set of leaves alone (`ledger.merkle.proof`), so every depth gives the same root.

Blocks that are not final yet are worked on without touching the tree: `preview`
answers a `TreeUpdate`, further previews stack on it, and `commit` folds it in
once the block is final. The tree writes nothing to a store: the caller writes
`update.pages` in the same batch as the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from ledger.merkle.pages import (
    DEPTH_MAX,
    DEPTH_MIN,
    Node,
    PageError,
    Row,
    bucket_of,
    check_page,
    check_page_size,
    decode_page,
    descend,
    encode_page,
    subtree,
)
from ledger.merkle.proof import StateLeaf, StateProof
from ledger.types import HASH_BYTES, Hash

DEPTH_SUGGESTED_MIN: Final = 16  # 4 MB; a young chain may grow to a million leaves before pages exceed 16
DEPTH_SUGGESTED_SMALL_MAX: Final = 20  # 67 MB; up to here memory is cheap enough for 1 to 2 leaves a page
LEAVES_PER_PAGE_MAX: Final = (
    16  # above that depth; a page is rewritten whole, so it must stay near one disk sector
)


class PageReader(Protocol):
    """Where the pages of the committed tree lie: a store, or a dictionary in tests."""

    def page(self, bucket: int) -> bytes | None:
        """The page of a bucket, or None where nothing is stored."""


@dataclass(frozen=True, slots=True)
class TreeUpdate:
    """What one block changes in the tree, over the state its parent leaves behind.

    base: the root that it starts from (32 bytes).
    root: the root that it leads to (32 bytes).
    pages: the new page of each changed bucket; b"" where it is empty now and its page is to be removed.
    top: the changed nodes of the top array by index (1 is the root, 2i and 2i+1 are the children of i).
    leaves_added: leaves after minus leaves before.
    """

    base: Hash
    root: Hash
    pages: Mapping[int, bytes]
    top: Mapping[int, Node]
    leaves_added: int


def suggest_depth(leaf_count: int) -> int:
    """The depth that suits a number of leaves: 1 to 16 leaves a page, memory of 66 bytes x 2^depth."""
    shallow = max(DEPTH_SUGGESTED_MIN, min(DEPTH_SUGGESTED_SMALL_MAX, leaf_count.bit_length() - 1))
    needed = (max(leaf_count - 1, 0) // LEAVES_PER_PAGE_MAX).bit_length()
    return min(max(shallow, needed), DEPTH_MAX)


class StateTree:
    """The committed tree. Memory: 66 bytes x 2^depth.

    Args:
        depth: bits of a bucket number, 1 to 24; this node's own choice.
        pages: reads the pages of the committed tree; must show a committed update's pages by the next call.
        buckets: every stored page with its bucket, in any order, read once now.

    Raises:
        PageError: a stored page is none that a tree has written.
    """

    def __init__(self, depth: int, pages: PageReader, buckets: Iterable[tuple[int, bytes]]) -> None:
        assert DEPTH_MIN <= depth <= DEPTH_MAX
        self.depth: Final = depth
        self.leaf_count = 0
        self._pages = pages
        self._counts = bytearray(2 << depth)  # per node: leaves, where 2 stands for more (pages.Node)
        self._hashes = bytearray((2 << depth) * HASH_BYTES)
        for bucket, page in buckets:
            check_page(page, bucket, depth)
            rows = decode_page(page)
            self.leaf_count += len(rows)
            self._set((1 << depth) + bucket, subtree(rows, depth))
        self._build()

    @property
    def root(self) -> Hash:
        """The root of the committed tree (32 bytes)."""
        return Hash(bytes(self._hashes[HASH_BYTES : 2 * HASH_BYTES]))

    def preview(
        self, changes: Mapping[bytes, bytes | None], parents: Sequence[TreeUpdate] = ()
    ) -> TreeUpdate:
        """What the tree would become; changes nothing.

        Args:
            changes: the new value hash (32 bytes) of each path (32 bytes), or None to remove it; removing
                what is not there is no change.
            parents: the updates of the ancestors that are not committed yet, oldest first.
        """
        base = self._check_chain(parents)
        pages: dict[int, bytes] = {}
        changed: dict[int, Node] = {}
        leaves_added = 0
        for bucket, bucket_changes in _by_bucket(changes, self.depth).items():
            before = self._page(bucket, parents)
            rows = _apply(before, bucket_changes)
            page = encode_page(rows)
            if page != before:
                pages[bucket] = page
                changed[(1 << self.depth) + bucket] = subtree(rows, self.depth)
                leaves_added += (len(page) - len(before)) // (2 * HASH_BYTES)
        if not changed:
            return TreeUpdate(base, base, {}, {}, 0)
        self._climb(changed, _overlay(parents))
        return TreeUpdate(base, Hash(changed[1][1]), pages, changed, leaves_added)

    def commit(self, update: TreeUpdate) -> None:
        """Fold in an update that starts from the committed root."""
        assert update.base == self.root, "an update is committed once, on the state that it was made for"
        counts, hashes = self._counts, self._hashes
        for index, (count, node_hash) in update.top.items():
            counts[index] = count
            hashes[index << 5 : (index + 1) << 5] = node_hash
        self.leaf_count += update.leaves_added
        assert update.root == self.root

    def value_hash(self, path: bytes, parents: Sequence[TreeUpdate] = ()) -> Hash | None:
        """The value hash at a path, or None where nothing stands.

        Raises:
            PageError: the page is not the one that the root covers.
        """
        row = self._find(path, parents)[0]
        return Hash(row[1]) if row and row[0] == path else None

    def prove(self, path: bytes, parents: Sequence[TreeUpdate] = ()) -> StateProof:
        """The proof that the path holds its leaf, or that it holds none: whichever is true.

        Raises:
            PageError: the page is not the one that the root covers.
        """
        row, siblings = self._find(path, parents)
        other = StateLeaf(*row) if row and row[0] != path else None
        return StateProof(tuple(siblings), other)

    def _find(self, path: bytes, parents: Sequence[TreeUpdate]) -> tuple[Row | None, list[bytes]]:
        """The one leaf, if any, where the path leads, and the siblings on the way, deepest first."""
        assert len(path) == HASH_BYTES
        self._check_chain(parents)
        top = _overlay(parents)
        bucket = bucket_of(path, self.depth)
        index, siblings = 1, []
        for level in range(1, self.depth + 1):
            if self._node(index, top)[0] < 2:
                break
            index = (1 << level) + (bucket >> (self.depth - level))
            siblings.append(self._node(index ^ 1, top)[1])
        while index < 1 << self.depth:  # one leaf or none below: go down to where it lies
            index = 2 * index + (self._node(2 * index + 1, top)[0] > 0)
        rows = decode_page(self._page(index - (1 << self.depth), parents))
        if subtree(rows, self.depth) != self._node(index, top):
            raise PageError(
                f"bucket {index - (1 << self.depth)}: its page is not the one that the root covers"
            )
        row, inner = descend(rows, path, self.depth)
        return row, (siblings + inner)[::-1]

    def _page(self, bucket: int, parents: Sequence[TreeUpdate]) -> bytes:
        for parent in reversed(parents):
            if bucket in parent.pages:
                return parent.pages[bucket]
        page = self._pages.page(bucket) or b""
        check_page_size(page, bucket)
        return page

    def _node(self, index: int, top: Mapping[int, Node]) -> Node:
        found = top.get(index)
        if found:
            return found
        return self._counts[index], bytes(self._hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES])

    def _set(self, index: int, node: Node) -> None:
        self._counts[index], self._hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES] = node

    def _build(self) -> None:
        """Fill the array above the buckets, from the bottom up."""
        counts, hashes = self._counts, self._hashes
        for index in range((1 << self.depth) - 1, 0, -1):
            left = 2 * index
            total = counts[left] + counts[left + 1]
            if total > 1:
                children = hashes[left * HASH_BYTES : (left + 2) * HASH_BYTES]
                self._set(index, (2, sha256(b"\x01" + children).digest()))
            elif total:
                self._set(index, self._node(left if counts[left] else left + 1, {}))

    def _climb(self, changed: dict[int, Node], top: Mapping[int, Node]) -> None:
        """Add to changed buckets their ancestors, each hashed once.

        This loop is most of a block's cost, so it reads the arrays without a call.
        """
        counts, hashes = self._counts, self._hashes
        level = sorted(changed)
        for _ in range(self.depth):
            above: list[int] = []
            parent = 0
            for index in level:
                if index >> 1 == parent:
                    continue  # its left sibling has taken it along
                parent = index >> 1
                above.append(parent)
                count, child = changed[index]
                sibling = index ^ 1
                known = changed.get(sibling) or top.get(sibling)
                beside_count, beside = known or (
                    counts[sibling],
                    hashes[sibling << 5 : (sibling + 1) << 5],  # 32 bytes a node
                )
                if count + beside_count < 2:
                    changed[parent] = (count, child) if count else (beside_count, bytes(beside))
                elif index & 1:
                    changed[parent] = 2, sha256(b"\x01" + beside + child).digest()
                else:
                    changed[parent] = 2, sha256(b"\x01" + child + beside).digest()
            level = above

    def _check_chain(self, parents: Sequence[TreeUpdate]) -> Hash:
        root = self.root
        for parent in parents:
            assert parent.base == root, (
                "each update stands on the one before it, the first on the committed tree"
            )
            root = parent.root
        return root


def _by_bucket(
    changes: Mapping[bytes, bytes | None], depth: int
) -> dict[int, list[tuple[bytes, bytes | None]]]:
    buckets: dict[int, list[tuple[bytes, bytes | None]]] = {}
    for path, value_hash in changes.items():
        assert len(path) == HASH_BYTES
        assert value_hash is None or len(value_hash) == HASH_BYTES
        buckets.setdefault(bucket_of(path, depth), []).append((path, value_hash))
    return buckets


def _apply(page: bytes, changes: Iterable[tuple[bytes, bytes | None]]) -> list[Row]:
    """The leaves of a page after changes, in ascending order."""
    leaves = dict(decode_page(page))
    for path, value_hash in changes:
        if value_hash is None:
            leaves.pop(path, None)
        else:
            leaves[path] = value_hash
    return sorted(leaves.items())


def _overlay(parents: Sequence[TreeUpdate]) -> Mapping[int, Node]:
    """The top nodes that uncommitted ancestors changed, the youngest last."""
    top: dict[int, Node] = {}
    for parent in parents:
        top.update(parent.top)
    return top
