"""The campaign of whole nodes in its short form."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from network.simulator.campaign import run_campaign, summary_of
from network.simulator.whole.incidents import AGEING, HOMES, DataLoss
from network.simulator.whole.scenario import SCENARIOS, plan_of

pytestmark = pytest.mark.simulation

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(1001, 1005)


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_no_seed_breaks_a_rule_and_all_go_on(scenario: str) -> None:
    """Whole nodes agree, lose nothing that a client was told, and go on after every fault."""
    reports = list(run_campaign(SEEDS, (4,), scenario))
    assert [(report.seed, report.violations) for report in reports if not report.is_green] == []
    for report in reports:
        liar = plan_of(report.seed, 4, scenario).liar  # the others may keep it away for as long as it lies
        assert all(height >= 5 for node, height in enumerate(report.heights) if node != liar), report.seed


def test_the_faults_of_a_campaign_are_many() -> None:
    """A short campaign has deaths, bad disks, wrong data, wrong clocks and broken links."""
    reports = list(run_campaign(range(1101, 1126), (4,), "whole"))
    assert [(report.seed, report.violations) for report in reports if not report.is_green] == []
    faults = summary_of(reports)["faults"]
    assert {"killed", "power cut", "clock", "cut", "loss", "reset", "slow disk"} <= set(faults)
    assert any(name.startswith("at ") for name in faults)


@pytest.mark.parametrize(("scenario", "losses"), [("whole-data", HOMES), ("whole-ageing", AGEING)])
def test_every_loss_of_data_comes_up(scenario: str, losses: tuple[DataLoss, ...]) -> None:
    """Homes and disks go bad in every way there is, and the nodes notice or are told by their peers."""
    reports = list(run_campaign(range(1101, 1121), (4,), scenario))
    assert [(report.seed, report.violations) for report in reports if not report.is_green] == []
    assert {loss.value for loss in losses} <= set(summary_of(reports)["faults"])


def test_one_seed_has_one_trace_under_every_hash_seed() -> None:
    """Nothing depends on the order of a set, a hash or an address: three interpreters, one trace."""
    program = (
        "from network.simulator.whole.laboratory import run_whole\n"
        "print([run_whole(seed, 4, 'whole').trace_hash for seed in range(1, 4)])"
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
    assert traces.pop().count("'") == 6
