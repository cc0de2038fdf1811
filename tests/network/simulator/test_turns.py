"""Plans of epochs: sets that a real chain would allow, and numbers that follow them."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from ledger.consensus.events import FIRST_OBSERVER
from network.simulator.roll import Roll
from network.simulator.scenario import SCENARIOS, plan_of
from network.simulator.turns import LONG_EPOCH, MEMBERS_MIN, TURNS, draw_turns


@pytest.mark.parametrize("stakes", [(1, 1, 1, 1), (3, 3, 2, 2), (5, 3, 2, 2, 1, 1, 1), (1,) * 10])
def test_sets_change_by_less_than_a_third_and_liars_stay_below_one(stakes: tuple[int, ...]) -> None:
    """At each turn the stake that moves, and in each set the stake that lies."""
    changes = 0
    for seed in range(200):
        lying = (1,) if 3 * stakes[1] < sum(stakes) else ()
        sets = [stakes, *draw_turns(Random(seed), stakes, lying)]
        assert len(sets) == 1 + TURNS
        for before, after in itertools.pairwise(sets):
            moved = sum(abs(new - old) for new, old in zip(after, before, strict=True))
            assert 3 * moved < sum(before)
            assert all(3 * after[node] < sum(after) and after[node] == stakes[node] for node in lying)
            assert sum(stake > 0 for stake in after) >= MEMBERS_MIN
            changes += before != after
    assert changes > 200


def test_nodes_leave_and_come_back() -> None:
    """Over some seeds every kind of change comes up."""
    kinds = set()
    for seed in range(50):
        sets = [(1, 1, 1, 1, 1), *draw_turns(Random(seed), (1, 1, 1, 1, 1), ())]
        for before, after in itertools.pairwise(sets):
            for old, new in zip(before, after, strict=True):
                if old != new:
                    kinds.add("left" if not new else "came" if not old else "gained" if new > old else "lost")
    assert kinds == {"left", "came", "gained", "lost"}


def test_about_half_of_the_plans_turn_and_those_of_turns_all_do() -> None:
    """Short epochs are in every kind of scenario; a plot that counts heads keeps its set."""
    for scenario in SCENARIOS.values():
        plans = [plan_of(seed, 4, scenario) for seed in range(40)]
        short = sum(plan.epoch_blocks < LONG_EPOCH for plan in plans)
        least, most = {0: (0, 0), 1: (40, 40)}.get(scenario.turns, (8, 32))
        assert least <= short <= most, scenario.name
        if scenario.is_equal:
            assert not any(plan.later_stakes for plan in plans)


def test_numbers_follow_the_set() -> None:
    """Indices close up when somebody leaves; who is outside has an observer's number, and both lead back."""
    roll = Roll(((1, 1, 1, 1), (1, 0, 2, 1)))
    assert [roll.peer(0, node) for node in range(4)] == [0, 1, 2, 3]
    assert [roll.peer(5, node) for node in range(4)] == [0, FIRST_OBSERVER + 1, 1, 2]
    for epoch in (0, 1):
        assert [roll.node(epoch, roll.peer(epoch, node)) for node in range(4)] == [0, 1, 2, 3]
        assert roll.members(epoch) == tuple(node for node in range(4) if roll.stakes_in(epoch)[node])
    assert [each.stake for each in roll.validators(1).validators] == [1, 2, 1]
    assert roll.node(1, 3) == 4, "nobody has this number"
