"""`ledger-node key`: the public halves of a node's keys, and the request to let it vote."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import NodeCommand, NodeGroup
from cli.node_commands.options import home_option, read_settings
from cli.session import Session, with_session

VALIDATOR_FILE = "validator.json"


@click.group(cls=NodeGroup, invoke_without_command=True)
@home_option
@with_session
def key(session: Session, home: Path) -> None:
    """Show the public halves of the node's keys, and the fingerprint of its certificate.

    The secret halves stay in files that only the node's user can read; no command shows them.
    """
    if click.get_current_context().invoked_subcommand is None:
        _show(session, home)


def _show(session: Session, home: Path) -> None:
    from ledger.errors import LedgerError
    from node.home import Home
    from node.keys import KeyName, read_key, read_seed
    from node.new_home import CERTIFICATE_FILE
    from node.p2p.identity import certificate_hash, load_identity

    read_settings(home)
    place = Home(home)
    seed = read_seed(place.keys / KeyName.NODE.value)
    try:
        certificate = (place.tls / CERTIFICATE_FILE).read_bytes()
    except FileNotFoundError:
        raise LedgerError("identity.missing", f"{place.tls / CERTIFICATE_FILE} is not there") from None
    identity = load_identity(seed, certificate)
    shown: dict[str, str | None] = {"node": identity.public_key.hex()}
    for name in (KeyName.VALIDATOR, KeyName.GATEWAY):
        is_there = (place.keys / name.value).exists()
        shown[name.name.lower()] = read_key(place.keys, name).public.hex() if is_there else None
    shown["certificate_sha256"] = certificate_hash(identity.certificate).hex()
    session.output.data(shown, lambda: session.output.fields([*shown.items()]))


@key.command(cls=NodeCommand)
@home_option
@click.option("--organisation", metavar="ORG", help="The member that it is of.  [default: as node.json says]")
@with_session
def proof(session: Session, home: Path, organisation: str | None) -> None:
    """Write validator.json, which asks the members to let this node vote; make its key if it has none.

    A node that followed the chain until now must be stopped for that: its new key gets a signing record
    at the last final block. validator.json holds nothing secret; an admin proposes it to the others with
    `farmgate validator add`. Running this again writes the same file.
    """
    from ledger.genesis import chain_id
    from node.genesis_file import read_genesis
    from node.home import Home
    from node.registration import validator_registration, write_registration
    from node.validator_key import validator_key

    home = _named_home(home)
    settings = read_settings(home)
    place = Home(home)
    owner = organisation or _organisation_of(home)
    genesis = read_genesis(place.genesis)
    pair, is_new = validator_key(place, genesis)
    request = validator_registration(pair, node=settings.name, organisation=owner, chain_id=chain_id(genesis))
    path = home / VALIDATOR_FILE
    write_registration(path, request)
    said = {
        "is_new": is_new,
        "node": settings.name,
        "organisation": owner,
        "public_key": pair.public.hex(),
        "registration": str(path),
    }
    session.output.data(said, lambda: session.output.fields([*said.items()]))
    session.output.note(f"start the node and let it catch up:  ledger-node run --home {home}")
    session.output.note(f"then an admin of {owner}:  farmgate validator add {path} --units N")


def _named_home(home: Path) -> Path:
    """The home, which may also be named before `proof`."""
    context = click.get_current_context()
    is_named_here = context.get_parameter_source("home") is not ParameterSource.DEFAULT
    return home if is_named_here or context.parent is None else Path(context.parent.params["home"])


def _organisation_of(home: Path) -> str:
    from cli.node_commands.new_node import NODE_FILE
    from node.registration import NodeRegistration, read_registration

    if not (home / NODE_FILE).exists():
        raise Failure(
            "registration.missing",
            f"{home / NODE_FILE} is not there, so it is not known whose node this is",
            advice="say --organisation ORG",
            exit_code=ExitCode.USAGE,
        )
    return read_registration(home / NODE_FILE, NodeRegistration).organisation
