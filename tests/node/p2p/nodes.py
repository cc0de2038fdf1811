"""Nodes for tests: identities, member records, and networks on real sockets that write down their events."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from ledger.members import Node, NodeRole
from ledger.types import BlockId, ChainId, PublicKey
from node.p2p.connection import shake_hands
from node.p2p.counters import Counters
from node.p2p.dialler import DialStatus
from node.p2p.frames import Assembler
from node.p2p.handshake import LocalNode
from node.p2p.identity import NodeIdentity, make_identity
from node.p2p.messages import Goodbye, Message, decode_message
from node.p2p.network import Network, PeerInfo
from node.p2p.tls import Members
from node.p2p.transport import Channel
from node.p2p.websocket import WebSocketTransport

CHAIN = ChainId(b"c" * 32)
GENESIS = BlockId(b"g" * 32)
ISSUED = datetime(2026, 1, 1, tzinfo=UTC)
WAIT_SECONDS = 10.0


def identity(number: int) -> NodeIdentity:
    return make_identity(bytes([number]) * 32, ISSUED)


def record(number: int, addresses: tuple[str, ...] = (), role: NodeRole = NodeRole.VALIDATOR) -> Node:
    own = identity(number)
    return Node(own.public_key, "farm", f"node-{number}", role, own.certificate, addresses)


def local(number: int, chain_id: ChainId = CHAIN) -> LocalNode:
    return LocalNode(identity(number), f"node-{number}", chain_id, GENESIS)


async def eventually(is_true: Callable[[], bool]) -> None:
    """Give the loop turns until something is true that sends no event. Takes no longer than that takes."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_true():  # noqa: ASYNC110 - what is watched are plain counters
            await asyncio.sleep(0)


class Recorder:
    """Events as they come, and a way to wait until something is true of them."""

    def __init__(self) -> None:
        self.messages: list[tuple[PublicKey, Message]] = []
        self.connected: list[PeerInfo] = []
        self.disconnected: list[tuple[PeerInfo, str]] = []
        self.doubles: list[PublicKey] = []
        self._changed = asyncio.Event()

    def on_message(self, peer_id: PublicKey, message: Message) -> None:
        self.messages.append((peer_id, message))
        self._changed.set()

    def on_connected(self, peer: PeerInfo) -> None:
        self.connected.append(peer)
        self._changed.set()

    def on_disconnected(self, peer: PeerInfo, code: str) -> None:
        self.disconnected.append((peer, code))
        self._changed.set()

    def on_double(self, peer_id: PublicKey) -> None:
        self.doubles.append(peer_id)
        self._changed.set()

    async def until(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not is_true():
                self._changed.clear()
                await self._changed.wait()


class TestNode:
    """A network over real sockets on a free port of 127.0.0.1."""

    __test__ = False

    def __init__(
        self,
        number: int,
        members: Iterable[Node],
        peers: Iterable[str] = (),
        chain_id: ChainId = CHAIN,
        port: int = 0,
    ) -> None:
        self.identity = identity(number)
        self.events = Recorder()
        self.counters = Counters()
        self.tls = Members(self.identity, ())
        self.transport = WebSocketTransport(self.tls, "127.0.0.1", port, self.counters)
        self.network = Network(
            local(number, chain_id),
            self.transport,
            self.events,
            tuple(members),
            peers,
            random.Random(number),
            self.counters,
        )

    @property
    def key(self) -> PublicKey:
        return self.identity.public_key

    async def problem(self) -> DialStatus:
        """What keeps this node alone, as soon as it knows."""
        await eventually(lambda: self.network.problem() is not None)
        problem = self.network.problem()
        assert problem is not None
        return problem

    async def __aenter__(self) -> TestNode:
        await self.network.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.network.stop()


class RawPeer:
    """A member that keeps to TLS and nothing else unless told: for frames that no correct node sends."""

    def __init__(self, number: int, members: Iterable[Node], dialled: TestNode) -> None:
        self.identity = identity(number)
        self.local = local(number)
        self._address = dialled.network.address
        self._dialled_key = dialled.key
        self._nodes = {node.public_key: node for node in members}
        self._transport = WebSocketTransport(
            Members(self.identity, self._nodes.values()), "127.0.0.1", 0, Counters()
        )
        self._assembler = Assembler()
        self.channels: list[Channel] = []

    async def __aenter__(self) -> RawPeer:
        await self._transport.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self.channels:
            channel.abort()
            await channel.close("peer.lost")
        await self._transport.stop()

    async def dial(self) -> Channel:
        """TLS and WebSocket only."""
        channel = await self._transport.dial(self._address, self._dialled_key)
        self.channels.append(channel)
        return channel

    async def connect(self) -> Channel:
        """With the handshake: from here on the other side takes us for a peer."""
        channel = await self.dial()
        await shake_hands(channel, self.local, True, self._nodes.get, self._dialled_key)
        return channel

    async def next_message(self, channel: Channel) -> Message:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                data = self._assembler.feed(await channel.receive())
                if data is not None:
                    return decode_message(data)

    async def goodbye(self, channel: Channel) -> str:
        """The code with which the other side ends this."""
        while True:
            message = await self.next_message(channel)
            if isinstance(message, Goodbye):
                return message.code
