"""`ledger-node history`: what a validator's key has signed, out of one home and into another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.group import NodeCommand, NodeGroup
from cli.node_commands.options import home_option, read_settings
from cli.session import Session, with_session

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from node.home import Home

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(cls=NodeGroup)
def history() -> None:
    """Move a validator to another host, or begin its record anew. The node must be stopped."""


@history.command("export", cls=NodeCommand)
@click.argument("file", type=_FILE)
@home_option
@with_session
def export_command(session: Session, file: Path, home: Path) -> None:
    """Write what the key has promised to FILE, and never sign in this home again.

    Take FILE and keys/validator to the new home, delete keys/validator here, and run `ledger-node history
    import` there. FILE is no secret. The same command again writes the same FILE.
    """
    from node.history_moves import export_history

    place, genesis = _of(home)
    found = export_history(place, genesis, file)
    said = {
        "file": str(file),
        "floor": {"epoch": found.floor_epoch, "view": found.floor_view},
        "promises": len(found.votes) + len(found.proposals),
    }
    session.output.data(
        said,
        lambda: f"{file}: {said['promises']} promises above view {found.floor_view}; this home signs no more",
    )


@history.command("import", cls=NodeCommand)
@click.argument("file", type=_FILE)
@home_option
@with_session
def import_command(session: Session, file: Path, home: Path) -> None:
    """Take the promises in FILE into this home, which holds the same validator key.

    Floors only rise and promises are only added. The node signs as soon as it has heard from the others,
    unless FILE is older than the blocks that this home holds: then it is quarantined until the network has
    moved on. Import a FILE once, and the newest only.
    """
    from cli.exit_code import ExitCode
    from cli.failure import Failure
    from node.history_moves import import_history

    place, genesis = _of(home)
    try:
        found = import_history(place, genesis, file)
    except FileNotFoundError:
        raise Failure("history.missing", f"{file} is not there", exit_code=ExitCode.NOT_FOUND) from None
    floor = found.history
    said = {
        "floor": {"epoch": floor.floor_epoch, "view": floor.floor_view},
        "promises": len(floor.votes) + len(floor.proposals),
        "quarantine": found.reason,
    }
    after = (
        f"it stays in quarantine: {found.reason}" if found.reason else "it signs when it has heard the others"
    )
    session.output.data(said, lambda: f"{said['promises']} promises above view {floor.floor_view}; {after}")


@history.command(cls=NodeCommand)
@home_option
@with_session
def reset(session: Session, home: Path) -> None:
    """Begin the record anew: the key is quarantined until the network has moved past what it may have signed.

    For a home that gave its record up, when nobody else signs with the key any more: make sure of that
    first. The old record is set aside, not deleted.
    """
    from node.history_moves import reset_record

    place, genesis = _of(home)
    aside = reset_record(place, genesis)
    said = {"set_aside": None if aside is None else str(aside)}
    session.output.data(
        said, lambda: "an empty record; the next start is in quarantine until the network moves on"
    )


def _of(home: Path) -> tuple[Home, Genesis]:
    from node.genesis_file import read_genesis
    from node.home import Home

    read_settings(home)
    return Home(home), read_genesis(Home(home).genesis)
