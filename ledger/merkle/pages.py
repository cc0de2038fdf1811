"""The state tree's leaves as they lie in a store: one page of bytes a bucket.

A bucket is the first `depth` bits of a path. Its page holds the leaves of the
bucket in ascending order, 64 bytes each: path (32), value hash (32); a bucket
without leaves has no page. The depth is each node's own choice: it changes where
bytes lie, never the root.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import groupby, pairwise
from typing import Final

from ledger.merkle.proof import EMPTY_HASH, path_bit, shared_bits
from ledger.types import HASH_BYTES

ROW_BYTES: Final = 2 * HASH_BYTES
DEPTH_MIN: Final = 1
DEPTH_MAX: Final = 24  # the top array then takes 1.1 GB; 16 leaves a page carry it to 268 million leaves

Row = tuple[bytes, bytes]
"""A leaf: its path and its value hash, 32 bytes each."""

Node = tuple[int, bytes]
"""A subtree: how many leaves it has (0, 1, or 2 for more) and its hash.

The count is the one-leaf rule in a form that adds up: two subtrees join into a
hashed node when their counts sum to more than one, else the one that is not empty rises.
"""

NOTHING: Final[Node] = (0, EMPTY_HASH)


class PageError(Exception):
    """A page came back that no tree wrote there: the store is damaged, or a peer's chunk is false."""


def bucket_of(path: bytes, depth: int) -> int:
    """The bucket of a path: its first `depth` bits (at most 24) as a number."""
    return int.from_bytes(path[:3], "big") >> (DEPTH_MAX - depth)


def encode_page(rows: Iterable[Row]) -> bytes:
    """The page of leaves that are in ascending order."""
    return b"".join([path + value_hash for path, value_hash in rows])


def decode_page(page: bytes) -> list[Row]:
    """The leaves of a page that is known to be well formed (`check_page`)."""
    return [
        (page[start : start + HASH_BYTES], page[start + HASH_BYTES : start + ROW_BYTES])
        for start in range(0, len(page), ROW_BYTES)
    ]


def check_page_size(page: bytes, bucket: int) -> None:
    """Refuse a torn page: one that is no whole number of leaves.

    Raises:
        PageError
    """
    if len(page) % ROW_BYTES:
        raise PageError(f"bucket {bucket}: {len(page)} bytes are no whole number of {ROW_BYTES}-byte leaves")


def check_page(page: bytes, bucket: int, depth: int) -> None:
    """Refuse a page that no tree has written: empty, torn, out of order, or with a leaf of another bucket.

    Raises:
        PageError
    """
    check_page_size(page, bucket)
    paths = [path for path, _ in decode_page(page)]
    if any(path >= following for path, following in pairwise(paths)):
        raise PageError(f"bucket {bucket}: the leaves are not in ascending order")
    if not paths:
        raise PageError(f"bucket {bucket}: an empty page; a bucket without leaves has none")
    if not bucket_of(paths[0], depth) == bucket_of(paths[-1], depth) == bucket:
        raise PageError(f"bucket {bucket}: a leaf belongs to another bucket at depth {depth}")


def repage(pages: Iterable[tuple[int, bytes]], depth: int) -> Iterator[tuple[int, bytes]]:
    """The same leaves cut into buckets of another depth.

    Pages must come in ascending order and leave in ascending order; one of the result is held at a time.
    """
    rows = (row for _, page in pages for row in decode_page(page))
    for bucket, group in groupby(rows, key=lambda row: bucket_of(row[0], depth)):
        yield bucket, encode_page(group)


def subtree(rows: Sequence[Row], depth: int) -> Node:
    """The canonical subtree over leaves in ascending order that share their first `depth` bits."""
    if not rows:
        return NOTHING
    return min(len(rows), 2), _hash(rows, 0, len(rows), depth)


def descend(rows: Sequence[Row], path: bytes, depth: int) -> tuple[Row | None, list[bytes]]:
    """What stands where `path` leads below depth `depth`, and the siblings passed on the way down.

    Answers the one leaf of that place (of this path or another), or None where it is empty.
    """
    siblings: list[bytes] = []
    while len(rows) > 1:
        split = _fork(rows, 0, len(rows), depth)
        near, far = rows[:split], rows[split:]
        if path_bit(path, depth):
            near, far = far, near
        depth += 1
        siblings.append(subtree(far, depth)[1])
        rows = near
    return (rows[0] if rows else None), siblings


def _hash(rows: Sequence[Row], start: int, stop: int, depth: int) -> bytes:
    """The hash of the subtree of rows[start:stop], at least one leaf, that stands at `depth`.

    It calls itself once a fork, so never deeper than a path has bits.
    """
    path, value_hash = rows[start]
    if stop - start == 1:
        return sha256(b"\x00" + path + value_hash).digest()
    forks_at = shared_bits(path, rows[stop - 1][0])
    middle = _fork(rows, start, stop, forks_at)
    left = _hash(rows, start, middle, forks_at + 1)
    right = _hash(rows, middle, stop, forks_at + 1)
    computed = sha256(b"\x01" + left + right).digest()
    for level in range(forks_at - 1, depth - 1, -1):  # above the fork: one side is empty
        if path_bit(path, level):
            computed = sha256(b"\x01" + EMPTY_HASH + computed).digest()
        else:
            computed = sha256(b"\x01" + computed + EMPTY_HASH).digest()
    return computed


def _fork(rows: Sequence[Row], start: int, stop: int, bit: int) -> int:
    """The first of rows[start:stop] whose bit `bit` is 1, or `stop`; they must share all bits before it."""
    return bisect_left(rows, 1, start, stop, key=lambda row: path_bit(row[0], bit))
