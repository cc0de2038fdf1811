"""What a script makes of one seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from random import Random

from network.simulator.faults import Cut, Incident, What
from network.simulator.wire import Weather

NEAR = Weather(2, 20)

Link = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stage:
    """Who is there: the number of places (more than validators where keys run twice), and who is honest."""

    random: Random
    places: int
    honest: tuple[int, ...]
    seed: int

    @property
    def every(self) -> range:
        """All places."""
        return range(self.places)

    def others(self, place: int) -> tuple[int, ...]:
        """All places but one."""
        return tuple(each for each in self.every if each != place)

    def shuffled(self) -> list[int]:
        """The honest in an order by seed."""
        return self.random.sample(self.honest, len(self.honest))


@dataclass(frozen=True, slots=True)
class Course:
    """What goes wrong until `end_ms`, and the world in which it does. `distances` as the wire takes them;
    `has_rest`: clients fall silent before the end; `chain` picks the order in which leaders come."""

    incidents: tuple[Incident, ...]
    end_ms: int
    weather: Weather = NEAR
    distances: tuple[tuple[int, ...], ...] = ()
    has_rest: bool = False
    chain: int | None = None


Script = Callable[[Stage], Course]


def course(*incidents: Incident, tail_ms: int = 200, has_rest: bool = False) -> Course:
    """A course that ends a little after its last incident."""
    end_ms = max(each.until_ms for each in incidents) + tail_ms
    return Course(tuple(sorted(incidents, key=lambda each: each.at_ms)), end_ms, has_rest=has_rest)


def during(at_ms: int, until_ms: int, what: What) -> Incident:
    """An incident between two times."""
    return Incident(at_ms, until_ms, what)


def apart(*groups: tuple[int, ...]) -> Cut:
    """No link between these groups."""
    group_of = {place: number for number, group in enumerate(groups) for place in group}
    return Cut(tuple((a, b) for a, b in permutations(group_of, 2) if group_of[a] != group_of[b]))
