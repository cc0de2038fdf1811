"""`farmgate key`: keys on this machine, and those of the organisation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import Command, Group
from cli.session import Session, with_session

if TYPE_CHECKING:
    from cli.answers import Key
    from node.registration import KeyRegistration

ROLES = ("operator", "admin", "auditor", "gateway", "registrar")
role_option = click.option(
    "--role", "roles", multiple=True, type=click.Choice(ROLES), help="What it may do; may be repeated."
)


@click.group(cls=Group)
def key() -> None:
    """Keys on this machine, and those of your organisation on the chain.

    A key is made where it is used and its secret stays there. What travels is the request that `key new`
    writes: the admin adds it with `key add`, and ends it with `key revoke` when the device is lost.
    """


@key.command(cls=Command)
@click.argument("name", default="device")
@click.option("--label", help="What the organisation will call it.  [default: NAME]")
@click.option("--organisation", metavar="ORG", help="For whom it will sign.  [default: the profile's]")
@click.option("--chain-id", metavar="HEX", help="For which chain.  [default: the profile's]")
@role_option
@with_session
def new(
    session: Session,
    name: str,
    label: str | None,
    organisation: str | None,
    chain_id: str | None,
    roles: tuple[str, ...],
) -> None:
    """Make a key, and the request to add it: NAME.key (secret) and NAME.json (to the admin).

    NAME is a name, for a key in your own folder, or a path that ends in .key.
    """
    import os

    from cli.user_folder import key_path
    from ledger.crypto import key_pair
    from ledger.readable import to_readable
    from node.keys import SEED_BYTES, write_seed
    from node.registration import write_registration

    path = key_path(name)
    request_path = path.with_suffix(".json")
    owner = organisation or session.profile.organisation
    chain = chain_id or session.profile.chain_id
    seed = os.urandom(SEED_BYTES)
    request = _request(key_pair(seed), owner, chain, label or path.stem, roles or ("operator",))
    if request_path.exists():
        raise Failure("key_file.exists", f"{request_path} is there already", exit_code=ExitCode.CONFLICT)
    write_seed(path, seed)
    said: dict[str, Any] = {"key_file": str(path), "public_key": key_pair(seed).public.hex()}
    if request is not None:
        write_registration(request_path, request)
        said |= {"request": str(request_path), "organisation": owner}
        said |= {"roles": to_readable(request)["roles"]}
    session.output.data(said, lambda: session.output.fields(list(said.items())))
    if request is None:
        session.output.note("no request was written: name --organisation and --chain-id, or a profile")
    else:
        session.output.note(f"next, an admin of {owner}: farmgate key add {request_path}")


@key.command("list", cls=Command)
@with_session
def list_(session: Session) -> None:
    """The keys on this machine."""
    from cli.user_folder import user_folder
    from ledger.crypto import key_pair
    from ledger.errors import LedgerError
    from node.keys import read_seed

    found: list[dict[str, Any]] = []
    for path in sorted((user_folder() / "keys").glob("*.key")):
        try:
            found.append(
                {"name": path.stem, "public_key": key_pair(read_seed(path)).public.hex(), "problem": ""}
            )
        except LedgerError as problem:
            found.append({"name": path.stem, "public_key": "", "problem": problem.code})
    session.output.data(
        {"keys": found},
        lambda: session.output.table(
            ("name", "public half", "problem"), [tuple(each.values()) for each in found]
        ),
    )


@key.command(cls=Command)
@click.argument("name")
@with_session
def show(session: Session, name: str) -> None:
    """What the chain knows of a key: NAME is a local key, a path to one, or the public half in hex."""
    import msgspec

    from cli.answers import Key as KeyAnswer

    public = _public_half(name)
    found = session.client.get(f"/v1/keys/{public}", KeyAnswer)
    session.output.data(msgspec.to_builtins(found), lambda: session.output.fields(_pairs(found)))


@key.command(cls=Command)
@click.argument(
    "request", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="REQUEST.json"
)
@click.option("--label", help="What to call it.  [default: what the request says]")
@role_option
@with_session
def add(session: Session, request: Path, label: str | None, roles: tuple[str, ...]) -> None:
    """Add a key to your organisation, as `key new` asked for it. Needs an admin's key."""
    from cli.calling import call
    from contracts.organisations import CONTRACT, AddKey
    from ledger.members import Role
    from node.registration import KeyRegistration, read_registration

    asked = read_registration(request, KeyRegistration)
    check_request(session, asked.organisation, asked.chain_id, request)
    chosen = tuple(Role(role) for role in dict.fromkeys(roles)) or asked.roles
    words = ", ".join(role.value for role in chosen)
    session.confirm(f"let key {asked.public_key.hex()[:16]}… act for {asked.organisation} as {words}?")
    arguments = AddKey(asked.public_key, label or asked.label, chosen, asked.proof)
    call(session, CONTRACT, "add_key", arguments, f"added key {asked.public_key.hex()}")


@key.command(cls=Command)
@click.argument("name", metavar="KEY")
@with_session
def revoke(session: Session, name: str) -> None:
    """End a key of your organisation: its label, or its public half or the beginning of it.

    From the next block on everything that it signs is refused. What it signed before stays.
    """
    from cli.calling import call
    from contracts.organisations import CONTRACT, RevokeKey

    found = _own_key(session, name)
    session.confirm(f"revoke {found.label} ({found.public_key[:16]}…, {', '.join(found.roles)}) for ever?")
    arguments = RevokeKey(bytes.fromhex(found.public_key))
    call(session, CONTRACT, "revoke_key", arguments, f"revoked {found.label} {found.public_key}")


def check_request(session: Session, organisation: str, chain_id: bytes | None, path: Path) -> None:
    """Refuse a request that was made for another organisation or chain: its proof would not hold.

    Raises:
        Failure: `registration.wrong_organisation`, `registration.wrong_chain`.
    """
    if organisation != session.organisation:
        raise Failure(
            "registration.wrong_organisation",
            f"{path} asks for {organisation}, and you act for {session.organisation}",
            exit_code=ExitCode.CONFLICT,
        )
    if chain_id is None or chain_id.hex() != session.profile.chain_id:
        raise Failure(
            "registration.wrong_chain",
            f"{path} is for {'no chain yet' if chain_id is None else 'chain ' + chain_id.hex()}",
            exit_code=ExitCode.CONFLICT,
        )


def own_keys(session: Session, organisation: str) -> tuple[Key, ...]:
    """The keys of an organisation that are in force."""
    from urllib.parse import quote

    from cli.answers import KeyPage

    return session.client.get(f"/v1/organisations/{quote(organisation, safe='')}/keys", KeyPage).keys


def _own_key(session: Session, name: str) -> Key:
    known = own_keys(session, session.organisation)
    found = [each for each in known if name in (each.label, each.public_key)]
    if not found and len(name) >= 8:
        found = [each for each in known if each.public_key.startswith(name.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failure(
            "key.unknown",
            f"{session.organisation} has no key in force that is called {name[:80]}",
            advice="farmgate org show lists them",
            exit_code=ExitCode.NOT_FOUND,
        )
    matches = ", ".join(each.public_key[:16] for each in found)
    raise Failure(
        "key.ambiguous",
        f"several keys are called {name[:80]}: {matches}",
        advice="name the one by its public half",
        exit_code=ExitCode.CONFLICT,
    )


def _request(
    pair: Any, organisation: str, chain_id: str, label: str, roles: tuple[str, ...]
) -> KeyRegistration | None:
    from ledger.errors import LedgerError
    from ledger.members import Role
    from ledger.readable import from_readable, to_readable
    from ledger.types import ChainId
    from node.registration import KeyRegistration, key_registration

    if not organisation or not chain_id:
        return None
    try:
        made = key_registration(
            pair,
            organisation=organisation,
            label=label,
            roles=tuple(Role(role) for role in dict.fromkeys(roles)),
            chain_id=ChainId(bytes.fromhex(chain_id)),
        )
        return from_readable(to_readable(made), KeyRegistration)  # holds the names to their rules
    except (LedgerError, ValueError) as problem:
        raise Failure("usage.wrong_value", str(problem), exit_code=ExitCode.USAGE) from None


def _public_half(name: str) -> str:
    from cli.user_folder import key_path
    from ledger.crypto import key_pair
    from node.keys import read_seed

    if len(name) == 64 and set(name.lower()) <= set("0123456789abcdef"):
        return name.lower()
    return key_pair(read_seed(key_path(name))).public.hex()


def _pairs(found: Key) -> list[tuple[str, Any]]:
    return [
        ("public half", found.public_key),
        ("organisation", found.organisation),
        ("label", found.label),
        ("roles", found.roles),
        ("added at", f"height {found.added_height}"),
        ("in force", f"revoked at height {found.revoked_height}" if found.revoked_height else "yes"),
    ]
