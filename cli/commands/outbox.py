"""`farmgate outbox`: transactions that were signed and are not known to be final."""

from __future__ import annotations

import click

from cli.exit_code import ExitCode
from cli.failure import Failure, Finished
from cli.group import Command, Group
from cli.session import Session, with_session


@click.group(cls=Group)
def outbox() -> None:
    """Transactions of the profile that were signed and are not known to be final.

    Each is kept until its fate is known. Sending one again is harmless: it is the same transaction.
    """


@outbox.command("list", cls=Command)
@with_session
def list_(session: Session) -> None:
    """What waits, oldest first."""
    waiting = list(session.outbox().all())
    found = [
        {
            "id": each.id.hex(),
            "call": f"{each.body.contract}.{each.body.method}",
            "valid_until": each.body.valid_until,
            "bytes": len(each.raw),
        }
        for each in waiting
    ]
    session.output.data(
        {"transactions": found},
        lambda: session.output.table(
            ("transaction", "call", "valid until", "bytes"), [tuple(each.values()) for each in found]
        ),
    )


@outbox.command(cls=Command)
@click.argument("identifiers", nargs=-1, metavar="[ID]...")
@with_session
def send(session: Session, identifiers: tuple[str, ...]) -> None:
    """Send what waits, or those that are named, and wait for their fate."""
    from cli.sending import Sender

    kept = session.outbox()
    waiting = [kept.get(each) for each in identifiers] if identifiers else list(kept.all())
    if session.is_dry_run:
        session.output.data(
            {"transactions": [each.id.hex() for each in waiting]},
            lambda: "\n".join(each.id.hex() for each in waiting) or "nothing waits",
        )
        return
    sender = Sender(session)
    told, worst = [], ExitCode.OK
    with session.output.progress("sending", len(waiting)) as step:
        for each in waiting:
            try:
                outcome = sender.deliver(each).readable
            except Failure as failure:
                outcome = {"id": each.id.hex(), "status": "failed", "code": failure.code}
                worst = failure.exit_code
                session.output.failure(failure)
            if outcome["status"] == "refused":
                worst = ExitCode.REJECTED
            told.append(outcome)
            step()
    rows = [(each["id"], each["status"], each.get("height"), each.get("code", "")) for each in told]
    session.output.data(
        {"transactions": told},
        lambda: (
            session.output.table(("transaction", "status", "height", "code"), rows)
            if rows
            else "nothing waits"
        ),
    )
    if worst is not ExitCode.OK:
        raise Finished(worst)


@outbox.command(cls=Command)
@click.argument("identifier", metavar="ID")
@with_session
def drop(session: Session, identifier: str) -> None:
    """Forget a transaction. If it was sent, it may become final all the same."""
    kept = session.outbox()
    kept.get(identifier)
    session.confirm(f"forget transaction {identifier}? It may still become final")
    kept.remove(identifier)
    session.output.data({"id": identifier, "dropped": True}, lambda: f"{identifier} is forgotten")
