"""Who signed: counted by the certificate that each block carries of its parent, settled at the turn.

A validator that signed too few certificates of an epoch was absent; absent so many epochs in a row, it is
jailed for a while: it keeps its units and loses its weight until its organisation asks for the way back.

Source: docs/spec/staking.md, rules K13-K16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from contracts.staking.records import (
    ATTENDANCE,
    SUPPLY_UNITS_MAX,
    Attendance,
    Bond,
    bonds,
    burn,
    hold,
    mint,
    record_bond,
    supply_units,
)
from ledger.genesis import StakingParameters
from ledger.state import Overlay, StateView
from ledger.validators import ValidatorSet

NOTHING: Final = Attendance(0, ())


@dataclass(frozen=True, slots=True)
class Judged:
    """A validator of the closing set: its bond, how many certificates it signed, whether that is too few."""

    bond: Bond
    signed: int
    is_absent: bool


def count(signers: Sequence[int], state: Overlay) -> None:
    """One more certificate, signed by the validators at these indices (ascending) of the set in force."""
    known = attendance(state)
    signed = list(known.signed) + [0] * (max(signers) + 1 - len(known.signed))
    for index in signers:
        signed[index] += 1
    ATTENDANCE.put(state, b"", Attendance(known.certificates + 1, tuple(signed)))


def attendance(state: StateView) -> Attendance:
    """What was counted in this epoch so far."""
    return ATTENDANCE.get(state, b"") or NOTHING


def signed_by(counted: Attendance, index: int) -> int:
    """How many of the counted certificates the validator at an index signed."""
    return counted.signed[index] if index < len(counted.signed) else 0


def settle(state: Overlay, closing: ValidatorSet, next_epoch: int, parameters: StakingParameters) -> None:
    """Reward who attended, jail who was away too long, and begin to count anew.

    An epoch with too few certificates says nothing about anybody.
    """
    counted = attendance(state)
    if counted.certificates >= parameters.attendance_certificates_min:
        judged = _judge(state, closing, counted, parameters)
        for each in judged:
            absences = each.bond.absences + 1 if each.is_absent else 0
            if absences != each.bond.absences:
                record_bond(state, msgspec.structs.replace(each.bond, absences=absences))
            if not each.is_absent:
                _reward(state, each.bond.organisation, parameters.reward_units)
        _jail(state, judged, next_epoch, parameters)
    ATTENDANCE.put(state, b"", NOTHING)


def _judge(
    state: StateView, closing: ValidatorSet, counted: Attendance, parameters: StakingParameters
) -> list[Judged]:
    """Each validator of the closing set that is not on its way out, in the order of the roll."""
    judged = []
    for bond in bonds(state):
        index = closing.index_of(bond.public_key)
        if index is not None and bond.wanted_units:
            signed = signed_by(counted, index)
            is_absent = 1000 * signed < parameters.attendance_min_permille * counted.certificates
            judged.append(Judged(bond, signed, is_absent))
    return judged


def _reward(state: Overlay, organisation: str, units: int) -> None:
    """New units for the organisation to hold, as far as the chain may have more."""
    new = min(units, SUPPLY_UNITS_MAX - supply_units(state))
    mint(state, new)
    hold(state, organisation, new)


def _jail(state: Overlay, judged: Sequence[Judged], next_epoch: int, parameters: StakingParameters) -> None:
    """Jail who was away too long, those that signed least first, but never a third of the stake in all.

    A chain that jailed everyone who is slow would hand itself to the few who are not.
    """
    everyone = list(bonds(state))
    total = sum(bond.bonded_units for bond in everyone)
    jailed = sum(bond.bonded_units for bond in everyone if bond.jailed_until)
    for each in sorted(judged, key=lambda each: (each.signed, each.bond.public_key)):
        absences = each.bond.absences + 1
        if not each.is_absent or absences < parameters.absence_epochs:
            continue
        if 3 * (jailed + each.bond.bonded_units) >= total:
            continue
        jailed += each.bond.bonded_units
        lost = each.bond.bonded_units * parameters.absence_penalty_permille // 1000
        burn(state, lost)
        record_bond(
            state,
            msgspec.structs.replace(
                each.bond,
                bonded_units=each.bond.bonded_units - lost,
                absences=absences,
                jailed_until=next_epoch + parameters.jail_epochs,
            ),
        )
