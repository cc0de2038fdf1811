"""A store of pages in memory, and the strategies and steps that the tests of the state tree share."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from ledger.merkle.pages import bucket_of, encode_page
from ledger.merkle.tree import StateTree, TreeUpdate


class StoredPages:
    """The pages of one node's store."""

    def __init__(self, pages: Mapping[int, bytes] | None = None) -> None:
        self.pages = dict(pages or {})
        self.reads = 0

    def page(self, bucket: int) -> bytes | None:
        self.reads += 1
        return self.pages.get(bucket)

    def write(self, update: TreeUpdate) -> None:
        for bucket, page in update.pages.items():
            if page:
                self.pages[bucket] = page
            else:
                del self.pages[bucket]


def store_of(leaves: Mapping[bytes, bytes], depth: int) -> StoredPages:
    """The pages that hold these leaves."""
    rows: dict[int, list[tuple[bytes, bytes]]] = {}
    for path, value in sorted(leaves.items()):
        rows.setdefault(bucket_of(path, depth), []).append((path, value))
    return StoredPages({bucket: encode_page(leaves) for bucket, leaves in rows.items()})


def tree_of(leaves: Mapping[bytes, bytes], depth: int) -> tuple[StateTree, StoredPages]:
    """A tree built by the scan of a store that holds these leaves."""
    store = store_of(leaves, depth)
    return StateTree(depth, store, store.pages.items()), store


def after(leaves: Mapping[bytes, bytes], changes: Mapping[bytes, bytes | None]) -> dict[bytes, bytes]:
    """The leaves after changes."""
    merged = {**leaves, **changes}
    return {path: value for path, value in merged.items() if value is not None}


hashes = st.binary(min_size=32, max_size=32)
depths = st.integers(1, 12)

# Paths that an attacker would choose: equal for any number of bits and then apart, or at either end.
_anchors = (bytes(32), b"\xff" * 32, b"\xaa" * 32, b"\x80" + bytes(31))


@st.composite
def hostile_paths(draw: st.DrawFn) -> bytes:
    anchor = int.from_bytes(draw(st.sampled_from(_anchors)), "big")
    for bit in draw(
        st.lists(st.one_of(st.integers(0, 255), st.sampled_from((0, 1, 11, 12, 13, 254, 255))), max_size=3)
    ):
        anchor ^= 1 << (255 - bit)
    return anchor.to_bytes(32, "big")


paths = st.one_of(hostile_paths(), hostile_paths(), hashes)
leaf_sets = st.dictionaries(paths, hashes, max_size=12)
