"""The records of stake: what stands behind each validator's key, what organisations hold, who signed what.

Every unit is in one place: held by an organisation, bonded, leaving or unbonding behind a key. `SUPPLY`
is the sum of them all, and only grants, rewards and penalties change it.

Source: docs/spec/staking.md, rules K1-K3.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical
from ledger.epoch import validators_in_force
from ledger.errors import LedgerError
from ledger.genesis import Parameters
from ledger.state import Overlay, StateView, Table
from ledger.types import EPOCHS_KEPT_MAX, HEIGHT_MAX, STAKE_MAX, VALIDATORS_MAX, Bytes32, Counter, Name
from ledger.validators import Validator

NAMESPACE: Final = "staking"
SUPPLY_UNITS_MAX: Final = HEIGHT_MAX  # of one chain: every sum of units stays exact in JSON


class Unbonding(Canonical):
    """Units that have left the set and are slashable until the turn into `release_epoch`."""

    release_epoch: Counter
    units: Counter


class Bond(Canonical):
    """What stands behind one validator's key. `node` holds the key, `organisation` owns the units.

    `leaving_units` were asked back and stand in the weight of the set until a turn takes them out.
    `jailed_until` is the epoch from which the organisation may ask for the way back; 0: not jailed.
    """

    public_key: Bytes32
    organisation: Name
    node: Name
    is_admitted: bool  # False once the consortium has removed it or it was slashed
    bonded_units: Counter
    leaving_units: Counter
    unbonding: Annotated[tuple[Unbonding, ...], Meta(max_length=EPOCHS_KEPT_MAX + 1)]  # oldest first
    absences: Counter  # epochs in a row
    jailed_until: Counter

    @property
    def wanted_units(self) -> int:
        """The weight that it should have in the set."""
        return 0 if self.jailed_until else self.bonded_units

    @property
    def units(self) -> int:
        """Everything that a penalty reaches."""
        return self.bonded_units + self.leaving_units + sum(each.units for each in self.unbonding)


class Roll(Canonical):
    """The keys of every bond, ascending."""

    public_keys: Annotated[tuple[Bytes32, ...], Meta(max_length=VALIDATORS_MAX)]


class Units(Canonical):
    """So many units."""

    units: Counter


class Offences(Canonical):
    """A key that signed against the rules. It never votes again; the record is kept for ever.

    `epochs` are those whose evidence was counted, ascending, as far as evidence of them is admitted still.
    """

    public_key: Bytes32
    node: Name  # that held the key
    epochs: Annotated[tuple[Counter, ...], Meta(max_length=EPOCHS_KEPT_MAX + 1)]
    first_evidence: Bytes32  # its id
    first_height: Counter  # where it was reported
    burned_units: Counter  # by all of them


class Offender(Canonical):
    """One entry of the list of slashed keys."""

    public_key: Bytes32


class Count(Canonical):
    """How many entries a list has; they are numbered from 0."""

    entries: Counter


class Attendance(Canonical):
    """How many certificates of this epoch were counted, and how many each validator signed, by index."""

    certificates: Counter
    signed: Annotated[tuple[Counter, ...], Meta(max_length=VALIDATORS_MAX)]


BONDS: Final = Table(NAMESPACE, b"bond", Bond)  # key: public key
ROLL: Final = Table(NAMESPACE, b"roll", Roll)  # one record, key: empty
HOLDINGS: Final = Table(NAMESPACE, b"held", Units)  # key: organisation; absent: none
SUPPLY: Final = Table(NAMESPACE, b"supply", Units)  # one record, key: empty
OFFENCES: Final = Table(NAMESPACE, b"offences", Offences)  # key: public key
OFFENDER_COUNT: Final = Table(NAMESPACE, b"offender-count", Count)  # one record, key: empty
OFFENDERS: Final = Table(NAMESPACE, b"offender", Offender)  # key: number, 4 bytes
ATTENDANCE: Final = Table(NAMESPACE, b"attendance", Attendance)  # one record, key: empty
NEXT_PARAMETERS: Final = Table(NAMESPACE, b"parameters", Parameters)  # absent where none were chosen


# --- bonds ----------------------------------------------------------------------


def bonds(state: StateView) -> Iterator[Bond]:
    """Every bond on the roll, by ascending key."""
    for public_key in _roll(state):
        bond = BONDS.get(state, public_key)
        assert bond is not None, "the roll lists bonds"
        yield bond


def record_bond(state: Overlay, bond: Bond) -> None:
    """Write a bond, new or changed.

    Raises:
        LedgerError: `validators.too_many`, `validators.stake`.
    """
    if bond.bonded_units > STAKE_MAX:
        raise LedgerError("validators.stake", f"{bond.bonded_units} units, at most {STAKE_MAX} are allowed")
    listed = _roll(state)
    place = bisect_left(listed, bond.public_key)
    if listed[place : place + 1] != (bond.public_key,):
        if len(listed) == VALIDATORS_MAX:
            raise LedgerError("validators.too_many", f"the roll has {VALIDATORS_MAX}, the most allowed")
        ROLL.put(state, b"", Roll((*listed[:place], bond.public_key, *listed[place:])))
    BONDS.put(state, bond.public_key, bond)


def found_bond(state: Overlay, validator: Validator, organisation: str) -> None:
    """Bond what genesis assigns to a validator on a node of this organisation.

    Raises:
        LedgerError: `units.too_many`.
    """
    mint(state, validator.stake)
    units, key = validator.stake, validator.public_key
    record_bond(state, Bond(key, organisation, validator.node, True, units, 0, (), 0, 0))


def forget_bond(state: Overlay, bond: Bond) -> None:
    """Take a bond without units off the roll."""
    assert not bond.units, "units don't vanish"
    BONDS.delete(state, bond.public_key)
    ROLL.put(state, b"", Roll(tuple(each for each in _roll(state) if each != bond.public_key)))


def is_slashed(state: StateView, public_key: bytes) -> bool:
    """Whether the key was ever proved guilty: then it never votes again."""
    return OFFENCES.get(state, public_key) is not None


def record_offences(state: Overlay, record: Offences) -> None:
    """Write what a key did; the first time it goes on the list, for ever."""
    if not is_slashed(state, record.public_key):
        number = _offenders(state)
        OFFENDERS.put(state, number.to_bytes(4, "big"), Offender(record.public_key))
        OFFENDER_COUNT.put(state, b"", Count(number + 1))
    OFFENCES.put(state, record.public_key, record)


def offences(state: StateView) -> tuple[Offences, ...]:
    """The last keys that were slashed, the latest first, at most as many as vote in a full set."""
    end = _offenders(state)
    numbers = range(end - 1, max(end - VALIDATORS_MAX, 0) - 1, -1)
    names = (OFFENDERS.get(state, number.to_bytes(4, "big")) for number in numbers)
    records = (OFFENCES.get(state, name.public_key) for name in names if name is not None)
    return tuple(record for record in records if record is not None)


def _offenders(state: StateView) -> int:
    count = OFFENDER_COUNT.get(state, b"")
    return count.entries if count else 0


def is_validating(state: StateView, node: str) -> bool:
    """Whether a key on the node of this name votes, or may from the next turn on."""
    return any(bond.is_admitted and bond.node == node for bond in bonds(state)) or any(
        validator.node == node for validator in validators_in_force(state).validators
    )


def _roll(state: StateView) -> tuple[bytes, ...]:
    listed = ROLL.get(state, b"")
    return listed.public_keys if listed else ()


# --- units ----------------------------------------------------------------------


def held_units(state: StateView, organisation: str) -> int:
    """What an organisation holds and may bond."""
    held = HOLDINGS.get(state, organisation.encode())
    return held.units if held else 0


def hold(state: Overlay, organisation: str, units: int) -> None:
    """Add units to what an organisation holds."""
    if units:
        HOLDINGS.put(state, organisation.encode(), Units(held_units(state, organisation) + units))


def take(state: Overlay, organisation: str, units: int) -> None:
    """Take units from what an organisation holds.

    Raises:
        LedgerError: `units.too_few`.
    """
    held = held_units(state, organisation)
    if units > held:
        raise LedgerError("units.too_few", f"{organisation} holds {held} units", "/units")
    HOLDINGS.put(state, organisation.encode(), Units(held - units))


def supply_units(state: StateView) -> int:
    """All units of the chain."""
    supply = SUPPLY.get(state, b"")
    return supply.units if supply else 0


def mint(state: Overlay, units: int) -> None:
    """Count new units; the caller puts them into one place.

    Raises:
        LedgerError: `units.too_many`.
    """
    if not units:
        return
    supply = supply_units(state) + units
    if supply > SUPPLY_UNITS_MAX:
        raise LedgerError("units.too_many", f"{supply} units, at most {SUPPLY_UNITS_MAX} are allowed")
    SUPPLY.put(state, b"", Units(supply))


def burn(state: Overlay, units: int) -> None:
    """Count units out that the caller has taken from their place."""
    if units:
        SUPPLY.put(state, b"", Units(supply_units(state) - units))
