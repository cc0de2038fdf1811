"""Every event of the public EPCIS samples goes through the contract."""

from __future__ import annotations

from pathlib import Path

from contracts.epcis.captured import read_captured
from contracts.epcis.document import check_document
from contracts.provenance.capture import CaptureArguments
from contracts.provenance.queries import events_called, history, show
from ledger.receipt import Status
from tests.contracts.provenance.events import Books, results


def test_every_sample_event_is_recorded_once(shared_data: Path) -> None:
    """Each valid document is captured without a refusal; again, it is a duplicate that names the first.

    After it, each event is found by its eventID and each item it named is known, with a history.
    """
    books = Books()
    books.time_ms += 10**12
    documents = 0
    for path in sorted((shared_data / "epcis/valid/2.0-json-capture").rglob("*.json*")):
        events = check_document(path.read_bytes()).events
        if not events:
            continue
        documents += 1
        arguments = CaptureArguments(events)
        first = results(books.send("farm/operator", "provenance", "capture", arguments))
        again = books.send("farm/operator", "provenance", "capture", arguments)
        assert again.status is Status.DUPLICATE, path
        assert again.events == ()
        for captured, once, twice in zip(events, first, results(again), strict=True):
            read = read_captured(captured)
            assert once.event_id == twice.event_id == read.event_id
            refs = [version.ref for version in events_called(books.state, read.event_id)]
            assert twice.first in refs
            for item_id in (*read.event.epcs, *read.event.children, *read.event.inputs, *read.event.outputs):
                assert show(books.state, item_id) is not None
                assert history(books.state, item_id) is not None
    assert documents > 40
