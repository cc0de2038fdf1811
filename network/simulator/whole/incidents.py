"""What goes wrong around whole nodes, and when: drawn from the seed before the run begins.

All incidents are over at the end of the fault phase; from there on the network must recover by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import permutations
from random import Random
from typing import Final

from network.simulator.whole.disk import Place, Trouble
from network.simulator.whole.site import Death
from network.simulator.whole.wire import Link, Quality
from node.failpoints import FailPoint

LASTS_MS_MIN: Final = 400
PASSES_MAX: Final = 6  # a fail-point is passed that often before it kills, at most
KBIT_SLOW: Final = 4_000  # bytes a second of a clogged link: a block of some transactions takes a second


class Family(Enum):
    """Kinds of incident that a scenario may hold."""

    WIRE = "wire"
    PARTITION = "partition"
    CRASH = "crash"
    DISK = "disk"
    CLOCK = "clock"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Cut:
    """Links carry nothing for a while."""

    links: tuple[Link, ...]
    shape: str


@dataclass(frozen=True, slots=True)
class Worse:
    """Links are slow, lossy or clogged for a while."""

    links: tuple[Link, ...]
    quality: Quality


@dataclass(frozen=True, slots=True)
class Flap:
    """The connections of links are reset again and again for a while."""

    links: tuple[Link, ...]
    every_ms: int


@dataclass(frozen=True, slots=True)
class Crash:
    """Processes die, at the n-th pass of a fail-point or (None) where they stand, and return later."""

    sites: tuple[int, ...]
    death: Death
    point: FailPoint | None
    passes: int


@dataclass(frozen=True, slots=True)
class SlowDisk:
    """What waits for a site's disk takes up to so long for a while."""

    site: int
    sync_ms_max: int


@dataclass(frozen=True, slots=True)
class BadDisk:
    """Writes fail for a while: the process ends at the first one, and so does each restart's."""

    site: int
    trouble: Trouble
    place: Place


@dataclass(frozen=True, slots=True)
class WrongClock:
    """A site's wall clock jumps and runs fast or slow, and is set right after a while."""

    site: int
    ahead_ms: int
    drift_ppm: int


class DataLoss(Enum):
    """What became of a home."""

    OLDER = "older disk"  # a backup of the beginning of the incident
    FOREIGN = "foreign disk"  # another node's data
    GONE = "new disk"  # the home is made anew: the node joins by catching up from nothing
    DAMAGED = "damaged log"  # one bit of the consensus log
    BLOCKS = "damaged block"  # one bit of a value in the block database
    STATE = "damaged state"  # one bit of a value in the state database
    UNSYNCED = "lying sync"  # syncs are answered and do nothing; a power cut loses what they were for


@dataclass(frozen=True, slots=True)
class WrongData:
    """A site is down for a while; then it starts from other data than its own, or from damaged ones. Its
    stake is below a third: what a lying sync loses, a node may not know of."""

    site: int
    loss: DataLoss
    other: int


What = Cut | Worse | Flap | Crash | SlowDisk | BadDisk | WrongClock | WrongData


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong between two times of the run."""

    at_ms: int
    until_ms: int
    what: What


# What a home is, and what its disk does to it.
HOMES: Final = (DataLoss.OLDER, DataLoss.FOREIGN, DataLoss.GONE, DataLoss.DAMAGED)
AGEING: Final = (DataLoss.BLOCKS, DataLoss.STATE, DataLoss.UNSYNCED, DataLoss.UNSYNCED)  # chance draws one


def draw_incidents(
    random: Random, families: Sequence[Family], stakes: tuple[int, ...], count: int, end_ms: int,
    losses: Sequence[DataLoss] = tuple(DataLoss),
) -> tuple[Incident, ...]:  # fmt: skip
    """So many incidents of these families, each family once where there is room, the last over at `end_ms`.

    Data are lost once at most: more than a third of the stake in quarantine stops the chain by design.
    """
    incidents = []
    again = [family for family in families if family is not Family.DATA]
    for turn in range(count if again else 0):
        family = families[turn] if turn < len(families) else random.choice(again)
        at_ms = random.randint(300, max(300, end_ms - 2 * LASTS_MS_MIN))
        until_ms = min(end_ms - 1, at_ms + random.randint(LASTS_MS_MIN, max(LASTS_MS_MIN, end_ms // 2)))
        incidents.append(Incident(at_ms, until_ms, _draw(random, family, stakes, losses)))
    return tuple(sorted(incidents, key=lambda each: each.at_ms))


def _draw(random: Random, family: Family, stakes: tuple[int, ...], losses: Sequence[DataLoss]) -> What:
    nodes = range(len(stakes))
    match family:
        case Family.WIRE:
            return _draw_wire(random, nodes)
        case Family.PARTITION:
            return _draw_cut(random, nodes)
        case Family.CRASH:
            return _draw_crash(random, nodes)
        case Family.DISK:
            if random.random() < 0.4:
                return SlowDisk(random.choice(nodes), random.choice((50, 400, 2_000)))
            return BadDisk(random.choice(nodes), random.choice(list(Trouble)), random.choice(list(Place)))
        case Family.CLOCK:
            ahead_ms = random.choice((-40_000, -1_500, 1_500, 40_000))
            return WrongClock(_below_a_third(random, stakes), ahead_ms, random.choice((0, -50_000, 50_000)))
        case Family.DATA:
            site = _below_a_third(random, stakes)
            other = random.choice([index for index in nodes if index != site])
            return WrongData(site, random.choice(losses), other)


def _below_a_third(random: Random, stakes: tuple[int, ...]) -> int:
    return random.choice([index for index, stake in enumerate(stakes) if 3 * stake < sum(stakes)])


def _draw_wire(random: Random, nodes: range) -> Worse | Flap:
    links = _some_links(random, nodes)
    match random.randrange(4):
        case 0:
            return Worse(links, Quality(50, random.choice((300, 900))))
        case 1:
            return Worse(links, Quality(1, 30, random.choice((100, 300))))
        case 2:
            return Worse(links, Quality(1, 30, 0, KBIT_SLOW))
        case _:
            return Flap(links, random.choice((150, 700)))


def _some_links(random: Random, nodes: range) -> tuple[Link, ...]:
    """All links, those of one site, or one in one direction."""
    every = list(permutations(nodes, 2))
    match random.randrange(3):
        case 0:
            return tuple(every)
        case 1:
            site = random.choice(nodes)
            return tuple(link for link in every if site in link)
        case _:
            return (random.choice(every),)


def _draw_cut(random: Random, nodes: range) -> Cut:
    """One site alone, parts, one direction of some links, or a ring: each hears its two neighbours."""
    every = list(permutations(nodes, 2))
    match random.randrange(5):
        case 0:
            alone = random.choice(nodes)
            return Cut(tuple(link for link in every if alone in link), "alone")
        case 1:
            parts = [random.randrange(2) for _ in nodes]
            return Cut(tuple(link for link in every if parts[link[0]] != parts[link[1]]), "two parts")
        case 2:
            parts = [random.randrange(3) for _ in nodes]
            return Cut(tuple(link for link in every if parts[link[0]] != parts[link[1]]), "three parts")
        case 3:
            return Cut(tuple(link for link in every if random.random() < 0.4), "one way")
        case _:
            order = random.sample(nodes, len(nodes))
            ring = {(order[at], order[(at + 1) % len(order)]) for at in range(len(order))}
            ring |= {(second, first) for first, second in ring}
            return Cut(tuple(link for link in every if link not in ring), "ring")


def _draw_crash(random: Random, nodes: range) -> Crash:
    """Mostly one, now and then some, sometimes everyone at once."""
    kind = random.randrange(6)
    sites = tuple(nodes) if kind == 0 else tuple(random.sample(nodes, 2 if kind == 1 else 1))
    point = random.choice((None, *FailPoint))
    return Crash(sites, random.choice(list(Death)), point, random.randint(1, PASSES_MAX))
