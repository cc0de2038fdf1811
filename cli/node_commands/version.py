"""`ledger-node version`"""

from __future__ import annotations

import click

from cli.group import NodeCommand
from cli.session import Session, with_session
from cli.version import tell_version


@click.command(cls=NodeCommand)
@with_session
def version(session: Session) -> None:
    """Print the version."""
    tell_version(session.output, "ledger-node")
