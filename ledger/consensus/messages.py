"""What nodes say to each other about agreement: five messages, each bounded.

Bodies of blocks and transactions travel elsewhere (`node.p2p`); a proposal here carries the
header only. Nothing in a message is believed before the machine has verified it.

Source: docs/spec/consensus.md, "Messages".
"""

from __future__ import annotations

from typing import Annotated, Final, cast

from msgspec import Meta

from ledger.block import Header
from ledger.codec import Canonical, decode, encode
from ledger.types import Counter
from ledger.vote import Certificate, SignedProposal, SignedVote, VoteKind

MESSAGE_BYTES_MAX: Final = 256 << 10  # 17 certificates of 128 signers are 150 KiB
GAP_CERTIFICATES_MAX: Final = 16  # attached to a proposal; the rest by paged request
CERTIFICATES_PAGE_MAX: Final = 16
VOTES_PAGE_MAX: Final = 64
WANTS_PAGE_MAX: Final = 64


class ProposalMessage(Canonical, tag=1):
    """A leader's block, with what proves that it may stand there.

    `parent_certificate` is a notarization or finalization of the parent in `proposal.parent_view`,
    None when that view is 0. `gap` holds the nullifications of the views between, ascending; a
    longer gap's first 16, the receiver asks for the rest.
    """

    signed: SignedProposal
    header: Header
    parent_certificate: Certificate | None
    gap: Annotated[tuple[Certificate, ...], Meta(max_length=GAP_CERTIFICATES_MAX)]


class VotesMessage(Canonical, tag=2):
    """Votes of the sender, one when fresh, a page when sent again."""

    votes: Annotated[tuple[SignedVote, ...], Meta(min_length=1, max_length=VOTES_PAGE_MAX)]


class CertificatesMessage(Canonical, tag=3):
    """Certificates that the sender formed or holds."""

    certificates: Annotated[tuple[Certificate, ...], Meta(min_length=1, max_length=CERTIFICATES_PAGE_MAX)]


class Want(Canonical):
    """One certificate that the sender lacks: of this view and this kind, whatever its block."""

    view: Counter
    kind: VoteKind


class CertificateRequest(Canonical, tag=4):
    """A page of certificates that the sender lacks. What is final already is answered by the finalization."""

    epoch: Counter
    wants: Annotated[tuple[Want, ...], Meta(min_length=1, max_length=WANTS_PAGE_MAX)]


class StatusMessage(Canonical, tag=5):
    """Where the sender stands. It moves nothing by itself: only certificates do.

    `entry_view` is the highest view of which the sender holds a certificate (0: none): it entered, or may
    enter, the next. Just started it stands lower, until the bodies of what it holds are checked again.
    """

    epoch: Counter
    view: Counter
    final_view: Counter
    entry_view: Counter


Message = ProposalMessage | VotesMessage | CertificatesMessage | CertificateRequest | StatusMessage


def encode_message(message: Message) -> bytes:
    """The canonical bytes of a message, at most MESSAGE_BYTES_MAX."""
    return encode(message)


def decode_message(data: bytes) -> Message:
    """The message in `data`; nothing about it is verified but its form.

    Raises:
        LedgerError: an `encoding.*` code.
    """
    # The decoder takes a union as well as a class; the type system has no word for that.
    return decode(data, cast(type[Message], Message), MESSAGE_BYTES_MAX)
