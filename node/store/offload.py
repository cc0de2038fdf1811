"""One thread that waits for the disk, so that a slow disk does not hold the event loop.

It computes nothing: a thread that did would make every signature check wait for the interpreter.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class DiskThread:
    """Runs calls that wait for the disk, one at a time, in the order they came."""

    def __init__(self, observe: Callable[[float], None] = lambda seconds: None) -> None:
        """Args: `observe` is told the seconds that each call waited for the disk."""
        self._observe = observe
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")

    async def run(self, call: Callable[[], None]) -> None:
        """Run a call and wait for it; it raises here. Cancelling the wait does not stop the call."""
        loop = asyncio.get_running_loop()
        self._observe(await loop.run_in_executor(self._executor, _timed, call))

    def close(self) -> None:
        """Wait for the calls that were begun, and end the thread."""
        self._executor.shutdown(wait=True)


def _timed(call: Callable[[], None]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started
