"""How long work may hold the event loop before everything else in the node has its turn.

Work that takes longer than a few milliseconds asks here between its steps. A stretch never spans an
`await`, so everything in a node shares one pace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from typing import Final, Protocol, TypeVar

Result = TypeVar("Result")

SLICE_SECONDS: Final = 0.004  # longest stretch of work before the event loop gets a turn


class Pace(Protocol):
    """Two implementations: `Slices` here, and the simulator's, where chance decides."""

    def begin(self) -> None:
        """A stretch of work begins."""

    def is_over(self) -> bool:
        """Whether the stretch has lasted long enough."""

    async def rest(self) -> None:
        """Let everything else have its turn."""


class Slices:
    """Stretches of `seconds` by this machine's clock; SLICE_SECONDS unless told."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = SLICE_SECONDS if seconds is None else seconds
        self._until = 0.0

    def begin(self) -> None:
        """A stretch of work begins."""
        self._until = time.monotonic() + self._seconds

    def is_over(self) -> bool:
        """Whether the stretch has lasted long enough."""
        return time.monotonic() >= self._until

    async def rest(self) -> None:
        """One turn of the event loop."""
        await asyncio.sleep(0)


async def sliced(work: Generator[None, None, Result], pace: Pace) -> Result:
    """Run a generator to its value, with a rest after each stretch."""
    pace.begin()
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # StopIteration.value is untyped
        if pace.is_over():
            await pace.rest()
            pace.begin()


def drained(work: Generator[None, None, Result]) -> Result:
    """Run a generator to its value without a pause: at the start, when nothing else runs yet."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # StopIteration.value is untyped
