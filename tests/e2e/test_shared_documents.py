"""Every valid EPCIS document of the shared data through a real network, and back from each of its nodes."""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from contracts.epcis.document import check_document
from contracts.provenance.capture import CaptureResult
from ledger.codec import decode
from ledger.errors import LedgerError
from ledger.receipt import Status
from ledger.types import RESULT_BYTES_MAX
from tests.e2e.cluster import TX, Cluster, running

pytestmark = pytest.mark.e2e

VALID = "epcis/valid/2.0-json-capture"
INVALID = "epcis/invalid/2.0-json-capture"
NODES = range(4)


def test_documents_go_in_and_come_back(shared_data: Path, tmp_path: Path) -> None:
    """Each event is final once and reads back equal from each node; a repeated one names the first."""
    documents = sorted((shared_data / VALID).rglob("*.json"))
    assert len(documents) >= 40
    captured: list[tuple[dict[str, Any], str]] = []
    duplicates = 0
    with running(tmp_path / "net") as cluster:
        for number, path in enumerate(documents):
            events, results = _capture(cluster, number % 4, path)
            for event, result in zip(events, results, strict=True):
                if result.status is Status.DUPLICATE:
                    duplicates += 1
                    assert result.first is not None
                else:
                    captured.append((event, result.event_id))
        cluster.wait_equal(NODES)
        for node in NODES:
            for event, event_id in captured:
                assert _holds(_read(cluster, node, event_id), event)
    assert duplicates == 1  # the shared data hold one event twice
    assert len(captured) >= 70


def test_invalid_documents_are_refused(shared_data: Path) -> None:
    """Nine that the schema refuses and the malformed time are refused with a pointer; words are let be."""
    refused = {}
    for path in sorted((shared_data / INVALID).glob("*.json")):
        try:
            check_document(path.read_bytes())
        except LedgerError as refusal:
            refused[path.name] = refusal
    assert len(refused) == 10
    assert "ObjectEvent_with_invalid_eventTime_format.json" in refused
    for name, refusal in refused.items():
        assert refusal.pointer.startswith("/") or name == "EPCISDocument_without_context.json"


def _capture(cluster: Cluster, node: int, path: Path) -> tuple[list[dict[str, Any]], Any]:
    """Capture a document at one node; its events as they were, and what became of each."""
    data = path.read_bytes()
    document = check_document(data)
    _, answer = cluster.post(node, cluster.capture(document.events, node).raw, TX, wait=30)
    assert answer["status"] in {"accepted", "flagged", "duplicate"}, (path.name, answer)
    result = decode(bytes.fromhex(answer["receipt"]["result"]), CaptureResult, RESULT_BYTES_MAX)
    return [_plain(event) for event in _events(json.loads(data))], result.events


def _events(document: dict[str, Any]) -> list[dict[str, Any]]:
    if "epcisBody" not in document:
        return [document]
    found: list[dict[str, Any]] = document["epcisBody"]["eventList"]
    return found


def _read(cluster: Cluster, node: int, event_id: str) -> list[dict[str, Any]]:
    """What a node answers for an event id, without what the server gave."""
    answer = cluster.get(node, "/epcis/events/" + urllib.parse.quote(event_id, safe=""))
    return [_plain(event) for event in answer["epcisBody"]["queryResults"]["resultsBody"]["eventList"]]


def _holds(answer: list[dict[str, Any]], event: dict[str, Any]) -> bool:
    """Whether the event is here; an answer that uses one prefix for two namespaces says which is meant."""
    return any(found == event or found == {"@context": found.get("@context")} | event for found in answer)


def _plain(event: dict[str, Any]) -> dict[str, Any]:
    """An event without record time and id, which the server may give."""
    return {name: value for name, value in event.items() if name not in {"recordTime", "eventID"}}
