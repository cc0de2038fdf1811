"""`farmgate tx`: transactions and what became of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import Command, Group
from cli.session import Session, with_session

if TYPE_CHECKING:
    from cli.answers import TransactionAnswer

POLL_SECONDS = 0.3
BLOCKS_LOOKED_THROUGH = 1_000


@click.group(cls=Group)
def tx() -> None:
    """Transactions and what became of them."""


@tx.command(cls=Command)
@click.argument("identifier", metavar="ID")
@with_session
def show(session: Session, identifier: str) -> None:
    """Where a transaction stands, and its receipt."""
    _tell(session, _get(session, check_id(identifier)))


@tx.command(cls=Command)
@click.argument("identifier", metavar="ID")
@with_session
def wait(session: Session, identifier: str) -> None:
    """Wait until a transaction is final (--timeout); exit code 6 if it is not by then."""
    check_id(identifier)
    deadline = time.monotonic() + session.timeout_seconds
    problem = ""
    while True:
        try:
            found = _get(session, identifier)
        except Failure as failure:
            if failure.exit_code not in (ExitCode.NOT_FOUND, ExitCode.UNREACHABLE, ExitCode.FAILED):
                raise
            problem = failure.message
        else:
            if found.receipt is not None:
                if session.profile.path is not None:
                    session.outbox().remove(identifier)
                _tell(session, found)
                return
            problem = "it waits for a block"
        if time.monotonic() >= deadline:
            raise Failure(
                "transaction.unknown_outcome",
                f"{identifier} is not known to be final after {session.timeout_seconds:.0f} s: {problem}",
                advice="wait again, or send it again: farmgate outbox send",
                exit_code=ExitCode.UNKNOWN,
            )
        time.sleep(POLL_SECONDS)


@tx.command("list", cls=Command)
@click.option("-n", "--lines", type=click.IntRange(1, 1_000), default=20, show_default=True, help="At most.")
@with_session
def list_(session: Session, lines: int) -> None:
    """The newest transactions of the chain, newest first."""
    found = _newest(session, lines)
    rows = [
        (each["height"], each["id"], f"{each['contract']}.{each['method']}", each["status"], each["code"])
        for each in found
    ]
    session.output.data(
        {"transactions": found},
        lambda: session.output.table(("height", "transaction", "call", "status", "code"), rows),
    )


def check_id(identifier: str) -> str:
    """The id of a transaction, if it can be one.

    Raises:
        Failure: `usage.not_an_id`.
    """
    if len(identifier) != 64 or not set(identifier) <= set("0123456789abcdef"):
        raise Failure(
            "usage.not_an_id",
            f"{identifier[:80]!r} is no transaction id: 64 hex digits in lower case",
            exit_code=ExitCode.USAGE,
        )
    return identifier


def _get(session: Session, identifier: str) -> TransactionAnswer:
    from cli.answers import TransactionAnswer

    return session.client.get(f"/v1/transactions/{identifier}", TransactionAnswer)


def _tell(session: Session, found: TransactionAnswer) -> None:
    import msgspec

    receipt = found.receipt
    pairs: list[tuple[str, Any]] = [
        ("transaction", found.id),
        ("status", session.output.status(found.status)),
        ("height", found.height),
        ("index", found.index),
        ("call", f"{found.contract}.{found.method}"),
        ("sender", found.sender),
        ("valid until", found.valid_until),
        ("bytes", found.size_bytes),
    ]
    if receipt is not None and receipt.code:
        pairs += [("code", receipt.code), ("at", receipt.pointer)]
    if receipt is not None:
        pairs.append(("events", len(receipt.events)))
    session.output.data(msgspec.to_builtins(found), lambda: session.output.fields(pairs))


def _newest(session: Session, lines: int) -> list[dict[str, Any]]:
    """Look back through the blocks that hold transactions."""
    import msgspec

    from cli.answers import BlockAnswer, BlockPage

    found: list[dict[str, Any]] = []
    path: str | None = "/v1/blocks?limit=100"
    looked = 0
    while path is not None and looked < BLOCKS_LOOKED_THROUGH:
        page = session.client.get(path, BlockPage)
        looked += len(page.blocks)
        for summary in page.blocks:
            if not summary.transaction_count:
                continue
            block = session.client.get(f"/v1/blocks/{summary.height}", BlockAnswer)
            for each in reversed(block.transactions):
                found.append({"height": summary.height, **msgspec.to_builtins(each)})
                if len(found) == lines:
                    return found
        path = page.next
    return found
