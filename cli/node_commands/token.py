"""`ledger-node token`: who may capture, read or administer through this node."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.group import NodeCommand, NodeGroup
from cli.node_commands.options import home_option, read_settings
from cli.session import Session, with_session

if TYPE_CHECKING:
    from node.api.tokens import Token

_DAY_MS = 86_400_000
_MISTAKES = ("token.label", "token.scopes")  # in what was typed
_SCOPES = ("capture", "read", "admin")


@click.group(cls=NodeGroup)
def token() -> None:
    """Tokens for clients of this site. A running node takes note of a change at its next request."""


@token.command(cls=NodeCommand)
@home_option
@click.option("--label", required=True, help="For whom or what it is: what a list will say.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(_SCOPES),
    default=("capture", "read"),
    show_default="capture and read",
    help="What it allows; may be repeated.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), help="For how many days it is good.  [default: until revoked]"
)
@with_session
def new(session: Session, home: Path, label: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a token and print it, once: only its hash is kept.

    Keep it in a file that its user alone can read. It goes into `Authorization: Bearer`.
    """
    from cli.exit_code import ExitCode
    from cli.failure import Failure
    from ledger.errors import LedgerError
    from node.api.tokens import Scope, new_token

    read_settings(home)
    now = _now_ms()
    expires = now + days * _DAY_MS if days else 0
    try:
        made, secret = new_token(home, label, [Scope(scope) for scope in scopes], now, expires)
    except LedgerError as refusal:
        if refusal.code not in _MISTAKES:
            raise
        raise Failure(refusal.code, refusal.message, refusal.pointer, exit_code=ExitCode.USAGE) from None
    session.output.data({**_readable(made, now), "token": secret}, lambda: secret)
    session.output.note(f"token {made.id} ({', '.join(scopes)}); it is shown this once")


@token.command("list", cls=NodeCommand)
@home_option
@with_session
def list_command(session: Session, home: Path) -> None:
    """List the site's tokens, revoked and expired ones too. The tokens themselves are kept nowhere."""
    from node.api.tokens import list_tokens

    read_settings(home)
    now = _now_ms()
    listed = [_readable(each, now) for each in list_tokens(home)]
    output = session.output
    headings = ("id", "state", "label", "scopes", "created", "expires")
    rows = [[each[name] for name in headings] for each in listed]
    output.data({"tokens": listed}, lambda: output.table(headings, rows) if rows else "no tokens")


@token.command(cls=NodeCommand)
@click.argument("token_id", metavar="ID")
@home_option
@with_session
def revoke(session: Session, token_id: str, home: Path) -> None:
    """Revoke a token, by the id that `token list` shows. Doing it again changes nothing."""
    from cli.exit_code import ExitCode
    from cli.failure import Failure
    from ledger.errors import LedgerError
    from node.api.tokens import revoke_token

    read_settings(home)
    now = _now_ms()
    try:
        revoked = revoke_token(home, token_id, now)
    except LedgerError as refusal:
        if refusal.code != "token.unknown":
            raise
        raise Failure(
            refusal.code,
            refusal.message,
            advice=f"ledger-node token list --home {home}",
            exit_code=ExitCode.NOT_FOUND,
        ) from None
    session.output.data(_readable(revoked, now), lambda: f"token {revoked.id} ({revoked.label}) is revoked")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _readable(each: Token, now_ms: int) -> dict[str, Any]:
    state = "in force"
    if each.revoked_ms:
        state = "revoked"
    elif 0 < each.expires_ms <= now_ms:
        state = "expired"
    return {
        "id": each.id,
        "label": each.label,
        "scopes": [scope.value for scope in each.scopes],
        "state": state,
        "created": _time(each.created_ms),
        "expires": _time(each.expires_ms) if each.expires_ms else None,
        "revoked": _time(each.revoked_ms) if each.revoked_ms else None,
    }


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
