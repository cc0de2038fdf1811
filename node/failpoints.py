"""Places at which a node can be told to die, so that tests can show that nothing is lost there.

`FARMGATE_FAILPOINT=name[:n]` kills the process (SIGKILL: no clean-up runs) at the n-th pass of that
place. It is taken only on a chain whose genesis says that it is a test network. `ledger-node
failpoints` lists the names.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextvars import ContextVar
from enum import Enum
from typing import Final

from ledger.errors import LedgerError

VARIABLE: Final = "FARMGATE_FAILPOINT"
PASSES_MAX: Final = 1_000_000


class FailPoint(Enum):
    """A place between two durable steps. The value is its name outside."""

    BEFORE_JOURNAL_APPEND = "before-journal-append"
    AFTER_JOURNAL_APPEND = "after-journal-append"
    BEFORE_SIGNER_RECORD = "before-signer-record"
    AFTER_SIGNER_RECORD = "after-signer-record"
    BEFORE_BLOCK_SAVE = "before-block-save"
    AFTER_BLOCK_SAVE = "after-block-save"
    BEFORE_STATE_COMMIT = "before-state-commit"
    AFTER_STATE_COMMIT = "after-state-commit"
    AFTER_VOTE_SIGNED = "after-vote-signed"


DESCRIPTIONS: Final = {
    FailPoint.BEFORE_JOURNAL_APPEND: "records are about to be appended to the consensus log",
    FailPoint.AFTER_JOURNAL_APPEND: "records of the consensus log are synced, nothing has been sent yet",
    FailPoint.BEFORE_SIGNER_RECORD: "a promise of the signer (floor, vote, proposal) is about to be appended",
    FailPoint.AFTER_SIGNER_RECORD: "a promise of the signer is synced, nothing has been sent yet",
    FailPoint.BEFORE_BLOCK_SAVE: "a final block is about to be written",
    FailPoint.AFTER_BLOCK_SAVE: "the block is synced, its state is not",
    FailPoint.BEFORE_STATE_COMMIT: "the state after a final block is about to be written",
    FailPoint.AFTER_STATE_COMMIT: "block and state are synced, nobody was told",
    FailPoint.AFTER_VOTE_SIGNED: "a vote is signed and synced, and has not been sent",
}


def kill_process() -> None:
    """End the process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


class FailPoints:
    """The fail-point of this process, if one was asked for."""

    def __init__(self) -> None:
        self._point: FailPoint | None = None
        self._passes_left = 0
        self._die: Callable[[], None] = kill_process

    def arm(self, setting: str, *, is_test_network: bool, die: Callable[[], None] = kill_process) -> None:
        """Take a setting `name[:n]`, n from 1; an empty one disarms.

        Raises:
            LedgerError: `failpoint.forbidden` (not a test network), `failpoint.unknown`, `failpoint.count`.
        """
        if not setting:
            self._point = None
            return
        if not is_test_network:
            raise LedgerError(
                "failpoint.forbidden", f"{VARIABLE} is set, and this chain's genesis is no test network's"
            )
        name, colon, count = setting.partition(":")
        known = {point.value: point for point in FailPoint}
        if name not in known:
            raise LedgerError("failpoint.unknown", f"{name!r} is none of {', '.join(known)}")
        if not colon:
            count = "1"
        if not (count.isascii() and count.isdigit() and 1 <= int(count) <= PASSES_MAX):
            raise LedgerError("failpoint.count", f"{count!r} is no number from 1 to {PASSES_MAX}")
        self._point, self._passes_left, self._die = known[name], int(count), die

    def hit(self, point: FailPoint) -> None:
        """Pass a fail-point; the last time if it is the one that was asked for."""
        if point is self._point:
            self._passes_left -= 1
            if self._passes_left == 0:
                self._point = None
                self._die()


_of_process: Final = FailPoints()
arm: Final = _of_process.arm

of_node: Final[ContextVar[FailPoints]] = ContextVar("failpoints", default=_of_process)
"""Whose fail-points are passed: the process's own, or, where a process holds many nodes, those of the node
whose tasks run in this context."""


def hit(point: FailPoint) -> None:
    """Pass a fail-point of the node that runs here."""
    of_node.get().hit(point)
