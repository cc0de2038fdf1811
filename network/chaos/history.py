"""What clients saw: each transaction from its first byte sent to its last answer, and each head they read.

The moments come from one monotonic clock, so that "this was known before that began" means something.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from enum import Enum
from typing import Final

OPERATIONS_MAX: Final = 200_000  # of one network; the checker holds them all in memory


class Outcome(Enum):
    """What a client knows of a transaction when it stops asking."""

    FINAL = "final"  # a node said where it stands
    REFUSED = "refused"  # the only node that ever had it said that it will not take it
    UNKNOWN = "unknown"  # it may stand in the chain, or come to stand there


@dataclass(frozen=True, slots=True)
class Operation:
    """One transaction of a client. Times are seconds of `now`.

    status, height, index: as the node said, where the outcome is FINAL.
    """

    id: str
    node: str
    invoked: float
    completed: float
    outcome: Outcome
    status: str = ""
    height: int = 0
    index: int = 0


@dataclass(frozen=True, slots=True)
class Sighting:
    """The head that a node said it had: everything up to `height` was final when the answer came."""

    node: str
    invoked: float
    completed: float
    height: int
    block_id: str
    state_root: str


def now() -> float:
    """Seconds of the history's clock."""
    return time.monotonic()


class History:
    """Of one network, from its first transaction on. Any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: list[Operation] = []
        self._sightings: list[Sighting] = []

    def add(self, entry: Operation | Sighting) -> None:
        """Take note."""
        with self._lock:
            if isinstance(entry, Operation):
                assert len(self._operations) < OPERATIONS_MAX, "a network is founded anew long before"
                self._operations.append(entry)
            else:
                self._sightings.append(entry)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All transactions, in the order in which their clients were done with them."""
        with self._lock:
            return tuple(self._operations)

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        """All heads that were read."""
        with self._lock:
            return tuple(self._sightings)

    def final_since(self, moment: float) -> tuple[Operation, ...]:
        """Transactions whose clients began and were answered after a moment."""
        return tuple(
            each for each in self.operations if each.outcome is Outcome.FINAL and each.invoked >= moment
        )
