"""What every request passes, in this order: name, host, size, rate, room; and every answer on its way out.

A refusal becomes problem+json; a bug of ours becomes a 500 that tells nothing but a request id,
under which the log has the rest. An answer that its client does not take is cut off.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from ledger.errors import LedgerError
from node.api.accept import prefers_xml
from node.api.metrics import UNKNOWN_ROUTE, Metrics
from node.api.problems import (
    MEDIA_TYPE,
    XML_MEDIA_TYPE,
    Problem,
    Refusal,
    headers_of,
    problem_of,
    problem_xml,
    status_of,
)
from node.logging import log, logger

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TARGET_LENGTH_MAX: Final = 8000
LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
STATUS_BUG: Final = 500
CLIENT_WENT_AWAY: Final = 499  # in counts and log lines: nobody was there to be answered

_LOG = logger("api")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_REQUEST_ID_KEY: Final = web.RequestKey("request_id", str)
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Server": "farmgate",  # which release and libraries run is not for strangers
}


@dataclass(frozen=True, slots=True)
class _Passage:
    """One request on its way through: what its log line and its labels say of it."""

    request_id: str
    route: str
    method: str
    started: float


class Buckets:
    """Tokens of each client: `per_second` flow in, `burst` fit, a request takes one."""

    def __init__(
        self, per_second: float, burst: int, clients_max: int, monotonic: Callable[[], float]
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clients_max = clients_max
        self._monotonic = monotonic
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Take one token; answers 0, or the seconds until there is one."""
        now = self._monotonic()
        tokens, last = self._clients.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - last) * self._per_second)
        is_allowed = tokens >= 1
        self._clients[client] = (tokens - 1 if is_allowed else tokens, now)
        while len(self._clients) > self._clients_max:
            self._clients.popitem(last=False)
        return 0.0 if is_allowed else (1 - tokens) / self._per_second


class Guard:
    """The middleware of one listener.

    Args:
        listener: its name in metrics and log lines.
        hosts: the names by which clients may call it, besides loopback's.
        streams: route patterns whose answers have no end; they do not count as requests at work.
    """

    def __init__(
        self,
        listener: str,
        *,
        metrics: Metrics,
        hosts: Collection[str],
        buckets: Buckets,
        requests_at_once_max: int,
        answer_seconds: float,
        monotonic: Callable[[], float],
        streams: Collection[str] = (),
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._listener = listener
        self._metrics = metrics
        self._hosts = LOOPBACK_NAMES | {host.lower() for host in hosts}
        self._buckets = buckets
        self._requests_at_once_max = requests_at_once_max
        self._answer_seconds = answer_seconds
        self._monotonic = monotonic
        self._streams = frozenset(streams)
        self._is_stopping = is_stopping
        self._at_work = 0

    def application(self) -> web.Application:
        """An application behind this guard, without routes yet."""

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._pass(request, handler)

        app = web.Application(middlewares=[guard])
        app.on_response_prepare.append(_mark)
        return app

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        passage = _Passage(_request_id(request), route_pattern(request), _method(request), self._monotonic())
        request[_REQUEST_ID_KEY] = passage.request_id
        try:
            response = await self._answer(request, handler, passage)
            await self._send(request, response)
        except asyncio.CancelledError:
            self._record(request, passage, CLIENT_WENT_AWAY)
            raise
        self._record(request, passage, response.status)
        return response

    async def _answer(self, request: web.Request, handler: Handler, passage: _Passage) -> web.StreamResponse:
        """The handler's answer, or the refusal or fault that came in its way."""
        is_epcis = request.path.startswith("/epcis")
        as_xml = is_epcis and prefers_xml(request.headers.get(hdrs.ACCEPT, ""))
        try:
            self._check(request)
            return await self._within_room(request, handler, is_stream=passage.route in self._streams)
        except LedgerError as refusal:
            return problem_answer(refusal, passage.request_id, is_epcis=is_epcis, as_xml=as_xml)
        except web.HTTPException as refusal:
            return _of_aiohttp(refusal, passage.request_id, is_epcis=is_epcis, as_xml=as_xml)
        except ConnectionError:  # the client went away while its body was read; nobody reads this answer
            gone = LedgerError("request.cut_off", "the connection ended before the request did")
            return problem_answer(gone, passage.request_id, is_epcis=is_epcis, as_xml=as_xml)
        except Exception:  # noqa: BLE001  # the edge: a bug answers 500 and is logged with its traceback
            log_bug(None, request_id=passage.request_id, route=passage.route)
            bug = LedgerError(
                "node.internal", "a fault of this node; its log tells more under the request's id"
            )
            return problem_answer(bug, passage.request_id, is_epcis=is_epcis, as_xml=as_xml)

    def _check(self, request: web.Request) -> None:
        if self._is_stopping():
            raise LedgerError("node.stopping", "the node is stopping; ask another one")
        if len(request.raw_path) > TARGET_LENGTH_MAX:
            raise LedgerError(
                "target.too_long", f"{len(request.raw_path)} characters, at most {TARGET_LENGTH_MAX}"
            )
        host = host_name(request.headers.get(hdrs.HOST, ""))
        if host not in self._hosts and host != _own_address(request):
            raise LedgerError(
                "host.not_allowed", "this node is not called by that name: see its setting hosts"
            )
        seconds = self._buckets.take(request.remote or "")
        if seconds > 0:
            raise Refusal(
                "requests.too_many",
                "more requests than one client may send",
                {"Retry-After": _whole(seconds)},
            )

    async def _within_room(
        self, request: web.Request, handler: Handler, *, is_stream: bool
    ) -> web.StreamResponse:
        if is_stream:
            return await handler(request)
        if self._at_work >= self._requests_at_once_max:
            raise LedgerError(
                "requests.too_many_at_once", f"{self._at_work} requests are at work; try again later"
            )
        self._at_work += 1
        gauge = self._metrics.requests_at_work.labels(self._listener)
        gauge.inc()
        try:
            return await handler(request)
        finally:
            self._at_work -= 1
            gauge.dec()

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        """Send the whole answer, or close on a client that does not take it."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            log(_LOG, logging.DEBUG, "client went away", client=request.remote)

    def _record(self, request: web.Request, passage: _Passage, status: int) -> None:
        """Count the request and write its line."""
        seconds = self._monotonic() - passage.started
        self._metrics.requests.labels(self._listener, passage.route, passage.method, str(status)).inc()
        if passage.route not in self._streams:
            self._metrics.request_seconds.labels(self._listener, passage.route).observe(seconds)
        log(
            _LOG,
            logging.ERROR if status == STATUS_BUG else logging.INFO,
            "request",
            listener=self._listener,
            method=passage.method,
            route=passage.route,
            status=status,
            duration_ms=seconds * 1000,
            client=request.remote,
            request_id=passage.request_id,
        )


async def _mark(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer says, just before its head is sent."""
    response.headers.update(_SECURITY_HEADERS)
    response.headers["X-Request-Id"] = request.get(_REQUEST_ID_KEY, "-")


def _method(request: web.Request) -> str:
    """The method, for labels and log lines: a stranger cannot make new ones."""
    return request.method if request.method in hdrs.METH_ALL else "other"


def route_pattern(request: web.Request) -> str:
    """The pattern of the route that matched, for labels; UNKNOWN_ROUTE where none did."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else UNKNOWN_ROUTE


def _own_address(request: web.Request) -> str | None:
    """The address that this connection came in by: whoever names that one was misled by no name server."""
    own = request.get_extra_info("sockname")
    return str(own[0]).lower() if isinstance(own, tuple) and own else None


def host_name(header: str) -> str:
    """The name in a Host header, in lower case, without port and brackets; empty for a malformed one."""
    text = header.strip().lower()
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return ""
        try:
            return str(ipaddress.IPv6Address(name))
        except ValueError:
            return ""
    name, colon, port = text.partition(":")
    return name if not colon or _is_port(":" + port) else ""


def problem_answer(
    refusal: LedgerError, request_id: str, *, is_epcis: bool, as_xml: bool = False
) -> web.Response:
    """The answer that tells a client of a refusal."""
    problem = problem_of(refusal, request_id, is_epcis=is_epcis)
    return _problem_response(problem, status_of(refusal.code), headers_of(refusal), as_xml=as_xml)


def log_bug(bug: BaseException | None, **fields: Any) -> None:
    """Log a fault of our own with its traceback: the one given, or the one being handled."""
    _LOG.error("bug", exc_info=bug or True, extra={"fields": fields})


def _problem_response(
    problem: Problem, status: int, headers: dict[str, str], *, as_xml: bool
) -> web.Response:
    body = problem_xml(problem) if as_xml else msgspec.json.encode(problem)
    kind = XML_MEDIA_TYPE if as_xml else MEDIA_TYPE
    response = web.Response(body=body, status=status, content_type=kind, headers=headers)
    if status in {408, 413, 415, 500}:
        response.force_close()  # what is left of the body is not waited for
    return response


def _of_aiohttp(refusal: web.HTTPException, request_id: str, *, is_epcis: bool, as_xml: bool) -> web.Response:
    """What the router and the parser refuse by themselves, in our words."""
    known: LedgerError
    match refusal:
        case web.HTTPNotFound():
            known = LedgerError("route.unknown", "nothing is served at this path; see /v1/openapi.json")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(refusal.allowed_methods))
            known = Refusal("route.method_not_allowed", f"this path takes {allowed}", {"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            known = LedgerError("body.too_large", "the body is larger than this path takes")
        case _:
            known = LedgerError("request.malformed", "the request is not what HTTP says")
    return problem_answer(known, request_id, is_epcis=is_epcis, as_xml=as_xml)


def _request_id(request: web.Request) -> str:
    """The client's own id where it is a plain word, so that both logs name the request alike."""
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6


def _whole(seconds: float) -> str:
    return str(max(1, int(seconds + 0.999)))
