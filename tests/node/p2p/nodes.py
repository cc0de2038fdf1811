"""Nodes for tests: identities, member records, and networks on real sockets that record what they are told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from ledger.members import Node, NodeRole
from ledger.types import BlockId, ChainId, PublicKey
from node.p2p.counters import Counters
from node.p2p.handshake import LocalNode
from node.p2p.identity import NodeIdentity, make_identity
from node.p2p.messages import Message
from node.p2p.network import Network, PeerInfo
from node.p2p.tls import Members
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


def local(number: int, chain_id: ChainId = CHAIN, role: NodeRole = NodeRole.VALIDATOR) -> LocalNode:
    return LocalNode(identity(number), f"node-{number}", role, chain_id, GENESIS)


class Recorder:
    """Events as they come, and a way to wait until something is true of them."""

    def __init__(self) -> None:
        self.messages: list[tuple[PublicKey, Message]] = []
        self.connected: list[PeerInfo] = []
        self.disconnected: list[tuple[PeerInfo, str]] = []
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
        role: NodeRole = NodeRole.VALIDATOR,
    ) -> None:
        self.identity = identity(number)
        self.events = Recorder()
        self.counters = Counters()
        self.tls = Members(self.identity, ())
        self.transport = WebSocketTransport(self.tls, "127.0.0.1", port, self.counters)
        self.network = Network(
            local(number, chain_id, role),
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

    async def __aenter__(self) -> TestNode:
        await self.network.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.network.stop()
