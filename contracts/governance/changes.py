"""What a ballot can change: eight kinds, each carried out by one function that knows its rules.

Source: docs/spec/governance.md, rules G12-G18.
"""

from __future__ import annotations

from typing import Annotated, Final, assert_never

from msgspec import Meta

from contracts.governance.seats import add_seat, remove_seat
from contracts.governance.settings import Settings, with_settings
from contracts.possession import check_possession
from contracts.staking import granting
from contracts.staking.records import NEXT_PARAMETERS
from ledger.codec import Canonical
from ledger.epoch import parameters_in_force
from ledger.state import Overlay
from ledger.types import STAKE_MAX, Bytes32, Bytes64, ChainId, Name, StakeUnits

SomeUnits = Annotated[int, Meta(ge=1, le=STAKE_MAX)]


class AdmitValidator(Canonical, tag="admit_validator"):
    """A key on a member's node validates, with new units behind it. `proof`: see `contracts.possession`."""

    organisation: Name
    node: Name
    public_key: Bytes32
    proof: Bytes64
    units: StakeUnits


class SetWeight(Canonical, tag="set_weight"):
    """A validator has so many units behind it: more are granted, fewer go back to its organisation."""

    public_key: Bytes32
    units: StakeUnits


class RemoveValidator(Canonical, tag="remove_validator"):
    """A validator votes no more; its units go back to its organisation after the delay."""

    public_key: Bytes32


class GrantUnits(Canonical, tag="grant_units"):
    """A member holds new units, which it may bond behind a validator of its own."""

    organisation: Name
    units: SomeUnits


class WithdrawUnits(Canonical, tag="withdraw_units"):
    """Units that a member holds, and has not bonded, leave the chain."""

    organisation: Name
    units: SomeUnits


class ChangeParameters(Canonical, tag="change_parameters"):
    """The chain runs under other parameters; those that are not named stay as they are."""

    settings: Settings


class AddSeat(Canonical, tag="add_seat"):
    """A member decides with the others."""

    organisation: Name


class RemoveSeat(Canonical, tag="remove_seat"):
    """A member decides no more; it stays a member."""

    organisation: Name


Change = (
    AdmitValidator
    | SetWeight
    | RemoveValidator
    | GrantUnits
    | WithdrawUnits
    | ChangeParameters
    | AddSeat
    | RemoveSeat
)
CHANGE_BYTES_MAX: Final = 3072  # all settings with the longest names and values are 2,400


def check_change(change: Change, chain_id: ChainId, state: Overlay) -> None:
    """Refuse what could not be carried out if it were decided now; `state` is thrown away.

    Raises:
        LedgerError: `key.invalid`, `key.no_proof`, and as `carry_out`.
    """
    if isinstance(change, AdmitValidator):
        check_possession(change.public_key, chain_id, change.organisation, change.proof)
    carry_out(change, state)


def carry_out(change: Change, state: Overlay) -> None:
    """Do what was decided; it takes effect when the epoch turns.

    Raises:
        LedgerError: what the change's own rules refuse; the caller drops `state`.
    """
    match change:
        case AdmitValidator():
            granting.admit(state, change.organisation, change.node, change.public_key, change.units)
        case SetWeight():
            granting.set_weight(state, change.public_key, change.units)
        case RemoveValidator():
            granting.remove(state, change.public_key)
        case GrantUnits():
            granting.grant(state, change.organisation, change.units)
        case WithdrawUnits():
            granting.withdraw(state, change.organisation, change.units)
        case ChangeParameters():
            chosen = NEXT_PARAMETERS.get(state, b"") or parameters_in_force(state)
            granting.choose_parameters(state, with_settings(chosen, change.settings))
        case AddSeat():
            add_seat(state, change.organisation)
        case RemoveSeat():
            remove_seat(state, change.organisation)
        case _:
            assert_never(change)
