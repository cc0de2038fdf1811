"""What an organisation with a seat does: propose a change, vote on one, take its own proposal back.

An admin of the organisation speaks for it. A vote is for ever: numbers only grow, so what is carried or
rejected stays so, and whoever waits sees why.

Source: docs/spec/governance.md, rules G4-G8.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.governance.ballots import (
    BALLOT_MS_MAX,
    OPEN_BY_ONE_MAX,
    OPEN_MAX,
    Ballot,
    BallotStatus,
    Reason,
    ballot_count,
    ballot_numbered,
    expire,
    open_ballot,
    open_ballots,
    settle,
    status_at,
)
from contracts.governance.ballots import retract as end_retracted
from contracts.governance.changes import Change, check_change
from contracts.governance.seats import seats
from contracts.method import Method
from ledger.codec import Canonical, encode
from ledger.errors import LedgerError
from ledger.members import Role
from ledger.receipt import Status
from ledger.state import Overlay, StateView
from ledger.transition import Call, Outcome
from ledger.types import HEIGHT_MAX, Counter

CONTRACT: Final = "governance"

Number = Annotated[int, Meta(ge=1, le=HEIGHT_MAX)]


class Propose(Canonical):
    """One change to decide, until `closes_ms` (block time). `reason` is for people."""

    change: Change
    closes_ms: Counter
    reason: Reason


class Vote(Canonical):
    """What the sender's organisation says to a ballot."""

    number: Number
    is_yes: bool


class Retract(Canonical):
    """A ballot that the sender's organisation proposed and no longer wants."""

    number: Number


def propose(call: Call, arguments: Propose, state: Overlay) -> Outcome:
    """Open a ballot on one change, and say yes to it.

    Raises:
        LedgerError: `sender.no_seat`, `ballot.closing_time`, `ballots.too_many`, and what refuses the change
            itself, if it were decided now.
    """
    organisation = _seated(call, state)

    _check_closing(arguments.closes_ms, call.time_ms)
    _check_room(state, organisation, call.time_ms)
    _check_possible(call, arguments.change, state)

    expire(state, call.time_ms, call.height)
    ballot = Ballot(
        number=ballot_count(state) + 1,
        proposer=organisation,
        reason=arguments.reason,
        change=arguments.change,
        opened_height=call.height,
        closes_ms=arguments.closes_ms,
        yes=(organisation,),
        no=(),
        seats=0,
        status=BallotStatus.OPEN,
        settled_height=0,
        code="",
        pointer="",
    )
    open_ballot(state, ballot)
    opened = settle(state, ballot, call.height)

    return _accepted(opened)


def vote(call: Call, arguments: Vote, state: Overlay) -> Outcome:
    """Say yes or no to a ballot, once; the vote that decides it ends it.

    Raises:
        LedgerError: `sender.no_seat`, `ballot.unknown`, `ballot.closed`, `ballot.voted`.
    """
    organisation = _seated(call, state)

    ballot = _open(state, arguments.number, call.time_ms)
    if organisation in (*ballot.yes, *ballot.no):
        said = "yes" if organisation in ballot.yes else "no"
        raise LedgerError(
            "ballot.voted", f"{organisation} said {said} already; a vote is for ever", "/number"
        )

    said_yes = (*ballot.yes, organisation) if arguments.is_yes else ballot.yes
    said_no = ballot.no if arguments.is_yes else (*ballot.no, organisation)
    counted = settle(state, msgspec.structs.replace(ballot, yes=said_yes, no=said_no), call.height)

    return _accepted(counted)


def retract(call: Call, arguments: Retract, state: Overlay) -> Outcome:
    """Take back a ballot that the sender's organisation proposed.

    Raises:
        LedgerError: `sender.no_seat`, `ballot.unknown`, `ballot.closed`, `ballot.not_yours`.
    """
    organisation = _seated(call, state)

    ballot = _open(state, arguments.number, call.time_ms)
    if ballot.proposer != organisation:
        raise LedgerError("ballot.not_yours", f"{ballot.proposer} proposed it", "/number")

    ended = end_retracted(state, ballot, call.height)

    return _accepted(ended)


def _seated(call: Call, state: StateView) -> str:
    organisation = call.sender.organisation
    if organisation not in seats(state):
        raise LedgerError("sender.no_seat", f"{organisation} has no seat in this epoch")
    return organisation


def _open(state: StateView, number: int, time_ms: int) -> Ballot:
    ballot = ballot_numbered(state, number)
    status = status_at(ballot, time_ms)
    if status is not BallotStatus.OPEN:
        raise LedgerError("ballot.closed", f"ballot {number} is {status.value}", "/number")
    return ballot


def _check_closing(closes_ms: int, time_ms: int) -> None:
    if not time_ms < closes_ms <= time_ms + BALLOT_MS_MAX:
        message = f"{closes_ms}, expected after {time_ms} and at most {BALLOT_MS_MAX} ms later"
        raise LedgerError("ballot.closing_time", message, "/closes_ms")


def _check_room(state: StateView, organisation: str, time_ms: int) -> None:
    """Refuse one more ballot where too many are open; those whose time is over are not."""
    waiting = [each for each in open_ballots(state) if time_ms < each.closes_ms]
    if sum(each.proposer == organisation for each in waiting) >= OPEN_BY_ONE_MAX:
        message = f"{organisation} has {OPEN_BY_ONE_MAX} open, the most allowed: one can be retracted"
        raise LedgerError("ballots.too_many", message)
    if len(waiting) >= OPEN_MAX:
        raise LedgerError("ballots.too_many", f"{OPEN_MAX} are open, the most allowed")


def _check_possible(call: Call, change: Change, state: StateView) -> None:
    try:
        check_change(change, call.chain_id, Overlay(state))
    except LedgerError as refusal:
        raise LedgerError(refusal.code, refusal.message, f"/change{refusal.pointer}") from None


def _accepted(ballot: Ballot) -> Outcome:
    """The ballot as it stands now is the answer."""
    return Outcome(Status.ACCEPTED, encode(ballot))


METHODS: Final = (
    Method(CONTRACT, "propose", Propose, (Role.ADMIN,), propose),
    Method(CONTRACT, "vote", Vote, (Role.ADMIN,), vote),
    Method(CONTRACT, "retract", Retract, (Role.ADMIN,), retract),
)
