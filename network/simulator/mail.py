"""What travels between simulated nodes: agreement's messages, and what the transport adds to them.

A proposal's body travels beside its message, as on the real network; bodies, committed blocks
and transactions are asked for and passed on with four small kinds of mail.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.block import Block
from ledger.codec import encode
from ledger.consensus.messages import Message, encode_message
from ledger.types import BlockId
from ledger.vote import Certificate


@dataclass(frozen=True, slots=True)
class Statement:
    """A consensus message; with a proposal comes its body, if the sender has it."""

    message: Message
    body: Block | None = None

    def trace(self) -> bytes:
        """Bytes that differ where the mail differs."""
        return encode_message(self.message)


@dataclass(frozen=True, slots=True)
class BodyRequest:
    """Who has this block?"""

    block_id: BlockId

    def trace(self) -> bytes:
        """Bytes that differ where the mail differs."""
        return b"body?" + self.block_id


@dataclass(frozen=True, slots=True)
class BodyReply:
    """Here it is."""

    block: Block

    def trace(self) -> bytes:
        """Bytes that differ where the mail differs."""
        return b"body!" + self.block.header.state_root


@dataclass(frozen=True, slots=True)
class ChainRequest:
    """The committed blocks above `after_height` up to the block of a finalization, please."""

    after_height: int
    finalization: Certificate

    def trace(self) -> bytes:
        """Bytes that differ where the mail differs."""
        return b"chain?%d" % self.after_height + encode(self.finalization)


@dataclass(frozen=True, slots=True)
class ChainReply:
    """Committed blocks, oldest first; the last one is the one that the finalization names."""

    blocks: tuple[Block, ...]
    finalization: Certificate

    def trace(self) -> bytes:
        """Bytes that differ where the mail differs."""
        return b"chain!%d" % len(self.blocks) + encode(self.finalization)


@dataclass(frozen=True, slots=True)
class Gossip:
    """Transactions that wait."""

    transactions: tuple[bytes, ...]

    def trace(self) -> bytes:
        """Bytes that differ where the mail differs."""
        return b"gossip" + b"".join(self.transactions)


Mail = Statement | BodyRequest | BodyReply | ChainRequest | ChainReply | Gossip
