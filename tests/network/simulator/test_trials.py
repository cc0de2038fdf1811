"""A campaign runs what it says, on one process or several, and counts it."""

from __future__ import annotations

from collections import Counter

import pytest

from ledger.errors import LedgerError
from network.simulator.campaign import NAMES, Trial, adversaries_of, run_trials, table_of, trials_of
from network.simulator.scenario import SCENARIOS


def test_each_scenario_comes_at_its_sizes_and_the_slow_ones_seldom() -> None:
    """In forty rounds each at each of its sizes, those with a rarity in one of so many."""
    trials = list(trials_of(NAMES, range(1, 41), None))
    assert len(set(trials)) == len(trials)
    runs = Counter(trial.scenario for trial in trials)
    assert set(runs) == set(NAMES)
    assert all(runs[name] == 40 // each.rarity * len(each.sizes) for name, each in SCENARIOS.items())


def test_the_seeds_of_a_long_campaign_are_more_than_twenty_thousand_runs() -> None:
    """What `make sim-long` takes."""
    assert sum(1 for _ in trials_of(NAMES, range(1, 161), None)) > 20_000


def test_sizes_can_be_chosen_and_names_must_exist() -> None:
    """Whatever a scenario's own sizes are."""
    assert list(trials_of(["calm"], [5], (7,))) == [Trial("calm", 5, 7)]
    with pytest.raises(LedgerError) as refusal:
        trials_of(["calm", "weather"], [5], None)
    assert refusal.value.code == "sim.unknown_scenario"


def test_processes_change_nothing() -> None:
    """The reports of two processes are those of one, in the same order."""
    trials = list(trials_of(["calm", "silent", "halves"], range(1, 3), (4,)))
    assert list(run_trials(trials, jobs=2)) == list(run_trials(trials))


def test_tables_count_by_scenario_and_by_adversary() -> None:
    """Every run is in one row of the one; a liar in its row of the other."""
    reports = list(run_trials(trials_of(["calm", "silent", "colluder"], range(1, 3), (4, 7))))
    rows = {row["scenario"]: row for row in table_of(reports)}
    assert {name: row["runs"] for name, row in rows.items()} == {"calm": 4, "silent": 4, "colluder": 4}
    assert rows["calm"]["faults"] == rows["calm"]["lies"] == 0
    assert all(row["green"] == 4 and row["heights"] > 4 for row in rows.values())
    liars = {row["adversary"]: row for row in adversaries_of(reports)}
    assert liars["silent"]["liars"] == 4
    assert liars["colluder"]["liars"] > 4
    assert sum(row["lies"] for row in liars.values()) == sum(row["lies"] for row in rows.values())
