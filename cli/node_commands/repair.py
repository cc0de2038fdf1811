"""`ledger-node repair`: mend a home whose stores are damaged."""

from __future__ import annotations

from pathlib import Path

import click

from cli.group import NodeCommand
from cli.node_commands.options import home_option, read_settings
from cli.session import Session, with_session


@click.command(cls=NodeCommand)
@home_option
@with_session
def repair(session: Session, home: Path) -> None:
    """Check every store and mend what is damaged; nothing is deleted, and the node must be stopped."""
    from node.genesis_file import read_genesis
    from node.home import Home
    from node.repair import repair_home

    read_settings(home)
    place = Home(home)
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        session.output.line(line)

    is_changed = repair_home(place, read_genesis(place.genesis), tell)
    if session.output.is_json:
        session.output.data({"changed": is_changed, "found": said}, str)
