"""Forker: leads a view with a block on its parent's parent, before anyone can know what is final."""

from __future__ import annotations

from ledger.block import block_id
from ledger.consensus.messages import Message, ProposalMessage, VotesMessage
from ledger.types import BlockId, View
from ledger.vote import VoteKind
from network.adversaries.adversary import Adversary, Hands


class Forker(Adversary):
    """The moment its view begins it passes over the block that was just notarized, whose finalization is
    on its way. No nullification of that block's view exists, so nobody may follow."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._done_view = 0

    def epoch_ended(self) -> None:
        """Views are counted anew."""
        self._done_view = 0

    def moment(self) -> None:
        """Fork, if its view has begun."""
        self._fork()

    def heard(self, sender: int, message: Message) -> None:
        """Fork, if this message began its view."""
        self._fork()

    def _below(self) -> tuple[BlockId, View] | None:
        """The parent of the block just notarized, or of the final one if that was faster; with its view. In
        the first view of an epoch that is the parent of the block that the epoch stands on."""
        state = self.hands.state()
        passed_over = state.rounds.get(View(state.view - 1))
        if passed_over is not None and passed_over.proposal is not None:
            header, proposal = passed_over.proposal.header, passed_over.proposal.signed.proposal
            return BlockId(header.parent_id), View(proposal.parent_view)
        final = self.hands.chain().body(state.certificates.final_id)
        if final is None:
            return None
        return BlockId(final.header.parent_id), View(max(0, state.certificates.final_view - 1))

    def _fork(self) -> None:
        hands, state = self.hands, self.hands.state()
        view = state.view
        if view <= self._done_view or hands.leader(view) != hands.index:
            return
        below = self._below()
        if below is None:
            return
        parent, parent_view = below
        block = hands.block_on(parent)
        if block is None:
            return
        self._done_view = view
        signed = hands.proposal(view, parent_view, block_id(block.header))
        certificate = state.certificates.of_block(parent_view, parent)
        self.tell_all(ProposalMessage(signed, block.header, certificate, ()))
        self.tell_all(VotesMessage((hands.vote(view, VoteKind.NOTARIZE, block_id(block.header)),)))
