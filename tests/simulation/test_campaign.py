"""The campaign in its short form: seeded networks with faults and a liar, and the bugs it must find."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from network.mutants.hunt import HUNT_SEEDS, MUTANTS, hunt, mutants_named, red_without, trials
from network.mutants.planting import Mutant, planted
from network.simulator.campaign import Trial, run_campaign, summary_of
from network.simulator.laboratory import run_seed
from network.simulator.scenario import LIES

pytestmark = pytest.mark.simulation

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("nodes", [4, 7])
def test_no_seed_breaks_a_rule_and_all_go_on(nodes: int) -> None:
    """Forty seeds with all families of faults and all lies: agreement holds, and the chain goes on."""
    reports = list(run_campaign(range(1001, 1041), (nodes,), "mixed"))
    assert [(report.seed, report.violations) for report in reports if not report.is_green] == []
    summary = summary_of(reports)
    assert set(summary["adversaries"]) == set(LIES)
    assert {"crash", "cut", "loss", "duplicate", "reorder", "slow disk", "clock", "torn write"} <= set(
        summary["faults"]
    )


def test_one_seed_has_one_trace_under_every_hash_seed() -> None:
    """Nothing depends on the order of a set or on a hash: three interpreters, one trace."""
    program = (
        "from network.simulator.laboratory import run_seed\n"
        "print([run_seed(seed, nodes, 'mixed').trace_hash for seed in range(1, 7) for nodes in (4, 7)])"
    )
    traces = set()
    for hash_seed in ("0", "1", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        found = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        traces.add(found.stdout)
    assert len(traces) == 1
    assert traces.pop().count("'") == 24


def test_the_hunt_is_green_without_a_bug() -> None:
    """The very campaign that kills most mutants finds nothing in the real machine; the scenarios that hunt
    the others are played by `make sim`, and all by `make mutants`."""
    shown = [mutant for mutant in MUTANTS if mutant.shows_in == "mixed"]
    assert len(shown) > 30
    assert red_without(HUNT_SEEDS, shown) == ()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_every_planted_bug_is_found(mutant: Mutant) -> None:
    """Some seed of the campaign goes red with it, and the report says which and why."""
    (kill,) = hunt([mutant])
    assert kill.is_killed, f"{mutant.name} survived {HUNT_SEEDS} seeds: {mutant.breaks}"
    assert Trial(kill.scenario, kill.seed, kill.nodes) in trials(mutant.shows_in, HUNT_SEEDS)
    assert kill.violation


def test_a_planted_bug_is_taken_out_again() -> None:
    """After the hunt, and after a failure within it, the machine is what it was."""
    before = run_seed(3, 4, "mixed")
    for name in ("quorum-of-half", "nothing-resent", "send-before-persist"):
        (mutant,) = mutants_named([name])
        with pytest.raises(ZeroDivisionError), planted(mutant):
            raise ZeroDivisionError
    assert run_seed(3, 4, "mixed") == before
