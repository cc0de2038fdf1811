"""One table row a route: what it takes, what it answers, and the function that answers it.

The same row registers the handler, checks the parameters of a request and is written into
openapi.json, so that no route can be undocumented and no documented parameter unread.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeVar, assert_never, cast

from aiohttp import web
from pydantic import BaseModel

from ledger.errors import LedgerError
from node.api.parameters import Parameter
from node.api.tokens import Scope

Context = TypeVar("Context")
Value = TypeVar("Value")

QUERY_PARAMETERS_MAX: Final = 64
REST_MAX: Final = 200  # characters of a foreign name that a message repeats


class Call:
    """One request whose declared parameters have been read."""

    __slots__ = ("_values", "request")

    def __init__(self, request: web.Request, values: Mapping[str, Any]) -> None:
        self.request = request
        self._values = values

    def get(self, parameter: Parameter[Value]) -> Value | None:
        """The parameter's value, or None where the request does not name it."""
        return cast("Value | None", self._values.get(parameter.name))

    def need(self, parameter: Parameter[Value]) -> Value:
        """The parameter's value.

        Raises:
            LedgerError: `parameter.missing`.
        """
        if parameter.name not in self._values:
            raise LedgerError(
                "parameter.missing", f"{parameter.name} is needed", f"/{parameter.place}/{parameter.name}"
            )
        return cast(Value, self._values[parameter.name])


@dataclass(frozen=True, slots=True)
class Body:
    """What a request may carry: media types, the limit in bytes, and for JSON the schema by name."""

    media_types: tuple[str, ...]
    bytes_max: int
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string", "format": "binary"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer a route can give. `model` None: no body, or one that `schema` describes."""

    status: int
    description: str
    model: type[BaseModel] | None = None
    media_type: str = "application/json"
    schema: Mapping[str, Any] | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route(Generic[Context]):
    """A method on a path. `errors` are the statuses of refusals beyond those that every route has."""

    method: Literal["GET", "POST", "PUT", "DELETE", "OPTIONS"]
    path: str
    handler: Callable[[Context, Call], Awaitable[web.StreamResponse]]
    summary: str
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter[Any], ...] = ()
    body: Body | None = None
    scope: Scope | None = None
    errors: tuple[int, ...] = ()
    takes_other_parameters: bool = False  # EPCIS queries name extension fields of any name
    is_long: bool = False  # a stream: counted by its own limit and not by that on requests at work


def register(app: web.Application, context: Context, routes: Sequence[Route[Context]]) -> None:
    """Add the routes to an application."""
    for route in routes:
        handler = _handler(context, route)
        app.router.add_route(route.method, route.path, handler)
        if route.method == "GET" and not route.is_long:
            app.router.add_route("HEAD", route.path, handler)  # the same answer; aiohttp leaves out its body


def _handler(
    context: Context, route: Route[Context]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await route.handler(context, Call(request, read_parameters(request, route)))

    return handle


def read_parameters(request: web.Request, route: Route[Any]) -> dict[str, Any]:
    """Every declared parameter that the request names.

    Raises:
        LedgerError: `parameter.invalid`, `parameter.unknown`, `parameter.repeated`, `parameter.too_many`.
    """
    values: dict[str, Any] = {}
    declared = {parameter.name for parameter in route.parameters if parameter.place == "query"}
    _check_names(request, declared, any_name=route.takes_other_parameters)
    for parameter in route.parameters:
        match parameter.place:
            case "path":
                text = request.match_info.get(parameter.name)
            case "query":
                text = request.query.get(parameter.name)
            case "header":
                text = request.headers.get(parameter.name)
            case _:
                assert_never(parameter.place)
        if text is not None:
            values[parameter.name] = parameter.value(text)
    return values


def _check_names(request: web.Request, declared: set[str], *, any_name: bool) -> None:
    if len(request.query) > QUERY_PARAMETERS_MAX:
        raise LedgerError(
            "parameter.too_many",
            f"{len(request.query)} query parameters, at most {QUERY_PARAMETERS_MAX} are allowed",
        )
    seen: set[str] = set()
    names = [name for name, _ in request.query.items()]  # keys alone come once, however often they stand
    for name in names:
        shown = name[:REST_MAX]
        if name in seen:
            raise LedgerError("parameter.repeated", f"{shown} is given twice", f"/query/{shown}")
        seen.add(name)
        if name not in declared and not any_name:
            near = difflib.get_close_matches(shown, sorted(declared), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise LedgerError(
                "parameter.unknown", f"this route has no query parameter {shown}{hint}", f"/query/{shown}"
            )
