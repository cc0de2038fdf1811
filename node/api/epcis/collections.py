"""The top-level collections: which values recorded events have, and the events that have one of them.

A list is in an order of its own that never changes, so a walk over its pages repeats nothing and misses
nothing; a value that came after the height of the first page is left to the next walk.

Source: EPCIS 2.0, section 12.6 (top-level resources).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
from aiohttp import web

from contracts.epcis.prefixes import GS1_CONTEXT
from contracts.epcis.vocabulary import Vocabulary
from contracts.provenance.history import committed_history
from contracts.provenance.items import ITEMS, Item, ItemKind
from ledger.codec import decode
from ledger.errors import LedgerError
from ledger.types import STATE_VALUE_BYTES_MAX, Height
from node.api.answers import bytes_answer
from node.api.context import Api
from node.api.epcis.events import PER_PAGE, answer_query, asked
from node.api.epcis.headers import SAID, answer_type, check_headers, json_answer_type
from node.api.epcis.query.parameters import read_kind, read_term
from node.api.epcis.query.patterns import read_uri
from node.api.epcis.query.query import PER_PAGE_DEFAULT, read_url_query
from node.api.parameters import IDENTIFIER_SCHEMA, Parameter, read_identifier
from node.api.routes import Call
from node.api.tokens import Scope
from node.api.turns import Turns
from node.event_index import DIGEST_BYTES, DIGEST_FIRST, Seen

ITEMS_READ_MAX: Final = 5_000  # records that a page of things looks at; then it ends, and its link goes on
ITEMS_PAGE: Final = 256
TOP_LEVEL: Final = (
    "queries", "capture", "events", "eventTypes", "epcs", "readPoints", "bizLocations", "dispositions",
    "bizSteps",
)  # fmt: skip
COLLECTION_SCHEMA: Final = {
    "type": "object",
    "required": ["@context", "type", "member"],
    "properties": {
        "type": {"const": "Collection"},
        "member": {"type": "array", "items": {"type": "string"}},
    },
}
_THINGS: Final = (ItemKind.INSTANCE, ItemKind.CONTAINER)
_TOKEN = re.compile(r"([0-9]{1,16})-([0-9a-f]{0,2048})")


class ListStart(NamedTuple):
    """Where a page of a list begins: the height its walk is bound to, and the key of its first value."""

    height: Height
    key: bytes


def read_list_token(text: str) -> ListStart:
    """The token that an earlier page's link named."""
    found = _TOKEN.fullmatch(text)
    if found is None or len(found[2]) % 2:
        raise ValueError("expected the token of an earlier page")
    return ListStart(Height(int(found[1])), bytes.fromhex(found[2]))


NEXT_VALUES: Final = Parameter(
    "nextPageToken",
    "query",
    read_list_token,
    {"type": "string", "pattern": f"^{_TOKEN.pattern}$"},
    "Go on where an earlier page ended; its `Link` has the whole address.",
)


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection.

    Args:
        name: the last part of its path.
        value: the parameter of a path that names one value.
        implied: the query parameter that asks for it.
        read: a value in any spelling into the form that events are compared in.
        seen: which values the index lists; None for things, which the books list.
    """

    name: str
    value: Parameter[str]
    implied: str
    read: Callable[[str], str]
    seen: Seen | None

    def is_known(self, api: Api, value: str) -> bool:
        """Whether a recorded event has the value."""
        if self.seen is None:
            item = ITEMS.get(api.service.state(), value.encode())
            return item is not None and item.kind in _THINGS
        return api.events.has_value(self.seen, value)


def _collection(
    name: str, value: str, implied: str, read: Callable[[str], str], seen: Seen | None
) -> Collection:
    description = "The value, percent-encoded, in any spelling."
    parameter = Parameter(value, "path", read_identifier, IDENTIFIER_SCHEMA, description)
    return Collection(name, parameter, implied, read, seen)


COLLECTIONS: Final = (
    _collection("eventTypes", "eventType", "eventType", lambda text: read_kind(text, {}), Seen.EVENT_TYPE),
    _collection("epcs", "epc", "MATCH_anyEPC", read_uri, None),
    _collection(
        "bizSteps",
        "bizStep",
        "EQ_bizStep",
        lambda text: read_term(text, Vocabulary.BIZ_STEP, {}),
        Seen.BIZ_STEP,
    ),
    _collection("bizLocations", "bizLocation", "EQ_bizLocation", read_uri, Seen.BIZ_LOCATION),
    _collection("readPoints", "readPoint", "EQ_readPoint", read_uri, Seen.READ_POINT),
    _collection(
        "dispositions",
        "disposition",
        "EQ_disposition",
        lambda text: read_term(text, Vocabulary.DISPOSITION, {}),
        Seen.DISPOSITION,
    ),
)


async def get_top_level(api: Api, call: Call) -> web.StreamResponse:
    """The names of what there is."""
    _begin(api, call)
    return answer_list(api, call, list(TOP_LEVEL), None)


async def get_values(api: Api, call: Call, collection: Collection) -> web.StreamResponse:
    """A page of the values that recorded events have."""
    _begin(api, call)
    head = api.service.head()[0]
    start = call.get(NEXT_VALUES) or ListStart(head, b"")
    start = ListStart(Height(min(start.height, head)), start.key)
    per_page = call.get(PER_PAGE) or PER_PAGE_DEFAULT
    if collection.seen is None:
        found, key = await _things(api, start, per_page)
    else:
        if len(start.key) not in (0, DIGEST_BYTES):
            raise LedgerError(
                "parameter.invalid", "expected the token of an earlier page", "/query/nextPageToken"
            )
        listed = api.events.values(collection.seen, start.key or DIGEST_FIRST, start.height, per_page + 1)
        found = [value for _, value in listed[:per_page]]
        key = listed[per_page][0] if len(listed) > per_page else None
    return answer_list(api, call, found, None if key is None else f"{start.height}-{key.hex()}")


async def get_value(api: Api, call: Call, collection: Collection) -> web.StreamResponse:
    """What there is of one value: its events."""
    _begin(api, call)
    _known(api, call, collection)
    return answer_list(api, call, ["events"], None)


async def get_events_of(api: Api, call: Call, collection: Collection) -> web.StreamResponse:
    """The events that have a value, and match whatever else is asked."""
    _begin(api, call)
    value = _known(api, call, collection)
    given = asked(call)
    if any(name == collection.implied for name, _ in given):
        raise LedgerError(
            "parameter.invalid",
            f"{collection.implied}: the path says it already",
            f"/query/{collection.implied}",
        )
    extensions = call.request.headers.get("GS1-Extensions", "")
    return await answer_query(api, call, read_url_query([*given, (collection.implied, value)], extensions))


def answer_list(api: Api, call: Call, members: list[str], token: str | None) -> web.Response:
    """A collection, with the link to its next page."""
    headers = dict(SAID)
    if token is not None:
        per_page = call.get(PER_PAGE) or PER_PAGE_DEFAULT
        path = call.request.rel_url.raw_path
        headers["Link"] = f'<{path}?perPage={per_page}&nextPageToken={quote(token)}>; rel="next"'
    body: dict[str, Any] = {"@context": GS1_CONTEXT, "type": "Collection", "member": members}
    head = api.service.head()[0]
    media_type = json_answer_type(call.request)
    return bytes_answer(call, msgspec.json.encode(body), head, media_type=media_type, headers=headers)


def _begin(api: Api, call: Call) -> None:
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    check_headers(call.request)
    answer_type(call.request)


def _known(api: Api, call: Call, collection: Collection) -> str:
    """The value that the path names.

    Raises:
        LedgerError: `parameter.invalid`, `value.unknown`.
    """
    try:
        value = collection.read(call.need(collection.value))
    except LedgerError as problem:
        raise LedgerError(problem.code, problem.message, f"/path/{collection.value.name}") from None
    if not collection.is_known(api, value):
        raise LedgerError("value.unknown", f"no recorded event has this {collection.value.name}")
    return value


async def _things(api: Api, start: ListStart, per_page: int) -> tuple[list[str], bytes | None]:
    """Things by identifier, and the first one of the next page."""
    found: list[str] = []
    turns = Turns()
    state = api.service.state()
    for looked, (item_id, record) in enumerate(_items(api, start.key.decode(errors="replace"))):
        if len(found) == per_page or looked == ITEMS_READ_MAX:
            return found, item_id.encode()
        await turns.give()
        if decode(record, Item, STATE_VALUE_BYTES_MAX).kind in _THINGS:
            history = committed_history(state, item_id)
            if history is not None and history.first_height <= start.height:
                found.append(item_id)
    return found, None


def _items(api: Api, start: str) -> Iterator[tuple[str, bytes]]:
    while True:
        page = api.events.items(start, ITEMS_PAGE)
        yield from page
        if len(page) < ITEMS_PAGE:
            return
        start = page[-1][0] + "\0"
