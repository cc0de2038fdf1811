"""`ledger-node join`: the home of a node that follows a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import NodeCommand
from cli.node_commands.init import REGISTRATION_FILE, check_registration, settings_of
from cli.node_commands.options import home_option, listen_options
from cli.session import Session, with_session


@click.command(cls=NodeCommand)
@home_option
@click.option(
    "--genesis",
    "genesis_path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The network's genesis.json.",
)
@click.option(
    "--peer", "peers", required=True, multiple=True, metavar="HOST:PORT", help="A node to follow; repeatable."
)
@click.option("--name", required=True, metavar="NAME", help="The node's name, as the chain will list it.")
@click.option("--organisation", required=True, metavar="ORG", help="Whose node it is.")
@listen_options
@with_session
def join(
    session: Session,
    home: Path,
    genesis_path: Path,
    peers: tuple[str, ...],
    name: str,
    organisation: str,
    listen: str | None,
    admin: str | None,
    p2p: str | None,
    addresses: tuple[str, ...],
) -> None:
    """Make the home of a node that follows a network and serves reads.

    Writes node.json, which the admin of the organisation registers. Until then the other nodes turn this
    one away; from then on `ledger-node run` catches up and follows.
    """
    from ledger.genesis import chain_id
    from ledger.members import NodeRole
    from node.genesis_file import read_genesis
    from node.home import Home
    from node.new_home import complete_home, make_keys
    from node.registration import node_registration, write_registration
    from node.settings import parse_address

    for peer in peers:
        try:
            parse_address(peer)
        except ValueError as problem:
            raise click.BadParameter(f"{peer}: {problem}", param_hint="--peer") from None
    place = Home(home)
    if place.data.exists():
        raise Failure("home.exists", f"{home} holds a node already", exit_code=ExitCode.CONFLICT)
    genesis = read_genesis(genesis_path)
    keys = make_keys(place, NodeRole.OBSERVER)
    own = node_registration(
        keys.identity,
        name=name,
        organisation=organisation,
        role=NodeRole.OBSERVER,
        addresses=addresses or ((p2p,) if p2p else ()),
        validator_key=None,
        gateway_key=keys.gateway.public,
        chain_id=chain_id(genesis),
    )
    check_registration(own)
    write_registration(home / REGISTRATION_FILE, own)
    complete_home(
        place,
        keys,
        genesis,
        settings_of(name, genesis, own, listen=listen, admin=admin, p2p=p2p, peers=peers),
    )
    said: dict[str, Any] = {
        "home": str(home),
        "name": name,
        "organisation": organisation,
        "public_key": own.public_key.hex(),
        "chain_id": chain_id(genesis).hex(),
        "node": str(home / REGISTRATION_FILE),
    }
    session.output.data(said, lambda: session.output.fields(list(said.items())))
    session.output.note(
        f"next, the admin of {organisation}: farmgate org node add {home / REGISTRATION_FILE}\n"
        f"then, here:          ledger-node run --home {home}"
    )
