"""What gets lost by what it says: some kinds of statement, or whatever crosses a partition of its view.

A storm takes any mail; a sieve takes the votes of one kind and lets their neighbours through, so that
exactly those certificates come about that a trial is about.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ledger.consensus.messages import (
    CertificateRequest,
    CertificatesMessage,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
)
from ledger.vote import Certificate, VoteKind
from network.simulator.mail import BodyReply, BodyRequest, ChainReply, ChainRequest, Gossip, Mail, Statement


class Content(Enum):
    """What a piece of mail says."""

    PROPOSAL = "proposal"
    NOTARIZE = "notarize"
    NULLIFY = "nullify"
    FINALIZE = "finalize"
    NOTARIZATION = "notarization"
    NULLIFICATION = "nullification"
    FINALIZATION = "finalization"
    BODY = "body"
    CHAIN = "chain"
    GOSSIP = "gossip"


VOTES = {
    VoteKind.NOTARIZE: Content.NOTARIZE,
    VoteKind.NULLIFY: Content.NULLIFY,
    VoteKind.FINALIZE: Content.FINALIZE,
}
CERTIFICATES = {
    VoteKind.NOTARIZE: Content.NOTARIZATION,
    VoteKind.NULLIFY: Content.NULLIFICATION,
    VoteKind.FINALIZE: Content.FINALIZATION,
}


class Sieve(Protocol):
    """A hole in the wire."""

    def passes(self, sender: int, receiver: int, mail: Mail) -> Mail | None:
        """What comes through of a piece of mail between two places."""


@dataclass(frozen=True, slots=True)
class Mute:
    """Statements of these kinds get lost on their way to everyone but the `hearers`."""

    kinds: tuple[Content, ...]
    hearers: tuple[int, ...] = ()

    def passes(self, sender: int, receiver: int, mail: Mail) -> Mail | None:
        """The mail without what is muted."""
        if receiver in self.hearers:
            return mail
        match mail:
            case Statement():
                return self._statement(mail)
            case BodyRequest() | BodyReply():
                return None if Content.BODY in self.kinds else mail
            case ChainRequest() | ChainReply():
                return None if Content.CHAIN in self.kinds else mail
            case Gossip():
                return None if Content.GOSSIP in self.kinds else mail

    def _statement(self, mail: Statement) -> Mail | None:
        match mail.message:
            case VotesMessage(votes=votes):
                kept = tuple(each for each in votes if VOTES[each.vote.kind] not in self.kinds)
                return Statement(VotesMessage(kept)) if kept else None
            case CertificatesMessage(certificates=certificates):
                held = self._certificates(certificates)
                return Statement(CertificatesMessage(held)) if held else None
            case ProposalMessage(signed=signed, header=header, parent_certificate=parent, gap=gap):
                if Content.PROPOSAL in self.kinds:
                    return None
                parents = () if parent is None else self._certificates((parent,))
                lighter = ProposalMessage(
                    signed, header, parents[0] if parents else None, self._certificates(gap)
                )
                return Statement(lighter, mail.body)
            case _:
                return mail

    def _certificates(self, certificates: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
        return tuple(each for each in certificates if CERTIFICATES[each.kind] not in self.kinds)


@dataclass(frozen=True, slots=True)
class ViewCuts:
    """Statements about a view stay within the groups of that view: `groups` gives each place its group, one
    row a view, over and over. What is about no view passes."""

    groups: tuple[tuple[int, ...], ...]

    def passes(self, sender: int, receiver: int, mail: Mail) -> Mail | None:
        """The mail, if the view that it speaks of has both ends in one group."""
        view = view_of(mail)
        if view is None:
            return mail
        row = self.groups[view % len(self.groups)]
        return mail if row[sender] == row[receiver] else None


def view_of(mail: Mail) -> int | None:
    """The highest view that mail speaks of, None if it speaks of none."""
    match mail:
        case ChainRequest(finalization=finalization) | ChainReply(finalization=finalization):
            return finalization.view
        case Statement(message=message):
            match message:
                case ProposalMessage(signed=signed):
                    return signed.proposal.view
                case VotesMessage(votes=votes):
                    return max(each.vote.view for each in votes)
                case CertificatesMessage(certificates=certificates):
                    return max(each.view for each in certificates)
                case CertificateRequest(wants=wants):
                    return max(each.view for each in wants)
                case StatusMessage(view=view):
                    return view
        case _:
            return None
