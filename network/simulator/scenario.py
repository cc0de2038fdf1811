"""What a scenario's name stands for, and what one seed makes of it.

A scenario fixes which families of faults there are and who lies; the seed draws the rest: the
stakes, who it is that lies, when what goes wrong, how far apart the validators are.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from ledger.errors import LedgerError
from network.simulator.faults import Family, Incident, draw_incidents
from network.simulator.wire import Weather

FAULTS_MS: Final = (6_000, 8_000, 20_000, 60_000)  # how long the fault phase may last
FAULTS_MS_WEIGHTS: Final = (6, 6, 3, 1)
CALM_MS: Final = 1  # a scenario without faults goes to its progress at once
NODES_MIN: Final = 4
NODES_MAX: Final = 16

SINGLE_LIES: Final = (
    "silent",
    "equivocator",
    "usurper",
    "forger",
    "replayer",
    "forker",
    "double-notarizer",
    "nullify-finalizer",
    "eager-finalizer",
    "mute-leader",
    "selective",
    "withholder",
    "censor",
    "bad-root",
    "bad-parent",
    "bad-height",
    "bad-time",
    "bad-size",
    "bad-repeat",
    "wrong-body",
    "impersonator",
    "flooder",
    "stranger",
    "lying-peer",
)
LIES: Final = (*SINGLE_LIES, "colluder")
# Who has nothing to say in the views of others.
LEADERS_LIES: Final = (
    "forker",
    "mute-leader",
    "withholder",
    "bad-root",
    "bad-parent",
    "bad-height",
    "bad-time",
    "bad-size",
    "bad-repeat",
    "wrong-body",
)

# Equal and unequal; some totals are multiples of three, where exactly two thirds can be had.
STAKES: Final = {
    4: ((1, 1, 1, 1), (3, 3, 2, 2), (2, 2, 1, 1), (5, 4, 3, 3), (5, 5, 2, 1)),
    7: ((1, 1, 1, 1, 1, 1, 1), (5, 3, 2, 2, 1, 1, 1), (2, 2, 1, 1, 1, 1, 1), (4, 4, 3, 3, 3, 2, 2)),
    10: ((1,) * 10, (5, 4, 4, 3, 3, 2, 2, 1, 1, 1), (4, 4, 4, 4, 3, 3, 2, 2, 2, 2)),
}

NEAR: Final = Weather(2, 20)
APART: Final = Weather(60, 120)
FAR: Final = Weather(520, 680)  # further apart than the first timers allow for


@dataclass(frozen=True, slots=True)
class Scenario:
    """What may go wrong. `lies` are the kinds of adversary the seed chooses from; none: all are honest.
    `is_crowd`: as many adversaries as hold less than a third of the stake together, not one."""

    name: str
    says: str
    families: tuple[Family, ...]
    lies: tuple[str, ...]
    is_crowd: bool = False


_EVERY = tuple(Family)
SCENARIOS: Final = {
    each.name: each
    for each in (
        Scenario("mixed", "every family of faults and one adversary, its lie by seed", _EVERY, LIES),
        Scenario("calm", "no faults, no adversary", (), ()),
        Scenario("faults", "every family of faults, no adversary", _EVERY, ()),
        Scenario("wire", "loss, duplicates, delay and cuts", (Family.WIRE, Family.PARTITION), ()),
        Scenario("crash", "crashes and slow disks on a good wire", (Family.CRASH, Family.DISK), ()),
        Scenario("traitors", "every family of faults and a crowd, its lies by seed", _EVERY, LIES, True),
        Scenario("colluder", "every family of faults and a crowd of one will", _EVERY, ("colluder",), True),
        *(Scenario(lie, f"every family of faults, and the {lie}", _EVERY, (lie,)) for lie in SINGLE_LIES),
    )
}


@dataclass(frozen=True, slots=True)
class Liar:
    """An adversary: its index in the set and the name of its lie."""

    index: int
    lie: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided before a run begins. `liars` hold less than a third of the stake together;
    `has_rest`: the clients fall silent before the faults end, until the network has repaired itself."""

    seed: int
    scenario: Scenario
    stakes: tuple[int, ...]
    liars: tuple[Liar, ...]
    weather: Weather
    incidents: tuple[Incident, ...]
    faults_end_ms: int
    transaction_every_ms: int
    has_rest: bool

    @property
    def honest(self) -> tuple[int, ...]:
        """The indices of all but the adversaries."""
        lying = [liar.index for liar in self.liars]
        return tuple(index for index in range(len(self.stakes)) if index not in lying)


def scenario_of(name: str) -> Scenario:
    """The scenario with this name.

    Raises:
        LedgerError: `sim.unknown_scenario`.
    """
    if name not in SCENARIOS:
        raise LedgerError("sim.unknown_scenario", f"{name!r}, expected one of {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


def _possible_liars(stakes: tuple[int, ...], lie: str) -> list[int]:
    """Below a third of the stake each; who can lie only as a leader is one that leads often."""
    below = [at for at, stake in enumerate(stakes) if 3 * stake < sum(stakes)]
    heaviest = max(stakes[at] for at in below)
    return [at for at in below if lie not in LEADERS_LIES or stakes[at] == heaviest]


def _draw_liars(random: Random, scenario: Scenario, stakes: tuple[int, ...], seed: int) -> tuple[Liar, ...]:
    """The adversaries of one seed; a seed's place in the row decides the first one's lie."""
    if not scenario.lies:
        return ()
    first = scenario.lies[seed % len(scenario.lies)]
    liars = [Liar(random.choice(_possible_liars(stakes, first)), first)]
    if scenario.is_crowd:
        for index in random.sample(range(len(stakes)), len(stakes)):
            held = sum(stakes[liar.index] for liar in liars)
            is_room = 3 * (held + stakes[index]) < sum(stakes)
            if is_room and index not in [liar.index for liar in liars]:
                leads = stakes[index] * len(stakes) >= sum(stakes)
                lies = [lie for lie in scenario.lies if leads or lie not in LEADERS_LIES]
                liars.append(Liar(index, random.choice(lies)))
    return tuple(sorted(liars, key=lambda liar: liar.index))


def plan_of(seed: int, nodes: int, scenario: Scenario) -> Plan:
    """What this seed makes of a scenario.

    Raises:
        LedgerError: `sim.nodes`: outside of NODES_MIN to NODES_MAX.
    """
    if not NODES_MIN <= nodes <= NODES_MAX:
        raise LedgerError("sim.nodes", f"{nodes} nodes, expected {NODES_MIN} to {NODES_MAX}")
    random = Random(f"{seed}/{nodes}/{scenario.name}/plan")
    stakes = random.choice(STAKES.get(nodes, ((1,) * nodes,)))
    liars = _draw_liars(random, scenario, stakes, seed)
    honest = tuple(index for index in range(nodes) if index not in [liar.index for liar in liars])
    faults_end_ms = random.choices(FAULTS_MS, FAULTS_MS_WEIGHTS)[0] if scenario.families else CALM_MS
    incidents = draw_incidents(random, scenario.families, nodes, honest, faults_end_ms)
    weather = random.choices((NEAR, APART, FAR), (12, 6, 2))[0] if scenario.families else NEAR
    every_ms = random.choice((400, 700, 1_100))
    has_rest = bool(scenario.families) and random.random() < 0.4
    return Plan(seed, scenario, stakes, liars, weather, incidents, faults_end_ms, every_ms, has_rest)
