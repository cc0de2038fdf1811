"""Silent: says nothing, or nothing of one kind, or nothing to some."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.consensus.messages import Message, ProposalMessage, VotesMessage
from network.adversaries.adversary import Adversary, Hands

HABITS: Final = 4


class Silent(Adversary):
    """Swallows by one of four habits: everything, proposals, votes, or what goes to some peers.

    Each epoch has the next habit: who has little stake leads no view of a short one, and so has no
    proposal to swallow.
    """

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._habit = hands.random.randrange(HABITS)
        self._shunned: frozenset[int] = frozenset()

    def epoch_ended(self) -> None:
        """Peers are numbered anew: others are shunned now."""
        self._habit = (self._habit + 1) % HABITS
        self._shunned = frozenset()

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """Nothing, where the habit says so."""
        if not self._shunned:
            others = list(self.hands.others)
            self._shunned = frozenset(self.hands.random.sample(others, (len(others) + 1) // 2))
        is_swallowed = (
            self._habit == 0
            or (self._habit == 1 and isinstance(message, ProposalMessage))
            or (self._habit == 2 and isinstance(message, VotesMessage))
            or (self._habit == 3 and receiver in self._shunned)
        )
        if not is_swallowed:
            return (message,)
        self.lies += 1
        return ()
