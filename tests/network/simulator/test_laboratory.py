"""A run says what it did, and an empty one fails."""

from __future__ import annotations

import pytest

from ledger.consensus.machine import Consensus
from network.adversaries.silent import Silent
from network.simulator import laboratory
from network.simulator.havoc import Havoc
from network.simulator.laboratory import run_seed
from network.simulator.scenario import LIES, SCENARIOS
from network.simulator.wire import Wire


def rules(violations: tuple[str, ...]) -> list[str]:
    return [each.partition(":")[0] for each in violations]


QUICK = [each.name for each in SCENARIOS.values() if each.rarity == 1]  # the rest take longer than a test may


@pytest.mark.parametrize("scenario", QUICK)
def test_every_scenario_is_green_and_shows_something(scenario: str) -> None:
    """Heights, faults where it has faults, lies where it has a liar."""
    report = run_seed(1, 4, scenario)
    assert report.is_green, report.violations
    assert min(report.heights) >= laboratory.PROGRESS_HEIGHTS
    chosen = SCENARIOS[scenario]
    assert bool(set(report.faults) - {"reorder"}) == bool(chosen.families or chosen.script)
    assert bool(report.adversaries) == bool(chosen.lies or chosen.has_twins)
    assert bool(report.adversary_messages) >= bool(chosen.lies)
    assert len(report.trace_hash) == 64


def test_one_seed_is_one_history() -> None:
    """The whole report is equal the second time, and another seed is another history."""
    assert run_seed(11, 4, "mixed") == run_seed(11, 4, "mixed")
    assert run_seed(11, 4, "mixed").trace_hash != run_seed(12, 4, "mixed").trace_hash


def test_a_run_without_heights_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that do nothing are found out twice: no progress, and nothing shown."""
    monkeypatch.setattr(Consensus, "_receive", lambda self, peer, message: None)
    assert rules(run_seed(1, 4, "calm").violations) == ["progress", "empty"]


def test_a_run_whose_faults_hit_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A storm that the wire never feels and cuts that cut nothing."""
    monkeypatch.setattr(Wire, "cut", lambda self, links: None)
    monkeypatch.setattr(Havoc, "schedule", lambda self, incident: None)
    assert rules(run_seed(1, 4, "wire").violations) == ["empty"]


def test_a_run_whose_adversary_says_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A liar that only tells the truth."""
    monkeypatch.setattr(Silent, "outgoing", lambda self, receiver, message: (message,))
    assert rules(run_seed(1, 4, "silent").violations) == ["empty"]


def test_a_bug_that_raises_is_a_finding_with_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign goes on; the report names the exception and its line."""

    def fail(self: Consensus) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(Consensus, "_vote_finalize", fail)
    report = run_seed(1, 4, "calm")
    assert "KeyError" in report.violations[0]
    assert "test_laboratory.py:" in report.violations[0]


def test_blocks_of_liars_do_not_break_the_quiet() -> None:
    """Three of ten lead when all rest, and say something: what honest nodes build on it is help."""
    report = run_seed(207, 10, "colluder")
    assert report.is_green, report.violations


def test_who_never_leads_is_silent_all_the_same() -> None:
    """One unit of 26 in epochs of four blocks: it has no proposal to swallow, so another habit follows."""
    report = run_seed(215, 10, "traitors")
    assert report.is_green, report.violations
    assert report.lies["silent"] > 0


@pytest.mark.parametrize("lie", LIES)
def test_every_lie_is_told(lie: str) -> None:
    """Each adversary finds something to say, or to withhold, on seven nodes too."""
    report = run_seed(2, 7, lie)
    assert report.is_green, report.violations
    assert set(report.adversaries) == {lie}
    assert report.adversary_messages > 0


def test_who_dies_late_is_started_again_all_the_same() -> None:
    """A doomed node whose write meets a slow disk dies when patience ends, not after its restart was due."""
    report = run_seed(3, 7, "mixed")
    assert report.is_green, report.violations
