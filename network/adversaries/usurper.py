"""Usurper: proposes when it is not its turn, under its own name and under the leader's."""

from __future__ import annotations

from ledger.block import block_id
from ledger.consensus.messages import ProposalMessage, VotesMessage
from ledger.vote import SignedProposal, VoteKind
from network.adversaries.adversary import Adversary, Hands


class Usurper(Adversary):
    """Once a view that another one leads, it sends a block of its own, and its vote for it."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._done_view = 0

    def epoch_ended(self) -> None:
        """Views are counted anew."""
        self._done_view = 0

    def moment(self) -> None:
        """Propose in the view in force."""
        hands, state = self.hands, self.hands.state()
        view, parent = state.view, state.certificates.final_id
        if view <= self._done_view or hands.leader(view) == hands.index:
            return
        self._done_view = view
        block = hands.block_on(parent)
        if block is None:
            return
        own = hands.proposal(view, state.certificates.final_view, block_id(block.header))
        claimed = SignedProposal(own.proposal, hands.leader(view), own.signature)
        for signed in (own, claimed) if hands.random.random() < 0.5 else (own,):
            certificate = state.certificates.of_block(state.certificates.final_view, parent)
            self.tell_all(ProposalMessage(signed, block.header, certificate, self._gap()))
        self.tell_all(VotesMessage((hands.vote(view, VoteKind.NOTARIZE, block_id(block.header)),)))

    def _gap(self) -> tuple[()]:
        """None attached: who believes it asks for the rest."""
        return ()
