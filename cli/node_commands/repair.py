"""`ledger-node repair`: mend a home whose stores are damaged."""

from __future__ import annotations

from pathlib import Path

import click

from cli.group import NodeCommand
from cli.node_commands.options import home_option, read_settings
from cli.session import Session, with_session


@click.command(cls=NodeCommand)
@home_option
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say what is damaged and what would be done.")
@with_session
def repair(session: Session, home: Path, is_dry: bool) -> None:
    """Check every store and mend what is damaged; nothing is deleted, and the node must be stopped.

    It never makes a record of what the validator's key has signed: where that is damaged, the key stays in
    quarantine until the network has moved on. Data of another chain is left alone.
    """
    from node.genesis_file import read_genesis
    from node.home import Home
    from node.repair import repair_home

    read_settings(home)
    place = Home(home)
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        session.output.line(line)

    is_changed = repair_home(place, read_genesis(place.genesis), tell, is_dry=is_dry)
    if session.output.is_json:
        session.output.data({"changed": is_changed and not is_dry, "needed": is_changed, "found": said}, str)
