"""The story of the demo is sound: right check digits, no flag, and a trace from the shop to both fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.capturing import read_events
from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.story import FOLDER, read_story
from contracts.provenance.capture import CaptureArguments
from contracts.provenance.trace import Direction, trace
from ledger.receipt import Status
from network.testnet.members import ORGANISATIONS
from tests.contracts.chain import DAY_MS, Chain, make_genesis

MEMBERS = {
    each.id: (each.prefix, tuple(each.place(site.reference) for site in each.sites)) for each in ORGANISATIONS
}


@dataclass
class Told:
    chain: Chain
    statuses: list[Status]


@pytest.fixture(scope="module")
def told() -> Told:
    chain = Chain(make_genesis(MEMBERS))
    chain.time_ms += 365 * DAY_MS  # the story happened before it is told
    statuses = []
    for step in read_story().steps:
        events, problems = read_events(step.file.name, step.file.read_bytes())
        assert not problems
        arguments = CaptureArguments(tuple(event.captured for event in events))
        outcome = chain.send(f"{step.organisation}/operator", "provenance", "capture", arguments)
        statuses.append(outcome.status)
    return Told(chain, statuses)


def test_nothing_is_flagged(told: Told) -> None:
    """Every step is accepted without a flag: custody, lots, packing, sites and prefixes agree."""
    assert len(told.statuses) == 10
    assert set(told.statuses) == {Status.ACCEPTED}


def test_trace_reaches_the_fields(told: Told) -> None:
    """From the case that was sold, both harvest lots are found."""
    graph = trace(told.chain.state, read_story().trace, Direction.UP)
    assert graph is not None
    assert graph.is_complete
    reached = {node.item.id for node in graph.nodes}
    assert {f"https://id.gs1.org/01/09521001001106/10/{lot}" for lot in ("N-0504", "S-0504")} <= reached


def test_every_organisation_takes_part() -> None:
    """Each member of a local network has its part, so the demo goes through every node."""
    assert {step.organisation for step in read_story().steps} == {each.id for each in ORGANISATIONS}


def test_every_document_is_told() -> None:
    """No document lies in the folder that the story does not tell."""
    told = {step.file.name for step in read_story().steps}
    assert {path.name for path in FOLDER.glob("[0-9]*.json")} == told


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"title": "x", "trace": "y", "steps": [{}]}'])
def test_missing_story(tmp_path: Path, content: str | None) -> None:
    """Without a story the demo says where it looked, and starts nothing."""
    if content is not None:
        (tmp_path / "story.json").write_text(content)
    with pytest.raises(Failure) as problem:
        read_story(tmp_path)
    assert problem.value.code == "demo.no_story"
    assert problem.value.exit_code is ExitCode.FAILED
