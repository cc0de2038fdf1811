"""The EPCIS events of final blocks in recording order: a local index, written with the state of each block.

It is no part of the state that validators agree on, and can be made again from the blocks at any
time. An entry holds what a query asks most (kind, times, who captured), so that a query reads from
blocks only the events that it will answer. Events by eventID and by item stand in the state itself
(`contracts.provenance.events`, `contracts.provenance.history`).

Key, after the prefix of the store: "event/", height 7 bytes, transaction 2, event 2, big-endian:
byte order is recording order. Beside it stands which values events have: "seen/", collection 1 byte,
16 bytes of the value's SHA-256, the event's place; the entry is the value itself, so that a key has one
length whatever clients write. The order of values is that of their hashes. And for the order of what
happened: "when/", the event's time 7 bytes from year 1 or before, its place; the entry is empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from hashlib import sha256
from typing import Annotated, Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import Meta

from contracts.epcis.captured import CapturedEvent
from contracts.epcis.identifiers import resolve
from contracts.epcis.instant import parse_time
from contracts.epcis.prefixes import expand, read_context
from contracts.epcis.problems import Problems
from contracts.epcis.vocabulary import Vocabulary, stored_term
from contracts.provenance.capture import CONTRACT, CaptureArguments, CaptureResult
from contracts.provenance.items import ITEMS
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
_SEEN: Final = b"seen/"
_WHEN: Final = b"when/"
_TIME_BYTES: Final = 7
_TIME_ZERO: Final = 1 << 47  # ms from 1970 back to before year 1; year 9999 fits above it
_PLACE_BYTES: Final = 11
DIGEST_BYTES: Final = 16
DIGEST_FIRST: Final = bytes(DIGEST_BYTES)


class Seen(Enum):
    """The values of events that are listed; each has a byte in the keys."""

    EVENT_TYPE = b"t"
    BIZ_STEP = b"s"
    DISPOSITION = b"d"
    READ_POINT = b"r"
    BIZ_LOCATION = b"l"


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


class Moment(NamedTuple):
    """When an event happened, and where it stands: the key of the order of what happened."""

    event_time_ms: int
    place: Place

    def next(self) -> Moment:
        """The first moment after this one."""
        return Moment(self.event_time_ms, self.place.next())


MOMENT_FIRST: Final = Moment(1 - _TIME_ZERO, PLACE_FIRST)
MOMENT_LAST: Final = Moment((1 << 8 * _TIME_BYTES) - 1 - _TIME_ZERO, PLACE_LAST)


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


class _Where(msgspec.Struct):
    """A place of an event's JSON."""

    id: str


class _Head(msgspec.Struct, rename={"context": "@context"}):
    """The fields of an event's JSON that the index holds; the contract has checked them."""

    type: str
    eventTime: str  # noqa: N815  # as EPCIS spells it
    bizStep: str | None = None  # noqa: N815
    disposition: str | None = None
    readPoint: _Where | None = None  # noqa: N815
    bizLocation: _Where | None = None  # noqa: N815
    context: Any = None


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
        for event, entry, seen in _recorded(transaction, receipt, time_ms):
            place = Place(Height(height), index, event)
            entries[_key(place)] = encode(entry)
            entries[_when_key(entry.event_time_ms, place)] = b""
            for collection, value in seen:
                entries[_seen_key(collection, digest_of(value)) + _place_bytes(place)] = value.encode()
    return entries


def is_capture(transaction: Transaction) -> bool:
    """Whether the transaction calls the method that records events."""
    return (transaction.body.contract, transaction.body.method) == (CONTRACT, METHOD)


def is_whole(scan: Scan) -> bool:
    """Whether the first event has all of its entries: a release before this one wrote one alone."""
    first = scan(_PREFIX, _STOP, 1)
    if not first:
        return True
    entry = decode(first[0][1], Entry, ENTRY_BYTES_MAX)
    key = _when_key(entry.event_time_ms, _place(first[0][0][len(_PREFIX) :]))
    return bool(scan(key, key + b"\0", 1))


def digest_of(value: str) -> bytes:
    """What stands for a value in keys."""
    return sha256(value.encode()).digest()[:DIGEST_BYTES]


def _values(captured: CapturedEvent, head: _Head) -> Iterator[tuple[Seen, str]]:
    """The values of an event in the form that queries compare."""
    bound = dict(captured.prefixes)
    if head.context is not None:
        bound |= read_context(head.context, "", Problems())[0]
    yield Seen.EVENT_TYPE, head.type
    if head.bizStep is not None:
        yield Seen.BIZ_STEP, stored_term(head.bizStep, Vocabulary.BIZ_STEP, bound)
    if head.disposition is not None:
        yield Seen.DISPOSITION, stored_term(head.disposition, Vocabulary.DISPOSITION, bound)
    if head.readPoint is not None:
        yield Seen.READ_POINT, resolve(expand(head.readPoint.id, bound)).uri
    if head.bizLocation is not None:
        yield Seen.BIZ_LOCATION, resolve(expand(head.bizLocation.id, bound)).uri


def _recorded(
    transaction: Transaction, receipt: Receipt, time_ms: int
) -> Iterator[tuple[int, Entry, Iterator[tuple[Seen, str]]]]:
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
            _values(captured, head),
        )


class StateScan(Protocol):
    """Reads committed state in key order, as `StateStore.scan` does."""

    def __call__(self, start: bytes, stop: bytes, limit: int) -> Sequence[tuple[bytes, bytes]]:
        """Values with start <= full key < stop, at most `limit`."""


class EventIndex:
    """Reads the index in recording order, and what lists can be read off the state beside it."""

    def __init__(self, scan: Scan, state_scan: StateScan) -> None:
        self._scan = scan
        self._state_scan = state_scan

    def at(self, place: Place) -> Entry | None:
        """The entry of one event."""
        found = self.page(place, place.next(), 1)
        return found[0][1] if found else None

    def page(
        self, start: Place, stop: Place, limit: int, *, reverse: bool = False
    ) -> list[tuple[Place, Entry]]:
        """At most `limit` events with start <= place < stop, from the start or from the end."""
        found = self._scan(_key(start), min(_key(stop), _STOP), limit, reverse=reverse)
        return [(_place(key[len(_PREFIX) :]), decode(value, Entry, ENTRY_BYTES_MAX)) for key, value in found]

    def timed(self, start: Moment, stop: Moment, limit: int, *, reverse: bool = False) -> list[Moment]:
        """At most `limit` events with start <= moment < stop, by event time, from the start or the end."""
        found = self._scan(_when_key(*start), _when_key(*stop), limit, reverse=reverse)
        return [
            Moment(
                int.from_bytes(key[len(_WHEN) : -_PLACE_BYTES], "big") - _TIME_ZERO,
                _place(key[-_PLACE_BYTES:]),
            )
            for key, _ in found
        ]

    def values(self, seen: Seen, start: bytes, height: Height, limit: int) -> list[tuple[bytes, str]]:
        """Values that events up to a height have, with their digests, from one digest on; at most `limit`."""
        found: list[tuple[bytes, str]] = []
        stop = _SEEN + seen.value + b"0"  # the first key after the collection's
        key = _seen_key(seen, start)
        while len(found) < limit:
            first = self._scan(key, stop, 1)
            if not first:
                break
            digest = first[0][0][-_PLACE_BYTES - DIGEST_BYTES : -_PLACE_BYTES]
            if _place(first[0][0][-_PLACE_BYTES:]).height <= height:
                found.append((digest, first[0][1].decode()))
            key = _seen_key(seen, digest) + b"\xff" * (_PLACE_BYTES + 1)
        return found

    def having(self, seen: Seen, value: str, start: Place, stop: Place, limit: int) -> list[Place]:
        """At most `limit` events with this value and start <= place < stop, in recording order."""
        key = _seen_key(seen, digest_of(value))
        found = self._scan(key + _place_bytes(start), key + _place_bytes(stop), limit)
        return [_place(each[-_PLACE_BYTES:]) for each, _ in found]

    def has_value(self, seen: Seen, value: str) -> bool:
        """Whether a final event has this value."""
        key = _seen_key(seen, digest_of(value))
        return bool(self._scan(key, key + b"\xff" * (_PLACE_BYTES + 1), 1))

    def items(self, start: str, limit: int) -> list[tuple[str, bytes]]:
        """Items of the books by identifier, from one on, each with its record; at most `limit`."""
        prefix = ITEMS.key(b"")
        found = self._state_scan(prefix + start.encode(), prefix[:-1] + b"0", limit)
        return [(key[len(prefix) :].decode(), record) for key, record in found]


def _when_key(event_time_ms: int, place: Place) -> bytes:
    return _WHEN + (event_time_ms + _TIME_ZERO).to_bytes(_TIME_BYTES, "big") + _place_bytes(place)


def _seen_key(seen: Seen, digest: bytes) -> bytes:
    return _SEEN + seen.value + b"/" + digest


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
