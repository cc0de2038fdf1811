"""The turn of an epoch: from bonds to the set that votes next, and units on their way back.

Source: docs/spec/staking.md, rules K6-K12 and K26.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from contracts import membership
from contracts.staking import attendance
from contracts.staking.records import (
    NEXT_PARAMETERS,
    Bond,
    Unbonding,
    bonds,
    forget_bond,
    hold,
    is_slashed,
    record_bond,
)
from contracts.staking.weights import Urgency, Wish, next_set
from ledger.epoch import EpochStart, parameters_in_force, validators_in_force
from ledger.genesis import Parameters, StakingParameters
from ledger.members import NodeRole
from ledger.state import Overlay, StateView
from ledger.validators import Validator, ValidatorSet


def end_epoch(following: EpochStart, state: Overlay) -> tuple[ValidatorSet, Parameters]:
    """Settle an epoch after its last transaction; answers what governs the following one. It can't refuse."""
    closing, parameters = validators_in_force(state), parameters_in_force(state)
    attendance.settle(state, closing, following.epoch, parameters.staking)
    validators = next_set(closing, wishes(state, closing))
    before = list(bonds(state))
    _let_go(state, validators, following.epoch, parameters.staking)
    _retire_nodes(state, validators, before)
    chosen = NEXT_PARAMETERS.get(state, b"")
    if chosen is not None:
        NEXT_PARAMETERS.delete(state, b"")
    return validators, chosen or parameters


def wishes(state: StateView, validators: ValidatorSet) -> list[Wish]:
    """The weight that each key on the roll should have, by ascending key."""
    return [_wish(state, validators, bond) for bond in bonds(state)]


def wanted_set(state: StateView) -> tuple[Validator, ...]:
    """Who votes once every wish has come true, by ascending key: what an endless row of turns leads to."""
    return tuple(
        Validator(bond.public_key, bond.wanted_units, bond.node) for bond in bonds(state) if bond.wanted_units
    )


def set_after(state: StateView) -> ValidatorSet:
    """The set of the next epoch if this one ended now and nobody were absent."""
    validators = validators_in_force(state)
    return next_set(validators, wishes(state, validators))


def _wish(state: StateView, validators: ValidatorSet, bond: Bond) -> Wish:
    if is_slashed(state, bond.public_key):
        urgency = Urgency.SLASHED
    elif bond.jailed_until:
        urgency = Urgency.JAILED
    else:
        urgency = Urgency.LESS if bond.wanted_units < weight_of(validators, bond) else Urgency.MORE
    return Wish(bond.public_key, bond.node, bond.wanted_units, urgency)


def weight_of(validators: ValidatorSet, bond: Bond) -> int:
    """The weight of a bond's key in a set."""
    index = validators.index_of(bond.public_key)
    return 0 if index is None else validators.stake(index)


def _let_go(state: Overlay, following: ValidatorSet, next_epoch: int, parameters: StakingParameters) -> None:
    """Units whose weight has left begin to unbond; units whose time is over go back to their organisation.

    What is left with no unit and no weight, and may not come back by itself, goes off the roll.
    """
    for bond in list(bonds(state)):
        weight = weight_of(following, bond)
        after = _unbonded(bond, weight, next_epoch + parameters.unbonding_epochs)
        due = sum(each.units for each in after.unbonding if each.release_epoch <= next_epoch)
        if due:
            hold(state, bond.organisation, due)
            kept = tuple(each for each in after.unbonding if each.release_epoch > next_epoch)
            after = msgspec.structs.replace(after, unbonding=kept)
        if not after.is_admitted and not after.units and not weight:
            forget_bond(state, after)
        elif after != bond:
            record_bond(state, after)


def _unbonded(bond: Bond, weight: int, release_epoch: int) -> Bond:
    """The bond after its weight became this: what was leaving and backs none of it any more unbonds."""
    backing = min(bond.leaving_units, max(0, weight - bond.bonded_units))
    gone = bond.leaving_units - backing
    if not gone:
        return bond
    unbonding = (*bond.unbonding, Unbonding(release_epoch, gone))
    return msgspec.structs.replace(bond, leaving_units=backing, unbonding=unbonding)


def _retire_nodes(state: Overlay, following: ValidatorSet, before: Sequence[Bond]) -> None:
    """A node whose every key has lost its weight for good follows the chain as an observer."""
    voting = {validator.node for validator in following.validators}
    admitted = {bond.node for bond in bonds(state) if bond.is_admitted}
    for bond in before:
        if bond.node not in voting and bond.node not in admitted:
            membership.set_node_role(state, bond.node, NodeRole.OBSERVER)
