from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.canonical_json import canonical, parse
from contracts.epcis.captured import EVENT_BYTES_MAX, CapturedEvent, read_captured
from contracts.epcis.document import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_EVENTS_MAX,
    StoredEvent,
    capture_event,
    check_document,
    join_events,
    restore_event,
    split_document,
)
from contracts.epcis.envelope import Form
from contracts.epcis.prefixes import GS1_CONTEXT
from contracts.epcis.problems import EpcisError
from ledger.errors import LedgerError
from ledger.types import TimeMs
from tests.contracts.epcis.samples import BYTES_MAX, VALID, fields_of, places, sample, spoil, values

FARM = ("farm", "https://ns.farmgate.example/farm/")
OTHER = ("farm", "https://ns.farmgate.example/another-farm/")
NOW = TimeMs(1_777_889_400_000)
EVENT: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2026-05-04T18:00:00Z",
    "eventTimeZoneOffset": "+00:00",
    "action": "OBSERVE",
    "epcList": ["urn:x:1"],
}


def document(*events: Any, context: Any = None) -> bytes:
    return json.dumps(
        {
            "@context": context or [GS1_CONTEXT, dict([FARM])],
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2026-05-04T12:00:00Z",
            "epcisBody": {"eventList": events},
        }
    ).encode()


def stored(*events: CapturedEvent) -> list[StoredEvent]:
    return [StoredEvent(event, NOW, read_captured(event).event_id) for event in events]


def answered(joined: Any) -> list[Any]:
    events: list[Any] = joined["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return events


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_what_goes_in_comes_out(path: Any) -> None:
    """Each event of an answer equals the one captured, but for recordTime and an eventID that was given."""
    value: Any = parse(path.read_bytes(), BYTES_MAX)
    body = value.get("epcisBody", {})
    given_events = body.get("eventList") or answered(value) if body else [value]
    joined = join_events(stored(*split_document(path.read_bytes()).events), NOW)
    for before, after in zip(given_events, answered(joined), strict=True):
        assert after["recordTime"] == "2026-05-04T10:10:00.000Z"
        expected = before | {"recordTime": after["recordTime"]}
        assert after == {"eventID": after["eventID"]} | expected
        if "eventID" not in before:
            assert after["eventID"].startswith("urn:uuid:")


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_an_answer_is_a_document_of_the_same_events(path: Any) -> None:
    """An answer captured again has the same events, under the ids that the ledger gave."""
    events = split_document(path.read_bytes()).events
    again = check_document(canonical(join_events(stored(*events), NOW)))
    assert again.form is Form.QUERY
    for before, after in zip(events, again.events, strict=True):
        assert after.prefixes == before.prefixes
        first, second = read_captured(before), read_captured(after)
        assert second.event_id == first.event_id
        if first.event.event_id is not None:
            assert second.identity == first.identity


def test_an_event_takes_the_prefixes_that_it_mentions() -> None:
    """What the document binds and the event neither mentions nor binds itself is not of the event."""
    contexts = check_document(sample("contexts"))
    assert contexts.prefixes == (FARM,)
    assert [event.prefixes for event in contexts.events] == [(FARM,), (), (FARM,), ()]
    again = split_document(document(EVENT | {"farm:a": 1}, context=[dict([FARM]), {"b": "urn:b:"}]))
    assert again.events[0] == split_document(document(EVENT | {"farm:a": 1})).events[0]


def test_a_bare_event_keeps_its_own_context() -> None:
    """Without an envelope there is nothing to inherit; the pointer is the whole."""
    bare = check_document(sample("bare-event"))
    assert (bare.form, bare.prefixes, bare.pointers) == (Form.BARE, (), ("",))
    assert fields_of(bare.events[0])["@context"] == [GS1_CONTEXT, dict([FARM])]


def test_the_three_forms_and_their_pointers() -> None:
    """Where each event stood is known in captures and query documents; master data is handed on."""
    assert check_document(sample("contexts")).pointers[3] == "/epcisBody/eventList/3"
    query = check_document(sample("query-document"))
    assert (query.form, query.pointers[1]) == (Form.QUERY, "/epcisBody/queryResults/resultsBody/eventList/1")
    with_master_data = check_document(sample("master-data"))
    assert with_master_data.master_data is not None
    assert b"Packing house" in with_master_data.master_data
    assert check_document(sample("object")).master_data is None


def test_prefixes_of_an_answer_stand_at_its_top_while_they_agree() -> None:
    """Two documents that mean one thing by a prefix share it; two that do not each say it in the event."""
    one = split_document(document(EVENT | {"farm:a": 1})).events[0]
    two = split_document(document(EVENT | {"farm:a": 2})).events[0]
    joined: Any = join_events(stored(one, two), NOW)
    assert joined["@context"] == [GS1_CONTEXT, dict([FARM])]
    assert all("@context" not in event for event in answered(joined))
    other = split_document(document(EVENT | {"farm:a": 1}, context=dict([OTHER]))).events[0]
    joined = join_events(stored(one, other), NOW)
    assert joined["@context"] == [GS1_CONTEXT]
    assert [event["@context"] for event in answered(joined)] == [[dict([FARM])], [dict([OTHER])]]
    assert check_document(canonical(joined))


def test_a_name_that_nobody_bound_is_not_bound_by_a_neighbour() -> None:
    """An event that mentions a prefix without a meaning keeps the answer's top from giving it one."""
    bound = split_document(document(EVENT | {"farm:a": 1})).events[0]
    loose = split_document(document(EVENT | {"farm:a": 1}, context=[GS1_CONTEXT])).events[0]
    own = split_document(document(EVENT | {"@context": dict([OTHER]), "farm:a": 1})).events[0]
    assert join_events(stored(bound, loose), NOW)["@context"] == [GS1_CONTEXT]
    assert join_events(stored(bound, own), NOW)["@context"] == [GS1_CONTEXT, dict([FARM])]


def test_an_event_alone_says_what_it_means() -> None:
    """Restored without a document around it, an event carries the GS1 context and its prefixes."""
    captured = split_document(document(EVENT | {"farm:a": 1})).events[0]
    alone = restore_event(StoredEvent(captured, NOW, "urn:uuid:1"))
    assert alone["@context"] == [GS1_CONTEXT, dict([FARM])]
    assert alone["eventID"] == "urn:uuid:1"
    assert check_document(canonical(alone)).form is Form.BARE


def test_the_clients_record_time_is_replaced() -> None:
    """The repository's record time is its own."""
    captured = capture_event(EVENT | {"recordTime": "2001-01-01T00:00:00Z"})
    assert restore_event(StoredEvent(captured, NOW, "urn:x:2"))["recordTime"] == "2026-05-04T10:10:00.000Z"


def test_all_problems_of_a_document_come_at_once() -> None:
    """Envelope and events, in document order."""
    data = document(EVENT | {"action": "X"}, 7, EVENT | {"colour": 1}).replace(
        b'"schemaVersion": "2.0", ', b""
    )
    with pytest.raises(EpcisError) as caught:
        check_document(data)
    assert [(problem.code, problem.pointer) for problem in caught.value.problems] == [
        ("epcis.missing_field", "/schemaVersion"),
        ("epcis.unknown_action", "/epcisBody/eventList/0/action"),
        ("epcis.wrong_type", "/epcisBody/eventList/1"),
        ("epcis.unknown_field", "/epcisBody/eventList/2/colour"),
    ]


def test_splitting_leaves_the_events_to_their_reader() -> None:
    """A document with one bad event is still cut into all; reading the bad one refuses it at its place."""
    cut = split_document(document(EVENT, EVENT | {"action": "X"}))
    assert read_captured(cut.events[0], cut.pointers[0])
    with pytest.raises(EpcisError) as caught:
        read_captured(cut.events[1], cut.pointers[1])
    assert caught.value.pointer == "/epcisBody/eventList/1/action"


def test_documents_and_events_have_limits() -> None:
    """Bytes of a document, events of a document, bytes of an event; a byte order mark is skipped."""
    assert len(split_document(document(*[{}] * DOCUMENT_EVENTS_MAX)).events) == DOCUMENT_EVENTS_MAX
    for data, code in (
        (document(*[{}] * (DOCUMENT_EVENTS_MAX + 1)), "epcis.too_many_events"),
        (document(EVENT | {"farm:a": "x" * EVENT_BYTES_MAX}), "epcis.event_too_large"),
        (b" " * (DOCUMENT_BYTES_MAX + 1), "json.too_large"),
    ):
        with pytest.raises(LedgerError) as caught:
            split_document(data)
        assert caught.value.code == code
    room = EVENT_BYTES_MAX - len(canonical(EVENT | {"farm:a": ""}))
    assert len(capture_event(EVENT | {"farm:a": "x" * room}).body) == EVENT_BYTES_MAX
    assert split_document(b"\xef\xbb\xbf" + document(EVENT)) == split_document(document(EVENT))


def test_an_unknown_context_is_reported_once() -> None:
    """However many events may need it."""
    context = [GS1_CONTEXT, "https://contexts.farmgate.example/fish.jsonld"]
    with pytest.raises(EpcisError) as caught:
        split_document(document(*[EVENT | {"fish:species": "cod"}] * 3, context=context))
    assert [problem.pointer for problem in caught.value.problems] == ["/@context/1"]
    assert split_document(document(EVENT, context=context))


def test_an_answer_may_be_empty() -> None:
    """No events make a valid document."""
    assert check_document(canonical(join_events([], NOW))).events == ()


@given(st.sampled_from(VALID), st.data())
def test_no_spoilt_document_raises_anything_but_a_ledger_error(path: Any, data: st.DataObject) -> None:
    """Any value in the place of any other gives a document or a LedgerError; what is given can be joined."""
    value = parse(path.read_bytes(), BYTES_MAX)
    place = data.draw(st.sampled_from(places(value)))
    spoilt = canonical(spoil(value, place, data.draw(values)))
    with suppress(LedgerError):
        cut = check_document(spoilt)
        events = [StoredEvent(event, NOW, "urn:x:id") for event in cut.events]
        assert check_document(canonical(join_events(events, NOW)))
