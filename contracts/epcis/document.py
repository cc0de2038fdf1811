"""EPCIS documents into captured events and back.

This is the gateway's and the command line's work, not consensus: what comes of it is checked again by every
validator. What goes in comes out: each event equals, as a JSON value, the one that was given, but for the
record time, which is the ledger's, and an eventID where there was none.

Source: EPCIS 2.0 sections 9 and 10 and its JSON schema 2.0.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from contracts.epcis.canonical_json import Json, JsonObject, canonical, parse
from contracts.epcis.captured import EVENT_BYTES_MAX, CapturedEvent, own_prefixes, parse_body
from contracts.epcis.envelope import ENVELOPES, Form
from contracts.epcis.instant import write_time
from contracts.epcis.pre_hash import ignored_fields
from contracts.epcis.prefixes import (
    GS1_CONTEXT,
    Prefixes,
    check_unknown_contexts,
    is_mentioned,
    mentions,
    read_context,
)
from contracts.epcis.problems import Problems, shown
from contracts.epcis.shapes import check_shape
from contracts.epcis.validate import KINDS, check_event
from ledger.errors import LedgerError
from ledger.types import TimeMs

DOCUMENT_BYTES_MAX: Final = 8 << 20  # as it arrives, white space and all
DOCUMENT_EVENTS_MAX: Final = 5_000
_BOM: Final = b"\xef\xbb\xbf"  # RFC 8259 lets a reader skip it


class Document(NamedTuple):
    """A document cut into its events.

    Args:
        form: what it was.
        prefixes: all that its `@context` binds, sorted; none for a bare event, which keeps its own.
        master_data: canonical JSON of `epcisHeader/epcisMasterData`, unchecked; None where there is none.
        events: in document order.
        pointers: where each event stood.
        ignored: extensions that the document wants left out of event hashes (`pre_hash.ignored_fields`).
    """

    form: Form
    prefixes: Prefixes
    master_data: bytes | None
    events: tuple[CapturedEvent, ...]
    pointers: tuple[str, ...]
    ignored: tuple[str, ...] = ()


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


def split_value(value: Json, problems: Problems, *, checks_events: bool) -> Document | None:
    """Cut a document that is JSON already, noting its problems. None where it could not be cut."""
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


def capture_event(event: JsonObject, prefixes: Prefixes = ()) -> CapturedEvent:
    """An event, as `canonical_json.parse` returns it, with what it takes of its document's prefixes.

    Raises:
        LedgerError: `epcis.event_too_large`.
    """
    body = canonical(event)
    if len(body) > EVENT_BYTES_MAX:
        message = f"the event has {len(body)} bytes, at most {EVENT_BYTES_MAX} are allowed"
        raise LedgerError("epcis.event_too_large", message)
    own = own_prefixes(event)
    inherited = tuple(pair for pair in prefixes if pair[0] not in own and is_mentioned(pair[0], body))
    return CapturedEvent(inherited, body)


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
    context: list[Json] = [GS1_CONTEXT] if shared is None and "@context" not in event else []
    for prefix, namespace in stored.captured.prefixes:
        if shared is None or prefix not in shared:
            context.append({prefix: namespace})
    if context:
        own = event.get("@context", [])
        event["@context"] = context + (own if isinstance(own, list) else [own])
    return event


def _read(data: bytes, checks_events: bool) -> Document:
    value = parse(data.removeprefix(_BOM), DOCUMENT_BYTES_MAX)
    problems = Problems()
    document = split_value(value, problems, checks_events=checks_events)
    problems.raise_any()
    assert document is not None, "what could not be cut was reported"
    return document


def _split_envelope(
    value: JsonObject, form: Form, checks_events: bool, problems: Problems
) -> Document | None:
    check_shape(value, "", problems, ENVELOPES[form])
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
    holders = [_member(value, path[:depth]) for depth in range(len(path))]
    return document._replace(
        master_data=None if master_data is None else canonical(master_data),
        ignored=tuple(name for holder in holders for name in ignored_fields(holder, bound)),
    )


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
            try:
                captured.append(capture_event(event, prefixes))
            except LedgerError as problem:
                problems.add_error(problem, at)
            pointers.append(at)
            unknown = check_unknown_contexts(unknown, event, bound, problems)
            if checks_events:
                check_event(event, prefixes, at, problems)
        else:
            problems.add("epcis.wrong_type", at, f"{shown(event)} is no event")
    return Document(form, prefixes, None, tuple(captured), tuple(pointers))


def _shared_prefixes(events: list[CapturedEvent]) -> dict[str, str]:
    """The prefixes that mean one thing in all events that mention them, sorted."""
    meanings: dict[str, str] = {}
    split: dict[str, None] = {}
    for event in events:
        for prefix, namespace in event.prefixes:
            if meanings.setdefault(prefix, namespace) != namespace:
                split[prefix] = None
    for event in events:
        taken = dict(event.prefixes)
        loose = [name for name in mentions(event.body) if name in meanings and name not in taken]
        own = own_prefixes(parse_body(event)) if loose else ()
        split |= dict.fromkeys(name for name in loose if name not in own)
    return {prefix: meanings[prefix] for prefix in sorted(meanings) if prefix not in split}


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
