"""One simulated site: a machine with a clock and a disk, and the node that runs there when it runs.

A crash ends all that the process has started, at the `await` where it stands; what was durable stays. A
start goes through `node.assemble`, like the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from enum import Enum
from random import Random
from typing import Any, Final, NoReturn, Protocol

from ledger.block import Header
from ledger.consensus.epochs import Epochs
from ledger.consensus.events import Effect, Input
from ledger.genesis import Genesis
from ledger.mempool import Mempool
from ledger.types import TimeMs
from network.adversaries.lying_wire import Lie, LyingTransport
from network.simulator.whole.disk import (
    Contents,
    OpenDisk,
    Place,
    Trouble,
    begin_state_again,
    founded,
)
from network.simulator.whole.founding import WALL_START_MS, Member
from network.simulator.whole.loop import LIFE, Life, VirtualLoop
from network.simulator.whole.wire import SimulatedTransport, Wire
from node.assemble import Keys, Options, RunningNode, World
from node.failpoints import FailPoint, FailPoints, of_node
from node.p2p.counters import Counters
from node.store.failure import StoreFailed

STRETCH_STEPS_MAX: Final = 8  # steps of work between two rests
REST_MS_MAX: Final = 3.0  # how long others then have


class Death(Enum):
    """How a process ends that was not told to."""

    KILLED = "killed"  # its peers' connections are reset
    POWER_CUT = "power cut"  # its peers hear nothing


class SiteClock:
    """A site's clocks: the wall clock may be wrong and run fast or slow."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.ahead_ms = 0
        self.drift_ppm = 0
        self._loop = loop

    def wall_ms(self) -> TimeMs:
        """Milliseconds since 1970, as this site has it."""
        now = self._loop.now_ms
        return TimeMs(WALL_START_MS + self.ahead_ms + now + now * self.drift_ppm // 1_000_000)

    def monotonic_ms(self) -> int:
        """Milliseconds since the run began."""
        return self._loop.now_ms


class SeededPace:
    """Work is interrupted after some steps, for a while: chance decides (`node.pace.Pace`)."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._left = 0

    def begin(self) -> None:
        """A stretch of work begins."""
        self._left = self._random.randint(1, STRETCH_STEPS_MAX)

    def is_over(self) -> bool:
        """Whether the stretch has lasted long enough."""
        self._left -= 1
        return self._left <= 0

    async def rest(self) -> None:
        """Let everything else have its turn, and time pass."""
        await asyncio.sleep(self._random.uniform(0.0, REST_MS_MAX / 1000))


class Audience(Protocol):
    """Who hears what happens at a site."""

    def started(self, site: SimulatedSite, node: RunningNode) -> None:
        """A node has been joined from its disk and begins."""

    def stepped(self, site: SimulatedSite, event: Input, effects: Sequence[Effect]) -> None:
        """Its consensus took a step; nothing of it is done yet."""

    def committed(self, site: SimulatedSite, node: RunningNode, header: Header) -> None:
        """A block became final there."""

    def died(self, site: SimulatedSite, why: str) -> None:
        """Its process has ended."""

    def refused(self, site: SimulatedSite, problem: Exception) -> None:
        """It does not start from what is on its disk, or has ended itself."""

    def misused(self, site: SimulatedSite, what: str) -> None:
        """A process went on writing to a disk that had failed."""

    def lost_synced(self, site: SimulatedSite) -> None:
        """A power cut lost what the disk had said to be durable."""


class SimulatedSite:
    """A machine, and its process while there is one."""

    def __init__(
        self, loop: VirtualLoop, wire: Wire, genesis: Genesis, member: Member, index: int,
        random: Random, audience: Audience, lie: Lie | None = None,
    ) -> None:  # fmt: skip
        self.index = index
        self.member = member
        self.clock = SiteClock(loop)
        self.random = random
        self.generation = self._new_generation()
        self.contents = founded(genesis, member.validator.public, self.generation, random.randbytes(16))
        self.node: RunningNode | None = None
        self.consensus: Epochs | None = None  # of the process that runs, once it takes part
        self.disk: OpenDisk | None = None
        self.mempool = Mempool()
        self.sync_ms_max = 2
        self.trouble: Trouble | None = None
        self.place = Place.ANYWHERE
        self.points = FailPoints()
        self._loop = loop
        self._wire = wire
        self._genesis = genesis
        self._audience = audience
        self.lie = lie
        self._life = Life()
        self._life.is_over = True
        self._transport: SimulatedTransport | None = None
        self._context = copy_context()
        self._way_to_die = Death.KILLED

    @property
    def is_up(self) -> bool:
        """Whether a process runs here."""
        return not self._life.is_over

    @property
    def height(self) -> int:
        """The last final height; of a site that is down, on its disk."""
        return 0 if self.node is None else self.node.site.head()[0]

    def within(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call something as if from within the process."""
        return self._context.copy().run(call, *arguments)

    # --- life -------------------------------------------------------------------------------

    def start(self) -> bool:
        """Start a process from what is on the disk, unless one runs; whether it does now."""
        if self.is_up:
            return True
        self._life, self._context, self.points = Life(), Context(), FailPoints()
        self._context.run(LIFE.set, self._life)
        self._context.run(of_node.set, self.points)
        self.consensus = None
        try:
            self.node = self._context.run(self._join)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the audience judges it
            if not self._life.is_over:  # it ends here; of a failed write it has ended already
                self._life.end()
                self.contents.files.fault = None
                self._audience.refused(self, problem)
            return False
        self._audience.started(self, self.node)
        self._context.run(self._loop.create_task, self._run(self.node))
        return True

    def _join(self) -> RunningNode:
        member = self.member
        self.mempool = Mempool()
        self._transport = SimulatedTransport(
            self._wire, self.index, member.identity.certificate, member.address
        )
        self.disk = OpenDisk(
            self.contents, self.random, self._on_failed_disk, lambda what: self._audience.misused(self, what)
        )
        self.disk.sync_ms_max = self.sync_ms_max
        self.disk.trouble, self.disk.place = self.trouble, self.place
        wire = self._transport if self.lie is None else LyingTransport(self._transport, self.lie)
        return RunningNode(
            self._genesis,
            Keys(member.identity, member.validator, self.generation, member.gateway),
            self.disk.opened(self._genesis),
            World(self.clock, SeededPace(self.random), wire, Counters(), self.random),
            Options(member.name, mempool=self.mempool, on_block=self._on_block, on_step=self._on_step),
        )

    async def _run(self, node: RunningNode) -> None:
        try:
            await node.start()
            await node.run()
        except asyncio.CancelledError:
            raise
        except Exception as problem:  # noqa: BLE001 - whatever ends a process is for the audience to judge
            self._audience.refused(self, problem)
            self.die(Death.KILLED, str(problem))

    def _on_block(self, header: Header) -> None:
        assert self.node is not None
        self._audience.committed(self, self.node, header)

    def _on_step(self, consensus: Epochs, event: Input, effects: Sequence[Effect]) -> None:
        self.consensus = consensus
        self._audience.stepped(self, event, effects)

    def die(self, death: Death, why: str) -> None:
        """The process ends here and now."""
        if not self.is_up:
            return
        assert self.disk is not None
        assert self._transport is not None
        self._transport.vanish()
        self._wire.lose(self.index, is_power_cut=death is Death.POWER_CUT)
        self.disk.die(is_power_cut=death is Death.POWER_CUT)
        self._life.end()
        if self.disk.has_lost_synced:
            self._audience.lost_synced(self)
        self._audience.died(self, why)

    def arm(self, point: FailPoint, passes: int, death: Death) -> None:
        """Let the process die at the n-th pass of a fail-point."""
        self._way_to_die = death
        self.points.arm(f"{point.value}:{passes}", is_test_network=True, die=lambda: self._die_at(point))

    def _die_at(self, point: FailPoint) -> NoReturn:
        self.die(self._way_to_die, f"at {point.value}")
        raise asyncio.CancelledError  # nothing after this point happens

    def _on_failed_disk(self, failure: StoreFailed) -> None:
        self.die(Death.KILLED, "disk" if self.trouble is None else self.trouble.value)

    # --- the disk in other hands ----------------------------------------------------------------

    def restore(self, contents: Contents) -> None:
        """Put other data into the home of a node that is down: a copy, which no host can take for its own."""
        assert not self.is_up
        self.contents = contents.copied()
        self.generation = self._new_generation()

    def renew(self) -> None:
        """Make the home anew: nothing is known but genesis, and the key, which may have promised anything."""
        assert not self.is_up
        self.contents = founded(self._genesis, None, self.generation, self.random.randbytes(16))

    def renew_state(self) -> None:
        """Set the state aside: the next start runs all blocks again."""
        assert not self.is_up
        begin_state_again(self._genesis, self.contents)

    def _new_generation(self) -> bytes:
        return self.random.randbytes(16)

    def slow_down(self, sync_ms_max: int) -> None:
        """From now on what waits for the disk takes up to so long."""
        self.sync_ms_max = sync_ms_max
        if self.disk is not None:
            self.disk.sync_ms_max = sync_ms_max

    def afflict(self, trouble: Trouble | None, place: Place = Place.ANYWHERE) -> None:
        """From now on writes to a place fail so, or (None) succeed."""
        self.trouble, self.place = trouble, place
        if self.disk is not None:
            self.disk.trouble, self.disk.place = trouble, place
