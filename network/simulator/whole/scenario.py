"""What a scenario of whole nodes is called, and what one seed makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import Final

from ledger.consensus.blocks import ANCESTORS_FETCHED_MAX
from ledger.errors import LedgerError
from network.simulator.floors import ANY_FAULT, CALM, Floors
from network.simulator.scenario import NODES_MAX, NODES_MIN, STAKES
from network.simulator.whole.incidents import (
    AGEING,
    HOMES,
    Crash,
    Cut,
    DataLoss,
    Family,
    Incident,
    WrongData,
    draw_incidents,
)
from network.simulator.whole.liar import FALSE_BODIES, FALSE_PAGES, JUNK, LIES
from network.simulator.whole.members import (
    FOLLOWERS,
    NOTHING,
    Agenda,
    draw_absence,
    draw_agenda,
)
from network.simulator.whole.site import Death
from network.simulator.whole.wire import Link, Quality

FAULTS_MS: Final = (5_000, 8_000, 15_000)  # how long the fault phase may last
FAULTS_MS_WEIGHTS: Final = (5, 4, 1)
CALM_MS: Final = 5_000
INCIDENTS: Final = (3, 6)  # at least, at most
MEMBERS_FAULTS_MS: Final = (8_000, 12_000)  # some turns of epochs
ABSENCE_MS: Final = 9_000
LONELY_MS: Final = 2_000
JOIN_HEIGHTS: Final = 10
EPOCH_BLOCKS: Final = (4, 9, 1_000)
EPOCH_BLOCKS_SHORT: Final = (3, 5)

# One-way delays in milliseconds between the regions of a network across the world.
REGIONS: Final = ("Frankfurt", "Virginia", "Singapore", "Sao Paulo")
WORLD_MS: Final = ((1, 44, 80, 102), (44, 1, 108, 58), (80, 108, 1, 160), (102, 58, 160, 1))
JITTER: Final = 1.2  # the longest delay by the shortest
FAR_MS: Final = (520, 680)  # further apart than the first timers allow for


@dataclass(frozen=True, slots=True)
class Scenario:
    """What may go wrong, and what every run must show at least (`floors`)."""

    name: str
    says: str
    families: tuple[Family, ...]
    has_stake_moves: bool = False
    lies: tuple[str, ...] = ()
    losses: tuple[DataLoss, ...] = tuple(DataLoss)
    floors: Floors = ANY_FAULT
    has_followers: bool = False
    has_ballots: bool = False
    sizes: tuple[int, ...] = (4, 7)  # validators at which a campaign runs it


SCENARIOS: Final = {
    each.name: each
    for each in (
        Scenario("whole", "every family of faults, and stake that moves", tuple(Family), True),
        Scenario("whole-calm", "no faults", (), floors=CALM),
        Scenario(
            "whole-wire",
            "slow, lossy, clogged, flapping and cut links",
            (Family.WIRE, Family.PARTITION),
            floors=Floors(faults=2),
        ),
        Scenario(
            "whole-crash", "deaths at every fail-point, slow and failing disks", (Family.CRASH, Family.DISK)
        ),
        Scenario(
            "whole-data",
            "older, foreign, lost and damaged homes, with deaths",
            (Family.DATA, Family.CRASH),
            losses=HOMES,
        ),
        Scenario(
            "whole-ageing",
            "bits that turn over in both databases and syncs that lie, with deaths and failing disks",
            (Family.DATA, Family.CRASH, Family.DISK),
            losses=AGEING,
        ),
        Scenario("whole-clock", "wrong clocks and cut links", (Family.CLOCK, Family.PARTITION)),
        Scenario(
            "whole-liar",
            "one site that serves false pages, false bodies or junk, with deaths and cut links",
            (Family.CRASH, Family.PARTITION),
            lies=tuple(LIES),
            floors=Floors(faults=1, lies=1),
        ),
        Scenario(
            "whole-stake",
            "stake bonded, unbonded and jailed in short epochs, and every fault that leaves data alone",
            (Family.CRASH, Family.PARTITION, Family.WIRE, Family.DISK, Family.CLOCK),
            True,
        ),
        Scenario(
            "whole-observers",
            "sites without stake: one follows, one is registered later and joins; every family of faults, "
            "or a liar that serves false pages",
            tuple(Family),
            lies=(FALSE_PAGES, "", ""),
            has_followers=True,
        ),
        Scenario(
            "whole-members",
            "ballots that admit, weigh and remove validators in short epochs, sites that follow and join, a "
            "liar or moves of stake, and every fault that leaves data alone",
            (Family.CRASH, Family.PARTITION, Family.WIRE, Family.DISK, Family.CLOCK),
            True,
            lies=(FALSE_BODIES, JUNK, ""),
            has_followers=True,
            has_ballots=True,
            sizes=(4,),  # two sites more follow; seven and two take twice as long
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided before a run begins. `stakes`: of each site; who follows has none."""

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
    liar: int | None
    lie: str
    agenda: Agenda = NOTHING

    @property
    def loses_data(self) -> bool:
        """Whether a site loses what it has stored, in part or all."""
        return any(isinstance(incident.what, WrongData) for incident in self.incidents)

    @property
    def followers(self) -> tuple[int, ...]:
        """The sites that begin without stake."""
        return tuple(index for index, stake in enumerate(self.stakes) if not stake)

    @property
    def late(self) -> tuple[int, ...]:
        """The sites that join by a transaction: the last follower."""
        return self.followers[-1:]

    @property
    def join_heights(self) -> int:
        """How much has become final before somebody joins; pages are asked for where bodies are too many."""
        return JOIN_HEIGHTS + (ANCESTORS_FETCHED_MAX if self.lie == FALSE_PAGES else 0)

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
    if scenario.has_followers:
        return _plan_members(random, seed, scenario, stakes)
    families = random.sample(scenario.families, len(scenario.families))
    end_ms = random.choices(FAULTS_MS, FAULTS_MS_WEIGHTS)[0] if families else CALM_MS
    incidents = draw_incidents(random, families, stakes, random.randint(*INCIDENTS), end_ms, scenario.losses)
    # A validator in quarantine must stay below a third of the stake, or the chain stops as it is meant to.
    is_stake_free = not any(isinstance(incident.what, WrongData) for incident in incidents)
    has_stake_moves = scenario.has_stake_moves and is_stake_free
    lie = scenario.lies[seed % len(scenario.lies)] if scenario.lies else ""
    liar = random.choice(_below_a_third(stakes)) if lie else None
    distance = random.choices(("room", "country", "world", "far"), (8, 6, 5, 1))[0]
    every_ms = random.choice((150, 400, 900))
    epoch_blocks = random.choice(EPOCH_BLOCKS_SHORT if has_stake_moves else EPOCH_BLOCKS)
    if liar is not None:
        every_ms = 150  # a liar needs something to lie about
    if liar is not None and lie == FALSE_PAGES:
        distance, every_ms, epoch_blocks, end_ms = "room", 80, 1_000, ABSENCE_MS
        incidents = _absence(random, stakes, liar)
    return Plan(
        seed,
        scenario,
        stakes,
        distance,
        _links(random, nodes, distance),
        incidents,
        end_ms,
        every_ms,
        epoch_blocks,
        has_stake_moves,
        liar,
        lie,
    )


def _plan_members(random: Random, seed: int, scenario: Scenario, stakes: tuple[int, ...]) -> Plan:
    """A network with followers: one of them is always away for a while, everything else is as drawn."""
    lie = scenario.lies[seed % len(scenario.lies)] if scenario.lies else ""
    liar = random.choice(_below_a_third(stakes)) if lie else None
    sites = (*stakes, *[0] * FOLLOWERS)
    end_ms = random.choice(MEMBERS_FAULTS_MS)
    # A validator in quarantine and one that is kept away would be too many.
    allowed = [family for family in scenario.families if family is not Family.DATA or liar is None]
    families = random.sample(allowed, len(allowed))
    drawn = draw_incidents(random, families, sites, random.randint(*INCIDENTS), end_ms, scenario.losses)
    away = draw_absence(random, len(sites), len(stakes), end_ms)
    distance = random.choices(("room", "country", "world", "far"), (8, 6, 5, 1))[0]
    every_ms = random.choice((150, 250, 400))
    epoch_blocks = random.choice(EPOCH_BLOCKS_SHORT if scenario.has_ballots else EPOCH_BLOCKS)
    if lie == FALSE_PAGES:
        distance, every_ms, epoch_blocks = "room", 80, 1_000
    return Plan(
        seed,
        scenario,
        sites,
        distance,
        _links(random, len(sites), distance),
        tuple(sorted((*drawn, away), key=lambda each: each.at_ms)),
        end_ms,
        every_ms,
        epoch_blocks,
        scenario.has_stake_moves and liar is None,
        liar,
        lie,
        draw_agenda(random, stakes, liar, has_ballots=scenario.has_ballots),
    )


def _below_a_third(stakes: tuple[int, ...]) -> list[int]:
    return [index for index, stake in enumerate(stakes) if 3 * stake < sum(stakes)]


def _absence(random: Random, stakes: tuple[int, ...], liar: int) -> tuple[Incident, ...]:
    """Somebody is away while many blocks of one epoch pass by, and when it returns meets the liar first."""
    below = [index for index in _below_a_third(stakes) if index != liar]
    away = random.choice(below)
    others = [index for index in range(len(stakes)) if index not in (away, liar)]
    links = tuple(link for other in others for link in ((away, other), (other, away)))
    back_ms = ABSENCE_MS - LONELY_MS
    return (
        Incident(300, back_ms, Crash((away,), Death.POWER_CUT, None, 1)),
        Incident(back_ms, ABSENCE_MS - 1, Cut(links, "alone with a liar")),
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
