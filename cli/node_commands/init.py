"""`ledger-node init`: the home of a validator, in two steps; between them, the genesis of a new network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.failure import Failure
from cli.group import NodeCommand
from cli.node_commands.options import address_option, home_option, listen_options
from cli.session import Session, with_session

if TYPE_CHECKING:
    from node.home import Home

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(cls=NodeCommand)
@home_option
@click.option("--name", help="What the node is to be called on the chain.")
@click.option("--organisation", metavar="ORG", help="The member that it belongs to.")
@address_option
@listen_options
@click.option(
    "--registration",
    type=NEW_FILE,
    help="Where to write what the other founders need.  [default: node.json in the home]",
)
@click.option("--genesis", "genesis_file", type=FILE, help="The genesis.json that lists this node.")
@click.option("--new-network", "plan_file", type=FILE, metavar="PLAN", help="Write the genesis of this plan.")
@click.option(
    "-o",
    "--output",
    "target",
    type=NEW_FILE,
    help="Where --new-network writes.  [default: ./genesis.json]",
)
@with_session
def init(
    session: Session,
    home: Path,
    name: str | None,
    organisation: str | None,
    addresses: tuple[str, ...],
    listen: str | None,
    admin: str | None,
    p2p: str | None,
    registration: Path | None,
    genesis_file: Path | None,
    plan_file: Path | None,
    target: Path | None,
) -> None:
    """Make the home of a validator, or found a new network.

    \b
    Founding a network takes three steps (docs/how-to/found-a-network.md):
      each founder  ledger-node init --home DIR --name NAME --organisation ORG --address HOST:PORT
                    makes the keys, and node.json, which holds nothing secret
      one of them   ledger-node init --new-network PLAN.toml -o genesis.json
                    from the plan and everybody's node.json
      each founder  ledger-node init --home DIR --genesis genesis.json
                    checks that the genesis lists this node as it is, and completes the home
    Repeating a step is harmless: no key is ever made anew.

    A network that runs already is joined: ledger-node join.
    """
    if plan_file is not None:
        if genesis_file or name or organisation or registration or addresses:
            raise click.UsageError("--new-network stands alone, with -o for where to write")
        _found(session, plan_file, target or Path("genesis.json"))
    elif target is not None:
        raise click.UsageError("-o goes with --new-network")
    elif genesis_file is not None:
        _complete(session, home, genesis_file, name, organisation)
    elif name is None or organisation is None:
        raise click.UsageError("--name and --organisation are needed, or --genesis to complete a home")
    else:
        listens = {"api.listen": listen, "admin.listen": admin, "p2p.listen": p2p}
        _begin(session, home, name, organisation, listens, addresses, registration)


def _begin(
    session: Session,
    home: Path,
    name: str,
    organisation: str,
    listens: dict[str, str | None],
    addresses: tuple[str, ...],
    registration: Path | None,
) -> None:
    """The first step: keys, node.toml, and what the other founders need."""
    from cli.node_commands.new_node import keep_settings, plan_node, tell, write_requests
    from ledger.genesis import chain_id
    from ledger.members import NodeRole
    from node.genesis_file import read_genesis
    from node.new_home import make_keys

    role = NodeRole.VALIDATOR
    node = plan_node(
        home, name=name, organisation=organisation, role=role, listens=listens, addresses=addresses
    )
    if not node.addresses:
        raise click.UsageError("--address: where do the other validators reach this one?")
    if registration is not None and not registration.parent.is_dir():
        raise click.BadParameter(f"{registration.parent} is no folder", param_hint="--registration")
    chain = chain_id(read_genesis(node.home.genesis)) if node.home.genesis.exists() else None
    is_new = not node.home.settings.exists()
    keys = make_keys(node.home, role)
    keep_settings(node)
    files = write_requests(node, keys, chain, registration)
    tell(session.output, node, keys, chain, files, is_new=is_new)
    if chain is None:
        session.output.note(f"give {files[0]} to whoever writes the genesis; it holds nothing secret")


def _complete(
    session: Session, home: Path, genesis_file: Path, name: str | None, organisation: str | None
) -> None:
    """The last step: the chain that these keys belong to."""
    from cli.node_commands.new_node import NewNode, check_folder, genesis_in, is_complete, tell
    from ledger.genesis import chain_id
    from node.config import load_config
    from node.home import Home
    from node.new_home import check_listed, complete_home, make_keys

    genesis = genesis_in(genesis_file)
    place = Home(home.absolute())
    check_folder(place, name)
    _check_keys(place, home)
    called = name or (load_config(place.settings, {}).name if place.settings.exists() else "")
    listed = next((each for each in genesis.nodes if each.name == called), None)
    if listed is None or organisation not in (None, listed.organisation):
        whose = f" of {organisation}" if organisation else ""
        raise Failure("init.not_in_genesis", f"the genesis lists no node called {called or '?'}{whose}")
    was_complete = is_complete(place, genesis)
    keys = make_keys(place, listed.role)
    check_listed(genesis, keys, called)
    if not was_complete:
        complete_home(place, keys, genesis, {"name": called})
    node = NewNode(place, called, listed.organisation, listed.role, {}, listed.addresses)
    tell(session.output, node, keys, chain_id(genesis), (), is_new=not was_complete)
    session.output.note(f"compare the chain id with the other founders, then:  ledger-node run --home {home}")


def _check_keys(place: Home, home: Path) -> None:
    """Refuse to complete a home whose keys were not made yet: the genesis can't list them.

    Raises:
        Failure: `init.no_keys`.
    """
    from node.keys import KeyName

    if not all((place.keys / each.value).exists() for each in (KeyName.NODE, KeyName.VALIDATOR)):
        raise Failure(
            "init.no_keys",
            f"{home} holds no keys of a validator, so the genesis can't list it",
            advice="the keys come first: ledger-node init --home DIR --name NAME --organisation ORG",
        )


def _found(session: Session, plan_file: Path, target: Path) -> None:
    """The genesis of a new network. One that is there already gives its time, so that it compares equal."""
    from cli.node_commands.network_plan import genesis_of, read_plan
    from cli.node_commands.new_node import genesis_in
    from ledger.genesis import chain_id
    from node.genesis_file import write_genesis

    was_there = target.exists()
    time_ms = genesis_in(target).time_ms if was_there else time.time_ns() // 1_000_000
    genesis = genesis_of(read_plan(plan_file), plan_file.parent, time_ms)
    write_genesis(target, genesis)
    made = {
        "genesis": str(target),
        "is_new": not was_there,
        "chain_id": chain_id(genesis).hex(),
        "network": genesis.network,
        "organisations": [each.id for each in genesis.organisations],
        "validators": [each.node for each in genesis.validators],
    }
    session.output.data(made, lambda: session.output.fields([*made.items()]))
    session.output.note(
        "every founder compares the chain id, then:  ledger-node init --home DIR --genesis FILE"
    )
