"""Mend a home whose stores are damaged: keep what proves itself, set the rest aside, promise nothing.

Nothing is deleted: what is replaced is renamed to `*.damaged-N`. Blocks are saved where they still hash to
their ids; state is made again from genesis and the blocks; a consensus log is never mended, because a missing
vote can't be told from one that was never cast: without it the signer stays quarantined until the network
has moved on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from contracts.genesis import genesis_block
from ledger.genesis import Genesis, chain_id
from node.founding import found_data
from node.home import Home, HomeLock
from node.store.blocks import BlockStore
from node.store.disk import LocalDisk
from node.store.failure import StoreError, StoreMismatch
from node.store.journal import Journal
from node.store.leveldb import LevelDatabase, repair
from node.store.state import StateStore
from node.store.stores import BLOCKS_FOLDER, STATE_FOLDER, stores_over

LOG_IS_EMPTY: Final = (
    "consensus log: empty; a validator does not vote until the network has moved past what it may have signed"
)
_ASIDE_MAX: Final = 1_000


def repair_home(home: Home, genesis: Genesis, tell: Callable[[str], None]) -> bool:
    """Check every store of a home and repair what does not pass; answers whether anything was changed.

    Args:
        tell: is given one line for each thing found and done, as it happens.

    Raises:
        LedgerError: `home.missing`, `home.in_use`.
        StoreMismatch: the data is of another chain or format, which is no damage.
        OSError
    """
    with HomeLock(home):
        blocks, state = home.data / BLOCKS_FOLDER, home.data / STATE_FOLDER
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
        return _repair_log(home, tell) or changed


def set_aside(path: Path) -> Path:
    """Rename a file or folder to a name that is free; answers it."""
    for number in range(1, _ASIDE_MAX):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not aside.exists():
            path.rename(aside)
            return aside
    raise FileExistsError(f"{path} was set aside {_ASIDE_MAX - 1} times before: look at what is there")


def _problem(check: Callable[[], None]) -> StoreError | None:
    """What a check finds wrong, if anything that a repair may help."""
    try:
        check()
    except StoreMismatch:
        raise
    except StoreError as problem:
        return problem
    return None


def _check_blocks(path: Path, genesis: Genesis) -> None:
    with closing(LevelDatabase(path, create=False)) as database:
        for _ in BlockStore(database, chain_id(genesis)).audit():
            pass


def _check_state(blocks: Path, path: Path, genesis: Genesis) -> None:
    with (
        closing(LevelDatabase(blocks, create=False)) as block_database,
        closing(LevelDatabase(path, create=False)) as database,
    ):
        stores = stores_over(block_database, database, chain_id(genesis))
        for _ in stores.state.audit():
            pass
        if stores.gap.refetch:
            raise StoreError(
                "store.behind_state", path, f"blocks end at {stores.blocks.head[0]}, below the state"
            )


def _save_blocks(path: Path, genesis: Genesis, found: StoreError, tell: Callable[[str], None]) -> bool:
    """Let LevelDB save what it can of a copy; whether the result is a whole chain."""
    tell(f"blocks: {found}")
    if not path.is_dir():
        return False
    aside = set_aside(path)
    tell(f"blocks: set aside as {aside}, trying to save a copy")
    shutil.copytree(aside, path)

    def saved() -> None:
        repair(path)
        _check_blocks(path, genesis)

    problem = _problem(saved)
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
    header, writes = genesis_block(genesis)
    with closing(LevelDatabase(path, create=True)) as database:
        StateStore.create(database, chain_id(genesis), header, writes)
    LocalDisk().sync_folder(path.parent)
    tell("state: begins at genesis again; the next start runs every stored block again")


def _repair_log(home: Home, tell: Callable[[str], None]) -> bool:
    path = home.consensus_log

    def check() -> None:
        Journal.open(LocalDisk(), path)[0].close()

    found = _problem(check)
    if found is None:
        tell("consensus log: sound")
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
