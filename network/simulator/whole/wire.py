"""The cables between simulated sites, as TCP shows them to a node: in order, late, held up, or broken off.

What a link loses comes again a little later; what a cut link holds back comes when it is mended, unless the
silence was long enough for the ends to give the connection up. Who is let in is decided by certificate, as
TLS does. Delays, losses and breaks are drawn from the seed.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

from ledger.errors import LedgerError
from ledger.members import Node
from ledger.types import PublicKey
from network.simulator.whole.loop import LIFE, VirtualLoop
from node.p2p.frames import Assembler
from node.p2p.transport import Channel, ChannelClosed, DialFailed
from node.p2p.websocket import DIAL_SECONDS, HEARTBEAT_SECONDS, UNSENT_BYTES, WRITE_BUFFER_BYTES

SILENCE_SECONDS: Final = 1.5 * HEARTBEAT_SECONDS  # then an end that hears nothing gives the connection up
UNDER_WAY_BYTES_MAX: Final = WRITE_BUFFER_BYTES + UNSENT_BYTES  # in one direction; beyond it a sender waits
RESEND_SECONDS: Final = 0.2  # what a lost packet costs

Link = tuple[int, int]  # sender, receiver


@dataclass(frozen=True, slots=True)
class Quality:
    """One direction of a link: one-way delay in milliseconds, lost frames in thousandths, room for bytes."""

    delay_ms_min: float
    delay_ms_max: float
    loss: int = 0
    bytes_per_second: int = 12_500_000


Heard = Callable[[int, int, bytes, bytes | None], None]
"""(sender, receiver, frame, message): told of each frame as it leaves, and of the message it completes."""


class Wire:
    """All cables. `quality` is that of links without one of their own."""

    def __init__(
        self,
        loop: VirtualLoop,
        random: Random,
        quality: dict[Link, Quality],
        heard: Heard,
        faults: Counter[str],
    ) -> None:
        self.loop = loop
        self.random = random
        self.heard = heard
        self.faults = faults
        self.frames = 0
        self.listening: dict[str, SimulatedTransport] = {}
        self._usual = quality
        self._changed: dict[Link, list[Quality]] = {}
        self._cuts: Counter[Link] = Counter()
        self._mended = asyncio.Event()
        self._channels: dict[int, _Channel] = {}
        self._held_back: dict[_Pipe, None] = {}  # with something under way on a cut link
        self._count = 0

    # --- how it stands with a link ------------------------------------------------------------

    def quality(self, link: Link) -> Quality:
        """How a link is now."""
        changed = self._changed.get(link)
        return changed[-1] if changed else self._usual[link]

    def change(self, links: Iterable[Link], quality: Quality) -> None:
        """Make links worse, until `restore`."""
        for link in links:
            self._changed.setdefault(link, []).append(quality)

    def restore(self, links: Iterable[Link], quality: Quality) -> None:
        """Take one change back."""
        for link in links:
            self._changed[link].remove(quality)

    def is_cut(self, link: Link) -> bool:
        """Whether nothing passes."""
        return self._cuts[link] > 0

    def cut(self, links: Iterable[Link]) -> None:
        """Cut links; cuts of one link add up."""
        for link in links:
            self._cuts[link] += 1
            if self._cuts[link] == 1:
                self.loop.call_later(SILENCE_SECONDS, self._give_up, link, tuple(self._channels))

    def mend(self, links: Iterable[Link]) -> None:
        """Take back one cut of each link; what was held back goes on."""
        for link in links:
            self._cuts[link] -= 1
        self._mended.set()
        self._mended = asyncio.Event()
        held_back, self._held_back = self._held_back, {}
        for pipe in held_back:
            pipe.go_on()

    def hold_back(self, pipe: _Pipe) -> None:
        """Remember a pipe until its link is mended."""
        if pipe not in self._held_back:
            self.faults["cut"] += 1
            self._held_back[pipe] = None

    def _give_up(self, link: Link, channels: tuple[int, ...]) -> None:
        """The silence has lasted: the end that hears nothing closes, and its end gets through if it can."""
        for number in channels:
            channel = self._channels.get(number)
            if channel is not None and (channel.far, channel.near) == link and self.is_cut(link):
                self.faults["silence"] += 1
                channel.abort()

    def break_off(self, links: Iterable[Link]) -> None:
        """Reset the connections of links, as a firewall that forgets does."""
        wanted = set(links)
        for channel in tuple(self._channels.values()):
            if (channel.near, channel.far) in wanted:
                self.faults["reset"] += 1
                channel.abort()

    async def passable(self, link: Link) -> None:
        """Wait while a link is cut."""
        while self.is_cut(link):
            await self._mended.wait()

    # --- channels -------------------------------------------------------------------------------

    def connect(self, dialler: SimulatedTransport, listener: SimulatedTransport) -> tuple[_Channel, _Channel]:
        """Both ends of a new connection."""
        there = _Pipe(self, (dialler.index, listener.index))
        back = _Pipe(self, (listener.index, dialler.index))
        ours = self._add(_Channel(self, listener.certificate, listener.address, back, there))
        theirs = self._add(_Channel(self, dialler.certificate, dialler.address, there, back))
        ours.other, theirs.other = theirs, ours
        return ours, theirs

    def _add(self, channel: _Channel) -> _Channel:
        self._count += 1
        channel.number = self._count
        self._channels[self._count] = channel
        return channel

    def remove(self, channel: _Channel) -> None:
        """Forget a closed end."""
        self._channels.pop(channel.number, None)

    def lose(self, index: int, *, is_power_cut: bool) -> None:
        """A process has died. Without power nobody is told: the others wait for it until they give up."""
        for channel in tuple(self._channels.values()):
            if channel.near != index:
                continue
            other = channel.other
            channel.pipe.stop()
            channel.is_open = False
            self.remove(channel)
            if other is not None and other.is_open:
                seconds = SILENCE_SECONDS if is_power_cut else self.delay((index, channel.far))
                self.loop.call_later(seconds, other.abort)

    def delay(self, link: Link) -> float:
        """Seconds that a frame takes now, losses included."""
        quality, random = self.quality(link), self.random
        seconds = random.uniform(quality.delay_ms_min, quality.delay_ms_max) / 1000
        while quality.loss and random.randrange(1000) < quality.loss:
            self.faults["loss"] += 1
            seconds += RESEND_SECONDS
        return seconds


class _Pipe:
    """One direction of a connection: frames arrive in order, each when it is due."""

    def __init__(self, wire: Wire, link: Link) -> None:
        self.link = link
        self._wire = wire
        self._leaving = Assembler()
        self._under_way: deque[tuple[float, bytes | None]] = deque()  # None: the end
        self._bytes = 0
        self._busy_until = 0.0  # the link is sending what was given to it before
        self._last_due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._arrived: deque[bytes] = deque()
        self._is_stopped = False
        self._is_ended = False
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()

    async def put(self, frame: bytes) -> None:
        """Send a frame; waits while too much is under way."""
        while self._bytes > UNDER_WAY_BYTES_MAX and not self._is_stopped:
            self._wire.faults["clogged"] += 1
            self._writable.clear()
            await self._writable.wait()
        if self._is_stopped:
            raise ChannelClosed("peer.lost")
        self._bytes += len(frame)
        self._send(frame)

    def _send(self, frame: bytes | None) -> None:
        wire = self._wire
        if frame is not None:
            wire.frames += 1
            wire.heard(*self.link, frame, self._completed(frame))
        quality = wire.quality(self.link)
        seconds = 0 if frame is None else len(frame) / quality.bytes_per_second
        self._busy_until = max(wire.loop.time(), self._busy_until) + seconds
        self._last_due = max(self._last_due, self._busy_until + wire.delay(self.link))
        self._under_way.append((self._last_due, frame))
        self.go_on()

    def _completed(self, frame: bytes) -> bytes | None:
        try:
            return self._leaving.feed(frame)
        except LedgerError:
            return None  # the receiver refuses it

    def go_on(self) -> None:
        """Wait for the first frame under way, if the link carries anything."""
        if self._timer is not None or not self._under_way:
            return
        if self._wire.is_cut(self.link):
            self._wire.hold_back(self)
        else:
            self._timer = self._wire.loop.call_at(self._under_way[0][0], self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        if self._wire.is_cut(self.link):
            self.go_on()
            return
        _, frame = self._under_way.popleft()
        if frame is None:
            self._is_ended = True
        else:
            self._bytes -= len(frame)
            self._arrived.append(frame)
        self._readable.set()
        self._writable.set()
        self.go_on()

    async def get(self) -> bytes:
        """The next frame; what was under way before the end is still read."""
        while not self._arrived:
            if self._is_ended:
                raise ChannelClosed("peer.lost")
            self._readable.clear()
            await self._readable.wait()
        return self._arrived.popleft()

    def finish(self) -> None:
        """The sender closes: the end follows what is under way."""
        if not self._is_stopped:
            self._is_stopped = True
            self._send(None)
            self._writable.set()

    def stop(self) -> None:
        """Nothing more leaves, not even an end; what has left arrives."""
        self._is_stopped = True
        self._writable.set()

    def shut(self) -> None:
        """The receiver closes: nothing is read any more."""
        self._is_ended = True
        self._arrived.clear()
        self._readable.set()


class _Channel:
    """One end of a connection (`node.p2p.transport.Channel`)."""

    def __init__(self, wire: Wire, certificate: bytes, remote: str, incoming: _Pipe, outgoing: _Pipe) -> None:
        self.certificate = certificate
        self.remote = remote
        self.number = 0
        self.other: _Channel | None = None
        self.is_open = True
        self.pipe = outgoing
        self.near, self.far = outgoing.link
        self._wire = wire
        self._incoming = incoming

    async def send(self, frame: bytes) -> None:
        """Send one frame; waits while the link is clogged."""
        await self.pipe.put(frame)

    async def receive(self) -> bytes:
        """The next frame."""
        return await self._incoming.get()

    async def close(self, code: str) -> None:
        """Close this end."""
        self.abort()

    def abort(self) -> None:
        """Close this end; the other one learns of it when the end arrives there."""
        if self.is_open:
            self.is_open = False
            self._wire.remove(self)
            self._incoming.shut()
            self.pipe.finish()


class SimulatedTransport:
    """One process's end of the wire (`node.p2p.transport.Transport`)."""

    def __init__(self, wire: Wire, index: int, certificate: bytes, address: str) -> None:
        self.index = index
        self.certificate = certificate
        self.address = address
        self._wire = wire
        self._life = LIFE.get()
        self._allowed: dict[bytes, bytes] = {}  # certificate by public key
        self._on_channel: Callable[[Channel], None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._came: deque[_Channel] = deque()
        self._coming = asyncio.Event()

    async def listen(self) -> None:
        """Take the address."""
        if self.address in self._wire.listening:
            raise OSError(f"{self.address} is taken")
        self._wire.listening[self.address] = self

    def serve(self, tasks: asyncio.TaskGroup, on_channel: Callable[[Channel], None]) -> None:
        """Take channels, in `tasks`."""
        self._on_channel = on_channel
        tasks.create_task(self._accept())

    async def _accept(self) -> None:
        """Hand channels over in the context of the process that listens."""
        while True:
            while self._came and self._on_channel is not None:
                self._on_channel(self._came.popleft())
            self._coming.clear()
            await self._coming.wait()

    async def stop(self) -> None:
        """Leave the address."""
        self.vanish()

    def vanish(self) -> None:
        """Nobody listens here any more."""
        if self._wire.listening.get(self.address) is self:
            del self._wire.listening[self.address]

    async def dial(self, address: str, peer: PublicKey | None) -> Channel:
        """Open a channel to whoever listens there: two round trips, each link passable."""
        other = self._wire.listening.get(address)
        if other is None:
            await asyncio.sleep(0.001)
            raise DialFailed("peer.unreachable", f"nobody listens at {address}")
        there, back = (self.index, other.index), (other.index, self.index)
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                for link in (there, back, there, back):
                    await self._wire.passable(link)
                    await asyncio.sleep(self._wire.delay(link))
        except TimeoutError:
            raise DialFailed("peer.timeout", f"no answer in {DIAL_SECONDS} s") from None
        if self._wire.listening.get(address) is not other:
            raise DialFailed("peer.unreachable", f"nobody listens at {address}")
        allowed = self._allowed.values() if peer is None else [self._allowed.get(peer)]
        if other.certificate not in allowed:
            raise DialFailed("peer.wrong_certificate", "not the node expected there")
        if not other.lets_in(self.certificate):
            raise DialFailed("peer.refused", "peers refuse this node: not a member (yet)")
        ours, theirs = self._wire.connect(self, other)
        other.welcome(theirs)
        return ours

    def allow(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Let in these nodes from now on."""
        self._allowed = {node.public_key: node.certificate for node in nodes}
        return ()

    def lets_in(self, certificate: bytes) -> bool:
        """Whether a certificate is a member's."""
        return self._on_channel is not None and certificate in self._allowed.values()

    def welcome(self, channel: _Channel) -> None:
        """Another node has opened a channel."""
        self._came.append(channel)
        self._coming.set()
