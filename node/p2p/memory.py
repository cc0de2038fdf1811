"""The wire inside one process: the same channels over queues, for tests of what stands on the network.

A hub stands for the cables. Who is let in is decided by certificate, as TLS does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from ledger.members import Node
from ledger.types import PublicKey
from node.p2p.transport import Channel, ChannelClosed, DialFailed

FRAMES_MAX: Final = 64  # under way in one direction, as in the buffers of a socket


class _Pipe:
    """One direction of a channel."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._closed = False

    async def put(self, frame: bytes) -> None:
        while len(self._frames) >= FRAMES_MAX and not self._closed:
            self._writable.clear()
            await self._writable.wait()
        if self._closed:
            raise ChannelClosed("peer.lost")
        self._frames.append(frame)
        self._readable.set()

    async def get(self) -> bytes:
        while not self._frames:
            if self._closed:
                raise ChannelClosed("peer.lost")
            self._readable.clear()
            await self._readable.wait()
        self._writable.set()
        return self._frames.popleft()

    def close(self) -> None:
        self._closed = True
        self._readable.set()
        self._writable.set()


class MemoryChannel:
    """One end of two pipes."""

    def __init__(self, certificate: bytes, remote: str, incoming: _Pipe, outgoing: _Pipe) -> None:
        self.certificate = certificate
        self.remote = remote
        self._incoming = incoming
        self._outgoing = outgoing

    async def send(self, frame: bytes) -> None:
        """Put a frame into the pipe; waits while that is full."""
        await self._outgoing.put(frame)

    async def receive(self) -> bytes:
        """The next frame; what was under way before the end is still read."""
        return await self._incoming.get()

    async def close(self, code: str) -> None:
        """Close both directions."""
        self.abort()

    def abort(self) -> None:
        """Close both directions."""
        self._incoming.close()
        self._outgoing.close()


class MemoryHub:
    """The cables: which transport listens where."""

    def __init__(self) -> None:
        self.listening: dict[str, MemoryTransport] = {}


class MemoryTransport:
    """One node's end of a hub."""

    def __init__(self, hub: MemoryHub, certificate: bytes, address: str) -> None:
        self._hub = hub
        self._certificate = certificate
        self._allowed: dict[bytes, bytes] = {}  # certificate by public key
        self._channels: list[MemoryChannel] = []
        self._on_channel: Callable[[Channel], None] | None = None
        self.address = address

    async def listen(self) -> None:
        """Take the address on the hub."""
        if self.address in self._hub.listening:
            raise OSError(f"{self.address} is taken")
        self._hub.listening[self.address] = self

    def serve(self, tasks: asyncio.TaskGroup, on_channel: Callable[[Channel], None]) -> None:
        """Take channels."""
        self._on_channel = on_channel

    async def stop(self) -> None:
        """Leave the hub and close every channel."""
        self._hub.listening.pop(self.address, None)
        for channel in self._channels:
            channel.abort()

    async def dial(self, address: str, peer: PublicKey | None) -> Channel:
        """Open a channel to whoever listens there."""
        other = self._hub.listening.get(address)
        if other is None:
            raise DialFailed("peer.unreachable", f"nobody listens at {address}")
        allowed = self._allowed.values() if peer is None else [self._allowed.get(peer)]
        if other._certificate not in allowed:  # noqa: SLF001 - of this class
            raise DialFailed("peer.wrong_certificate", "not the node expected there")
        return other._answer(self)  # noqa: SLF001 - of this class

    def allow(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Let in these nodes from now on."""
        self._allowed = {node.public_key: node.certificate for node in nodes}
        return ()

    def _answer(self, dialler: MemoryTransport) -> Channel:
        if self._on_channel is None or dialler._certificate not in self._allowed.values():
            raise DialFailed("peer.refused", "peers refuse this node: not a member (yet)")
        there, back = _Pipe(), _Pipe()
        theirs = MemoryChannel(self._certificate, self.address, back, there)
        ours = MemoryChannel(dialler._certificate, dialler.address, there, back)
        self._channels.append(ours)
        dialler._channels.append(theirs)
        self._on_channel(ours)
        return theirs
