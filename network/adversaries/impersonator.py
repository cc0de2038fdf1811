"""Impersonator: speaks in the names of others, with the only key it has."""

from __future__ import annotations

from ledger.block import block_id
from ledger.consensus.messages import ProposalMessage, VotesMessage
from ledger.types import BlockId
from ledger.vote import SignedProposal, SignedVote, VoteKind
from network.adversaries.adversary import Adversary


class Impersonator(Adversary):
    """In each view a proposal in its leader's name, and votes in the names of all others and of nobody."""

    def moment(self) -> None:
        """Be somebody else."""
        hands, state = self.hands, self.hands.state()
        view, parent = state.view, state.certificates.final_id
        block = hands.block_on(BlockId(parent))
        if block is None:
            return
        identifier = block_id(block.header)
        own = hands.proposal(view, state.certificates.final_view, identifier)
        if hands.leader(view) != hands.index:
            claimed = SignedProposal(own.proposal, hands.leader(view), own.signature)
            certificate = state.certificates.of_block(state.certificates.final_view, parent)
            self.tell_all(ProposalMessage(claimed, block.header, certificate, ()))
        kind = hands.random.choice(list(VoteKind))
        vote = hands.vote(view, kind, None if kind is VoteKind.NULLIFY else identifier)
        for victim in (*hands.others, len(hands.validators)):
            self.tell_all(VotesMessage((SignedVote(vote.vote, victim, vote.signature),)))
