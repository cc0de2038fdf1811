"""Colluder: some validators with one will, each signing with the keys of all of them."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.block import block_id
from ledger.consensus.messages import Message, ProposalMessage, VotesMessage
from ledger.types import BlockId, View
from ledger.vote import SignedVote, VoteKind
from network.adversaries.adversary import Adversary, Hands


class Colluder(Adversary):
    """Half of the others hear from all allies that a block is good, half that it is not; in a view that an
    ally leads, each of them proposes in that ally's name to its own part of the others."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._done_view = 0

    def epoch_ended(self) -> None:
        """Views are counted anew."""
        self._done_view = 0

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """The votes of all allies at once, by who hears them."""
        if not isinstance(message, VotesMessage):
            return (message,)
        is_told_the_truth = (receiver + message.votes[0].vote.view) % 2 == 0
        said = [
            self._said(signed, ally, is_true=is_told_the_truth)
            for signed in message.votes[:8]
            for ally in self.hands.keys
        ]
        self.lies += 1
        return [VotesMessage(tuple(said[at : at + 64])) for at in range(0, len(said), 64)]

    def _said(self, signed: SignedVote, ally: int, *, is_true: bool) -> SignedVote:
        vote = signed.vote
        if is_true:
            return self.hands.vote(vote.view, vote.kind, vote.block_id, ally)
        if vote.kind is not VoteKind.NULLIFY:
            return self.hands.vote(vote.view, VoteKind.NULLIFY, None, ally)
        seen = self.hands.state().rounds.get(self.hands.state().view)
        if seen is None or seen.proposal is None:
            return self.hands.vote(vote.view, vote.kind, None, ally)
        return self.hands.vote(vote.view, VoteKind.FINALIZE, seen.proposal.signed.proposal.block_id, ally)

    def moment(self) -> None:
        """A block of its own in an ally's view, for a part of the others, with the votes of all allies."""
        hands, state = self.hands, self.hands.state()
        view, leader = state.view, self.hands.leader(state.view)
        if view <= self._done_view or leader not in hands.keys:
            return
        self._done_view = view
        parent_view = state.certificates.final_view
        block = hands.block_on(BlockId(state.certificates.final_id))
        if block is None:
            return
        identifier = block_id(block.header)
        signed = hands.proposal(view, parent_view, identifier, leader)
        certificate = state.certificates.of_block(parent_view, state.certificates.final_id)
        gap = tuple(
            held
            for held in (state.certificates.nullification(each) for each in self._gap(parent_view, view))
            if held is not None
        )
        votes = tuple(hands.vote(view, VoteKind.NOTARIZE, identifier, ally) for ally in hands.keys)
        for receiver in hands.others:
            if (receiver + hands.index) % 2 == 0:
                self.tell(receiver, ProposalMessage(signed, block.header, certificate, gap[:16]))
                self.tell(receiver, VotesMessage(votes))

    @staticmethod
    def _gap(parent_view: int, view: int) -> Iterable[View]:
        return (View(each) for each in range(parent_view + 1, view))
