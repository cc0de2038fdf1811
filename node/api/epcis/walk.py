"""The events that match a query, page by page, each page bounded in work and bound to a height.

A page that has looked at enough ends, and its link goes on: in the order of recording, in that of what
happened, and in either backwards. An extension field, a count and an item's history sorted by time have to
see every candidate first, so a query with too many of them is refused and has to be narrowed.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final, NamedTuple

from contracts.provenance import queries
from contracts.provenance.events import EventKey
from ledger.errors import LedgerError
from ledger.state import StateView
from ledger.types import Height
from node.api.context import Api
from node.api.epcis.query.facts import Facts, facts_of
from node.api.epcis.query.master import master_data_of
from node.api.epcis.query.query import BY_ITEM, EVENT_TIME, Order, Query
from node.api.recorded import Reader, RecordedEvent
from node.api.turns import Turns
from node.event_index import MOMENT_FIRST, MOMENT_LAST, PLACE_FIRST, Entry, Moment, Place, Seen

ENTRIES_MAX: Final = 10_000  # index entries that one page looks at
EVENTS_READ_MAX: Final = 2_000  # events that one page reads from blocks
INDEX_PAGE: Final = 512  # entries read from the store at once
HISTORY_PAGE: Final = 500
BY_VALUE: Final = {  # the most telling first
    "EQ_readPoint": Seen.READ_POINT,
    "EQ_bizLocation": Seen.BIZ_LOCATION,
    "EQ_disposition": Seen.DISPOSITION,
    "EQ_bizStep": Seen.BIZ_STEP,
}
ANSWER_BYTES_MAX: Final = 4 << 20  # of events in one page, which always holds at least one


class PageStart(NamedTuple):
    """Where a page begins: the height its walk is bound to, the first place to look at, what came before."""

    height: Height
    place: Place | None = None
    given: int = 0


class Page(NamedTuple):
    """The events of a page, and where the next one begins; None: there is nothing more."""

    events: list[RecordedEvent]
    following: PageStart | None


async def read_page(api: Api, query: Query, start: PageStart, per_page: int) -> Page:
    """One page of the events that match.

    Raises:
        LedgerError: `query.too_large`, `query.too_complex`.
    """
    bound = Place(Height(min(start.height, api.service.head()[0]) + 1), 0, 0)
    walk = _Walk(api, query, bound)
    if query.count_max is not None and start.place is None:
        await walk.check_count(query.count_max)
    if query.count_limit is not None:
        per_page = min(per_page, query.count_limit - start.given)
        if per_page <= 0:
            return Page([], None)
    candidates = await walk.candidates(start.place)
    events, place = await walk.fill(candidates, per_page)
    given = start.given + len(events)
    if place is None or given == query.count_limit:
        return Page(events, None)
    return Page(events, PageStart(Height(bound.height - 1), place, given))


class _Walk:
    """One question to the events below a bound."""

    def __init__(self, api: Api, query: Query, bound: Place) -> None:
        self._api = api
        self._query = query
        self._bound = bound
        self._state = api.service.state()
        self._master = master_data_of(self._state)
        self._reader = Reader(api.service)
        self._turns = Turns()

    async def candidates(self, start: Place | None) -> Iterator[tuple[Place, Entry]]:
        """Candidates in the order of the query, from a place on."""
        order = self._query.order
        if order is None:
            return self.recorded(start or PLACE_FIRST)
        if order.field is not None or any(name in self._query.exact for name in ("EQ_eventID", *BY_ITEM)):
            return _from(await self.ordered(order), start)
        if order.by == EVENT_TIME:
            return self._by_event_time(start, is_ascending=order.is_ascending)
        return self._all(start or PLACE_FIRST) if order.is_ascending else self._backwards(start)

    def _by_event_time(self, start: Place | None, *, is_ascending: bool) -> Iterator[tuple[Place, Entry]]:
        """All events that were recorded below the bound, as they happened or backwards."""
        times = self._query.times
        low, high = MOMENT_FIRST, MOMENT_LAST
        if "GE_eventTime" in times:
            low = Moment(times["GE_eventTime"], PLACE_FIRST)
        if "LT_eventTime" in times:
            high = Moment(times["LT_eventTime"], PLACE_FIRST)
        known = None if start is None else self._api.events.at(start)
        if start is not None and known is not None:
            here = Moment(known.event_time_ms, start)
            low, high = (max(low, here), high) if is_ascending else (low, min(high, here.next()))
        while low < high:
            page = self._api.events.timed(low, high, INDEX_PAGE, reverse=not is_ascending)
            yield from self._entries(each.place for each in page if each.place < self._bound)
            if len(page) < INDEX_PAGE:
                return
            low, high = (page[-1].next(), high) if is_ascending else (low, page[-1])

    def _backwards(self, start: Place | None) -> Iterator[tuple[Place, Entry]]:
        """All there are, the latest first."""
        stop = self._bound if start is None else min(self._bound, start.next())
        while True:
            page = self._api.events.page(PLACE_FIRST, stop, INDEX_PAGE, reverse=True)
            yield from page
            if len(page) < INDEX_PAGE:
                return
            stop = page[-1][0]

    def recorded(self, start: Place) -> Iterator[tuple[Place, Entry]]:
        """Candidates in recording order: by identifier, item or value, or all there are."""
        exact = self._query.exact
        named = next((exact[name] for name in BY_ITEM if name in exact), None)
        if "EQ_eventID" in exact:
            known = (queries.events_called(self._state, each) for each in sorted(exact["EQ_eventID"]))
            places = sorted({place_of(version.ref.key) for each in known for version in each})
            yield from self._entries(place for place in places if start <= place < self._bound)
        elif named is not None:
            found = (_history(self._state, each, start, self._bound) for each in sorted(named))
            yield from self._entries(sorted({place for places in found for place in places}))
        else:
            listed = next((name for name in BY_VALUE if name in exact), None)
            yield from self._all(start) if listed is None else self._having(listed, start)

    def _having(self, name: str, start: Place) -> Iterator[tuple[Place, Entry]]:
        """Events that have one of a parameter's values. Each event has one at most, so none comes twice."""
        values = sorted(self._query.exact[name])
        yield from self._entries(
            heapq.merge(*(self._places(BY_VALUE[name], value, start) for value in values))
        )

    def _places(self, seen: Seen, value: str, start: Place) -> Iterator[Place]:
        while True:
            page = self._api.events.having(seen, value, start, self._bound, INDEX_PAGE)
            yield from page
            if len(page) < INDEX_PAGE:
                return
            start = page[-1].next()

    async def ordered(self, order: Order) -> list[tuple[Place, Entry]]:
        """All candidates in the order that was asked for. Equal ones come as they were recorded, or the
        other way round where the order descends."""
        found = [each async for each in self._bounded()]
        if order.field is not None:
            return await self._by_field(found, order)

        def key(each: tuple[Place, Entry]) -> tuple[int, Place]:
            entry = each[1]
            return (entry.event_time_ms if order.by == EVENT_TIME else entry.record_time_ms), each[0]

        return sorted(found, key=key, reverse=not order.is_ascending)

    async def _by_field(self, found: list[tuple[Place, Entry]], order: Order) -> list[tuple[Place, Entry]]:
        """Sorted by an extension field; events without it come last."""
        if len(found) > EVENTS_READ_MAX:
            raise _too_complex(EVENTS_READ_MAX, "events to be read before they can be sorted")
        keyed: list[tuple[tuple[int, Any], tuple[Place, Entry]]] = []
        rest: list[tuple[Place, Entry]] = []
        for each in found:
            key = order.key(self._facts(await self._event(each[0])))
            if key is None:
                rest.append(each)
            else:
                keyed.append((key, each))
        keyed.sort(key=lambda pair: (pair[0], pair[1][0]), reverse=not order.is_ascending)
        return [each for _, each in keyed] + rest

    async def check_count(self, count_max: int) -> None:
        """Refuse the query where more than so many events match."""
        count = read = 0
        async for place, _ in self._bounded():
            read += 1
            if read > EVENTS_READ_MAX:
                raise _too_complex(EVENTS_READ_MAX, "events to be read before they are counted")
            count += self._query.matches(self._facts(await self._event(place)))
            if count > count_max:
                raise LedgerError(
                    "query.too_large", f"more than {count_max} events match", "/query/maxEventCount"
                )

    async def _bounded(self) -> AsyncIterator[tuple[Place, Entry]]:
        """Every candidate that may match by kind and time; too many to be seen at once are refused."""
        for looked, (place, entry) in enumerate(self.recorded(PLACE_FIRST)):
            if looked == ENTRIES_MAX:
                raise _too_complex(ENTRIES_MAX, "events to be looked at before the first can be told")
            await self._turns.give()
            if self._query.may_match(entry.kind, entry.event_time_ms, entry.record_time_ms):
                yield place, entry

    async def fill(
        self, candidates: Iterable[tuple[Place, Entry]], per_page: int
    ) -> tuple[list[RecordedEvent], Place | None]:
        """Matching events, and the candidate with which the next page begins."""
        found: list[RecordedEvent] = []
        size = looked = read = 0
        for place, entry in candidates:
            is_full = len(found) == per_page or size > ANSWER_BYTES_MAX
            if is_full or looked >= ENTRIES_MAX or read >= EVENTS_READ_MAX:
                return found, place
            looked += 1
            await self._turns.give()
            if not self._query.may_match(entry.kind, entry.event_time_ms, entry.record_time_ms):
                continue
            read += 1
            event = await self._event(place)
            if self._query.matches(self._facts(event)):
                found.append(event)
                size += len(event.captured.body)
        return found, None

    async def _event(self, place: Place) -> RecordedEvent:
        (event,) = await self._reader.read((place,))
        return event

    def _facts(self, event: RecordedEvent) -> Facts:
        return facts_of(event.captured, event.event_id, event.record_time_ms, self._master)

    def _entries(self, places: Iterable[Place]) -> Iterator[tuple[Place, Entry]]:
        for place in places:
            entry = self._api.events.at(place)
            assert entry is not None, "an event that state knows stands in the index"
            yield place, entry

    def _all(self, start: Place) -> Iterator[tuple[Place, Entry]]:
        while True:
            page = self._api.events.page(start, self._bound, INDEX_PAGE)
            yield from page
            if len(page) < INDEX_PAGE:
                return
            start = page[-1][0].next()


def _from(ordered: list[tuple[Place, Entry]], start: Place | None) -> Iterator[tuple[Place, Entry]]:
    """What a list holds from a place on; nothing where the place, forged, is none of it."""
    is_begun = start is None
    for each in ordered:
        is_begun = is_begun or each[0] == start
        if is_begun:
            yield each


def _history(state: StateView, item_id: str, start: Place, bound: Place) -> Iterator[Place]:
    """Where an item's events stand, at most ENTRIES_MAX of them from `start` on."""
    offset = taken = 0
    while True:
        page = queries.history(state, item_id, offset, HISTORY_PAGE)
        if page is None or not page.lines:
            return
        for line in page.lines:
            place = place_of(line.event)
            if place >= bound or taken > ENTRIES_MAX:
                return
            if place >= start:
                taken += 1
                yield place
        offset += len(page.lines)


def _too_complex(limit: int, of_what: str) -> LedgerError:
    return LedgerError("query.too_complex", f"more than {limit} {of_what}; narrow the query")


def place_of(key: EventKey) -> Place:
    """An event's place, as the index has it."""
    return Place(Height(key.height), key.transaction_index, key.event_index)
