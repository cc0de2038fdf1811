"""Equivocator: two proposals and two votes, each shown to a part of the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.block import block_id
from ledger.consensus.messages import Message, ProposalMessage, VotesMessage
from ledger.types import BlockId, View
from ledger.vote import SignedVote, VoteKind
from network.adversaries.adversary import Adversary, Hands

TWINS_MAX: Final = 64


class Equivocator(Adversary):
    """Leading, it makes a twin of its block, beside it or on an older parent; voting, it says one thing to
    one part and its opposite to the other, and both to some."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._twins: dict[int, ProposalMessage | None] = {}

    def epoch_ended(self) -> None:
        """Views are counted anew."""
        self._twins.clear()

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """The truth, its opposite, or both, by who asks and by view."""
        match message:
            case ProposalMessage(signed=signed) if signed.validator == self.hands.index:
                twin = self._twin_of(message)
                if twin is None:
                    return (message,)
                return self._shown(receiver, signed.proposal.view, message, twin)
            case VotesMessage(votes=votes):
                opposite = tuple(self._opposite(vote) for vote in votes)
                return self._shown(receiver, votes[0].vote.view, message, VotesMessage(opposite))
            case _:
                return (message,)

    def _shown(self, receiver: int, view: int, truth: Message, lie: Message) -> Iterable[Message]:
        side = (receiver + view) % 4
        if side < 2:
            return (truth,)
        self.lies += 1
        return (lie,) if side == 2 else (truth, lie)

    def _opposite(self, signed: SignedVote) -> SignedVote:
        """The vote that excludes this one: for the twin where there is one, else nullify against the rest."""
        hands, vote = self.hands, signed.vote
        twin = self._twins.get(vote.view)
        if twin is not None and vote.kind is not VoteKind.NULLIFY:
            return hands.vote(vote.view, vote.kind, twin.signed.proposal.block_id)
        if vote.kind is not VoteKind.NULLIFY:
            return hands.vote(vote.view, VoteKind.NULLIFY, None)
        held = hands.state().certificates.notarizations(View(vote.view))
        block = held[0].block_id if held else None
        return signed if block is None else hands.vote(vote.view, VoteKind.FINALIZE, block)

    def _twin_of(self, message: ProposalMessage) -> ProposalMessage | None:
        """Another block for the same view: a sibling, or now and then one on the parent's parent."""
        view = message.signed.proposal.view
        if view not in self._twins:
            while len(self._twins) >= TWINS_MAX:
                del self._twins[next(iter(self._twins))]
            self._twins[view] = self._make_twin(message, is_fork=self.hands.random.random() < 0.5)
        return self._twins[view]

    def _make_twin(self, message: ProposalMessage, *, is_fork: bool) -> ProposalMessage | None:
        hands, proposal = self.hands, message.signed.proposal
        parent, parent_view = BlockId(message.header.parent_id), View(proposal.parent_view)
        if is_fork:
            below = hands.state().rounds.get(parent_view)
            if below is not None and below.proposal is not None:
                parent = BlockId(below.proposal.header.parent_id)
                parent_view = View(below.proposal.signed.proposal.parent_view)
        twin = hands.block_on(parent)
        if twin is None:
            return None
        signed = hands.proposal(proposal.view, parent_view, block_id(twin.header))
        certificate = hands.state().certificates.of_block(parent_view, parent)
        return ProposalMessage(signed, twin.header, certificate, message.gap)
