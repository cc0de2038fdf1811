"""One call of a contract by a command: say what would be sent, send it, and tell what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.sending import Outcome, Sender, check_final
from ledger.codec import Canonical
from ledger.readable import to_readable

if TYPE_CHECKING:
    from cli.session import Session


def call(session: Session, contract: str, method: str, arguments: Canonical, done: str) -> None:
    """Call a method, and print the outcome; `done` says in a few words what was achieved.

    Raises:
        Failure: as `Sender.send`, and the contract's own refusal.
    """
    readable: dict[str, Any] = to_readable(arguments)
    if session.is_dry_run:
        session.output.data(
            {"contract": contract, "method": method, "arguments": readable},
            lambda: session.output.fields([("call", f"{contract}.{method}"), *readable.items()]),
        )
        session.output.note("nothing was sent")
        return
    tell(session, check_final(Sender(session).send(contract, method, arguments)), done)


def tell(session: Session, outcome: Outcome, done: str) -> None:
    """Print what became of a transaction."""
    where = f"at height {outcome.height}" if outcome.receipt else "is on its way"
    session.output.data(
        outcome.readable,
        lambda: f"{session.output.status(outcome.status)}  {done}  {where}  transaction {outcome.id}",
    )
