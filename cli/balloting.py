"""Ballots by commands: propose a change, tell where a ballot stands, and say a change in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from cli.wording import counted, instant, short_hash

if TYPE_CHECKING:
    from cli.governance_answers import Ballot
    from cli.sending import Outcome
    from cli.session import Session
    from contracts.governance.changes import Change

DAYS_DEFAULT: Final = 7
DAYS_MAX: Final = 90  # what the chain takes
DAY_MS: Final = 86_400_000

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a ballot is open, and why it is proposed."""

    days: float
    reason: str


def terms_options(command: Decorated) -> Decorated:
    """The options of every command that proposes."""
    for option in (
        click.option("--reason", default="", help="Why, in a few words for the others."),
        click.option(
            "--days",
            type=click.FloatRange(min=0.0001, max=DAYS_MAX),
            default=DAYS_DEFAULT,
            show_default=True,
            help="How long the ballot is open.",
        ),
    ):
        command = option(command)
    return command


def propose(session: Session, change: Change, terms: Terms, names: Mapping[str, str] | None = None) -> None:
    """Open a ballot on a change, or say what would be sent.

    Args:
        names: of validators' nodes by key, to say the change in words.

    Raises:
        Failure: as `Sender.send`, and the contract's own refusal.
    """
    from cli.answers import Status
    from cli.calling import call
    from cli.sending import Sender, check_final
    from contracts.governance.voting import CONTRACT, Propose
    from ledger.readable import from_readable, to_readable

    chain_time_ms = session.client.get("/v1/status", Status).time_ms
    made = Propose(change, chain_time_ms + int(terms.days * DAY_MS), terms.reason)
    arguments = from_readable(to_readable(made), Propose)  # holds names and numbers to their rules
    if session.is_dry_run:
        call(session, CONTRACT, "propose", arguments, "")
        return
    session.confirm(f"propose to {change_words(to_readable(change), names)}?")
    tell_ballot(session, check_final(Sender(session).send(CONTRACT, "propose", arguments)))


def tell_ballot(session: Session, outcome: Outcome) -> None:
    """Print where a ballot stands after a call that is final, or that the call is on its way."""
    from contracts.governance.ballots import Ballot as Record
    from contracts.governance.ballots import BallotStatus
    from ledger.codec import decode
    from ledger.readable import to_readable

    output = session.output
    if outcome.receipt is None:
        output.data(outcome.readable, lambda: f"{output.status(outcome.status)}  transaction {outcome.id}")
        return
    result = bytes.fromhex(outcome.receipt.result)
    ballot = decode(result, Record, len(result))
    why = f" ({ballot.code})" if ballot.code else ""
    votes = f"{len(ballot.yes)} yes, {len(ballot.no)} no of {counted(ballot.seats, 'seat')}"
    said = f"ballot {ballot.number} is {ballot.status.value}{why}: {votes}, {needed(ballot.seats)} carry it"
    output.data(
        {**outcome.readable, "ballot": to_readable(ballot)},
        lambda: f"{output.status(outcome.status)}  {said}  {_where(outcome)}",
    )
    if ballot.status is BallotStatus.OPEN:
        output.note(f"the others, until {instant(ballot.closes_ms)}:  farmgate gov vote {ballot.number} yes")
    elif ballot.status is BallotStatus.ENACTED:
        output.note("it takes effect at the next turn of the epoch")


def _where(outcome: Outcome) -> str:
    place = "on its way" if outcome.height is None else f"at height {outcome.height}"
    return f"{place}  transaction {outcome.id}"


def needed(seats: int) -> int:
    """How many of so many seats carry a ballot."""
    return 2 * seats // 3 + 1


def votes_words(ballot: Ballot) -> str:
    """How the votes stand."""
    return f"{len(ballot.yes)} yes, {len(ballot.no)} no of {ballot.seats}"


def change_words(change: Mapping[str, Any], names: Mapping[str, str] | None = None) -> str:
    """A change in words, after "to"; `names` are those of validators' nodes by key."""

    def validator() -> str:
        key = str(change["public_key"])
        return (names or {}).get(key) or f"validator {short_hash(key)}"

    match change:
        case {"type": "admit_validator", "node": node, "organisation": owner, "units": units}:
            return f"admit {node} of {owner} as a validator with {counted(int(units), 'unit')}"
        case {"type": "set_weight", "units": units}:
            return f"give {validator()} the weight {units}"
        case {"type": "remove_validator"}:
            return f"remove {validator()} from the validators"
        case {"type": "grant_units", "organisation": owner, "units": units}:
            return f"grant {owner} {counted(int(units), 'unit')}"
        case {"type": "withdraw_units", "organisation": owner, "units": units}:
            return f"withdraw {counted(int(units), 'unit')} from {owner}"
        case {"type": "change_parameters", "settings": settings}:
            return "set " + ", ".join(f"{each['name']} to {each['value']}" for each in settings)
        case {"type": "add_seat", "organisation": owner}:
            return f"give {owner} a seat"
        case {"type": "remove_seat", "organisation": owner}:
            return f"take the seat of {owner}"
        case _:
            return str(change.get("type", "change something that this release does not know"))
