"""A wire on which an honest node is made a liar: the lie stands between the node and all of its channels.

Handshake and connection are the node's own, so what the lie sends is authentic, and false. The simulator puts
this over a simulated wire, `network.chaos.liar` over a real one.
"""

from __future__ import annotations

from asyncio import TaskGroup
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from ledger.errors import LedgerError
from ledger.members import Node
from ledger.types import PublicKey
from node.p2p.frames import Assembler, Lane, split
from node.p2p.messages import Message, decode_message, encode_message
from node.p2p.transport import Channel, Transport

LANE_MASK: Final = 0x7F


class Lie:
    """One way of lying; this one tells the truth. `told` counts the lies."""

    def __init__(self) -> None:
        self.told = 0

    def outgoing(self, message: Message, receiver: bytes) -> Iterable[Message]:
        """What leaves in the place of a message to a peer, known by its certificate."""
        return (message,)

    def is_heard(self, message: Message) -> bool:
        """Whether a message that came gets to the node."""
        return True


class LyingTransport:
    """A transport whose channels lie."""

    def __init__(self, inner: Transport, lie: Lie) -> None:
        self.address = inner.address
        self._inner = inner
        self._lie = lie

    async def listen(self) -> None:
        """Take the address."""
        await self._inner.listen()

    def serve(self, tasks: TaskGroup, on_channel: Callable[[Channel], None]) -> None:
        """Take channels."""
        self._inner.serve(tasks, lambda channel: on_channel(_LyingChannel(channel, self._lie)))

    async def stop(self) -> None:
        """Leave the address."""
        await self._inner.stop()

    async def dial(self, address: str, peer: PublicKey | None) -> Channel:
        """Open a channel."""
        return _LyingChannel(await self._inner.dial(address, peer), self._lie)

    def allow(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Let in these nodes."""
        return self._inner.allow(nodes)


class _LyingChannel:
    """What is sent here passes the lie, and what is received."""

    def __init__(self, inner: Channel, lie: Lie) -> None:
        self.certificate = inner.certificate
        self.remote = inner.remote
        self._inner = inner
        self._lie = lie
        self._leaving = Assembler()
        self._coming = Assembler()
        self._heard: deque[bytes] = deque()  # the frames of one message that came whole

    async def send(self, frame: bytes) -> None:
        """Send what the lie makes of the message that this frame completes."""
        data = self._leaving.feed(frame)
        if data is None:
            return
        try:
            said = self._lie.outgoing(decode_message(data), self.certificate)
            told = [encode_message(each) for each in said]
        except LedgerError:
            told = [data]  # of the handshake
        for each in told:
            for piece in split(_lane(frame), each):
                await self._inner.send(piece)

    async def receive(self) -> bytes:
        """The next frame of a message that the lie lets through."""
        while not self._heard:
            frame = await self._inner.receive()
            try:
                data = self._coming.feed(frame)
            except LedgerError:
                return frame  # the node refuses it
            if data is not None and self._is_heard(data):
                self._heard.extend(split(_lane(frame), data))
        return self._heard.popleft()

    def _is_heard(self, data: bytes) -> bool:
        try:
            return self._lie.is_heard(decode_message(data))
        except LedgerError:
            return True  # of the handshake

    async def close(self, code: str) -> None:
        """Close."""
        await self._inner.close(code)

    def abort(self) -> None:
        """Close at once."""
        self._inner.abort()


def _lane(frame: bytes) -> Lane:
    return Lane(frame[0] & LANE_MASK)
