"""The public interface of a node: every route, behind one guard."""

from __future__ import annotations

import msgspec
from aiohttp import web

from node.api import chain, items, members, stream, transactions
from node.api.answers import bytes_answer
from node.api.context import CLIENTS_MAX, Api
from node.api.epcis import routes as epcis
from node.api.guard import Buckets, Guard
from node.api.openapi import document
from node.api.routes import Answer, Call, Route, register

TITLE = "Farmgate node"
LISTENER = "public"


async def openapi(api: Api, call: Call) -> web.StreamResponse:
    """This interface, as OpenAPI 3.1."""
    return bytes_answer(call, _description(), api.service.head()[0])


ROUTES: tuple[Route[Api], ...] = (
    *transactions.ROUTES,
    *chain.ROUTES,
    *members.ROUTES,
    *items.ROUTES,
    *stream.ROUTES,
    *epcis.ROUTES,
    Route(
        "GET",
        "/v1/openapi.json",
        openapi,
        "This interface, as OpenAPI 3.1",
        (Answer(200, "The document.", schema={"type": "object"}),),
    ),
)


def public_app(api: Api) -> web.Application:
    """The application of the public listener."""
    settings = api.settings
    guard = Guard(
        LISTENER,
        metrics=api.metrics,
        hosts=settings.hosts,
        buckets=Buckets(settings.requests_per_second, settings.requests_burst, CLIENTS_MAX, api.monotonic),
        requests_at_once_max=settings.requests_at_once_max,
        answer_seconds=settings.answer_seconds,
        monotonic=api.monotonic,
        streams=[route.path for route in ROUTES if route.is_long],
        is_stopping=api.stopping.is_set,
    )
    app = guard.application()
    register(app, api, ROUTES)
    return app


def _description() -> bytes:
    return msgspec.json.encode(document(ROUTES, TITLE, chain.release()))
