"""Making the planned faults happen, and taking them back when their time is over.

What had an effect is counted by its name: a fault that hit nothing shows nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from network.simulator.disk import Disk
from network.simulator.faults import (
    BadDisk,
    ClockJump,
    Clog,
    Crash,
    Cut,
    DiskTrouble,
    Flap,
    Incident,
    Leak,
    Origin,
    Sift,
    SlowDisk,
    Storm,
    Swap,
)
from network.simulator.node import CrashPoint, SimulatedNode
from network.simulator.scheduler import Scheduler
from network.simulator.wire import Weather, Wire

RESTART_MS: Final = 100
SUPERVISOR_MS: Final = 1_000  # how often a process that stopped is started again
REFUSALS: Final = 1_000_000  # more than a run writes
OTHER_GENERATION: Final = b"another host...."


class Havoc:
    """Does to wire and nodes what the incidents say. `weather` is what a storm clears up to."""

    def __init__(
        self,
        scheduler: Scheduler,
        wire: Wire,
        nodes: Sequence[SimulatedNode],
        weather: Weather,
        faults: Counter[str],
    ) -> None:
        self._scheduler = scheduler
        self._wire = wire
        self._nodes = nodes
        self._weather = weather
        self._faults = faults

    def schedule(self, incident: Incident) -> None:
        """Let this happen in its time."""
        self._scheduler.at(incident.at_ms, lambda: self._inflict(incident))

    def _inflict(self, incident: Incident) -> None:
        what, until_ms = incident.what, incident.until_ms
        self._scheduler.note(repr(incident).encode())
        match what:
            case Storm() | Cut() | Flap() | Clog() | Leak() | Sift():
                self._trouble_wire(what, until_ms)
            case Crash(victims):
                for index in victims:
                    self._doom(self._nodes[index], what, until_ms)
            case SlowDisk(index, sync_ms_max):
                self._slow_down(self._nodes[index], sync_ms_max, until_ms)
            case BadDisk(index, trouble):
                self._spoil_disk(self._nodes[index], trouble, until_ms)
            case Swap(index):
                self._swap(self._nodes[index], what, until_ms)
            case ClockJump(index, ahead_ms):
                self._faults["clock"] += 1
                node = self._nodes[index]
                node.wall_ahead_ms = ahead_ms
                self._scheduler.at(until_ms, lambda: setattr(node, "wall_ahead_ms", 0))

    # --- the wire ---------------------------------------------------------------------------

    def _trouble_wire(self, what: Storm | Cut | Flap | Clog | Leak | Sift, until_ms: int) -> None:
        wire, at = self._wire, self._scheduler.at
        match what:
            case Storm(weather):
                wire.weather = weather
                at(until_ms, self._clear_up)
            case Cut(links):
                wire.cut(links)
                at(until_ms, lambda: self._mend(links))
            case Flap():
                self._flap(what, until_ms)
            case Clog(links):
                wire.clog(links)
                at(until_ms, lambda: wire.unclog(links))
            case Leak(links, loss):
                wire.leak(links, loss)
                at(until_ms, lambda: wire.leak(links, 0))
            case Sift(name, sieve):
                wire.sift(name, sieve)
                at(until_ms, lambda: wire.unsift(sieve))

    def _clear_up(self) -> None:
        self._wire.weather = self._weather

    def _mend(self, links: tuple[tuple[int, int], ...]) -> None:
        self._wire.mend(links)
        for sender, receiver in links:
            if not self._wire.is_cut(sender, receiver):
                self._nodes[sender].connected(self._nodes[receiver].index)

    def _flap(self, what: Flap, until_ms: int) -> None:
        """Down for a period, up for a period, until the time is over."""
        now_ms = self._scheduler.now_ms
        if now_ms >= until_ms:
            return
        self._wire.cut(what.links)
        up_ms = min(until_ms, now_ms + what.period_ms)
        self._scheduler.at(up_ms, lambda: self._mend(what.links))
        self._scheduler.at(up_ms + what.period_ms, lambda: self._flap(what, until_ms))

    # --- processes -----------------------------------------------------------------------------

    def _doom(self, node: SimulatedNode, crash: Crash, until_ms: int) -> None:
        """Kill a node at its next such write, or where it stands if none comes; then bring it back."""
        if not node.is_up:
            return
        patience_ms = 0 if crash.point is CrashPoint.NOW else crash.patience_ms
        if crash.point is CrashPoint.NOW:
            node.crash()
        else:
            node.doom = crash.point
            life = node.life
            self._scheduler.later(patience_ms, lambda: self._lose_patience(node, life))
        back_ms = max(until_ms, self._scheduler.now_ms + patience_ms + RESTART_MS)
        self._scheduler.at(back_ms, lambda: self._restart(node))

    def _lose_patience(self, node: SimulatedNode, life: int) -> None:
        """Kill a doomed node that still lives the same life; its write may have met a slow disk."""
        if node.is_up and node.life == life:
            node.crash()

    def _restart(self, node: SimulatedNode) -> None:
        if node.is_up:
            return
        if not node.disk.is_readable:
            self._faults[DiskTrouble.CORRUPT.value] += 1
            return
        node.start()
        for other in self._nodes:
            if other is not node and other.is_up and not self._wire.is_cut(other.place, node.place):
                other.connected(node.index)
                node.connected(other.index)

    # --- disks -----------------------------------------------------------------------------------

    def _slow_down(self, node: SimulatedNode, sync_ms_max: int, until_ms: int) -> None:
        self._faults["slow disk"] += 1
        usual, node.sync_ms_max = node.sync_ms_max, sync_ms_max
        self._scheduler.at(until_ms, lambda: setattr(node, "sync_ms_max", min(usual, 2)))

    def _spoil_disk(self, node: SimulatedNode, trouble: DiskTrouble, until_ms: int) -> None:
        """The process stops at the first refused write and is started again, in vain while the disk is full.
        An unreadable log is put away by an operator when the time is over."""
        if trouble is DiskTrouble.CORRUPT:
            if node.is_up:
                node.crash()
            node.disk.is_readable = False
        else:
            node.disk.refusals_left = 1 if trouble is DiskTrouble.FAILING else REFUSALS
        self._supervise(node, until_ms)
        self._scheduler.at(until_ms, lambda: self._mend_disk(node, trouble))

    def _supervise(self, node: SimulatedNode, until_ms: int) -> None:
        if self._scheduler.now_ms < until_ms:
            self._restart(node)
            self._scheduler.later(SUPERVISOR_MS, lambda: self._supervise(node, until_ms))

    def _mend_disk(self, node: SimulatedNode, trouble: DiskTrouble) -> None:
        disk = node.disk
        self._faults[trouble.value] += disk.refused
        disk.refusals_left = disk.refused = 0
        if not disk.is_readable:
            node.swap_disk(Disk(list(disk.committed)), node.generation)
        self._restart(node)

    def _swap(self, node: SimulatedNode, swap: Swap, until_ms: int) -> None:
        """Copy a disk now; later kill the node and start it with the copy."""
        source = node if swap.origin is not Origin.OTHER_NODE else self._nodes[swap.donor]
        copy = source.disk.copy()
        self._scheduler.at(until_ms, lambda: self._start_from(node, swap.origin, copy))

    def _start_from(self, node: SimulatedNode, origin: Origin, copy: Disk) -> None:
        self._faults[origin.value] += 1
        if node.is_up:
            node.crash()
        generation = node.generation
        if origin is Origin.OLDER_LOG and copy.head.block_id != node.disk.head.block_id:
            copy.committed = list(node.disk.committed)  # the floor in the log is below the store now
        elif origin in (Origin.OLDER_HOME, Origin.OLDER_LOG):
            generation = OTHER_GENERATION
        node.swap_disk(copy, generation)
        self._restart(node)
