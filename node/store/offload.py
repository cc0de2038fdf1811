"""One thread that waits for the disk, so that a slow disk does not hold the event loop.

It computes nothing: a thread that did would make every signature check wait for the interpreter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class DiskThread:
    """Runs calls that wait for the disk, one at a time, in the order they came."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")

    async def run(self, call: Callable[[], None]) -> None:
        """Run a call and wait for it; it raises here. Cancelling the wait does not stop the call."""
        await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Wait for the calls that were begun, and end the thread."""
        self._executor.shutdown(wait=True)
