"""Repair keeps what proves itself, sets the rest aside, and never lets a signer forget what it signed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from ledger.genesis import chain_id
from node.consensus_log import RECORD
from node.founding import found_data
from node.home import Home, HomeLock, set_aside
from node.repair import LOG_IS_EMPTY, repair_home
from node.store.disk import LocalDisk
from node.store.failure import StoreError, StoreMismatch
from node.store.journal import Journal, Record
from node.store.stores import open_stores
from tests.node.store.chain import extend
from tests.node.store.test_stores import replayed
from tests.node.test_genesis_file import genesis

GENESIS = genesis()
HEIGHT = 6


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with six blocks in table files and in LevelDB's log, and two records in the consensus log."""
    made = Home(tmp_path / "node-0")
    made.make()
    found_data(made, GENESIS, None)
    for _ in range(3):
        stores = open_stores(made.data, chain_id(GENESIS))
        asyncio.run(extend(stores, HEIGHT // 3))
        stores.close()
    journal, _ = Journal.open(LocalDisk(), made.consensus_log)
    for payload in (b"one", b"two"):
        journal.append(RECORD, payload)
        journal.sync()
    journal.close()
    return made


def repaired(home: Home) -> tuple[bool, str]:
    lines: list[str] = []
    changed = repair_home(home, GENESIS, lines.append)
    assert repair_home(home, GENESIS, lambda line: None) is False, "a second repair finds nothing"
    return changed, "\n".join(lines)


def heights(home: Home) -> tuple[int, int]:
    """The heights of blocks and state after a start has run the gap again."""
    stores = replayed(open_stores(home.data, chain_id(GENESIS)))
    found = stores.blocks.head[0], stores.state.head.height
    stores.close()
    return found


def records(home: Home) -> list[Record]:
    journal, found = Journal.open(LocalDisk(), home.consensus_log)
    journal.close()
    return found


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(bytes(data))


def largest_table(folder: Path) -> Path:
    return max(folder.glob("*.ldb"), key=lambda file: file.stat().st_size)


def test_a_sound_home_is_left_alone(home: Home) -> None:
    """Nothing is damaged: every store is named sound, and no file is renamed."""
    before = sorted([*(each.name for each in home.data.iterdir()), "node.lock"])
    changed, told = repaired(home)
    assert not changed
    assert told.count("sound") == 3
    assert sorted(each.name for each in home.data.iterdir()) == before
    assert heights(home) == (HEIGHT, HEIGHT)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip(largest_table(folder)),
        lambda folder: [file.unlink() for file in folder.glob("CURRENT")],
        lambda folder: [file.write_bytes(b"") for file in folder.glob("MANIFEST*")],
        lambda folder: [file.unlink() for file in sorted(folder.iterdir())] and folder.rmdir(),
    ],
)
def test_damaged_state_is_made_again_from_the_blocks(home: Home, damage: Callable[[Path], object]) -> None:
    """Whatever happened to the state, it is set aside, begins at genesis, and the blocks bring it back."""
    damage(home.data / "state")
    changed, told = repaired(home)
    assert changed
    assert "begins at genesis again" in told
    assert heights(home) == (HEIGHT, HEIGHT)
    assert records(home) == [Record(RECORD, b"one"), Record(RECORD, b"two")], "the signer forgets nothing"


def test_a_lost_manifest_of_the_blocks_is_mended_in_a_copy(home: Home) -> None:
    """What LevelDB finds again is kept when it is a whole chain; the damaged folder stays as it was found."""
    for file in (home.data / "blocks").glob("MANIFEST*"):
        file.unlink()
    before = sorted(each.name for each in (home.data / "blocks").iterdir())
    changed, told = repaired(home)
    assert changed
    assert "blocks: sound" in told
    assert heights(home) == (HEIGHT, HEIGHT)
    assert sorted(each.name for each in (home.data / "blocks.damaged-1").iterdir()) == before


def test_blocks_that_can_not_be_saved_begin_again_without_the_right_to_sign(home: Home) -> None:
    """A hole in the chain: all data is set aside, and the node is founded anew without a signer's record."""
    flip(largest_table(home.data / "blocks"))
    changed, told = repaired(home)
    assert changed
    assert LOG_IS_EMPTY in told
    assert heights(home) == (0, 0)
    assert records(home) == []
    assert (home.root / "data.damaged-1" / "consensus" / "records.log").exists()


@pytest.mark.parametrize("damage", [flip, Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_damaged_log_is_replaced_by_an_empty_one(home: Home, damage: Callable[[Path], object]) -> None:
    """A log is never mended: a vote that is missing from it could be cast a second time."""
    damage(home.consensus_log)
    with pytest.raises(StoreError):
        records(home)
    changed, told = repaired(home)
    assert changed
    assert LOG_IS_EMPTY in told
    assert records(home) == []
    assert heights(home) == (HEIGHT, HEIGHT)


def test_data_of_another_chain_is_no_damage(home: Home) -> None:
    """A wrong genesis.json must not destroy the right data."""
    with pytest.raises(StoreMismatch):
        repair_home(home, genesis("another chain"), print)
    assert heights(home) == (HEIGHT, HEIGHT)


def test_a_running_node_is_not_repaired(home: Home) -> None:
    """While a process holds the home nothing is touched."""
    with HomeLock(home), pytest.raises(LedgerError) as caught:
        repair_home(home, GENESIS, print)
    assert caught.value.code == "home.in_use"


def test_setting_aside_never_overwrites(tmp_path: Path) -> None:
    """Each time another name is found."""
    for number in (1, 2, 3):
        (tmp_path / "log").write_text(str(number))
        assert set_aside(tmp_path / "log").name == f"log.damaged-{number}"
    assert [(tmp_path / f"log.damaged-{number}").read_text() for number in (1, 2, 3)] == ["1", "2", "3"]
