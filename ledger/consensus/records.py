"""What must be durable: one append-only log of small records, replayed at the start.

A record is of one (epoch, view). `DropRecords` names the view below which the driver may
delete records. The signer's records are its own memory (S1-S7), the others the machine's.

Source: docs/spec/consensus.md, "Records".
"""

from __future__ import annotations

from typing import Final, assert_never, cast

from ledger.codec import Canonical, decode, encode
from ledger.consensus.messages import MESSAGE_BYTES_MAX, ProposalMessage
from ledger.types import Bytes16, Bytes32, Counter, Epoch, View
from ledger.vote import Certificate, Proposal, SignedProposal, SignedVote, Vote

RECORD_BYTES_MAX: Final = MESSAGE_BYTES_MAX + 64


class SignerFloor(Canonical, tag=1):
    """Signer: nothing at or below this view is signed, ever again.

    The first one is written by `init` or `join` together with the key, at view 0. It binds the
    record to chain, key and host: `generation` is 16 random bytes that also lie outside of the
    home's backups, so that a copied home is noticed.
    """

    chain_id: Bytes32
    public_key: Bytes32
    generation: Bytes16
    epoch: Counter
    view: Counter


class OwnVote(Canonical, tag=2):
    """Signer: a vote that may have left this node. Resending means these bytes."""

    signed: SignedVote


class OwnProposal(Canonical, tag=3):
    """Signer: a proposal that may have left this node."""

    signed: SignedProposal


class HeldCertificate(Canonical, tag=4):
    """Machine: a certificate on which a vote or a move rests."""

    certificate: Certificate


class HeldProposal(Canonical, tag=5):
    """Machine: a proposal that this node made or voted for; its block's body is durable in the same sync."""

    message: ProposalMessage


Record = SignerFloor | OwnVote | OwnProposal | HeldCertificate | HeldProposal


def record_position(record: Record) -> tuple[Epoch, View]:
    """The epoch and view of a record, by which the driver keys and drops it."""
    match record:
        case SignerFloor():
            return Epoch(record.epoch), View(record.view)
        case OwnVote():
            place: Vote | Proposal = record.signed.vote
        case OwnProposal():
            place = record.signed.proposal
        case HeldCertificate():
            place = record.certificate.vote
        case HeldProposal():
            place = record.message.signed.proposal
        case _:
            assert_never(record)
    return Epoch(place.epoch), View(place.view)


def encode_record(record: Record) -> bytes:
    """The canonical bytes of a record, at most RECORD_BYTES_MAX."""
    return encode(record)


def decode_record(data: bytes) -> Record:
    """The record in `data`.

    Raises:
        LedgerError: an `encoding.*` code: the log is corrupt or of another release.
    """
    # The decoder takes a union as well as a class; the type system has no word for that.
    return decode(data, cast(type[Record], Record), RECORD_BYTES_MAX)
