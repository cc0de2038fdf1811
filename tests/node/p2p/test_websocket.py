"""What a WebSocket channel does about the transport under it."""

from __future__ import annotations

import socket
from typing import Any

from node.p2p.counters import Counters
from node.p2p.websocket import WebSocketChannel


class ForgetfulTransport:
    """The TLS transport of early releases of Python 3.11, after it was closed twice."""

    def __init__(self, connection: socket.socket, certificate: bytes) -> None:
        self._connection = connection
        self._certificate = certificate

    def get_extra_info(self, name: str) -> Any:
        return {"socket": self._connection, "ssl_object": self}.get(name)

    def getpeercert(self, binary_form: bool) -> bytes:
        return self._certificate

    def set_write_buffer_limits(self, high: int) -> None:
        assert high > 0

    def abort(self) -> None:
        raise AttributeError("'NoneType' object has no attribute '_abort'")


def test_a_channel_is_cut_where_its_transport_cannot_abort() -> None:
    """The other end sees the connection end, and the channel says that it is closed."""
    here, there = socket.socketpair()
    with here, there:
        there.settimeout(5)
        transport: Any = ForgetfulTransport(here, b"certificate")
        web_socket: Any = None
        channel = WebSocketChannel(web_socket, transport, Counters())
        channel.abort()
        assert channel.closed.is_set()
        assert there.recv(1) == b""
        channel.abort()  # once more is harmless
