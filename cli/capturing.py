"""EPCIS events into transactions, and the receipts back into one result an event.

Everything is checked here first, by the code that every validator runs, so that a mistake in the last
file is found before the first event is sent. Transactions follow each other in order: the next one is
sent when the one before is final.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cli.failure import Failure
from cli.sending import Outcome, Sender
from contracts.epcis.captured import CapturedEvent
from contracts.epcis.document import DOCUMENT_BYTES_MAX, Document, check_document
from contracts.epcis.problems import EpcisError, Problem
from contracts.provenance.capture import CONTRACT, EVENTS_MAX, CaptureArguments, CaptureResult, EventResult
from contracts.provenance.events import recording_id
from ledger.codec import decode, encode
from ledger.errors import LedgerError
from ledger.receipt import Status
from ledger.types import ARGUMENTS_BYTES_MAX, RESULT_BYTES_MAX
from node.epcis_xml.reading import check_xml, is_xml

METHOD: Final = "capture"
BATCH_BYTES_MAX: Final = ARGUMENTS_BYTES_MAX - 64  # leaves room for the array's own header
_TOO_MANY: Final = "capture.too_many_items"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event stood: the document's name and the JSON pointer in it."""

    document: str
    pointer: str


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event that was found sound, and where."""

    origin: Origin
    captured: CapturedEvent


@dataclass(frozen=True, slots=True)
class EventFate:
    """What became of one event. Height and place are those of its first recording."""

    origin: Origin
    status: str  # accepted, flagged, duplicate, refused, pending
    transaction_id: str = ""
    event_id: str = ""
    height: int | None = None
    transaction_index: int | None = None
    event_index: int | None = None
    flags: tuple[tuple[str, str], ...] = ()  # code and subject
    code: str = ""
    message: str = ""
    first_transaction_id: str = ""  # of a duplicate

    @property
    def recording_id(self) -> str:
        """The ledger's name of the event, of a repeated one that of the first; "" while not recorded."""
        if self.event_index is None:
            return ""
        return recording_id(bytes.fromhex(self.first_transaction_id or self.transaction_id), self.event_index)

    @property
    def readable(self) -> dict[str, Any]:
        """As JSON; what does not apply is left out. The pointer "" is the whole, as of a bare event."""
        found: dict[str, Any] = {
            "status": self.status,
            "event_id": self.event_id,
            "recording_id": self.recording_id,
            "transaction_id": self.transaction_id,
            "height": self.height,
            "transaction_index": self.transaction_index,
            "event_index": self.event_index,
            "flags": [{"code": code, "subject": subject} for code, subject in self.flags],
            "code": self.code,
            "message": self.message,
        }
        if self.first_transaction_id:
            found["first"] = {
                "transaction_id": self.first_transaction_id,
                "event_id": self.event_id,
                "height": self.height,
                "transaction_index": self.transaction_index,
                "event_index": self.event_index,
            }
        place = {"document": self.origin.document, "pointer": self.origin.pointer}
        return place | {name: value for name, value in found.items() if value not in ("", None, [])}


def read_document(data: bytes) -> Document:
    """A sound document in JSON or XML, which shows in its first character; `data` as for `read_events`.

    Raises:
        LedgerError: `json.*`, `xml.*`.
        EpcisError: every problem of it.
    """
    assert len(data) <= DOCUMENT_BYTES_MAX + 1
    if len(data) > DOCUMENT_BYTES_MAX:
        code = "xml.too_large" if is_xml(data) else "json.too_large"
        raise LedgerError(code, f"more than {DOCUMENT_BYTES_MAX >> 20} MiB")
    return check_xml(data) if is_xml(data) else check_document(data)


def problems_of(name: str, refused: LedgerError) -> list[EventFate]:
    """What is wrong with a document, one fate a problem."""
    first = Problem(refused.code, refused.message, refused.pointer)
    found = refused.problems if isinstance(refused, EpcisError) else (first,)
    return [_refused(name, problem) for problem in found]


def read_events(name: str, data: bytes) -> tuple[list[FoundEvent], list[EventFate]]:
    """The events of a document in JSON or XML, or every problem that it has (then no event).

    `data` may be one byte longer than a document may be: that is how too large a one shows.
    """
    try:
        document = read_document(data)
    except LedgerError as refused:
        return [], problems_of(name, refused)
    pairs = zip(document.events, document.pointers, strict=True)
    return [FoundEvent(Origin(name, pointer), captured) for captured, pointer in pairs], []


def batches(events: Iterable[FoundEvent]) -> Iterator[list[FoundEvent]]:
    """The events in order, as many at a time as one transaction holds."""
    batch: list[FoundEvent] = []
    size = 0
    for event in events:
        added = len(encode(event.captured))
        if batch and (len(batch) == EVENTS_MAX or size + added > BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += added
    if batch:
        yield batch


def capture_batch(sender: Sender, batch: Sequence[FoundEvent]) -> list[EventFate]:
    """Record the events of one transaction.

    A capture that names too many items in all is cut in half and sent again.

    Raises:
        Failure: as `Sender.send`; nothing of the batch is known to be recorded then.
    """
    arguments = CaptureArguments(tuple(event.captured for event in batch))
    outcome = sender.send(CONTRACT, METHOD, arguments)
    if outcome.receipt is None:
        return [EventFate(event.origin, outcome.status, outcome.id) for event in batch]
    if outcome.receipt.status == Status.REFUSED.word:
        if outcome.receipt.code == _TOO_MANY and len(batch) > 1:
            half = len(batch) // 2
            return capture_batch(sender, batch[:half]) + capture_batch(sender, batch[half:])
        return _refused_batch(batch, outcome)
    return fates(batch, outcome)


def fates(batch: Sequence[FoundEvent], outcome: Outcome) -> list[EventFate]:
    """What the receipt of a final capture says of each event."""
    assert outcome.receipt is not None, "only a final capture has fates"
    try:
        results = decode(bytes.fromhex(outcome.receipt.result), CaptureResult, RESULT_BYTES_MAX).events
    except (LedgerError, ValueError) as problem:
        raise Failure("node.bad_answer", f"the receipt of {outcome.id} can't be read: {problem}") from None
    pairs = enumerate(zip(batch, results, strict=True))
    return [_fate(event.origin, result, outcome, index) for index, (event, result) in pairs]


def _fate(origin: Origin, result: EventResult, outcome: Outcome, index: int) -> EventFate:
    first = result.first
    return EventFate(
        origin=origin,
        status=result.status.word,
        transaction_id=outcome.id,
        event_id=result.event_id,
        height=outcome.height if first is None else first.height,
        transaction_index=outcome.index if first is None else first.transaction_index,
        event_index=index if first is None else first.event_index,
        flags=tuple((flag.code, flag.subject) for flag in result.flags),
        first_transaction_id="" if first is None else first.transaction_id.hex(),
    )


def _refused(name: str, problem: Problem) -> EventFate:
    return EventFate(Origin(name, problem.pointer), "refused", code=problem.code, message=problem.message)


def _refused_batch(batch: Sequence[FoundEvent], outcome: Outcome) -> list[EventFate]:
    """A refused capture records none of its events; the one that it names gets the pointer."""
    assert outcome.receipt is not None
    code, pointer = outcome.receipt.code, outcome.receipt.pointer
    parts = pointer.split("/", 3)  # "", "events", index, rest
    guilty = int(parts[2]) if len(parts) > 2 and parts[1] == "events" and parts[2].isdigit() else -1
    found = []
    for index, event in enumerate(batch):
        origin, message = event.origin, "another event of the same transaction was refused"
        if index == guilty or guilty < 0:
            rest = f"/{parts[3]}" if index == guilty and len(parts) > 3 else ""
            origin = Origin(origin.document, origin.pointer + rest)
            message = "refused by the contract"
        found.append(
            EventFate(origin, "refused", outcome.id, height=outcome.height, code=code, message=message)
        )
    return found
