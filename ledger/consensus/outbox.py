"""What one step does to the world, in the one order that is safe.

A step writes down everything that must be durable first: all its records and bodies leave
in one `Persist` ahead of its other effects. So nothing that a step says can outrun its record.
"""

from __future__ import annotations

from ledger.consensus.events import Broadcast, Effect, Peer, Persist, Send
from ledger.consensus.messages import Message
from ledger.consensus.records import Record
from ledger.types import BlockId


class Outbox:
    """Collects the effects of one step."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._bodies: dict[BlockId, None] = {}
        self._effects: list[Effect] = []

    def persist(self, *records: Record) -> None:
        """Make records durable before anything else of this step happens."""
        self._records.extend(records)

    def keep_body(self, block_id: BlockId) -> None:
        """Make a block's body durable in the same sync."""
        self._bodies[block_id] = None

    def emit(self, effect: Effect) -> None:
        """Do this after everything that was emitted before."""
        self._effects.append(effect)

    def send(self, peer: Peer, message: Message) -> None:
        """Say this to one peer."""
        self._effects.append(Send(peer, message))

    def broadcast(self, message: Message) -> None:
        """Say this to all."""
        self._effects.append(Broadcast(message))

    def drain(self) -> list[Effect]:
        """The effects of the step that ends here."""
        effects = self._effects
        if self._records or self._bodies:
            effects = [Persist(tuple(self._records), tuple(self._bodies)), *effects]
        self._records, self._bodies, self._effects = [], {}, []
        return effects
