"""The public interface of a node: every route, behind one guard."""

from __future__ import annotations

import msgspec
from aiohttp import web

from node.api import chain, evidence, governance, items, members, stream, transactions, validators
from node.api.answers import bytes_answer
from node.api.context import Api
from node.api.epcis import routes as epcis
from node.api.listener import application
from node.api.openapi import document
from node.api.routes import Answer, Call, Route

TITLE = "Farmgate node"
LISTENER = "public"


async def openapi(api: Api, call: Call) -> web.StreamResponse:
    """This interface, as OpenAPI 3.1."""
    return bytes_answer(call, _description(), api.service.head()[0])


ROUTES: tuple[Route[Api], ...] = (
    *transactions.ROUTES,
    *chain.ROUTES,
    *validators.ROUTES,
    *governance.ROUTES,
    *members.ROUTES,
    *evidence.ROUTES,
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
    return application(api, LISTENER, ROUTES, api.stopping.is_set)


def _description() -> bytes:
    return msgspec.json.encode(document(ROUTES, TITLE, chain.release()))
