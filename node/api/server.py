"""The sockets of a node's HTTP interfaces: opened with limits, closed with patience that ends.

aiohttp bounds neither connections nor what it says to bytes that are no HTTP; both are done here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ledger.errors import LedgerError
from node.api.admin import admin_app
from node.api.app import public_app
from node.api.chain import release
from node.api.context import Api, Settings
from node.api.guard import log_bug, problem_answer
from node.api.metrics import Metrics

LINE_BYTES_MAX: Final = 8190
HEADERS_MAX: Final = 64
HEADER_BYTES_MAX: Final = 8190
LINGER_SECONDS: Final = 1.0  # reads on after a refusal, so that the client gets to see it
TLS_HANDSHAKE_SECONDS: Final = 5.0
STOP_SECONDS: Final = 3.0
BACKLOG: Final = 256
LAG_SECONDS: Final = 0.5  # between two measurements


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; port 0 takes a free one."""

    host: str
    port: int


class _Handler(RequestHandler):
    """One connection; what is no HTTP is answered in our words."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve the connection, or close it at once where there are too many."""
        manager = self._manager
        assert isinstance(manager, _BoundedServer), "made by the server below"
        limit = manager.limit_over(client_of(transport))
        super().connection_made(transport)
        if limit:
            manager.metrics.connections_refused.labels(manager.listener, limit).inc()
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer bytes that could not be read as a request; the connection ends after it."""
        if status >= 500:
            log_bug(exc)
            known = LedgerError("node.internal", "a fault of this node; its log tells more")
        else:
            known = LedgerError(
                "request.malformed", "the request is not what HTTP says, or its head is too long"
            )
        response = problem_answer(known, "-", is_epcis=False)
        response.headers["Server"] = "farmgate"
        response.force_close()
        return response


class _BoundedServer(web.Server):
    """Connections of one listener, counted as a whole and by client."""

    def __init__(
        self, listener: str, metrics: Metrics, settings: Settings, inner: web.Server, options: dict[str, Any]
    ) -> None:
        super().__init__(
            inner.request_handler,
            request_factory=inner.request_factory,
            handler_cancellation=True,  # nobody works or waits for a client that went away
            **options,
        )
        self.listener = listener
        self.metrics = metrics
        self._settings = settings
        self._options = options
        self._clients: Counter[str] = Counter()
        self._clients_of: dict[RequestHandler, str] = {}

    def __call__(self) -> RequestHandler:
        """The handler of a new connection."""
        return _Handler(self, loop=asyncio.get_running_loop(), **self._options)

    def limit_over(self, client: str) -> str:
        """The limit that one more connection of this client would be over, or nothing."""
        if len(self.connections) >= self._settings.connections_max:
            return "all"
        return "client" if self._clients[client] >= self._settings.connections_of_client_max else ""

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count a connection."""
        super().connection_made(handler, transport)
        self._clients[client_of(transport)] += 1
        self._clients_of[handler] = client_of(transport)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Count one less."""
        super().connection_lost(handler, exc)
        client = self._clients_of.pop(handler, None)
        if client is not None:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]


class _Runner(web.AppRunner):
    """Runs an application over a bounded server."""

    def __init__(self, app: web.Application, listener: str, metrics: Metrics, settings: Settings) -> None:
        self._options: dict[str, Any] = {
            "access_log": None,  # the guard writes one line a request
            "auto_decompress": False,
            "keepalive_timeout": settings.keep_alive_seconds,
            "lingering_time": LINGER_SECONDS,
            "max_field_size": HEADER_BYTES_MAX,
            "max_headers": HEADERS_MAX,
            "max_line_size": LINE_BYTES_MAX,
        }
        super().__init__(app, **self._options)
        self._listener = listener
        self._metrics = metrics
        self._settings = settings

    async def _make_server(self) -> web.Server:
        inner = await super()._make_server()
        return _BoundedServer(self._listener, self._metrics, self._settings, inner, self._options)


class Listener:
    """One application on one socket."""

    def __init__(
        self,
        name: str,
        app: web.Application,
        metrics: Metrics,
        settings: Settings,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._name = name
        self._runner = _Runner(app, name, metrics, settings)
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def start(self, listen: Listen) -> int:
        """Listen; answers the port.

        Raises:
            LedgerError: `api.port_taken`.
        """
        await self._runner.setup()
        assert self._runner.server is not None, "set up above"
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._runner.server,
                listen.host,
                listen.port,
                backlog=BACKLOG,
                ssl=self._tls,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS if self._tls else None,
            )
        except OSError as problem:
            await self._runner.cleanup()
            reason = problem.strerror or str(problem)
            raise LedgerError(
                "api.port_taken", f"cannot listen on {listen.host}:{listen.port} ({self._name}): {reason}"
            ) from None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Take no more connections, give those at work some time, then close them all."""
        if self._server is None:
            return
        self._server.close()
        server = self._runner.server
        assert server is not None, "it was started"
        server.pre_shutdown()
        await server.shutdown(seconds)
        await self._runner.cleanup()
        self._server = None


def client_of(transport: asyncio.BaseTransport) -> str:
    """The address at the other end, without its port."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


class HttpInterfaces:
    """The public and the admin listener of a node, started and stopped together."""

    def __init__(self, api: Api, *, tls: ssl.SSLContext | None = None) -> None:
        self._api = api
        api.metrics.watch(api.service.status, release())
        self._public = Listener("public", public_app(api), api.metrics, api.settings, tls)
        self._admin = Listener("admin", admin_app(api), api.metrics, api.settings, None)
        self._lag: asyncio.Task[None] | None = None
        self.public_port = 0
        self.admin_port = 0

    async def start(self, public: Listen, admin: Listen) -> None:
        """Open both ports, or neither.

        Raises:
            LedgerError: `api.port_taken`.
        """
        self.public_port = await self._public.start(public)
        try:
            self.admin_port = await self._admin.start(admin)
        except LedgerError:
            await self._public.stop(0)
            raise
        self._lag = asyncio.create_task(self._measure_lag(), name="event-loop lag")

    async def stop(self) -> None:
        """Close both within STOP_SECONDS; open streams end first."""
        self._api.stopping.set()
        if self._lag is not None:
            self._lag.cancel()
            await asyncio.gather(self._lag, return_exceptions=True)
        await asyncio.gather(self._public.stop(STOP_SECONDS - 0.5), self._admin.stop(STOP_SECONDS - 0.5))

    async def _measure_lag(self) -> None:
        """See how late the event loop wakes who slept: everything that held it in between."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._api.metrics.loop_lag_seconds.observe(max(0.0, loop.time() - due))
