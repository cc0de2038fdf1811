"""The EPCIS events of final blocks in recording order: a local index, written with the state of each block.

It is no part of the state that validators agree on, and can be made again from the blocks at any
time. An entry holds what a query asks most (kind, times, who captured), so that a query reads from
blocks only the events that it will answer. Events by eventID and by item stand in the state itself
(`contracts.provenance.events`, `contracts.provenance.history`).

Key, after the prefix of the store: "event/", height 7 bytes, transaction 2, event 2, big-endian:
byte order is recording order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Final, NamedTuple, Protocol

import msgspec
from msgspec import Meta

from contracts.epcis.instant import parse_time
from contracts.provenance.capture import CONTRACT, CaptureArguments, CaptureResult
from ledger.codec import Canonical, decode, encode
from ledger.receipt import Receipt, Status
from ledger.transaction import Transaction, decode_transaction
from ledger.types import HEIGHT_MAX, RESULT_BYTES_MAX, TRANSACTION_BYTES_MAX, Bytes32, Counter, Height
from node.service import BlockRecord

METHOD: Final = "capture"
ENTRY_BYTES_MAX: Final = 4096
BIZ_STEP_LENGTH_MAX: Final = 512  # characters; a longer one is cut, and found by reading the event itself

_PREFIX: Final = b"event/"
_STOP: Final = b"event0"  # the first key after the prefix
_PLACE_BYTES: Final = 11


class Place(NamedTuple):
    """Where an event stands: block, transaction in the block, event in the transaction (each from 0)."""

    height: Height
    transaction: int
    event: int

    def next(self) -> Place:
        """The first place after this one."""
        number = int.from_bytes(_place_bytes(self), "big") + 1
        return _place(number.to_bytes(_PLACE_BYTES, "big"))


PLACE_FIRST: Final = Place(Height(0), 0, 0)
PLACE_LAST: Final = Place(Height(HEIGHT_MAX), 0xFFFF, 0xFFFF)


class Entry(Canonical):
    """What a query asks most of an event. Times are milliseconds since 1970 UTC.

    `biz_step` is spelled as the client did; "" where there is none.
    """

    kind: str
    biz_step: str
    event_time_ms: int
    record_time_ms: Counter
    transaction_id: Bytes32
    sender: Bytes32
    event_id: Annotated[str, Meta(max_length=ENTRY_BYTES_MAX // 2)]


class Scan(Protocol):
    """Reads the stored index, as `StateStore.index_scan` does."""

    def __call__(
        self, start: bytes, stop: bytes, limit: int, *, reverse: bool = False
    ) -> Sequence[tuple[bytes, bytes]]:
        """Entries with start <= key < stop in key order, or from the end, at most `limit`."""


class _Head(msgspec.Struct):
    """The fields of an event's JSON that the index holds; the contract has checked them."""

    type: str
    eventTime: str  # noqa: N815  # as EPCIS spells it
    bizStep: str | None = None  # noqa: N815


_head_decoder = msgspec.json.Decoder(_Head)


def index_entries(record: BlockRecord) -> dict[bytes, bytes | None]:
    """What to store for the events of a final block, in the batch of its state."""
    if not record.block.header.event_count:
        return {}
    transactions = (decode_transaction(raw) for raw in record.block.transactions)
    return entries_of(record.block.header.height, record.block.header.time_ms, transactions, record.receipts)


def entries_of(
    height: int, time_ms: int, transactions: Iterable[Transaction], receipts: Sequence[Receipt]
) -> dict[bytes, bytes | None]:
    """The same, where the transactions are decoded already. A refused or repeated event has no entry."""
    entries: dict[bytes, bytes | None] = {}
    for index, (transaction, receipt) in enumerate(zip(transactions, receipts, strict=True)):
        for event, entry in _recorded(transaction, receipt, time_ms):
            entries[_key(Place(Height(height), index, event))] = encode(entry)
    return entries


def is_capture(transaction: Transaction) -> bool:
    """Whether the transaction calls the method that records events."""
    return (transaction.body.contract, transaction.body.method) == (CONTRACT, METHOD)


def _recorded(transaction: Transaction, receipt: Receipt, time_ms: int) -> Iterator[tuple[int, Entry]]:
    if not receipt.events or not is_capture(transaction):
        return
    arguments = decode(transaction.body.arguments, CaptureArguments, TRANSACTION_BYTES_MAX)
    results = decode(receipt.result, CaptureResult, RESULT_BYTES_MAX).events
    for index, (captured, result) in enumerate(zip(arguments.events, results, strict=True)):
        if result.status is Status.DUPLICATE:
            continue
        head = _head_decoder.decode(captured.body)
        yield (
            index,
            Entry(
                head.type,
                (head.bizStep or "")[:BIZ_STEP_LENGTH_MAX],
                parse_time(head.eventTime),
                time_ms,
                transaction.id,
                transaction.body.sender,
                result.event_id,
            ),
        )


class EventIndex:
    """Reads the index in recording order."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan

    def at(self, place: Place) -> Entry | None:
        """The entry of one event."""
        found = self.page(place, place.next(), 1)
        return found[0][1] if found else None

    def page(self, start: Place, stop: Place, limit: int) -> list[tuple[Place, Entry]]:
        """At most `limit` events with start <= place < stop."""
        found = self._scan(_key(start), min(_key(stop), _STOP), limit)
        return [(_place(key[len(_PREFIX) :]), decode(value, Entry, ENTRY_BYTES_MAX)) for key, value in found]


def _key(place: Place) -> bytes:
    return _PREFIX + _place_bytes(place)


def _place_bytes(place: Place) -> bytes:
    return (
        place.height.to_bytes(7, "big")
        + place.transaction.to_bytes(2, "big")
        + place.event.to_bytes(2, "big")
    )


def _place(data: bytes) -> Place:
    assert len(data) == _PLACE_BYTES, "an index key of another length"
    return Place(
        Height(int.from_bytes(data[:7], "big")),
        int.from_bytes(data[7:9], "big"),
        int.from_bytes(data[9:], "big"),
    )
