"""`ledger-node recovery`: bring a chain back whose quorum lost its records: operators decide, and sign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.group import NodeCommand, NodeGroup
from cli.node_commands.options import home_option, read_settings
from cli.session import Session, with_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.genesis import Genesis
    from ledger.validators import Validator
    from node.home import Home
    from node.recovery_moves import Shown

_NEW = click.Path(dir_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, exists=True, readable=True, path_type=Path)


@click.group(cls=NodeGroup)
def recovery() -> None:
    """Bring a chain back of which more than a third of the stake lost its records. Nodes must be stopped.

    Every operator reports; one makes the recovery from all reports; operators with more than two thirds of
    the stake approve it; each begins by it. docs/how-to/recover-a-stuck-chain.md leads through it.
    """


@recovery.command(cls=NodeCommand)
@click.argument("file", type=_NEW)
@home_option
@with_session
def report(session: Session, file: Path, home: Path) -> None:
    """Promise to sign nothing more in this epoch, and write what this home knows of it to FILE.

    There is no way back: if the recovery comes to nothing, this key is silent until the epoch after next.
    FILE is no secret. The same command again writes the same report.
    """
    from node.recovery_moves import report as report_of

    made = report_of(*_of(home), file).report
    said = {
        "file": str(file),
        "epoch": made.epoch,
        "validator": made.validator,
        "whole": made.is_whole,
        "view": None if made.certificate is None else made.certificate.view,
        "block": None if made.certificate is None else (made.certificate.block_id or b"").hex(),
    }
    record = "its record is whole" if made.is_whole else "its record is not whole"
    held = f"holds view {said['view']}" if made.certificate else "holds no certificate of the epoch"
    session.output.data(
        said, lambda: f"{file}: validator {made.validator}, epoch {made.epoch}; {record}; {held}"
    )


@recovery.command(cls=NodeCommand)
@click.argument("file", type=_NEW)
@click.argument("reports", type=_FILE, nargs=-1, required=True)
@home_option
@with_session
def make(session: Session, file: Path, reports: Sequence[Path], home: Path) -> None:
    """Write the recovery that all REPORTS together lead to, to FILE.

    The order makes no difference. Bring in every report that there is: each whole record makes it safer.
    """
    from node.recovery_moves import make as make_of

    _tell(session, make_of(*_of(home), reports, file), str(file))


@recovery.command(cls=NodeCommand)
@click.argument("file", type=_FILE)
@home_option
@with_session
def show(session: Session, file: Path, home: Path) -> None:
    """Check the recovery in FILE and say what it chooses, what it rests on, and who is missing."""
    from node.recovery_moves import show as show_of

    _tell(session, show_of(*_of(home), file), str(file))


@recovery.command(cls=NodeCommand)
@click.argument("file", type=_FILE)
@click.argument("approval", type=_NEW)
@home_option
@with_session
def approve(session: Session, file: Path, approval: Path, home: Path) -> None:
    """Check the recovery in FILE and sign it: writes APPROVAL.

    A validator approves one recovery of an epoch, ever. The same command again writes the same approval.
    """
    from node.recovery_moves import approve_recovery

    made = approve_recovery(*_of(home), file, approval)
    said = {"file": str(approval), "validator": made.validator, "recovery": made.recovery.hex()}
    session.output.data(
        said, lambda: f"{approval}: validator {made.validator} approves {made.recovery.hex()[:16]}"
    )


@recovery.command(cls=NodeCommand)
@click.argument("file", type=_FILE)
@click.argument("approvals", type=_FILE, nargs=-1, required=True)
@home_option
@with_session
def begin(session: Session, file: Path, approvals: Sequence[Path], home: Path) -> None:
    """Keep the recovery in FILE, approved by more than two thirds of the stake: the next start begins by it.

    One home is enough to move the others that are connected; do it in every home that you have.
    """
    from node.recovery_moves import begin as begin_of

    shown = begin_of(*_of(home), file, approvals)
    said = _said(shown)
    session.output.data(
        said, lambda: f"epoch {said['begins']} begins on block {said['block'][:16]} when this node starts"
    )


def _tell(session: Session, shown: Shown, file: str) -> None:
    said = {"file": file, **_said(shown)}
    session.output.data(said, lambda: _text(said))


def _said(shown: Shown) -> dict[str, Any]:
    from ledger.recovery import recovery_hash

    recovery, margin = shown.recovery, shown.margin
    return {
        "recovery": recovery_hash(recovery).hex(),
        "ended": recovery.ended_epoch,
        "begins": recovery.new_epoch,
        "view": recovery.view,
        "block": recovery.block_id.hex(),
        "height": shown.height,
        "stake": {
            "total": margin.total,
            "reported": margin.reported,
            "whole": margin.whole,
            "lies_max": margin.lies_max,
        },
        "whole": _names(shown.whole),
        "lost": _names(shown.lost),
        "silent": _names(shown.silent),
    }


def _names(validators: Sequence[Validator]) -> list[str]:
    return [each.node for each in validators]


def _text(said: dict[str, Any]) -> str:
    stake = said["stake"]
    place = "not held here yet" if said["height"] is None else f"height {said['height']} here"
    lines = [
        f"recovery {said['recovery']}",
        f"ends epoch {said['ended']} on block {said['block']} of view {said['view']} ({place})",
        f"begins epoch {said['begins']}",
        f"reports: {stake['reported']} of {stake['total']} units of stake, {stake['whole']} of whole records",
        f"whole: {', '.join(said['whole'])}",
        f"lost: {', '.join(said['lost']) or 'none'}",
        f"no report: {', '.join(said['silent']) or 'none'}",
    ]
    if stake["lies_max"]:
        lines.append(f"safe even if {stake['lies_max']} units among the whole records lie")
    else:
        lines.append("safe only if no whole record lies or was restored: look for more reports first")
    return "\n".join(lines)


def _of(home: Path) -> tuple[Home, Genesis]:
    from node.genesis_file import read_genesis
    from node.home import Home

    read_settings(home)
    return Home(home), read_genesis(Home(home).genesis)
