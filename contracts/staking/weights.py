"""From the weights that are to the weights that should be, by less than a third of the stake at a time.

So the sets on both sides of a turn share more than two thirds of their stake: no single turn, however
the ballots went, hands the chain to strangers. What does not fit waits, and a large change takes several.

Source: docs/spec/staking.md, rules K6-K9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from ledger.validators import Validator, ValidatorSet


class Urgency(IntEnum):
    """Which changes come first where not all of them fit."""

    SLASHED = 0
    JAILED = 1
    LESS = 2
    MORE = 3


@dataclass(frozen=True, slots=True)
class Wish:
    """The weight that a key should have; `units` 0: none."""

    public_key: bytes
    node: str
    units: int
    urgency: Urgency


def budget_units(validators: ValidatorSet) -> int:
    """How much stake may move at one turn: the most that is less than a third."""
    return (validators.total_stake - 1) // 3


def next_set(current: ValidatorSet, wishes: Sequence[Wish]) -> ValidatorSet:
    """The set that follows `current`: as many of the wishes as the budget allows, one of them partly.

    Who stays keeps its place; who is new comes behind, by key. It can't become empty: more than two
    thirds of the stake stay.
    """
    weights = {validator.public_key: validator.stake for validator in current.validators}
    nodes = {validator.public_key: validator.node for validator in current.validators}
    left = budget_units(current)
    for wish in sorted(wishes, key=lambda wish: (wish.urgency, wish.public_key)):
        has = weights.get(wish.public_key, 0)
        moved = min(abs(wish.units - has), left)
        left -= moved
        weights[wish.public_key] = has + moved if wish.units > has else has - moved
        nodes.setdefault(wish.public_key, wish.node)
    return ValidatorSet(tuple(Validator(key, units, nodes[key]) for key, units in weights.items() if units))
