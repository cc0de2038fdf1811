"""Relays between the nodes for a machine that gives no namespaces: one listener for each pair of nodes.

What is cut is not passed on and the connections stay, as with lost packets; new connections are taken and
stay silent. Loss is what becomes of it above the kernel: a piece that is lost comes a retransmission later,
and one in twenty of them breaks its connection. Each link runs both ways at once, so it is known by who
dials; what is cut is the direction in which bytes go.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from network.chaos.wire import PERMILLE
from network.testnet.plan import HOST, Plan, free_base_port, plan_network

Value = TypeVar("Value")

RESENT_SECONDS: Final = 0.2  # the least that a kernel waits before it sends a lost packet again
LOST_A_BREAK: Final = 20
CHUNK_BYTES: Final = 16 << 10
WAIT_SECONDS: Final = 20.0
FIRST_PORT: Final = 21_000  # below those that outgoing connections take


class ProxyWire:
    """All relays, on an event loop in a thread of their own."""

    kind = "relays"

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._targets: dict[tuple[str, str], tuple[int, str]] = {}  # (dialler, dialled): own port, target
        self._servers: list[asyncio.Server] = []
        self._relays: dict[asyncio.Future[None], asyncio.StreamWriter] = {}
        self._open: dict[tuple[str, str], asyncio.Event] = {}  # (sender, receiver): set while bytes pass
        self._lossy: dict[str, int] = {}
        self._slow: dict[str, int] = {}
        self._affected = 0

    def plan(self, folder: Path, validators: int, observers: int, stakes: Mapping[str, int]) -> Plan:
        """Nodes on loopback that know of each other only the relays' addresses."""
        count = validators + observers
        base = free_base_port(count + _rooms(count), FIRST_PORT)
        plan = plan_network(folder, validators=validators, observers=observers, base_port=base)
        nodes = tuple(replace(node, stake=stakes.get(node.name, node.stake)) for node in plan.nodes)
        port = nodes[-1].base_port + 10
        doors = {}
        for dialler in nodes:
            for dialled in nodes:
                if dialler is not dialled:
                    doors[dialler.name, dialled.name] = f"{HOST}:{port}"
                    self._open[dialler.name, dialled.name] = asyncio.Event()
                    self._targets[dialler.name, dialled.name] = (port, dialled.p2p)
                    port += 1
        return replace(plan, nodes=nodes, doors=doors)

    def open(self) -> None:
        """Listen for every pair."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()
        self.heal()
        for (dialler, dialled), (port, target) in self._targets.items():
            self._wait(self._serve(dialler, dialled, port, target))

    def launcher(self, node: str) -> tuple[str, ...]:
        """Nodes start as they are."""
        return ()

    def cut(self, sender: str, receiver: str) -> None:
        """No byte of the sender is passed on to the receiver."""
        self._loop.call_soon_threadsafe(self._open[sender, receiver].clear)

    def lose(self, nodes: Iterable[str], permille: int) -> None:
        """So many of the pieces that these nodes send come late; some break their connection instead."""
        changes = dict.fromkeys(nodes, permille)
        self._loop.call_soon_threadsafe(self._lossy.update, changes)

    def slow(self, node: str, kilobits_per_second: int) -> None:
        """What a node sends is passed on piece by piece, at this rate on each of its links."""
        self._loop.call_soon_threadsafe(self._slow.update, {node: kilobits_per_second})

    def affected(self) -> int:
        """Pieces that waited, were held back or broke a connection."""
        return self._affected

    def heal(self) -> None:
        """Pass everything on again, what was held back first."""
        for rules in (self._lossy, self._slow):
            self._loop.call_soon_threadsafe(rules.clear)
        for each in self._open.values():
            self._loop.call_soon_threadsafe(each.set)

    def close(self) -> None:
        """End every relay."""
        self._wait(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()

    # --- on the loop --------------------------------------------------------------

    async def _serve(self, dialler: str, dialled: str, port: int, target: str) -> None:
        def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._relay(dialler, dialled, target, reader, writer))
            self._relays[task] = writer
            task.add_done_callback(self._relays.pop)

        self._servers.append(await asyncio.start_server(taken, HOST, port))

    async def _relay(
        self,
        dialler: str,
        dialled: str,
        target: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Pass bytes on both ways until either end closes or chance breaks the connection."""
        far: asyncio.StreamWriter | None = None
        try:
            await self._open[dialler, dialled].wait()  # who dials across a cut waits, as without an answer
            host, _, port = target.rpartition(":")
            with suppress(OSError):  # a node that is down, or a line that broke: the relay ends
                answers, far = await asyncio.open_connection(host, int(port))
                ways = (
                    asyncio.create_task(self._pass_on(dialler, dialled, reader, far)),
                    asyncio.create_task(self._pass_on(dialled, dialler, answers, writer)),
                )
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for each in (writer, far):
                if each is not None:
                    each.transport.abort()

    async def _pass_on(
        self, sender: str, receiver: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            gate, rate = self._open[sender, receiver], self._slow.get(sender)
            is_lost = self._random.randrange(PERMILLE) < self._lossy.get(sender, 0)
            self._affected += not gate.is_set() or is_lost or rate is not None
            await gate.wait()
            if is_lost:
                if self._random.randrange(LOST_A_BREAK) == 0:
                    return
                await asyncio.sleep(RESENT_SECONDS)
            if rate is not None:
                await asyncio.sleep(len(data) * 8 / (rate * 1000))
            writer.write(data)
            await writer.drain()

    async def _stop(self) -> None:
        await asyncio.sleep(0)  # a line that is being taken needs its server open for one more turn
        for server in self._servers:
            server.close()
        writers: list[asyncio.StreamWriter] = []
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            writers += self._relays.values()
            for task in list(self._relays):
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)  # a line half taken becomes a relay by that
        for writer in writers:  # also of a relay that was ended before it had begun
            writer.transport.abort()
        await asyncio.sleep(0)  # lines are closed in the turn after

    def _wait(self, work: Coroutine[Any, Any, Value]) -> Value:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_SECONDS)


def _rooms(nodes: int) -> int:
    """Places of ten ports that the relays of so many nodes need."""
    return nodes * nodes // 10 + 1
