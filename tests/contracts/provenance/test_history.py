"""The history of an item is complete, in order, and what its committed record says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.provenance.history import (
    EMPTY_TAIL,
    PAGE_ENTRIES,
    TAIL_ENTRIES,
    HistoryEntry,
    HistoryTail,
    ItemHistory,
    Part,
    append,
    committed_history,
    history_key,
    read,
)
from contracts.provenance.queries import history
from ledger.codec import decode, encode
from ledger.merkle import log
from ledger.state import Overlay
from tests.contracts.chain import MemoryState
from tests.contracts.provenance.events import Books, captured, commission, objects, results, sscc, unit

ITEM = unit("farm", "1")


def commitment(number: int) -> bytes:
    return number.to_bytes(32, "big")


def grown(events: int) -> tuple[MemoryState, HistoryTail]:
    """An item with this many events, one a block."""
    state, tail = MemoryState(), EMPTY_TAIL
    for number in range(events):
        overlay = Overlay(state)
        tail = append(overlay, ITEM, tail, HistoryEntry(number + 5, 0, 0, 1, False), commitment(number))
        state.commit(overlay)
    return state, tail


def test_the_record_stands_under_item_and_canonical_id() -> None:
    """Its key and its four fields are those that proofs and verifiers know."""
    state, _ = grown(3)
    assert history_key(ITEM) == b"item\0" + ITEM.encode()
    data = state.get(b"item\0" + ITEM.encode())
    assert data is not None
    root = log.root([commitment(number) for number in range(3)])
    assert data == encode([3, root, 5, 7])
    assert decode(data, ItemHistory, 1000) == ItemHistory(3, root, 5, 7)


@pytest.mark.parametrize("events", [1, 2, TAIL_ENTRIES, TAIL_ENTRIES + 1, PAGE_ENTRIES + 3, 200])
def test_the_root_is_that_of_all_commitments(events: int) -> None:
    """RFC 9162 over the item's event commitments in order, at every length."""
    state, tail = grown(events)
    record = committed_history(state, ITEM)
    assert record is not None
    assert record.events_root == log.root([commitment(number) for number in range(events)])
    assert record.event_count == tail.frontier.size == events
    assert (record.first_height, record.last_height) == (5, 4 + events)


SIZES = (0, 1, TAIL_ENTRIES - 1, TAIL_ENTRIES, PAGE_ENTRIES, PAGE_ENTRIES + TAIL_ENTRIES + 1, 150)
GROWN = {size: grown(size) for size in SIZES}


@given(size=st.sampled_from(SIZES), offset=st.integers(-3, 160), limit=st.integers(-3, 160))
def test_any_page_is_a_slice_of_the_whole(size: int, offset: int, limit: int) -> None:
    """Whether entries lie on pages or in the tail does not show."""
    state, tail = GROWN[size]
    heights = [entry.height for entry in read(state, ITEM, tail, offset, limit)]
    whole = [number + 5 for number in range(size)]
    assert heights == whole[max(offset, 0) :][: max(limit, 0)]


def test_an_event_costs_an_item_two_keys_and_a_third_every_eighth_time() -> None:
    """The record that is proved and the item's own; a page is written when the tail is full."""
    books = Books()
    books.clean("farm", commission(1, ITEM))
    costs = []
    for number in range(2, 20):
        books.clean("farm", objects("OBSERVE", number, ITEM))
        costs.append(books.last_writes - 1)  # the event's own record
    assert costs == [3 if number % TAIL_ENTRIES == 0 else 2 for number in range(2, 20)]


def test_every_item_of_an_event_has_it_once() -> None:
    """An item that is named twice has one entry with both parts; each entry says where the event stands."""
    books = Books()
    box = sscc("farm", 1)
    twice = objects("OBSERVE", 1, ITEM, box)
    other = objects("OBSERVE", 2, box)
    found = results(books.send("farm/operator", "provenance", "capture", captured(twice, other)))
    page = history(books.state, box)
    assert page is not None
    assert [(line.event.height, line.event.event_index) for line in page.lines] == [(1, 0), (1, 1)]
    assert [line.is_flagged for line in page.lines] == [True, False]
    assert all(line.parts == Part.OBSERVED for line in page.lines)
    record = committed_history(books.state, box)
    assert record is not None
    assert record.events_root == log.root([result.commitment for result in found])


def test_an_unknown_item_has_no_history() -> None:
    """None is not an empty page: nobody ever named it."""
    books = Books()
    assert history(books.state, ITEM) is None
    assert committed_history(books.state, ITEM) is None
