"""The peer network of one node: one connection with every member in reach, and what goes over it.

Every known member is dialled, and dials; of two connections with one peer the one that the smaller key
dialled survives. What is lost on the way is repeated by whoever needs it: nothing is delivered for certain.

Source: docs/spec/p2p.md, rules N1-N8.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.errors import LedgerError
from ledger.members import Node, NodeRole
from ledger.types import PublicKey
from node.p2p.conduct import Conduct, Offence
from node.p2p.connection import Connection, say_goodbye, shake_hands
from node.p2p.counters import Counters
from node.p2p.dialler import Dialler, DialStatus
from node.p2p.frames import Lane
from node.p2p.handshake import LocalNode
from node.p2p.messages import Message, encode_message, kind_of
from node.p2p.transport import Channel, ChannelClosed, DialFailed, Transport

LOG: Final = logging.getLogger(__name__)

# What says most of why a node is alone: it is no member, or of another chain. Silence may mean anything.
TELLING: Final = ("peer.refused", "handshake.wrong_chain", "handshake.wrong_genesis")
DOUBLE_CODES: Final = ("peer.replaced", "peer.duplicate")
DEAD_SECONDS: Final = 15.0  # by then every peer has given up a connection that nobody holds the other end of
STOP_SECONDS: Final = 1.0  # for peers to take our goodbye


class Events(Protocol):
    """What the network tells the node. None of these may block or raise."""

    def on_message(self, peer_id: PublicKey, message: Message) -> None:
        """A message has come; the receiver queues it, and drops what it cannot hold."""

    def on_connected(self, peer: PeerInfo) -> None:
        """A peer is there (again): what it was told before may be lost."""

    def on_disconnected(self, peer: PeerInfo, code: str) -> None:
        """A peer has gone, and why."""

    def on_double(self, peer_id: PublicKey) -> None:
        """A peer has taken another connection with this node's key for ours, and it is none of ours."""


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """A connected peer."""

    peer_id: PublicKey
    name: str
    organisation: str
    role: NodeRole
    remote: str  # host:port of the other end of the connection
    is_dialled: bool
    since: float  # seconds on the loop's clock
    waiting_messages: int  # not yet sent
    waiting_bytes: int


class _Stopped(Exception):
    """Ends the tasks of the network."""


class Network:
    """All connections of one node. Used from one event loop: `start`, then the rest, then `stop`."""

    def __init__(
        self,
        local: LocalNode,
        transport: Transport,
        events: Events,
        nodes: Iterable[Node],
        peers: Iterable[str] = (),
        random_source: random.Random | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.counters = counters or Counters()
        self._local = local
        self._transport = transport
        self._events = events
        self._listed: tuple[Node, ...] | None = None  # as given, with those whose certificate is of no use
        self._nodes: dict[bytes, Node] = {}
        self._connections: dict[bytes, Connection] = {}
        self._greeting: set[bytes] = set()  # peers with whom a dial of ours is in the handshake
        self._answering: Counter[bytes] = Counter()  # handshakes that others began, by their certificate
        self._refused_since: dict[bytes, float] = {}  # peers that hold to another connection, since when
        self._gone: dict[bytes, asyncio.Event] = {}  # set while there is no connection with a peer
        self._conduct = Conduct(self._is_validator, self._validators)
        own_key = local.identity.public_key
        self._random = random_source or random.SystemRandom()
        self._dialler = Dialler(own_key, peers, self._attempt, self._until_gone, self._random)
        self._tasks: asyncio.TaskGroup | None = None
        self._owner: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.allow(nodes)

    # --- life ---------------------------------------------------------------

    async def start(self) -> None:
        """Listen and dial. Raises OSError where the address is taken."""
        await self._transport.listen()
        self._owner = asyncio.create_task(self._own(), name="p2p")

    async def stop(self) -> None:
        """Say goodbye and close everything, within two seconds; raises what made it fail, if it did."""
        self._stopping.set()
        await self.wait()

    async def wait(self) -> None:
        """Return when the network has stopped; raises what made it fail."""
        if self._owner is not None:
            await asyncio.shield(self._owner)

    async def _own(self) -> None:
        """The one task that owns all others of the network."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._transport.serve(tasks, self._on_channel)
                self._dialler.start(tasks)
                await self._stopping.wait()
                await self._leave()
                raise _Stopped
        except* _Stopped:
            pass
        finally:
            self._tasks = None
            await self._transport.stop()

    async def _leave(self) -> None:
        self._dialler.stop()
        for connection in tuple(self._connections.values()):
            connection.end("peer.stopping")
        try:
            async with asyncio.timeout(STOP_SECONDS):
                for connection in tuple(self._connections.values()):
                    await self._until_gone(connection.peer_id)
        except TimeoutError:
            LOG.warning("stopping, peers still open count=%d", len(self._connections))

    # --- what the node asks -------------------------------------------------

    @property
    def address(self) -> str:
        """host:port that this node listens on."""
        return self._transport.address

    def peers(self) -> tuple[PeerInfo, ...]:
        """Who is connected, by ascending key."""
        return tuple(_info(self._connections[peer_id]) for peer_id in sorted(self._connections))

    def dials(self) -> tuple[DialStatus, ...]:
        """How it stands with everybody this node dials."""
        return self._dialler.statuses()

    def problem(self) -> DialStatus | None:
        """Why this node is alone; None while it has a peer, or where nobody has answered yet."""
        failed = [] if self._connections else [status for status in self.dials() if status.code]
        return min(failed, key=_tells_little, default=None)

    def send(self, peer_id: bytes, message: Message, lane: Lane) -> bool:
        """Queue a message for a peer. False: it is not connected, or its lane is full."""
        connection = self._connections.get(peer_id)
        if connection is None or not connection.push(lane, encode_message(message)):
            return False
        self.counters.messages_out[kind_of(message)] += 1
        return True

    def broadcast(self, message: Message, lane: Lane, only_validators: bool = False) -> int:
        """Queue a message for every peer, or for every validator; how many took it."""
        data = encode_message(message)
        taken = sum(
            connection.push(lane, data)
            for connection in self._connections.values()
            if not only_validators or connection.node.role is NodeRole.VALIDATOR
        )
        self.counters.messages_out[kind_of(message)] += taken
        return taken

    def allow(self, nodes: Iterable[Node]) -> None:
        """Replace the members in force: dial the new ones, cut off those that are members no more."""
        listed = tuple(nodes)
        if listed == self._listed:
            return
        self._listed = listed
        unreadable = {node.public_key: node.name for node in self._transport.allow(listed)}
        for name in unreadable.values():
            LOG.warning("member left out, unreadable certificate node=%s", name)
        self._nodes = {node.public_key: node for node in listed if node.public_key not in unreadable}
        for connection in tuple(self._connections.values()):
            node = self._nodes.get(connection.peer_id)
            if node is None or node.certificate != connection.node.certificate:
                connection.end("peer.removed")
            else:
                connection.node = node
        self._conduct.keep(frozenset(self._nodes))
        self._dialler.retarget(self._nodes.values())

    def report(self, peer_id: bytes, offence: Offence, count: int = 1) -> None:
        """A peer misbehaved; past the threshold it is cut off for a while (`conduct`)."""
        self.counters.offences[offence.name.lower()] += count
        connection = self._connections.get(peer_id)
        if self._conduct.note(peer_id, offence, count, asyncio.get_running_loop().time()) and connection:
            LOG.warning("peer banned peer=%s offence=%s", connection.node.name, offence.name.lower())
            connection.end("peer.banned")

    # --- connections --------------------------------------------------------

    def _on_channel(self, channel: Channel) -> None:
        if self._tasks is None or self._stopping.is_set():
            channel.abort()
        else:
            self._tasks.create_task(self._answer(channel))

    async def _answer(self, channel: Channel) -> None:
        """Serve a channel that another node has opened."""
        self._answering[channel.certificate] += 1
        try:
            try:
                node = await self._shake_hands(channel, False, None)
                connection = self._admit(channel, node, is_dialled=False)
            finally:
                self._answering -= Counter((channel.certificate,))
        except (LedgerError, ChannelClosed) as failure:
            self.counters.refused[failure.code] += 1
            LOG.info("refused remote=%s code=%s reason=%s", channel.remote, failure.code, failure)
            await say_goodbye(channel, failure.code)
        else:
            await self._run(connection)
        finally:
            await channel.close("peer.lost")

    async def _attempt(self, address: str, pinned: PublicKey | None, greeted: Callable[[Node], None]) -> None:
        """Dial once and serve what comes of it. Raises DialFailed."""
        self.counters.dials += 1
        if pinned is not None and self._is_banned(pinned):
            raise DialFailed("peer.banned", "this node is kept away for a while")
        channel = await self._transport.dial(address, pinned)
        try:
            node = self._member_with(channel.certificate, pinned)
            if node.public_key in self._connections or node.public_key in self._greeting:
                greeted(node)
                raise DialFailed("peer.duplicate", f"{node.name} is connected already")
            await self._run(await self._greet(channel, node, pinned, greeted))
        finally:
            await channel.close("peer.lost")

    async def _greet(
        self, channel: Channel, node: Node, pinned: PublicKey | None, greeted: Callable[[Node], None]
    ) -> Connection:
        """The handshake on a channel that we dialled; one at a time with each peer. Raises DialFailed."""
        self._greeting.add(node.public_key)
        try:
            found = await self._shake_hands(channel, True, pinned)
            greeted(found)
            return self._admit(channel, found, is_dialled=True)
        except (LedgerError, ChannelClosed) as failure:
            self.counters.refused[failure.code] += 1
            await say_goodbye(channel, failure.code)
            raise DialFailed(failure.code, str(failure)) from None
        finally:
            self._greeting.discard(node.public_key)

    async def _shake_hands(self, channel: Channel, is_dialler: bool, expected: PublicKey | None) -> Node:
        return await shake_hands(
            channel, self._local, is_dialler, self._nodes.get, expected, self._random.randbytes
        )

    def _member_with(self, certificate: bytes, pinned: PublicKey | None) -> Node:
        for node in self._nodes.values():
            if node.certificate == certificate and pinned in (None, node.public_key):
                return node
        raise DialFailed("peer.removed", "the node there is no member any more")

    def _admit(self, channel: Channel, node: Node, is_dialled: bool) -> Connection:
        """Make a proved channel the connection with its peer.

        Raises:
            LedgerError: `peer.removed`, `peer.banned`, `peer.duplicate`.
        """
        member = self._nodes.get(node.public_key)
        if member is None or member.certificate != channel.certificate:
            raise LedgerError("peer.removed", f"{node.name} is no member any more")
        if self._is_banned(node.public_key):
            raise LedgerError("peer.banned", f"{node.name} is kept away for a while")
        old = self._connections.get(node.public_key)
        if old is not None:
            if old.is_dialled != is_dialled and is_dialled != self._dials_first(node.public_key):
                raise LedgerError("peer.duplicate", f"{node.name} is connected already")
            self._forget(old, "peer.replaced")
            old.end("peer.replaced")
        now = asyncio.get_running_loop().time()
        connection = Connection(channel, member, is_dialled, now, self.counters, self._events.on_message)
        self._connections[node.public_key] = connection
        self._event(node.public_key).clear()
        return connection

    async def _run(self, connection: Connection) -> None:
        self.counters.connected += 1
        info = _info(connection)
        LOG.info("connected peer=%s remote=%s dialled=%s", info.name, info.remote, info.is_dialled)
        self._events.on_connected(info)
        code = "peer.lost"
        try:
            code = await connection.run()
        finally:
            self._forget(connection, code)
        self._judge_double(connection, code)

    def _judge_double(self, connection: Connection, code: str) -> None:
        """A peer that took another connection for ours did so now; one that lets none in may for a while hold
        to a dead one, which an earlier process of ours has left."""
        now, peer_id = asyncio.get_running_loop().time(), connection.peer_id
        if not connection.was_told or code not in DOUBLE_CODES:
            self._refused_since.pop(peer_id, None)
            return
        if not self._is_none_of_ours(connection.node):
            return
        since = self._refused_since.setdefault(peer_id, now)
        if code == "peer.replaced" or now - since > DEAD_SECONDS:
            LOG.warning("another process has this node's key, told by=%s", connection.node.name)
            self._events.on_double(peer_id)

    def _is_none_of_ours(self, node: Node) -> bool:
        """Whether no other connection with a peer is up or coming: one of ours began before the old ended."""
        is_coming = node.public_key in self._greeting or self._answering[node.certificate]
        return node.public_key not in self._connections and not is_coming

    def _forget(self, connection: Connection, code: str) -> None:
        """Take a connection off the list, once."""
        if self._connections.get(connection.peer_id) is not connection:
            return
        del self._connections[connection.peer_id]
        self._event(connection.peer_id).set()
        self.counters.ended[code] += 1
        LOG.info("disconnected peer=%s code=%s", connection.node.name, code)
        self._events.on_disconnected(_info(connection), code)
        if connection.is_malformed:
            self.report(connection.peer_id, Offence.MALFORMED)

    async def _until_gone(self, peer_id: PublicKey) -> None:
        await self._event(peer_id).wait()

    def _event(self, peer_id: bytes) -> asyncio.Event:
        if peer_id not in self._gone:
            self._gone[peer_id] = asyncio.Event()
            self._gone[peer_id].set()
        return self._gone[peer_id]

    # --- small questions ----------------------------------------------------

    def _dials_first(self, peer_id: bytes) -> bool:
        return self._local.identity.public_key < peer_id

    def _is_banned(self, peer_id: bytes) -> bool:
        return self._conduct.is_banned(peer_id, asyncio.get_running_loop().time())

    def _is_validator(self, peer_id: bytes) -> bool:
        node = self._nodes.get(peer_id)
        return node is not None and node.role is NodeRole.VALIDATOR

    def _validators(self) -> int:
        return sum(node.role is NodeRole.VALIDATOR for node in self._nodes.values())


def _tells_little(status: DialStatus) -> int:
    return TELLING.index(status.code) if status.code in TELLING else len(TELLING)


def _info(connection: Connection) -> PeerInfo:
    node, lanes = connection.node, connection.lanes
    return PeerInfo(
        connection.peer_id,
        node.name,
        node.organisation,
        node.role,
        connection.remote,
        connection.is_dialled,
        connection.since,
        len(lanes),
        lanes.size_bytes,
    )
