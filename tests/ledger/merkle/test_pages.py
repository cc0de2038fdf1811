"""Pages hold leaves in one form, and can be cut for another depth without touching the root."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle.pages import bucket_of, check_page, decode_page, encode_page, repage
from ledger.merkle.tree import StateTree
from tests.ledger.merkle import definitions
from tests.ledger.merkle.stored_pages import depths, leaf_sets, store_of


@given(leaf_sets)
def test_a_page_decodes_to_the_rows_it_was_made_of(leaves: dict[bytes, bytes]) -> None:
    """Encoding and decoding are inverse, 64 bytes a leaf."""
    rows = sorted(leaves.items())
    page = encode_page(rows)
    assert len(page) == 64 * len(rows)
    assert decode_page(page) == rows


@given(st.binary(min_size=32, max_size=32), st.integers(1, 24))
def test_a_bucket_is_the_leading_bits(path: bytes, depth: int) -> None:
    """The bucket number written in binary is the start of the path."""
    assert f"{bucket_of(path, depth):0{depth}b}" == f"{int.from_bytes(path, 'big'):0256b}"[:depth]


@given(leaf_sets, depths, depths)
def test_repaging_gives_the_pages_of_the_other_depth(leaves: dict[bytes, bytes], old: int, new: int) -> None:
    """Deeper or shallower: the pages are those of a store that always had that depth; the root stays."""
    repaged = list(repage(sorted(store_of(leaves, old).pages.items()), new))
    expected = store_of(leaves, new)
    assert repaged == sorted(expected.pages.items())
    for bucket, page in repaged:
        check_page(page, bucket, new)
    assert StateTree(new, expected, repaged).root == definitions.state_root(leaves)
