"""How long the epochs of a run are, and who votes in each: drawn from the seed before the run begins.

A set changes by less than a third of its stake at a turn, and liars keep their stake below a third
of every set, as on a real chain. Who leaves follows as an observer, and may come back.
"""

from __future__ import annotations

from random import Random
from typing import Final

LONG_EPOCH: Final = 1_000  # longer than any run
EPOCH_BLOCKS: Final = (2, 3, 4, 6, 9)
TURNS: Final = 8  # sets that differ; the last one stays
ATTEMPTS: Final = 8  # to find a change that is allowed; else the set stays as it is
MEMBERS_MIN: Final = 3
STAKE_MAX: Final = 5

Stakes = tuple[int, ...]  # of every node; 0: not in the set


def draw_epoch_blocks(random: Random) -> int:
    """Short epochs, so that a run sees many turns."""
    return random.choice(EPOCH_BLOCKS)


def draw_turns(random: Random, stakes: Stakes, lying: tuple[int, ...]) -> tuple[Stakes, ...]:
    """The stakes of the epochs that follow the first."""
    later: list[Stakes] = []
    for _ in range(TURNS):
        before = later[-1] if later else stakes
        changes = (_changed(random, before, lying) for _ in range(ATTEMPTS))
        later.append(next((after for after in changes if _is_allowed(before, after, lying)), before))
    return tuple(later)


def _changed(random: Random, before: Stakes, lying: tuple[int, ...]) -> Stakes:
    """One or two honest nodes leave, come back, or get another weight."""
    after = list(before)
    honest = [node for node in range(len(before)) if node not in lying]
    for node in random.sample(honest, random.choice((1, 1, 2))):
        choices = [0, max(1, after[node] - 1), min(STAKE_MAX, after[node] + 1)]
        after[node] = random.choice(choices) if after[node] else random.randint(1, 2)
    return tuple(after)


def _is_allowed(before: Stakes, after: Stakes, lying: tuple[int, ...]) -> bool:
    moved = sum(abs(new - old) for new, old in zip(after, before, strict=True))
    held = sum(after[node] for node in lying)
    return (
        3 * moved < sum(before) and 3 * held < sum(after) and sum(stake > 0 for stake in after) >= MEMBERS_MIN
    )
