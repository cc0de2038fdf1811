"""The log of a run of whole nodes tells each step, and a replay stands where the run stood."""

from __future__ import annotations

import re

import pytest

from ledger.consensus.events import Input
from network.simulator.event_log import Head, read_head, read_trace
from network.simulator.replay import record, replay, trace_of
from network.simulator.whole.disk import Place, Trouble
from network.simulator.whole.incidents import (
    BadDisk,
    Crash,
    Cut,
    DataLoss,
    Flap,
    Incident,
    SlowDisk,
    What,
    Worse,
    WrongClock,
    WrongData,
)
from network.simulator.whole.laboratory import WholeLaboratory, run_whole
from network.simulator.whole.scenario import plan_of
from network.simulator.whole.site import Death
from network.simulator.whole.wire import Quality
from network.simulator.whole.words import place_of, said
from node.failpoints import FailPoint

HEAD = Head(3, 4, "whole-data")
NUMBER = r" *[0-9]+ +[0-9]+\.[0-9]{3} (?:n[0-9]|all) \S"


def lines_of(head: Head) -> list[str]:
    lines: list[str] = []
    record(head, lines.append)
    return lines


def test_a_log_has_a_line_for_each_step_and_ends_with_the_trace() -> None:
    """Head, steps in order, hash; the same bytes each time; and to be watched changes nothing."""
    lines, report = lines_of(HEAD), run_whole(3, 4, "whole-data")
    assert lines == lines_of(HEAD)
    assert read_head(lines[0]) == HEAD
    steps = lines[1:-1]
    assert [int(line.split()[0]) for line in steps] == list(range(1, report.steps + 1))
    assert all(re.match(NUMBER, line) and line.count("\n") == 1 for line in steps)
    assert read_trace(lines[-1]) == report.trace_hash == trace_of(HEAD)


def test_a_log_tells_what_consensus_does_and_what_befalls_the_sites() -> None:
    """Views, votes, commits and records as in the light simulator; starts, deaths, faults and phases; and
    nothing of this machine."""
    said = "".join(lines_of(HEAD))
    for word in ("proposal v", "notarize v", "finalization v", "COMMIT 1 ", "ENTER e0 v2", "persist own"):
        assert word in said
    for word in ("starts from its disk -> UP at height", "dies: ", "-> DOWN at height", "incident until "):
        assert word in said
    for word in ("height 1 is final, ", "VALIDATORS 0 node-0, 1 node-1", "all the faults are over"):
        assert word in said
    assert not re.search(r"0x[0-9a-f]{6}|[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|20[0-9]{2}-|[0-9]{13}", said)


def test_a_replay_stops_after_a_step() -> None:
    """Two steps of one run, a prefix of the other; to look early changes nothing later; beyond the end is
    the end."""
    early, late = replay(HEAD, (100, 400))
    assert (early.step, late.step) == (100, 400)
    assert early.now_ms < late.now_ms
    assert replay(HEAD, (100,)) == (early,)
    assert replay(HEAD, (400,)) == (late,)
    lines = lines_of(HEAD)
    assert [f"{each.line}\n" for each in (early, late)] == [lines[100], lines[400]]
    (end,) = replay(HEAD, (10**9,))
    report = run_whole(3, 4, "whole-data")
    assert end.step == report.steps
    assert tuple(int(state["height"]) for state in end.states) == report.heights
    assert {state["signer"] for state in end.states} == {"signs"}
    assert len({state["root"] for state in end.states}) == 1


def test_a_replay_tells_where_each_site_stands() -> None:
    """One that is down has no mind; one whose disk was swapped says why it does not sign."""
    lines = lines_of(HEAD)
    death = next(number for number, line in enumerate(lines) if " dies: " in line)
    victim = int(lines[death].split()[2].removeprefix("n"))
    steps = range(death, len(lines) - 1, 25)
    down, *later = replay(HEAD, steps)
    assert down.states[victim]["process"] == "down"
    assert "view" not in down.states[victim]
    others = [state for at, state in enumerate(down.states) if at != victim]
    named = {"height", "head", "root", "epoch", "view", "final", "signer", "process", "waiting", "clock"}
    assert all(named <= set(state) for state in others if state["process"] == "up")
    reasons = {state.get("signer", "") for each in later for state in each.states}
    assert any(reason.startswith("signer.") for reason in reasons)


def test_what_a_watcher_raises_ends_the_run() -> None:
    """A full disk under the log is nobody's crash in the run: it is told to who watches."""
    seen = []

    def watch(number: int, place: int | None, event: Input | str, effects: object) -> None:
        seen.append(number)
        if number == 50:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        WholeLaboratory(plan_of(3, 4, "whole-data")).run(watch)
    assert seen == list(range(1, 51))


@pytest.mark.parametrize(
    ("what", "place", "words"),
    [
        (Cut(((0, 1), (1, 0)), "one way"), None, "cut one way, 0>1 1>0"),
        (Cut(tuple((0, to) for to in range(1, 15)), "alone"), None, "0>12 and 2 more"),
        (Worse(((2, 1),), Quality(1, 30, 300)), None, "1 to 30 ms, 300 in 1000 lost"),
        (Flap(((2, 1),), 150), None, "connections reset every 150 ms, 2>1"),
        (Crash((2,), Death.POWER_CUT, None, 1), 2, "power cut, n2"),
        (
            Crash((0, 2), Death.KILLED, FailPoint.AFTER_BLOCK_SAVE, 3),
            None,
            "at pass 3 of after-block-save, n0, n2",
        ),
        (SlowDisk(1, 400), 1, "slow disk, up to 400 ms a sync"),
        (BadDisk(1, Trouble.FULL, Place.LOG), 1, "disk full, log"),
        (WrongClock(3, -1_500, 50_000), 3, "clock -1500 ms, drift +50000 ppm"),
        (WrongData(3, DataLoss.FOREIGN, 1), 3, "foreign disk of n1"),
        (WrongData(3, DataLoss.GONE, 1), 3, "new disk"),
    ],
)
def test_each_incident_has_words(what: What, place: int | None, words: str) -> None:
    """Whom it hits, until when, and what it is."""
    assert place_of(what) == place
    line = said(Incident(300, 2_500, what))
    assert line.startswith("incident until 2.500: ")
    assert line.endswith(words) or words in line
