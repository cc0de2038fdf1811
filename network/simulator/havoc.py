"""Making the planned faults happen, and taking them back when their time is over.

What had an effect is counted by its name: a fault that hit nothing shows nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from network.simulator.faults import ClockJump, Crash, Cut, Incident, SlowDisk, Storm
from network.simulator.node import CrashPoint, SimulatedNode
from network.simulator.scheduler import Scheduler
from network.simulator.wire import Weather, Wire

CRASH_PATIENCE_MS: Final = 1_500  # a doomed node that writes nothing for so long is killed where it stands


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
        scheduler, what = self._scheduler, incident.what
        scheduler.note(repr(incident).encode())
        match what:
            case Storm(weather):
                self._wire.weather = weather
                scheduler.at(incident.until_ms, self._clear_up)
            case Cut(links):
                self._wire.cut(links)
                scheduler.at(incident.until_ms, lambda: self._mend(links))
            case Crash(victims, point):
                for index in victims:
                    self._doom(self._nodes[index], point, incident.until_ms)
            case SlowDisk(index, sync_ms_max):
                self._slow_down(self._nodes[index], sync_ms_max, incident.until_ms)
            case ClockJump(index, ahead_ms):
                self._faults["clock"] += 1
                node = self._nodes[index]
                node.wall_ahead_ms = ahead_ms
                scheduler.at(incident.until_ms, lambda: setattr(node, "wall_ahead_ms", 0))

    def _clear_up(self) -> None:
        self._wire.weather = self._weather

    def _mend(self, links: tuple[tuple[int, int], ...]) -> None:
        self._wire.mend(links)
        for sender, receiver in links:
            if not self._wire.is_cut(sender, receiver):
                self._nodes[sender].connected(receiver)

    def _slow_down(self, node: SimulatedNode, sync_ms_max: int, until_ms: int) -> None:
        self._faults["slow disk"] += 1
        usual, node.sync_ms_max = node.sync_ms_max, sync_ms_max
        self._scheduler.at(until_ms, lambda: setattr(node, "sync_ms_max", min(usual, 2)))

    def _doom(self, node: SimulatedNode, point: CrashPoint, until_ms: int) -> None:
        """Kill a node at its next such write, or where it stands if none comes; then bring it back."""
        if not node.is_up:
            return
        if point is CrashPoint.NOW:
            self._kill(node, until_ms)
            return
        node.doom = point
        self._scheduler.later(CRASH_PATIENCE_MS, lambda: self._kill(node, until_ms))

    def _kill(self, node: SimulatedNode, until_ms: int) -> None:
        if node.is_up:
            node.crash()
        self._scheduler.at(max(until_ms, self._scheduler.now_ms + 100), lambda: self._restart(node))

    def _restart(self, node: SimulatedNode) -> None:
        if node.is_up:
            return
        node.start()
        for other in self._nodes:
            if other is not node and other.is_up and not self._wire.is_cut(other.index, node.index):
                other.connected(node.index)
                node.connected(other.index)
