"""Peer messages: one encoding each, a limit on each, and a code for everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import encode
from ledger.errors import LedgerError
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX
from node.link import Link
from node.p2p.messages import (
    ACCUSATIONS_MAX,
    GOODBYE_CODES,
    IDS_MAX,
    KINDS,
    MESSAGE_BYTES_MAX,
    SETTLED_COUNT_MAX,
    Accusations,
    Blocks,
    BlocksRequest,
    Body,
    BodyRequest,
    CompactProposal,
    Consensus,
    Goodbye,
    Message,
    NotFound,
    RecoveryNotice,
    Settled,
    SettledRequest,
    Transactions,
    TransactionsRequest,
    decode_message,
    encode_message,
    kind_of,
    known_code,
    pack_ids,
    unpack_ids,
)
from tests.golden.samples import HEADER

ID = bytes(range(32))
short = st.binary(min_size=1, max_size=40)
ids = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4).map(pack_ids)
PLACE_0 = encode(TransactionsRequest(ID, (0,)))
places = st.sets(st.integers(0, 4999), min_size=1, max_size=5).map(lambda chosen: tuple(sorted(chosen)))
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.lists(short, min_size=1, max_size=4).map(lambda batch: Transactions(tuple(batch))),
    st.builds(TransactionsRequest, st.binary(min_size=32, max_size=32), places),
    short.map(Consensus),
    st.builds(CompactProposal, short, st.binary(max_size=20), ids | st.just(b"")),
    st.binary(min_size=32, max_size=32).map(BodyRequest),
    short.map(Body),
    st.builds(BlocksRequest, st.integers(0, 2**53 - 1), st.integers(1, 128)),
    st.builds(
        Blocks,
        st.integers(0, 2**53 - 1),
        st.lists(short, max_size=3).map(tuple),
        st.none() | st.just(Link(HEADER, (b"s" * 32,))),
        st.binary(max_size=9),
    ),
    ids.map(NotFound),
    st.text(max_size=20).map(Goodbye),
    st.builds(SettledRequest, *[st.integers(0, 2**53 - 1)] * 3),
    st.lists(short, max_size=4).map(lambda page: Settled(tuple(page))),
    st.binary(max_size=9).map(RecoveryNotice),
    st.lists(short, min_size=1, max_size=ACCUSATIONS_MAX).map(lambda held: Accusations(tuple(held))),
)


def code_of(data: bytes) -> str:
    with pytest.raises(LedgerError) as refusal:
        decode_message(data)
    return refusal.value.code


def assert_decodes_or_is_refused(data: bytes) -> None:
    code = ""
    try:
        decoded = decode_message(data)
    except LedgerError as refusal:
        code = refusal.code
    else:
        assert encode_message(decoded) == data
    assert code.startswith(("encoding.", "message.unknown_kind")) or not code


@given(MESSAGES)
def test_a_message_comes_back_as_it_went(message: Message) -> None:
    """Encode, then decode, is the same message."""
    assert decode_message(encode_message(message)) == message


@given(MESSAGES, st.data())
def test_a_changed_message_is_another_one_or_refused(message: Message, data: st.DataObject) -> None:
    """Every byte counts: what still decodes after a change re-encodes to the changed bytes."""
    encoded = encode_message(message)
    at = data.draw(st.integers(0, len(encoded) - 1))
    changed = encoded[:at] + bytes([data.draw(st.integers(0, 255))]) + encoded[at + 1 :]
    assert_decodes_or_is_refused(changed)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused_with_a_code(data: bytes) -> None:
    """Hostile bytes raise a LedgerError, never another exception."""
    assert_decodes_or_is_refused(data)


def test_every_kind_has_a_number_a_name_and_a_limit() -> None:
    """The table of kinds is whole, and its numbers are those in the bytes."""
    for number, (record, bytes_max) in KINDS.items():
        assert record.__struct_config__.tag == number
        assert 0 < bytes_max <= MESSAGE_BYTES_MAX
    assert kind_of(CompactProposal(b"x", b"", b"")) == "compact_proposal"
    assert len(KINDS) == 14


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", "message.unknown_kind"),
        (b"\x92", "message.unknown_kind"),
        (b"\x92\x00\xc0", "message.unknown_kind"),
        (b"\xdc\x00\x02\x03\xc4\x01x", "message.unknown_kind"),  # a longer array header
        (encode(Consensus(b"x")) + b"\0", "encoding.malformed"),
        (b"\x92\x03\xc5\x00\x01x", "encoding.non_canonical"),
        (b"\x93\x03\xc4\x01x\xc0", "encoding.malformed"),  # a field too many
        (b"\x91\x03", "encoding.malformed"),  # a field too few
        (b"\x92\x09\xc4\x00", "encoding.malformed"),  # no id
        (b"\x92\x09\xc4\x21" + bytes(33), "encoding.malformed"),  # an id and a byte
        (PLACE_0[:-2] + b"\x90", "encoding.malformed"),  # no place
        (PLACE_0[:-2] + b"\x92\x07\x07", "encoding.malformed"),  # one twice
        (PLACE_0[:-2] + b"\x92\x07\x06", "encoding.malformed"),  # descending
        (PLACE_0[:-2] + b"\x91\xff", "encoding.malformed"),  # a negative place
        (
            PLACE_0[:-2] + b"\x91\xcd\x13\x88",
            "encoding.malformed",
        ),  # place 5000
        (b"\x92\x05\xc4\x1f" + bytes(31), "encoding.malformed"),
        (b"\x92\x01\x90", "encoding.malformed"),  # an empty batch
        (b"\x93\x07\x01\x00", "encoding.malformed"),  # no blocks asked for
        (b"\x93\x07\xff\x01", "encoding.malformed"),  # a negative height
        (b"\x92\x0a\xa1\xff", "encoding.malformed"),  # no UTF-8
        (b"\x92\x01" + b"\x91" * 5000, "encoding.malformed"),  # deep nesting
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_message_has_a_code(message: bytes, code: str) -> None:
    """Each way to be wrong is refused by name."""
    assert code_of(message) == code


@pytest.mark.parametrize("number", list(KINDS))
def test_a_message_over_its_kind_s_limit_is_refused_before_it_is_decoded(number: int) -> None:
    """The limit is that of the kind, not of the largest kind."""
    assert code_of(bytes([0x92, number]) + bytes(KINDS[number][1])) == "encoding.too_large"


def test_a_batch_of_too_many_transactions_is_refused() -> None:
    """A thousand and one tiny transactions are one too many."""
    assert code_of(encode(Transactions((b"t",) * 1001))) == "encoding.malformed"


def test_a_page_of_certificates_is_bounded() -> None:
    """Sixty-four of the largest fit; one more is refused."""
    full = Settled((bytes(QUORUM_CERTIFICATE_BYTES_MAX),) * SETTLED_COUNT_MAX)
    assert decode_message(encode_message(full)) == full
    assert code_of(encode(Settled((b"c",) * (SETTLED_COUNT_MAX + 1)))) == "encoding.malformed"


def test_accusations_are_bounded() -> None:
    """Seventeen pieces of evidence are one too many, and so is a byte over a piece's limit."""
    full = Accusations((bytes(512),) * ACCUSATIONS_MAX)
    assert decode_message(encode_message(full)) == full
    assert code_of(encode(Accusations((b"e",) * (ACCUSATIONS_MAX + 1)))) == "encoding.malformed"
    assert code_of(encode(Accusations((bytes(513),)))) == "encoding.malformed"
    assert code_of(encode(Accusations(()))) == "encoding.malformed"


def test_packed_ids_come_apart_as_they_were() -> None:
    """Packing is order-preserving, and bounded on both sides."""
    several = tuple(bytes([number]) * 32 for number in range(5))
    assert unpack_ids(pack_ids(several)) == several
    assert code_of(encode_message(NotFound(ID))[:1] + b"\x09\xc6\x00\x02\x71\x20" + bytes(32 * (IDS_MAX + 1)))


def test_a_code_of_a_peer_s_own_invention_is_not_kept() -> None:
    """Known codes pass; others share one name."""
    assert all(known_code(code) == code for code in GOODBYE_CODES)
    assert known_code("made.up") == "peer.goodbye"
