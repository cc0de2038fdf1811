"""A site whose node keeps the rules of consensus and lies about everything else: pages, bodies, gossip.

What it sends is authentic and false (`network.adversaries.lying_wire`). Lies about votes and proposals are
the business of `network.adversaries`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Final

import msgspec

from ledger.block import Block, block_id, decode_block
from ledger.codec import decode, encode
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX
from ledger.vote import Certificate
from network.adversaries.lying_wire import Lie
from node.p2p.messages import Blocks, Body, Message, NotFound, Transactions

FALSE_PAGES: Final = "false-pages"
FALSE_BODIES: Final = "false-bodies"
JUNK: Final = "junk"
JUNK_BYTES_MAX: Final = 300
JUNK_ONE_IN: Final = 12  # messages


class FalsePages(Lie):
    """Pages of blocks that no quorum made final, or that are not what a quorum made final."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    def outgoing(self, message: Message, receiver: bytes) -> Iterable[Message]:
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


class FalseBodies(Lie):
    """Bodies and transactions that are not those that were asked for, or none."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    def outgoing(self, message: Message, receiver: bytes) -> Iterable[Message]:
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


class Junk(Lie):
    """Between its messages, others that no correct node sends."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    def outgoing(self, message: Message, receiver: bytes) -> Iterable[Message]:
        """The message, and now and then something of no use after it."""
        if self._random.randrange(JUNK_ONE_IN):
            return (message,)
        self.told += 1
        junk = self._random.randbytes(self._random.randint(1, JUNK_BYTES_MAX))
        useless: Message = self._random.choice((Transactions((junk,)), Body(junk), NotFound(bytes(32))))
        return (message, useless)


LIES: Final[dict[str, Callable[[Random], Lie]]] = {
    FALSE_PAGES: FalsePages,
    FALSE_BODIES: FalseBodies,
    JUNK: Junk,
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
