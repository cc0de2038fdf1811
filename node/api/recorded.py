"""Recorded EPCIS events, read back from the blocks that hold them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from contracts.epcis.captured import CapturedEvent
from contracts.epcis.document import StoredEvent
from contracts.provenance.capture import CaptureArguments, CaptureResult, EventResult
from contracts.provenance.flags import RaisedFlag
from ledger.codec import decode
from ledger.members import KEYS
from ledger.receipt import Receipt, Status
from ledger.state import StateView
from ledger.transaction import Transaction, decode_transaction
from ledger.types import RESULT_BYTES_MAX, TRANSACTION_BYTES_MAX, Hash, Height, TimeMs, TxId
from node.api.turns import Turns
from node.event_index import Place, is_capture
from node.service import BlockRecord, Service, TransactionRecord

BLOCKS_KEPT: Final = 4  # decoded blocks that one question keeps; places come in order


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event of a final block. `organisation` captured it."""

    place: Place
    captured: CapturedEvent
    event_id: str
    record_time_ms: TimeMs
    transaction_id: TxId
    organisation: str
    status: Status
    flags: tuple[RaisedFlag, ...]
    commitment: Hash

    @property
    def stored(self) -> StoredEvent:
        """The part that is written back as EPCIS."""
        return StoredEvent(self.captured, self.record_time_ms, self.event_id)


class Reader:
    """Reads events by place for one question, each block and the transaction at hand decoded once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._state = service.state()
        self._turns = Turns()
        self._blocks: OrderedDict[Height, BlockRecord] = OrderedDict()
        self._last: tuple[Height, int] | None = None  # the transaction whose events are at hand
        self._events: dict[Place, RecordedEvent] = {}

    async def read(self, places: Iterable[Place]) -> list[RecordedEvent]:
        """The events at these places; the event loop gets its turns in between."""
        found = []
        for place in places:
            found.append(self._event(place))
            await self._turns.give()
        return found

    def _event(self, place: Place) -> RecordedEvent:
        if self._last != place[:2]:
            record = self._block(place.height)
            transaction = decode_transaction(record.block.transactions[place.transaction])
            recorded = _recorded(record, place.transaction, transaction, self._state)
            self._events = {event.place: event for event in recorded}
            self._last = (place.height, place.transaction)
        return self._events[place]

    def _block(self, height: Height) -> BlockRecord:
        record = self._blocks.get(height)
        if record is None:
            record = self._service.block(height)
            assert record is not None, "an event stands in a block that is here"
            self._blocks[height] = record
            while len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return record


def events_in(record: BlockRecord, state: StateView) -> Iterator[RecordedEvent]:
    """Every event that a block recorded, in order; repeated ones and refused captures have none."""
    for index, raw in enumerate(record.block.transactions):
        if record.receipts[index].events:
            transaction = decode_transaction(raw)
            if is_capture(transaction):
                yield from _recorded(record, index, transaction, state)


def capture_results(receipt: Receipt) -> tuple[EventResult, ...]:
    """What became of each event of a capture that was not refused."""
    return decode(receipt.result, CaptureResult, RESULT_BYTES_MAX).events


def recorded_place(record: TransactionRecord | None, event_index: int) -> Place | None:
    """Where the event stands that a transaction brought; for a repeated one, where it was recorded first."""
    if record is None or record.receipt is None or not is_capture(record.transaction):
        return None
    results = () if record.receipt.status is Status.REFUSED else capture_results(record.receipt)
    if event_index >= len(results):
        return None
    first = results[event_index].first
    if first is not None:
        return Place(Height(first.height), first.transaction_index, first.event_index)
    assert record.height is not None, "a receipt stands in a block"
    assert record.index is not None, "a receipt stands in a block"
    return Place(record.height, record.index, event_index)


def _recorded(
    record: BlockRecord, index: int, transaction: Transaction, state: StateView
) -> Iterator[RecordedEvent]:
    arguments = decode(transaction.body.arguments, CaptureArguments, TRANSACTION_BYTES_MAX)
    results = capture_results(record.receipts[index])
    sender = KEYS.get(state, transaction.body.sender)
    header = record.block.header
    for event, (captured, result) in enumerate(zip(arguments.events, results, strict=True)):
        if result.status is Status.DUPLICATE:
            continue
        yield RecordedEvent(
            place=Place(Height(header.height), index, event),
            captured=captured,
            event_id=result.event_id,
            record_time_ms=TimeMs(header.time_ms),
            transaction_id=transaction.id,
            organisation="" if sender is None else sender.organisation,
            status=result.status,
            flags=result.flags,
            commitment=Hash(result.commitment),
        )
