"""What an organisation does with its own stake: bond, unbond, and ask for the way back from jail.

An admin acts for the validators on its own organisation's nodes. Everything takes effect at the next turn.

Source: docs/spec/staking.md, rules K4, K5 and K16.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.method import Method
from contracts.staking.records import BONDS, Bond, bonds, is_slashed, record_bond, take
from ledger.codec import Canonical, encode
from ledger.epoch import epoch_in_force
from ledger.errors import LedgerError
from ledger.members import Role
from ledger.receipt import Status
from ledger.state import Overlay, StateView
from ledger.transition import Call, Outcome
from ledger.types import STAKE_MAX, Bytes32

CONTRACT: Final = "staking"

SomeUnits = Annotated[int, Meta(ge=1, le=STAKE_MAX)]


class BondUnits(Canonical):
    """Units that the sender's organisation holds, to stand behind one of its validators."""

    public_key: Bytes32
    units: SomeUnits


class UnbondUnits(Canonical):
    """Units behind a validator of the sender's organisation that it wants back."""

    public_key: Bytes32
    units: SomeUnits


class Unjail(Canonical):
    """A validator of the sender's organisation that was away and is there again."""

    public_key: Bytes32


def bond(call: Call, arguments: BondUnits, state: Overlay) -> Outcome:
    """Put units that the sender's organisation holds behind one of its validators.

    Raises:
        LedgerError: `validator.unknown` (also another organisation's), `validator.slashed`,
            `validator.removed`, `units.too_few`, `validators.stake`.
    """
    known = _own(call, state, arguments.public_key)
    check_admitted(state, known)

    take(state, known.organisation, arguments.units)
    changed = msgspec.structs.replace(known, bonded_units=known.bonded_units + arguments.units)
    record_bond(state, changed)

    return accepted(changed)


def unbond(call: Call, arguments: UnbondUnits, state: Overlay) -> Outcome:
    """Ask for units back: they leave the set at the next turns and are slashable until the delay is over.

    Raises:
        LedgerError: `validator.unknown` (also another organisation's), `units.too_few`, `validators.empty`.
    """
    known = _own(call, state, arguments.public_key)

    if arguments.units > known.bonded_units:
        raise LedgerError("units.too_few", f"{known.bonded_units} units are bonded", "/units")
    changed = withdrawn(known, arguments.units)
    check_somebody_votes(state, changed)

    record_bond(state, changed)

    return accepted(changed)


def unjail(call: Call, arguments: Unjail, state: Overlay) -> Outcome:
    """Let a validator that was jailed for absence vote again from the next turn on.

    Raises:
        LedgerError: `validator.unknown` (also another organisation's), `validator.slashed`,
            `validator.not_jailed`, `validator.jailed` where its time is not over.
    """
    known = _own(call, state, arguments.public_key)
    check_admitted(state, known)

    if not known.jailed_until:
        raise LedgerError("validator.not_jailed", "it votes already", "/public_key")
    epoch = epoch_in_force(state).epoch
    if epoch < known.jailed_until:
        message = f"in epoch {epoch}; from epoch {known.jailed_until} on it may come back"
        raise LedgerError("validator.jailed", message, "/public_key")

    changed = msgspec.structs.replace(known, jailed_until=0, absences=0)
    record_bond(state, changed)

    return accepted(changed)


def withdrawn(known: Bond, units: int) -> Bond:
    """The bond after so many of its bonded units were asked back."""
    return msgspec.structs.replace(
        known, bonded_units=known.bonded_units - units, leaving_units=known.leaving_units + units
    )


def check_admitted(state: StateView, known: Bond) -> None:
    """Refuse a validator that may not vote any more.

    Raises:
        LedgerError: `validator.slashed`, `validator.removed`.
    """
    check_not_slashed(state, known.public_key)
    if not known.is_admitted:
        raise LedgerError("validator.removed", "the consortium has removed it", "/public_key")


def check_not_slashed(state: StateView, public_key: bytes) -> None:
    """Refuse a key that was ever proved guilty.

    Raises:
        LedgerError: `validator.slashed`.
    """
    if is_slashed(state, public_key):
        message = "it signed against the rules and never votes again"
        raise LedgerError("validator.slashed", message, "/public_key")


def check_somebody_votes(state: StateView, changed: Bond) -> None:
    """Refuse a change after which nobody would have weight.

    Raises:
        LedgerError: `validators.empty`.
    """
    others = (each.wanted_units for each in bonds(state) if each.public_key != changed.public_key)
    if not changed.wanted_units and not any(others):
        raise LedgerError("validators.empty", "a chain needs at least one validator", "/units")


def accepted(record: Canonical) -> Outcome:
    """The changed record is the answer."""
    return Outcome(Status.ACCEPTED, encode(record))


def _own(call: Call, state: StateView, public_key: bytes) -> Bond:
    known = BONDS.get(state, public_key)
    if known is None or known.organisation != call.sender.organisation:
        raise LedgerError("validator.unknown", "not a validator of your organisation", "/public_key")
    return known


METHODS: Final = (
    Method(CONTRACT, "bond", BondUnits, (Role.ADMIN,), bond),
    Method(CONTRACT, "unbond", UnbondUnits, (Role.ADMIN,), unbond),
    Method(CONTRACT, "unjail", Unjail, (Role.ADMIN,), unjail),
)
