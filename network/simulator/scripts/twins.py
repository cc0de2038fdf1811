"""Twins: one key runs in two places, each honest by itself, and partitions come by view.

Every partition of the places into at most PARTS groups, for each of ROUNDS views in turn, under each
order of leaders, is one scenario of a long numbered list; a seed names one of them. A stride that
shares no factor with the length of the list visits each before any comes again.

Source: Bano, Sonnino et al., "Twins: BFT Systems Made Robust" (2020).
"""

from __future__ import annotations

from functools import cache
from typing import Final

from network.simulator.faults import Sift
from network.simulator.scripts.course import Course, Stage, during
from network.simulator.sieve import ViewCuts

ROUNDS: Final = 6
LEADER_ORDERS: Final = 16
PARTS: Final = {5: 3, 9: 2}  # groups at most, by the number of places: 41 and 256 partitions
STRIDE: Final = (1 << 61) - 1  # prime
LASTS_MS: Final = (8_000, 20_000)


@cache
def partitions(places: int, parts: int) -> tuple[tuple[int, ...], ...]:
    """Every way to put the places into at most so many groups, each written once: groups are numbered in the
    order of their first member."""
    rows: list[tuple[int, ...]] = [()]
    for _ in range(places):
        rows = [(*row, group) for row in rows for group in range(min(parts, max(row, default=-1) + 2))]
    return tuple(rows)


def scenarios(places: int) -> int:
    """How many scenarios there are for so many places."""
    return int(len(partitions(places, PARTS.get(places, 2))) ** ROUNDS) * LEADER_ORDERS


def scenario_number(seed: int, places: int) -> int:
    """Which of them a seed stands for; no two seeds below their number stand for one."""
    return (seed + 1) * STRIDE % scenarios(places)


def twins(stage: Stage) -> Course:
    """Both twins talk to all; statements about a view stay in their part of the places."""
    number = scenario_number(stage.seed, stage.places)
    rows = partitions(stage.places, PARTS.get(stage.places, 2))
    number, chain = divmod(number, LEADER_ORDERS)
    groups = []
    for _ in range(ROUNDS):
        number, row = divmod(number, len(rows))
        groups.append(rows[row])
    end_ms = stage.random.choice(LASTS_MS)
    cuts = Sift("view partition", ViewCuts(tuple(groups)))
    return Course((during(300, end_ms, cuts),), end_ms + 200, chain=chain)
