"""One connection with one peer: the handshake, then one task that writes and one that reads, till the end.

Source: docs/spec/p2p.md, rules H1-H6 and W1-W5.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Final

from ledger.codec import encode
from ledger.errors import LedgerError
from ledger.members import Node
from ledger.types import PublicKey
from node.p2p.counters import Counters
from node.p2p.frames import Assembler, Lane, split
from node.p2p.handshake import NONCE_BYTES, FindNode, Handshake, LocalNode
from node.p2p.lanes import Lanes
from node.p2p.messages import Goodbye, Message, decode_message, kind_of, known_code
from node.p2p.transport import Channel, ChannelClosed

HANDSHAKE_SECONDS: Final = 5.0
FAREWELL_SECONDS: Final = 0.5  # to send the reason before the connection is cut
FRAMES_A_TURN: Final = 16  # a fast peer's megabyte, then the rest of the process has its turn


async def shake_hands(
    channel: Channel,
    local: LocalNode,
    is_dialler: bool,
    find_node: FindNode,
    expected: PublicKey | None,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> Node:
    """The node at the other end of a new channel, proved.

    Raises:
        LedgerError: the handshake failed; the other side was told the code.
        ChannelClosed: it hung up.
    """
    nonce = random_bytes(NONCE_BYTES)
    handshake = Handshake(local, nonce, is_dialler, channel.certificate, find_node, expected)
    assembler = Assembler()
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            await _send(channel, handshake.hello())
            while handshake.peer is None:
                data = assembler.feed(await channel.receive())
                answer = None if data is None else handshake.receive(data)
                if answer is not None:
                    await _send(channel, answer)
    except TimeoutError:
        raise ChannelClosed("handshake.timeout") from None
    except LedgerError as refusal:
        await say_goodbye(channel, refusal.code)
        raise
    return handshake.peer


async def say_goodbye(channel: Channel, code: str) -> None:
    """Tell the other end why, as well as can be in a bounded time, and close."""
    with contextlib.suppress(TimeoutError, ChannelClosed):
        async with asyncio.timeout(FAREWELL_SECONDS):
            await _send(channel, encode(Goodbye(code)))
    await channel.close(code)


async def _send(channel: Channel, data: bytes) -> None:
    for frame in split(Lane.CONSENSUS, data):
        await channel.send(frame)


class _Ended(Exception):
    """Ends both tasks of a connection."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Connection:
    """A peer that has shown who it is. `on_message` must not block.

    `is_malformed` tells, after the end, that the peer sent what no correct node sends; `was_told` that it was
    the peer that ended it, with a reason.
    """

    def __init__(
        self,
        channel: Channel,
        node: Node,
        is_dialled: bool,
        since: float,
        counters: Counters,
        on_message: Callable[[PublicKey, Message], None],
    ) -> None:
        self.node = node
        self.peer_id = PublicKey(node.public_key)
        self.is_dialled = is_dialled
        self.since = since
        self.remote = channel.remote
        self.lanes = Lanes()
        self.is_malformed = False
        self.was_told = False
        self._channel = channel
        self._counters = counters
        self._on_message = on_message
        self._ready = asyncio.Event()
        self._farewell: str | None = None
        self._cut: asyncio.TimerHandle | None = None

    def push(self, lane: Lane, data: bytes) -> bool:
        """Queue an encoded message. False says that its lane is full."""
        before = self.lanes.dropped[lane]
        taken = self._farewell is None and self.lanes.push(lane, data)
        self._counters.dropped[lane.name.lower()] += self.lanes.dropped[lane] - before
        self._ready.set()
        return taken

    def end(self, code: str) -> None:
        """Say goodbye and close: at once for a peer that reads, else after FAREWELL_SECONDS."""
        if self._farewell is None:
            self._farewell = code
            self._ready.set()
            self._cut = asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._channel.abort)

    async def run(self) -> str:
        """Carry messages until the connection ends; the code says why it did."""
        code = "peer.lost"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write())
                tasks.create_task(self._read())
        except* _Ended as ended:
            code = _first(ended).code
        except* ChannelClosed as closed:
            code = self._farewell or _first(closed).code
            self.is_malformed = code.startswith("frame.")
        finally:
            if self._cut is not None:
                self._cut.cancel()
            self._channel.abort()
        return code

    async def _write(self) -> None:
        while True:
            for _ in range(FRAMES_A_TURN):
                frame = None if self._farewell else self.lanes.next_frame()
                if frame is None:
                    break
                await self._channel.send(frame)
            else:
                await asyncio.sleep(0)
                continue
            if self._farewell:
                await say_goodbye(self._channel, self._farewell)
                raise _Ended(self._farewell)
            self._ready.clear()
            await self._ready.wait()

    async def _read(self) -> None:
        assembler = Assembler()
        frames = 0
        while True:
            frame = await self._channel.receive()
            frames += 1
            if frames % FRAMES_A_TURN == 0:
                await asyncio.sleep(0)
            try:
                data = assembler.feed(frame)
                if data is None:
                    continue
                message = decode_message(data)
            except LedgerError as refusal:
                self._counters.malformed[refusal.code] += 1
                self.is_malformed = True
                await say_goodbye(self._channel, refusal.code)
                raise _Ended(refusal.code) from None
            self._counters.messages_in[kind_of(message)] += 1
            if isinstance(message, Goodbye):
                self.was_told = True
                raise _Ended(known_code(message.code))
            self._on_message(self.peer_id, message)


def _first(group: BaseExceptionGroup[_Ended] | BaseExceptionGroup[ChannelClosed]) -> _Ended | ChannelClosed:
    found = group.exceptions[0]
    assert isinstance(found, _Ended | ChannelClosed)
    return found
