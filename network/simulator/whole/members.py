"""Who takes part changes: sites that only follow, one that joins later, and what the organisations decide.

Drawn from the seed before the run begins: which site follows, whom the organisations register, admit, weigh
otherwise and remove, and who says no.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final

from network.simulator.whole.founding import UNITS
from network.simulator.whole.incidents import Crash, Cut, Incident
from network.simulator.whole.site import Death
from network.simulator.whole.wire import Link
from network.testnet.members import ORGANISATIONS

FOLLOWERS: Final = 2  # sites without stake: one of the genesis, and behind it one that joins later
AWAY_MS_MIN: Final = 2_000  # long enough for some blocks
NOES_MAX: Final = (len(ORGANISATIONS) - 1) // 3  # so many may say no to what is carried all the same


class Aim(Enum):
    """What an organisation, or all of them together, want."""

    REGISTER = "register"  # a node that may connect from then on
    ADMIT = "admit"
    WEIGH = "weigh"
    REMOVE = "remove"
    BOND = "bond"
    UNBOND = "unbond"


@dataclass(frozen=True, slots=True)
class Step:
    """One decision about a site. `noes`: how many organisations say no, where it takes a ballot."""

    aim: Aim
    site: int
    units: int = 0
    noes: int = 0


@dataclass(frozen=True, slots=True)
class Agenda:
    """What is decided while faults go on, and what when all is well again."""

    amid_faults: tuple[Step, ...] = ()
    afterwards: tuple[Step, ...] = ()


NOTHING: Final = Agenda()


def draw_agenda(
    random: Random, stakes: tuple[int, ...], liar: int | None, *, has_ballots: bool
) -> Agenda:  # fmt: skip
    """A site joins. With ballots: it or its fellow is admitted, others weigh more or less, one has to go."""
    follower, late = len(stakes), len(stakes) + 1
    register = Step(Aim.REGISTER, late)
    if not has_ballots:
        return Agenda((register,))
    new = random.choice((follower, late))
    units = random.choice((UNITS // 2, UNITS, 2 * UNITS))
    admit = Step(Aim.ADMIT, new, units, random.randint(0, NOES_MAX))
    weigh = _draw_weight(random, stakes, liar)
    leaving = _draw_leaving(random, stakes, liar, new, weigh)
    middle = [
        weigh,
        Step(Aim.REMOVE, leaving, 0, random.randint(0, NOES_MAX)),
        Step(random.choice((Aim.BOND, Aim.UNBOND)), new, random.randint(1, 3)),
        Step(random.choice((Aim.REMOVE, Aim.WEIGH)), random.randrange(len(stakes)), 1, NOES_MAX + 1),
    ]
    random.shuffle(middle)
    back = random.choice((leaving, follower + late - new))
    return Agenda((register, admit, *middle), (Step(Aim.ADMIT, back, UNITS, random.randint(0, NOES_MAX)),))


def _draw_weight(random: Random, stakes: tuple[int, ...], liar: int | None) -> Step:
    """Somebody who votes weighs more, or loses less than leaves a third to the liar."""
    site = random.choice([index for index in range(len(stakes)) if index != liar])
    units = UNITS * stakes[site] * random.choice((70, 130, 150)) // 100
    lost = max(0, UNITS * stakes[site] - units)
    if liar is not None and not _is_below_a_third(stakes, liar, lost):
        units = UNITS * stakes[site] + UNITS // 2
    return Step(Aim.WEIGH, site, units, random.randint(0, NOES_MAX))


def _draw_leaving(
    random: Random, stakes: tuple[int, ...], liar: int | None, new: int, weigh: Step
) -> int:  # fmt: skip
    """Who is removed: whoever may go while a liar keeps less than a third, or else who has just come."""
    lost = max(0, UNITS * stakes[weigh.site] - weigh.units)
    may_go = [
        site
        for site, stake in enumerate(stakes)
        if site != liar
        and (
            liar is None
            or _is_below_a_third(stakes, liar, UNITS * stake + (0 if site == weigh.site else lost))
        )
    ]
    return random.choice([new, *may_go])


def _is_below_a_third(stakes: tuple[int, ...], liar: int, lost_units: int) -> bool:
    return 3 * UNITS * stakes[liar] < UNITS * sum(stakes) - lost_units


def draw_absence(random: Random, sites: int, follower: int, end_ms: int) -> Incident:
    """The follower is down, or hears nobody, for some blocks."""
    at_ms = random.randint(500, end_ms // 2)
    until_ms = min(end_ms - 1, at_ms + random.randint(AWAY_MS_MIN, 2 * AWAY_MS_MIN))
    if random.random() < 0.5:
        return Incident(at_ms, until_ms, Crash((follower,), random.choice(list(Death)), None, 1))
    return Incident(at_ms, until_ms, Cut(links_of(follower, range(sites)), "alone"))


def links_of(site: int, others: Iterable[int]) -> tuple[Link, ...]:
    """The links between a site and others, both ways."""
    pairs = (((site, other), (other, site)) for other in others if other != site)
    return tuple(link for pair in pairs for link in pair)
