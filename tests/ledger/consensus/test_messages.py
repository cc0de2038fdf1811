"""The wire and the log: one encoding, every limit, and garbage refused by name."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import encode
from ledger.consensus.messages import (
    CERTIFICATES_PAGE_MAX,
    GAP_CERTIFICATES_MAX,
    MESSAGE_BYTES_MAX,
    VOTES_PAGE_MAX,
    WANTS_PAGE_MAX,
    CertificateRequest,
    CertificatesMessage,
    Message,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
    Want,
    decode_message,
    encode_message,
)
from ledger.consensus.records import (
    HeldCertificate,
    HeldProposal,
    OwnProposal,
    OwnVote,
    Record,
    decode_record,
    encode_record,
    record_position,
)
from ledger.errors import LedgerError
from ledger.types import VALIDATORS_MAX
from ledger.vote import Certificate, Vote, VoteKind
from tests.ledger.consensus.lockstep import BASE, CHAIN
from tests.ledger.consensus.subject import FINALIZE, NOTARIZE, NULLIFY, Subject, block_on

SUBJECT = Subject()
HEADER = block_on(BASE)
PROPOSAL = SUBJECT.proposal(
    3, HEADER, 1, SUBJECT.certificate(NOTARIZE, 1, HEADER), [SUBJECT.certificate(NULLIFY, 2)]
)
MESSAGES: Sequence[Message] = (
    PROPOSAL,
    VotesMessage((SUBJECT.vote(0, FINALIZE, 1, HEADER),)),
    CertificatesMessage((SUBJECT.certificate(NULLIFY, 1),)),
    CertificateRequest(0, (Want(1, NULLIFY),)),
    StatusMessage(0, 3, 1, 2),
)
RECORDS: Sequence[Record] = (
    SUBJECT.floor(4),
    OwnVote(SUBJECT.vote(0, NULLIFY, 4)),
    OwnProposal(SUBJECT.proposal(4, HEADER, 1).signed),
    HeldCertificate(SUBJECT.certificate(NULLIFY, 4)),
    HeldProposal(SUBJECT.proposal(4, HEADER, 1)),
)
LARGEST = Certificate(
    Vote(CHAIN, 2**53 - 1, 2**53 - 1, VoteKind.NOTARIZE, CHAIN),
    tuple((index, bytes(64)) for index in range(VALIDATORS_MAX)),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message: Message) -> None:
    """Each kind of message decodes to what was encoded."""
    assert decode_message(encode_message(message)) == message


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_survives_the_disk_and_knows_its_place(record: Record) -> None:
    """Each kind of record decodes to what was written, and is keyed by its epoch and view."""
    assert decode_record(encode_record(record)) == record
    assert record_position(record) == (0, 4)


@pytest.mark.parametrize(
    "message",
    [
        VotesMessage(()),
        VotesMessage((SUBJECT.vote(0, NULLIFY, 1),) * (VOTES_PAGE_MAX + 1)),
        CertificatesMessage(()),
        CertificatesMessage((SUBJECT.certificate(NULLIFY, 1),) * (CERTIFICATES_PAGE_MAX + 1)),
        CertificateRequest(0, ()),
        CertificateRequest(0, (Want(1, NULLIFY),) * (WANTS_PAGE_MAX + 1)),
        CertificateRequest(-1, (Want(1, NULLIFY),)),
        StatusMessage(0, 2**53, 0, 0),
        ProposalMessage(PROPOSAL.signed, HEADER, None, PROPOSAL.gap * (GAP_CERTIFICATES_MAX + 1)),
    ],
)
def test_a_message_beyond_its_limits_is_refused(message: Message) -> None:
    """No page is empty or longer than its limit, no counter negative or too large."""
    with pytest.raises(LedgerError) as refusal:
        decode_message(encode(message))
    assert refusal.value.code == "encoding.malformed"


def test_the_largest_messages_fit() -> None:
    """A proposal with a full gap and a full page of the largest certificates stay inside the limit."""
    gap = (LARGEST,) * GAP_CERTIFICATES_MAX
    for message in (
        ProposalMessage(PROPOSAL.signed, HEADER, LARGEST, gap),
        CertificatesMessage((LARGEST,) * CERTIFICATES_PAGE_MAX),
    ):
        assert len(encode_message(message)) <= MESSAGE_BYTES_MAX


def test_an_oversized_message_is_refused_unread() -> None:
    """The size is checked before anything is decoded."""
    with pytest.raises(LedgerError) as refusal:
        decode_message(bytes(MESSAGE_BYTES_MAX + 1))
    assert refusal.value.code == "encoding.too_large"


@given(st.binary(max_size=400))
def test_garbage_is_refused_by_name(data: bytes) -> None:
    """Random bytes are a message or a refusal with a stable code, and never anything else."""
    try:
        message = decode_message(data)
    except LedgerError as refusal:
        assert refusal.code.startswith("encoding.")  # noqa: PT017 # most bytes are refused, a few mean something
    else:
        assert encode_message(message) == data


@given(st.sampled_from(MESSAGES), st.data())
def test_hostile_messages_never_stop_the_machine(message: Message, data: st.DataObject) -> None:
    """A message with any one byte changed is refused, reported or ignored; the machine goes on."""
    encoded = bytearray(encode_message(message))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    subject = Subject()
    try:
        mutated = decode_message(bytes(encoded))
    except LedgerError:
        return
    subject.hear(mutated, 3)
    subject.wait(1_000)
