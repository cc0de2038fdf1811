"""The wire: delays, loses, doubles and overtakes mail, and cuts links, all by seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from network.simulator.mail import Mail
from network.simulator.scheduler import Scheduler
from network.simulator.sieve import Sieve


@dataclass(frozen=True, slots=True)
class Weather:
    """How the wire behaves: one-way delays in milliseconds, chances in thousandths."""

    delay_ms_min: int
    delay_ms_max: int
    loss: int = 0
    duplication: int = 0


class Wire:
    """Carries mail between nodes. What it did to the mail is counted in `faults`. `distances` are
    milliseconds one way between any two places, on top of the weather; none: all stand side by side."""

    def __init__(
        self,
        scheduler: Scheduler,
        random: Random,
        weather: Weather,
        faults: Counter[str],
        distances: Sequence[Sequence[int]] = (),
    ) -> None:
        self.weather = weather
        self._distances = distances
        self.sent = 0
        self._scheduler = scheduler
        self._random = random
        self._faults = faults
        self._cuts: Counter[tuple[int, int]] = Counter()
        self._clogs: Counter[tuple[int, int]] = Counter()
        self._held: dict[tuple[int, int], list[Callable[[], None]]] = {}
        self._leaks: dict[tuple[int, int], int] = {}
        self._latest_ms: dict[tuple[int, int], int] = {}
        self._sieves: list[tuple[str, Sieve]] = []

    def cut(self, links: Iterable[tuple[int, int]]) -> None:
        """Cut links, each a (sender, receiver); cuts of one link add up."""
        self._cuts.update(links)

    def mend(self, links: Iterable[tuple[int, int]]) -> None:
        """Take back one cut of each link."""
        self._cuts.subtract(links)

    def is_cut(self, sender: int, receiver: int) -> bool:
        """Whether nothing gets from one node to the other."""
        return self._cuts[sender, receiver] > 0

    def clog(self, links: Sequence[tuple[int, int]]) -> None:
        """From now on these links keep what they should carry."""
        self._clogs.update(links)

    def unclog(self, links: Sequence[tuple[int, int]]) -> None:
        """All that a link kept comes at once, in the order in which it was sent."""
        self._clogs.subtract(links)
        for link in links:
            if self._clogs[link] <= 0:
                for arrive in self._held.pop(link, []):
                    self._scheduler.later(self.weather.delay_ms_min, arrive)

    def leak(self, links: Iterable[tuple[int, int]], loss: int) -> None:
        """These links lose so many thousandths, whatever the weather; 0 ends it."""
        self._leaks.update(dict.fromkeys(links, loss))

    def sift(self, name: str, sieve: Sieve) -> None:
        """Let only pass what a sieve lets; what it takes is counted by this name."""
        self._sieves.append((name, sieve))

    def unsift(self, sieve: Sieve) -> None:
        """Take a sieve out."""
        self._sieves = [each for each in self._sieves if each[1] is not sieve]

    def _sifted(self, link: tuple[int, int], mail: Mail) -> Mail | None:
        for name, sieve in self._sieves:
            passed = sieve.passes(*link, mail)
            self._faults[name] += passed is not mail
            if passed is None:
                return None
            mail = passed
        return mail

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
        loss = max(weather.loss, self._leaks.get(link, 0))
        if loss and random.randrange(1000) < loss:
            self._faults["loss"] += 1
            return
        passed = self._sifted(link, mail)
        if passed is None:
            return
        if self._clogs[link] > 0:
            self._faults["clog"] += 1
            self._held.setdefault(link, []).append(lambda: deliver(sender, receiver, passed))
            return
        copies = 1
        if weather.duplication and random.randrange(1000) < weather.duplication:
            self._faults["duplicate"] += 1
            copies = 2
        for _ in range(copies):
            delay_ms = random.randint(weather.delay_ms_min, weather.delay_ms_max)
            at_ms = self._scheduler.now_ms + delay_ms + self._distance_ms(link)
            if at_ms < self._latest_ms.get(link, 0):
                self._faults["reorder"] += 1
            self._latest_ms[link] = max(at_ms, self._latest_ms.get(link, 0))
            self._scheduler.at(at_ms, lambda: deliver(sender, receiver, passed))

    def _distance_ms(self, link: tuple[int, int]) -> int:
        return self._distances[link[0]][link[1]] if self._distances else 0
