"""Named queries over REST: made once, checked once, asked again by name.

Making and removing one takes a token of the site with the scope `read`, even where reading is left open:
what a stranger may ask, a stranger may not leave behind.

Source: EPCIS 2.0, section 12 (queries resource).
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from contracts.epcis.canonical_json import Json, canonical, parse
from ledger.errors import LedgerError
from ledger.types import Height
from node.api.answers import bytes_answer
from node.api.body import media_type, read_body
from node.api.context import Api
from node.api.epcis.collections import NEXT_VALUES
from node.api.epcis.events import PER_PAGE, answer_query
from node.api.epcis.headers import JSON, LD_JSON, SAID, answer_type, check_headers, json_answer_type
from node.api.epcis.named_queries import NAME_LENGTH_MAX, QUERY_BYTES_MAX, NamedQuery
from node.api.epcis.query.query import PER_PAGE_DEFAULT, read_body_query
from node.api.parameters import Parameter
from node.api.routes import Call
from node.api.tokens import Scope

BODY_BYTES_MAX: Final = 4 * QUERY_BYTES_MAX  # white space and all
NAMED_SCHEMA: Final = {
    "type": "object",
    "required": ["name", "query"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
        "query": {"type": "object"},
    },
}


def read_name(text: str) -> str:
    """The name of a query."""
    if not 0 < len(text) <= NAME_LENGTH_MAX or not text.isprintable():
        raise ValueError(f"expected 1 to {NAME_LENGTH_MAX} printable characters")
    return text


NAME: Final = Parameter(
    "queryName",
    "path",
    read_name,
    {"type": "string", "minLength": 1, "maxLength": NAME_LENGTH_MAX},
    "The name of the query, percent-encoded.",
)


async def get_queries(api: Api, call: Call) -> web.StreamResponse:
    """A page of the named queries, by name."""
    _begin(api, call)
    start, per_page = call.get(NEXT_VALUES), call.get(PER_PAGE) or PER_PAGE_DEFAULT
    names_from = b"" if start is None else start.key
    left = [each for each in api.queries.all() if each.name.encode() >= names_from]
    headers = dict(SAID)
    if len(left) > per_page:
        token = f"0-{left[per_page].name.encode().hex()}"
        headers["Link"] = f'</epcis/queries?perPage={per_page}&nextPageToken={token}>; rel="next"'
    return _answer(api, call, [_shown(each) for each in left[:per_page]], headers)


async def post_query(api: Api, call: Call) -> web.StreamResponse:
    """Keep a query under a name: 201 with its place."""
    api.tokens.check(call.request.headers.get("Authorization"), Scope.READ, api.now_ms())
    check_headers(call.request)
    json_answer_type(call.request)
    media_type(call.request, (JSON, LD_JSON))
    body = parse(await read_body(call.request, BODY_BYTES_MAX, api.settings.body_seconds), BODY_BYTES_MAX)
    if not isinstance(body, dict) or not body.keys() >= {"name", "query"}:
        raise LedgerError("parameter.invalid", "expected an object with name and query")
    unknown = sorted(body.keys() - {"name", "query", "@context"})
    if unknown:
        raise LedgerError("parameter.unknown", f"{unknown[0][:80]} is no part of a named query")
    name, query = _name(body["name"]), body["query"]
    if isinstance(query, dict) and "@context" in body and "@context" not in query:
        query = {**query, "@context": body["@context"]}
    read_body_query(query)
    assert isinstance(query, dict), "a query that was read is an object"
    await api.queries.add(name, query)
    headers = {**SAID, "Location": f"/epcis/queries/{quote(name, safe='')}"}
    return web.Response(status=201, headers=headers)


async def get_query(api: Api, call: Call) -> web.StreamResponse:
    """One query as it was given."""
    _begin(api, call)
    return _answer(api, call, _shown(api.queries.get(call.need(NAME))), SAID)


async def delete_query(api: Api, call: Call) -> web.StreamResponse:
    """Forget a query."""
    api.tokens.check(call.request.headers.get("Authorization"), Scope.READ, api.now_ms())
    check_headers(call.request)
    await api.queries.remove(call.need(NAME))
    return web.Response(status=204, headers=SAID)


async def get_events_of(api: Api, call: Call) -> web.StreamResponse:
    """The events that match a named query."""
    _begin(api, call)
    named = api.queries.get(call.need(NAME))
    return await answer_query(api, call, read_body_query(named.query), named.name)


def _begin(api: Api, call: Call) -> None:
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    check_headers(call.request)
    answer_type(call.request)


def _name(given: Json) -> str:
    try:
        return read_name(given if isinstance(given, str) else "")
    except ValueError as problem:
        raise LedgerError("parameter.invalid", f"name: {problem}", "/name") from None


def _shown(named: NamedQuery) -> dict[str, Json]:
    return {"name": named.name, "query": named.query}


def _answer(api: Api, call: Call, body: Any, headers: dict[str, str]) -> web.Response:
    head: Height = api.service.head()[0]
    kind = json_answer_type(call.request)
    return bytes_answer(call, canonical(body), head, media_type=kind, headers=headers)
