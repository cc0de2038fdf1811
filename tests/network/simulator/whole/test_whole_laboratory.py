"""A run of whole nodes says what it did, and one that shows nothing fails."""

from __future__ import annotations

from functools import partial
from itertools import product
from random import Random

import pytest

from ledger.consensus.commits import Commits
from network.simulator.campaign import run_campaign
from network.simulator.whole import laboratory
from network.simulator.whole.ageing import AgeingDatabase
from network.simulator.whole.clients import Clients
from network.simulator.whole.disk import OpenDisk, Place, Trouble, founded
from network.simulator.whole.founding import consortium_of
from network.simulator.whole.havoc import Havoc
from network.simulator.whole.laboratory import run_whole
from network.simulator.whole.liar import LIES, FalsePages
from network.simulator.whole.loop import LIFE
from network.simulator.whole.scenario import SCENARIOS, plan_of
from node.executor import Executor
from node.justify import Justifier
from node.store.failure import StoreFailed
from node.store.journal import Journal

AGEING_SEEDS = range(1, 11)  # in some of them a bit turns over, in others a disk lies until the power fails


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
    assert bool(report.adversary_messages) == bool(plan_of(1, 4, scenario).lie)
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
    monkeypatch.setattr(FalsePages, "outgoing", lambda self, message, peer: (message,))
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
    assert rules(run_whole(3, 4, "whole-crash").violations) == ["justified"]


def test_nodes_that_keep_no_nullifications_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where commits take nothing along, what settled a view is gone everywhere, and nobody can be asked."""
    monkeypatch.setattr(Commits, "_settled", lambda self, path, final: (final,))
    assert rules(run_whole(1, 4, "whole-crash").violations) == ["justified"]


def test_a_page_that_is_not_what_became_final_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Served by a node that is held to be honest, false pages are findings."""
    monkeypatch.setattr(laboratory.WholeLaboratory, "_honest", property(lambda self: self._sites))
    assert set(rules(run_whole(3, 4, "whole-liar").violations)) == {"served"}


def test_what_a_lying_sync_loses_is_missed_by_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody tells the judge that the disk has lied: blocks and votes that were durable are gone."""
    monkeypatch.setattr(laboratory.WholeLaboratory, "lost_synced", lambda self, site: None)
    red = [rules(run_whole(seed, 4, "whole-ageing").violations) for seed in AGEING_SEEDS]
    assert ["durable"] in red
    assert all(found in ([], ["durable"]) for found in red)


def test_a_node_that_goes_on_with_damage_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk's checksum says so, and the node takes the value all the same."""

    def as_read(self: AgeingDatabase, key: bytes, value: bytes) -> bytes:
        damage = self._table.damage
        if damage is not None and damage.key == key:
            damage.reads += 1
            damage.reader = LIFE.get()
        return value

    monkeypatch.setattr(AgeingDatabase, "_as_read", as_read)
    red = [set(rules(run_whole(seed, 4, "whole-ageing").violations)) for seed in AGEING_SEEDS]
    assert {"damage"} in red
    assert all(found <= {"damage"} for found in red)


def test_a_failing_disk_fails_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of trouble at each store ends the process with the first write there."""
    random = Random(1)
    failures: list[StoreFailed] = []
    for trouble, place in product(Trouble, (Place.LOG, Place.BLOCKS, Place.STATE)):
        genesis = consortium_of((1, 1, 1, 1), 9).genesis
        contents = founded(genesis, None, bytes(16), bytes(16))
        disk = OpenDisk(contents, random, failures.append, lambda what: None)
        opened = disk.opened(genesis)
        disk.trouble, disk.place = trouble, place
        with pytest.raises(StoreFailed):
            {
                Place.LOG: partial(write_log, opened.journal),
                Place.BLOCKS: partial(opened.stores.evidence._database.write, {b"E": b""}),
                Place.STATE: partial(opened.stores.state._database.write, {b"x": b""}),
            }[place]()
    assert len(failures) == 9


def write_log(journal: Journal) -> None:
    journal.append(1, b"record")
    journal.sync()


def test_a_bug_that_raises_is_a_finding_with_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that falls over its own feet ends its run, not the campaign."""

    def fail(self: Executor, *arguments: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr(Executor, "_choose", fail)
    assert any("lost" in each for each in run_whole(1, 4, "whole-calm").violations)
