"""What the network needs of a wire: authenticated channels that carry frames; `websocket` and `memory` do.

Source: docs/spec/p2p.md.
"""

from __future__ import annotations

import re
from asyncio import TaskGroup
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from ledger.members import Node
from ledger.types import PublicKey

_ADDRESS: Final = re.compile(
    r"(?:(?P<host>[A-Za-z0-9._-]+)|\[(?P<six>[0-9A-Fa-f:.]+)\]):(?P<port>[0-9]{1,5})"
)


class ChannelClosed(Exception):
    """The channel carries nothing more; `code` says why, as far as this end knows."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class DialFailed(Exception):
    """No channel came of a dial. `code`: a `peer.*` or `handshake.*` code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Channel(Protocol):
    """One authenticated connection. One task may send while another receives."""

    certificate: bytes  # the other end's (DER), verified to belong to a member
    remote: str  # its network address, for logs

    async def send(self, frame: bytes) -> None:
        """Send one frame; waits while the other end reads slowly. Raises ChannelClosed."""

    async def receive(self) -> bytes:
        """The next frame. Raises ChannelClosed."""

    async def close(self, code: str) -> None:
        """Say why and close; takes a bounded time, and never raises for what the other end does."""

    def abort(self) -> None:
        """Close at once; whoever sends or receives gets ChannelClosed."""


class Transport(Protocol):
    """A way to listen, to dial, and to let in members only."""

    address: str  # host:port that it listens on

    async def listen(self) -> None:
        """Take the address. Raises OSError where that cannot be."""

    def serve(self, tasks: TaskGroup, on_channel: Callable[[Channel], None]) -> None:
        """Accept; each channel that another node opened goes to `on_channel`. Work runs in `tasks`."""

    async def stop(self) -> None:
        """Close the listener and every channel, in a bounded time."""

    async def dial(self, address: str, peer: PublicKey | None) -> Channel:
        """Open a channel to `host:port`: to one member, or (None) to whichever answers. Raises DialFailed."""

    def allow(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Let in these nodes from now on; answer with those whose certificate is of no use."""


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port`, `[::1]:port` for IPv6.

    Raises:
        DialFailed: `peer.bad_address`.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > 65535:
        raise DialFailed("peer.bad_address", f"{address!r} is not host:port")
    return found["six"] or found["host"], int(found["port"])
