"""Every event of the shared EPCIS documents in by the command line, and back from each node as it went in."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.epcis.test_shared_documents import REFUSED, events_of
from tests.e2e.console import Terminal, processes_of

pytestmark = pytest.mark.e2e

VALID = "epcis/valid/2.0-json-capture"
INVALID = "epcis/invalid/2.0-json-capture"
PLACE = ("height", "transaction_index", "event_index", "transaction_id", "event_id")
NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*):(?!//)")


@dataclass(frozen=True)
class Meaning:
    """An event by itself: its fields but `@context` and recordTime, and what their prefixes stand for."""

    fields: dict[str, Any]
    namespaces: dict[str, str | None]


@dataclass(frozen=True)
class Given:
    """An event that was captured, where it stood, and what the command line said became of it."""

    place: tuple[str, str]  # document and pointer
    event: dict[str, Any]
    document: dict[str, Any]
    fate: dict[str, Any]

    @property
    def meaning(self) -> Meaning:
        """With the eventID that the server gave where there was none."""
        return meaning({"eventID": self.fate["event_id"]} | self.event, self.document)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Four validators, started by the command line and stopped by it."""
    found = Terminal(tmp_path_factory.mktemp("shared"))
    try:
        done = found.up("--json")
        assert done.code == 0, done.err
        yield found
    finally:
        assert found.testnet("down").code == 0
    assert processes_of(found.folder) == []


@pytest.fixture(scope="module")
def given(terminal: Terminal, shared_data: Path) -> list[Given]:
    """Every event of every valid document, captured by the four organisations in turn."""
    files = sorted((shared_data / VALID).rglob("*.json"))
    assert len(files) == 43
    found: list[Given] = []
    for number, organisation in enumerate(organisations(terminal)):
        share = files[number * len(files) // 4 : (number + 1) * len(files) // 4]
        fates = captured(terminal, organisation, share)
        for file in share:
            document = read_json(file.read_text())
            for event in events_of(document):
                place = (str(file), pointer_of(document, event))
                found.append(Given(place, event, document, fates.pop(place)))
        assert not fates
    assert len(found) == 73
    return found


def test_each_event_is_recorded_once(terminal: Terminal, given: list[Given]) -> None:
    """The event that stands in two documents is a duplicate and names its first; so does each sent again."""
    firsts = {each.fate["recording_id"]: each for each in given if each.fate["status"] != "duplicate"}
    (repeated,) = [each for each in given if each.fate["status"] == "duplicate"]
    assert len(firsts) == 72
    assert {each.fate["status"] for each in firsts.values()} == {"accepted", "flagged"}
    assert firsts[repeated.fate["recording_id"]].meaning == repeated.meaning
    again = captured(terminal, organisations(terminal)[3], files_of(given))
    for each in given:
        fate, first = again[each.place], firsts[each.fate["recording_id"]].fate
        assert (fate["status"], fate["recording_id"]) == ("duplicate", each.fate["recording_id"])
        assert fate["first"] == {name: first[name] for name in PLACE}


def test_each_node_answers_what_went_in(terminal: Terminal, given: list[Given]) -> None:
    """By eventID all events that bear it, by recording id that one, equal to what went in, from each node."""
    height = equal_roots(terminal)
    assert height >= max(each.fate["height"] for each in given)
    once = [each for each in given if each.fate["status"] != "duplicate"]
    by_event_id: dict[str, list[Given]] = {}
    for each in once:
        by_event_id.setdefault(each.fate["event_id"], []).append(each)
    assert len(by_event_id) == 69  # three ids are shared, one of them by three events
    for node in terminal.file()["nodes"]:
        for event_id, expected in by_event_id.items():
            assert_answered(node["api"], event_id, expected)
        for each in once:
            assert_answered(node["api"], each.fate["recording_id"], [each])


def test_invalid_documents_are_refused(terminal: Terminal, given: list[Given], shared_data: Path) -> None:
    """Every one is refused at its fields, and changes nothing."""
    height = equal_roots(terminal)
    files = sorted((shared_data / INVALID).glob("*.json"))
    assert [file.stem for file in files] == sorted(REFUSED)
    for file in files:
        done = terminal.acting("fresh-pack", "capture", str(file), "--json")
        assert done.code == 5, (file.name, done)
        told = [(each["code"], each["pointer"]) for each in done.json["events"]]
        assert told == REFUSED[file.stem], file.name
        assert {each["document"] for each in done.json["events"]} == {str(file)}
    head = equal_roots(terminal)
    later = [
        block(node["api"], each) for node in terminal.file()["nodes"] for each in range(height + 1, head + 1)
    ]
    assert [each["transactions"] for each in later] == [[]] * len(later)  # an idle chain's heartbeat at most


# --- the command line -----------------------------------------------------------------


def organisations(terminal: Terminal) -> list[str]:
    return list(terminal.file()["profiles"])


def files_of(given: list[Given]) -> list[Path]:
    return [Path(name) for name in dict.fromkeys(each.place[0] for each in given)]


def captured(
    terminal: Terminal, organisation: str, files: list[Path]
) -> dict[tuple[str, str], dict[str, Any]]:
    """What became of each event of these files, by where it stands."""
    done = terminal.acting(organisation, "capture", *map(str, files), "--json")
    assert done.code == 0, done.err
    fates = done.json["events"]
    found = {(each["document"], each["pointer"]): each for each in fates}
    assert len(found) == len(fates)
    return found


def equal_roots(terminal: Terminal) -> int:
    """Wait until all nodes stand at one height; there, and at every height below, they agree. The height."""
    terminal.until(lambda states: len({each["height"] for each in states.values()}) == 1)
    states = terminal.states().values()
    for height in {each["height"] for each in states}:
        assert len({each["state_root"] for each in states if each["height"] == height}) == 1
    height = min(int(each["height"]) for each in states)
    for each in range(1, height + 1):
        blocks = [block(node["api"], each) for node in terminal.file()["nodes"]]
        assert len({(found["id"], found["header"]["state_root"]) for found in blocks}) == 1
    return height


# --- the nodes --------------------------------------------------------------------------


def get(api: str, path: str) -> Any:
    with urllib.request.urlopen(api + path, timeout=60) as answer:
        return read_json(answer.read())


def block(api: str, height: int) -> Any:
    return get(api, f"/v1/blocks/{height}")


def assert_answered(api: str, identifier: str, expected: list[Given]) -> None:
    """Hold an answer against what went in: the same events in the same order, each meaning the same.

    Each has the `@context` that it came with, before it only prefixes that mean something else to another.
    """
    document = get(api, f"/epcis/events/{urllib.parse.quote(identifier, safe='')}")
    answered = events_of(document)
    meanings = [each.meaning for each in expected]
    assert [meaning(event, document) for event in answered] == meanings, identifier
    for event, each in zip(answered, expected, strict=True):
        own, came_with = contexts(event), contexts(each.event)
        added = own[: len(own) - len(came_with)]
        assert own[len(added) :] == came_with
        for pair in added:
            ((prefix, namespace),) = pair.items()
            assert any(other.namespaces.get(prefix, namespace) != namespace for other in meanings)


# --- meanings -----------------------------------------------------------------------------


def read_json(data: str | bytes) -> Any:
    """JSON in which no number is rounded and none equals a boolean."""

    def number(text: str) -> tuple[str, Decimal]:
        return ("number", Decimal(text))

    return json.loads(data, parse_int=number, parse_float=number)


def pointer_of(document: dict[str, Any], event: dict[str, Any]) -> str:
    """Where an event stands in its capture document; a bare event is all there is."""
    if "epcisBody" not in document:
        return ""
    (index,) = [index for index, each in enumerate(events_of(document)) if each is event]
    return f"/epcisBody/eventList/{index}"


def contexts(value: dict[str, Any]) -> list[Any]:
    found = value.get("@context", [])
    return found if isinstance(found, list) else [found]


def bound(entries: list[Any]) -> dict[str, str]:
    """The inline prefixes of a `@context`, later ones winning."""
    return {name: space for entry in entries if isinstance(entry, dict) for name, space in entry.items()}


def meaning(event: dict[str, Any], document: dict[str, Any]) -> Meaning:
    """An event by itself, taken out of its document."""
    fields = {name: value for name, value in event.items() if name not in ("@context", "recordTime")}
    in_force = bound(contexts(document)) | bound(contexts(event))
    return Meaning(fields, {name: in_force.get(name) for name in mentioned(fields)})


def mentioned(value: Any) -> Iterator[str]:
    """What stands before the colon of every name and text."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from mentioned(name)
            yield from mentioned(below)
    elif isinstance(value, list):
        for below in value:
            yield from mentioned(below)
    elif isinstance(value, str) and (found := NAME.match(value)):
        yield found[1]
