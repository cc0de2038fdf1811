"""Making the planned faults happen, and keeping the sites running as a supervisor and an operator do.

What had an effect is counted by its name: a fault that hit nothing shows nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, assert_never

from network.simulator.whole.ageing import draw_damage
from network.simulator.whole.disk import LOG, STATE
from network.simulator.whole.incidents import (
    BadDisk,
    Crash,
    Cut,
    DataLoss,
    Flap,
    Incident,
    SlowDisk,
    Worse,
    WrongClock,
    WrongData,
)
from network.simulator.whole.judge import Judge
from network.simulator.whole.loop import VirtualLoop
from network.simulator.whole.site import Death, SimulatedSite
from network.simulator.whole.wire import Wire
from node.store.failure import StoreCorrupted
from node.store.journal import Journal

RESTART_MS: Final = (100, 2_000)  # how long a supervisor takes
PATIENCE_MS: Final = 1_500  # a doomed process that passes its fail-point too seldom is killed where it stands
USUAL_SYNC_MS: Final = 2
LIED_BLOCKS_MAX: Final = 4
LOOKS_MS: Final = 20  # how often somebody looks whether it is time


class Havoc:
    """Does to wire and sites what the incidents say."""

    def __init__(
        self, loop: VirtualLoop, random: Random, wire: Wire, sites: Sequence[SimulatedSite], judge: Judge,
        faults: Counter[str], on_incident: Callable[[Incident], None],
    ) -> None:  # fmt: skip
        self._loop = loop
        self._random = random
        self._wire = wire
        self._sites = sites
        self._judge = judge
        self._faults = faults
        self._on_incident = on_incident
        self._down_until_ms: Counter[int] = Counter()
        self._expecting_damage: dict[int, None] = {}

    # --- the supervisor ------------------------------------------------------------------

    def bring_back(self, site: SimulatedSite) -> None:
        """A process has ended: start it again, not before the incident allows it."""
        after_ms = self._random.randint(*RESTART_MS)
        at_ms = max(self._loop.now_ms + after_ms, self._down_until_ms[site.index])
        self._loop.call_at(at_ms / 1000, self._start, site)

    def _start(self, site: SimulatedSite) -> None:
        if site.is_up:
            return
        if self._loop.now_ms < self._down_until_ms[site.index]:
            self.bring_back(site)
            return
        read_before = self._damaged_reads(site)
        if not site.start():
            return
        if site.index in self._expecting_damage:
            del self._expecting_damage[site.index]
            self._judge.violated("damage", f"{site.member.name} started from a damaged log")
        if self._damaged_reads(site) > read_before:
            self._judge.violated("damage", f"{site.member.name} started with what it had read damaged")

    def refused(self, site: SimulatedSite, problem: Exception) -> None:
        """A node does not start from what is there: the operator repairs what was damaged on purpose."""
        if site.trouble is not None:
            self.bring_back(site)  # its disk still fails
        elif isinstance(problem, StoreCorrupted) and site.index in self._expecting_damage:
            del self._expecting_damage[site.index]
            self._faults[DataLoss.DAMAGED.value] += 1
            Journal.create(site.contents.files, LOG, (), site.random.randbytes(16))
            self.bring_back(site)
        elif isinstance(problem, StoreCorrupted) and self._damaged_reads(site):
            self._repair(site, problem)
        else:
            self._judge.violated("start", f"{site.member.name}: {type(problem).__name__}: {problem}")

    def _damaged_reads(self, site: SimulatedSite) -> int:
        """How often the site's processes have read what is damaged in its databases."""
        damage = site.contents.damage
        return 0 if damage is None else damage.reads

    def _repair(self, site: SimulatedSite, problem: StoreCorrupted) -> None:
        """What `ledger-node repair` does about a database; of one damaged block it saves none here."""
        site.die(Death.KILLED, "damage")
        if problem.path == STATE:
            self._faults[DataLoss.STATE.value] += 1
            site.renew_state()
        else:
            self._faults[DataLoss.BLOCKS.value] += 1
            site.renew()
            self._judge.restored(site)
        self.bring_back(site)

    def inspect(self) -> None:
        """The operators look at every disk: who has read damage, and lives, did not notice it."""
        for site in self._sites:
            for table in (site.contents.blocks, site.contents.state):
                damage, table.damage = table.damage, None
                if damage is not None and damage.reader is not None and not damage.reader.is_over:
                    self._judge.violated(
                        "damage", f"{site.member.name} went on with {table.kind} {damage.key[:9].hex()}"
                    )

    # --- the incidents ---------------------------------------------------------------------

    async def run(self, incident: Incident) -> None:
        """Let this happen in its time."""
        await self._until(incident.at_ms)
        self._on_incident(incident)
        match incident.what:
            case Cut(links, shape):
                self._faults[shape] += 1
                self._wire.cut(links)
                await self._until(incident.until_ms)
                self._wire.mend(links)
            case Worse(links, quality):
                self._faults["slow or lossy"] += 1
                self._wire.change(links, quality)
                await self._until(incident.until_ms)
                self._wire.restore(links, quality)
            case Flap():
                await self._flap(incident.what, incident.until_ms)
            case Crash():
                await self._crash(incident.what, incident.until_ms)
            case SlowDisk(site, sync_ms_max):
                self._faults["slow disk"] += 1
                self._sites[site].slow_down(sync_ms_max)
                await self._until(incident.until_ms)
                self._sites[site].slow_down(USUAL_SYNC_MS)
            case BadDisk(site, trouble, place):
                self._sites[site].afflict(trouble, place)
                await self._until(incident.until_ms)
                self._sites[site].afflict(None)
            case WrongClock():
                await self._misset(incident.what, incident.until_ms)
            case WrongData():
                await self._mix_up(incident.what, incident.until_ms)
            case _:
                assert_never(incident.what)

    async def _until(self, at_ms: int) -> None:
        await asyncio.sleep(max(0, at_ms - self._loop.now_ms) / 1000)

    async def _flap(self, flap: Flap, until_ms: int) -> None:
        while self._loop.now_ms < until_ms:
            self._wire.break_off(flap.links)
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * flap.every_ms / 1000)

    async def _crash(self, crash: Crash, until_ms: int) -> None:
        for index in crash.sites:
            self._down_until_ms[index] = max(self._down_until_ms[index], until_ms)
            if crash.point is not None and self._sites[index].is_up:
                self._sites[index].arm(crash.point, crash.passes, crash.death)
        if crash.point is not None:
            await asyncio.sleep(min(PATIENCE_MS, until_ms - self._loop.now_ms) / 1000)
        for index in crash.sites:
            self._sites[index].die(crash.death, crash.death.value)

    async def _misset(self, wrong: WrongClock, until_ms: int) -> None:
        self._faults["clock"] += 1
        clock = self._sites[wrong.site].clock
        clock.ahead_ms, clock.drift_ppm = wrong.ahead_ms, wrong.drift_ppm
        await self._until(until_ms)
        clock.ahead_ms, clock.drift_ppm = 0, 0

    async def _mix_up(self, wrong: WrongData, until_ms: int) -> None:
        site, backup = self._sites[wrong.site], self._sites[wrong.site].contents.copied()
        if wrong.loss is DataLoss.UNSYNCED:
            await self._lie(site, until_ms)
            return
        self._down_until_ms[site.index] = max(self._down_until_ms[site.index], until_ms)
        await self._until((self._loop.now_ms + until_ms) // 2)
        site.die(Death.KILLED, "taken down")
        match wrong.loss:
            case DataLoss.OLDER:
                site.restore(backup)
            case DataLoss.FOREIGN:
                site.restore(self._sites[wrong.other].contents)
            case DataLoss.GONE:
                site.renew()
            case DataLoss.DAMAGED:
                self._damage(site)
                return
            case DataLoss.BLOCKS | DataLoss.STATE:
                contents = site.contents
                table = contents.blocks if wrong.loss is DataLoss.BLOCKS else contents.state
                table.damage = draw_damage(self._random, table)
                return
        self._judge.restored(site)
        self._faults[wrong.loss.value] += 1

    async def _lie(self, site: SimulatedSite, until_ms: int) -> None:
        """The power fails while the disk lies, once it has lied about some blocks: else nothing is lost."""
        site.contents.stop_syncing()
        self._judge.excuse(site)
        blocks = self._random.randint(1, LIED_BLOCKS_MAX)
        for at_ms in range(self._loop.now_ms, until_ms, LOOKS_MS):
            if site.contents.unsynced_blocks >= blocks:
                break
            await self._until(at_ms + LOOKS_MS)
        self._down_until_ms[site.index] = max(self._down_until_ms[site.index], until_ms)
        site.die(Death.POWER_CUT, Death.POWER_CUT.value)
        site.contents.unsynced = None

    def _damage(self, site: SimulatedSite) -> None:
        """One bit, below what a later record knows to be durable: elsewhere it looks like a torn tail."""
        if site.contents.log_bytes_known:
            site.contents.files.damage(LOG, self._random.randrange(site.contents.log_bytes_known))
            self._expecting_damage[site.index] = None
