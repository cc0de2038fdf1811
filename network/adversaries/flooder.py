"""Flooder: fills others' memories with well-signed statements about views that are far away."""

from __future__ import annotations

from typing import Final

from ledger.block import block_id
from ledger.consensus.intake import VIEWS_AHEAD_MAX
from ledger.consensus.messages import (
    CertificateRequest,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
    Want,
)
from ledger.types import BlockId, View
from ledger.vote import VoteKind
from network.adversaries.adversary import Adversary, Hands

VIEWS_A_MOMENT: Final = 4  # in the window, and as many beyond it
FAR: Final = (1 << 20, (1 << 53) - 1)
FORESEEN_MAX: Final = 5 * (VIEWS_AHEAD_MAX + 1)
"""What each honest node may have to remember of one flooder: three votes, a proposal and its block in
each view that it looks ahead to."""


class Flooder(Adversary):
    """Votes, proposes, asks and boasts ahead of time; beyond the window in which votes are kept, too."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._ahead = 0
        self._beyond = VIEWS_AHEAD_MAX

    def moment(self) -> None:
        """Votes of each kind in the next views of the window, a proposal, and things from very far away."""
        hands, view = self.hands, self.hands.state().view
        for _ in range(VIEWS_A_MOMENT):
            self._ahead = self._ahead % VIEWS_AHEAD_MAX + 1
            self._beyond += 1
            self._fill(View(view + self._ahead))
            self._fill(View(view + self._beyond))
        far = hands.random.choice(FAR)
        wants = tuple(Want(view + at, VoteKind.NOTARIZE) for at in range(1, 65))
        self.tell_all(VotesMessage((hands.vote(far, VoteKind.NULLIFY, None),)))
        self.tell_all(StatusMessage(self.hands.epoch, far, far - 1, far - 1))
        self.tell_all(CertificateRequest(self.hands.epoch, wants))

    def _fill(self, view: View) -> None:
        hands = self.hands
        block = hands.block_on(BlockId(hands.state().certificates.final_id))
        identifier = hands.random.randbytes(32) if block is None else block_id(block.header)
        votes = (
            hands.vote(view, VoteKind.NOTARIZE, identifier),
            hands.vote(view, VoteKind.NULLIFY, None),
            hands.vote(view, VoteKind.FINALIZE, identifier),
        )
        self.tell_all(VotesMessage(votes))
        if block is not None and hands.leader(view) == hands.index:
            self.tell_all(ProposalMessage(hands.proposal(view, 0, identifier), block.header, None, ()))
