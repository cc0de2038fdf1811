"""Seats: the organisations that decide together, one vote each, whatever their stake.

Source: docs/spec/governance.md, rules G1-G3.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.members import ORGANISATIONS
from ledger.state import Overlay, StateView, Table
from ledger.types import Name

NAMESPACE: Final = "governance"
SEATS_MAX: Final = 256  # so that a ballot with every vote on it stays a small record


class Seats(Canonical):
    """The organisations that have a seat, ascending."""

    organisations: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=SEATS_MAX)]


SEATS: Final = Table(NAMESPACE, b"seats", Seats)  # one record, key: empty
NEXT_SEATS: Final = Table(NAMESPACE, b"next-seats", Seats)  # absent where nothing was decided


def found_seats(state: Overlay, organisations: Iterable[str]) -> None:
    """Give each organisation of the genesis a seat.

    Raises:
        LedgerError: `seats.too_many`.
    """
    seated = tuple(sorted(organisations))
    _check_number(len(seated))
    SEATS.put(state, b"", Seats(seated))


def seats(state: StateView) -> tuple[str, ...]:
    """Who has a seat in this epoch, ascending."""
    seated = SEATS.get(state, b"")
    assert seated is not None, "genesis seats its organisations"
    return seated.organisations


def next_seats(state: StateView) -> tuple[str, ...]:
    """Who will have a seat from the next turn on, as far as it is decided."""
    chosen = NEXT_SEATS.get(state, b"")
    return chosen.organisations if chosen else seats(state)


def add_seat(state: Overlay, organisation: str) -> None:
    """Let a member decide with the others from the next epoch on.

    Raises:
        LedgerError: `organisation.unknown`, `seat.exists`, `seats.too_many`.
    """
    if ORGANISATIONS.get(state, organisation.encode()) is None:
        raise LedgerError("organisation.unknown", f"{organisation} is no member", "/organisation")
    seated = next_seats(state)
    if organisation in seated:
        raise LedgerError("seat.exists", f"{organisation} has a seat, or will have one", "/organisation")
    _check_number(len(seated) + 1)
    place = bisect_left(seated, organisation)
    NEXT_SEATS.put(state, b"", Seats((*seated[:place], organisation, *seated[place:])))


def remove_seat(state: Overlay, organisation: str) -> None:
    """Let a member decide no more from the next epoch on; it stays a member.

    Raises:
        LedgerError: `seat.unknown`, `seats.last`.
    """
    seated = next_seats(state)
    if organisation not in seated:
        raise LedgerError("seat.unknown", f"{organisation} will have no seat anyway", "/organisation")
    if len(seated) == 1:
        raise LedgerError("seats.last", "somebody must be able to decide", "/organisation")
    NEXT_SEATS.put(state, b"", Seats(tuple(each for each in seated if each != organisation)))


def turn_seats(state: Overlay) -> bool:
    """Seat those that were chosen for the epoch that begins; whether there were any."""
    chosen = NEXT_SEATS.get(state, b"")
    if chosen is None:
        return False
    NEXT_SEATS.delete(state, b"")
    SEATS.put(state, b"", chosen)
    return True


def _check_number(number: int) -> None:
    if number > SEATS_MAX:
        raise LedgerError("seats.too_many", f"{number} seats, at most {SEATS_MAX} are allowed")
