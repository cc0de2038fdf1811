"""The published sample documents: the valid come back, what GS1's schema refuses is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.epcis.canonical_json import parse
from contracts.epcis.captured import ReadEvent, read_captured
from contracts.epcis.document import StoredEvent, check_document, join_events
from contracts.epcis.problems import EpcisError
from ledger.types import TimeMs

BYTES_MAX = 1 << 20
REFUSED = {
    "Combination_of_events_with_missing_mandatory_fields": [
        ("epcis.missing_field", "/epcisBody/eventList/0/action"),
        ("epcis.missing_field", "/epcisBody/eventList/1/eventTimeZoneOffset"),
        ("epcis.missing_field", "/epcisBody/eventList/1/action"),
    ],
    "Combination_of_multiple_invalid_fields": [
        ("epcis.unknown_term", "/epcisBody/eventList/0/bizStep"),
        ("epcis.unknown_term", "/epcisBody/eventList/1/disposition"),
        ("epcis.unknown_term", "/epcisBody/eventList/2/sourceList/0/type"),
        ("epcis.unknown_field", "/epcisBody/eventList/3/ilmd/materialType"),
        ("epcis.bad_time", "/epcisBody/eventList/4/eventTime"),
        ("epcis.unknown_action", "/epcisBody/eventList/4/action"),
    ],
    "Combination_of_non_standard_bizStep_and_disposition": [
        ("epcis.unknown_term", "/epcisBody/eventList/0/bizStep"),
        ("epcis.unknown_term", "/epcisBody/eventList/1/disposition"),
    ],
    "EPCISDocument_without_context": [("epcis.missing_field", "/@context")],
    "ObjectEvent_with_ilmd_field_without_namespace": [
        ("epcis.unknown_field", "/epcisBody/eventList/0/ilmd/materialType")
    ],
    "ObjectEvent_with_invalid_action": [("epcis.unknown_action", "/epcisBody/eventList/0/action")],
    "ObjectEvent_with_invalid_certificationInfo": [
        ("epcis.wrong_type", "/epcisBody/eventList/0/certificationInfo/0"),
        ("epcis.wrong_type", "/epcisBody/eventList/0/certificationInfo/1"),
    ],
    "ObjectEvent_with_invalid_eventTime_format": [("epcis.bad_time", "/epcisBody/eventList/0/eventTime")],
    "ObjectEvent_with_non_standard_bizStep": [("epcis.unknown_term", "/epcisBody/eventList/0/bizStep")],
    "ObjectEvent_with_non_standard_bizStep_in_second_event": [
        ("epcis.unknown_term", "/epcisBody/eventList/1/bizStep")
    ],
    "ObjectEvent_with_non_standard_disposition": [
        ("epcis.unknown_term", "/epcisBody/eventList/0/disposition")
    ],
    "ObjectEvent_with_quantity_as_text": [
        ("epcis.wrong_type", "/epcisBody/eventList/0/quantityList/0/quantity")
    ],
    "ObjectEvent_with_unknown_field_in_quantityList": [
        ("epcis.unknown_field", "/epcisBody/eventList/0/quantityList/0/weight")
    ],
    "ObjectEvent_without_action_and_eventTime": [
        ("epcis.missing_field", "/epcisBody/eventList/0/eventTime"),
        ("epcis.missing_field", "/epcisBody/eventList/0/eventTimeZoneOffset"),
        ("epcis.missing_field", "/epcisBody/eventList/0/action"),
    ],
    "ObjectEvent_without_identifier_list": [("epcis.nothing_named", "/epcisBody/eventList/0")],
}


def events_of(value: Any) -> list[Any]:
    body = value.get("epcisBody")
    if body is None:
        return [value]
    events: list[Any] = (
        body["eventList"] if "eventList" in body else body["queryResults"]["resultsBody"]["eventList"]
    )
    return events


def read_all(path: Path) -> list[ReadEvent]:
    document = check_document(path.read_bytes())
    return [read_captured(*pair) for pair in zip(document.events, document.pointers, strict=True)]


@pytest.mark.parametrize(
    ("folder", "documents", "events"),
    [
        ("epcis/valid/2.0-json-capture", 43, 73),
        ("epcis/valid/2.0-json-query", 9, 28),
        ("epcis-event-hash", 11, 13),
    ],
)
def test_all_valid_documents_come_back(shared_data: Path, folder: str, documents: int, events: int) -> None:
    """Each valid document is accepted, each event read back equal but for record time and a given id."""
    paths = [
        path for path in sorted((shared_data / folder).rglob("*.json*")) if path.parent.name != "queries"
    ]
    seen = 0
    for path in paths:
        document = check_document(path.read_bytes())
        ids = [read.event_id for read in read_all(path)]
        held = [StoredEvent(event, TimeMs(0), name) for event, name in zip(document.events, ids, strict=True)]
        answer: Any = join_events(held, TimeMs(0))
        for before, after in zip(
            events_of(parse(path.read_bytes(), BYTES_MAX)), events_of(answer), strict=True
        ):
            assert after == {"eventID": after["eventID"]} | before | {
                "recordTime": "1970-01-01T00:00:00.000Z"
            }
            seen += 1
    assert (len(paths), seen) == (documents, events)


def test_invalid_captures_are_refused_where_they_are_wrong(shared_data: Path) -> None:
    """All fifteen are refused, with every problem and its pointer."""
    refused = {}
    for path in sorted((shared_data / "epcis/invalid/2.0-json-capture").glob("*.json")):
        with pytest.raises(EpcisError) as caught:
            check_document(path.read_bytes())
        refused[path.stem] = [(problem.code, problem.pointer) for problem in caught.value.problems]
    assert refused == REFUSED
    assert len(REFUSED) == 15


def test_invalid_query_documents_are_refused(shared_data: Path) -> None:
    """A wrong action and an event of an unknown kind."""
    for name, code in (("action", "epcis.unknown_action"), ("eventType", "epcis.unknown_kind")):
        path = shared_data / f"epcis/invalid/2.0-json-query/QueryDocument_with_invalid_{name}.json"
        with pytest.raises(EpcisError) as caught:
            check_document(path.read_bytes())
        assert caught.value.code == code


def test_one_event_stands_in_two_files(shared_data: Path) -> None:
    """Across the valid captures 72 identities: one event is captured twice, and only that one."""
    paths = (shared_data / "epcis/valid/2.0-json-capture").rglob("*.json")
    identities = [read.identity for path in sorted(paths) for read in read_all(path)]
    assert (len(identities), len(dict.fromkeys(identities))) == (73, 72)


def test_identifiers_normalise_as_published(shared_data: Path) -> None:
    """The published pre-hash string of the identifier document names each identifier as we do.

    But for the apostrophe of one serial number, which the publisher leaves bare and RFC 3986 does not.
    """
    (read,) = read_all(shared_data / "epcis-event-hash/epclist_normalisation.jsonld")
    published = (shared_data / "epcis-event-hash/epclist_normalisation.prehashes").read_text().strip()
    expected = published.split("epcList")[1].split("action=")[0].split("epc=")[1:]
    assert sorted(read.event.epcs) == sorted(epc.replace("'", "%27") for epc in expected)
