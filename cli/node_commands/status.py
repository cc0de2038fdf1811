"""`ledger-node status` and `ledger-node peers`: what the running node of a home says of itself."""

from __future__ import annotations

from pathlib import Path

import click

from cli.group import NodeCommand
from cli.node_commands.options import home_option
from cli.session import Session, with_session


@click.command(cls=NodeCommand)
@home_option
@with_session
def status(session: Session, home: Path) -> None:
    """Where the node stands: height, state root, what is missing, and why the chain waits, if it does.

    Exit code 7: it does not answer.
    """
    from cli.node_commands.own_node import own_status

    said = own_status(home)
    connected = [peer["name"] for peer in said["peers"] if peer["connected"]]
    shown = [
        *((name, said[name]) for name in ("node", "organisation", "role", "network", "chain_id")),
        *((name, said[name]) for name in ("height", "block_id", "state_root", "lag_blocks")),
        *((name, said[name]) for name in ("epoch", "view", "leader", "is_voting", "pending_transactions")),
        ("peers", f"{len(connected)} of {len(said['peers'])} connected"),
        ("version", said["version"]),
        ("reason", said["reason"]),
    ]
    session.output.data(said, lambda: session.output.fields(shown))


@click.command(cls=NodeCommand)
@home_option
@with_session
def peers(session: Session, home: Path) -> None:
    """The other nodes that the chain lists, and whether this one is connected to them.

    Exit code 7: it does not answer.
    """
    from cli.node_commands.own_node import own_status, problem_words

    said = own_status(home)
    output = session.output
    rows = [
        (
            peer["name"],
            peer["role"],
            "connected" if peer["connected"] else "away",
            problem_words(peer["problem"]),
            peer["public_key"][:16] + "…",
        )
        for peer in said["peers"]
    ]
    headings = ("node", "role", "state", "problem", "key")
    output.data({"peers": said["peers"]}, lambda: output.table(headings, rows) if rows else "no other nodes")
