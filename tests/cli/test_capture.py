"""Capture: one line an event, nothing half-written, harmless to repeat."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cli import capturing
from cli.advice import advice_for
from cli.capturing import FoundEvent, Origin, batches, read_events
from cli.exit_code import ExitCode
from cli.sending import Outcome, Sender
from contracts.epcis.captured import EVENT_BYTES_MAX
from contracts.epcis.document import DOCUMENT_BYTES_MAX, DOCUMENT_EVENTS_MAX, capture_event
from contracts.epcis.problems import PROBLEMS_MAX
from contracts.provenance.capture import EVENTS_MAX, CaptureArguments
from ledger.types import ARGUMENTS_BYTES_MAX
from tests.cli.shell import Site, shell

CONTEXT = "https://ref.gs1.org/standards/epcis/epcis-context.jsonld"
VALID = Path(__file__).resolve().parents[2] / "examples" / "epcis" / "valid"
INVALID = VALID.parent / "invalid"


def observed(*items: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "eventTime": "2025-12-01T08:00:00.000Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": list(items),
        **more,
    }


def document(*events: dict[str, Any]) -> dict[str, Any]:
    return {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2025-12-01T09:00:00Z",
        "epcisBody": {"eventList": list(events)},
    }


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_one_result_an_event(site: Site, tmp_path: Path) -> None:
    """Each event is answered in order, with its place in the file, its id and its height."""
    file = write(tmp_path, "two.json", document(observed("urn:x:1"), observed("urn:x:2", eventID="urn:x:e2")))
    said = shell("--profile", site.profile("farm"), "capture", str(file), "--json")
    assert said.code == ExitCode.OK
    first, second = said.json["events"]
    assert first["pointer"] == "/epcisBody/eventList/0"
    assert second["event_id"] == "urn:x:e2"
    assert {first["status"], second["status"]} <= {"accepted", "flagged"}
    assert (first["height"], first["event_index"], second["event_index"]) == (1, 0, 1)


def test_xml_is_known_by_its_content(site: Site, tmp_path: Path) -> None:
    """An XML document is recorded whatever it is called; a fault in it has a pointer as in JSON."""
    name = "harvest-1.2.xml"
    data = (VALID.parent / "xml" / name).read_text("utf-8")
    said = shell("--profile", site.profile("farm"), "capture", str(write(tmp_path, "a.json", data)), "--json")
    assert said.code == ExitCode.OK
    assert [each["pointer"] for each in said.json["events"]] == [
        "/epcisBody/eventList/0",
        "/epcisBody/eventList/1",
    ]
    again = shell("--profile", site.profile("farm"), "capture", str(VALID.parent / "xml" / name), "--json")
    assert {each["status"] for each in again.json["events"]} == {"duplicate"}
    bad = write(tmp_path, "b.json", data.replace("<action>ADD</action>", "<action>AD</action>"))
    refused = shell("capture", str(bad), "--json")
    assert (refused.code, refused.json["events"][0]["pointer"]) == (
        ExitCode.REJECTED,
        "/epcisBody/eventList/0/action",
    )


def test_again_is_a_duplicate(site: Site, tmp_path: Path) -> None:
    """A file captured twice is answered with the first recording, and exit code 0."""
    file = write(tmp_path, "one.json", document(observed("urn:x:1")))
    profile = site.profile("farm")
    first = shell("--profile", profile, "capture", str(file), "--json").json["events"][0]
    said = shell("--profile", profile, "capture", str(file), "--json")
    again = said.json["events"][0]
    assert said.code == ExitCode.OK
    assert again["status"] == "duplicate"
    assert again["first"]["transaction_id"] == first["transaction_id"]
    assert again["first"]["height"] == first["height"]
    assert again["transaction_id"] != first["transaction_id"]
    assert again["recording_id"] == first["recording_id"]
    assert first["recording_id"] == f"urn:farmgate:event:{first['transaction_id']}:0"


def test_text_names_flags(site: Site, tmp_path: Path) -> None:
    """For people, a flagged event is followed by a line a flag, and the summary counts."""
    file = write(tmp_path, "flagged.json", document(observed("urn:x:never-made", bizStep="shipping")))
    said = shell("--profile", site.profile("farm"), "capture", str(file))
    assert said.code == ExitCode.OK
    assert said.out.startswith("flagged    ")
    assert "item.unknown" in said.out
    assert "1 event: 1 flagged" in said.err


def test_one_mistake_and_nothing_is_sent(site: Site, tmp_path: Path) -> None:
    """A mistake in the last file is told with its field, and no event of any file is recorded."""
    good = write(tmp_path, "good.json", document(observed("urn:x:1")))
    bad = observed("urn:x:2")
    del bad["eventTime"]
    wrong = write(tmp_path, "wrong.json", document(observed("urn:x:3"), bad))
    said = shell("--profile", site.profile("farm"), "capture", str(good), str(wrong), "--json")
    assert said.code == ExitCode.REJECTED
    (problem,) = said.json["events"]
    assert (problem["status"], problem["code"]) == ("refused", "epcis.missing_field")
    assert problem["document"] == str(wrong)
    assert problem["pointer"] == "/epcisBody/eventList/1/eventTime"
    assert site.node.head()[0] == 0
    assert not site.node.pending


def test_invalid_samples_are_refused_as_indexed(told_site: Site) -> None:
    """Each invalid sample is refused with the code and pointer that its index names; nothing is sent."""
    before = told_site.node.head()
    profile = told_site.profile("farm")
    index = json.loads((INVALID / "index.json").read_text())
    entries = index if isinstance(index, list) else list(index.items())
    assert len(entries) > 50
    for name in sorted(path.name for path in INVALID.glob("*.json") if path.name != "index.json"):
        said = shell("--profile", profile, "capture", str(INVALID / name), "--json")
        assert said.code == ExitCode.REJECTED, name
        assert all(each["status"] == "refused" and each["code"] for each in said.json["events"]), name
    assert told_site.node.head() == before


def test_standard_input(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "-" reads a document from standard input."""
    data = json.dumps(document(observed("urn:x:1"))).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    said = shell("--profile", site.profile("farm"), "capture", "-", "--json")
    assert said.code == ExitCode.OK
    assert said.json["events"][0]["document"] == "<stdin>"


def test_dry_run(site: Site, tmp_path: Path) -> None:
    """--dry-run checks and sends nothing, without a key or a node."""
    file = write(tmp_path, "one.json", document(observed("urn:x:1")))
    said = shell("capture", str(file), "--dry-run", "--json")
    assert (said.code, said.json["checked"]) == (ExitCode.OK, 1)
    assert not site.node.pending


@pytest.mark.parametrize("words", [[], ["no-such-file.json"], ["."]])
def test_bad_usage(words: list[str]) -> None:
    """No file, a missing file and a folder are wrong usage."""
    assert shell("capture", *words).code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "json.malformed"),
        ("{", "json.malformed"),
        ("[]", "epcis.not_a_document"),
        ("<?xml version='1.0'?><epcis:EPCISDocument/>", "xml.malformed"),
        ("\ufeff  <a/>", "epcis.not_a_document"),
        ("<!DOCTYPE a><a/>", "xml.doctype"),
        ('{"a": 1, "a": 2}', "json.duplicate_key"),
    ],
)
def test_no_document(tmp_path: Path, content: str, code: str) -> None:
    """What is no EPCIS document is refused with a code before anybody is asked."""
    said = shell("capture", str(write(tmp_path, "bad", content)), "--json")
    assert said.code == ExitCode.REJECTED
    assert said.json["events"][0]["code"] == code


def test_too_large(tmp_path: Path) -> None:
    """A file beyond the limit is refused and not read to its end."""
    path = tmp_path / "large.json"
    path.write_bytes(b" " * (DOCUMENT_BYTES_MAX + 10))
    said = shell("capture", str(path), "--json")
    assert said.json["events"][0]["code"] == "json.too_large"
    assert said.json["events"][0]["message"] == "more than 8 MiB"
    assert "try: split it: a document has at most 8 MiB and 5,000 events" in said.err


def test_limits_in_advice_are_those_in_force() -> None:
    """What is advised about too large files is what is checked."""
    assert f"{DOCUMENT_BYTES_MAX >> 20} MiB and {DOCUMENT_EVENTS_MAX:,} events" in advice_for(
        "json.too_large"
    )
    assert f"{EVENT_BYTES_MAX >> 10} KiB" in advice_for("epcis.event_too_large")


def test_problems_are_counted_as_such(tmp_path: Path) -> None:
    """For people: what is wrong and where, that nothing was sent, and what to try."""
    bad = [observed(f"urn:x:{number}", action="X") for number in range(PROBLEMS_MAX + 20)]
    files = [write(tmp_path, "many.json", document(*bad)), write(tmp_path, "empty.json", "")]
    said = shell("capture", *map(str, files))
    assert said.code == ExitCode.REJECTED
    assert len(said.out.splitlines()) == PROBLEMS_MAX + 1
    assert said.out.splitlines()[-1].endswith("empty.json  nothing is there  [json.malformed]")
    assert said.err.splitlines() == [
        "nothing was sent: 101 problems in 2 files (of each file the first 100)",
        "try: farmgate explain epcis.unknown_action",
        "try: is it the right file? What is captured is EPCIS 2.0 in JSON, saved as UTF-8",
    ]
    assert shell("capture", *map(str, files), "-q").err == ""


def test_a_file_that_breaks_while_it_is_read(tmp_path: Path) -> None:
    """The file is named; the exit code is that of a failure here."""
    said = shell("capture", "/proc/self/mem", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.FAILED, "usage.unreadable")
    assert said.error["message"].startswith("/proc/self/mem can't be read: ")


def test_a_name_of_any_bytes(site: Site, tmp_path: Path) -> None:
    """A file whose name is no UTF-8 is captured, and its name is shown escaped."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.json"))
    path.write_text(json.dumps(document(observed("urn:x:1"))))
    profile = site.profile("farm")
    said = shell("--profile", profile, "capture", str(path), "--json")
    assert (said.code, said.json["events"][0]["document"]) == (ExitCode.OK, str(path))
    said = shell("--profile", profile, "capture", str(path))
    assert said.code == ExitCode.OK
    assert "caf\\udce9.json" in said.out


def test_interrupted_between_transactions(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in a long capture: what was recorded until then is told, and what was not."""
    file = write(tmp_path, "long.json", document(*(observed(f"urn:x:{n}") for n in range(EVENTS_MAX + 5))))
    deliver = Sender.deliver
    sent: list[str] = []

    def interrupted(sender: Sender, transaction: Any) -> Outcome:
        sent.append(transaction.id.hex())
        if len(sent) == 2:
            raise KeyboardInterrupt
        return deliver(sender, transaction)

    monkeypatch.setattr(Sender, "deliver", interrupted)
    said = shell("--profile", site.profile("farm"), "capture", str(file), "--json")
    assert said.code == ExitCode.INTERRUPTED
    assert len(said.json["events"]) == EVENTS_MAX
    assert f"5 of {EVENTS_MAX + 5} events were not recorded" in said.err


def test_not_waiting(site: Site, tmp_path: Path) -> None:
    """--no-wait says where the event is, and how to learn what became of it."""
    site.node.seals_on_wait = False
    file = write(tmp_path, "one.json", document(observed("urn:x:1")))
    said = shell("--profile", site.profile("farm"), "capture", str(file), "--no-wait")
    assert said.code == ExitCode.OK
    assert said.out.startswith("pending    ")
    assert "farmgate outbox send" in said.err


def test_empty_document(site: Site, tmp_path: Path) -> None:
    """A document without events records nothing, and is no error."""
    said = shell(
        "--profile", site.profile("farm"), "capture", str(write(tmp_path, "e", document())), "--json"
    )
    assert (said.code, said.json["events"]) == (ExitCode.OK, [])


def test_terminal_codes_of_strangers_are_escaped(tmp_path: Path) -> None:
    """What a file holds never reaches the terminal as a control code."""
    file = write(tmp_path, "bad.json", document(observed("\x1b]0;owned\x07")))
    said = shell("capture", str(file))
    assert said.code == ExitCode.REJECTED
    assert "\x1b" not in said.out + said.err


# --- batches ------------------------------------------------------------------------


def found(*bodies: dict[str, Any]) -> list[FoundEvent]:
    return [FoundEvent(Origin("d", f"/{i}"), capture_event(body)) for i, body in enumerate(bodies)]


def test_batches_hold_the_limits() -> None:
    """No batch holds more events or bytes than a transaction may, and none is lost or moved."""
    small = found(*(observed(f"urn:x:{i}") for i in range(EVENTS_MAX + 1)))
    assert [len(batch) for batch in batches(small)] == [EVENTS_MAX, 1]
    filler = "x" * (EVENT_BYTES_MAX - 2_000)
    large = found(*(observed(f"urn:x:{i}", **{"x:filler": filler}) for i in range(20)))
    cut = list(batches(large))
    assert [event for batch in cut for event in batch] == large
    assert len(cut) == 3
    for batch in cut:
        size = len(capturing.encode(CaptureArguments(tuple(event.captured for event in batch))))
        assert size <= ARGUMENTS_BYTES_MAX
    assert list(batches([])) == []


class FullLedger(Sender):
    """Refuses captures of more than two events, as a chain does that would have to open too many items."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def send(self, contract: str, method: str, arguments: Any) -> Outcome:
        from cli.answers import Receipt
        from contracts.provenance.capture import CaptureResult, EventResult
        from ledger.codec import encode
        from ledger.receipt import Status

        self.sent.append(len(arguments.events))
        if len(arguments.events) > 2:
            receipt = Receipt("refused", "capture.too_many_items", "", "", ())
        else:
            results = tuple(
                EventResult(Status.ACCEPTED, (), "urn:x", bytes(32), None) for _ in arguments.events
            )
            receipt = Receipt("accepted", "", "", encode(CaptureResult(results)).hex(), ())
        return Outcome("ab" * 32, receipt.status, len(self.sent), 0, receipt)


def test_too_many_items_are_cut_in_half() -> None:
    """A capture that opens too many items at once is sent in smaller ones, in order."""
    ledger = FullLedger()
    events = found(*(observed(f"urn:x:{i}") for i in range(5)))
    fates = capturing.capture_batch(ledger, events)
    assert ledger.sent == [5, 2, 3, 1, 2]
    assert [fate.origin for fate in fates] == [event.origin for event in events]
    assert {fate.status for fate in fates} == {"accepted"}


class Refusing(Sender):
    """Refuses every capture for the second event of it."""

    def __init__(self, code: str = "event_id.overused", pointer: str = "/events/1/eventID") -> None:
        self.code, self.pointer = code, pointer

    def send(self, contract: str, method: str, arguments: Any) -> Outcome:
        from cli.answers import Receipt

        return Outcome("ab" * 32, "refused", 3, 0, Receipt("refused", self.code, self.pointer, "", ()))


def _statuses(fates: Sequence[capturing.EventFate]) -> list[tuple[str, str, str]]:
    return [(fate.status, fate.origin.pointer, fate.message) for fate in fates]


def test_refused_by_the_contract_names_the_event() -> None:
    """A refusal in a block points into the file of its event; the others say why they are not recorded."""
    told = _statuses(capturing.capture_batch(Refusing(), found(observed("urn:x:1"), observed("urn:x:2"))))
    other = "another event of the same transaction was refused"
    assert told == [("refused", "/0", other), ("refused", "/1/eventID", "refused by the contract")]


@pytest.mark.parametrize("pointer", ["", "/events", "/events/x/y", "/other/1"])
def test_refused_without_a_place(pointer: str) -> None:
    """A pointer that names no event blames the whole."""
    told = _statuses(capturing.capture_batch(Refusing(pointer=pointer), found(observed("urn:x:1"))))
    assert told == [("refused", "/0", "refused by the contract")]


@pytest.mark.parametrize("path", sorted(VALID.glob("*.json")), ids=lambda path: path.stem)
def test_valid_samples_are_read(path: Path) -> None:
    """Each valid sample gives events and no problem."""
    events, problems = read_events(path.name, path.read_bytes())
    assert events
    assert not problems
