"""What a scenario's name stands for, and what one seed makes of it.

A scenario fixes which families of faults there are and who lies; the seed draws the rest: the
stakes, who it is that lies, when what goes wrong, how far apart the validators are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final

from ledger.errors import LedgerError
from network.simulator.faults import Cut, Family, Incident, Storm, draw_incidents
from network.simulator.floors import ANY_FAULT, CALM, Floors
from network.simulator.scripts import crashes, disks, repairs, twins, wires
from network.simulator.scripts.course import NEAR, Course, Script, Stage
from network.simulator.turns import LONG_EPOCH, Stakes, draw_epoch_blocks, draw_turns
from network.simulator.wire import Weather

FAULTS_MS: Final = (6_000, 8_000, 20_000, 60_000)  # how long the fault phase may last
FAULTS_MS_WEIGHTS: Final = (6, 6, 3, 1)
CALM_MS: Final = 1  # a scenario without faults goes to its progress at once
REST_PERCENT: Final = 60  # of the fault phase: when the clients of a plan with rest fall silent
FELT_MS: Final = 1_100  # clients send something within this
NODES_MIN: Final = 4
NODES_MAX: Final = 16

# Each lie, and how often at least it is told or a truth withheld in a run of the scenario that it names.
LIES_MIN: Final = {
    "silent": 11,
    "equivocator": 5,
    "usurper": 14,
    "forger": 57,
    "replayer": 90,
    "forker": 1,
    "double-notarizer": 8,
    "nullify-finalizer": 7,
    "eager-finalizer": 6,
    "mute-leader": 1,
    "selective": 21,
    "withholder": 2,
    "censor": 1,
    "bad-root": 1,
    "bad-parent": 1,
    "bad-height": 1,
    "bad-time": 1,
    "bad-size": 1,
    "bad-repeat": 1,
    "wrong-body": 3,
    "impersonator": 180,
    "flooder": 440,
    "stranger": 150,
    "lying-peer": 46,
}
SINGLE_LIES: Final = tuple(LIES_MIN)
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

APART: Final = Weather(60, 120)
FAR: Final = Weather(520, 680)  # further apart than the first timers allow for


SHORT_EPOCHS: Final = 0.5
PROGRESS_MS_MAX: Final = 40_000  # less than one view at the longest delay; three times what was ever seen


@dataclass(frozen=True, slots=True)
class Scenario:
    """What may go wrong, and what must hold all the same.

    `lies` are the kinds of adversary that the seed chooses from, `is_crowd`: as many as hold less than a
    third of the stake together, not one; `has_twins`: that many keys run twice instead. `script` says
    what goes wrong where the dice of `families` do not. `floors`: what every run must show at least, about a
    quarter of the fewest faults and lies and half of the least height that were measured. `is_equal`: all
    stakes are equal, for plots that count heads. `turns`: the share of seeds whose epochs are short, so that
    sets change (but for equal stakes) meanwhile. After the last fault every honest node makes progress within
    `recovery_ms_max`; `is_capped`: the timers must have come to their cap before. `is_landing_bounded`: each
    transaction is final within some views of being handed in. `rarity`: a campaign runs it in one round of so
    many, for it takes long.
    """

    name: str
    says: str
    families: tuple[Family, ...] = ()
    lies: tuple[str, ...] = ()
    is_crowd: bool = False
    has_twins: bool = False
    script: Script | None = None
    floors: Floors = CALM
    is_equal: bool = False
    turns: float = SHORT_EPOCHS
    recovery_ms_max: int = PROGRESS_MS_MAX
    is_landing_bounded: bool = False
    is_capped: bool = False
    rarity: int = 1
    sizes: tuple[int, ...] = (4, 7)


def _scripted(script: Script, floors: Floors, **more: Any) -> Scenario:
    """A scenario that is named and described by its script."""
    says = (script.__doc__ or "").partition(chr(10) + chr(10))[0]
    return Scenario(
        script.__name__.replace("_", "-"), " ".join(says.split()), script=script, floors=floors, **more
    )


def _floors(heights: int, faults: int, *named: tuple[str, int], lies: int = 0) -> Floors:
    return Floors(heights, faults, lies, named)


def _told(lies: int) -> Floors:
    """Where dice draw the faults: three incidents may hardly hit."""
    return Floors(faults=1, lies=lies)


_EVERY = tuple(Family)
_DRAWN: Final = (
    Scenario(
        "mixed", "every family of faults and one adversary, its lie by seed", _EVERY, LIES, floors=_told(1)
    ),
    Scenario("calm", "no faults, no adversary"),
    Scenario(
        "turns",
        "every family of faults, epochs of a few blocks with ever other sets",
        _EVERY,
        turns=1,
        floors=ANY_FAULT,
    ),
    Scenario(
        "turncoats",
        "every family of faults and one adversary, epochs of a few blocks with ever other sets",
        _EVERY,
        LIES,
        turns=1,
        floors=_told(1),
    ),
    Scenario("faults", "every family of faults, no adversary", _EVERY, floors=ANY_FAULT),
    Scenario("wire", "loss, duplicates, delay and cuts", (Family.WIRE, Family.PARTITION), floors=ANY_FAULT),
    Scenario("crash", "crashes and slow disks on a good wire", (Family.CRASH, Family.DISK), floors=ANY_FAULT),
    Scenario(
        "traitors",
        "every family of faults and a crowd, its lies by seed",
        _EVERY,
        LIES,
        is_crowd=True,
        floors=_told(3),
        sizes=(4, 7, 10),
    ),
    Scenario(
        "colluder",
        "every family of faults and a crowd of one will",
        _EVERY,
        ("colluder",),
        is_crowd=True,
        floors=_told(11),
        sizes=(4, 7, 10),
    ),
    Scenario(
        "censored",
        "a crowd of censors and no other trouble: each transaction lands within some views",
        (),
        ("censor",),
        is_crowd=True,
        floors=Floors(lies=1),
        is_landing_bounded=True,
        sizes=(4, 7, 10),
    ),
    *(
        Scenario(lie, f"every family of faults, and the {lie}", _EVERY, (lie,), floors=_told(lies))
        for lie, lies in LIES_MIN.items()
    ),
)
_SCRIPTED: Final = (
    _scripted(twins.twins, _floors(5, 37, ("view partition", 1)), has_twins=True, is_equal=True),
    _scripted(wires.isolate_each, _floors(7, 40, ("cut", 40))),
    _scripted(
        wires.false_pages,
        _floors(16, 230, ("cut", 100), lies=160),
        lies=("lying-peer",),
        is_equal=True,
        turns=0,
        rarity=4,
    ),
    _scripted(wires.halves, _floors(5, 40, ("cut", 40))),
    _scripted(wires.ring, _floors(5, 40, ("cut", 40))),
    _scripted(wires.one_way_loss, _floors(5, 40, ("loss", 40))),
    _scripted(wires.flapping, _floors(5, 40, ("cut", 40))),
    _scripted(wires.rough, _floors(5, 120, ("loss", 40), ("duplicate", 40), ("reorder", 40))),
    _scripted(wires.clogged, _floors(5, 20, ("clog", 20))),
    _scripted(wires.wide_area, _floors(8, 12, ("cut", 10), ("loss", 1))),
    _scripted(crashes.crash_each, _floors(5, 4, ("crash", 4))),
    _scripted(crashes.crash_all, _floors(5, 12, ("crash", 12))),
    _scripted(crashes.crash_after_nullify, _floors(5, 14, ("crash", 4), ("after nullify", 3))),
    _scripted(crashes.vote_unsent, _floors(5, 12, ("crash", 8), ("after vote", 4))),
    _scripted(crashes.rolling_restarts, _floors(6, 10, ("crash", 10))),
    _scripted(crashes.skewed_clocks, _floors(5, 3, ("clock", 3))),
    _scripted(disks.torn_writes, _floors(6, 4, ("torn write", 4))),
    _scripted(disks.lost_writes, _floors(5, 5, ("lost write", 4))),
    _scripted(disks.failed_writes, _floors(6, 3, ("failed write", 3))),
    _scripted(disks.full_disk, _floors(5, 4, ("full disk", 3))),
    _scripted(disks.corrupt_log, _floors(5, 2, ("corrupt log", 2)), is_equal=True),
    _scripted(disks.older_disk, _floors(6, 1), is_equal=True),
    _scripted(disks.other_disk, _floors(6, 1, ("other's disk", 1)), is_equal=True),
    _scripted(
        repairs.split_certificates, _floors(5, 170, ("lost notarize", 4), ("lost nullify", 4)), is_equal=True
    ),
    _scripted(repairs.lone_holder, _floors(7, 62, ("lost notarize", 4), ("cut", 4)), is_equal=True),
    _scripted(
        repairs.displaced_certificates,
        _floors(5, 3_700, ("lost proposals", 20), ("cut", 100)),
        is_equal=True,
        rarity=8,
    ),
    _scripted(repairs.idle_lost_finalize, _floors(6, 90, ("lost finalize", 4))),
    _scripted(repairs.no_quorum, _floors(6, 10_000, ("cut", 1_000)), is_equal=True, rarity=20),
    _scripted(
        repairs.hour_of_nothing,
        _floors(5, 1_000, ("lost proposals", 1_000)),
        recovery_ms_max=30_000,
        is_capped=True,
        sizes=(4,),
        rarity=40,
    ),
    _scripted(repairs.hour_alone, _floors(7, 18_000, ("cut", 1_000)), rarity=10),
)
SCENARIOS: Final = {each.name: each for each in (*_DRAWN, *_SCRIPTED)}


@dataclass(frozen=True, slots=True)
class Liar:
    """An adversary: its index in the set and the name of its lie."""

    index: int
    lie: str


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided before a run begins. `liars`, or the `twins` whose keys run in two places, hold
    less than a third of the stake together. `has_rest`: the clients fall silent before the faults end, until
    the network has repaired itself. `chain` picks the order of leaders; `distances` are the wire's."""

    seed: int
    scenario: Scenario
    stakes: tuple[int, ...]
    liars: tuple[Liar, ...]
    twins: tuple[int, ...]
    chain: int
    distances: tuple[tuple[int, ...], ...]
    weather: Weather
    incidents: tuple[Incident, ...]
    faults_end_ms: int
    transaction_every_ms: int
    has_rest: bool
    epoch_blocks: int = LONG_EPOCH
    later_stakes: tuple[Stakes, ...] = ()

    @property
    def is_far(self) -> bool:
        """Whether one hop takes longer than the first delay of consensus allows for."""
        return self.weather == FAR

    @property
    def honest(self) -> tuple[int, ...]:
        """The indices of all but the adversaries."""
        lying = (*(liar.index for liar in self.liars), *self.twins)
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
    equal = (1,) * nodes
    stakes = equal if scenario.is_equal else random.choice(STAKES.get(nodes, (equal,)))
    liars = _draw_liars(random, scenario, stakes, seed)
    twice = tuple(sorted(random.sample(range(nodes), (nodes - 1) // 3))) if scenario.has_twins else ()
    lying = (*(liar.index for liar in liars), *twice)
    stage = Stage(random, nodes + len(twice), tuple(each for each in range(nodes) if each not in lying), seed)
    course = (scenario.script or partial(_drawn, scenario.families))(stage)
    chain = seed % 8 if course.chain is None else course.chain
    every_ms = random.choice((400, 700, 1_100))
    epoch_blocks, later = _draw_epochs(seed, scenario, stakes, lying)
    return Plan(
        seed=seed,
        scenario=scenario,
        stakes=stakes,
        liars=liars,
        twins=twice,
        chain=chain,
        distances=course.distances,
        weather=course.weather,
        incidents=course.incidents,
        faults_end_ms=course.end_ms,
        transaction_every_ms=every_ms,
        has_rest=course.has_rest,
        epoch_blocks=epoch_blocks,
        later_stakes=later,
    )


def _draw_epochs(
    seed: int, scenario: Scenario, stakes: Stakes, lying: tuple[int, ...]
) -> tuple[int, tuple[Stakes, ...]]:
    """Long epochs, or short ones whose sets differ unless a plot counts heads."""
    random = Random(f"{seed}/{len(stakes)}/{scenario.name}/turns")
    if random.random() >= scenario.turns:
        return LONG_EPOCH, ()
    later = () if scenario.is_equal else draw_turns(random, stakes, lying)
    return draw_epoch_blocks(random), later


def _drawn(families: tuple[Family, ...], stage: Stage) -> Course:
    """Incidents by dice."""
    random = stage.random
    if not families:
        return Course((), CALM_MS)
    end_ms = random.choices(FAULTS_MS, FAULTS_MS_WEIGHTS)[0]
    incidents = draw_incidents(random, families, stage.places, stage.honest, end_ms)
    weather = random.choices((NEAR, APART, FAR), (12, 6, 2))[0]
    # Cuts and storms over a chain that rests hit nothing: one at least begins while clients speak.
    felt_ms = end_ms * REST_PERCENT // 100 - FELT_MS
    is_felt = any(not isinstance(each.what, Storm | Cut) or each.at_ms <= felt_ms for each in incidents)
    return Course(incidents, end_ms, weather, has_rest=random.random() < 0.4 and is_felt)
