"""A run of whole nodes says what it did, and one that shows nothing fails."""

from __future__ import annotations

import pytest

from ledger.consensus.commits import Commits
from network.simulator.campaign import run_campaign
from network.simulator.whole import laboratory
from network.simulator.whole.clients import Clients
from network.simulator.whole.havoc import Havoc
from network.simulator.whole.laboratory import run_whole
from network.simulator.whole.liar import LIES, FalsePages
from network.simulator.whole.scenario import SCENARIOS
from node.executor import Executor
from node.justify import Justifier


def rules(violations: tuple[str, ...]) -> list[str]:
    return [each.partition(":")[0] for each in violations]


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_every_scenario_is_green_and_shows_something(scenario: str) -> None:
    """Heights at every node, and faults where it has faults."""
    (report,) = run_campaign([1], [4], scenario)
    assert report.is_green, report.violations
    assert report.scenario == scenario
    assert min(report.heights) >= laboratory.PROGRESS_HEIGHTS
    assert bool(report.faults) == bool(SCENARIOS[scenario].families)
    assert bool(report.adversary_messages) == bool(SCENARIOS[scenario].lies)
    assert len(report.trace_hash) == 64


@pytest.mark.parametrize(("seed", "lie"), list(enumerate(LIES)))
def test_every_liar_lies_and_is_found_out(seed: int, lie: str) -> None:
    """What a site serves besides consensus is believed by nobody without proof."""
    report = run_whole(seed, 4, "whole-liar")
    assert report.is_green, report.violations
    assert report.lies.keys() == {lie}
    assert report.adversary_messages


def test_a_run_whose_liar_tells_the_truth_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would show nothing about lies."""
    monkeypatch.setattr(FalsePages, "outgoing", lambda self, message: (message,))
    assert rules(run_whole(0, 4, "whole-liar").violations) == ["empty"]


def test_one_seed_is_one_history() -> None:
    """The whole report is equal the second time, and another seed is another history."""
    assert run_whole(11, 4, "whole") == run_whole(11, 4, "whole")
    assert run_whole(11, 4, "whole").trace_hash != run_whole(12, 4, "whole").trace_hash


def test_seven_nodes_run_too() -> None:
    """With unequal stakes among them."""
    report = run_whole(2, 7, "whole")
    assert report.is_green, report.violations
    assert len(report.heights) == 7


def test_a_run_whose_faults_hit_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Incidents that never begin."""

    async def nothing(self: Havoc, incident: object) -> None:
        pass

    monkeypatch.setattr(Havoc, "run", nothing)
    assert rules(run_whole(1, 4, "whole").violations) == ["empty"]


def test_a_run_whose_clients_hear_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sends, so nothing is committed and nobody is told anything."""

    def nothing(self: Clients, site: object, raw: bytes) -> None:
        pass

    monkeypatch.setattr(Clients, "_submit", nothing)
    assert "empty" in rules(run_whole(1, 4, "whole-calm").violations)


def test_a_node_that_fills_no_holes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that jumped a view and never asks what settled it could not name who forked there."""

    async def nothing(self: Justifier) -> None:
        pass

    monkeypatch.setattr(Justifier, "fill", nothing)
    assert rules(run_whole(1, 4, "whole-crash").violations) == ["justified"]


def test_nodes_that_keep_no_nullifications_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where commits take nothing along, what settled a view is gone everywhere, and nobody can be asked."""
    monkeypatch.setattr(Commits, "_settled", lambda self, path, final: (final,))
    assert rules(run_whole(1, 4, "whole-crash").violations) == ["justified"]


def test_a_bug_that_raises_is_a_finding_with_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that falls over its own feet ends its run, not the campaign."""

    def fail(self: Executor, *arguments: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(Executor, "_choose", fail)
    assert any("lost" in each for each in run_whole(1, 4, "whole-calm").violations)
