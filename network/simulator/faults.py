"""What goes wrong in a run, and when: drawn from the seed before the run begins.

All incidents are over at the end of the fault phase; from there on the network must recover by
itself. `inflict` makes them happen; what had an effect is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import permutations
from random import Random
from typing import Final

from network.simulator.node import CrashPoint
from network.simulator.sieve import Mute, ViewCuts
from network.simulator.wire import Weather

INCIDENTS_MIN: Final = 3
INCIDENTS_MAX: Final = 7
LASTS_MS_MIN: Final = 300
RANDOM_POINTS: Final = (
    CrashPoint.NOW,
    CrashPoint.BEFORE_SYNC,
    CrashPoint.AFTER_SYNC,
    CrashPoint.BEFORE_COMMIT,
    CrashPoint.AFTER_FIRST_SEND,
)
LASTS_SHARE_MAX: Final = 2  # an incident lasts up to this part of the fault phase: a half


class Family(Enum):
    """Kinds of incident that a scenario may hold."""

    WIRE = "wire"
    PARTITION = "partition"
    CRASH = "crash"
    DISK = "disk"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Storm:
    """The wire behaves badly for a while."""

    weather: Weather


@dataclass(frozen=True, slots=True)
class Cut:
    """Links, each a (sender, receiver), carry nothing for a while."""

    links: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Flap:
    """Links, each a (sender, receiver), work and do not, in turn, so many milliseconds each."""

    links: tuple[tuple[int, int], ...]
    period_ms: int


@dataclass(frozen=True, slots=True)
class Clog:
    """Links, each a (sender, receiver), keep everything for a while; then all of it comes at once."""

    links: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Leak:
    """Links, each a (sender, receiver), lose so many thousandths of what they carry."""

    links: tuple[tuple[int, int], ...]
    loss: int


@dataclass(frozen=True, slots=True)
class Sift:
    """Some statements get lost for a while, by what they say."""

    name: str
    sieve: Mute | ViewCuts


@dataclass(frozen=True, slots=True)
class Crash:
    """Nodes die, at this point of their next write to the disk, and return after a while. One that does
    not come to that point is killed where it stands when patience ends."""

    nodes: tuple[int, ...]
    point: CrashPoint
    patience_ms: int = 1_500


class DiskTrouble(Enum):
    """How a disk fails a node."""

    FAILING = "failed write"  # the next write is refused: the node stops, and is started again
    FULL = "full disk"  # every write is refused: the node stops as often as it is started
    CORRUPT = "corrupt log"  # the log is unreadable: no start until an operator puts it away


@dataclass(frozen=True, slots=True)
class BadDisk:
    """A node's disk is in trouble until a time."""

    node: int
    trouble: DiskTrouble


class Origin(Enum):
    """Where the disk comes from that a node is restarted with."""

    OLDER_HOME = "older disk"  # a copy of it all from the beginning of the incident, on another host
    OLDER_IN_PLACE = "older home"  # the same, copied over the home on its own host
    OLDER_LOG = "older log"  # the log alone
    OTHER_NODE = "other's disk"


@dataclass(frozen=True, slots=True)
class Swap:
    """At the end of the incident a node is killed and started again with another disk."""

    node: int
    origin: Origin
    donor: int


@dataclass(frozen=True, slots=True)
class SlowDisk:
    """Each sync of a node takes up to so long for a while."""

    node: int
    sync_ms_max: int


@dataclass(frozen=True, slots=True)
class ClockJump:
    """A node's wall clock jumps, ahead or back, and is set right after a while."""

    node: int
    ahead_ms: int


What = Storm | Cut | Flap | Clog | Leak | Sift | Crash | SlowDisk | BadDisk | Swap | ClockJump


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong between two times of the run."""

    at_ms: int
    until_ms: int
    what: What


def draw_incidents(
    random: Random, families: tuple[Family, ...], nodes: int, honest: tuple[int, ...], end_ms: int
) -> tuple[Incident, ...]:
    """Some incidents of these families, the last over before `end_ms`."""
    if not families:
        return ()
    incidents = []
    for turn in range(random.randint(INCIDENTS_MIN, INCIDENTS_MAX)):
        # Each family comes at least once if there is room, so that no run is without its faults.
        family = families[turn] if turn < len(families) else random.choice(families)
        at_ms = random.randint(200, end_ms - LASTS_MS_MIN - 200)
        until_ms = min(end_ms - 1, at_ms + random.randint(LASTS_MS_MIN, end_ms // LASTS_SHARE_MAX))
        incidents.append(Incident(at_ms, until_ms, _draw(random, family, nodes, honest)))
    return tuple(sorted(incidents, key=lambda each: each.at_ms))


def _draw(
    random: Random, family: Family, nodes: int, honest: tuple[int, ...]
) -> Storm | Cut | Crash | SlowDisk | ClockJump:
    match family:
        case Family.WIRE:
            delay_ms_max = random.choice((30, 100, 300, 900))
            return Storm(
                Weather(1, delay_ms_max, random.choice((50, 150, 300)), random.choice((0, 200, 500)))
            )
        case Family.PARTITION:
            return Cut(tuple(_draw_cut(random, nodes)))
        case Family.CRASH:
            return Crash(_draw_victims(random, honest), random.choice(RANDOM_POINTS))
        case Family.DISK:
            return SlowDisk(random.choice(honest), random.choice((50, 400, 2_000)))
        case Family.CLOCK:
            return ClockJump(random.choice(honest), random.choice((-40_000, -1_500, 1_500, 40_000)))


def _draw_victims(random: Random, honest: tuple[int, ...]) -> tuple[int, ...]:
    """Mostly one, now and then some, sometimes everyone at once."""
    kind = random.randrange(6)
    if kind == 0:
        return honest
    return tuple(random.sample(honest, 2 if kind == 1 else 1))


def _draw_cut(random: Random, nodes: int) -> Iterable[tuple[int, int]]:
    """One node alone, two halves, three parts, or one direction of some links."""
    every = range(nodes)
    match random.randrange(4):
        case 0:
            alone = random.choice(every)
            groups = [int(node == alone) for node in every]
        case 1:
            groups = [random.randrange(2) for _ in every]
        case 2:
            groups = [random.randrange(3) for _ in every]
        case _:
            deaf = random.choice(every)
            return [(sender, deaf) for sender in every if sender != deaf and random.random() < 0.7]
    return [(a, b) for a, b in permutations(every, 2) if groups[a] != groups[b]]
