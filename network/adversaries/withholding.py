"""Withholding: what a validator may keep back without signing anything wrong."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.consensus.messages import Message, ProposalMessage
from network.adversaries.adversary import Adversary, Hands
from network.simulator.mail import BodyRequest, ChainRequest, Mail, Statement


class MuteLeader(Adversary):
    """Proposes, and says nothing more while its view lasts: no vote, no answer, no resend."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._proposed_view = 0
        self._told: dict[int, None] = {}

    def epoch_ended(self) -> None:
        """Views are counted anew."""
        self._proposed_view = 0

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """The first proposal of a view once to each; then nothing."""
        if isinstance(message, ProposalMessage) and message.signed.validator == self.hands.index:
            if message.signed.proposal.view > self._proposed_view:
                self._proposed_view = message.signed.proposal.view
                self._told.clear()
            if receiver not in self._told:
                self._told[receiver] = None
                return (message,)
        if self._proposed_view != self.hands.state().view:
            return (message,)
        self.lies += 1
        return ()


class Selective(Adversary):
    """Delivers to a part of the others only, another part in each view."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """Nothing to those that the view leaves out."""
        view, others = self.hands.state().view, list(self.hands.others)
        first = view % len(others)
        left_out = (others + others)[first : first + (len(others) + 1) // 2]
        if receiver not in left_out:
            return (message,)
        self.lies += 1
        return ()


class Withholder(Adversary):
    """Proposes headers; the body goes to some of the others, by view, and nobody gets it who asks."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self.is_serving = False

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """A proposal without its body for most."""
        if not isinstance(message, ProposalMessage) or message.signed.validator != self.hands.index:
            return (message,)
        if (receiver + message.signed.proposal.view) % 3 == 0:
            return (message,)
        self.lies += 1
        self.hands.post(receiver, Statement(message, None))
        return ()

    def answer(self, sender: int, mail: BodyRequest | ChainRequest) -> Iterable[Mail]:
        """Nothing."""
        self.lies += 1
        return ()


class Censor(Adversary):
    """Keeps a part of the transactions out of its blocks and out of its gossip."""

    def is_welcome(self, transaction: bytes) -> bool:
        """Not if it is one of the censored."""
        if not is_censored(transaction):
            return True
        self.lies += 1
        return False


def is_censored(transaction: bytes) -> bool:
    """Whether a transaction is one that censors keep out: every fourth, by its bytes."""
    return transaction[0] % 4 == 0
