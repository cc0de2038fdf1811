"""A site whose node keeps the rules of consensus and lies about everything else: pages, bodies, gossip.

The lie stands between the honest node and its wire, and has its key: what it sends is authentic and false.
Lies about votes and proposals are the business of `network.adversaries`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from random import Random
from typing import Final, Protocol

import msgspec

from ledger.block import Block, block_id, decode_block
from ledger.codec import decode, encode
from ledger.errors import LedgerError
from ledger.members import Node
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, PublicKey
from ledger.vote import Certificate
from node.p2p.frames import Assembler, Lane, split
from node.p2p.messages import (
    Blocks,
    Body,
    Message,
    NotFound,
    Transactions,
    decode_message,
    encode_message,
)
from node.p2p.transport import Channel, Transport

FALSE_PAGES: Final = "false-pages"
LANE_MASK: Final = 0x7F
JUNK_BYTES_MAX: Final = 300
JUNK_ONE_IN: Final = 12  # messages


class Lie(Protocol):
    """One way of lying."""

    told: int

    def outgoing(self, message: Message) -> Iterable[Message]:
        """What leaves in the place of a message."""


class FalsePages:
    """Pages of blocks that no quorum made final, or that are not what a quorum made final."""

    def __init__(self, random: Random) -> None:
        self.told = 0
        self._random = random

    def outgoing(self, message: Message) -> Iterable[Message]:
        """Another page in the place of each."""
        if not isinstance(message, Blocks) or not message.blocks:
            return (message,)
        self.told += 1
        blocks = [decode_block(data) for data in message.blocks]
        certificate = decode(message.finalization, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
        match self._random.choice((0, 0, 1, 1, 2, 3, 4)):
            case 0:
                return (_page(message, _later(blocks, certificate)),)
            case 1:
                few = msgspec.structs.replace(certificate, signatures=certificate.signatures[:1])
                return (_page(message, (blocks, few)),)
            case 2:
                return (_page(message, ([_other_body(block) for block in blocks], certificate)),)
            case 3:
                return (_page(message, (blocks[1:] or blocks, certificate)),)
            case _:
                return (NotFound(bytes(32)),)


class FalseBodies:
    """Bodies and transactions that are not those that were asked for, or none."""

    def __init__(self, random: Random) -> None:
        self.told = 0
        self._random = random

    def outgoing(self, message: Message) -> Iterable[Message]:
        """Another answer in the place of a body; a flipped bit in some transactions."""
        match message:
            case Body(block=data):
                self.told += 1
                false = _other_body(decode_block(data))
                return (Body(encode(false)) if self._random.random() < 0.7 else NotFound(bytes(32)),)
            case Transactions(transactions=raws) if self._random.random() < 0.5:
                self.told += 1
                return (Transactions(tuple(_flipped(raw, self._random) for raw in raws)),)
            case _:
                return (message,)


class Junk:
    """Between its messages, others that no correct node sends."""

    def __init__(self, random: Random) -> None:
        self.told = 0
        self._random = random

    def outgoing(self, message: Message) -> Iterable[Message]:
        """The message, and now and then something of no use after it."""
        if self._random.randrange(JUNK_ONE_IN):
            return (message,)
        self.told += 1
        junk = self._random.randbytes(self._random.randint(1, JUNK_BYTES_MAX))
        useless: Message = self._random.choice((Transactions((junk,)), Body(junk), NotFound(bytes(32))))
        return (message, useless)


LIES: Final[dict[str, Callable[[Random], Lie]]] = {
    FALSE_PAGES: FalsePages,
    "false-bodies": FalseBodies,
    "junk": Junk,
}


def _page(of: Blocks, what: tuple[list[Block], Certificate]) -> Blocks:
    blocks, certificate = what
    return Blocks(of.from_height, tuple(encode(block) for block in blocks), of.link, encode(certificate))


def _later(blocks: list[Block], certificate: Certificate) -> tuple[list[Block], Certificate]:
    """The blocks up to the last empty one, a millisecond later: valid but for the certificate."""
    while len(blocks) > 1 and blocks[-1].transactions:
        blocks = blocks[:-1]
    header = msgspec.structs.replace(blocks[-1].header, time_ms=blocks[-1].header.time_ms + 1)
    last = msgspec.structs.replace(blocks[-1], header=header)
    vote = msgspec.structs.replace(certificate.vote, block_id=block_id(header))
    return [*blocks[:-1], last], msgspec.structs.replace(certificate, vote=vote)


def _other_body(block: Block) -> Block:
    """The same header over another body."""
    return msgspec.structs.replace(block, transactions=(*block.transactions[1:], b"another"))


def _flipped(raw: bytes, random: Random) -> bytes:
    changed = bytearray(raw)
    changed[random.randrange(len(changed))] ^= 1
    return bytes(changed)


class LyingTransport:
    """A transport whose channels lie."""

    def __init__(self, inner: Transport, lie: Lie) -> None:
        self.address = inner.address
        self._inner = inner
        self._lie = lie

    async def listen(self) -> None:
        """Take the address."""
        await self._inner.listen()

    def serve(self, tasks: asyncio.TaskGroup, on_channel: Callable[[Channel], None]) -> None:
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
    """What is sent here passes the lie; what is received does not."""

    def __init__(self, inner: Channel, lie: Lie) -> None:
        self.certificate = inner.certificate
        self.remote = inner.remote
        self._inner = inner
        self._lie = lie
        self._assembler = Assembler()

    async def send(self, frame: bytes) -> None:
        """Send what the lie makes of the message that this frame completes."""
        data = self._assembler.feed(frame)
        if data is None:
            return
        lane = Lane(frame[0] & LANE_MASK)
        try:
            told = [encode_message(each) for each in self._lie.outgoing(decode_message(data))]
        except LedgerError:
            told = [data]  # of the handshake
        for each in told:
            for piece in split(lane, each):
                await self._inner.send(piece)

    async def receive(self) -> bytes:
        """The next frame."""
        return await self._inner.receive()

    async def close(self, code: str) -> None:
        """Close."""
        await self._inner.close(code)

    def abort(self) -> None:
        """Close at once."""
        self._inner.abort()
