"""The wire: aiohttp WebSockets over TLS 1.3, one binary message a frame, nothing compressed.

We accept sockets ourselves, so that strangers who never finish a TLS handshake are few, short-lived and first
to go, and so that a task of the network owns each of them.

Source: docs/spec/p2p.md, rules T1-T5 and W1-W5.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

import aiohttp
from aiohttp import WSMsgType, web

from ledger.members import Node
from ledger.types import PublicKey
from node.p2p.counters import Counters
from node.p2p.frames import FRAME_BYTES_MAX
from node.p2p.tls import Members
from node.p2p.transport import Channel, ChannelClosed, DialFailed, split_address

LOG: Final = logging.getLogger(__name__)

PATH: Final = "/farmgate/p2p/1"
TLS_SECONDS: Final = 5.0  # a TLS handshake takes two round trips
DIAL_SECONDS: Final = 8.0  # name, TCP, TLS and upgrade together
UPGRADE_SECONDS: Final = 5.0  # from TLS to the request for the upgrade
CLOSE_SECONDS: Final = 0.5  # for the other side to confirm that we close
HEARTBEAT_SECONDS: Final = 3.4  # ping after this silence; no answer in half of it again: closed, 5.1 s in all
HALF_OPEN_MAX: Final = 128  # strangers in a TLS handshake; above it the oldest has to go
CHANNELS_MAX: Final = 512  # inbound, beyond TLS
CHANNELS_OF_PEER_MAX: Final = 4  # one in use, one that replaces it, and room for a quick restart
WRITE_BUFFER_BYTES: Final = 64 << 10  # beyond lanes and below the socket: what a vote cannot overtake
UNSENT_BYTES: Final = 64 << 10  # the same inside the kernel
ACCEPT_PAUSE_SECONDS: Final = 0.2  # when the process has no file descriptor left
BACKLOG: Final = 256
_TCP_NOTSENT_LOWAT: Final = 25  # Linux; the socket module has no name for it in Python 3.11

TOLD_SECONDS: Final = 60.0  # one log line a minute about one remote host; every refusal is counted
TOLD_MAX: Final = 256  # remote hosts remembered for that

# aiohttp reports on requests that are no HTTP; whoever sends them is closed and counted here.
_HTTP_LOG: Final = logging.getLogger(f"{__name__}.http")
_HTTP_LOG.setLevel(logging.CRITICAL)


class _Dialled(aiohttp.ClientWebSocketResponse):
    """A dialled WebSocket that lets us reach its transport."""

    def __init__(
        self, reader: Any, writer: Any, protocol: Any, response: Any, *rest: Any, **named: Any
    ) -> None:
        super().__init__(reader, writer, protocol, response, *rest, **named)
        self.transport: asyncio.Transport = response.connection.transport


class _Server(web.Server):
    """Serves those whom TLS let in, if they are members and hold few connections; parses nobody else."""

    def __init__(self, members: Members, counters: Counters, handler: Any, **settings: Any) -> None:
        super().__init__(handler, **settings)
        self._members = members
        self._counters = counters
        self._certificates: dict[object, bytes] = {}  # of each open connection
        self._open: Counter[bytes] = Counter()

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        certificate = certificate_of(transport)
        self._certificates[handler] = certificate
        self._open[certificate] += 1
        if not self._members.is_allowed(certificate):
            self._refuse(transport, "peer.not_a_member")
        elif self._open[certificate] > CHANNELS_OF_PEER_MAX or len(self._certificates) > CHANNELS_MAX:
            self._refuse(transport, "peer.too_many")

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        certificate = self._certificates.pop(handler, None)
        if certificate is not None:
            self._open[certificate] -= 1
            if not self._open[certificate]:
                del self._open[certificate]

    def _refuse(self, transport: asyncio.Transport, code: str) -> None:
        self._counters.refused[code] += 1
        transport.abort()


class WebSocketChannel:
    """A channel over one WebSocket, dialled or accepted."""

    def __init__(
        self, socket_: _Dialled | web.WebSocketResponse, transport: asyncio.Transport, counters: Counters
    ) -> None:
        self._socket = socket_
        self._transport = transport
        self._counters = counters
        self.closed = asyncio.Event()
        self.certificate = certificate_of(transport)
        peer = transport.get_extra_info("peername")
        self.remote = f"{peer[0]}:{peer[1]}" if peer else "?"
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._connection: socket.socket | None = transport.get_extra_info("socket")
        tune(self._connection)

    async def send(self, frame: bytes) -> None:
        """Send one frame; waits while the other end reads slowly."""
        try:
            await self._socket.send_bytes(frame)
        except (aiohttp.ClientError, OSError):
            raise ChannelClosed("peer.lost") from None
        self._counters.bytes_out += len(frame)

    async def receive(self) -> bytes:
        """The next frame."""
        try:
            message = await self._socket.receive()
        except (aiohttp.ClientError, OSError):  # it answers pings itself, on a transport that may be closing
            raise ChannelClosed("peer.lost") from None
        if message.type is WSMsgType.BINARY:
            data: bytes = message.data
            self._counters.bytes_in += len(data)
            return data
        raise ChannelClosed(_closing_code(message))

    async def close(self, code: str) -> None:
        """Say why and close, within CLOSE_SECONDS."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(code=aiohttp.WSCloseCode.OK, message=code.encode())
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        try:
            self._transport.abort()
        except AttributeError:
            # Early releases of Python 3.11 forget the TLS protocol when its transport is closed twice, and
            # then fail to abort it. The socket under it is told to end instead.
            _shut(self._connection)
        self.closed.set()


class WebSocketTransport:
    """Listens on one address and dials others; lets in members only.

    `port` 0 takes any free port; `address` then tells which.
    """

    def __init__(self, members: Members, host: str, port: int, counters: Counters) -> None:
        self._members = members
        self._host, self._port = host, port
        self._counters = counters
        self._listener: socket.socket | None = None
        self._half_open: dict[asyncio.Task[None], None] = {}
        self._told: OrderedDict[str, float] = OrderedDict()  # when a log line named a remote host
        self._sessions: aiohttp.ClientSession | None = None
        self._server: _Server | None = None
        self._on_channel: Callable[[Channel], None] | None = None
        self.address = f"{host}:{port}"

    async def listen(self) -> None:
        """Take the address. Raises OSError where that cannot be."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, where = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind(where)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self.address = f"{self._host}:{listener.getsockname()[1]}"
        self._server = _Server(
            self._members,
            self._counters,
            self._upgrade,
            keepalive_timeout=UPGRADE_SECONDS,
            access_log=None,
            logger=_HTTP_LOG,
            lingering_time=0.0,
        )
        self._sessions = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False),
            timeout=aiohttp.ClientTimeout(total=None, connect=DIAL_SECONDS),
            ws_response_class=_Dialled,
            trust_env=False,
        )

    def serve(self, tasks: asyncio.TaskGroup, on_channel: Callable[[Channel], None]) -> None:
        """Accept connections, in `tasks`."""
        assert self._listener is not None, "listen comes first"
        self._on_channel = on_channel
        tasks.create_task(self._accept(tasks, self._listener))

    async def stop(self) -> None:
        """Close the listener and whatever is still open."""
        if self._listener is not None:
            self._listener.close()
        if self._server is not None:
            await self._server.shutdown(timeout=CLOSE_SECONDS)
        if self._sessions is not None:
            await self._sessions.close()

    def allow(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Let in these nodes from now on."""
        return self._members.allow(nodes)

    # --- out ----------------------------------------------------------------

    async def dial(self, address: str, peer: PublicKey | None) -> Channel:
        """Open a channel to one member, or (None) to whichever member answers there."""
        host, port = split_address(address)
        assert self._sessions is not None, "listen comes first"
        url = f"wss://[{host}]:{port}{PATH}" if ":" in host else f"wss://{host}:{port}{PATH}"
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                connection = await self._sessions.ws_connect(
                    url,
                    ssl=self._members.client_context(peer),
                    heartbeat=HEARTBEAT_SECONDS,
                    max_msg_size=FRAME_BYTES_MAX + 1,  # aiohttp refuses a message of just this size
                    compress=0,
                    timeout=aiohttp.ClientWSTimeout(ws_receive=None, ws_close=CLOSE_SECONDS),
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
            raise _dial_failure(problem) from None
        assert isinstance(connection, _Dialled)
        channel = WebSocketChannel(connection, connection.transport, self._counters)
        if not self._members.is_allowed(channel.certificate):
            await channel.close("peer.removed")
            raise DialFailed("peer.wrong_certificate", "the certificate there is no member's")
        return channel

    # --- in -----------------------------------------------------------------

    async def _accept(self, tasks: asyncio.TaskGroup, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, where = await loop.sock_accept(listener)
            except OSError as problem:
                if listener.fileno() < 0:
                    return
                LOG.warning("accept failed reason=%s", problem)
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            if len(self._half_open) >= HALF_OPEN_MAX:
                next(iter(self._half_open)).cancel()
            task = tasks.create_task(self._welcome(accepted, str(where[0])))
            self._half_open[task] = None
            task.add_done_callback(self._half_open.pop)

    async def _welcome(self, accepted: socket.socket, remote: str) -> None:
        """TLS with one stranger; aiohttp serves whoever passes."""
        assert self._server is not None
        try:
            async with asyncio.timeout(TLS_SECONDS):
                await asyncio.get_running_loop().connect_accepted_socket(
                    self._server,
                    accepted,
                    ssl=self._members.server_context,
                    ssl_handshake_timeout=TLS_SECONDS,
                    ssl_shutdown_timeout=CLOSE_SECONDS,
                )
        except (OSError, TimeoutError) as problem:
            self._counters.refused["peer.no_tls"] += 1
            if self._is_news(remote):
                LOG.info("refused remote=%s code=peer.no_tls reason=%s", remote, str(problem) or "timeout")
            accepted.close()

    def _is_news(self, remote: str) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._told.get(remote, -TOLD_SECONDS) < TOLD_SECONDS:
            return False
        self._told[remote] = now
        self._told.move_to_end(remote)
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        return True

    async def _upgrade(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = web.WebSocketResponse(
            timeout=CLOSE_SECONDS,
            heartbeat=HEARTBEAT_SECONDS,
            max_msg_size=FRAME_BYTES_MAX + 1,  # aiohttp refuses a message of just this size
            compress=False,
        )
        transport = request.transport
        if request.path != PATH or not connection.can_prepare(request) or transport is None:
            self._counters.refused["peer.no_websocket"] += 1
            return web.Response(status=404)
        await connection.prepare(request)
        channel = WebSocketChannel(connection, transport, self._counters)
        assert self._on_channel is not None
        self._on_channel(channel)
        await channel.closed.wait()
        return connection


def certificate_of(transport: asyncio.BaseTransport) -> bytes:
    """The other end's certificate (DER) as TLS has verified it, or nothing where it has gone already."""
    encrypted = transport.get_extra_info("ssl_object")
    shown = None
    if encrypted is not None:
        with contextlib.suppress(ValueError, ssl.SSLError):
            shown = encrypted.getpeercert(binary_form=True)
    return shown or b""


def tune(connection: socket.socket | None) -> None:
    """Send at once, and keep little where votes cannot overtake it."""
    if connection is None:
        return
    with contextlib.suppress(OSError):  # closed already: the next send says so
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, UNSENT_BYTES)


def _shut(connection: socket.socket | None) -> None:
    if connection is not None:
        with contextlib.suppress(OSError):  # closed already
            connection.shutdown(socket.SHUT_RDWR)


def _closing_code(message: aiohttp.WSMessage) -> str:
    match message.type, message.data:
        case WSMsgType.ERROR, aiohttp.WebSocketError() as problem:
            return (
                "frame.too_large"
                if problem.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
                else "frame.malformed"
            )
        case WSMsgType.ERROR, TimeoutError():
            return "peer.silent"
        case WSMsgType.TEXT, _:
            return "frame.malformed"
        case _:
            return "peer.lost"


def _dial_failure(problem: Exception) -> DialFailed:
    match problem:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return DialFailed("peer.wrong_certificate", f"not the node expected there: {problem}")
        case aiohttp.ClientConnectorError():
            return DialFailed("peer.unreachable", str(problem))
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return DialFailed("peer.timeout", f"no answer in {DIAL_SECONDS} s")
        case aiohttp.WSServerHandshakeError() | aiohttp.InvalidURL() | ValueError():
            return DialFailed("peer.bad_address", f"no node of ours answers there: {problem}")
        case _:
            # TLS 1.3 tells a client that it is not welcome only after the client believes it is connected.
            return DialFailed("peer.refused", "peers refuse this node: not a member (yet)")
