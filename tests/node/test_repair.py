"""Repair keeps what proves itself, sets the rest aside, and never lets a signer forget what it signed."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.consensus.records import SignerFloor, encode_record
from ledger.errors import LedgerError
from ledger.genesis import chain_id
from node.consensus_log import RECORD
from node.founding import found_data
from node.home import Home, HomeLock, set_aside
from node.repair import LOG_IS_EMPTY, repair_home
from node.store.disk import LocalDisk
from node.store.failure import StoreError, StoreFailed, StoreMismatch
from node.store.journal import Journal, Record
from node.store.stores import open_stores
from tests.node.store.chain import extend
from tests.node.store.test_stores import replayed
from tests.node.test_genesis_file import genesis

GENESIS = genesis()
HEIGHT = 6
PAYLOADS = [encode_record(SignerFloor(chain_id(GENESIS), b"k" * 32, b"g" * 16, 0, view)) for view in (0, 1)]


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
    for payload in PAYLOADS:
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
    assert records(home) == [Record(RECORD, each) for each in PAYLOADS], "the signer forgets nothing"


def test_a_full_disk_is_no_damage(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that can't be opened for want of room are left alone: what is whole must not be set aside."""
    before = sorted(each.name for each in home.data.iterdir())

    def full(path: Path, **_: object) -> None:
        raise StoreFailed(path, "open: ENOSPC (no space left)")

    monkeypatch.setattr("node.repair.LevelDatabase", full)
    for is_dry in (True, False):
        with pytest.raises(StoreFailed, match="ENOSPC"):
            repair_home(home, GENESIS, lambda line: None, is_dry=is_dry)
    monkeypatch.undo()
    assert sorted(each.name for each in home.data.iterdir()) == sorted({*before, "node.lock"})
    assert heights(home) == (HEIGHT, HEIGHT)


def test_no_room_for_a_copy_undoes_the_repair(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills while damaged blocks are copied: they lie where they lay, and are saved later."""
    for file in (home.data / "blocks").glob("MANIFEST*"):
        file.unlink()
    before = sorted(each.name for each in (home.data / "blocks").iterdir())

    def fill(source: Path, target: Path) -> None:
        target.mkdir()
        (target / "begun").write_bytes(b"")
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(shutil, "copytree", fill)
    with pytest.raises(OSError, match="no space left"):
        repair_home(home, GENESIS, lambda line: None)
    monkeypatch.undo()
    assert sorted(each.name for each in (home.data / "blocks").iterdir()) == before
    assert not list(home.data.glob("*.damaged-*"))
    assert repaired(home)[0]
    assert heights(home) == (HEIGHT, HEIGHT)


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


# --- what would be done ------------------------------------------------------------------


def snapshot(home: Home) -> dict[str, bytes]:
    """Every file but those that LevelDB writes when it is opened."""
    return {
        file.relative_to(home.root).as_posix(): file.read_bytes()
        for file in sorted(home.data.rglob("*"))
        if file.is_file() and file.parent.name not in ("blocks", "state")
    }


DAMAGES: dict[str, Callable[[Home], object]] = {
    "blocks": lambda home: flip(largest_table(home.data / "blocks")),
    "state": lambda home: flip(largest_table(home.data / "state")),
    "log flipped": lambda home: flip(home.consensus_log),
    "log deleted": lambda home: home.consensus_log.unlink(),
    "log empty": lambda home: home.consensus_log.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_dry_run_says_what_a_repair_does_and_does_nothing(home: Home, damage: str) -> None:
    """It finds what the repair finds, says where, and no file or name is changed."""
    DAMAGES[damage](home)
    before, names = snapshot(home), sorted([*(each.name for each in home.data.iterdir()), "node.lock"])
    said: list[str] = []
    assert repair_home(home, GENESIS, said.append, is_dry=True)
    assert any("would" in line for line in said)
    assert str(home.data) in said[0 if damage == "blocks" else 1 if damage == "state" else 2]
    assert {name: data for name, data in snapshot(home).items() if name != "data/node.lock"} == {
        name: data for name, data in before.items() if name != "data/node.lock"
    }
    assert sorted(each.name for each in home.data.iterdir()) == names
    assert repaired(home)[0]
    assert not repair_home(home, GENESIS, said.append, is_dry=True)


def test_a_torn_end_is_no_damage(home: Home) -> None:
    """Both say that the next start cuts it off; neither touches it, and it costs no record."""
    whole = home.consensus_log.read_bytes()
    home.consensus_log.write_bytes(whole + b"\xf5\xa7\x1e\xc0 half a record")
    for is_dry in (True, False):
        said: list[str] = []
        assert not repair_home(home, GENESIS, said.append, is_dry=is_dry)
        assert any("never synced; the next start cuts them off" in line for line in said)
        assert home.consensus_log.read_bytes() != whole
    assert len(records(home)) == 2
    assert home.consensus_log.read_bytes() == whole


def test_a_log_that_says_nothing_known_is_damage(home: Home) -> None:
    """Sound checksums over what no release writes: named by entry, and replaced like any other damage."""
    journal, _ = Journal.open(LocalDisk(), home.consensus_log)
    journal.append(RECORD, b"nothing that is written")
    journal.sync()
    journal.close()
    changed, told = repaired(home)
    assert changed
    assert "entry 3: encoding.malformed" in told
    assert LOG_IS_EMPTY in told
