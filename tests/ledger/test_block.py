"""Blocks: ids, bytes, and what the header says of the body (B1-B8)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import (
    ENCODED_BYTES_MAX,
    Block,
    Header,
    block_id,
    certificate_hash,
    decode_block,
    transactions_root,
)
from ledger.codec import encode
from ledger.crypto import Tag, hash_tagged
from ledger.merkle import log
from ledger.types import BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, RECOVERY_BYTES_MAX, ZERO_HASH
from tests.ledger.chain import build, genesis_tip, grow, make_transaction
from tests.ledger.refusals import code_of

BLOCK = build(grow(genesis_tip(), 1), make_transaction()).block


def test_the_id_is_the_tagged_hash_of_the_header() -> None:
    """B1: body and certificate count only through what the header says of them."""
    assert block_id(BLOCK.header) == hash_tagged(Tag.HEADER, encode(BLOCK.header))


@pytest.mark.parametrize("field", Header.__struct_fields__)
def test_every_field_counts_in_the_id(field: str) -> None:
    """B1: two headers that differ anywhere are two blocks."""
    value = getattr(BLOCK.header, field)
    other = bytes(31) + b"\1" if isinstance(value, bytes) else value + 1
    assert block_id(msgspec.structs.replace(BLOCK.header, **{field: other})) != block_id(BLOCK.header)


def test_a_header_has_no_view_and_no_leader() -> None:
    """B2: the same block can be proposed again in a later view, so nothing of a view is in it."""
    assert not {"view", "leader", "proposer", "certificate"} & set(Header.__struct_fields__)


def test_a_block_is_read_back() -> None:
    """B3: decoding gives the very block; nothing but its form is checked."""
    assert decode_block(encode(BLOCK)) == BLOCK


def test_no_certificate_is_zeros() -> None:
    """B4: only the first block has none, and no certificate hashes to zeros."""
    assert certificate_hash(b"") == ZERO_HASH
    assert certificate_hash(b"x") == hash_tagged(Tag.CERTIFICATE, b"x")


@given(st.lists(st.binary(max_size=8), max_size=6), st.lists(st.binary(max_size=8), max_size=6))
def test_the_root_is_of_these_transactions_in_this_order(one: list[bytes], other: list[bytes]) -> None:
    """B5: RFC 9162 over the raw bytes; another list or order is another root."""
    assert transactions_root(one) == log.root(one)
    assert (transactions_root(one) == transactions_root(other)) is (one == other)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "encoding.malformed"),
        (encode(BLOCK)[:-1], "encoding.malformed"),
        (encode(BLOCK) + b"\0", "encoding.malformed"),
        (b"\xdc\x00\x03" + encode(BLOCK)[1:], "encoding.non_canonical"),
        (encode((BLOCK.header, b"")), "encoding.malformed"),
        (encode((BLOCK.header, b"", (), 0)), "encoding.malformed"),
        (encode((BLOCK.header, bytes(RECOVERY_BYTES_MAX + 1), ())), "encoding.malformed"),
        (encode((BLOCK.header, b"", (b"",) * (BLOCK_TRANSACTIONS_MAX + 1))), "encoding.malformed"),
        (bytes(ENCODED_BYTES_MAX + 1), "encoding.too_large"),
    ],
)
def test_only_the_canonical_bytes_within_limits_are_a_block(data: bytes, code: str) -> None:
    """B6: cut, trailing, longer headers, too many or too large parts: refused before anything is run."""
    assert code_of(lambda: decode_block(data)) == code


def test_the_largest_block_fits() -> None:
    """B6: what the limits of parts allow passes the limit of the whole."""
    half = BLOCK_BYTES_MAX // BLOCK_TRANSACTIONS_MAX
    full = Block(BLOCK.header, bytes(RECOVERY_BYTES_MAX), (bytes(half),) * (BLOCK_TRANSACTIONS_MAX - 1))
    assert decode_block(encode(full)) == full


@given(st.binary(max_size=300))
def test_garbage_is_refused_with_a_code(data: bytes) -> None:
    """B6: no bytes make the reader raise anything but a refusal."""
    assert code_of(lambda: decode_block(data)).startswith("encoding.")
