"""A simulated node whose mouth belongs to an adversary. Its puppet machine never notices."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from ledger.consensus.messages import Message, ProposalMessage, decode_message, encode_message
from ledger.consensus.state import State
from ledger.crypto import KeyPair
from ledger.errors import LedgerError
from ledger.types import ChainId
from ledger.vote import Certificate
from network.adversaries.adversary import Adversary, Hands
from network.simulator.disk import Disk
from network.simulator.mail import BodyRequest, ChainRequest, Mail, Statement
from network.simulator.node import SimulatedNode, Surroundings
from network.simulator.oracle import Deaf

MOMENT_MS: Final = 250  # how often a lie may speak unasked


class LyingNode(SimulatedNode):
    """The adversary's node: puppet, lie and wire."""

    def __init__(
        self,
        surroundings: Surroundings,
        index: int,
        disk: Disk,
        random: Random,
        lie: type[Adversary],
        keys: Sequence[KeyPair],
        chain_id: ChainId,
        archive: tuple[Certificate, ...],
    ) -> None:
        super().__init__(surroundings, index, disk, random, Deaf())
        self.adversary = lie(
            Hands(
                keys_held=tuple(keys),
                chain_id=chain_id,
                random=random,
                state=self._state,
                chain=lambda: self.chain,
                wall_ms=lambda: self.wall_ms,
                say=self._tell,
                post=self._post,
                archive=archive,
            )
        )

    def _state(self) -> State:
        assert self.machine is not None
        return self.machine.state

    def start(self) -> None:
        """Start the puppet, and the lie."""
        super().start()
        self._later(MOMENT_MS, self._moment)

    def _moment(self) -> None:
        self.adversary.moment()
        self._later(MOMENT_MS, self._moment)

    def epoch_ended(self) -> None:
        """What the lie noted by view is of another epoch now."""
        super().epoch_ended()
        self.adversary.epoch_ended()

    def say(self, receiver: int, message: Message) -> None:
        """The puppet speaks; the lie decides what is heard."""
        peer = self.peer(receiver)
        for told in self.adversary.outgoing(peer, message):
            self._tell(peer, told)

    def deliver(self, sender: int, mail: Mail) -> None:
        """The lie listens first."""
        if not self.is_up:
            return
        if isinstance(mail, Statement):
            self.adversary.heard(self.peer(sender), mail.message)
        elif isinstance(mail, BodyRequest | ChainRequest):
            answers = self.adversary.answer(self.peer(sender), mail)
            if answers is not None:
                for answer in answers:
                    self.post(sender, answer)
                return
        super().deliver(sender, mail)

    def admit(self, transactions: tuple[bytes, ...]) -> None:
        """Queue what the lie lets in."""
        super().admit(tuple(each for each in transactions if self.adversary.is_welcome(each)))

    def _tell(self, receiver: int, message: Message) -> None:
        """Onto the wire, if a receiver's decoder would let it in: malformed bytes end at the transport."""
        try:
            heard = decode_message(encode_message(message))
        except LedgerError:
            return
        body = None
        if isinstance(heard, ProposalMessage):
            body = self.statement(heard).body
        self._post(receiver, Statement(heard, body))

    def _post(self, receiver: int, mail: Mail) -> None:
        self.post(self.node(receiver), mail)
