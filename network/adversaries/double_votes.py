"""Votes that no correct validator casts side by side, each told to everyone.

The equivocator shows one thing to one part and its opposite to another; these hide nothing, so
every honest node holds the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.consensus.messages import Message, ProposalMessage, VotesMessage
from ledger.types import View
from ledger.vote import SignedVote, VoteKind
from network.adversaries.adversary import Adversary
from network.simulator.chain import digest


class DoubleNotarizer(Adversary):
    """Notarizes its leader's block and another one, of which nobody has the body."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """The vote, and one for another block."""
        if not isinstance(message, VotesMessage):
            return (message,)
        doubled = tuple(
            self._other(signed) for signed in message.votes if signed.vote.kind is VoteKind.NOTARIZE
        )
        self.lies += len(doubled)
        return (message, VotesMessage(doubled)) if doubled else (message,)

    def _other(self, signed: SignedVote) -> SignedVote:
        other = digest(b"another block", signed.vote.block_id or b"")
        return self.hands.vote(signed.vote.view, VoteKind.NOTARIZE, other)


class NullifyFinalizer(Adversary):
    """Nullifies what it finalizes and finalizes what it nullifies."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """The votes, and after them those that S2 forbids."""
        if not isinstance(message, VotesMessage):
            return (message,)
        forbidden = tuple(
            vote for vote in (self._forbidden(signed) for signed in message.votes) if vote is not None
        )
        self.lies += len(forbidden)
        return (message, VotesMessage(forbidden)) if forbidden else (message,)

    def _forbidden(self, signed: SignedVote) -> SignedVote | None:
        hands, view = self.hands, View(signed.vote.view)
        if signed.vote.kind is VoteKind.FINALIZE:
            return hands.vote(view, VoteKind.NULLIFY, None)
        if signed.vote.kind is VoteKind.NOTARIZE:
            return None
        seen = hands.state().rounds.get(view)
        if seen is None or seen.proposal is None:
            return None
        return hands.vote(view, VoteKind.FINALIZE, seen.proposal.signed.proposal.block_id)


class EagerFinalizer(Adversary):
    """Finalizes each block the moment it is proposed: without a notarization, without a look at it."""

    def heard(self, sender: int, message: Message) -> None:
        """Finalize what was proposed."""
        if isinstance(message, ProposalMessage):
            self._finalize(message)

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """Its own proposal goes out with its finalize vote."""
        if not isinstance(message, ProposalMessage):
            return (message,)
        self.lies += 1
        return (message, VotesMessage((self._vote(message),)))

    def _finalize(self, message: ProposalMessage) -> None:
        self.tell_all(VotesMessage((self._vote(message),)))

    def _vote(self, message: ProposalMessage) -> SignedVote:
        proposal = message.signed.proposal
        return self.hands.vote(proposal.view, VoteKind.FINALIZE, proposal.block_id)
