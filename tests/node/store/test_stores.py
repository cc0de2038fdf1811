"""Both databases together: what a crash between two durable steps leaves, and that a start makes it whole."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.types import Height
from node.failpoints import FailPoint
from node.store.database import Database
from node.store.failure import StoreCorrupted, StoreError, StoreFailed, StoreLost, StoreMismatch
from node.store.memory import MemoryDatabase
from node.store.offload import DiskThread
from node.store.stores import FinalizedBlock, Stores, create_stores, open_stores, stores_over
from tests.node.store.chain import (
    CHAIN,
    DEPTH,
    GENESIS_WRITES,
    extend,
    fill,
    genesis_block,
    next_execution,
    story,
    tip_of,
    transaction_id,
)

OTHER_CHAIN = type(CHAIN)(bytes(32))
CRASHES = 12


def created(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    create_stores(data, CHAIN, genesis_block(), GENESIS_WRITES)
    return data


def replayed(stores: Stores) -> Stores:
    """What a start does: run the blocks of the gap again and write their states."""
    for height in stores.gap.replay:
        stores.replay(next_execution(tip_of(stores), story(height)))
    return stores


def check_whole(stores: Stores, height: int) -> None:
    """Blocks and state stand at `height`, belong together, and hold what a chain without a crash holds."""
    assert not stores.gap.replay
    assert not stores.gap.refetch
    assert stores.blocks.head == (height, stores.state.head.block_id)
    assert len(list(stores.blocks.audit())) == height + 1
    assert len(list(stores.state.audit())) == stores.state.tree.leaf_count
    assert stores.state.tree.root == stores.state.head.header.state_root
    for each in range(1, height + 1):
        assert stores.blocks.place_of(transaction_id(each, 0)) == (each, 0)


async def test_stores_on_a_real_disk_open_as_they_were_closed(tmp_path: Path) -> None:
    """Create, extend, close and open, three times over: the chain goes on."""
    data = created(tmp_path)
    for turn in range(3):
        stores = open_stores(data, CHAIN)
        await extend(stores, 4)
        check_whole(stores, 4 * (turn + 1))
        stores.close()


async def test_waiting_in_a_thread_gives_the_same_stores(tmp_path: Path) -> None:
    """While the disk's thread waits the loop goes on and readers see the old head; the result is the same."""
    data = created(tmp_path)
    waits: list[float] = []
    stores, disk = open_stores(data, CHAIN), DiskThread(waits.append)
    seen: list[tuple[int, int, bytes | None]] = []
    done = False

    async def read() -> None:
        while not done:
            seen.append((stores.blocks.head[0], stores.state.head.height, stores.state.get(b"items\0turn")))
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(read())
        for height in range(1, 6):
            execution = next_execution(tip_of(stores), {**story(height), b"items\0turn": b"%d" % height})
            await stores.commit(FinalizedBlock(execution, b"f", b"j"), offload=disk.run)
        done = True
    check_whole(stores, 5)
    assert all(blocks == state for blocks, state, _ in seen)
    assert all(value == (b"%d" % state if state else None) for _, state, value in seen)
    assert len(waits) == 10, "one wait a batch, two batches a block"
    assert min(waits) > 0
    disk.close()
    stores.close()
    assert not [each for each in threading.enumerate() if each.name.startswith("disk")]


@pytest.mark.parametrize("failing", ["blocks", "state"])
async def test_a_failed_write_leaves_a_gap_that_a_start_closes(failing: str) -> None:
    """A batch of either database fails: the handle is dead, and a start finds all that was answered."""
    broken = [False]

    def before_write(batch: object) -> None:
        if broken[0]:
            raise OSError(28, "No space left on device")

    databases = {
        name: MemoryDatabase(
            name, before_write=before_write if name == failing else None, on_failure=lambda failure: None
        )
        for name in ("blocks", "state")
    }
    fill(*databases.values())
    stores = stores_over(*databases.values(), CHAIN, tree_depth=DEPTH)
    await extend(stores, 3)
    broken[0] = True
    for _ in range(2):
        with pytest.raises(StoreFailed):
            await extend(stores, 1)
    again = stores_over(*[each.reopened() for each in databases.values()], CHAIN, tree_depth=DEPTH)
    assert list(again.gap.replay) == ([] if failing == "blocks" else [4])
    check_whole(replayed(again), 3 if failing == "blocks" else 4)
    await extend(again, 2)


async def test_state_ahead_of_blocks_is_told() -> None:
    """The block database lost its tail: the gap names the heights to fetch again."""
    blocks, state = MemoryDatabase("blocks"), MemoryDatabase("state")
    fill(blocks, state)
    stores = stores_over(blocks, state, CHAIN, tree_depth=DEPTH)
    await extend(stores, 2)
    older = dict(blocks.entries)
    made = await extend(stores, 3)
    again = stores_over(MemoryDatabase("blocks", older), state.reopened(), CHAIN, tree_depth=DEPTH)
    assert list(again.gap.refetch) == [3, 4, 5]
    assert not again.gap.replay
    for execution in made:
        again.blocks.append(FinalizedBlock(execution, b"f", b"").stored)
    check_whole(again, 5)


async def test_halves_of_two_histories_are_refused() -> None:
    """Blocks of one backup and state of another that disagree about a height are never joined."""
    halves: list[tuple[Database, Database]] = []
    for value in (b"one", b"two"):
        blocks, state = MemoryDatabase("blocks"), MemoryDatabase("state")
        fill(blocks, state)
        stores = stores_over(blocks, state, CHAIN, tree_depth=DEPTH)
        execution = next_execution(tip_of(stores), {b"items\0x": value})
        await stores.commit(FinalizedBlock(execution, b"", b""))
        halves.append((blocks, state))
    with pytest.raises(StoreCorrupted, match="different blocks"):
        stores_over(halves[0][0], halves[1][1], CHAIN, tree_depth=DEPTH)


async def test_a_replay_of_another_block_is_a_bug() -> None:
    """Only the block that was saved at a height may be replayed there."""
    blocks, state = MemoryDatabase("blocks"), MemoryDatabase("state")
    fill(blocks, state)
    stores = stores_over(blocks, state, CHAIN, tree_depth=DEPTH)
    stores.blocks.append(FinalizedBlock(next_execution(tip_of(stores), story(1)), b"", b"").stored)
    with pytest.raises(AssertionError):
        stores.replay(next_execution(tip_of(stores), {b"items\0x": b"other"}))
    check_whole(replayed(stores), 1)


# --- opening what is damaged ------------------------------------------------------


async def test_data_of_another_chain_is_refused(tmp_path: Path) -> None:
    """A home whose genesis.json was exchanged does not open its old data."""
    data = created(tmp_path)
    with pytest.raises(StoreMismatch) as caught:
        open_stores(data, OTHER_CHAIN)
    assert caught.value.code == "genesis.mismatch"
    open_stores(data, CHAIN).close()


async def test_a_failed_open_lets_go_of_what_was_open(tmp_path: Path) -> None:
    """When the second database is missing the first is closed again, and nothing is created."""
    data = created(tmp_path)
    (data / "state").rename(tmp_path / "aside")
    for _ in range(2):
        with pytest.raises(StoreLost, match="never created here"):
            open_stores(data, CHAIN)
    assert not (data / "state").exists()
    (tmp_path / "aside").rename(data / "state")
    open_stores(data, CHAIN).close()


async def test_creating_over_data_is_refused(tmp_path: Path) -> None:
    """Genesis is written once: a second time is refused and harms nothing."""
    data = created(tmp_path)
    stores = open_stores(data, CHAIN)
    await extend(stores, 2)
    stores.close()
    with pytest.raises(StoreError) as caught:
        create_stores(data, CHAIN, genesis_block(), GENESIS_WRITES)
    assert caught.value.code == "store.exists"
    stores = open_stores(data, CHAIN)
    check_whole(stores, 2)
    stores.close()


@pytest.mark.parametrize("name", ["blocks", "state"])
async def test_a_cut_write_ahead_log_is_never_a_wrong_chain(tmp_path: Path, name: str) -> None:
    """LevelDB's log loses its last n bytes: the store is refused, or it is a shorter chain that says so."""
    data = created(tmp_path)
    stores = open_stores(data, CHAIN)
    await extend(stores, 6)
    stores.close()
    log = max((data / name).glob("*.log"), key=lambda file: file.stat().st_size)
    whole = log.read_bytes()
    seen = set()
    for lost in range(0, len(whole), 97):
        copy = tmp_path / f"cut-{lost}"
        shutil.copytree(data, copy)
        (copy / name / log.name).write_bytes(whole[: len(whole) - lost])
        try:
            stores = open_stores(copy, CHAIN)
        except StoreError:
            seen.add("refused")
            continue
        gap = stores.gap.replay if name == "state" else stores.gap.refetch
        assert (stores.gap.refetch if name == "state" else stores.gap.replay) == range(7, 7)
        assert list(gap) == list(range(7 - len(gap), 7))
        seen.add(f"gap of {len(gap)}")
        assert len(list(stores.blocks.audit())) == stores.blocks.head[0] + 1
        if name == "state":
            check_whole(replayed(stores), 6)
        stores.close()
        shutil.rmtree(copy)
    assert {"gap of 0", "gap of 1", "gap of 6"} <= seen


# --- killed between two steps -------------------------------------------------------

CHILD = """
import asyncio, sys
from pathlib import Path
from node.failpoints import arm
from node.store.stores import FinalizedBlock, open_stores
from tests.node.store.chain import CHAIN, next_execution, story, tip_of
from tests.node.store.test_stores import replayed

async def main(data, setting, count):
    stores = replayed(open_stores(Path(data), CHAIN))
    arm(setting, is_test_network=True)
    print("head", stores.state.head.height, flush=True)
    for _ in range(int(count)):
        execution = next_execution(tip_of(stores), story(stores.state.head.height + 1))
        await stores.commit(FinalizedBlock(execution, b"final", b"why"))
        print("final", stores.state.head.height, flush=True)
    print("done", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def child(data: Path, setting: str, count: int) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(data), setting, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
    )


def last_final(output: str) -> int:
    """The last height that the child had reported as final."""
    return max([int(line.split()[1]) for line in output.splitlines() if line.startswith(("final", "head"))])


STORE_POINTS: tuple[tuple[FailPoint, Callable[[int], int], Callable[[int], int]], ...] = (
    (FailPoint.BEFORE_BLOCK_SAVE, lambda n: n - 1, lambda n: n - 1),
    (FailPoint.AFTER_BLOCK_SAVE, lambda n: n, lambda n: n - 1),
    (FailPoint.BEFORE_STATE_COMMIT, lambda n: n, lambda n: n - 1),
    (FailPoint.AFTER_STATE_COMMIT, lambda n: n, lambda n: n),
)


@pytest.mark.parametrize(("point", "blocks_at", "state_at"), STORE_POINTS)
def test_killed_at_each_fail_point_nothing_that_was_final_is_missing(
    tmp_path: Path, point: FailPoint, blocks_at: Callable[[int], int], state_at: Callable[[int], int]
) -> None:
    """SIGKILL at the third pass: the disk holds exactly what had been synced, and a start makes it whole."""
    data = created(tmp_path)
    killed = child(data, f"{point.value}:3", 10)
    output, _ = killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert last_final(output) == 2
    stores = open_stores(data, CHAIN)
    assert (stores.blocks.head[0], stores.state.head.height) == (blocks_at(3), state_at(3))
    check_whole(replayed(stores), blocks_at(3))
    stores.close()


@pytest.mark.slow
def test_killed_at_random_under_load_nothing_that_was_final_is_missing(tmp_path: Path) -> None:
    """SIGKILL at random moments, again and again on the same data: every reported block is there."""
    data, moments = created(tmp_path), random.Random(7)
    reported = 0
    for _ in range(CRASHES):
        process = child(data, "", 100_000)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(moments.randrange(1, 60))]
        process.kill()
        rest = process.stdout.read()  # what `readline` has buffered too, which `communicate` would lose
        process.wait(60)
        process.stdout.close()
        reported = max(reported, last_final("".join(lines) + rest))
        stores = open_stores(data, CHAIN)
        assert stores.blocks.head[0] - reported in (0, 1), "one block may be saved and not yet reported"
        check_whole(replayed(stores), stores.blocks.head[0])
        reported = stores.blocks.head[0]
        stores.close()
    assert reported > CRASHES, "blocks were made between the crashes"


async def test_a_reader_above_the_head_gets_nothing(tmp_path: Path) -> None:
    """Heights that are not there are None, not errors."""
    stores = open_stores(created(tmp_path), CHAIN)
    assert stores.blocks.block(Height(1)) is None
    assert stores.blocks.stored(Height(5)) is None
    assert stores.blocks.finalization(Height(1)) is None
    stores.close()
