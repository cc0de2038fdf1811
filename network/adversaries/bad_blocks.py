"""Blocks that are wrong in one place, signed and sent like good ones by the leader of their view."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Final

import msgspec

from ledger.block import Block, Header, block_id
from ledger.consensus.messages import Message, ProposalMessage, VotesMessage
from ledger.types import BlockId
from ledger.vote import SignedVote
from network.adversaries.adversary import Adversary, Hands
from network.simulator.chain import TRANSACTIONS_PER_BLOCK_MAX, block_on, digest
from network.simulator.mail import Statement

KEPT_MAX: Final = 64
DAY_MS: Final = 86_400_000


class BadBlock(Adversary, ABC):
    """Spoils each of its own blocks, and votes for what it made of it. A kind of spoiling is a subclass."""

    def __init__(self, hands: Hands) -> None:
        super().__init__(hands)
        self._spoilt: dict[int, tuple[ProposalMessage, Block] | None] = {}

    def epoch_ended(self) -> None:
        """Views are counted anew."""
        self._spoilt.clear()

    @abstractmethod
    def spoil(self, good: Block) -> Block | None:
        """The block, wrong in one place; None: not this time."""

    def outgoing(self, receiver: int, message: Message) -> Iterable[Message]:
        """The spoilt block and votes for it, in place of the good ones."""
        match message:
            case ProposalMessage(signed=signed) if signed.validator == self.hands.index:
                spoilt = self._spoilt_of(message)
                if spoilt is None:
                    return (message,)
                self.lies += 1
                self.hands.post(receiver, Statement(*spoilt))
                return ()
            case VotesMessage(votes=votes):
                return (VotesMessage(tuple(self._moved(vote) for vote in votes)),)
            case _:
                return (message,)

    def _moved(self, signed: SignedVote) -> SignedVote:
        """The same vote for the spoilt block, where there is one."""
        spoilt, vote = self._spoilt.get(signed.vote.view), signed.vote
        if spoilt is None or vote.block_id is None:
            return signed
        return self.hands.vote(vote.view, vote.kind, spoilt[0].signed.proposal.block_id)

    def _spoilt_of(self, message: ProposalMessage) -> tuple[ProposalMessage, Block] | None:
        proposal = message.signed.proposal
        if proposal.view not in self._spoilt:
            while len(self._spoilt) >= KEPT_MAX:
                del self._spoilt[next(iter(self._spoilt))]
            good = self.hands.chain().body(BlockId(proposal.block_id))
            bad = None if good is None else self.spoil(good)
            self._spoilt[proposal.view] = None if bad is None else self._signed(message, bad)
        return self._spoilt[proposal.view]

    def _signed(self, message: ProposalMessage, bad: Block) -> tuple[ProposalMessage, Block]:
        proposal = message.signed.proposal
        signed = self.hands.proposal(proposal.view, proposal.parent_view, block_id(bad.header))
        return ProposalMessage(signed, bad.header, message.parent_certificate, message.gap), bad

    def parent_of(self, block: Block) -> Header | None:
        """The header below, if the puppet holds it."""
        parent = self.hands.chain().body(BlockId(block.header.parent_id))
        return None if parent is None else parent.header

    @staticmethod
    def with_header(block: Block, **changes: object) -> Block:
        """The same block with fields of its header changed."""
        header = msgspec.structs.replace(block.header, **changes)
        return Block(header, block.last_certificate, block.transactions)


class BadRoot(BadBlock):
    """Claims a state that the transactions do not lead to."""

    def spoil(self, good: Block) -> Block:
        """Another state root."""
        return self.with_header(good, state_root=digest(b"wrong", good.header.state_root))


class BadParent(BadBlock):
    """Names a parent that is not the one its certificate is of: an unknown block, or the grandparent."""

    def spoil(self, good: Block) -> Block:
        """Another parent."""
        below = self.parent_of(good)
        is_unknown = below is None or below.height == 0 or self.hands.random.random() < 0.5
        parent = digest(b"nowhere", good.header.parent_id) if is_unknown or below is None else below.parent_id
        return self.with_header(good, parent_id=parent)


class BadHeight(BadBlock):
    """Skips a height, repeats one, or claims a huge one."""

    def spoil(self, good: Block) -> Block:
        """Another height."""
        height = good.header.height
        return self.with_header(good, height=self.hands.random.choice((height - 1, height + 1, 1 << 40)))


class BadTime(BadBlock):
    """A block of its parent's time, of an earlier one, or of tomorrow."""

    def spoil(self, good: Block) -> Block | None:
        """Another time, with roots that fit it."""
        below = self.parent_of(good)
        if below is None:
            return None
        time_ms = self.hands.random.choice((below.time_ms, below.time_ms - 1_000, below.time_ms + DAY_MS))
        return block_on(below, time_ms, good.last_certificate, good.transactions)


class BadSize(BadBlock):
    """More transactions than a block may hold, well executed."""

    def spoil(self, good: Block) -> Block | None:
        """Another number of transactions."""
        below = self.parent_of(good)
        if below is None:
            return None
        count = TRANSACTIONS_PER_BLOCK_MAX + 1
        own = tuple(self.hands.random.randbytes(16) for _ in range(count))
        return block_on(below, good.header.time_ms, good.last_certificate, own)


class BadRepeat(BadBlock):
    """A transaction that the chain holds already, once more."""

    def spoil(self, good: Block) -> Block | None:
        """Another beginning."""
        below, old = self.parent_of(good), self._old()
        if below is None or old is None:
            return None
        again = (old, *good.transactions[: TRANSACTIONS_PER_BLOCK_MAX - 1])
        return block_on(below, good.header.time_ms, good.last_certificate, again)

    def _old(self) -> bytes | None:
        committed = self.hands.chain().disk.committed
        used = [each for entry in committed[-8:] for each in entry.block.transactions]
        return self.hands.random.choice(used) if used else None


class WrongBody(BadBlock):
    """The good header, and beside it a body that is not its own."""

    def spoil(self, good: Block) -> Block:
        """Another body."""
        other = (b"stranger" + self.hands.random.randbytes(8),)
        return Block(good.header, good.last_certificate, other)
