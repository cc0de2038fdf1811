"""Replayer: says again what was true elsewhere: in old views, in another epoch, on another chain."""

from __future__ import annotations

from collections import deque
from typing import Final

from ledger.consensus.messages import CertificatesMessage, Message, ProposalMessage, VotesMessage
from network.adversaries.adversary import Adversary, Hands

HEARD_MAX: Final = 512
REPLAYS_A_MOMENT: Final = 3


class Replayer(Adversary):
    """Keeps what it hears and sends it again, late and to others; and certificates that the same keys
    signed on another chain and in another epoch."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._heard: deque[Message] = deque(maxlen=HEARD_MAX)

    def heard(self, sender: int, message: Message) -> None:
        """Keep what carries signatures."""
        if isinstance(message, ProposalMessage | VotesMessage | CertificatesMessage):
            self._heard.append(message)

    def moment(self) -> None:
        """Say some old things, and one from elsewhere."""
        random, others = self.hands.random, list(self.hands.others)
        for _ in range(REPLAYS_A_MOMENT):
            if self._heard:
                self.tell(random.choice(others), random.choice(self._heard))
        view = self.hands.state().view
        elsewhere = [each for each in self.hands.archive if each.view >= view][:8] or list(self.hands.archive)
        self.tell_all(CertificatesMessage((random.choice(elsewhere),)))
