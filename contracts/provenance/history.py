"""The events of an item, in order and complete: what proofs of history rest on.

`ItemHistory` stands in the state tree under ("item", canonical id): a count and the RFC 9162 root over
the event commitments, so that nobody can leave one out. Beside it provenance keeps what makes appending
cheap (the frontier) and reading possible (where each event stands): the newest few inside the item's own
record, the rest in pages, so that an event costs an item two writes, and a third every eighth time.

Source: docs/spec/encoding.md, "Item history"; RFC 9162 section 2.1.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Annotated, Final

from msgspec import Meta

from contracts.provenance.events import NAMESPACE, EventKey
from ledger.codec import Canonical, decode, encode
from ledger.merkle.log import EMPTY_FRONTIER, Frontier, leaf_hash
from ledger.state import Overlay, StateView, Table, full_key
from ledger.types import STATE_VALUE_BYTES_MAX, Bytes32, Counter

ITEM_NAMESPACE: Final = "item"
TAIL_ENTRIES: Final = 8  # kept in the item's record; divides PAGE_ENTRIES
PAGE_ENTRIES: Final = 64


class Part(IntFlag):
    """What an item is to an event; it can be several things at once."""

    OBSERVED = 1
    CREATED = 2  # named by an ADD
    ENDED = 4  # named by a DELETE
    INPUT = 8
    OUTPUT = 16
    CONTAINER = 32  # the parent of an aggregation
    PACKED = 64
    UNPACKED = 128
    CARRIER = 256  # the parent of an association
    ATTACHED = 512
    DETACHED = 1024
    LINKED = 2048  # to a business transaction
    UNLINKED = 4096
    DECLARATION = 8192  # the event only declares an earlier one erroneous


class ItemHistory(Canonical):
    """The committed history of an item, exactly as proofs carry it."""

    event_count: Counter
    events_root: Bytes32
    first_height: Counter
    last_height: Counter


class HistoryEntry(Canonical):
    """One event of an item. `parts` is a sum of `Part`; `is_flagged`: a flag of it concerns this item."""

    height: Counter
    transaction_index: Counter
    event_index: Counter
    parts: Counter
    is_flagged: bool

    @property
    def key(self) -> EventKey:
        """Where the event stands."""
        return EventKey(self.height, self.transaction_index, self.event_index)


class HistoryPage(Canonical):
    """Up to PAGE_ENTRIES entries, oldest first; only the last page may have fewer."""

    entries: Annotated[tuple[HistoryEntry, ...], Meta(max_length=PAGE_ENTRIES)]


class HistoryTail(Canonical):
    """The growing end of a history: all that an append reads."""

    first_height: Counter
    frontier: Frontier
    entries: Annotated[tuple[HistoryEntry, ...], Meta(max_length=TAIL_ENTRIES)]


EMPTY_TAIL: Final = HistoryTail(0, EMPTY_FRONTIER, ())
PAGES: Final = Table(NAMESPACE, b"history", HistoryPage)  # key: item, zero byte, page of 4 bytes


def append(
    state: Overlay, item_id: str, tail: HistoryTail, entry: HistoryEntry, commitment: bytes
) -> HistoryTail:
    """Add an event to an item's history; the caller keeps the new tail in the item's record."""
    frontier = tail.frontier.append(leaf_hash(commitment))
    first_height = tail.first_height if tail.frontier.size else entry.height
    record = ItemHistory(frontier.size, frontier.root(), first_height, entry.height)
    state.put(history_key(item_id), encode(record))
    entries = (*tail.entries, entry)
    if len(entries) == TAIL_ENTRIES:
        _spill(state, item_id, frontier.size - TAIL_ENTRIES, entries)
        entries = ()
    return HistoryTail(first_height, frontier, entries)


def history_key(item_id: str) -> bytes:
    """The full key of an item's history record, as proofs name it."""
    return full_key(ITEM_NAMESPACE, item_id.encode())


def committed_history(state: StateView, item_id: str) -> ItemHistory | None:
    """The record that the state root covers."""
    data = state.get(history_key(item_id))
    return None if data is None else decode(data, ItemHistory, STATE_VALUE_BYTES_MAX)


def read(
    state: StateView, item_id: str, tail: HistoryTail, offset: int, limit: int
) -> tuple[HistoryEntry, ...]:
    """Entries `offset` to `offset + limit`, oldest first."""
    total = tail.frontier.size
    paged = total - len(tail.entries)
    found: list[HistoryEntry] = []
    first, last = max(offset, 0), min(max(offset, 0) + max(limit, 0), total)
    for number in range(first // PAGE_ENTRIES, (min(last, paged) + PAGE_ENTRIES - 1) // PAGE_ENTRIES):
        page = PAGES.get(state, _page_key(item_id, number))
        assert page is not None, "every page below the tail was written"
        start = number * PAGE_ENTRIES
        found += page.entries[max(first - start, 0) : last - start]
    if last > paged:
        found += tail.entries[max(first - paged, 0) : last - paged]
    return tuple(found)


def _spill(state: Overlay, item_id: str, paged: int, entries: tuple[HistoryEntry, ...]) -> None:
    key = _page_key(item_id, paged // PAGE_ENTRIES)
    before = PAGES.get(state, key) if paged % PAGE_ENTRIES else None
    PAGES.put(state, key, HistoryPage((*(before.entries if before else ()), *entries)))


def _page_key(item_id: str, number: int) -> bytes:
    return item_id.encode() + b"\0" + number.to_bytes(4, "big")
