"""Events out: by eventID, by recording id, by query, each as it was captured but for the record time.

The order is that of recording: record time, block, transaction, event. A walk over pages is bound
to the height at which it began, so it neither repeats nor misses an event while the chain goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import urlencode

from aiohttp import web

from contracts.epcis.canonical_json import canonical
from contracts.epcis.captured import read_captured
from contracts.epcis.document import join_events
from contracts.provenance import queries
from contracts.provenance.events import EventKey, read_recording_id
from ledger.errors import LedgerError
from ledger.state import StateView
from ledger.types import Height, TimeMs
from node.api.answers import bytes_answer
from node.api.context import Api
from node.api.epcis.headers import SAID, SAID_OF_XML, XML, answer_type, check_headers
from node.api.epcis.query import BY_ITEM, PER_PAGE_DEFAULT, PER_PAGE_MAX, Query, read_query
from node.api.parameters import IDENTIFIER_SCHEMA, Parameter, read_identifier, whole_number
from node.api.recorded import Reader, RecordedEvent, recorded_place
from node.api.routes import Call
from node.api.tokens import Scope
from node.api.turns import Turns
from node.epcis_xml.writing import write_results
from node.event_index import PLACE_FIRST, Entry, Place
from node.pace import Slices, sliced

ENTRIES_MAX: Final = 10_000  # index entries that one page looks at; then it ends, and its link goes on
INDEX_PAGE: Final = 512  # entries read from the store at once
EVENTS_READ_MAX: Final = 2_000  # events that one page reads from blocks
HISTORY_PAGE: Final = 500
ANSWER_BYTES_MAX: Final = 4 << 20  # of events in one page, which always holds at least one
QUERY_NAME: Final = "SimpleEventQuery"

_TOKEN = re.compile(r"([0-9]{1,16})-([0-9]{1,16})-([0-9]{1,5})-([0-9]{1,5})")


class PageToken(NamedTuple):
    """Where a page begins, and the height that the walk is bound to."""

    height: Height
    start: Place


def read_page_token(text: str) -> PageToken:
    """The token that an earlier page's link named."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise ValueError("expected the token of an earlier page")
    bound, height, transaction, event = (int(part) for part in found.groups())
    if max(transaction, event) > 0xFFFF:
        raise ValueError("expected the token of an earlier page")
    return PageToken(Height(bound), Place(Height(height), transaction, event))


EVENT_ID: Final = Parameter(
    "eventID", "path", read_identifier, IDENTIFIER_SCHEMA, "Its eventID or recording id, percent-encoded."
)
PER_PAGE: Final = Parameter(
    "perPage",
    "query",
    whole_number(1, PER_PAGE_MAX),
    {"type": "integer", "minimum": 1, "maximum": PER_PAGE_MAX, "default": PER_PAGE_DEFAULT},
    "How many events a page holds at most; it may hold fewer.",
)
NEXT_PAGE: Final = Parameter(
    "nextPageToken",
    "query",
    read_page_token,
    {"type": "string", "pattern": f"^{_TOKEN.pattern}$"},
    "Go on where an earlier page ended; its `Link` has the whole address.",
)


async def get_event(api: Api, call: Call) -> web.StreamResponse:
    """The one event with a recording id, or all with an eventID: an event, and what declares it erroneous."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    check_headers(call.request)
    head = api.service.head()[0]
    places = _places(api, call.need(EVENT_ID))
    if not places:
        raise LedgerError("event.unknown", "no event with this identifier is recorded")
    return await _answer(call, api, await Reader(api.service).read(places), head, None)


def _places(api: Api, event_id: str) -> list[Place]:
    """Where the events with an identifier stand. A recording id is the ledger's, whoever else may use it."""
    named = read_recording_id(event_id)
    recorded = None if named is None else recorded_place(api.service.transaction(named[0]), named[1])
    if recorded is not None:
        return [recorded]
    return [_place(version.ref.key) for version in queries.events_called(api.service.state(), event_id)]


async def get_events(api: Api, call: Call) -> web.StreamResponse:
    """A page of the events that match a query."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    check_headers(call.request)
    answer_type(call.request)
    query = read_query(
        (name, text)
        for name, text in call.request.query.items()
        if name not in (PER_PAGE.name, NEXT_PAGE.name)
    )
    head = api.service.head()[0]
    token = call.get(NEXT_PAGE) or PageToken(head, PLACE_FIRST)
    per_page = call.get(PER_PAGE) or PER_PAGE_DEFAULT
    bound = Place(Height(min(token.height, head) + 1), 0, 0)
    events, following = await _page(api, query, token.start, bound, per_page)
    link = None if following is None else _link(call.request, PageToken(Height(bound.height - 1), following))
    return await _answer(call, api, events, head, link)


async def _page(
    api: Api, query: Query, start: Place, bound: Place, per_page: int
) -> tuple[list[RecordedEvent], Place | None]:
    """Matching events from `start` on, and where the next page begins (None: there is nothing more)."""
    reader = Reader(api.service)
    found: list[RecordedEvent] = []
    size = looked = read = 0
    turns = Turns()
    for place, entry in _candidates(api, query, start, bound):
        if (
            len(found) == per_page
            or size > ANSWER_BYTES_MAX
            or looked >= ENTRIES_MAX
            or read >= EVENTS_READ_MAX
        ):
            return found, place
        looked += 1
        await turns.give()
        if not query.is_of_kind(entry.kind) or not query.is_in_time(
            entry.event_time_ms, entry.record_time_ms
        ):
            continue
        read += 1
        (event,) = await reader.read((place,))
        if query.matches(read_captured(event.captured).event, event.event_id):
            found.append(event)
            size += len(event.captured.body)
    return found, None


def _candidates(api: Api, query: Query, start: Place, bound: Place) -> Iterator[tuple[Place, Entry]]:
    """Places in recording order among which the answers are: by identifier, by item, or all there are."""
    state = api.service.state()
    ids = query.filters.get("EQ_eventID")
    named = next((query.filters[name] for name in BY_ITEM if name in query.filters), None)
    if ids is not None:
        places = sorted(
            {_place(version.ref.key) for each in ids for version in queries.events_called(state, each)}
        )
        yield from _entries(api, (place for place in places if start <= place < bound))
    elif named is not None:
        places = sorted({place for each in named for place in _history(state, each, start, bound)})
        yield from _entries(api, places)
    else:
        yield from _all(api, start, bound)


def _entries(api: Api, places: Iterable[Place]) -> Iterator[tuple[Place, Entry]]:
    for place in places:
        entry = api.events.at(place)
        assert entry is not None, "an event that state knows stands in the index"
        yield place, entry


def _history(state: StateView, item_id: str, start: Place, bound: Place) -> Iterator[Place]:
    """Where an item's events stand, at most ENTRIES_MAX of them from `start` on."""
    offset = taken = 0
    while True:
        page = queries.history(state, item_id, offset, HISTORY_PAGE)
        if page is None or not page.lines:
            return
        for line in page.lines:
            place = _place(line.event)
            if place >= bound or taken > ENTRIES_MAX:
                return
            if place >= start:
                taken += 1
                yield place
        offset += len(page.lines)


def _all(api: Api, start: Place, bound: Place) -> Iterator[tuple[Place, Entry]]:
    while True:
        page = api.events.page(start, bound, INDEX_PAGE)
        yield from page
        if len(page) < INDEX_PAGE:
            return
        start = page[-1][0].next()


async def _answer(
    call: Call, api: Api, events: list[RecordedEvent], head: Height, link: str | None
) -> web.Response:
    block = api.service.block(head)
    assert block is not None, "the last final block is here"
    kind, now = answer_type(call.request), TimeMs(block.block.header.time_ms)
    stored = [event.stored for event in events]
    if kind == XML:
        body = await sliced(write_results(stored, now, QUERY_NAME), Slices())
    else:
        body = canonical(join_events(stored, now, QUERY_NAME))
    headers = {**SAID, **(SAID_OF_XML if kind == XML else {})}
    if link is not None:
        headers["Link"] = f'<{link}>; rel="next"'
    return bytes_answer(call, body, head, media_type=kind, headers=headers)


def _link(request: web.Request, token: PageToken) -> str:
    text = f"{token.height}-{token.start.height}-{token.start.transaction}-{token.start.event}"
    kept = [(name, value) for name, value in request.query.items() if name != NEXT_PAGE.name]
    return f"/epcis/events?{urlencode([*kept, (NEXT_PAGE.name, text)])}"


def _place(key: EventKey) -> Place:
    return Place(Height(key.height), key.transaction_index, key.event_index)
