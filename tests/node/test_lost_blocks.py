"""Blocks that were lost below the state: a start finds its way back, wherever it was interrupted."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import node.founding
import node.lost_blocks
from ledger.genesis import chain_id
from ledger.types import Height
from node.driver import NodeHalted
from node.founding import found_data
from node.home import Home
from node.lost_blocks import MARK_FILE, LostBlocks, open_whole
from node.repair import repair_home
from node.store.disk import LocalDisk
from node.store.failure import StoreCorrupted, StoreLost
from node.store.stores import FinalizedBlock, Stores, open_stores
from tests.node.store.chain import extend, next_execution, tip_of
from tests.node.store.test_stores import replayed
from tests.node.test_genesis_file import genesis

GENESIS = genesis()
KEPT, HEIGHT = 4, 6


def opener(home: Home) -> Callable[[], Stores]:
    return partial(open_stores, home.data, chain_id(GENESIS))


def grow(home: Home, count: int) -> None:
    stores = opener(home)()
    asyncio.run(extend(replayed(stores), count))
    stores.close()


def lose_tail(home: Home, kept: Path) -> None:
    shutil.rmtree(home.data / "blocks")
    shutil.copytree(kept, home.data / "blocks")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose state stands at six and whose blocks end at four."""
    made = Home(tmp_path / "node-0")
    made.make()
    found_data(made, GENESIS, None)
    grow(made, KEPT)
    shutil.copytree(made.data / "blocks", tmp_path / "kept")
    grow(made, HEIGHT - KEPT)
    shutil.copytree(made.data / "blocks", tmp_path / "whole")
    lose_tail(made, tmp_path / "kept")
    return made


def opened(home: Home) -> tuple[tuple[int, int], LostBlocks | None]:
    """What a start finds and makes of it: the heights of blocks and state, and what it is to fetch."""
    stores, lost = open_whole(home, GENESIS, opener(home))
    heights = stores.blocks.head[0], replayed(stores).state.head.height
    stores.close()
    return heights, lost


def height_of(lost: LostBlocks | None) -> int:
    assert lost is not None
    return lost.height


def test_a_whole_home_opens_as_it_is(home: Home, tmp_path: Path) -> None:
    """No block is missing: nothing is written down and nothing set aside."""
    lose_tail(home, tmp_path / "whole")
    before = sorted(each.name for each in home.data.iterdir())
    assert opened(home) == ((HEIGHT, HEIGHT), None)
    assert sorted(each.name for each in home.data.iterdir()) == before


def test_a_state_above_the_blocks_begins_again(home: Home) -> None:
    """The state runs up to the blocks again, the lost ones are to be fetched, the signer forgets nothing."""
    record = home.consensus_log.read_bytes()
    for _ in range(2):  # the second start goes on where the first one was
        heights, lost = opened(home)
        assert heights == (KEPT, KEPT)
        assert height_of(lost) == HEIGHT
    assert [each.name for each in home.data.glob("state.*")] == ["state.damaged-1"]
    assert home.consensus_log.read_bytes() == record


def test_the_mark_goes_when_the_same_blocks_are_back(home: Home, tmp_path: Path) -> None:
    """Once the last lost block is here, a start has nothing left to do."""
    opened(home)
    lose_tail(home, tmp_path / "whole")
    assert opened(home) == ((HEIGHT, HEIGHT), None)
    assert not (home.data / MARK_FILE).exists()


def test_another_block_in_the_place_of_the_last_one_stops_the_node(home: Home) -> None:
    """What was final here and is not final there is for people to judge: at every start, until they have."""
    opened(home)
    stores = opener(home)()
    for value in (b"other", b"another"):
        execution = next_execution(tip_of(replayed(stores)), {b"items\0x": value})
        asyncio.run(stores.commit(FinalizedBlock(execution, b"final", b"why")))
    stores.close()
    for _ in range(2):
        with pytest.raises(NodeHalted) as caught:
            open_whole(home, GENESIS, opener(home))
        assert caught.value.code == "store.diverged"
        node.lost_blocks.read_mark(home)


class Crash(Exception):
    """The process ends here."""


def crash_before(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
    def end(*arguments: object, **named: object) -> None:
        raise Crash

    monkeypatch.setattr(module, name, end)


def crash_after(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
    whole = getattr(module, name)

    def end(*arguments: object, **named: object) -> None:
        whole(*arguments, **named)
        raise Crash

    monkeypatch.setattr(module, name, end)


STEPS: dict[str, tuple[object, str]] = {
    "the mark": (node.lost_blocks, "replace_file"),
    "the old state is set aside": (node.lost_blocks, "set_aside"),
    "the new state is filled": (node.founding.StateStore, "create"),
    "the new state is put in place": (LocalDisk, "rename"),
    "the new state is there": (node.lost_blocks, "found_state"),
}


@pytest.mark.parametrize("crash", [crash_before, crash_after])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_costs_time_only(
    home: Home, monkeypatch: pytest.MonkeyPatch, crash: Callable[..., None], step: str
) -> None:
    """Before or after each of them: the next start comes to the same end and forgets no height."""
    with monkeypatch.context() as patched:
        crash(patched, *STEPS[step])
        with pytest.raises(Crash):
            open_whole(home, GENESIS, opener(home))
    heights, lost = opened(home)
    assert heights == (KEPT, KEPT)
    assert height_of(lost) == HEIGHT


def test_a_second_loss_forgets_nothing_of_the_first(home: Home, tmp_path: Path) -> None:
    """Blocks are lost again while the first ones are fetched: the higher mark stands."""
    opened(home)
    grow(home, 1)
    lose_tail(home, tmp_path / "kept")
    heights, lost = opened(home)
    assert heights == (KEPT, KEPT)
    assert height_of(lost) == HEIGHT


def test_a_state_that_is_missing_without_a_mark_is_lost(home: Home) -> None:
    """A new state is made by a start only in the place of one that it set aside itself."""
    shutil.rmtree(home.data / "state")
    with pytest.raises(StoreLost):
        open_whole(home, GENESIS, opener(home))


@pytest.mark.parametrize("content", [b"", b"?", b"\x92\x06", b"\x92\x06\xc4\x20" + bytes(31)])
def test_a_damaged_mark_is_refused(home: Home, content: bytes) -> None:
    """It says what must be here: it is never guessed at."""
    (home.data / MARK_FILE).write_bytes(content)
    with pytest.raises(StoreCorrupted, match=MARK_FILE):
        open_whole(home, GENESIS, opener(home))


def test_repair_does_what_a_start_does(home: Home) -> None:
    """`ledger-node repair` on such a home: the same mark, the same state, the signer's record as it was."""
    record = home.consensus_log.read_bytes()
    lines: list[str] = []
    assert repair_home(home, GENESIS, lines.append)
    assert f"blocks: {KEPT + 1} to {HEIGHT} are missing below the state" in lines
    assert not repair_home(home, GENESIS, lines.append)
    heights, lost = opened(home)
    assert heights == (KEPT, KEPT)
    assert height_of(lost) == Height(HEIGHT)
    assert home.consensus_log.read_bytes() == record
