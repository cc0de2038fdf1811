"""Ballots: their records, how votes are counted, and what ends one.

Only votes of organisations that have a seat now count, against the seats that there are now: who loses its
seat loses its votes on everything that is open.

Source: docs/spec/governance.md, rules G4-G11.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.governance.changes import Change, carry_out
from contracts.governance.seats import NAMESPACE, SEATS_MAX, seats
from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.members import TITLE_LENGTH_MAX
from ledger.state import Overlay, StateView, Table
from ledger.types import Code, Counter, Name

OPEN_MAX: Final = 256  # on the whole chain: all are counted again when the epoch turns
OPEN_BY_ONE_MAX: Final = 3  # filling the chain takes 86 seats, a third of the most: they could reject it all
BALLOT_MS_MAX: Final = 90 * 86_400_000  # how long one may stay open

Names = Annotated[tuple[Name, ...], Meta(max_length=SEATS_MAX)]
Reason = Annotated[str, Meta(max_length=TITLE_LENGTH_MAX)]


class BallotStatus(Enum):
    """Where a ballot stands. All but the first are for ever."""

    OPEN = "open"
    ENACTED = "enacted"  # carried and done; it takes effect at the next turn
    REJECTED = "rejected"  # so many said no that it can't be carried any more
    EXPIRED = "expired"
    RETRACTED = "retracted"  # by the organisation that proposed it
    FAILED = "failed"  # carried, but its change had become impossible: `code` says why


class Ballot(Canonical):
    """One change, and who said what.

    Args:
        number: counted from 1.
        proposer: the organisation; its vote is the first yes.
        reason: for people.
        closes_ms: block time from which on no vote is taken.
        yes, no: organisations that had a seat when it was last counted, in the order in which they voted.
        seats: how many there were then.
        settled_height: the block that ended it; 0 while it is open.
        code, pointer: why a carried change failed, else "".
    """

    number: Counter
    proposer: Name
    reason: Reason
    change: Change
    opened_height: Counter
    closes_ms: Counter
    yes: Names
    no: Names
    seats: Counter
    status: BallotStatus
    settled_height: Counter
    code: Code
    pointer: str

    @property
    def is_carried(self) -> bool:
        """Whether more than two thirds of all seats said yes."""
        return 3 * len(self.yes) > 2 * self.seats

    @property
    def is_lost(self) -> bool:
        """Whether it can't be carried even if all who have not voted say yes."""
        return 3 * (self.seats - len(self.no)) <= 2 * self.seats


class OpenBallot(Canonical):
    """An entry of the list of ballots that are open."""

    number: Counter
    proposer: Name
    closes_ms: Counter


class OpenBallots(Canonical):
    """Every open ballot, by ascending number."""

    ballots: Annotated[tuple[OpenBallot, ...], Meta(max_length=OPEN_MAX)]


class Count(Canonical):
    """How many ballots there were ever; they are numbered from 1."""

    entries: Counter


BALLOTS: Final = Table(NAMESPACE, b"ballot", Ballot)  # key: number, 8 bytes big-endian
BALLOT_COUNT: Final = Table(NAMESPACE, b"ballot-count", Count)  # one record, key: empty
OPEN: Final = Table(NAMESPACE, b"open", OpenBallots)  # one record, key: empty


def ballot_count(state: StateView) -> int:
    """How many ballots there were ever: the last one's number."""
    count = BALLOT_COUNT.get(state, b"")
    return count.entries if count else 0


def ballot_numbered(state: StateView, number: int) -> Ballot:
    """The ballot of this number.

    Raises:
        LedgerError: `ballot.unknown`.
    """
    found = BALLOTS.get(state, number.to_bytes(8, "big"))
    if found is None:
        raise LedgerError("ballot.unknown", f"there is no ballot {number}", "/number")
    return found


def ballots(state: StateView, before: int, limit: int) -> Iterator[Ballot]:
    """Ballots with a number below `before`, the newest first."""
    last = min(before - 1, ballot_count(state))
    for number in range(last, max(last - limit, 0), -1):
        yield ballot_numbered(state, number)


def open_ballots(state: StateView) -> tuple[OpenBallot, ...]:
    """What is open, by number; those whose time is over stay on the list until they are next looked at."""
    listed = OPEN.get(state, b"")
    return listed.ballots if listed else ()


def status_at(ballot: Ballot, time_ms: int) -> BallotStatus:
    """Where a ballot stands at a block time, whether or not its record says so already."""
    is_over = ballot.status is BallotStatus.OPEN and time_ms >= ballot.closes_ms
    return BallotStatus.EXPIRED if is_over else ballot.status


def open_ballot(state: Overlay, ballot: Ballot) -> None:
    """Put a new ballot on the list, before it is settled or written."""
    entry = OpenBallot(ballot.number, ballot.proposer, ballot.closes_ms)
    OPEN.put(state, b"", OpenBallots((*open_ballots(state), entry)))
    BALLOT_COUNT.put(state, b"", Count(ballot.number))


def settle(state: Overlay, ballot: Ballot, height: int) -> Ballot:
    """Count an open ballot, do what it carried, and write it; answers it as it stands then."""
    counted = _counted(state, ballot)
    if counted.is_carried:
        return _end(state, _enacted(state, counted), height)
    if counted.is_lost:
        return _end(state, _with_status(counted, BallotStatus.REJECTED), height)
    BALLOTS.put(state, _key(counted), counted)
    return counted


def retract(state: Overlay, ballot: Ballot, height: int) -> Ballot:
    """End an open ballot that its proposer no longer wants."""
    return _end(state, _with_status(ballot, BallotStatus.RETRACTED), height)


def expire(state: Overlay, time_ms: int, height: int) -> None:
    """End every open ballot whose time is over."""
    for each in open_ballots(state):
        if time_ms >= each.closes_ms:
            ballot = ballot_numbered(state, each.number)
            _end(state, _with_status(ballot, BallotStatus.EXPIRED), height)


def _counted(state: StateView, ballot: Ballot) -> Ballot:
    """The ballot with the votes of those alone that have a seat."""
    seated = seats(state)
    known = dict.fromkeys(seated)
    yes, no = (tuple(each for each in votes if each in known) for votes in (ballot.yes, ballot.no))
    return msgspec.structs.replace(ballot, yes=yes, no=no, seats=len(seated))


def _end(state: Overlay, ballot: Ballot, height: int) -> Ballot:
    """Write a ballot that is decided, and take it off the list."""
    ended = msgspec.structs.replace(ballot, settled_height=height)
    BALLOTS.put(state, _key(ballot), ended)
    left = tuple(each for each in open_ballots(state) if each.number != ballot.number)
    OPEN.put(state, b"", OpenBallots(left))
    return ended


def _enacted(state: Overlay, ballot: Ballot) -> Ballot:
    """The ballot after its change was made, or could not be."""
    attempt = Overlay(state)
    try:
        carry_out(ballot.change, attempt)
    except LedgerError as refusal:
        failed = _with_status(ballot, BallotStatus.FAILED)
        return msgspec.structs.replace(failed, code=refusal.code, pointer=refusal.pointer)
    state.absorb(attempt)
    return _with_status(ballot, BallotStatus.ENACTED)


def _with_status(ballot: Ballot, status: BallotStatus) -> Ballot:
    return msgspec.structs.replace(ballot, status=status)


def _key(ballot: Ballot) -> bytes:
    return ballot.number.to_bytes(8, "big")
