"""Event hashes of files: the same as the ledger's own functions find, clear refusals, bounded answers."""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli.commands import event as command
from cli.exit_code import ExitCode
from contracts.epcis.document import DOCUMENT_BYTES_MAX
from tests.cli.shell import shell

EVENT: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2026-03-01T08:00:00Z",
    "eventTimeZoneOffset": "+00:00",
    "action": "OBSERVE",
    "epcList": ["urn:epc:id:sscc:9521141.0000000017"],
}
HEAD = "eventType=ObjectEventeventTime=2026-03-01T08:00:00.000ZeventTimeZoneOffset=+00:00"
STRING = f"{HEAD}epcListepc=https://id.gs1.org/00/095211410000000175action=OBSERVE"
NAME = f"ni:///sha-256;{hashlib.sha256(STRING.encode()).hexdigest()}?ver=CBV2.0"


def document(*events: dict[str, Any], **more: Any) -> dict[str, Any]:
    context = ["https://ref.gs1.org/standards/epcis/epcis-context.jsonld", {"ex": "https://x.example/"}]
    head = {"@context": context, "schemaVersion": "2.0", "creationDate": "2026-03-01T09:00:00Z"}
    return head | {"type": "EPCISDocument", "epcisBody": {"eventList": list(events)}} | more


def write(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_line_an_event(tmp_path: Path) -> None:
    """Each event of each file is a line: its hash, then where it stands."""
    one = write(tmp_path, "one.json", document(EVENT, EVENT))
    bare = write(tmp_path, "bare.json", EVENT | {"@context": document()["@context"]})
    said = shell("event", "hash", one, bare)
    places = [f"{one}#/epcisBody/eventList/0", f"{one}#/epcisBody/eventList/1", bare]
    assert said.code == ExitCode.OK
    assert said.out.splitlines() == [f"{NAME}  {place}" for place in places]


def test_as_json(tmp_path: Path) -> None:
    """With --json each event is an object, which holds the string where that was asked for."""
    file = write(tmp_path, "one.json", document(EVENT))
    entry = {"document": file, "pointer": "/epcisBody/eventList/0", "cbv_event_hash": NAME}
    assert shell("event", "hash", file, "--json").json == {"events": [entry]}
    assert shell("event", "hash", file, "--json", "--prehash").json == {
        "events": [entry | {"pre_hash": STRING}]
    }


def test_the_strings_themselves(tmp_path: Path) -> None:
    """With --prehash each line is one string, in which nothing can steer a terminal or end the line."""
    nasty = EVENT | {"ex:note": "red \u001b[31m\nnew line"}
    file = write(tmp_path, "two.json", document(EVENT, nasty))
    lines = shell("event", "hash", "--prehash", file).out.splitlines()
    assert lines == [STRING, STRING + "{https://x.example/}note=red \\x1b[31m\\nnew line"]
    exact = shell("event", "hash", "--prehash", "--json", file).json["events"][1]["pre_hash"]
    assert exact.endswith("red \u001b[31m\nnew line")


def test_standard_input_and_left_out_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ "-" reads standard input; what the document names in ignoreFields is left out."""
    content = document(EVENT | {"ex:seen": "1"}, **{"ex:ignoreFields": ["ex:seen"]})
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(content).encode())))
    assert shell("event", "hash", "-").out == f"{NAME}  <stdin>#/epcisBody/eventList/0\n"


@pytest.mark.parametrize(
    ("content", "code", "pointer"),
    [
        ("{", "json.malformed", ""),
        ("<epcis:EPCISDocument/>", "xml.malformed", ""),
        ('{"a": 1, "a": 2}', "json.duplicate_key", ""),
        (document({**EVENT, "eventTime": "yesterday"}), "epcis.bad_time", "/epcisBody/eventList/0/eventTime"),
        (document(EVENT, EVENT | {"action": "SEE"}), "epcis.unknown_action", "/epcisBody/eventList/1/action"),
    ],
)
def test_what_is_no_event_has_no_hash(tmp_path: Path, content: Any, code: str, pointer: str) -> None:
    """One mistake in one file, and no hash is made of any: each problem has its code and pointer."""
    good, bad = write(tmp_path, "good.json", document(EVENT)), write(tmp_path, "bad.json", content)
    said = shell("event", "hash", good, bad, "--json")
    assert said.code == ExitCode.REJECTED
    (problem,) = said.json["events"]
    assert (problem["code"], problem["document"], problem["pointer"]) == (code, bad, pointer)
    assert "ni:///" not in said.out
    assert "no hash was made: 1 problem" in shell("event", "hash", good, bad).err


def test_too_large(tmp_path: Path) -> None:
    """A file beyond the limit is not read to its end."""
    path = tmp_path / "large.json"
    path.write_bytes(b" " * (DOCUMENT_BYTES_MAX + 10))
    assert shell("event", "hash", str(path), "--json").json["events"][0]["code"] == "json.too_large"


def test_too_long_strings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All strings of an answer together have a limit; hashes alone have none."""
    monkeypatch.setattr(command, "PRE_HASH_LENGTH_MAX", len(STRING))
    file = write(tmp_path, "two.json", document(EVENT, EVENT))
    said = shell("event", "hash", file, "--prehash", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.REJECTED, "event.pre_hash_too_large")
    assert shell("event", "hash", file).code == ExitCode.OK


@pytest.mark.parametrize("words", [[], ["no-such-file.json"], ["."]])
def test_bad_usage(words: list[str]) -> None:
    """No file, a missing file and a folder are wrong usage."""
    assert shell("event", "hash", *words).code == ExitCode.USAGE


def test_published_vectors(shared_data: Path) -> None:
    """The command finds the published hashes, file by file."""
    for path in sorted((shared_data / "epcis-event-hash").glob("*.jsonld")):
        found = re.findall(r"^ni:\S+", shell("event", "hash", str(path)).out, re.MULTILINE)
        assert found == path.with_suffix(".hashes").read_text("utf-8").split(), path.name
