"""Events out: by eventID, by recording id, by query, each as it was captured but for the record time.

The order is that of recording: record time, block, transaction, event. A walk over pages is bound
to the height at which it began, so it neither repeats nor misses an event while the chain goes on.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from contracts.epcis.canonical_json import canonical
from contracts.epcis.document import join_events
from contracts.provenance import queries
from contracts.provenance.events import read_recording_id
from ledger.errors import LedgerError
from ledger.types import Height, TimeMs
from node.api.answers import bytes_answer
from node.api.context import Api
from node.api.epcis.headers import SAID, SAID_OF_XML, XML, answer_type, check_headers
from node.api.epcis.query.query import PER_PAGE_DEFAULT, PER_PAGE_MAX, Query, read_url_query
from node.api.epcis.walk import PageStart, place_of, read_page
from node.api.parameters import IDENTIFIER_SCHEMA, Parameter, read_identifier, whole_number
from node.api.recorded import Reader, RecordedEvent, recorded_place
from node.api.routes import Call
from node.api.tokens import Scope
from node.epcis_xml.writing import write_results
from node.event_index import Place
from node.pace import Slices, sliced

QUERY_NAME: Final = "SimpleEventQuery"

_TOKEN = re.compile(r"([0-9]{1,16})-([0-9]{1,16})-([0-9]{1,5})-([0-9]{1,5})(?:-([0-9]{1,10}))?")


def read_page_token(text: str) -> PageStart:
    """The token that an earlier page's link named."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise ValueError("expected the token of an earlier page")
    bound, height, transaction, event, given = (int(part or 0) for part in found.groups())
    if max(transaction, event) > 0xFFFF:
        raise ValueError("expected the token of an earlier page")
    return PageStart(Height(bound), Place(Height(height), transaction, event), given)


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
    return [place_of(version.ref.key) for version in queries.events_called(api.service.state(), event_id)]


async def get_events(api: Api, call: Call) -> web.StreamResponse:
    """A page of the events that match a query."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    check_headers(call.request)
    answer_type(call.request)
    return await answer_query(
        api, call, read_url_query(asked(call), call.request.headers.get("GS1-Extensions", ""))
    )


def asked(call: Call) -> list[tuple[str, str]]:
    """The parameters in a URL, but for those of paging."""
    paging = (PER_PAGE.name, NEXT_PAGE.name)
    return [(name, text) for name, text in call.request.query.items() if name not in paging]


async def answer_query(
    api: Api, call: Call, query: Query, query_name: str = QUERY_NAME
) -> web.StreamResponse:
    """A page of the events that match, and the link to the next one."""
    head = api.service.head()[0]
    start = call.get(NEXT_PAGE) or PageStart(head)
    page = await read_page(api, query, start, call.get(PER_PAGE) or PER_PAGE_DEFAULT)
    link = None if page.following is None else _link(call.request, page.following)
    return await _answer(call, api, page.events, head, link, query_name)


async def _answer(
    call: Call,
    api: Api,
    events: list[RecordedEvent],
    head: Height,
    link: str | None,
    query_name: str = QUERY_NAME,
) -> web.Response:
    block = api.service.block(head)
    assert block is not None, "the last final block is here"
    kind, now = answer_type(call.request), TimeMs(block.block.header.time_ms)
    stored = [event.stored for event in events]
    if kind == XML:
        body = await sliced(write_results(stored, now, query_name), Slices())
    else:
        body = canonical(join_events(stored, now, query_name))
    headers = {**SAID, **(SAID_OF_XML if kind == XML else {})}
    if link is not None:
        headers["Link"] = f'<{link}>; rel="next"'
    return bytes_answer(call, body, head, media_type=kind, headers=headers)


def _link(request: web.Request, start: PageStart) -> str:
    assert start.place is not None, "a page that goes on goes on somewhere"
    text = "-".join(map(str, (start.height, *start.place, start.given)))
    kept = [(name, value) for name, value in request.query.items() if name != NEXT_PAGE.name]
    return f"{request.rel_url.raw_path}?{urlencode([*kept, (NEXT_PAGE.name, text)])}"
