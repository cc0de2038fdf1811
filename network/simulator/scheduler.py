"""Virtual time, and the record of everything that happened in it.

Events of one millisecond run in the order they were asked for. The trace takes in every event
that could differ between two runs, so equal traces mean equal runs.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from typing import Final

Action = Callable[[], None]

EVENTS_MAX: Final = 400_000


class SchedulerOverrun(Exception):
    """A run took more events than it may."""


class Scheduler:
    """One queue of events on one clock, in milliseconds from 0."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self._events_max = events_max
        self.now_ms = 0
        self.events = 0
        self._count = 0
        self._queue: list[tuple[int, int, Action]] = []
        self._trace = hashlib.sha256()

    def later(self, delay_ms: int, action: Action) -> None:
        """Do this so many milliseconds from now."""
        self.at(self.now_ms + delay_ms, action)

    def at(self, at_ms: int, action: Action) -> None:
        """Do this at a time, or now if that is over."""
        self._count += 1
        heapq.heappush(self._queue, (max(at_ms, self.now_ms), self._count, action))

    def note(self, what: bytes) -> None:
        """Take something that happened into the trace."""
        self._trace.update(b"%d %d " % (self.now_ms, len(what)) + what)

    @property
    def trace_hash(self) -> str:
        """SHA-256 over everything noted so far, in hex."""
        return self._trace.hexdigest()

    def run(self, end_ms: int, is_done: Callable[[], bool]) -> bool:
        """Let time pass up to `end_ms`; stop early when `is_done`. Whether it was done.

        Raises:
            SchedulerOverrun: after `events_max` events.
        """
        while not is_done():
            if not self._queue or self._queue[0][0] > end_ms:
                self.now_ms = end_ms
                return False
            self.now_ms, _, action = heapq.heappop(self._queue)
            self.events += 1
            if self.events > self._events_max:
                raise SchedulerOverrun(f"more than {self._events_max} events at {self.now_ms} ms")
            action()
        return True
