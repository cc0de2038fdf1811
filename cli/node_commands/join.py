"""`ledger-node join`: the home of a node that follows a network which is there already."""

from __future__ import annotations

from pathlib import Path

import click

from cli.group import NodeCommand
from cli.node_commands.options import address_option, home_option, listen_options, peer_option
from cli.session import Session, with_session


@click.command(cls=NodeCommand)
@home_option
@click.option(
    "--genesis",
    "genesis_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The network's genesis.json, from somebody you trust.",
)
@click.option("--name", required=True, help="What the node is to be called on the chain.")
@click.option("--organisation", required=True, metavar="ORG", help="The member that it belongs to.")
@peer_option
@address_option
@listen_options
@with_session
def join(
    session: Session,
    home: Path,
    genesis_file: Path,
    name: str,
    organisation: str,
    peers: tuple[str, ...],
    addresses: tuple[str, ...],
    listen: str | None,
    admin: str | None,
    p2p: str | None,
) -> None:
    """Make the home of a node that follows a network, serves reads, and does not vote.

    Its keys are made here and never leave this host. node.json is what the admin of the organisation
    registers; once that is final, the other nodes let this one in, and it catches up by itself. A node
    without --address is dialled by nobody and dials every member that has one: that works too. Running
    this again changes nothing, and writes node.json anew.
    """
    from cli.node_commands.new_node import (
        check_may_follow,
        genesis_in,
        is_complete,
        plan_node,
        tell,
        write_requests,
    )
    from ledger.genesis import chain_id
    from ledger.members import NodeRole
    from node.new_home import complete_home, make_keys

    genesis = genesis_in(genesis_file)
    node = plan_node(
        home,
        name=name,
        organisation=organisation,
        role=NodeRole.OBSERVER,
        listens={"api.listen": listen, "admin.listen": admin, "p2p.listen": p2p},
        peers=peers,
        addresses=addresses,
    )
    check_may_follow(node, genesis)
    was_complete = is_complete(node.home, genesis)
    keys = make_keys(node.home, NodeRole.OBSERVER)
    if not was_complete:
        complete_home(node.home, keys, genesis, node.settings)
    files = write_requests(node, keys, chain_id(genesis))
    output = session.output
    tell(output, node, keys, chain_id(genesis), files, is_new=not was_complete)
    output.note(f"the admin of {organisation} registers it:  farmgate org node add {files[0]}")
    output.note(f"before or after that:  ledger-node run --home {home}")
    if all(each.id != organisation for each in genesis.organisations):
        output.note(
            f"the genesis knows no {organisation}: it must have been admitted to the chain since then"
        )
