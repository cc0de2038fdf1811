"""Long work in short stretches: consensus shares the event loop, and its votes must not wait for a reader."""

from __future__ import annotations

import asyncio
import time
from typing import Final

STRETCH_SECONDS: Final = 0.004  # as long as the executor runs before it gives the loop back


class Turns:
    """Counts one stretch of work; whoever works asks between its pieces whether the loop is due."""

    def __init__(self, stretch_seconds: float = STRETCH_SECONDS) -> None:
        self._stretch_seconds = stretch_seconds
        self._until = time.monotonic() + stretch_seconds

    async def give(self) -> None:
        """Let others work, if this stretch has lasted long enough."""
        if time.monotonic() >= self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + self._stretch_seconds
