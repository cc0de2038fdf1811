"""The light chain: one block for one content, and refusals of everything else."""

from __future__ import annotations

import msgspec

from ledger.block import block_id
from ledger.epoch import EpochStart
from ledger.types import BlockId
from network.simulator.chain import (
    TRANSACTIONS_PER_BLOCK_MAX,
    WALL_START_MS,
    Chain,
    base_block,
    block_on,
    governing,
)
from network.simulator.disk import Committed, Disk, base_of

BASE = base_block(b"c" * 32)
BASE_ID = block_id(BASE.header)
ONE, TWO = b"1" * 16, b"2" * 16


def new_chain() -> Chain:
    return Chain(Disk([base_of(BASE)]))


def test_two_chains_build_and_check_alike() -> None:
    """What one node builds, another finds valid; its own child too."""
    here, there = new_chain(), new_chain()
    here.admit((ONE,))
    block = here.build(BASE_ID, WALL_START_MS, b"")
    assert block is not None
    assert block.transactions == (ONE,)
    assert there.is_valid(block) is True
    there.admit((ONE, TWO))
    child = there.build(there.keep(block), WALL_START_MS, b"")
    assert child is not None
    assert child.transactions == (TWO,), "what the parent holds is not built again"
    assert child.header.time_ms > block.header.time_ms


def test_a_body_of_an_unknown_parent_is_neither_valid_nor_invalid() -> None:
    """Missing data is pending."""
    block = block_on(BASE.header, WALL_START_MS, b"", (ONE,))
    orphan = block_on(block.header, WALL_START_MS + 1, b"", (TWO,))
    assert new_chain().is_valid(orphan) is None


def test_every_lie_in_a_body_is_found() -> None:
    """Another root, height, certificate, time or transaction than the content gives is invalid."""
    good = block_on(BASE.header, WALL_START_MS, b"", (ONE,))
    header = good.header
    lies = [
        msgspec.structs.replace(good, header=msgspec.structs.replace(header, state_root=b"x" * 32)),
        msgspec.structs.replace(good, header=msgspec.structs.replace(header, height=2)),
        msgspec.structs.replace(good, last_certificate=b"x"),
        msgspec.structs.replace(good, transactions=(TWO,)),
        block_on(BASE.header, BASE.header.time_ms, b"", (ONE,)),
    ]
    chain = new_chain()
    assert chain.is_valid(good) is True
    assert [chain.is_valid(lie) for lie in lies] == [False] * len(lies)


def test_a_transaction_is_history_once() -> None:
    """What is committed is neither queued nor valid again."""
    chain = new_chain()
    block = block_on(BASE.header, WALL_START_MS, b"", (ONE,))
    identifier = chain.keep(block)
    chain.admit((ONE,))
    chain.disk.committed.append(Committed(identifier, block, None))
    chain.committed(block)
    assert not chain.waiting
    assert not chain.admit((ONE,))
    again = block_on(block.header, WALL_START_MS + 5, b"", (ONE,))
    assert chain.is_valid(again) is False
    assert Chain(chain.disk).admit((ONE,)) is False, "a restart knows it too"


def test_a_block_is_bounded() -> None:
    """However much waits, one block takes only so much."""
    chain = new_chain()
    chain.admit(tuple(index.to_bytes(16, "big") for index in range(100)))
    block = chain.build(BlockId(BASE_ID), WALL_START_MS, b"")
    assert block is not None
    assert len(block.transactions) == TRANSACTIONS_PER_BLOCK_MAX


def test_epochs_turn_by_height_and_by_time() -> None:
    """A header says of which epoch it is, and of which one its children are."""
    parent = base_block(b"c" * 32, epoch_blocks=2).header
    seen = []
    for height in range(1, 6):
        late_ms = 600_000 if height == 5 else 0
        parent = block_on(parent, parent.time_ms + 1 + late_ms, b"", ()).header
        seen.append((parent.epoch, governing(parent)[0].epoch))
    assert seen == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3)]
    assert governing(parent)[0] == EpochStart(3, 5, parent.time_ms)


def test_a_block_that_stays_in_an_ended_epoch_is_invalid() -> None:
    """Any child of a last block that is not of the next epoch."""
    chain = Chain(Disk([base_of(base_block(b"c" * 32, epoch_blocks=1))]))
    last = block_on(chain.disk.head.block.header, WALL_START_MS, b"", (ONE,))
    chain.keep(last)
    child = block_on(last.header, WALL_START_MS + 1, b"", (TWO,))
    assert chain.is_valid(child) is True
    overstayed = msgspec.structs.replace(child, header=msgspec.structs.replace(child.header, epoch=0))
    assert chain.is_valid(overstayed) is False
