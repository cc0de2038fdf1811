"""The codec: one encoding a value, and nothing else is taken."""

from __future__ import annotations

import tracemalloc
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from ledger.codec import Canonical, decode, encode
from ledger.errors import LedgerError
from ledger.types import Bytes32, Counter, Name
from tests.ledger.refusals import code_of


class Inner(Canonical):
    count: Counter
    word: str


class Sample(Canonical):
    key: Bytes32
    number: int
    is_true: bool
    inner: Inner | None
    items: Annotated[tuple[bytes, ...], Meta(max_length=4)]
    table: dict[str, int]


class Pair(Canonical):
    first: int
    second: int = 7


SAMPLE = Sample(b"k" * 32, -300, True, Inner(5, "żyto"), (b"", b"xy"), {"a": 1, "b": 2})

inners = st.builds(Inner, st.integers(0, 2**53 - 1), st.text(max_size=8))
samples = st.builds(
    Sample,
    st.binary(min_size=32, max_size=32),
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.none() | inners,
    st.lists(st.binary(max_size=300), max_size=4).map(tuple),
    st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=4),
)


@given(samples)
def test_what_is_encoded_is_decoded_to_the_same_value(sample: Sample) -> None:
    """Round trip; the limit itself is allowed."""
    data = encode(sample)
    assert decode(data, Sample, len(data)) == sample


@given(samples, samples)
def test_one_value_has_one_encoding(one: Sample, other: Sample) -> None:
    """Equal values give equal bytes, and different values different ones."""
    assert (encode(one) == encode(other)) is (one == other)


def test_maps_are_in_key_order() -> None:
    """The order in which a dictionary was filled does not show."""
    assert encode({"b": 1, "a": 2}) == encode({"a": 2, "b": 1})


@given(samples, st.data())
def test_no_changed_byte_spells_the_same_value(sample: Sample, data: st.DataObject) -> None:
    """One byte changed is refused, or is another value: never a second spelling."""
    encoded = bytearray(encode(sample))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(bytes(encoded), Sample, 10_000)
    except LedgerError:
        return
    assert found != sample
    assert encode(found) == bytes(encoded)


@given(samples, st.data())
def test_no_cut_and_no_trailing_byte_is_taken(sample: Sample, data: st.DataObject) -> None:
    """Whatever is missing or follows, the bytes are refused."""
    encoded = encode(sample)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    tail = data.draw(st.binary(min_size=1, max_size=4))
    assert code_of(lambda: decode(encoded[:cut], Sample, 10_000)) == "encoding.malformed"
    assert code_of(lambda: decode(encoded + tail, Sample, 10_000)) == "encoding.malformed"


@given(st.binary(max_size=200))
def test_garbage_is_refused_with_a_code(data: bytes) -> None:
    """No bytes make the decoder raise anything but a refusal."""
    assert code_of(lambda: decode(data, Sample, 150)).startswith("encoding.")


# Each is a second MessagePack spelling of Pair(1, 7), whose encoding is 92 01 07.
SECOND_SPELLINGS = {
    "integer of one byte more": "92cc0107",
    "integer of eight bytes more": "92cf000000000000000107",
    "signed integer": "92d00107",
    "array header of two bytes more": "dc00020107",
    "array header of four bytes more": "dd000000020107",
    "float": "92cb3ff000000000000007",
    "default left out": "9101",
}


@pytest.mark.parametrize("data", SECOND_SPELLINGS.values(), ids=SECOND_SPELLINGS)
def test_a_second_spelling_is_refused(data: str) -> None:
    """Longer than need be, as another type, or with a default left out: not the canonical bytes."""
    assert encode(Pair(1)).hex() == "920107"
    assert code_of(lambda: decode(bytes.fromhex(data), Pair, 100)) in {
        "encoding.non_canonical", "encoding.malformed",
    }  # fmt: skip


def test_strings_and_bytes_have_one_header() -> None:
    """A short string in a long header and bytes in a long header are second spellings."""
    for data, kind in (("d90161", str), ("da000161", str), ("c5000161", bytes)):
        assert code_of(lambda d=data, k=kind: decode(bytes.fromhex(d), k, 9)) == "encoding.non_canonical"


def test_an_unsorted_map_is_refused() -> None:
    """Maps come in key order, and no key comes twice."""
    unsorted, double = bytes.fromhex("82a16202a16101"), bytes.fromhex("82a16101a16101")
    assert decode(bytes.fromhex("82a16101a16202"), dict[str, int], 9) == {"a": 1, "b": 2}
    assert code_of(lambda: decode(unsorted, dict[str, int], 9)) == "encoding.non_canonical"
    assert code_of(lambda: decode(double, dict[str, int], 9)) == "encoding.non_canonical"


@pytest.mark.parametrize(
    "data",
    [
        encode((1, 7, 8)),  # a field too many
        encode((1,))[:-1],
        encode({"first": 1, "second": 7}),  # a map in place of the array
        encode(("1", 7)),
        encode((True, 7)),
        encode((None, 7)),
        b"\xc1",  # never used
        b"\xc7\x01\x01\x00",  # an extension
    ],
)
def test_another_shape_is_malformed(data: bytes) -> None:
    """Extra fields, maps, other types and extensions are refused, not converted."""
    assert code_of(lambda: decode(data, Pair, 100)) == "encoding.malformed"


def test_limits_of_a_type_hold_when_reading() -> None:
    """Sizes, ranges and patterns that a type states are checked by decoding."""
    for value, kind in ((b"k" * 31, Bytes32), (-1, Counter), (2**53, Counter), ("Upper", Name), ("", Name)):
        assert code_of(lambda v=value, k=kind: decode(encode(v), k, 99)) == "encoding.malformed"
    assert code_of(lambda: decode(encode("a\n"), Name, 99)) == "encoding.malformed"  # type: ignore[arg-type]


def test_size_is_checked_before_anything_is_read() -> None:
    """One byte above the limit is refused as too large, whatever it holds."""
    assert code_of(lambda: decode(b"\xc1" * 11, Sample, 10)) == "encoding.too_large"


def test_text_must_be_utf_8() -> None:
    """Bytes that are no text are malformed, as is half of a surrogate pair."""
    for text in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80"):
        data = bytes([0xA0 + len(text)]) + text
        assert code_of(lambda d=data: decode(d, str, 9)) == "encoding.malformed"


def test_depth_cannot_exhaust_the_stack() -> None:
    """A hundred thousand nested arrays are malformed, not a crash."""
    deep = b"\x91" * 100_000
    assert code_of(lambda: decode(deep, Sample, 200_000)) == "encoding.malformed"
    assert code_of(lambda: decode(deep, list, 200_000)) == "encoding.malformed"


@pytest.mark.parametrize("header", ["ddffffffff", "dbffffffff", "c6ffffffff"])
def test_a_claimed_size_costs_no_memory(header: str) -> None:
    """Five bytes that promise four billion items or bytes are refused without making room for them."""
    tracemalloc.start()
    try:
        for kind in (tuple[bytes, ...], str, bytes):
            assert code_of(lambda k=kind: decode(bytes.fromhex(header), k, 9)) == "encoding.malformed"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_records_are_frozen() -> None:
    """What is hashed does not change afterwards."""
    with pytest.raises(AttributeError):
        Pair(1).first = 2  # type: ignore[misc]
    assert isinstance(Pair(1), msgspec.Struct)
