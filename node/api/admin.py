"""The admin port: is it alive, is it caught up, what does it measure, how much does it log.

Nothing of the chain is served here and nothing here can change it. It listens on loopback unless
configured; from elsewhere, changing the log level needs a token with the scope `admin`.
"""

from __future__ import annotations

import ipaddress
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from ledger.errors import LedgerError
from ledger.types import Height
from node import logging
from node.api.body import media_type, read_body
from node.api.context import Api
from node.api.listener import application
from node.api.models import HealthModel, LogLevelModel, ReadyModel
from node.api.routes import Answer, Body, Call, Route
from node.api.tokens import Scope
from node.service import NodeStatus

LISTENER: Final = "admin"
LEVEL_BYTES_MAX: Final = 1024


class _Level(msgspec.Struct, forbid_unknown_fields=True):
    level: str


async def healthz(api: Api, call: Call) -> web.StreamResponse:
    """The process answers: that is all it says."""
    return web.json_response(HealthModel(status="ok").model_dump())


async def readyz(api: Api, call: Call) -> web.StreamResponse:
    """200 where this node is caught up and connected to a quorum, else 503 with the reason."""
    ready = readiness(api)
    return web.json_response(ready.model_dump(), status=200 if ready.ready else 503)


def readiness(api: Api) -> ReadyModel:
    """Whether this node should be asked."""
    status = api.service.status()
    connected, total = _stake(api, status)
    reason = status.reason
    if status.lag_blocks:
        reason = f"{status.lag_blocks} final blocks are not here yet"
    elif 3 * connected <= 2 * total:
        reason = f"connected to {connected} of {total} units of stake, more than two thirds are needed"
    is_ready = not status.lag_blocks and 3 * connected > 2 * total
    return ReadyModel(
        ready=is_ready,
        height=status.height,
        lag_blocks=status.lag_blocks,
        connected_stake=connected,
        total_stake=total,
        reason="" if is_ready else reason,
    )


def _stake(api: Api, status: NodeStatus) -> tuple[int, int]:
    """The stake of the validators that this node is or is connected to, and of all."""
    validators = api.service.validators(Height(status.height + 1))
    if validators is None:
        return 0, 0
    names = {status.node} | {peer.name for peer in status.peers if peer.connected}
    return sum(each.stake for each in validators.validators if each.node in names), validators.total_stake


async def metrics(api: Api, call: Call) -> web.StreamResponse:
    """What the node measures, for Prometheus."""
    return web.Response(body=api.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


async def get_level(api: Api, call: Call) -> web.StreamResponse:
    """The level from which the node logs."""
    return web.json_response(LogLevelModel(level=logging.level()).model_dump())


async def put_level(api: Api, call: Call) -> web.StreamResponse:
    """Log from another level on, until the node stops."""
    if not _is_loopback(call.request.remote):
        api.tokens.check(call.request.headers.get("Authorization"), Scope.ADMIN, api.now_ms())
    media_type(call.request, ("application/json",))
    body = await read_body(call.request, LEVEL_BYTES_MAX, api.settings.body_seconds)
    try:
        wanted = msgspec.json.decode(body, type=_Level).level
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise LedgerError("loglevel.malformed", f'expected {{"level": ...}}: {problem}') from None
    if wanted not in logging.LEVELS:
        raise LedgerError("loglevel.unknown", f"expected one of {', '.join(logging.LEVELS)}", "/level")
    logging.set_level(wanted)
    return web.json_response(LogLevelModel(level=wanted).model_dump())


def _is_loopback(remote: str | None) -> bool:
    try:
        return ipaddress.ip_address(remote or "").is_loopback
    except ValueError:
        return False


ROUTES: tuple[Route[Api], ...] = (
    Route("GET", "/healthz", healthz, "The process answers", (Answer(200, "It does.", HealthModel),)),
    Route(
        "GET",
        "/readyz",
        readyz,
        "Whether this node should be asked",
        (Answer(200, "It should.", ReadyModel), Answer(503, "It should not; `reason` says why.", ReadyModel)),
    ),
    Route(
        "GET",
        "/metrics",
        metrics,
        "What the node measures, for Prometheus",
        (Answer(200, "The text format.", media_type="text/plain", schema={"type": "string"}),),
    ),
    Route("GET", "/loglevel", get_level, "The log level", (Answer(200, "The level.", LogLevelModel),)),
    Route(
        "PUT",
        "/loglevel",
        put_level,
        "Log from another level on",
        (Answer(200, "The level.", LogLevelModel),),
        body=Body(("application/json",), LEVEL_BYTES_MAX, "`level`: debug, info, warning or error."),
        errors=(401, 403, 413, 415),
    ),
)


def admin_app(api: Api) -> web.Application:
    """The application of the admin listener."""
    return application(api, LISTENER, ROUTES)
