"""`farmgate gov`: what the members decide together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from cli.balloting import Terms, change_words, propose, tell_ballot, terms_options, votes_words
from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.governance_answers import Ballot, BallotPage, ParametersAnswer, Seats, ValidatorsAnswer
from cli.group import Command, Group
from cli.session import Session, with_session
from cli.wording import instant

if TYPE_CHECKING:
    from cli.client import Client

PAGES_MAX = 100
VALIDATOR_CHANGES = ("admit_validator", "set_weight", "remove_validator")
number_argument = click.argument("number", type=click.IntRange(min=1), metavar="NUMBER")


@click.group(cls=Group)
def gov() -> None:
    """What the members decide together: ballots, seats, parameters.

    Each organisation with a seat has one vote, and an admin's key speaks for it. More than two thirds of
    all seats carry a change, which takes effect at the next turn of the epoch. Validators are proposed
    with `farmgate validator add`, `weight` and `remove`, everything else with `farmgate gov propose`.
    """


@gov.command("list", cls=Command)
@click.option("--open", "is_open", is_flag=True, help="Only those that can still be voted on.")
@with_session
def list_(session: Session, is_open: bool) -> None:
    """Ballots, the newest first."""
    found: list[Ballot] = []
    path: str | None = "/v1/ballots?limit=100"
    for _ in range(PAGES_MAX):
        if path is None:
            break
        page = session.client.get(path, BallotPage)
        found += [each for each in page.ballots if each.status == "open" or not is_open]
        path = page.next
    names = validator_names(session.client)
    rows = [
        (
            each.number,
            each.status,
            votes_words(each),
            instant(each.closes_ms),
            change_words(each.change, names),
        )
        for each in found
    ]
    session.output.data(
        {"ballots": msgspec.to_builtins(found)},
        lambda: (
            session.output.table(("ballot", "status", "votes", "closes", "to"), rows)
            if rows
            else "no ballots: farmgate gov propose opens one"
        ),
    )


@gov.command(cls=Command)
@number_argument
@with_session
def show(session: Session, number: int) -> None:
    """One ballot: the change, who said what, and what is missing."""
    found = session.client.get(f"/v1/ballots/{number}", Ballot)
    names = validator_names(session.client)
    session.output.data(
        msgspec.to_builtins(found), lambda: session.output.fields(_ballot_fields(found, names))
    )
    if found.status == "open" and found.change["type"] in VALIDATOR_CHANGES:
        session.output.note(f"what it would do:  farmgate validator preview --ballot {number}")


@gov.command(cls=Command)
@number_argument
@click.argument("answer", type=click.Choice(("yes", "no")))
@click.option("--force", is_flag=True, help="Say yes even to what would stop the chain.")
@with_session
def vote(session: Session, number: int, answer: str, force: bool) -> None:
    """Say yes or no for your organisation, once and for ever. Needs an admin's key."""
    from cli.calling import call
    from cli.outlook import check_outlook
    from cli.sending import Sender, check_final
    from contracts.governance.voting import CONTRACT, Vote

    found = session.client.get(f"/v1/ballots/{number}", Ballot)
    is_yes = answer == "yes"
    if is_yes and found.status == "open" and found.change["type"] in VALIDATOR_CHANGES:
        check_outlook(session, change_of(found), is_forced=force)
    arguments = Vote(number, is_yes)
    if session.is_dry_run:
        call(session, CONTRACT, "vote", arguments, "")
        return
    words = change_words(found.change, validator_names(session.client))
    session.confirm(f"say {answer} to ballot {number} for {session.organisation}, for ever: {words}?")
    tell_ballot(session, check_final(Sender(session).send(CONTRACT, "vote", arguments)))


@gov.command(cls=Command)
@number_argument
@with_session
def retract(session: Session, number: int) -> None:
    """Take back a ballot that your organisation proposed. Needs an admin's key."""
    from cli.calling import call
    from contracts.governance.voting import CONTRACT, Retract

    session.confirm(f"retract ballot {number}?")
    call(session, CONTRACT, "retract", Retract(number), f"retracted ballot {number}")


@gov.command(cls=Command)
@with_session
def seats(session: Session) -> None:
    """Which organisations decide, now and after the turn."""
    found = session.client.get("/v1/seats", Seats)
    rows = [(each, each in found.seats, each in found.next) for each in sorted({*found.seats, *found.next})]
    session.output.data(
        msgspec.to_builtins(found),
        lambda: session.output.table(("organisation", "now", "after the turn"), rows),
    )
    session.output.note(f"{found.needed} of {len(found.seats)} carry a ballot")


@gov.command(cls=Command)
@with_session
def parameters(session: Session) -> None:
    """The parameters in force, and those after the turn."""
    found = session.client.get("/v1/parameters", ParametersAnswer)
    now, after = _flat(found.parameters), _flat(found.next or found.parameters)
    rows = [(name, value, "" if after[name] == value else after[name]) for name, value in now.items()]
    session.output.data(
        msgspec.to_builtins(found),
        lambda: session.output.table(("parameter", "now", "after the turn"), rows),
    )


# --- proposals -----------------------------------------------------------------------


@gov.group("propose", cls=Group)
def propose_() -> None:
    """Open a ballot on units, parameters or seats; it is your organisation's yes. Needs an admin's key."""


organisation_argument = click.argument("organisation", metavar="ORG")
units_argument = click.argument("units", type=click.IntRange(min=1))


@propose_.command(cls=Command)
@organisation_argument
@units_argument
@terms_options
@with_session
def grant(session: Session, organisation: str, units: int, days: float, reason: str) -> None:
    """New units for a member to hold; it may bond them behind a validator of its own."""
    from contracts.governance.changes import GrantUnits

    propose(session, GrantUnits(organisation, units), Terms(days, reason))


@propose_.command(cls=Command)
@organisation_argument
@units_argument
@terms_options
@with_session
def withdraw(session: Session, organisation: str, units: int, days: float, reason: str) -> None:
    """Take units out of the chain that a member holds and has not bonded."""
    from contracts.governance.changes import WithdrawUnits

    propose(session, WithdrawUnits(organisation, units), Terms(days, reason))


@propose_.command("parameters", cls=Command)
@click.argument("settings", nargs=-1, required=True, metavar="NAME=VALUE...")
@terms_options
@with_session
def propose_parameters(session: Session, settings: tuple[str, ...], days: float, reason: str) -> None:
    """Set parameters of the chain, such as staking.jail_epochs=12; `farmgate gov parameters` lists them."""
    from contracts.governance.changes import ChangeParameters

    change = ChangeParameters(tuple(_setting(text) for text in settings))
    propose(session, change, Terms(days, reason))


@propose_.command("add-seat", cls=Command)
@organisation_argument
@terms_options
@with_session
def add_seat(session: Session, organisation: str, days: float, reason: str) -> None:
    """Let a member decide with the others."""
    from contracts.governance.changes import AddSeat

    propose(session, AddSeat(organisation), Terms(days, reason))


@propose_.command("remove-seat", cls=Command)
@organisation_argument
@terms_options
@with_session
def remove_seat(session: Session, organisation: str, days: float, reason: str) -> None:
    """Let a member decide no more; it stays a member."""
    from contracts.governance.changes import RemoveSeat

    propose(session, RemoveSeat(organisation), Terms(days, reason))


# --- what the commands share -----------------------------------------------------------


def change_of(ballot: Ballot) -> Any:
    """The change of a ballot as the contract knows it.

    Raises:
        LedgerError: `readable.*`: this release does not know such a change.
    """
    from contracts.governance.changes import Change
    from ledger.readable import from_readable

    return from_readable(ballot.change, Change)  # type: ignore[arg-type]  # a union of records


def validator_names(client: Client) -> dict[str, str]:
    """The nodes of the validators, by key."""
    found = client.get("/v1/validators", ValidatorsAnswer)
    return {each.public_key: each.node for each in (*found.validators, *found.others)}


def _setting(text: str) -> Any:
    from contracts.governance.settings import Setting

    name, equals, value = text.partition("=")
    if not equals or not value.isascii() or not value.isdigit():
        raise Failure(
            "usage.wrong_value",
            f"{text[:100]!r}: expected NAME=VALUE with a whole number",
            advice="farmgate gov parameters lists the names",
            exit_code=ExitCode.USAGE,
        )
    return Setting(name, int(value))


def _flat(parameters: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in parameters.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            found[name] = value
    return found


def _ballot_fields(found: Ballot, names: dict[str, str]) -> list[tuple[str, Any]]:
    missing = found.needed - len(found.yes)
    fields: list[tuple[str, Any]] = [
        ("ballot", found.number),
        ("to", change_words(found.change, names)),
        ("proposed by", found.proposer),
        ("reason", found.reason or "-"),
        ("status", found.status if not found.code else f"{found.status}: {found.code} {found.pointer}"),
        ("yes", found.yes),
        ("no", found.no),
        ("seats", f"{found.seats}, of which {found.needed} carry it"),
    ]
    if found.status == "open":
        fields.append(("missing", f"{missing} yes"))
    fields.append(("closes", instant(found.closes_ms)))
    if found.settled_height is not None:
        fields.append(("ended at", f"height {found.settled_height}"))
    return fields
