"""Mend a home whose stores are damaged: keep what proves itself, set the rest aside, promise nothing.

Nothing is deleted: what is replaced is renamed to `*.damaged-N`. Blocks are saved where they still hash to
their ids; state is made again from genesis and the blocks; a consensus log is never mended, because a missing
vote can't be told from one that was never cast: without it the signer stays quarantined until the network
has moved on. A torn end of the log is no damage: the next start cuts it off.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from ledger.genesis import Genesis, chain_id
from node.consensus_log import read_entries
from node.founding import found_data, found_state
from node.home import Home, HomeLock, set_aside
from node.lost_blocks import begin_again
from node.store.blocks import BlockStore
from node.store.disk import LocalDisk
from node.store.failure import StoreError, StoreFailed, StoreLost, StoreMismatch, not_opened
from node.store.journal import JOURNAL_BYTES_MAX, Journal, read_journal
from node.store.leveldb import LevelDatabase, repair
from node.store.stores import BLOCKS_FOLDER, STATE_FOLDER, Stores, stores_over

LOG_IS_EMPTY: Final = (
    "consensus log: empty; a validator does not vote until the network has moved past what it may have signed"
)


def repair_home(home: Home, genesis: Genesis, tell: Callable[[str], None], *, is_dry: bool = False) -> bool:
    """Check every store of a home and repair what does not pass; answers whether anything was changed.

    Args:
        tell: is given one line for each thing found and done, as it happens.
        is_dry: only say what would be done; answers whether anything would be changed.

    Raises:
        LedgerError: `home.missing`, `home.in_use`.
        StoreMismatch: the data is of another chain or format, which is no damage.
        StoreFailed: the disk is full, read-only, ...; what was begun is undone.
        OSError
    """
    with HomeLock(home):
        blocks, state = home.data / BLOCKS_FOLDER, home.data / STATE_FOLDER
        if is_dry:
            return _foresee(home, genesis, tell)
        found = _problem(lambda: _check_blocks(blocks, genesis))
        if found is not None and not _save_blocks(blocks, genesis, found, tell):
            _begin_again(home, genesis, tell)
            return True
        changed = found is not None
        tell("blocks: sound")
        found = _problem(lambda: _check_state(blocks, state, genesis))
        if found is not None:
            _remake_state(state, genesis, found, tell)
            changed = True
        tell("state: sound")
        changed = _lower_state(home, genesis, tell) or changed
        return _repair_log(home, tell) or changed


def _foresee(home: Home, genesis: Genesis, tell: Callable[[str], None]) -> bool:
    """Say what a repair finds and would do; whether it would change anything. Nothing is renamed or made."""
    blocks, state = home.data / BLOCKS_FOLDER, home.data / STATE_FOLDER
    damaged = _problem(lambda: _check_blocks(blocks, genesis))
    if damaged is not None:
        tell(f"blocks: {damaged}")
        tell("blocks: would be set aside and saved from a copy, if that gives a whole chain; else all data")
        tell("  is set aside, the node begins at genesis again, and its validator key in quarantine")
    else:
        tell("blocks: sound")
        found = _problem(lambda: _check_state(blocks, state, genesis))
        damaged = found or damaged
        tell(f"state: {found}" if found else "state: sound")
        if found:
            tell("state: would be set aside and begun at genesis again; the next start runs every block")
        else:
            missing = _missing(home, genesis)
            if missing:
                tell(f"blocks: {missing.start} to {missing.stop - 1} are missing below the state")
                tell("state: would begin at genesis again; the next start fetches the missing blocks")
            damaged = damaged or (StoreLost(blocks, "blocks are missing") if missing else None)
    in_log = _problem(lambda: _check_log(home.consensus_log, tell))
    if in_log is not None:
        tell(f"consensus log: {in_log}")
        tell("consensus log: would be set aside; an empty one puts the validator's key in quarantine")
    return damaged is not None or in_log is not None


def _problem(check: Callable[[], None]) -> StoreError | None:
    """What a check finds wrong, if anything that a repair may help.

    Raises:
        StoreMismatch. StoreFailed: a full disk is no damage either.
    """
    try:
        check()
    except (StoreMismatch, StoreFailed):
        raise
    except StoreError as problem:
        return problem
    return None


def _check_blocks(path: Path, genesis: Genesis) -> None:
    with closing(LevelDatabase(path, create=False)) as database:
        for _ in BlockStore(database, chain_id(genesis)).audit():
            pass


def _check_state(blocks: Path, path: Path, genesis: Genesis) -> None:
    with _opened(blocks, path, genesis) as stores:
        for _ in stores.state.audit():
            pass


@contextmanager
def _opened(blocks: Path, state: Path, genesis: Genesis) -> Iterator[Stores]:
    with (
        closing(LevelDatabase(blocks, create=False)) as block_database,
        closing(LevelDatabase(state, create=False)) as state_database,
    ):
        yield stores_over(block_database, state_database, chain_id(genesis))


def _save_blocks(path: Path, genesis: Genesis, found: StoreError, tell: Callable[[str], None]) -> bool:
    """Let LevelDB save what it can of a copy; whether the result is a whole chain."""
    tell(f"blocks: {found}")
    if not path.is_dir():
        return False
    aside = set_aside(path)
    tell(f"blocks: set aside as {aside}, trying to save a copy")

    def saved() -> None:
        repair(path)
        _check_blocks(path, genesis)

    try:
        shutil.copytree(aside, path)
        problem = _problem(saved)
    except (OSError, StoreFailed):
        shutil.rmtree(path, ignore_errors=True)
        aside.rename(path)
        raise
    if problem is None:
        return True
    tell(f"blocks: the copy can't be saved: {problem}")
    shutil.rmtree(path)
    return False


def _remake_state(path: Path, genesis: Genesis, found: StoreError, tell: Callable[[str], None]) -> None:
    """Put the state of block 0 in the place of the damaged one; the next start runs all blocks again."""
    tell(f"state: {found}")
    if path.exists():
        tell(f"state: set aside as {set_aside(path)}")
    found_state(path.parent, genesis)
    tell("state: begins at genesis again; the next start runs every stored block again")


def _missing(home: Home, genesis: Genesis) -> range:
    """The heights whose blocks are missing below the state."""
    with _opened(home.data / BLOCKS_FOLDER, home.data / STATE_FOLDER, genesis) as stores:
        return stores.gap.refetch


def _lower_state(home: Home, genesis: Genesis, tell: Callable[[str], None]) -> bool:
    """Begin the state again where blocks are missing below it, as a start does; whether they are."""
    missing = _missing(home, genesis)
    with _opened(home.data / BLOCKS_FOLDER, home.data / STATE_FOLDER, genesis) as stores:
        head = stores.state.head
    if not missing:
        return False
    tell(f"blocks: {missing.start} to {missing.stop - 1} are missing below the state")
    begin_again(home, genesis, head)
    tell("state: begins at genesis again; the next start fetches them from peers before it takes part")
    return True


def _check_log(path: Path, tell: Callable[[str], None]) -> None:
    """Read the log as a start does, and change nothing.

    Raises:
        StoreError: a start would refuse it.
    """
    try:
        data = LocalDisk().read(path, JOURNAL_BYTES_MAX)
    except FileNotFoundError:
        raise StoreLost(path, "the log is missing") from None
    except OSError as problem:
        raise not_opened(path, problem) from None
    _, entries, end = read_journal(path, data)
    read_entries(path, entries)
    if end < len(data):
        torn = len(data) - end
        tell(f"consensus log: its last {torn} bytes were never synced; the next start cuts them off")
    tell("consensus log: sound")


def _repair_log(home: Home, tell: Callable[[str], None]) -> bool:
    path = home.consensus_log
    found = _problem(lambda: _check_log(path, tell))
    if found is None:
        return False
    tell(f"consensus log: {found}")
    if path.exists():
        tell(f"consensus log: set aside as {set_aside(path)}")
    Journal.create(LocalDisk(), path)
    tell(LOG_IS_EMPTY)
    return True


def _begin_again(home: Home, genesis: Genesis, tell: Callable[[str], None]) -> None:
    """Set all data aside and found the node anew, without the right to sign."""
    tell(f"data: set aside as {set_aside(home.data)}")
    found_data(home, genesis, None)
    tell("data: begins at genesis again; the next start fetches the chain from peers")
    tell(LOG_IS_EMPTY)
