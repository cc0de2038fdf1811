"""Files that come back other than they were written: cut, flipped, gone, of yesterday, of another node."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError
from network.chaos.cluster import END_SECONDS
from network.chaos.scenario import Scenario
from network.chaos.stage import LEADER, OBSERVER, VALIDATOR, Stage
from node.store.stores import BLOCKS_FOLDER, STATE_FOLDER

KEY_FILE: Final = "validator.key"
TORN_BYTES: Final = 37
REFUSED: Final = 1  # what `ledger-node run` ends with when it may not run at all


def play_log_torn(stage: Stage) -> None:
    """The last write of the consensus log was cut off by the crash: it is passed over, and the node votes."""
    stage.kill(VALIDATOR)
    with stage.home(VALIDATOR).consensus_log.open("ab") as log:
        log.write(stage.chance.randbytes(TORN_BYTES))
    stage.start(VALIDATOR)
    stage.catches_up(VALIDATOR)
    stage.votes(VALIDATOR)


def play_log_cut(stage: Stage) -> None:
    """Half of the consensus log is gone: the floor lies below the blocks, so it signs nothing at first."""
    stage.goes_on()
    stage.stop(VALIDATOR)
    stage.keep_log(VALIDATOR)
    log = stage.home(VALIDATOR).consensus_log
    os.truncate(log, log.stat().st_size // 2)
    stage.hurt("log cut in half")
    stage.starts_in_quarantine(VALIDATOR)


def play_log_flipped(stage: Stage) -> None:
    """A synced record comes back wrong: refused by name, mended by `ledger-node repair`."""
    stage.stop(LEADER)
    stage.keep_log(LEADER)
    flip(stage.home(LEADER).consensus_log)
    stage.hurt("byte flipped")
    stage.refuses_to_open(LEADER, "store.corrupted", "offset")
    stage.goes_on()
    stage.repair(LEADER)
    stage.starts_in_quarantine(LEADER)


def play_log_deleted(stage: Stage) -> None:
    """The consensus log is gone: never begun anew by a start."""
    stage.stop(VALIDATOR)
    stage.keep_log(VALIDATOR)
    stage.home(VALIDATOR).consensus_log.unlink()
    stage.hurt("log deleted")
    stage.refuses_to_open(VALIDATOR, "store.lost", "the log is missing")
    stage.repair(VALIDATOR)
    stage.starts_in_quarantine(VALIDATOR)


def play_blocks_cut(stage: Stage) -> None:
    """LevelDB's log of the last blocks lost its end, without a word: the node fetches them by itself."""
    for name in (VALIDATOR, OBSERVER):
        stage.restart(name)  # what came before lies in tables now
        stage.goes_on()
        stage.kill(name)
        for log in (stage.home(name).data / BLOCKS_FOLDER).glob("*.log"):
            os.truncate(log, 0)
        stage.hurt(f"{name} lost its last blocks")
        stage.start(name)
        stage.catches_up(name)


def play_blocks_unnamed(stage: Stage) -> None:
    """CURRENT is missing: never taken for an empty database, mended by `ledger-node repair`."""
    stage.stop(VALIDATOR)
    (stage.home(VALIDATOR).data / BLOCKS_FOLDER / "CURRENT").unlink()
    stage.hurt("CURRENT deleted")
    stage.refuses_to_open(VALIDATOR, "store.lost", "CURRENT is missing")
    stage.repair(VALIDATOR)
    stage.start(VALIDATOR)
    stage.catches_up(VALIDATOR)


def play_blocks_flipped(stage: Stage) -> None:
    """A bit of a table of the blocks is flipped: refused by name; a repair keeps what is whole, the rest is
    fetched again. Its signer's record is what it was, so it votes."""
    _ripen(stage, VALIDATOR)
    stage.keep_log(VALIDATOR)
    _flip_table(stage, VALIDATOR, BLOCKS_FOLDER)
    # Found when it is read: as the node opens, or a little later, when LevelDB merges that table.
    stage.refuses_to_open(VALIDATOR, "block checksum mismatch")
    stage.repair(VALIDATOR)
    stage.start(VALIDATOR)
    stage.catches_up(VALIDATOR)
    stage.votes(VALIDATOR)


def play_state_flipped(stage: Stage) -> None:
    """A bit of a table of the state is flipped: nothing is ever read from it, and a repair makes it anew."""
    _ripen(stage, OBSERVER)
    _flip_table(stage, OBSERVER, STATE_FOLDER)
    stage.refuses_to_open(OBSERVER, "store.corrupted")
    stage.repair(OBSERVER)
    stage.start(OBSERVER)
    stage.catches_up(OBSERVER)


def play_restored(stage: Stage) -> None:
    """Yesterday's data in place of today's: what was signed since is unknown there, so it waits."""
    data = stage.home(VALIDATOR).data
    backup = data.with_name("backup")
    stage.stop(VALIDATOR)
    shutil.copytree(data, backup)
    stage.start(VALIDATOR)
    stage.catches_up(VALIDATOR)
    stage.goes_on()
    stage.kill(VALIDATOR)
    _replace_data(stage, VALIDATOR, backup)
    stage.hurt("backup restored")
    stage.starts_in_quarantine(VALIDATOR)


def play_foreign(stage: Stage) -> None:
    """The data of another validator: its blocks serve, its signer's record does not."""
    other = stage.validators[-1]
    for name in (other, VALIDATOR):
        stage.stop(name)
    copy = stage.home(VALIDATOR).data.with_name("foreign")
    shutil.copytree(stage.home(other).data, copy)
    stage.start(other)
    _replace_data(stage, VALIDATOR, copy)
    stage.hurt(f"data of {other}")
    stage.starts_in_quarantine(VALIDATOR)


def play_open_key(stage: Stage) -> None:
    """A key that others may read is not used: the node refuses to start and says which and why."""
    key = stage.home(VALIDATOR).keys / KEY_FILE
    stage.stop(VALIDATOR)
    mode = key.stat().st_mode
    key.chmod(0o644)
    try:
        stage.cluster.start(VALIDATOR)
        stage.ends_saying(VALIDATOR, REFUSED, "key_file.permissions", str(key))
        stage.hurt("key open to all")
        stage.goes_on()
    finally:
        key.chmod(mode)
    stage.start(VALIDATOR)


def play_second_process(stage: Stage) -> None:
    """A second process on a home in use is refused, and the first goes on."""
    for name in (LEADER, OBSERVER):
        second = stage.cluster.start_second(name, END_SECONDS)
        if second.code != REFUSED or "home.in_use" not in second.said:
            raise LedgerError("chaos.exit_code", f"{second.code}, {second.said[-300:]!r}")
        stage.hurt(f"second process of {name} refused")
    stage.goes_on()


def _replace_data(stage: Stage, name: str, data: Path) -> None:
    """Put another data folder in the place of a node's own, by copying it as a restore does."""
    stage.keep_log(name)
    own = stage.home(name).data
    shutil.rmtree(own)
    shutil.copytree(data, own)
    shutil.rmtree(data)


def _ripen(stage: Stage, name: str) -> None:
    """Stop a node whose stores hold tables: a start moves what the log holds into one."""
    for _ in range(2):
        stage.restart(name)
    stage.stop(name)


def _flip_table(stage: Stage, name: str, store: str) -> None:
    """Flip a bit in the largest table of a store of a stopped node."""
    tables = list((stage.home(name).data / store).glob("*.ldb"))
    if not tables:
        raise LedgerError("chaos.unplayable", f"{name} has no table of {store} to damage")
    flip(max(tables, key=lambda path: path.stat().st_size))
    stage.hurt("bit flipped")


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


SCENARIOS: Final = (
    Scenario("damage/log-torn", "the last write of a consensus log was cut off: passed over", play_log_torn),
    Scenario("damage/log-cut", "half of a consensus log is gone: no vote at first", play_log_cut),
    Scenario("damage/log-flipped", "a bit of the leader's log flipped: code 75, repair", play_log_flipped),
    Scenario("damage/log-deleted", "a consensus log deleted: code 75, repair", play_log_deleted),
    Scenario("damage/blocks-cut", "the last blocks lost without a word: fetched again", play_blocks_cut),
    Scenario("damage/blocks-unnamed", "CURRENT of the blocks missing: code 75, repair", play_blocks_unnamed),
    Scenario(
        "damage/blocks-flipped", "a bit of a table of blocks flipped: code 75, repair", play_blocks_flipped
    ),
    Scenario("damage/state-flipped", "a bit of a state table flipped: code 75, repair", play_state_flipped),
    Scenario("damage/restored", "yesterday's data restored: no vote at first", play_restored),
    Scenario("damage/foreign", "another validator's data: no vote at first", play_foreign),
    Scenario("damage/open-key", "a key file with mode 0644: refused, code 1", play_open_key),
    Scenario("damage/second-process", "a second process on a home: refused, code 1", play_second_process),
)
