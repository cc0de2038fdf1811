"""`farmgate validator`: who votes with what weight, and how that changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cli.balloting import Terms, propose, terms_options
from cli.commands.gov import change_of, validator_names
from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.governance_answers import Ballot, Validator, ValidatorsAnswer
from cli.group import Command, Group
from cli.session import Session, with_session
from cli.wording import counted

if TYPE_CHECKING:
    from contracts.governance.changes import AdmitValidator, Change

PREFIX_LENGTH_MIN = 8  # of a key that is named by its beginning
validator_argument = click.argument("name", metavar="VALIDATOR")
force_option = click.option(
    "--force", is_flag=True, help="Go on even where it would stop the chain as far as is known."
)
request_path = click.Path(exists=True, dir_okay=False, path_type=Path)
units_type = click.IntRange(min=0)


@click.group(cls=Group)
def validator() -> None:
    """Who votes with what weight, and how that changes.

    VALIDATOR is the name of its node, or its key or the beginning of it. `add`, `weight` and `remove`
    open a ballot; `bond`, `unbond` and `unjail` are an organisation's own, for its own validators. All
    takes effect at the next turn of the epoch, by less than a third of the stake at a time.
    """


@validator.command("list", cls=Command)
@with_session
def list_(session: Session) -> None:
    """Everybody with stake: the set in force first."""
    found = _validators(session)
    rows = [_row(each, found) for each in (*found.validators, *found.others)]
    headings = ("validator", "organisation", "status", "stake", "next", "share", "signed")
    session.output.data(msgspec.to_builtins(found), lambda: session.output.table(headings, rows))
    session.output.note(
        f"epoch {found.epoch}: {found.total_stake} units, a quorum is {found.quorum_stake}; signed: of "
        f"{counted(found.certificates, 'certificate')} of this epoch"
    )


@validator.command(cls=Command)
@validator_argument
@with_session
def show(session: Session, name: str) -> None:
    """One validator: its weight now and next, its units, its attendance."""
    validators = _validators(session)
    found = _named(validators, name)
    fields = _fields(found, validators)
    session.output.data(msgspec.to_builtins(found), lambda: session.output.fields(fields))


@validator.command(cls=Command)
@click.option(
    "--add", "request", type=request_path, metavar="FILE", help="Admit the key of this validator.json."
)
@click.option("--units", type=units_type, default=0, help="With --add: its stake.")
@click.option("--remove", "removed", metavar="VALIDATOR", help="Remove this validator.")
@click.option("--weight", nargs=2, metavar="VALIDATOR UNITS", help="Give this validator another stake.")
@click.option("--ballot", type=click.IntRange(min=1), metavar="NUMBER", help="What this ballot is about.")
@force_option
@with_session
def preview(
    session: Session,
    request: Path | None,
    units: int,
    removed: str | None,
    weight: tuple[str, str] | None,
    ballot: int | None,
    force: bool,
) -> None:
    """What will the quorum be? The sets of the coming turns, who may fail, and who is down now.

    Without an option it shows what is decided already. Exit code 5: the validators that are known to be
    up would make no quorum, or one organisation alone would come to hold more than a third.
    """
    from cli.outlook import check_dangers, preview_of, text

    chosen = [each for each in (request, removed, weight, ballot) if each]
    if len(chosen) > 1:
        raise click.UsageError("one of --add, --remove, --weight and --ballot")
    change: Change | None = None
    if request is not None:
        change = _admission(session, request, units)
    elif removed is not None:
        change = _removal(session, removed)
    elif weight:
        change = _weighing(session, weight[0], _units(weight[1]))
    elif ballot is not None:
        change = change_of(session.client.get(f"/v1/ballots/{ballot}", Ballot))
    found = preview_of(session, change)
    session.output.data(msgspec.to_builtins(found), lambda: text(session.output, found))
    check_dangers(session, found, is_forced=force)


# --- by ballot ---------------------------------------------------------------------------


@validator.command(cls=Command)
@click.argument("request", type=request_path, metavar="validator.json")
@click.option("--units", type=units_type, required=True, help="Its stake, in new units.")
@force_option
@terms_options
@with_session
def add(session: Session, request: Path, units: int, force: bool, days: float, reason: str) -> None:
    """Propose to admit a validator, as `ledger-node key proof` asked for it. Needs an admin's key.

    Its node is registered before (`farmgate org node add`) and should have caught up.
    """
    _propose(session, _admission(session, request, units), Terms(days, reason), is_forced=force)


@validator.command(cls=Command)
@validator_argument
@click.argument("units", type=units_type)
@force_option
@terms_options
@with_session
def weight(session: Session, name: str, units: int, force: bool, days: float, reason: str) -> None:
    """Propose another stake for a validator. Needs an admin's key.

    More is granted anew; what is taken away goes back to its organisation after the delay.
    """
    _propose(session, _weighing(session, name, units), Terms(days, reason), is_forced=force)


@validator.command(cls=Command)
@validator_argument
@force_option
@terms_options
@with_session
def remove(session: Session, name: str, force: bool, days: float, reason: str) -> None:
    """Propose to let a validator vote no more. Needs an admin's key.

    Its units go back to its organisation after the delay, and its node goes on as an observer.
    """
    _propose(session, _removal(session, name), Terms(days, reason), is_forced=force)


# --- an organisation's own -------------------------------------------------------------------


@validator.command(cls=Command)
@validator_argument
@click.argument("units", type=click.IntRange(min=1))
@force_option
@with_session
def bond(session: Session, name: str, units: int, force: bool) -> None:
    """Put units that your organisation holds behind a validator of its own. Needs an admin's key."""
    from cli.calling import call
    from contracts.staking.bonding import CONTRACT, BondUnits

    known = _named(_validators(session), name)
    _check_weight(session, known, known.standing.bonded + units, is_forced=force)
    session.confirm(f"bond {counted(units, 'unit')} behind {known.node}?")
    arguments = BondUnits(bytes.fromhex(known.public_key), units)
    call(session, CONTRACT, "bond", arguments, f"bonded {counted(units, 'unit')} behind {known.node}")


@validator.command(cls=Command)
@validator_argument
@click.argument("units", type=click.IntRange(min=1))
@force_option
@with_session
def unbond(session: Session, name: str, units: int, force: bool) -> None:
    """Ask for units back from a validator of your organisation. Needs an admin's key.

    They leave the set at the next turns, and may be slashed until the delay is over.
    """
    from cli.calling import call
    from contracts.staking.bonding import CONTRACT, UnbondUnits

    known = _named(_validators(session), name)
    _check_weight(session, known, known.standing.bonded - units, is_forced=force)
    session.confirm(f"take {counted(units, 'unit')} back from {known.node}?")
    arguments = UnbondUnits(bytes.fromhex(known.public_key), units)
    call(session, CONTRACT, "unbond", arguments, f"asked for {counted(units, 'unit')} back from {known.node}")


@validator.command(cls=Command)
@validator_argument
@with_session
def unjail(session: Session, name: str) -> None:
    """Let a validator of your organisation vote again that was jailed for absence. Needs an admin's key."""
    from cli.calling import call
    from contracts.staking.bonding import CONTRACT, Unjail

    known = _named(_validators(session), name)
    arguments = Unjail(bytes.fromhex(known.public_key))
    call(session, CONTRACT, "unjail", arguments, f"{known.node} may vote again from the next turn on")


# --- what the commands share --------------------------------------------------------------------


def _propose(session: Session, change: Change, terms: Terms, *, is_forced: bool) -> None:
    from cli.outlook import check_outlook

    check_outlook(session, change, is_forced=is_forced)
    propose(session, change, terms, validator_names(session.client))


def _check_weight(session: Session, known: Validator, units: int, *, is_forced: bool) -> None:
    """Refuse an organisation's own step that would stop the chain."""
    from cli.outlook import check_outlook
    from contracts.governance.changes import SetWeight

    if units >= 0 and known.standing.status in ("active", "joining"):
        check_outlook(session, SetWeight(bytes.fromhex(known.public_key), units), is_forced=is_forced)


def _admission(session: Session, request: Path, units: int) -> AdmitValidator:
    from contracts.governance.changes import AdmitValidator
    from ledger.readable import from_readable, to_readable
    from node.registration import ValidatorRegistration, read_registration

    asked = read_registration(request, ValidatorRegistration)
    if session.profile.chain_id and asked.chain_id.hex() != session.profile.chain_id:
        raise Failure(
            "registration.wrong_chain",
            f"{request} is for chain {asked.chain_id.hex()}",
            exit_code=ExitCode.CONFLICT,
        )
    made = AdmitValidator(asked.organisation, asked.node, asked.public_key, asked.proof, units)
    return from_readable(to_readable(made), AdmitValidator)


def _removal(session: Session, name: str) -> Change:
    from contracts.governance.changes import RemoveValidator

    return RemoveValidator(bytes.fromhex(_named(_validators(session), name).public_key))


def _weighing(session: Session, name: str, units: int) -> Change:
    from contracts.governance.changes import SetWeight

    return SetWeight(bytes.fromhex(_named(_validators(session), name).public_key), units)


def _units(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise click.BadParameter(f"{text[:40]!r} is no whole number", param_hint="--weight")
    return int(text)


def _validators(session: Session) -> ValidatorsAnswer:
    return session.client.get("/v1/validators", ValidatorsAnswer)


def _named(found: ValidatorsAnswer, name: str) -> Validator:
    everybody = (*found.validators, *found.others)
    named = [each for each in everybody if name in (each.node, each.public_key)]
    if not named and len(name) >= PREFIX_LENGTH_MIN:
        named = [each for each in everybody if each.public_key.startswith(name.lower())]
    if len(named) == 1:
        return named[0]
    if not named:
        raise Failure(
            "validator.unknown",
            f"no validator is called {name[:80]}",
            advice="farmgate validator list shows them",
            exit_code=ExitCode.NOT_FOUND,
        )
    raise Failure(
        "validator.ambiguous",
        f"several keys are called {name[:80]}: {', '.join(each.public_key[:16] for each in named)}",
        advice="name the one by its key",
        exit_code=ExitCode.CONFLICT,
    )


def _row(each: Validator, found: ValidatorsAnswer) -> tuple[Any, ...]:
    standing = each.standing
    permille = 1000 * each.stake // found.total_stake
    return (
        each.node,
        standing.organisation,
        standing.status,
        each.stake,
        standing.next_stake,
        f"{permille // 10}.{permille % 10} %",
        standing.signed,
    )


def _fields(each: Validator, found: ValidatorsAnswer) -> list[tuple[str, Any]]:
    standing = each.standing
    fields: list[tuple[str, Any]] = [
        ("validator", each.node),
        ("organisation", standing.organisation),
        ("public key", each.public_key),
        ("status", standing.status),
        ("stake", f"{each.stake} of {found.total_stake}"),
        ("after the turn", standing.next_stake),
        ("bonded", standing.bonded),
        ("leaving", standing.leaving),
        ("signed", f"{standing.signed} of {found.certificates} in epoch {found.epoch}"),
        ("absences", standing.absences),
    ]
    fields += [("unbonding", f"{part.units} until epoch {part.release_epoch}") for part in standing.unbonding]
    if standing.jailed_until is not None:
        fields.append(("jailed until", f"epoch {standing.jailed_until}"))
    return fields
