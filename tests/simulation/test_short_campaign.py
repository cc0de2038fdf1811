"""The short form of the campaign: what it must find and what it must never find."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from network.mutants.hunt import hunt, red_without
from network.simulator.campaign import run_campaign

pytestmark = pytest.mark.simulation

SEEDS = range(1, 21)
HUNT_SEEDS = 60
ONE_RUN = "from network.simulator.laboratory import run_seed; print(run_seed(3, 4, 'mixed').trace_hash)"


@pytest.mark.parametrize("nodes", [4, 7])
def test_no_seed_is_red(nodes: int) -> None:
    """With faults and one liar no rule breaks, the chain goes on in the end, and no run is empty."""
    for report in run_campaign(SEEDS, (nodes,), "mixed"):
        assert report.is_green, (report.seed, report.violations)
        assert max(report.heights) > 0
        assert sum(report.faults.values()) > 0
        assert report.adversary_messages > 0


def test_same_seed_same_trace() -> None:
    """One seed gives one trace hash, whatever order the interpreter gives to hashes."""
    traces = []
    for hash_seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", ONE_RUN], env=environment, capture_output=True, text=True, check=True
        )
        traces.append(done.stdout.strip())
    assert len(set(traces)) == 1
    assert len(traces[0]) == 64


def test_every_planted_bug_is_killed() -> None:
    """The campaign is green without a bug, and red with each bug of the list."""
    assert red_without(HUNT_SEEDS) == ()
    survivors = [kill.mutant for kill in hunt(seeds=HUNT_SEEDS) if not kill.is_killed]
    assert survivors == []
