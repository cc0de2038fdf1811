"""A run that shows less than its scenario's floors is red, whatever else it kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from network.simulator.campaign import NAMES
from network.simulator.floors import PROGRESS_HEIGHTS, Floors
from network.simulator.laboratory import ALWAYS, Laboratory
from network.simulator.report import RunReport
from network.simulator.scenario import SCENARIOS, plan_of
from network.simulator.whole.laboratory import WholeLaboratory
from network.simulator.whole.scenario import SCENARIOS as WHOLE_SCENARIOS
from network.simulator.whole.scenario import plan_of as whole_plan_of

FLOORS = {name: each.floors for name, each in SCENARIOS.items()} | {
    name: each.floors for name, each in WHOLE_SCENARIOS.items()
}


def light(floors: Floors) -> RunReport:
    plan = plan_of(1, 4, SCENARIOS["silent"])
    return Laboratory(replace(plan, scenario=replace(plan.scenario, floors=floors))).run()


def whole(floors: Floors) -> RunReport:
    plan = whole_plan_of(1, 4, "whole-liar")
    return WholeLaboratory(replace(plan, scenario=replace(plan.scenario, floors=floors))).run()


def test_what_is_at_its_floor_is_enough_and_one_less_is_not() -> None:
    """Each count by itself, and each that is short is named."""
    floors = Floors(7, 10, 3, (("cut", 4),))
    assert list(floors.shortfalls(7, 10, 3, {"cut": 4})) == []
    assert list(floors.shortfalls(6, 10, 3, {"cut": 4})) == ["6 of heights, at least 7 expected"]
    assert list(floors.shortfalls(7, 9, 3, {"cut": 4})) == ["9 of faults, at least 10 expected"]
    assert list(floors.shortfalls(7, 10, 2, {"cut": 4})) == ["2 of adversary messages, at least 3 expected"]
    assert list(floors.shortfalls(7, 10, 3, {"loss": 9})) == ["0 of cut, at least 4 expected"]
    assert len(list(floors.shortfalls(0, 0, 0, {}))) == 4


@pytest.mark.parametrize("run", [light, whole])
def test_a_run_below_a_floor_is_red_as_empty(run: Callable[[Floors], RunReport]) -> None:
    """Light nodes and whole ones: exactly what the run shows is green, and one more of anything is not."""
    shown = run(Floors())
    assert len(shown.adversaries) == 1
    hits = {fault: count for fault, count in shown.faults.items() if fault != ALWAYS}
    named = tuple(hits.items())
    exact = Floors(max(shown.heights), sum(hits.values()), shown.adversary_messages, named)
    assert run(exact).violations == ()
    assert run(exact).floors == exact.as_dict()
    for short in (
        replace(exact, heights=max(shown.heights) + 1),
        replace(exact, faults=exact.faults + 1),
        replace(exact, lies=exact.lies + 1),
        replace(exact, named=((named[0][0], named[0][1] + 1),)),
    ):
        report = run(short)
        assert [each.partition(":")[0] for each in report.violations] == ["empty"]
        assert not report.is_green
        assert report.trace_hash == shown.trace_hash


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_states_its_floors(name: str) -> None:
    """Progress is asked of all, faults of those that have any, lies of those with a liar; all faults together
    are at least those by name."""
    floors = FLOORS[name]
    assert floors.heights >= PROGRESS_HEIGHTS
    assert floors.faults >= max([0, *(least for fault, least in floors.named if fault != ALWAYS)])
    if name in SCENARIOS:
        chosen = SCENARIOS[name]
        assert bool(floors.faults) == bool(chosen.families or chosen.script)
        assert bool(floors.lies) == bool(chosen.lies)  # a key that runs twice need not contradict itself
    else:
        assert bool(floors.faults) == bool(WHOLE_SCENARIOS[name].families)
        assert bool(floors.lies) <= bool(WHOLE_SCENARIOS[name].lies)


def test_each_liar_has_a_floor_of_its_own() -> None:
    """What the chattiest must tell would be no floor for who lies as a leader only."""
    assert FLOORS["flooder"].lies > 100 * FLOORS["mute-leader"].lies
    assert FLOORS["whole-liar"].lies
