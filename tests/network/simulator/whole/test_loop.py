"""Virtual time: the order of things is fixed, and what ends with a process ends at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from network.simulator.whole import loop as loop_module
from network.simulator.whole.loop import LIFE, Life, LoopOverrun, VirtualLoop


def run(main: Coroutine[Any, Any, None]) -> VirtualLoop:
    loop = VirtualLoop()
    loop.run(main)
    return loop


def test_time_passes_only_by_waiting_and_costs_nothing() -> None:
    """An hour is over at once, and work takes no virtual time."""

    async def main() -> None:
        await asyncio.sleep(3600)
        sum(range(10_000))

    assert run(main()).now_ms == 3_600_000


def test_timers_of_one_moment_run_in_the_order_they_were_set() -> None:
    """Whatever their handles compare as."""
    seen: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(5):
            loop.call_later(0.5, seen.append, number)
        loop.call_later(0.25, seen.append, -1)
        await asyncio.sleep(1)

    run(main())
    assert seen == [-1, 0, 1, 2, 3, 4]


def test_timeouts_groups_and_cancelled_timers_work_as_in_asyncio() -> None:
    """What nodes are made of runs here unchanged."""
    ended: list[str] = []

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.sleep(10)
        asyncio.get_running_loop().call_later(1, ended.append, "never").cancel()
        async with asyncio.TaskGroup() as tasks:
            for seconds in (3, 1, 2):
                tasks.create_task(asyncio.sleep(seconds)).add_done_callback(
                    lambda _, seconds=seconds: ended.append(str(seconds))  # type: ignore[misc]
                )

    assert run(main()).now_ms == 5_000
    assert ended == ["1", "2", "3"]


def test_a_life_ends_with_all_that_it_started() -> None:
    """Tasks of tasks too, at the await where they stand; nobody else's are touched."""
    ran: list[str] = []

    async def tick(name: str) -> None:
        while True:
            await asyncio.sleep(1)
            ran.append(name)

    async def process() -> None:
        await asyncio.gather(tick("child"), asyncio.create_task(tick("grandchild")))

    async def main() -> None:
        loop, life = asyncio.get_running_loop(), Life()
        other = loop.create_task(tick("other"))
        token = LIFE.set(life)
        task = loop.create_task(process())
        LIFE.reset(token)
        await asyncio.sleep(1.5)
        life.end()
        await asyncio.sleep(1)
        assert task.cancelled()
        other.cancel()

    run(main())
    assert sorted(ran) == ["child", "grandchild", "other", "other"]


def test_a_set_of_tasks_has_one_order() -> None:
    """Their hashes are numbers of their loop, not addresses."""

    async def nothing() -> None:
        pass

    async def main() -> None:
        tasks = [asyncio.create_task(nothing()) for _ in range(3)]
        assert [hash(task) for task in tasks] == sorted(hash(task) for task in tasks)
        assert hash(tasks[0]) < 100

    run(main())


def test_a_program_that_spins_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign goes on with the next seed."""
    monkeypatch.setattr(loop_module, "CALLBACKS_MAX", 1_000)

    async def main() -> None:
        while True:  # noqa: ASYNC110 - it spins
            await asyncio.sleep(0)

    with pytest.raises(LoopOverrun):
        run(main())


def test_a_failure_in_a_callback_is_kept() -> None:
    """It would be a line in a log otherwise."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    assert [type(each) for each in run(main()).problems] == [ZeroDivisionError]


def test_the_trace_tells_runs_apart() -> None:
    """By what was noted and when; equal notes at equal times are equal."""

    def traced(at: float, what: bytes) -> str:
        async def main() -> None:
            await asyncio.sleep(at)
            loop.note(what)

        loop = VirtualLoop()
        loop.run(main())
        return loop.trace_hash

    assert traced(1, b"a") == traced(1, b"a")
    assert len({traced(1, b"a"), traced(2, b"a"), traced(1, b"b")}) == 3
