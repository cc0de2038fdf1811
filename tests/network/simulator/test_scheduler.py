"""Virtual time: order, bounds and the trace."""

from __future__ import annotations

import pytest

from network.simulator.scheduler import Scheduler, SchedulerOverrun


def test_events_run_by_time_and_then_by_age() -> None:
    """Two events of one millisecond run in the order they were asked for."""
    scheduler, ran = Scheduler(), list[str]()
    scheduler.later(5, lambda: ran.append("late"))
    scheduler.later(1, lambda: ran.append("first"))
    scheduler.later(1, lambda: ran.append("second"))
    assert not scheduler.run(10, lambda: False)
    assert (ran, scheduler.now_ms) == (["first", "second", "late"], 10)


def test_an_event_in_the_past_runs_now() -> None:
    """Time never goes back."""
    scheduler, times = Scheduler(), list[int]()
    scheduler.later(7, lambda: scheduler.at(3, lambda: times.append(scheduler.now_ms)))
    scheduler.run(10, lambda: False)
    assert times == [7]


def test_it_stops_when_it_is_done() -> None:
    """What lies after the goal does not happen."""
    scheduler, ran = Scheduler(), list[int]()
    for at_ms in range(1, 6):
        scheduler.at(at_ms, lambda at_ms=at_ms: ran.append(at_ms))
    assert scheduler.run(10, lambda: len(ran) == 3)
    assert (ran, scheduler.now_ms) == ([1, 2, 3], 3)


def test_a_spinning_run_ends() -> None:
    """An event that asks for itself at once is cut off at the limit, not run for ever."""
    scheduler = Scheduler(events_max=100)

    def spin() -> None:
        scheduler.later(0, spin)

    spin()
    with pytest.raises(SchedulerOverrun):
        scheduler.run(10, lambda: False)


def test_the_trace_tells_what_from_when() -> None:
    """The same words at another time, or cut at another place, are another history."""

    def trace(*notes: tuple[int, bytes]) -> str:
        scheduler = Scheduler()
        for at_ms, what in notes:
            scheduler.at(at_ms, lambda what=what: scheduler.note(what))
        scheduler.run(100, lambda: False)
        return scheduler.trace_hash

    histories = [
        trace((1, b"a"), (2, b"b")),
        trace((1, b"a"), (3, b"b")),
        trace((1, b"ab")),
        trace((1, b"b"), (2, b"a")),
    ]
    assert len(set(histories)) == len(histories)
    assert trace((1, b"a"), (2, b"b")) == histories[0]
