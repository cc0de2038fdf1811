"""EPCIS documents into captured events and back.

This is the gateway's and the command line's work, not consensus: what comes of it is checked again by every
validator. What goes in comes out: each event equals, as a JSON value, the one that was given, but for the
record time, which is the ledger's, and an eventID where there was none.

Source: EPCIS 2.0 sections 9 and 10 and its JSON schema 2.0.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

from contracts.epcis import shapes
from contracts.epcis.canonical_json import Json, JsonObject, canonical, parse
from contracts.epcis.captured import EVENT_BYTES_MAX, CapturedEvent, own_prefixes, parse_body
from contracts.epcis.instant import write_time
from contracts.epcis.prefixes import (
    GS1_CONTEXT,
    Prefixes,
    check_unknown_contexts,
    is_mentioned,
    read_context,
)
from contracts.epcis.problems import Problems, shown
from contracts.epcis.shapes import Shape, a_string, a_time, a_uri, check_shape
from contracts.epcis.validate import KINDS, check_event
from ledger.types import TimeMs

DOCUMENT_BYTES_MAX: Final = 8 << 20  # as it arrives, white space and all
DOCUMENT_EVENTS_MAX: Final = 5_000
_BOM: Final = b"\xef\xbb\xbf"  # RFC 8259 lets a reader skip it


class Form(Enum):
    """What kind of document the events came in."""

    CAPTURE = "EPCISDocument"
    QUERY = "EPCISQueryDocument"
    BARE = "event"  # one event without an envelope


class Document(NamedTuple):
    """A document cut into its events.

    Args:
        form: what it was.
        prefixes: all that its `@context` binds, sorted; none for a bare event, which keeps its own.
        master_data: canonical JSON of `epcisHeader/epcisMasterData`, unchecked; None where there is none.
        events: in document order.
        pointers: where each event stood.
    """

    form: Form
    prefixes: Prefixes
    master_data: bytes | None
    events: tuple[CapturedEvent, ...]
    pointers: tuple[str, ...]


class StoredEvent(NamedTuple):
    """An event as the ledger holds it, to be written back.

    Args:
        captured: the event.
        record_time_ms: the time of its block.
        event_id: the client's or the ledger's.
    """

    captured: CapturedEvent
    record_time_ms: TimeMs
    event_id: str


def split_document(data: bytes) -> Document:
    """Cut a document, or a bare event, into captured events. The events themselves are not checked.

    Raises:
        LedgerError: `json.*`.
        EpcisError: every problem of the envelope.
    """
    return _read(data, checks_events=False)


def check_document(data: bytes) -> Document:
    """As `split_document`, and check every event too, reporting all problems of the document at once.

    Raises:
        LedgerError: `json.*`.
        EpcisError: every problem of envelope and events, in document order.
    """
    return _read(data, checks_events=True)


def join_events(
    events: Iterable[StoredEvent], created_ms: TimeMs, query_name: str = "SimpleEventQuery"
) -> dict[str, Json]:
    """An EPCISQueryDocument with these events in this order.

    A prefix stands at the document's top where all events that mention it mean the same by it, else in the
    `@context` of each event that takes it from its document.
    """
    held = tuple(events)
    shared = _shared_prefixes([event.captured for event in held])
    context: list[Json] = [GS1_CONTEXT]
    context += [{prefix: namespace} for prefix, namespace in shared.items()]
    restored: list[Json] = [restore_event(event, shared) for event in held]
    return {
        "@context": context,
        "type": Form.QUERY.value,
        "schemaVersion": "2.0",
        "creationDate": write_time(created_ms),
        "epcisBody": {"queryResults": {"queryName": query_name, "resultsBody": {"eventList": restored}}},
    }


def restore_event(stored: StoredEvent, shared: dict[str, str] | None = None) -> JsonObject:
    """One event as JSON, with the ledger's recordTime and its eventID.

    Args:
        stored: the event; its body is trusted.
        shared: prefixes that the document around it binds; those that the event takes and are not among them
            go into its own `@context`. None gives an event that stands alone.
    """
    event = parse_body(stored.captured)
    event["recordTime"] = write_time(stored.record_time_ms)
    event.setdefault("eventID", stored.event_id)
    local: list[Json] = [
        {prefix: namespace}
        for prefix, namespace in stored.captured.prefixes
        if shared is None or prefix not in shared
    ]
    if local or (shared is None and "@context" not in event):
        own = event.get("@context", [] if shared is not None else [GS1_CONTEXT])
        event["@context"] = local + (own if isinstance(own, list) else [own])
    return event


def _read(data: bytes, checks_events: bool) -> Document:
    value = parse(data.removeprefix(_BOM), DOCUMENT_BYTES_MAX)
    problems = Problems()
    document = _split(value, checks_events, problems)
    problems.raise_any()
    assert document is not None, "what could not be cut was reported"
    return document


def _split(value: Json, checks_events: bool, problems: Problems) -> Document | None:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        problems.add("epcis.not_a_document", "", f"{shown(value)} is no EPCIS document or event with a type")
        return None
    if "@context" not in value:
        problems.add("epcis.missing_field", "/@context", "@context is missing")
    kind = value["type"]
    if kind in KINDS:
        return _cut(Form.BARE, {}, (), [value], "", checks_events, problems)
    if kind not in (Form.CAPTURE.value, Form.QUERY.value):
        known = ", ".join((Form.CAPTURE.value, Form.QUERY.value, *KINDS))
        problems.add("epcis.not_a_document", "/type", f"{shown(kind)} is none of {known}")
        return None
    return _split_envelope(value, Form(kind), checks_events, problems)


def _split_envelope(
    value: JsonObject, form: Form, checks_events: bool, problems: Problems
) -> Document | None:
    check_shape(value, "", problems, _ENVELOPES[form])
    bound: dict[str, str] = {}
    unknown: tuple[str, ...] = ()
    if "@context" in value:
        bound, unknown = read_context(value["@context"], "/@context", problems)
    path = _PATHS[form]
    events = _member(value, path)
    if not isinstance(events, list):
        return None  # the envelope's shape said so
    pointer = "/" + "/".join(path)
    document = _cut(form, bound, unknown, events, pointer, checks_events, problems)
    master_data = _member(value, ("epcisHeader", "epcisMasterData"))
    return document._replace(master_data=None if master_data is None else canonical(master_data))


def _cut(
    form: Form,
    bound: dict[str, str],
    unknown: tuple[str, ...],
    events: Sequence[Json],
    pointer: str,
    checks_events: bool,
    problems: Problems,
) -> Document:
    prefixes = tuple(sorted(bound.items()))
    captured: list[CapturedEvent] = []
    pointers: list[str] = []
    if len(events) > DOCUMENT_EVENTS_MAX:
        message = f"{len(events)} events, at most {DOCUMENT_EVENTS_MAX} are allowed in a document"
        problems.add("epcis.too_many_events", pointer, message)
        events = ()
    for index, event in enumerate(events):
        at = pointer if form is Form.BARE else f"{pointer}/{index}"
        if isinstance(event, dict):
            captured.append(_capture(event, prefixes, at, problems))
            pointers.append(at)
            check_unknown_contexts(unknown, event, bound, problems)
            if checks_events:
                check_event(event, prefixes, at, problems)
        else:
            problems.add("epcis.wrong_type", at, f"{shown(event)} is no event")
    return Document(form, prefixes, None, tuple(captured), tuple(pointers))


def _capture(event: JsonObject, prefixes: Prefixes, pointer: str, problems: Problems) -> CapturedEvent:
    body = canonical(event)
    if len(body) > EVENT_BYTES_MAX:
        message = f"the event has {len(body)} bytes, at most {EVENT_BYTES_MAX} are allowed"
        problems.add("epcis.event_too_large", pointer, message)
    own = own_prefixes(event)
    inherited = tuple(pair for pair in prefixes if pair[0] not in own and is_mentioned(pair[0], body))
    return CapturedEvent(inherited, body)


def _shared_prefixes(events: list[CapturedEvent]) -> dict[str, str]:
    """The prefixes that mean one thing in all events that mention them, sorted."""
    meanings: dict[str, str] = {}
    split: dict[str, None] = {}
    for event in events:
        for prefix, namespace in event.prefixes:
            if meanings.setdefault(prefix, namespace) != namespace:
                split[prefix] = None
    for prefix in meanings:
        if any(is_mentioned(prefix, event.body) and not _binds(event, prefix) for event in events):
            split[prefix] = None
    return {prefix: meanings[prefix] for prefix in sorted(meanings) if prefix not in split}


def _binds(event: CapturedEvent, prefix: str) -> bool:
    """Whether an event says itself, or through its document, what a prefix means."""
    if any(prefix == name for name, _ in event.prefixes):
        return True
    return prefix.encode() in event.body and prefix in own_prefixes(parse_body(event))


def _member(value: Json, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


_PATHS: Final = {
    Form.CAPTURE: ("epcisBody", "eventList"),
    Form.QUERY: ("epcisBody", "queryResults", "resultsBody", "eventList"),
}


def _events(value: Any, pointer: str, problems: Problems) -> None:
    if type(value) is not list:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no list of events")


def _version(value: Any, pointer: str, problems: Problems) -> None:
    a_string(value, pointer, problems)
    if type(value) is str and not (value == "2" or value.startswith("2.")):
        problems.add("epcis.unknown_version", pointer, f"schema version {shown(value)}, 2.0 was expected")


def _object(fields: dict[str, shapes.Check], *required: str) -> shapes.Check:
    return shapes.an_object(Shape(fields, required, is_extensible=True))


def _anything(value: Any, pointer: str, problems: Problems) -> None:
    """Master data is read by the contract that keeps it."""


_HEADER = {
    "@context": shapes.a_context,
    "id": a_uri,
    "type": a_string,
    "schemaVersion": _version,
    "creationDate": a_time,
}
_ENVELOPES: Final = {
    Form.CAPTURE: Shape(
        {
            **_HEADER,
            "instanceIdentifier": a_string,
            "sender": a_string,
            "receiver": a_string,
            "epcisHeader": _object({"epcisMasterData": _anything}),
            "epcisBody": _object({"eventList": _events}, "eventList"),
        },
        ("schemaVersion", "creationDate", "epcisBody"),
        is_extensible=True,
    ),
    Form.QUERY: Shape(
        {
            **_HEADER,
            "epcisBody": _object(
                {
                    "queryResults": _object(
                        {
                            "queryName": a_string,
                            "subscriptionID": a_string,
                            "resultsBody": _object(
                                {"eventList": _events, "vocabularyList": _anything}, "eventList"
                            ),
                        },
                        "queryName",
                        "resultsBody",
                    )
                },
                "queryResults",
            ),
        },
        ("epcisBody",),
        is_extensible=True,
    ),
}
