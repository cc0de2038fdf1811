"""What an EPCIS event costs a validator and a gateway, stage by stage, in microseconds. Prints JSON.

    python bench/epcis.py [--rounds 5] [--repeats 500]

`typical` is an event of about 600 bytes (two cases and a lot received under a purchase order), `full` has
every field that an ObjectEvent can have. A validator pays `read_captured` for each event, which is parse,
canonical, prefixes, validate and commit together; identifiers seen before are remembered, `cold` is what it
costs when none is. A gateway pays `check_document` and `join_events`. Figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contracts.epcis.canonical_json import canonical, parse
from contracts.epcis.captured import EVENT_BYTES_MAX, CapturedEvent, read_captured
from contracts.epcis.commitment import commit
from contracts.epcis.document import (
    DOCUMENT_EVENTS_MAX,
    StoredEvent,
    capture_event,
    check_document,
    join_events,
    split_document,
)
from contracts.epcis.identifiers import resolve
from contracts.epcis.validate import validate_event
from ledger.codec import decode, encode
from ledger.types import TimeMs

FULL = Path(__file__).resolve().parent.parent / "examples/epcis/valid/object.json"
DOCUMENT_EVENTS = 1_000
TYPICAL: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2026-05-04T18:00:00.000+02:00",
    "eventTimeZoneOffset": "+02:00",
    "eventID": "urn:uuid:0d5a1e2c-7b8f-4a61-8e59-3f9b2f5a1c01",
    "action": "OBSERVE",
    "epcList": ["urn:epc:id:sgtin:9521002.100101.case-1", "urn:epc:id:sgtin:9521002.100101.case-2"],
    "quantityList": [
        {"epcClass": "https://id.gs1.org/01/09521002001013/10/P-0504", "quantity": 96, "uom": "KGM"}
    ],
    "bizStep": "receiving",
    "disposition": "in_progress",
    "readPoint": {"id": "urn:epc:id:sgln:9521004.00001.dock-2"},
    "bizLocation": {"id": "urn:epc:id:sgln:9521004.00001.0"},
    "bizTransactionList": [{"type": "po", "bizTransaction": "https://orders.farmgate.example/4711"}],
}


def full() -> CapturedEvent:
    """The object event of the samples."""
    return split_document(FULL.read_bytes()).events[0]


def microseconds(work: Callable[[], object], rounds: int, repeats: int, units: int = 1) -> float:
    """The median over the rounds of the time of one call, divided by `units`."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        for _ in range(repeats):
            work()
        times.append((time.perf_counter_ns() - start) / repeats / units / 1_000)
    return round(statistics.median(times), 2)


def stages(captured: CapturedEvent, rounds: int, repeats: int) -> dict[str, float | int]:
    """A validator's stages for one event."""
    fields: Any = parse(captured.body, EVENT_BYTES_MAX)
    encoded = encode(captured)

    def cold() -> None:
        resolve.cache_clear()
        read_captured(captured)

    work: dict[str, Callable[[], object]] = {
        "decode": lambda: decode(encoded, CapturedEvent, 1 << 20),
        "parse": lambda: parse(captured.body, EVENT_BYTES_MAX),
        "canonical": lambda: canonical(fields),
        "validate": lambda: validate_event(fields, captured.prefixes),
        "commit": lambda: commit(captured.prefixes, fields),
        "read_captured": lambda: read_captured(captured),
        "read_captured_cold": cold,
    }
    measured = {name: microseconds(call, rounds, repeats) for name, call in work.items()}
    return {"body_bytes": len(captured.body), **measured}


def gateway(rounds: int) -> dict[str, float | int]:
    """A gateway's work a event, in a document of DOCUMENT_EVENTS typical events."""
    assert DOCUMENT_EVENTS <= DOCUMENT_EVENTS_MAX
    document = {
        "@context": ["https://ref.gs1.org/standards/epcis/epcis-context.jsonld"],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-05-04T12:00:00Z",
        "epcisBody": {"eventList": [TYPICAL] * DOCUMENT_EVENTS},
    }
    data = json.dumps(document, indent=2).encode()
    held = [StoredEvent(event, TimeMs(0), "urn:x:1") for event in split_document(data).events]
    return {
        "document_bytes": len(data),
        "events": DOCUMENT_EVENTS,
        "split_document": microseconds(lambda: split_document(data), rounds, 1, DOCUMENT_EVENTS),
        "check_document": microseconds(lambda: check_document(data), rounds, 1, DOCUMENT_EVENTS),
        "join_events": microseconds(
            lambda: canonical(join_events(held, TimeMs(0))), rounds, 1, DOCUMENT_EVENTS
        ),
    }


def identifiers(rounds: int, repeats: int) -> dict[str, float]:
    """Identifiers that were not seen before."""
    texts = {
        "urn": "urn:epc:id:sgtin:9521002.100101.case-1",
        "link": "https://shop.farmgate.example/gtin/09521002001013/lot/P-0504?17=261231",
        "other": "urn:uuid:0d5a1e2c-7b8f-4a61-8e59-3f9b2f5a1c01",
    }
    fresh = resolve.__wrapped__
    return {
        name: microseconds(lambda text=text: fresh(text), rounds, repeats) for name, text in texts.items()
    }


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--repeats", type=int, default=500)
    chosen = options.parse_args()
    figures = {
        "unit": "microseconds, medians",
        "python": platform.python_version(),
        "event_typical": stages(capture_event(TYPICAL), chosen.rounds, chosen.repeats),
        "event_full": stages(full(), chosen.rounds, chosen.repeats),
        "gateway_an_event": gateway(chosen.rounds),
        "identifier_first_seen": identifiers(chosen.rounds, chosen.repeats),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
