"""The disk keeps what was synced; a crash takes the rest, or a part of it."""

from __future__ import annotations

from random import Random

import pytest

from ledger.consensus.records import SignerFloor
from ledger.types import BlockId
from network.simulator.chain import base_block, block_on
from network.simulator.disk import Batch, Committed, Disk, base_of

CHAIN = b"c" * 32
BASE = base_block(CHAIN)
CHILD = block_on(BASE.header, BASE.header.time_ms + 1, b"", (b"t" * 16,))
CHILD_ID = BlockId(b"1" * 32)


def floor(view: int) -> SignerFloor:
    return SignerFloor(CHAIN, b"k" * 32, b"g" * 16, 0, view)


BATCH = Batch(tuple(floor(view) for view in range(1, 6)), ((CHILD_ID, CHILD),), ())


def test_what_was_synced_survives_every_crash() -> None:
    """A crash after the sync takes nothing."""
    disk = Disk([base_of(BASE)])
    disk.write(BATCH)
    disk.sync()
    for seed in range(20):
        assert not disk.crash(Random(seed))
    assert (disk.records, disk.bodies) == (list(BATCH.records), {CHILD_ID: CHILD})


def test_a_crash_before_the_sync_keeps_a_prefix() -> None:
    """Of an unsynced log some first records survive, sometimes none, sometimes all, never with a hole."""
    lengths = set()
    for seed in range(60):
        disk = Disk([base_of(BASE)])
        disk.write(BATCH)
        is_torn = disk.crash(Random(seed))
        kept = len(disk.records)
        assert disk.records == list(BATCH.records[:kept])
        assert is_torn == (kept < len(BATCH.records))
        assert disk.bodies or not kept, "bodies are written ahead of the records that need them"
        lengths.add(kept)
    assert lengths == set(range(6))


def test_a_commit_survives_whole_or_not_at_all() -> None:
    """Final blocks are one atomic write."""
    heights = set()
    entries = (Committed(CHILD_ID, CHILD, None),) * 3
    for seed in range(40):
        disk = Disk([base_of(BASE)])
        disk.write(Batch(commits=entries))
        disk.crash(Random(seed))
        heights.add(len(disk.committed))
    assert heights == {1, 4}


def test_one_write_at_a_time() -> None:
    """A driver that writes while a write is unsynced has a bug."""
    disk = Disk([base_of(BASE)])
    disk.write(BATCH)
    with pytest.raises(AssertionError):
        disk.write(BATCH)


def test_dropping_keeps_the_place_itself_and_what_is_above() -> None:
    """Records at the place stay; bodies that are not above the head go."""
    disk = Disk([base_of(BASE)], list(BATCH.records), {CHILD_ID: CHILD})
    disk.drop_records(0, 3)
    assert [record.view for record in disk.records if isinstance(record, SignerFloor)] == [3, 4, 5]
    assert disk.bodies == {CHILD_ID: CHILD}
    disk.committed.append(Committed(CHILD_ID, CHILD, None))
    disk.drop_records(0, 3)
    assert disk.bodies == {}
