"""Transactions: their bytes, their id, their signature and where they may stand (T1-T6)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import encode
from ledger.crypto import Tag, hash_tagged, sign
from ledger.transaction import (
    SignedBody,
    TransactionBody,
    check_scope,
    decode_transaction,
    sign_transaction,
    verify_signature,
)
from ledger.types import TRANSACTION_BYTES_MAX, ChainId, Height
from tests.ledger.chain import CHAIN, FARM, SHOP, make_transaction
from tests.ledger.curve import L
from tests.ledger.refusals import code_of

WINDOW = 10
GOOD = make_transaction()


def test_the_id_covers_the_unsigned_body() -> None:
    """T1: id = tagged hash of the canonical body, known to the client before it signs."""
    assert GOOD.id == hash_tagged(Tag.TRANSACTION, encode(GOOD.body))
    assert decode_transaction(GOOD.raw).id == GOOD.id


@given(st.binary(max_size=2000), st.integers(0, 2**53 - 1), st.binary(min_size=16, max_size=16))
def test_what_is_signed_is_decoded_and_verified(arguments: bytes, valid_until: int, nonce: bytes) -> None:
    """Round trip of bytes, body, id and signature, for every size of arguments."""
    body = TransactionBody(CHAIN, FARM.public, nonce, valid_until, "notes", "write", arguments)
    made = sign_transaction(body, FARM)
    found = decode_transaction(made.raw)
    assert found == made
    verify_signature(found)


def test_any_field_changes_the_id() -> None:
    """T1: two bodies that differ anywhere are two transactions."""
    others = {
        "chain_id": b"d" * 32,
        "sender": SHOP.public,
        "nonce": b"n" * 16,
        "valid_until": 6,
        "contract": "other",
        "method": "other",
        "arguments": b"a=2",
    }
    assert set(others) == set(TransactionBody.__struct_fields__)
    for field, value in others.items():
        changed = msgspec.structs.replace(GOOD.body, **{field: value})
        raw = encode(SignedBody(changed, GOOD.signature))
        assert decode_transaction(raw).id != GOOD.id
        assert code_of(lambda r=raw: verify_signature(decode_transaction(r))) == "transaction.bad_signature"


def test_another_signature_is_not_another_id() -> None:
    """T2: bytes that differ in the signature alone name the same transaction, and only one verifies."""
    raw = GOOD.raw[:-1] + bytes([GOOD.raw[-1] ^ 1])
    forged = decode_transaction(raw)
    assert forged.id == GOOD.id
    assert code_of(lambda: verify_signature(forged)) == "transaction.bad_signature"


def test_a_malleable_twin_of_a_signature_is_refused() -> None:
    """T3: S + L in place of S satisfies the curve equation and is refused."""
    s = int.from_bytes(GOOD.signature[32:], "little") + L
    twin = encode(SignedBody(GOOD.body, GOOD.signature[:32] + s.to_bytes(32, "little")))
    assert code_of(lambda: verify_signature(decode_transaction(twin))) == "transaction.bad_signature"


@pytest.mark.parametrize("tag", [tag for tag in Tag if tag is not Tag.TRANSACTION])
def test_a_signature_made_for_something_else_is_refused(tag: Tag) -> None:
    """T3: the tag is part of the signed bytes."""
    raw = encode(SignedBody(GOOD.body, sign(FARM, tag, encode(GOOD.body))))
    assert code_of(lambda: verify_signature(decode_transaction(raw))) == "transaction.bad_signature"


def test_somebody_elses_signature_is_refused() -> None:
    """T3: the sender named in the body must have signed it."""
    raw = encode(SignedBody(GOOD.body, sign(SHOP, Tag.TRANSACTION, encode(GOOD.body))))
    assert code_of(lambda: verify_signature(decode_transaction(raw))) == "transaction.bad_signature"


def test_signing_for_another_sender_is_a_bug() -> None:
    """A caller that signs with the wrong key is stopped at once."""
    with pytest.raises(AssertionError):
        sign_transaction(GOOD.body, SHOP)


def test_the_largest_transaction_is_taken_and_one_byte_more_is_not() -> None:
    """T4: the limit covers the signed bytes as a whole."""
    spare = TRANSACTION_BYTES_MAX - len(make_transaction(arguments=b"a=" + b"1" * 70_000).raw)
    largest = make_transaction(arguments=b"a=" + b"1" * (70_000 + spare))
    assert len(largest.raw) == TRANSACTION_BYTES_MAX
    assert decode_transaction(largest.raw).id == largest.id
    larger = make_transaction(arguments=b"a=" + b"1" * (70_001 + spare))
    assert code_of(lambda: decode_transaction(larger.raw)) == "transaction.too_large"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "encoding.malformed"),
        (GOOD.raw[:-1], "encoding.malformed"),
        (GOOD.raw + b"\0", "encoding.malformed"),
        (b"\xdc\x00\x02" + GOOD.raw[1:], "encoding.non_canonical"),  # a longer array header
        (b"\x92\xdc\x00\x07" + GOOD.raw[2:], "encoding.non_canonical"),
        (GOOD.raw[:-66] + b"\xc5\x00\x40" + GOOD.raw[-64:], "encoding.non_canonical"),
        (encode((GOOD.body,)), "encoding.malformed"),
        (encode((GOOD.body, GOOD.signature, 0)), "encoding.malformed"),
        (encode((GOOD.body, GOOD.signature[:-1])), "encoding.malformed"),
        (encode((encode(GOOD.body), GOOD.signature)), "encoding.malformed"),
    ],
)
def test_only_the_canonical_bytes_are_a_transaction(raw: bytes, code: str) -> None:
    """T4: cut, trailing, longer headers, missing and extra fields: refused. One id has one spelling."""
    assert code_of(lambda: decode_transaction(raw)) == code


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_id", b"c" * 31),
        ("sender", b""),
        ("nonce", b"n" * 17),
        ("valid_until", -1),
        ("valid_until", 2**53),
        ("contract", ""),
        ("contract", "Upper"),
        ("method", "a" * 65),
        ("method", "write\n"),
        ("arguments", "text"),
    ],
)
def test_fields_have_their_exact_form(field: str, value: object) -> None:
    """T4: sizes, ranges and names are checked by decoding."""
    raw = encode(SignedBody(msgspec.structs.replace(GOOD.body, **{field: value}), GOOD.signature))
    assert code_of(lambda: decode_transaction(raw)) == "encoding.malformed"


@given(st.binary(max_size=300))
def test_garbage_is_refused_with_a_code(raw: bytes) -> None:
    """T4: no bytes make the reader raise anything but a refusal."""
    assert code_of(lambda: decode_transaction(raw)).startswith("encoding.")


def scope(height: int, valid_until: int = 20, chain: ChainId = CHAIN) -> None:
    body = make_transaction(valid_until=valid_until).body
    check_scope(body, chain, Height(height), WINDOW)


def test_a_transaction_belongs_to_one_chain() -> None:
    """T5: the signed chain id is compared."""
    assert code_of(lambda: scope(20, chain=ChainId(b"d" * 32))) == "transaction.wrong_chain"


@given(st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_a_transaction_lives_for_one_window(height: int, valid_until: int) -> None:
    """T6: heights valid_until - window + 1 to valid_until may hold it, and no other."""
    if height > valid_until:
        assert code_of(lambda: scope(height, valid_until)) == "transaction.expired"
    elif height <= valid_until - WINDOW:
        assert code_of(lambda: scope(height, valid_until)) == "transaction.too_far_ahead"
    else:
        scope(height, valid_until)


@pytest.mark.parametrize("height", [11, 20])
def test_the_ends_of_the_window_belong_to_it(height: int) -> None:
    """T6: the first and the last height that may hold `valid_until = 20`, and those beside them."""
    scope(height)
    assert code_of(lambda: scope(10)) == "transaction.too_far_ahead"
    assert code_of(lambda: scope(21)) == "transaction.expired"
