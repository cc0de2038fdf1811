"""Tagged hashes and Ed25519: what is accepted, and the edge cases on which libraries disagree."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto import Tag, check_public_key, hash_tagged, is_signature, key_pair, sign
from tests.ledger.curve import (
    BASE,
    ZERO,
    L,
    P,
    add,
    challenge,
    encode_point,
    multiply,
    secret_scalar,
    torsion,
)
from tests.ledger.refusals import code_of

SEED = bytes(range(32))
KEY = key_pair(SEED)
TORSION = torsion()
SMALL_ORDER = [encode_point(point) for point in TORSION]


def prefixed(data: bytes) -> bytes:
    return Tag.VOTE.value + b"\0" + data


# --- tags ---------------------------------------------------------------------------


def test_a_hash_covers_tag_zero_byte_and_data() -> None:
    """The definition, written out."""
    assert hash_tagged(Tag.HEADER, b"data") == sha256(b"farmgate/header/1\0data").digest()


def test_tags_are_apart() -> None:
    """No tag is another's beginning up to the zero byte, none holds a zero byte, so no two inputs collide."""
    values = [tag.value for tag in Tag]
    assert len(set(values)) == len(values)
    assert all(b"\0" not in value and value.isascii() for value in values)


@given(st.sampled_from(Tag), st.sampled_from(Tag), st.binary(max_size=100))
def test_a_signature_serves_one_purpose(made_for: Tag, used_for: Tag, data: bytes) -> None:
    """It verifies under its own tag and under no other."""
    assert is_signature(KEY.public, used_for, data, sign(KEY, made_for, data)) is (made_for is used_for)


# --- signatures ---------------------------------------------------------------------


def test_rfc_8032_test_1() -> None:
    """The key of RFC 8032, section 7.1, TEST 1: the public half that the standard prints."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key_pair(seed).public.hex() == public


@given(st.binary(max_size=200), st.integers(0, 63), st.integers(1, 255))
def test_any_changed_byte_is_noticed(data: bytes, place: int, flip: int) -> None:
    """A signature with one byte changed is none."""
    signature = bytearray(sign(KEY, Tag.VOTE, data))
    assert is_signature(KEY.public, Tag.VOTE, data, bytes(signature))
    signature[place] ^= flip
    assert not is_signature(KEY.public, Tag.VOTE, data, bytes(signature))


@pytest.mark.parametrize("size", [0, 1, 63, 65, 128])
def test_a_signature_of_another_size_is_refused(size: int) -> None:
    """Bytes before or behind do not slip into the signed message."""
    signature = sign(KEY, Tag.VOTE, b"data")
    assert not is_signature(KEY.public, Tag.VOTE, b"data", (signature * 2)[:size])


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_size_is_refused(size: int) -> None:
    """The key is 32 bytes, never cut or filled."""
    assert not is_signature((KEY.public * 2)[:size], Tag.VOTE, b"data", sign(KEY, Tag.VOTE, b"data"))
    assert code_of(lambda: check_public_key((KEY.public * 2)[:size])) == "key.invalid"


def test_the_own_curve_agrees_with_the_library() -> None:
    """The slow arithmetic of these tests makes the same key and a signature that the library accepts."""
    secret = secret_scalar(SEED)
    public = encode_point(multiply(secret, BASE))
    assert public == KEY.public
    r = encode_point(multiply(77, BASE))
    s = (77 + challenge(r, public, prefixed(b"data")) * secret) % L
    assert is_signature(public, Tag.VOTE, b"data", r + s.to_bytes(32, "little"))


def test_s_above_the_group_order_is_refused() -> None:
    """S + L satisfies the equation too: accepting it would give each signature a twin."""
    signature = sign(KEY, Tag.VOTE, b"data")
    s = int.from_bytes(signature[32:], "little") + L
    assert not is_signature(KEY.public, Tag.VOTE, b"data", signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize("public", SMALL_ORDER)
@pytest.mark.parametrize("r", [encode_point(ZERO), SMALL_ORDER[1]])
def test_a_key_of_small_order_signs_nothing(public: bytes, r: bytes) -> None:
    """With such a key a signature of zeros fits any message one time in eight, or always."""
    for number in range(16):
        assert not is_signature(public, Tag.VOTE, b"%d" % number, r + bytes(32))


def test_r_of_small_order_is_refused() -> None:
    """A signature whose R is a point of small order is refused though the equation holds."""
    r = encode_point(ZERO)
    s = challenge(r, KEY.public, prefixed(b"data")) * secret_scalar(SEED) % L  # S B = R + k A holds
    assert not is_signature(KEY.public, Tag.VOTE, b"data", r + s.to_bytes(32, "little"))


def test_a_signature_that_only_the_cofactored_equation_accepts_is_refused() -> None:
    """R + T with T of order eight: eight times both sides are equal, the sides themselves are not."""
    secret = secret_scalar(SEED)
    r = encode_point(add(multiply(77, BASE), TORSION[1]))
    s = (77 + challenge(r, KEY.public, prefixed(b"data")) * secret) % L
    assert not is_signature(KEY.public, Tag.VOTE, b"data", r + s.to_bytes(32, "little"))


# --- keys -----------------------------------------------------------------------------


def test_there_are_eight_points_of_small_order() -> None:
    """The list that the next test walks is the whole one."""
    assert len(set(SMALL_ORDER)) == 8
    assert all(multiply(8, point) == ZERO for point in TORSION)


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_a_key_of_small_order_is_refused(public: bytes) -> None:
    """Nobody may register a key under which anything verifies."""
    assert code_of(lambda: check_public_key(public)) == "key.invalid"


# y >= p encodes the point of y - p a second time; and x = 0 has no odd twin.
NON_CANONICAL = [
    *((P + low | sign_bit << 255).to_bytes(32, "little") for low in range(19) for sign_bit in (0, 1)),
    (1 | 1 << 255).to_bytes(32, "little"),
    (P - 1 | 1 << 255).to_bytes(32, "little"),
]


@pytest.mark.parametrize("public", NON_CANONICAL, ids=lambda public: public.hex()[:4])
def test_a_second_spelling_of_a_key_is_refused(public: bytes) -> None:
    """One point has one encoding: y below p, and no sign where x is zero."""
    assert code_of(lambda: check_public_key(public)) == "key.invalid"
    assert not is_signature(public, Tag.VOTE, b"data", bytes(64))


@pytest.mark.parametrize("times", range(1, 8))
def test_a_key_outside_of_the_main_subgroup_is_refused(times: int) -> None:
    """A good key plus a point of small order is on the curve and is refused all the same."""
    mixed = encode_point(add(multiply(secret_scalar(SEED), BASE), TORSION[times]))
    assert code_of(lambda: check_public_key(mixed)) == "key.invalid"


def test_bytes_off_the_curve_are_no_key() -> None:
    """About half of all y have no x."""
    assert code_of(lambda: check_public_key((2).to_bytes(32, "little"))) == "key.invalid"


@given(st.binary(min_size=32, max_size=32))
def test_every_made_key_is_accepted(seed: bytes) -> None:
    """What a seed stands for passes the check, and signs."""
    key = key_pair(seed)
    check_public_key(key.public)
    assert is_signature(key.public, Tag.HANDSHAKE, b"", sign(key, Tag.HANDSHAKE, b""))
