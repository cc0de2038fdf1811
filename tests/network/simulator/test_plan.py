"""What a seed makes of a scenario."""

from __future__ import annotations

import pytest

from ledger.errors import LedgerError
from network.adversaries.cast import CAST
from network.simulator.campaign import parse_nodes, parse_seeds
from network.simulator.faults import Crash, Family, SlowDisk
from network.simulator.laboratory import run_seed
from network.simulator.scenario import LIES, SCENARIOS, STAKES, plan_of, scenario_of

MIXED = SCENARIOS["mixed"]


@pytest.mark.parametrize("nodes", [4, 7])
def test_faults_are_over_in_time_and_the_liar_is_below_a_third(nodes: int) -> None:
    """Whatever the seed: no incident outlasts the fault phase, no adversary holds a third of the stake."""
    for seed in range(300):
        plan = plan_of(seed, nodes, MIXED)
        assert plan.incidents
        assert all(0 < each.at_ms < each.until_ms < plan.faults_end_ms for each in plan.incidents)
        assert plan.liars
        assert 3 * sum(plan.stakes[liar.index] for liar in plan.liars) < sum(plan.stakes)
        lying = {liar.index for liar in plan.liars}
        for incident in plan.incidents:
            match incident.what:
                case Crash(nodes=victims):
                    assert lying.isdisjoint(victims)
                case SlowDisk(node=victim):
                    assert victim not in lying


@pytest.mark.parametrize("nodes", [4, 7])
def test_some_hundred_seeds_hold_everything(nodes: int) -> None:
    """Every lie, every choice of stakes, every family of faults, rest and no rest."""
    plans = [plan_of(seed, nodes, MIXED) for seed in range(200)]
    assert {liar.lie for plan in plans for liar in plan.liars} == set(LIES) == set(CAST)
    assert {plan.stakes for plan in plans} == set(STAKES[nodes])
    kinds = {type(each.what).__name__ for plan in plans for each in plan.incidents}
    assert len(kinds) == len(Family)
    assert {plan.has_rest for plan in plans} == {True, False}


def test_equal_seeds_make_equal_plans_and_others_do_not() -> None:
    """A plan is a function of seed, size and scenario."""
    assert plan_of(7, 4, MIXED) == plan_of(7, 4, MIXED)
    assert plan_of(7, 4, MIXED).incidents != plan_of(8, 4, MIXED).incidents
    assert plan_of(7, 4, MIXED).incidents != plan_of(7, 4, SCENARIOS["faults"]).incidents


@pytest.mark.parametrize(("text", "seeds"), [("5", [5]), ("3-6", [3, 4, 5, 6]), ("0-0", [0])])
def test_seeds_are_read(text: str, seeds: list[int]) -> None:
    """One seed, or a range with both ends."""
    assert list(parse_seeds(text)) == seeds


@pytest.mark.parametrize(
    "text", ["", "-", "5-", "-5", "6-3", "1-2-3", "a", "1.5", " 1", "0-1000000", "9" * 17, "٣"]
)
def test_odd_seeds_are_refused(text: str) -> None:
    """Anything else has a stable code, and nothing runs."""
    with pytest.raises(LedgerError) as refusal:
        parse_seeds(text)
    assert refusal.value.code == "sim.seeds"


@pytest.mark.parametrize("text", ["", "3", "17", "4,", ",4", "4 7", "four", "4,4,4,4,4,4,4,4,4", "-4"])
def test_odd_sizes_are_refused(text: str) -> None:
    """Networks have 4 to 16 validators."""
    with pytest.raises(LedgerError) as refusal:
        parse_nodes(text)
    assert refusal.value.code == "sim.nodes"


def test_an_unknown_scenario_is_refused() -> None:
    """With the names of those that exist."""
    with pytest.raises(LedgerError, match="mixed") as refusal:
        scenario_of("weather")
    assert refusal.value.code == "sim.unknown_scenario"


def test_no_plan_rests_before_its_faults_are_felt() -> None:
    """Storms and cuts over an idle chain hit nothing. All of seed 40 came when its clients were silent."""
    wire = scenario_of("wire")
    for seed in range(300):
        plan = plan_of(seed, 7, wire)
        first_ms = min(each.at_ms for each in plan.incidents)
        assert not plan.has_rest or first_ms + 1_100 <= plan.faults_end_ms * 60 // 100
    assert run_seed(40, 7, "wire").is_green
