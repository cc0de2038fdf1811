"""What goes wrong with a store, and the one answer to a failed write: the process ends.

A database handle that has failed once may go on accepting writes and lose them, so the first
failure is the last thing that the handle does: one line to the log, then exit code 75. A start
afterwards reads what is on the disk, and nothing else.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

logger = logging.getLogger("farmgate.store")

EXIT_STORE_FAILED: Final = 75  # what `ledger-node` ends with, and what a supervisor may restart on

_NEXT_STEPS: Final = {
    errno.ENOSPC: "free space on that file system, then start the node again",
    errno.EDQUOT: "raise the quota of the node's user, then start the node again",
    errno.EIO: "check the disk (kernel log, SMART), then start the node again or join with a new home",
    errno.EROFS: "the file system is read-only: find out why, remount it, then start the node again",
    errno.EFBIG: "raise the file size limit (ulimit -f), then start the node again",
    errno.EMFILE: "raise the limit on open files (ulimit -n), then start the node again",
    errno.EACCES: "give the node's user its own files back, then start the node again",
}
_DAMAGED: Final = "Corruption"  # how what LevelDB says begins then
_NEXT_STEP_DAMAGED: Final = "look at the disk, run `ledger-node repair`, then start the node again"
_NEXT_STEP_OTHERWISE: Final = "look at the disk and at its free space, then start the node again"


class StoreError(Exception):
    """Something that a node's disk did. Never somebody else's doing, so never a `LedgerError`.

    Args:
        code: stable dotted name.
        path: the file or folder.
        message: what was found and what to do.
    """

    def __init__(self, code: str, path: Path | str, message: str) -> None:
        super().__init__(f"{code} in {path}: {message}")
        self.code = code
        self.path = str(path)
        self.message = message


class StoreCorrupted(StoreError):
    """Bytes came back that were never written there. The answer is refused; nothing is made up."""

    def __init__(self, path: Path | str, place: str, message: str) -> None:
        super().__init__("store.corrupted", path, f"{place}: {message}")
        self.place = place


class StoreLost(StoreError):
    """A store that must be there is not. A new one in its place would forget what was promised."""

    def __init__(self, path: Path | str, message: str) -> None:
        super().__init__(
            "store.lost", path, f"{message}; the store was lost, and a new one is never created here"
        )


class StoreMismatch(StoreError):
    """The store belongs to another chain, or to another release's format."""


class StoreFailed(StoreError):
    """A write failed, now or earlier: this handle does nothing any more."""

    def __init__(self, path: Path | str, message: str) -> None:
        super().__init__("store.failed", path, message)


OnFailure = Callable[[StoreFailed], None]
"""What to do about the first failed write. In a node it does not return."""


def exit_process(failure: StoreFailed) -> None:
    """Say it in one line and end the process at once: no clean-up could be trusted to write."""
    logger.critical("store_failed path=%s problem=%s", failure.path, failure.message)
    logging.shutdown()
    os._exit(EXIT_STORE_FAILED)


class FailStop:
    """Stands before every write of one store: the first failure is reported once and is final."""

    __slots__ = ("_failure", "_path", "on_failure")

    def __init__(self, path: Path | str, on_failure: OnFailure = exit_process) -> None:
        self._path = path
        self.on_failure = on_failure
        self._failure: StoreFailed | None = None

    def check(self) -> None:
        """Refuse to touch a store that has failed.

        Raises:
            StoreFailed
        """
        if self._failure is not None:
            raise self._failure

    def fail(self, doing: str, problem: Exception) -> StoreFailed:
        """Report the first failure; answers the exception to raise where the process does not end."""
        self._failure = _failed(self._path, doing, problem)
        self.on_failure(self._failure)
        return self._failure


def not_opened(path: Path | str, problem: Exception) -> StoreError:
    """Why a store does not open. That the disk has no room, no right or no answer for it is no damage of the
    store, and no repair mends it."""
    if error_number(problem) in _NEXT_STEPS:
        return _failed(path, "open", problem)
    return StoreError("store.unreadable", path, f"it does not open: {_words(problem)}")


def _failed(path: Path | str, doing: str, problem: Exception) -> StoreFailed:
    number = error_number(problem)
    name = errno.errorcode.get(number, "errno unknown") if number else "errno unknown"
    next_step = _NEXT_STEPS.get(number or 0, _NEXT_STEP_OTHERWISE)
    words = _words(problem)
    # LevelDB merges old files beside the writes, and tells the next write what it found.
    if words.startswith(_DAMAGED):
        return StoreFailed(path, f"{doing}: a file is damaged ({words}); {_NEXT_STEP_DAMAGED}")
    return StoreFailed(path, f"{doing}: {name} ({words}); {next_step}")


def _words(problem: Exception) -> str:
    """What an exception says; LevelDB's say it in bytes."""
    said = problem.args[0] if len(problem.args) == 1 else None
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(problem)


def error_number(problem: Exception) -> int | None:
    """The errno of a failure; where a library gives only the words of it, the number that they stand for."""
    number = getattr(problem, "errno", None)
    if isinstance(number, int):
        return number
    words = str(problem)
    return next((known for known in _NEXT_STEPS if os.strerror(known) in words), None)
