"""The capture method: events in, each recorded once, flagged where the books disagree, answered in order.

A malformed event refuses the whole capture, and nothing of it is written. An event that was recorded before
is answered with its first recording; the others of its capture are recorded all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Meta

from contracts.epcis.canonical_json import JsonObject
from contracts.epcis.captured import CapturedEvent, ReadEvent, read_captured
from contracts.epcis.commitment import commit
from contracts.epcis.document import capture_event
from contracts.method import Method
from contracts.provenance import events, history
from contracts.provenance.effects import apply
from contracts.provenance.events import EventKey, EventRef, EventVersion
from contracts.provenance.flags import FlagCode, RaisedFlag
from contracts.provenance.history import HistoryEntry
from contracts.provenance.recording import Recording
from contracts.provenance.register import Register
from ledger.codec import Canonical, encode
from ledger.epoch import parameters_in_force
from ledger.errors import LedgerError
from ledger.members import Role
from ledger.receipt import Status
from ledger.state import Overlay
from ledger.transition import Call, Outcome
from ledger.types import Bytes32, Hash

CONTRACT: Final = "provenance"
EVENTS_MAX: Final = 400  # of one capture: results of duplicates, with the longest eventIDs, fit a receipt
POINTER_LENGTH_MAX: Final = 256


class CaptureArguments(Canonical):
    """Events in the order in which they are recorded."""

    events: Annotated[tuple[CapturedEvent, ...], Meta(min_length=1, max_length=EVENTS_MAX)]


class EventResult(Canonical):
    """What became of one event.

    Args:
        status: ACCEPTED, FLAGGED or DUPLICATE.
        flags: raised by the event; none where it is a duplicate.
        event_id: the client's, or the one that the ledger gave.
        commitment: what histories and the header's events root hold.
        first: where the event was recorded before, for a duplicate.
    """

    status: Status
    flags: tuple[RaisedFlag, ...]
    event_id: str
    commitment: Bytes32
    first: EventRef | None


class CaptureResult(Canonical):
    """One result an event, in the order of the arguments."""

    events: tuple[EventResult, ...]


def capture(call: Call, arguments: CaptureArguments, state: Overlay) -> Outcome:
    """Record EPCIS events as the word of the sender's organisation.

    The status is DUPLICATE where every event was recorded before, FLAGGED where any raised a flag. The
    result is a `CaptureResult`; the outcome's events are the commitments of those recorded now.

    Raises:
        LedgerError: `json.*` or `epcis.*` for the first malformed event, its pointer beginning with
            `/events/{index}`; `capture.too_many_items`, `event_id.overused`.
    """
    read = [_read(captured, f"/events/{index}") for index, captured in enumerate(arguments.events)]

    register = Register(state, call.sender.organisation)
    latest_ms = call.time_ms + parameters_in_force(state).event_time_skew_ms
    results = []
    for index, (captured, event) in enumerate(zip(arguments.events, read, strict=True)):
        results.append(_record(call, register, captured, event, index, latest_ms))
    register.write()

    return Outcome(
        _status(results),
        encode(CaptureResult(tuple(results))),
        tuple(result.commitment for result in results if result.status is not Status.DUPLICATE),
    )


def _read(captured: CapturedEvent, pointer: str) -> ReadEvent:
    try:
        return read_captured(captured, pointer)
    except LedgerError as problem:
        raise LedgerError(problem.code, problem.message, problem.pointer[:POINTER_LENGTH_MAX]) from None


def _record(
    call: Call, register: Register, captured: CapturedEvent, read: ReadEvent, index: int, latest_ms: int
) -> EventResult:
    """Record one event, or find it recorded."""
    known = events.versions_of(register.state, read.event_id)
    for version in known:
        if version.identity == read.identity:
            return EventResult(Status.DUPLICATE, (), read.event_id, read.commitment, version.ref)

    key = EventKey(call.height, call.index, index)
    recording = Recording(register, read.event, key)
    for flag in read.event.flags:
        recording.flag_word(flag.code, flag.pointer)
    if read.event.event_time_ms > latest_ms:
        recording.flag_word(FlagCode.TIME_FUTURE.value, f"/events/{index}/eventTime")
    _check_name(recording, captured, read, known)
    apply(recording)

    ref = EventRef(call.height, call.index, index, read.event_id, call.transaction_id)
    is_declaration = read.event.error_declaration is not None
    version = EventVersion(read.identity, ref, register.organisation, is_declaration)
    events.add_version(register.state, known, version)
    _append_histories(recording, read.commitment)

    status = Status.FLAGGED if recording.flags else Status.ACCEPTED
    return EventResult(status, recording.flags, read.event_id, read.commitment, None)


def _check_name(
    recording: Recording, captured: CapturedEvent, read: ReadEvent, known: tuple[EventVersion, ...]
) -> None:
    """Hold an event against the others of its eventID: declarations against their original."""
    state = recording.register.state
    originals = [version for version in known if not version.is_declaration]
    if read.event.error_declaration is not None:
        if not originals:
            recording.flag(FlagCode.DECLARATION_NO_ORIGINAL, read.event_id)
        for original in originals:
            events.declare_erroneous(state, original.ref.key, recording.key)
        if originals and originals[0].organisation != recording.organisation:
            recording.flag(FlagCode.DECLARATION_NOT_CAPTURER, read.event_id)
        if originals and not _is_same_but_declared(captured, read.fields, originals[0]):
            recording.flag(FlagCode.DECLARATION_DIFFERS, read.event_id)
        return
    if originals:
        recording.flag(FlagCode.EVENT_ID_REUSED, read.event_id)
    for declaration in known:
        if declaration.is_declaration:
            events.declare_erroneous(state, recording.key, declaration.ref.key)


def _is_same_but_declared(captured: CapturedEvent, fields: JsonObject, original: EventVersion) -> bool:
    """Whether a declaration repeats its original, which may have got its eventID from the ledger."""
    undeclared = {name: value for name, value in fields.items() if name != "errorDeclaration"}
    nameless = {name: value for name, value in undeclared.items() if name != "eventID"}
    return original.identity in (_identity(captured, undeclared), _identity(captured, nameless))


def _identity(captured: CapturedEvent, fields: JsonObject) -> Hash:
    """The identity that the fields would have had if they had been captured alone."""
    alone = capture_event(fields, captured.prefixes)
    return commit(alone.prefixes, fields).identity


def _append_histories(recording: Recording, commitment: bytes) -> None:
    register, key = recording.register, recording.key
    for item_id, part in recording.parts.items():
        item = register.item(item_id)
        assert item is not None, "an item that was met has a record"
        is_flagged = recording.is_flagged(item_id)
        entry = HistoryEntry(key.height, key.transaction_index, key.event_index, int(part), is_flagged)
        item.tail = history.append(register.state, item_id, item.tail, entry, commitment)


def _status(results: Sequence[EventResult]) -> Status:
    """The word for the whole capture."""
    if all(result.status is Status.DUPLICATE for result in results):
        return Status.DUPLICATE
    if any(result.status is Status.FLAGGED for result in results):
        return Status.FLAGGED
    return Status.ACCEPTED


METHODS: Final = (Method(CONTRACT, "capture", CaptureArguments, (Role.OPERATOR, Role.GATEWAY), capture),)
