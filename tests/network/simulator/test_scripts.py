"""What the scripts make of a seed, and the numbered list of Twins."""

from __future__ import annotations

import pytest

from network.simulator.faults import Sift
from network.simulator.laboratory import Laboratory, run_seed
from network.simulator.scenario import SCENARIOS, plan_of
from network.simulator.scripts.twins import PARTS, partitions, scenario_number, scenarios
from network.simulator.sieve import ViewCuts

SCRIPTED = [each for each in SCENARIOS.values() if each.script]


@pytest.mark.parametrize("scenario", SCRIPTED, ids=[each.name for each in SCRIPTED])
def test_a_script_ends_what_it_begins(scenario: object) -> None:
    """Every incident is over before the fault phase is, at each of its sizes; equal seeds, equal plots."""
    chosen = next(each for each in SCRIPTED if each is scenario)
    for nodes in chosen.sizes:
        for seed in range(12):
            plan = plan_of(seed, nodes, chosen)
            assert plan == plan_of(seed, nodes, chosen)
            assert plan.incidents
            assert all(0 < each.at_ms < each.until_ms < plan.faults_end_ms for each in plan.incidents)


def test_every_script_says_how_often_it_must_hit() -> None:
    """By the fault's name, but for the one whose fault has two names, and that fails when neither hits."""
    assert [each.name for each in SCRIPTED if not each.floors.named] == ["older-disk"]
    assert all(each.floors.faults for each in SCRIPTED)


def test_partitions_are_all_of_them_and_each_once() -> None:
    """Five places in at most three groups: 1 + 15 + 25. Nine in at most two: 2^8."""
    assert len(set(partitions(5, 3))) == len(partitions(5, 3)) == 41
    assert len(set(partitions(9, 2))) == len(partitions(9, 2)) == 256
    assert all(row[0] == 0 for row in partitions(9, 2))


@pytest.mark.parametrize("places", sorted(PARTS))
def test_no_two_seeds_are_one_scenario_of_twins(places: int) -> None:
    """The list is longer than any campaign, and the stride visits it without coming back."""
    assert scenarios(places) > 10**9
    numbers = [scenario_number(seed, places) for seed in range(5_000)]
    assert len(set(numbers)) == len(numbers)


def test_twins_run_in_two_places_and_contradict_each_other() -> None:
    """The key of each twin is in two of the groups' columns; over some seeds they say what one may not."""
    for nodes, places in ((4, 5), (7, 9)):
        plan = plan_of(1, nodes, SCENARIOS["twins"])
        assert len(plan.twins) == places - nodes
        (incident,) = plan.incidents
        assert isinstance(incident.what, Sift)
        assert isinstance(incident.what.sieve, ViewCuts)
        assert {len(row) for row in incident.what.sieve.groups} == {places}
    reports = [run_seed(seed, 4, "twins") for seed in range(1, 7)]
    assert all(report.is_green for report in reports)
    assert sum(report.lies["twins"] for report in reports) > 0
    assert all(len(report.heights) == 5 for report in reports)


def test_scripts_and_lies_are_kept_apart() -> None:
    """But for the one that is about both, so that a red run has one cause to look for."""
    assert [each.name for each in SCRIPTED if each.lies] == ["false-pages"]


def test_twins_need_their_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions that part nobody make an empty run, and that is red."""
    monkeypatch.setattr(ViewCuts, "passes", lambda self, sender, receiver, mail: mail)
    assert any("view partition" in each for each in run_seed(1, 4, "twins").violations)


def test_an_hour_without_blocks_ends_at_the_cap_and_soon() -> None:
    """The timer has grown to its cap, and a block is final well within twice the cap after the outage."""
    assert SCENARIOS["hour-of-nothing"].is_capped
    assert SCENARIOS["hour-of-nothing"].recovery_ms_max == 2 * 15_000


def test_a_view_that_is_too_short_or_too_long_is_not_at_the_cap() -> None:
    """From twice to three times 15 s, with some seconds for the mail."""
    laboratory = Laboratory(plan_of(1, 4, SCENARIOS["calm"]))
    spans = ((0, 29_000), (0, 30_000), (5, 45_005), (0, 51_000))
    laboratory._entered_ms = dict(enumerate(spans))
    laboratory._judge_cap()
    assert [each.partition(" took ")[0] for each in laboratory.oracle.violations] == [
        "cap: the last view of node 0",
        "cap: the last view of node 3",
    ]
