"""The wire: delays, loses, doubles and overtakes mail, and cuts links, all by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

from network.simulator.mail import Mail
from network.simulator.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Weather:
    """How the wire behaves: one-way delays in milliseconds, chances in thousandths."""

    delay_ms_min: int
    delay_ms_max: int
    loss: int = 0
    duplication: int = 0


class Wire:
    """Carries mail between nodes. What it did to the mail is counted in `faults`."""

    def __init__(self, scheduler: Scheduler, random: Random, weather: Weather, faults: Counter[str]) -> None:
        self.weather = weather
        self.sent = 0
        self._scheduler = scheduler
        self._random = random
        self._faults = faults
        self._cuts: Counter[tuple[int, int]] = Counter()
        self._latest_ms: dict[tuple[int, int], int] = {}

    def cut(self, links: Iterable[tuple[int, int]]) -> None:
        """Cut links, each a (sender, receiver); cuts of one link add up."""
        self._cuts.update(links)

    def mend(self, links: Iterable[tuple[int, int]]) -> None:
        """Take back one cut of each link."""
        self._cuts.subtract(links)

    def is_cut(self, sender: int, receiver: int) -> bool:
        """Whether nothing gets from one node to the other."""
        return self._cuts[sender, receiver] > 0

    def carry(
        self, sender: int, receiver: int, mail: Mail, deliver: Callable[[int, int, Mail], None]
    ) -> None:
        """Bring mail to its receiver, maybe late, maybe twice, maybe never."""
        self.sent += 1
        link = (sender, receiver)
        if self._cuts[link] > 0:
            self._faults["cut"] += 1
            return
        weather, random = self.weather, self._random
        if weather.loss and random.randrange(1000) < weather.loss:
            self._faults["loss"] += 1
            return
        copies = 1
        if weather.duplication and random.randrange(1000) < weather.duplication:
            self._faults["duplicate"] += 1
            copies = 2
        for _ in range(copies):
            at_ms = self._scheduler.now_ms + random.randint(weather.delay_ms_min, weather.delay_ms_max)
            if at_ms < self._latest_ms.get(link, 0):
                self._faults["reorder"] += 1
            self._latest_ms[link] = max(at_ms, self._latest_ms.get(link, 0))
            self._scheduler.at(at_ms, lambda: deliver(sender, receiver, mail))
