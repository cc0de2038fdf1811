"""How each validator stands: its weight now and next, its units, its attendance. Reads only.

Source: docs/spec/staking.md, rule K26.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from contracts.staking.attendance import attendance, signed_by
from contracts.staking.records import Bond, bonds, is_slashed
from contracts.staking.turn import set_after, weight_of
from ledger.epoch import validators_in_force
from ledger.state import StateView


class Status(StrEnum):
    """What a validator is at this moment; the first that fits."""

    SLASHED = "slashed"  # proved guilty: it never votes again
    JAILED = "jailed"  # away too long; `jailed_until` says when it may come back
    LEAVING = "leaving"  # wants no weight: its organisation or the consortium takes it out
    JOINING = "joining"  # wants weight and has none yet
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Standing:
    """One key on the roll. `index` is None where it is not in the set; `signed` counts in this epoch."""

    bond: Bond
    index: int | None
    stake: int
    next_stake: int
    signed: int
    status: Status


def standings(state: StateView) -> tuple[Standing, ...]:
    """Every key on the roll: first the set in its order, then the others by ascending key.

    `next_stake` is what the next turn would give if it came now and nobody were absent.
    """
    found = sorted(_standings(state), key=lambda each: (each.index is None, each.index or 0))
    return tuple(found)


def _standings(state: StateView) -> Iterator[Standing]:
    validators, following, counted = validators_in_force(state), set_after(state), attendance(state)
    for bond in bonds(state):
        index = validators.index_of(bond.public_key)
        stake = weight_of(validators, bond)
        signed = 0 if index is None else signed_by(counted, index)
        status = _status(state, bond, stake)
        yield Standing(bond, index, stake, weight_of(following, bond), signed, status)


def _status(state: StateView, bond: Bond, stake: int) -> Status:
    if is_slashed(state, bond.public_key):
        return Status.SLASHED
    if bond.jailed_until:
        return Status.JAILED
    if not bond.wanted_units:
        return Status.LEAVING
    return Status.ACTIVE if stake else Status.JOINING
