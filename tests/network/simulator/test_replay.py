"""A log tells each step, and a replay stands where the run stood."""

from __future__ import annotations

import pytest

from ledger.errors import LedgerError
from network.simulator.event_log import Head, read_head, read_trace
from network.simulator.laboratory import run_seed
from network.simulator.replay import differences, record, replay, trace_of

HEAD = Head(3, 4, "lone-holder")


def lines_of(head: Head) -> list[str]:
    lines: list[str] = []
    record(head, lines.append)
    return lines


def test_a_log_has_a_line_for_each_step_and_ends_with_the_trace() -> None:
    """Head, steps in order, hash; and to be watched changes nothing."""
    lines, report = lines_of(HEAD), run_seed(3, 4, "lone-holder")
    assert read_head(lines[0]) == HEAD
    assert [int(line.split()[0]) for line in lines[1:-1]] == list(range(1, report.steps + 1))
    assert read_trace(lines[-1]) == report.trace_hash == trace_of(HEAD)
    assert all(" n" in line and " -> " in line for line in lines[1:-1])
    said = "".join(lines)
    for word in ("proposal v", "notarize v", "finalization v", "COMMIT 1 ", "ENTER e0 v2", "persist own"):
        assert word in said


def test_a_replay_stops_after_a_step() -> None:
    """Two steps of one run, a prefix of the other; beyond the end is the end."""
    early, late = replay(HEAD, (100, 400))
    assert (early.step, late.step) == (100, 400)
    assert early.now_ms < late.now_ms
    assert replay(HEAD, (100,)) == (early,)
    (end,) = replay(HEAD, (10**9,))
    report = run_seed(3, 4, "lone-holder")
    assert end.step == report.steps
    assert tuple(int(state["height"]) for state in end.states) == report.heights


def test_differences_name_what_is_not_equal() -> None:
    """Nothing between a state and itself; view and head between two steps; a dead node has no mind."""
    early, late = replay(HEAD, (100, 400))
    assert differences(early.states[0], early.states[0]) == ()
    names = [name for name, _, _ in differences(early.states[0], late.states[0])]
    assert {"head", "height", "view"} <= set(names)
    assert differences({"process": "down"}, {"process": "up", "view": "3"}) == (
        ("process", "down", "up"),
        ("view", "", "3"),
    )


@pytest.mark.parametrize(
    "line",
    ["", "{}", "[]", "nonsense", '{"seed": "1", "nodes": 4, "scenario": "mixed"}', '{"seed": 1, "nodes": 4}'],
)
def test_an_odd_first_line_is_refused(line: str) -> None:
    """With a stable code, before anything runs."""
    with pytest.raises(LedgerError) as refusal:
        read_head(line)
    assert refusal.value.code == "sim.log_malformed"


def test_a_log_that_ends_early_has_no_trace() -> None:
    """Neither a step nor a short hash passes for one."""
    assert read_trace("   12  1.2 n0 tick -> nothing\n") is None
    assert read_trace("trace 12ab\n") is None
