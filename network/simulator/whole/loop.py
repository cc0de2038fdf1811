"""An event loop on virtual time: the same program gives the same run, to the order of every callback.

Callbacks of one moment run in the order they were asked for; when none is left, the clock moves to the
next timer. There is no I/O, no thread and no real clock: a run of a minute takes as long as its work.
Tasks carry a number as their hash, so that a set of them has one order in every process.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any, Final

NANOSECONDS: Final = 1_000_000_000
CALLBACKS_MAX: Final = 4_000_000  # a run that needs more is spinning; a large seed takes about 300,000
WIND_UP_TURNS_MAX: Final = 100_000


class LoopOverrun(Exception):
    """A run took more than CALLBACKS_MAX callbacks."""


class Life:
    """One run of one process: what it has started ends with it."""

    def __init__(self) -> None:
        self.is_over = False
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def owns(self, task: asyncio.Task[Any]) -> None:
        """Take a task that this process has started."""
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        if self.is_over:
            task.cancel()

    def end(self) -> None:
        """Nothing of it goes on: each task is stopped at the `await` where it stands."""
        self.is_over = True
        for task in tuple(self._tasks):
            task.cancel()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # whoever waited for it has heard, or is dead too


LIFE: Final[ContextVar[Life | None]] = ContextVar("life", default=None)
"""Whose tasks are started in this context."""


class _Task(asyncio.Task[Any]):
    """A task with an order of its own."""

    def __init__(self, coroutine: Any, number: int, **named: Any) -> None:
        self._number = number
        super().__init__(coroutine, **named)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.BaseEventLoop):
    """One run's clock and queue, and the hash over everything that was noted in it."""

    def __init__(self) -> None:
        super().__init__()
        self.set_debug(False)
        self.callbacks = 0
        self.problems: list[BaseException | str] = []
        self._now_ns = 0
        self._count = 0
        self._now: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._trace = hashlib.sha256()
        self._end: Exception | None = None

    # --- time -----------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self._now_ns / NANOSECONDS

    @property
    def now_ms(self) -> int:
        """Whole virtual milliseconds since the run began."""
        return self._now_ns // 1_000_000

    def note(self, *what: bytes) -> None:
        """Take something that happened into the trace."""
        self._trace.update(b"%d %d " % (self._now_ns, len(what)))
        for part in what:
            self._trace.update(b"%d " % len(part) + part)

    @property
    def trace_hash(self) -> str:
        """SHA-256 over everything noted so far, in hex."""
        return self._trace.hexdigest()

    # --- running ---------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run until `main` has ended, or somebody has ended the run; raises what either raises.

        Raises:
            LoopOverrun: after CALLBACKS_MAX callbacks.
        """
        asyncio._set_running_loop(self)  # noqa: SLF001  # what asyncio offers to event loops
        try:
            task = self.create_task(main)
            try:
                while not task.done() and self._end is None:
                    self._turn()
                if self._end is not None:
                    raise self._end
                task.result()
            finally:
                self._wind_up()
        finally:
            self.close()
            asyncio._set_running_loop(None)  # noqa: SLF001

    def end(self, why: Exception) -> None:
        """End the run after this callback, whoever would catch what it raised: `run` raises it."""
        self._end = why

    def _wind_up(self) -> None:
        """Stop every task where it stands, so that none is left to be destroyed at some later moment."""
        for task in tuple(self._tasks):
            task.cancel()
        for _ in range(WIND_UP_TURNS_MAX):
            if not self._tasks:
                return
            self._turn()
        self.problems.append(f"{len(self._tasks)} tasks do not end when they are cancelled")

    def _turn(self) -> None:
        if not self._now:
            when, _, timer = heapq.heappop(self._timers)
            self._now_ns = max(self._now_ns, when)
            if not timer.cancelled():
                self._now.append(timer)
            return
        self.callbacks += 1
        if self.callbacks > CALLBACKS_MAX:
            raise LoopOverrun(f"more than {CALLBACKS_MAX} callbacks at {self.now_ms} ms")
        handle = self._now.popleft()
        if not handle.cancelled():
            handle._run()  # noqa: SLF001  # what asyncio offers to event loops

    # --- what asyncio asks of a loop ------------------------------------------------

    def call_soon(  # type: ignore[override]  # typeshed ties the arguments to the callback's
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback in this moment, after those that wait already."""
        handle = asyncio.Handle(callback, args, self, context)
        self._now.append(handle)
        return handle

    def call_at(  # type: ignore[override]  # as above
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a time of this clock."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (round(when * NANOSECONDS), self._count, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the queue and is passed over."""

    def create_task(
        self,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        """A task, owned by the process in whose context it is started."""
        self._count += 1
        task = _Task(coro, self._count, loop=self, name=str(name or f"task-{self._count}"), context=context)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        life = LIFE.get()
        if life is not None:
            life.owns(task)
        else:
            task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """A task of the run itself, of no process: if it failed, so did the run."""
        problem = None if task.cancelled() else task.exception()
        if problem is not None:
            self.problems.append(problem)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A callback failed, which is a bug of what runs here: kept for the verdict."""
        self.problems.append(context.get("exception") or str(context.get("message")))
