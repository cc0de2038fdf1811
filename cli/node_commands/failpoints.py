"""`ledger-node failpoints`: where a test can end the process."""

from __future__ import annotations

import click

from cli.group import NodeCommand
from cli.session import Session, with_session


@click.command(cls=NodeCommand)
@with_session
def failpoints(session: Session) -> None:
    """List the places at which a node can be told to die.

    FARMGATE_FAILPOINT=NAME[:N] ends the process (SIGKILL) at the N-th pass of that place, on a chain whose
    genesis says that it is a test network, and is refused elsewhere.
    """
    from node.failpoints import DESCRIPTIONS, VARIABLE, FailPoint

    output = session.output
    rows = [(point.value, DESCRIPTIONS[point]) for point in FailPoint]
    listed = [{"name": name, "description": words} for name, words in rows]
    output.data({"variable": VARIABLE, "failpoints": listed}, lambda: output.table(("name", "where"), rows))
