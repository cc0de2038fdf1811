"""An append-only list under one hash: the Merkle tree of RFC 9162, SHA-256.

It covers ordered things: the transactions of a block, the events of an item, the
headers of the chain. It proves place (inclusion) and that nothing was rewritten
(consistency). It can't prove that something is absent; the state tree does that.

Source: RFC 9162, section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.types import HASH_BYTES, HEIGHT_MAX, Bytes32, Counter, Hash

EMPTY_ROOT: Final = Hash(sha256(b"").digest())
LOG_SIZE_MAX: Final = HEIGHT_MAX  # leaves; a log of headers has at most one a height
PATH_LENGTH_MAX: Final = (
    64  # hashes; above what LOG_SIZE_MAX leaves can need, so any longer path is refused unread
)
EXTENSION_LENGTH_MAX: Final = (
    2 * LOG_SIZE_MAX.bit_length()
)  # subtrees grow, then shrink, a size at most twice


def leaf_hash(data: bytes) -> Hash:
    """The hash of one entry: SHA-256(0x00, entry)."""
    return Hash(sha256(b"\x00" + data).digest())


def root(leaves: Iterable[bytes]) -> Hash:
    """The tree hash over entries in order."""
    return root_of_hashes([sha256(b"\x00" + leaf).digest() for leaf in leaves])


def root_of_hashes(leaf_hashes: Sequence[bytes]) -> Hash:
    """The tree hash over entries that are already leaf hashes."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    while len(level) > 1:
        level = _level_above(level)
    return Hash(level[0])


def inclusion_path(leaf_hashes: Sequence[bytes], index: int) -> tuple[Hash, ...]:
    """The siblings of leaf `index` (from 0), deepest first; hashes the whole list."""
    assert 0 <= index < len(leaf_hashes)
    path: list[Hash] = []
    level = list(leaf_hashes)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(Hash(level[sibling]))
        level = _level_above(level)
        index >>= 1
    return tuple(path)


def verify_inclusion(root: bytes, size: int, index: int, leaf_hash: bytes, path: Sequence[bytes]) -> None:
    """Check that `leaf_hash` is entry `index` of the `size` entries under `root`.

    `size` must come from the record that vouches for `root`: the root alone does not fix it.

    Raises:
        LedgerError: `proof.out_of_range`, `proof.length`, `proof.hash_size`, `proof.mismatch`.
    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size <= LOG_SIZE_MAX:
        raise LedgerError("proof.out_of_range", f"entry {index} of {size} is no place in a log")
    _check_hashes((root, leaf_hash), path)
    node, last, computed = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            raise LedgerError("proof.length", f"{len(path)} hashes are more than entry {index} of {size} has")
        if node & 1 or node == last:
            computed = _node(sibling, computed)
            node, last = _to_right_child(node, last)
        else:
            computed = _node(computed, sibling)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise LedgerError("proof.length", f"{len(path)} hashes are fewer than entry {index} of {size} has")
    if computed != root:
        raise LedgerError("proof.mismatch", "the inclusion path leads to another root")


def consistency_path(leaf_hashes: Sequence[bytes], old_size: int) -> tuple[Hash, ...]:
    """What proves that the first `old_size` entries are unchanged in the whole list; hashes the whole list.

    Empty when `old_size` is 0 or all: then the two roots speak for themselves.
    """
    assert 0 <= old_size <= len(leaf_hashes)
    if old_size == 0:
        return ()
    part, left_over, known = list(leaf_hashes), old_size, True  # known: the old root itself covers `part`
    outermost_first: list[Hash] = []
    while left_over != len(part):
        split = _split(len(part))
        if left_over <= split:
            outermost_first.append(root_of_hashes(part[split:]))
            part = part[:split]
        else:
            outermost_first.append(root_of_hashes(part[:split]))
            part, left_over, known = part[split:], left_over - split, False
    if not known:
        outermost_first.append(root_of_hashes(part))
    return tuple(reversed(outermost_first))


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the log under `new_root` starts with the whole log under `old_root`.

    Raises:
        LedgerError: `proof.out_of_range`, `proof.length`, `proof.hash_size`, `proof.mismatch`.
    Source: RFC 9162, section 2.1.4.2.
    """
    if not 0 <= old_size <= new_size <= LOG_SIZE_MAX:
        raise LedgerError("proof.out_of_range", f"a log of {new_size} entries can't extend one of {old_size}")
    _check_hashes((old_root, new_root), path)
    if old_size in (0, new_size):
        _verify_trivial_consistency(old_size, old_root, new_size, new_root, path)
        return
    power_of_two = old_size & (old_size - 1) == 0
    node, last = _to_left_child(old_size - 1, new_size - 1)
    steps = (old_root, *path) if power_of_two else tuple(path)
    if not steps:
        raise LedgerError("proof.length", f"no hashes to go from {old_size} to {new_size} entries")
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise LedgerError(
                "proof.length", f"{len(path)} hashes are too many from {old_size} to {new_size}"
            )
        if node & 1 or node == last:
            old, new = _node(step, old), _node(step, new)
            node, last = _to_right_child(node, last)
        else:
            new = _node(new, step)
        node, last = node >> 1, last >> 1
    if last != 0:
        raise LedgerError("proof.length", f"{len(path)} hashes are too few from {old_size} to {new_size}")
    if old != old_root or new != new_root:
        raise LedgerError("proof.mismatch", "the consistency path leads to other roots")


def extension(size: int, leaf_hashes: Sequence[bytes]) -> tuple[Hash, ...]:
    """What a frontier of `size` entries needs to grow by these: the roots of the full subtrees over them.

    At most EXTENSION_LENGTH_MAX hashes, however many the entries.
    """
    roots: list[Hash] = []
    taken = 0
    for width in _subtree_widths(size, size + len(leaf_hashes)):
        roots.append(root_of_hashes(leaf_hashes[taken : taken + width]))
        taken += width
    return tuple(roots)


class Frontier(Canonical, frozen=True):
    """All that a log needs to grow: its size and the roots of its full subtrees, largest first.

    One peak for each 1 bit of `size`, so at most 53 peaks.

    Raises:
        LedgerError: `log.frontier` when made (or decoded) with another number of peaks.
    """

    size: Counter
    peaks: Annotated[tuple[Bytes32, ...], Meta(max_length=PATH_LENGTH_MAX)]

    def __post_init__(self) -> None:
        if len(self.peaks) != self.size.bit_count():
            raise LedgerError("log.frontier", f"{len(self.peaks)} peaks can't stand for {self.size} entries")

    def append(self, leaf_hash: bytes) -> Frontier:
        """The frontier with one more entry."""
        return self.append_all((leaf_hash,))

    def append_all(self, leaf_hashes: Iterable[bytes]) -> Frontier:
        """The frontier with more entries, in order."""
        size, peaks = self.size, list(self.peaks)
        for leaf in leaf_hashes:
            assert len(leaf) == HASH_BYTES
            peaks.append(leaf)
            for _ in range((~size & (size + 1)).bit_length() - 1):  # one merge for each trailing 1 bit
                right = peaks.pop()
                peaks[-1] = _node(peaks[-1], right)
            size += 1
        assert size <= LOG_SIZE_MAX
        return Frontier(size, tuple(peaks))

    def extend(self, size: int, subtrees: Sequence[bytes]) -> Frontier:
        """The frontier after `size` entries, by what `extension` gave for those that are not here yet.

        Whether they are the log's entries shows when its root is compared.

        Raises:
            LedgerError: `proof.out_of_range`, `proof.length`, `proof.hash_size`.
        """
        if not self.size <= size <= LOG_SIZE_MAX:
            raise LedgerError(
                "proof.out_of_range", f"a log of {size} entries can't extend one of {self.size}"
            )
        widths = _subtree_widths(self.size, size)
        if len(subtrees) != len(widths):
            raise LedgerError("proof.length", f"{len(subtrees)} hashes, expected {len(widths)}")
        peaks, at = list(self.peaks), self.size
        for width, subtree in zip(widths, subtrees, strict=True):
            _check_hashes((subtree,), ())
            node = subtree
            at += width
            for _ in range((at & -at).bit_length() - width.bit_length()):  # one merge for each level it fills
                node = _node(peaks.pop(), node)
            peaks.append(node)
        return Frontier(size, tuple(peaks))

    def root(self) -> Hash:
        """The tree hash over all entries so far."""
        if not self.peaks:
            return EMPTY_ROOT
        computed = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            computed = _node(peak, computed)
        return Hash(computed)


EMPTY_FRONTIER: Final = Frontier(0, ())


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _level_above(level: list[bytes]) -> list[bytes]:
    # A last node without a partner moves up unchanged: the same tree as the RFC's split at a power of two.
    above = [_node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    if len(level) & 1:
        above.append(level[-1])
    return above


def _subtree_widths(start: int, stop: int) -> list[int]:
    """The sizes of the full subtrees over entries start to stop - 1, in order: the largest that fit."""
    widths = []
    while start < stop:
        fitting = 1 << ((stop - start).bit_length() - 1)
        widths.append(min(fitting, start & -start or fitting))
        start += widths[-1]
    return widths


def _split(size: int) -> int:
    """The largest power of two below `size` (which is 2 or more)."""
    return 1 << ((size - 1).bit_length() - 1)


def _to_right_child(node: int, last: int) -> tuple[int, int]:
    """Skip the levels at which a last node without a partner moved up unchanged."""
    while node and not node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _to_left_child(node: int, last: int) -> tuple[int, int]:
    """Climb while the node is a right child: the old tree is complete below."""
    while node & 1:
        node, last = node >> 1, last >> 1
    return node, last


def _verify_trivial_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> None:
    if path:
        raise LedgerError("proof.length", f"{len(path)} hashes where {old_size} to {new_size} needs none")
    for size, given in ((old_size, old_root), (new_size, new_root)):
        if size == 0 and given != EMPTY_ROOT:
            raise LedgerError("proof.mismatch", "the root of an empty log is the hash of nothing")
    if old_size == new_size and old_root != new_root:
        raise LedgerError("proof.mismatch", "two roots for one size")


def _check_hashes(hashes: Sequence[bytes], path: Sequence[bytes]) -> None:
    if len(path) > PATH_LENGTH_MAX:
        raise LedgerError("proof.length", f"{len(path)} hashes, at most {PATH_LENGTH_MAX} are allowed")
    for value in (*hashes, *path):
        if len(value) != HASH_BYTES:
            raise LedgerError("proof.hash_size", f"a hash of {len(value)} bytes, expected {HASH_BYTES}")
