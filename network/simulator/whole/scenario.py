"""What a scenario of whole nodes is called, and what one seed makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import Final

from ledger.errors import LedgerError
from network.simulator.scenario import NODES_MAX, NODES_MIN, STAKES
from network.simulator.whole.incidents import Family, Incident, WrongData, draw_incidents
from network.simulator.whole.wire import Link, Quality

FAULTS_MS: Final = (5_000, 8_000, 15_000)  # how long the fault phase may last
FAULTS_MS_WEIGHTS: Final = (5, 4, 1)
CALM_MS: Final = 5_000
INCIDENTS: Final = (3, 6)  # at least, at most
EPOCH_BLOCKS: Final = (4, 9, 1_000)
EPOCH_BLOCKS_SHORT: Final = (3, 5)

# One-way delays in milliseconds between the regions of a network across the world.
REGIONS: Final = ("Frankfurt", "Virginia", "Singapore", "Sao Paulo")
WORLD_MS: Final = ((1, 44, 80, 102), (44, 1, 108, 58), (80, 108, 1, 160), (102, 58, 160, 1))
JITTER: Final = 1.2  # the longest delay by the shortest
FAR_MS: Final = (520, 680)  # further apart than the first timers allow for


@dataclass(frozen=True, slots=True)
class Scenario:
    """What may go wrong."""

    name: str
    says: str
    families: tuple[Family, ...]
    has_stake_moves: bool = False


SCENARIOS: Final = {
    each.name: each
    for each in (
        Scenario("whole", "every family of faults, and stake that moves", tuple(Family), True),
        Scenario("whole-calm", "no faults", ()),
        Scenario(
            "whole-wire", "slow, lossy, clogged, flapping and cut links", (Family.WIRE, Family.PARTITION)
        ),
        Scenario(
            "whole-crash", "deaths at every fail-point, slow and failing disks", (Family.CRASH, Family.DISK)
        ),
        Scenario("whole-data", "older, foreign and damaged data, with deaths", (Family.DATA, Family.CRASH)),
        Scenario("whole-clock", "wrong clocks and cut links", (Family.CLOCK, Family.PARTITION)),
        Scenario(
            "whole-stake",
            "stake bonded, unbonded and jailed in short epochs, and every fault that leaves data alone",
            (Family.CRASH, Family.PARTITION, Family.WIRE, Family.DISK, Family.CLOCK),
            True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided before a run begins."""

    seed: int
    scenario: Scenario
    stakes: tuple[int, ...]
    distance: str
    links: dict[Link, Quality]
    incidents: tuple[Incident, ...]
    faults_end_ms: int
    transaction_every_ms: int
    epoch_blocks: int
    has_stake_moves: bool

    def random(self, purpose: str) -> Random:
        """The chance that one part of the run has for itself."""
        return Random(f"{self.seed}/{len(self.stakes)}/{self.scenario.name}/{purpose}")


def plan_of(seed: int, nodes: int, name: str) -> Plan:
    """What this seed makes of a scenario.

    Raises:
        LedgerError: `sim.unknown_scenario`, `sim.nodes`.
    """
    if name not in SCENARIOS:
        raise LedgerError("sim.unknown_scenario", f"{name!r}, expected one of {', '.join(SCENARIOS)}")
    if not NODES_MIN <= nodes <= NODES_MAX:
        raise LedgerError("sim.nodes", f"{nodes} nodes, expected {NODES_MIN} to {NODES_MAX}")
    scenario = SCENARIOS[name]
    random = Random(f"{seed}/{nodes}/{name}/plan")
    stakes = random.choice(STAKES.get(nodes, ((1,) * nodes,)))
    families = random.sample(scenario.families, len(scenario.families))
    end_ms = random.choices(FAULTS_MS, FAULTS_MS_WEIGHTS)[0] if families else CALM_MS
    incidents = draw_incidents(random, families, stakes, random.randint(*INCIDENTS), end_ms)
    # A validator in quarantine must stay below a third of the stake, or the chain stops as it is meant to.
    is_stake_free = not any(isinstance(incident.what, WrongData) for incident in incidents)
    has_stake_moves = scenario.has_stake_moves and is_stake_free
    distance = random.choices(("room", "country", "world", "far"), (8, 6, 5, 1))[0]
    return Plan(
        seed,
        scenario,
        stakes,
        distance,
        _links(random, nodes, distance),
        incidents,
        end_ms,
        random.choice((150, 400, 900)),
        random.choice(EPOCH_BLOCKS_SHORT if has_stake_moves else EPOCH_BLOCKS),
        has_stake_moves,
    )


def _links(random: Random, nodes: int, distance: str) -> dict[Link, Quality]:
    """How far apart the sites are, link by link."""
    regions = [random.randrange(len(REGIONS)) for _ in range(nodes)]
    links = {}
    for sender, receiver in permutations(range(nodes), 2):
        match distance:
            case "room":
                quality = Quality(0.2, 3)
            case "country":
                quality = Quality(5, 25)
            case "world":
                least = WORLD_MS[regions[sender]][regions[receiver]]
                quality = Quality(least, least * JITTER)
            case _:
                quality = Quality(*FAR_MS)
        links[sender, receiver] = quality
    return links
