"""The folder that a node lives in: where each thing lies, who may be in it, and how much room is left.

node.toml       settings (`node.config`)
genesis.json    the chain (`node.genesis_file`)
keys/           secret seeds, readable by the node's user alone (`node.keys`)
tls/            the node's certificate
queries.json    the site's named EPCIS queries (`node.api.epcis.named_queries`)
recovery-N.approved  the one recovery of epoch N that its operator approved (`node.recovery_moves`)
data/           everything that the node writes while it runs; held by one process at a time
    blocks/  state/     LevelDB (`node.store.stores`)
    consensus/          the consensus log (`node.store.journal`)
    signer/             empty: its inode number tells this home from a copy (`node.founding`)
    halted              why the node stopped itself the last time it ran; gone when it starts
    blocks.lost         while lost blocks are fetched again (`node.lost_blocks`)
    *.damaged-N         what a repair or a start has put something new in the place of
    node.lock           held, as long as the process lives, by whoever has `data/` open
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from ledger.errors import LedgerError
from node.store.disk import LocalDisk

FOLDER_MODE: Final = 0o700
_ASIDE_MAX: Final = 1_000
_LOCK_BYTES_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one node. Nothing is created by asking for one."""

    root: Path

    @property
    def settings(self) -> Path:
        """node.toml"""
        return self.root / "node.toml"

    @property
    def genesis(self) -> Path:
        """genesis.json"""
        return self.root / "genesis.json"

    @property
    def keys(self) -> Path:
        """The folder of secret seeds."""
        return self.root / "keys"

    @property
    def tls(self) -> Path:
        """The folder of the node's certificate."""
        return self.root / "tls"

    @property
    def data(self) -> Path:
        """The folder of all that the node writes."""
        return self.root / "data"

    @property
    def consensus_log(self) -> Path:
        """The consensus log."""
        return self.data / "consensus" / "records.log"

    @property
    def signer(self) -> Path:
        """The folder that no copy of the home shares with it."""
        return self.data / "signer"

    @property
    def halted(self) -> Path:
        """The last words of a node that stopped itself."""
        return self.data / "halted"

    def approved(self, epoch: int) -> Path:
        """What was approved in place of an epoch; beside `data`, which a repair may set aside."""
        return self.root / f"recovery-{epoch}.approved"

    @property
    def lock(self) -> Path:
        """The file that the running process holds."""
        return self.data / "node.lock"

    def make(self) -> None:
        """Make the folders of a new home, empty; those that are there already are left as they are."""
        for folder in (self.root, self.keys, self.tls):
            folder.mkdir(mode=FOLDER_MODE, parents=folder == self.root, exist_ok=True)

    @contextmanager
    def new_data(self) -> Iterator[Home]:
        """Fill a new data folder: inside, a home whose `data` is to be filled; afterwards it is in place.

        If anything fails, or the process dies, the home has no data and the next try begins anew.

        Raises:
            LedgerError: `home.exists`.
        """
        if self.data.exists():
            raise LedgerError("home.exists", f"{self.data} is there already; it is not made anew")
        making = Home(self.root / "data.new")
        shutil.rmtree(making.root, ignore_errors=True)
        making.root.mkdir(mode=FOLDER_MODE)
        for folder in (making.data, making.consensus_log.parent, making.signer):
            folder.mkdir(mode=FOLDER_MODE)
        yield making
        disk = LocalDisk()
        for folder in (making.consensus_log.parent, making.signer, making.data):
            disk.sync_folder(folder)
        disk.rename(making.data, self.data)
        disk.sync_folder(self.root)
        making.root.rmdir()


class HomeLock:
    """The right to open a home's data, held by one process until it ends or lets go.

    Taken before anything in `data/` is opened: LevelDB's own lock is lost when its holder opens twice.
    """

    def __init__(self, home: Home) -> None:
        """Take the lock at once, or refuse.

        Raises:
            LedgerError: `home.missing`, `home.in_use`, `home.unreadable`.
        """
        try:
            self._descriptor = os.open(
                home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except FileNotFoundError:
            raise LedgerError(
                "home.missing", f"{home.data} is not there; `ledger-node init` or `join` makes it"
            ) from None
        except OSError as problem:
            raise LedgerError("home.unreadable", f"{home.lock}: {problem.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, _LOCK_BYTES_MAX, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise LedgerError(
                "home.in_use", f"{home.root} is in use by process {holder or 'unknown'}"
            ) from None
        with suppress(OSError):  # a full disk: who asks hears "unknown", and the stores say what is wrong
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let go; every store must be closed by now."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def set_aside(path: Path) -> Path:
    """Rename a file or folder to a name that is free; answers it."""
    for number in range(1, _ASIDE_MAX):
        aside = path.with_name(f"{path.name}.damaged-{number}")
        if not aside.exists():
            path.rename(aside)
            return aside
    raise FileExistsError(f"{path} was set aside {_ASIDE_MAX - 1} times before: look at what is there")


# --- free space -------------------------------------------------------------------


class Space(NamedTuple):
    """Room on the file system of a home, in bytes."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class SpaceLimits:
    """Below which free space a node stops what. A full disk ends the process, so it must never get there.

    admit_percent_min, admit_bytes_min: below either, no transaction is taken in any more.
    vote_bytes_min: below it, the node does not vote any more; it goes on answering reads.
    """

    admit_percent_min: int = 5
    admit_bytes_min: int = 2 << 30
    vote_bytes_min: int = 1 << 30


class SpaceVerdict(Enum):
    """What the free space still allows."""

    ENOUGH = "enough"
    STOP_ADMITTING = "stop_admitting"
    STOP_VOTING = "stop_voting"  # and admitting


def judge_space(space: Space, limits: SpaceLimits) -> SpaceVerdict:
    """What the free space allows under these limits."""
    if space.free_bytes < limits.vote_bytes_min:
        return SpaceVerdict.STOP_VOTING
    if space.free_bytes < limits.admit_bytes_min:
        return SpaceVerdict.STOP_ADMITTING
    if space.free_bytes * 100 < space.total_bytes * limits.admit_percent_min:
        return SpaceVerdict.STOP_ADMITTING
    return SpaceVerdict.ENOUGH


def read_space(folder: Path) -> Space:
    """The room that this process may use on a folder's file system."""
    found = os.statvfs(folder)
    return Space(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
