"""The routes of the EPCIS interface."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from contracts.epcis.envelope import Form
from node.api.context import Api
from node.api.epcis import capture, collections, events, queries
from node.api.epcis.collections import COLLECTION_SCHEMA, COLLECTIONS, NEXT_VALUES, Collection
from node.api.epcis.headers import CAPTURE_BYTES_MAX, DOCUMENTS, JSON, LD_JSON, SAID_TO_OPTIONS, XML
from node.api.epcis.query.parameters import FIXED
from node.api.epcis.query.query import RESULT
from node.api.parameters import Parameter
from node.api.routes import Answer, Body, Call, Route
from node.api.tokens import Scope
from node.api.transactions import PREFER

_DOCUMENT: Final = {"type": "object", "required": ["@context", "type"]}
_QUERY_DOCUMENT: Final = {
    "type": "object",
    "required": ["@context", "type", "schemaVersion", "creationDate", "epcisBody"],
    "properties": {"type": {"const": Form.QUERY.value}},
}
_JOB: Final = {
    "type": "object",
    "required": ["captureID", "createdAt", "running", "success", "captureErrorBehaviour", "errors"],
    "properties": {
        "captureID": {"type": "string"},
        "createdAt": {"type": "string", "format": "date-time"},
        "finishedAt": {"type": "string", "format": "date-time"},
        "running": {"type": "boolean"},
        "success": {"type": "boolean"},
        "captureErrorBehaviour": {"const": "rollback"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
        "transactions": {"type": "array", "items": {"type": "object"}},
    },
}


def _asked(name: str, description: str, schema: Mapping[str, Any]) -> Parameter[Any]:
    """A parameter whose values `node.api.epcis.query` reads."""
    return Parameter(name, "query", str, schema, description)


_QUERY: Final = (
    *(_asked(name, each.description, each.schema) for name, each in FIXED.items()),
    *(_asked(name, description, schema) for name, (description, schema) in RESULT.items()),
)


def _either(status: int, description: str, schema: Mapping[str, Any]) -> tuple[Answer, ...]:
    """An answer in JSON, or in XML where the client would rather have that."""
    return (
        Answer(status, description, schema=schema),
        Answer(status, description, media_type=XML),
    )


def _options(*methods: str) -> Any:
    async def options(api: Api, call: Call) -> web.StreamResponse:
        return web.Response(
            status=204, headers={**SAID_TO_OPTIONS, "Allow": ", ".join(("OPTIONS", *methods))}
        )

    return options


def _options_route(path: str, *methods: str, parameters: tuple[Parameter[Any], ...] = ()) -> Route[Api]:
    answer = Answer(204, "Versions, limits and methods, in headers.")
    return Route(
        "OPTIONS", path, _options(*methods), "What this node can do here", (answer,), parameters=parameters
    )


def _of(
    handler: Callable[[Api, Call, Collection], Awaitable[web.StreamResponse]], collection: Collection
) -> Callable[[Api, Call], Awaitable[web.StreamResponse]]:
    async def answer(api: Api, call: Call) -> web.StreamResponse:
        return await handler(api, call, collection)

    return answer


def _collection_routes(collection: Collection) -> tuple[Route[Api], ...]:
    """The list of a collection, one value of it, and the value's events."""
    path, value = f"/epcis/{collection.name}", (collection.value,)
    one = f"{path}/{{{collection.value.name}}}"
    listed = (Answer(200, "A page; `Link` leads to the next one.", schema=COLLECTION_SCHEMA),)
    rest = tuple(each for each in _QUERY if each.name != collection.implied)
    return (
        _options_route(path, "GET"),
        Route(
            "GET",
            path,
            _of(collections.get_values, collection),
            f"The {collection.name} of recorded events",
            listed,
            parameters=(events.PER_PAGE, NEXT_VALUES),
            errors=(406, 501),
        ),
        _options_route(one, "GET", parameters=value),
        Route(
            "GET",
            one,
            _of(collections.get_value, collection),
            f"What there is of one of the {collection.name}",
            (Answer(200, "The names.", schema=COLLECTION_SCHEMA),),
            parameters=value,
            errors=(404, 406, 501),
        ),
        _options_route(f"{one}/events", "GET", parameters=value),
        Route(
            "GET",
            f"{one}/events",
            _of(collections.get_events_of, collection),
            f"The events of one of the {collection.name} that match a query",
            (Answer(200, "A page; `Link` leads to the next one.", schema=_QUERY_DOCUMENT),),
            parameters=(*value, events.PER_PAGE, events.NEXT_PAGE, *rest),
            errors=(404, 406, 413, 501),
            takes_other_parameters=True,
        ),
    )


ROUTES: Final[tuple[Route[Api], ...]] = (
    _options_route("/epcis", "GET"),
    Route(
        "GET",
        "/epcis",
        collections.get_top_level,
        "The top-level names",
        (Answer(200, "The names.", schema=COLLECTION_SCHEMA),),
        errors=(406, 501),
    ),
    *(route for collection in COLLECTIONS for route in _collection_routes(collection)),
    _options_route("/epcis/capture", "POST"),
    Route(
        "POST",
        "/epcis/capture",
        capture.post_document,
        "Capture an EPCIS document, signed by this node's organisation",
        _either(202, "The job, whose place is in `Location`.", _JOB),
        parameters=(PREFER,),
        body=Body(
            DOCUMENTS,
            CAPTURE_BYTES_MAX,
            "An EPCISDocument or EPCISQueryDocument, in XML also of EPCIS 1.2.",
            _DOCUMENT,
        ),
        scope=Scope.CAPTURE,
        errors=(406, 408, 413, 415, 501),
    ),
    _options_route("/epcis/capture/{captureID}", "GET", parameters=(capture.CAPTURE_ID,)),
    Route(
        "GET",
        "/epcis/capture/{captureID}",
        capture.get_job,
        "Where a capture stands",
        _either(200, "The job.", _JOB),
        parameters=(capture.CAPTURE_ID,),
        errors=(404, 406, 501),
    ),
    _options_route("/epcis/events", "GET", "POST"),
    Route(
        "POST",
        "/epcis/events",
        capture.post_event,
        "Capture one event and wait until it is recorded",
        (
            Answer(201, "Recorded; its place is in `Location`."),
            *_either(202, "Not final yet: the job, whose place is in `Location`.", _JOB),
        ),
        parameters=(PREFER,),
        body=Body(
            DOCUMENTS, CAPTURE_BYTES_MAX, "One event with its `@context`, or as an XML element.", _DOCUMENT
        ),
        scope=Scope.CAPTURE,
        errors=(406, 408, 409, 413, 415, 501),
    ),
    Route(
        "GET",
        "/epcis/events",
        events.get_events,
        "Events that match a query, in the order in which they were recorded",
        _either(200, "A page; `Link` leads to the next one.", _QUERY_DOCUMENT),
        parameters=(events.PER_PAGE, events.NEXT_PAGE, *_QUERY),
        errors=(406, 413, 501),
        takes_other_parameters=True,
    ),
    _options_route("/epcis/events/{eventID}", "GET", parameters=(events.EVENT_ID,)),
    Route(
        "GET",
        "/epcis/events/{eventID}",
        events.get_event,
        "The one event with a recording id, or all with an eventID: an event, and what declares it erroneous",
        _either(200, "One event or more.", _QUERY_DOCUMENT),
        parameters=(events.EVENT_ID,),
        errors=(404, 406, 501),
    ),
    _options_route("/epcis/queries", "GET", "POST"),
    Route(
        "GET",
        "/epcis/queries",
        queries.get_queries,
        "The named queries of this site",
        (
            Answer(
                200,
                "A page; `Link` leads to the next one.",
                schema={"type": "array", "items": queries.NAMED_SCHEMA},
            ),
        ),
        parameters=(events.PER_PAGE, NEXT_VALUES),
        errors=(406, 501),
    ),
    Route(
        "POST",
        "/epcis/queries",
        queries.post_query,
        "Keep a query under a name",
        (Answer(201, "Kept; its place is in `Location`."),),
        body=Body((JSON, LD_JSON), queries.BODY_BYTES_MAX, "The name and the query.", queries.NAMED_SCHEMA),
        scope=Scope.READ,
        errors=(406, 408, 409, 413, 415, 501),
    ),
    _options_route("/epcis/queries/{queryName}", "GET", "DELETE", parameters=(queries.NAME,)),
    Route(
        "GET",
        "/epcis/queries/{queryName}",
        queries.get_query,
        "One named query",
        (Answer(200, "The name and the query.", schema=queries.NAMED_SCHEMA),),
        parameters=(queries.NAME,),
        errors=(404, 406, 501),
    ),
    Route(
        "DELETE",
        "/epcis/queries/{queryName}",
        queries.delete_query,
        "Forget a named query",
        (Answer(204, "Forgotten."),),
        parameters=(queries.NAME,),
        scope=Scope.READ,
        errors=(404, 406, 501),
    ),
    _options_route("/epcis/queries/{queryName}/events", "GET", parameters=(queries.NAME,)),
    Route(
        "GET",
        "/epcis/queries/{queryName}/events",
        queries.get_events_of,
        "The events that match a named query",
        (Answer(200, "A page; `Link` leads to the next one.", schema=_QUERY_DOCUMENT),),
        parameters=(queries.NAME, events.PER_PAGE, events.NEXT_PAGE),
        errors=(404, 406, 413, 501),
    ),
)
