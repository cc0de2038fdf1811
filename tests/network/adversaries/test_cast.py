"""The cast is complete, and each of it is heard in a run."""

from __future__ import annotations

import pytest

from network.adversaries.cast import CAST
from network.simulator.laboratory import run_seed
from network.simulator.scenario import LIES, SCENARIOS, STAKES, plan_of


def test_every_lie_has_a_scenario_of_its_own() -> None:
    """Each name is played alone; the crowds take from all."""
    assert set(LIES) == set(CAST) <= set(SCENARIOS)
    assert SCENARIOS["traitors"].lies == LIES
    assert all(SCENARIOS[lie].lies == (lie,) for lie in LIES)


@pytest.mark.parametrize("nodes", [4, 7, 10])
def test_a_crowd_is_as_large_as_may_be(nodes: int) -> None:
    """Together below a third of the stake, and with any other validator at or above it."""
    sizes = set()
    for seed in range(120):
        plan = plan_of(seed, nodes, SCENARIOS["traitors"])
        held = sum(plan.stakes[liar.index] for liar in plan.liars)
        assert 3 * held < sum(plan.stakes)
        assert all(3 * (held + plan.stakes[index]) >= sum(plan.stakes) for index in plan.honest)
        sizes.add(len(plan.liars))
    assert max(sizes) > 1
    assert {plan_of(seed, nodes, SCENARIOS["traitors"]).stakes for seed in range(60)} == set(STAKES[nodes])


def test_several_lies_are_told_in_one_run() -> None:
    """Ten validators, three and more liars, and the report counts what each kind said."""
    report = next(
        each
        for each in (run_seed(seed, 10, "traitors") for seed in range(1, 20))
        if len(set(each.adversaries)) > 2
    )
    assert report.is_green, report.violations
    assert set(report.lies) == set(report.adversaries)
    assert min(report.lies.values()) > 0


def test_a_forker_forks_beneath_the_base_of_an_epoch_too() -> None:
    """Where epochs are three blocks and it leads none but the first view of each, it still has its say."""
    report = run_seed(7, 7, "forker")
    assert report.is_green, report.violations
    assert report.lies["forker"] > 0
