"""A light chain in memory: blocks of transaction ids, with roots that are plain hashes.

Execution here costs microseconds, so that thousands of seeds run; agreement sees the same headers,
bodies and verdicts that it sees on a real node.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from ledger.block import Block, Header, block_id, certificate_hash
from ledger.consensus.timeouts import ConsensusParameters
from ledger.epoch import FIRST_EPOCH, EpochStart, is_last_block
from ledger.types import ZERO_HASH, BlockId
from network.simulator.disk import Disk
from network.simulator.turns import LONG_EPOCH

TRANSACTIONS_PER_BLOCK_MAX: Final = 16
WALL_START_MS: Final = 1_700_000_000_000


def digest(*parts: bytes) -> bytes:
    """SHA-256 over some byte strings, each with its length."""
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


@cache
def parameters_of(epoch_blocks: int) -> ConsensusParameters:
    """What genesis fixes, but for the length of an epoch."""
    return ConsensusParameters(epoch_blocks=epoch_blocks)


def governing(header: Header) -> tuple[EpochStart, ConsensusParameters]:
    """The epoch of a block's children. A light header says it in plain words where a real one has a hash."""
    words = [int.from_bytes(header.parameters_hash[at : at + 8], "big") for at in range(0, 32, 8)]
    return EpochStart(*words[:3]), parameters_of(words[3])


def _governed(start: EpochStart, parameters: ConsensusParameters, height: int, time_ms: int) -> bytes:
    """What a block says of its children, itself of the epoch that began with `start`."""
    if height > start.base_height and is_last_block(start, height, time_ms, parameters):
        start = EpochStart(start.epoch + 1, height, time_ms)
    words = (start.epoch, start.base_height, start.base_time_ms, parameters.epoch_blocks)
    return b"".join(word.to_bytes(8, "big") for word in words)


def base_block(chain_id: bytes, epoch_blocks: int = LONG_EPOCH) -> Block:
    """Block 0 of a chain whose epochs are so long."""
    start, time_ms = EpochStart(FIRST_EPOCH, 0, WALL_START_MS - 1000), WALL_START_MS - 1000
    governed = _governed(start, parameters_of(epoch_blocks), 0, time_ms)
    header = _header(chain_id, 0, FIRST_EPOCH, governed, ZERO_HASH, time_ms, (), b"", ZERO_HASH, ZERO_HASH)
    return Block(header, b"", ())


def block_on(parent: Header, time_ms: int, certificate: bytes, transactions: tuple[bytes, ...]) -> Block:
    """The one block that these transactions make on that parent at that time."""
    parent_id = block_id(parent)
    start, parameters = governing(parent)
    header = _header(
        parent.chain_id,
        parent.height + 1,
        start.epoch,
        _governed(start, parameters, parent.height + 1, time_ms),
        parent_id,
        time_ms,
        transactions,
        certificate,
        parent.state_root,
        digest(parent.history_root, parent_id),
    )
    return Block(header, certificate, transactions)


def _header(
    chain_id: bytes,
    height: int,
    epoch: int,
    governed: bytes,
    parent_id: bytes,
    time_ms: int,
    transactions: tuple[bytes, ...],
    certificate: bytes,
    state_before: bytes,
    history: bytes,
) -> Header:
    return Header(
        version=1,
        chain_id=chain_id,
        height=height,
        epoch=epoch,
        parent_id=parent_id,
        time_ms=time_ms,
        transactions_root=digest(*transactions),
        receipts_root=ZERO_HASH,
        events_root=ZERO_HASH,
        state_root=digest(state_before, *transactions),
        history_root=history,
        validators_hash=ZERO_HASH,
        next_validators_hash=ZERO_HASH,
        parameters_hash=governed,
        last_certificate_hash=certificate_hash(certificate),
        transaction_count=len(transactions),
        event_count=0,
        protocol_version=1,
    )


def is_body_of(block: Block) -> bool:
    """Whether transactions and certificate are those that the header names. No other body may pass for it."""
    header = block.header
    return (
        header.transaction_count == len(block.transactions)
        and header.transactions_root == digest(*block.transactions)
        and header.last_certificate_hash == certificate_hash(block.last_certificate)
    )


class Chain:
    """One node's blocks: the committed ones on its disk, and the bodies at hand in memory."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.at_hand: dict[BlockId, Block] = dict(disk.bodies)
        self.waiting: dict[bytes, None] = {}
        self._used: dict[bytes, None] = {}
        for committed in disk.committed:
            self._used.update(dict.fromkeys(committed.block.transactions))

    def body(self, wanted: BlockId) -> Block | None:
        """A body at hand, or a committed one near the head."""
        found = self.at_hand.get(wanted)
        if found is not None:
            return found
        recent = reversed(self.disk.committed[-64:])
        return next((each.block for each in recent if each.block_id == wanted), None)

    def keep(self, body: Block) -> BlockId:
        """Have a body at hand."""
        identifier = block_id(body.header)
        self.at_hand[identifier] = body
        return identifier

    def admit(self, transactions: tuple[bytes, ...]) -> bool:
        """Queue transactions that no committed block holds. Whether any was new."""
        fresh = [each for each in transactions if each not in self._used and each not in self.waiting]
        self.waiting.update(dict.fromkeys(fresh))
        return bool(fresh)

    def build(self, parent_id: BlockId, wall_ms: int, certificate: bytes) -> Block | None:
        """A block on a parent at hand; None if the parent is not known here."""
        parent = self.body(parent_id)
        if parent is None:
            return None
        used = self._used_above_head(parent_id)
        fresh = tuple(each for each in self.waiting if each not in used)[:TRANSACTIONS_PER_BLOCK_MAX]
        block = block_on(parent.header, max(parent.header.time_ms + 1, wall_ms), certificate, fresh)
        self.keep(block)
        return block

    def is_valid(self, body: Block) -> bool | None:
        """Whether a body executes to its header's roots on its parent; None if the parent is not at hand."""
        parent = self.body(BlockId(body.header.parent_id))
        if parent is None:
            return None
        used = self._used_above_head(BlockId(body.header.parent_id))
        is_fresh = not any(each in used or each in self._used for each in body.transactions)
        expected = block_on(parent.header, body.header.time_ms, body.last_certificate, body.transactions)
        is_small = len(body.transactions) <= TRANSACTIONS_PER_BLOCK_MAX
        return is_fresh and is_small and expected == body and body.header.time_ms > parent.header.time_ms

    def committed(self, body: Block) -> None:
        """A block became final: its transactions are history, and so are the bodies beside it."""
        self._used.update(dict.fromkeys(body.transactions))
        for each in body.transactions:
            self.waiting.pop(each, None)
        height = body.header.height
        for old in [key for key, each in self.at_hand.items() if each.header.height < height]:
            del self.at_hand[old]

    def _used_above_head(self, tip: BlockId) -> dict[bytes, None]:
        head, used = self.disk.head.block.header.height, dict[bytes, None]()
        body = self.at_hand.get(tip)
        while body is not None and body.header.height > head:
            used.update(dict.fromkeys(body.transactions))
            body = self.at_hand.get(BlockId(body.header.parent_id))
        return used
