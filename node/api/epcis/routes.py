"""The routes of the EPCIS interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from contracts.epcis.envelope import Form
from node.api.context import Api
from node.api.epcis import capture, events
from node.api.epcis.headers import CAPTURE_BYTES_MAX, DOCUMENTS, SAID_TO_OPTIONS, XML
from node.api.epcis.query import FILTERS, TIMES
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


def _text(name: str, description: str) -> Parameter[Any]:
    """A parameter whose values `node.api.epcis.query` reads."""
    return Parameter(name, "query", str, {"type": "string"}, description)


_QUERY: Final = (
    *(_text(name, f"{each.description} Several are separated by `|`.") for name, each in FILTERS.items()),
    *(_text(name, "An instant with its zone (RFC 3339).") for name in TIMES),
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


ROUTES: Final[tuple[Route[Api], ...]] = (
    _options_route("/epcis"),
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
)
