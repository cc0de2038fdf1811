"""`farmgate evidence`: who signed against the rules, and the proof."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cli.answers import Evidence, EvidencePage
from cli.exit_code import ExitCode
from cli.failure import Failure, Finished
from cli.group import Command, Group
from cli.session import Session, with_session

if TYPE_CHECKING:
    from ledger.accountability import Fork
    from ledger.vote import Proposal, Vote

PAGES_MAX = 100
WORDS = {
    "two_notarize_votes": "voted to notarize two blocks in one view",
    "two_finalize_votes": "voted to finalize two blocks in one view",
    "nullify_and_finalize": "voted to leave a view and to finalize a block in it",
    "notarize_and_finalize": "voted to notarize one block and to finalize another in one view",
    "two_proposals": "proposed two blocks in one view",
    "proposal_out_of_turn": "proposed in a view that another validator led",
}


@click.group(cls=Group)
def evidence() -> None:
    """Validators that signed against the rules, with the signatures that prove it."""


@evidence.command("list", cls=Command)
@with_session
def list_(session: Session) -> None:
    """What the node holds, by epoch and validator."""
    found: list[Evidence] = []
    path: str | None = "/v1/evidence?limit=100"
    for _ in range(PAGES_MAX):
        if path is None:
            break
        page = session.client.get(path, EvidencePage)
        found += page.evidence
        path = page.next
    rows = [
        (each.epoch, each.view, each.node, each.offence, "yes" if each.is_reported else "not yet", each.id)
        for each in found
    ]
    session.output.data(
        {"evidence": msgspec.to_builtins(found)},
        lambda: (
            session.output.table(("epoch", "view", "node", "offence", "slashed", "evidence"), rows)
            if rows
            else "no evidence: nobody is known to have signed against the rules"
        ),
    )


@evidence.command(cls=Command)
@click.argument("identifier", metavar="ID")
@with_session
def show(session: Session, identifier: str) -> None:
    """One piece of evidence: who, where, what, and the two signed statements, verified again here."""
    from ledger.evidence import decode_evidence, evidence_id, is_signed_by, statements
    from ledger.readable import to_readable
    from ledger.types import PublicKey

    if re.fullmatch(r"[0-9a-f]{64}", identifier) is None:
        raise Failure(
            "usage.not_an_id", f"{identifier!r} is no id: 64 hexadecimal digits", exit_code=ExitCode.USAGE
        )
    found = session.client.get(f"/v1/evidence/{identifier}", Evidence)
    proof = decode_evidence(bytes.fromhex(found.bytes))
    key = PublicKey(bytes.fromhex(found.public_key))
    if evidence_id(proof).hex() != identifier or (key and not is_signed_by(proof, key)):
        raise Failure(
            "evidence.unproved",
            f"{session.client.node} answered with another proof, or one that {found.node} did not sign",
            advice="ask another node: --node URL",
            exit_code=ExitCode.UNVERIFIED,
        )
    said = statements(proof)
    output = session.output

    def text() -> str:
        fields = [
            ("evidence", found.id),
            ("validator", f"{found.node} (index {found.validator})"),
            ("public key", found.public_key),
            ("epoch, view", f"{found.epoch}, {found.view}"),
            ("offence", f"it {WORDS.get(found.offence, found.offence)}"),
            *((f"statement {number}", _told(each)) for number, each in enumerate(said, 1)),
            ("slashed", "yes" if found.is_reported else "not yet"),
            (
                "signatures",
                "verified here" if key else "not verified: the validators of this epoch are not kept",
            ),
        ]
        return output.fields(fields)

    output.data({**msgspec.to_builtins(found), "statements": [to_readable(each) for each in said]}, text)


@evidence.command(cls=Command)
@click.argument("first", metavar="HOME_A", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("second", metavar="HOME_B", type=click.Path(exists=True, file_okay=False, path_type=Path))
@with_session
def audit(session: Session, first: Path, second: Path) -> None:
    """Hold the histories of two stopped nodes against each other, and name who signed for both.

    Nothing in the two homes is changed: their blocks are copied to the system's folder for temporary
    files first. Exit code 0: they agree; 10: they conflict, and validators with more than a third of
    the stake are proved to have signed for both; 8: they conflict, and lack what would prove by whom.
    """
    from node.audit import Agreement, audit_homes
    from node.home import Home
    from node.store.failure import StoreError

    try:
        found = audit_homes(Home(first), Home(second))
    except StoreError as problem:
        raise Failure(problem.code, str(problem), exit_code=ExitCode.FAILED) from None
    if isinstance(found, Agreement):
        session.output.data(
            {"forked": False, "height": found.height},
            lambda: f"no conflict: both hold the same blocks up to height {found.height}",
        )
        return
    session.output.data({"forked": True, **_readable(found)}, lambda: _verdict(session, found))
    raise Finished(ExitCode.FORKED)


def _readable(fork: Fork) -> dict[str, Any]:
    from ledger.evidence import accused, encode_evidence, evidence_id, offence_of

    named = [
        {
            "validator": each.validator,
            "node": each.node,
            "public_key": each.public_key.hex(),
            "stake": each.stake,
            "view": accused(each.evidence).view,
            "offence": offence_of(each.evidence).value,
            "evidence": evidence_id(each.evidence).hex(),
            "bytes": encode_evidence(each.evidence).hex(),
        }
        for each in fork.culprits
    ]
    return {
        "epoch": fork.epoch,
        "height": fork.height,
        "blocks": [block.hex() for block in fork.blocks],
        "final_views": list(fork.final_views),
        "stake": fork.stake,
        "total_stake": fork.total_stake,
        "culprits": named,
    }


def _verdict(session: Session, fork: Fork) -> str:
    said = _readable(fork)
    columns = ("node", "stake", "view", "offence", "evidence")
    rows = [[each[column] for column in columns] for each in said["culprits"]]
    return "\n".join(
        [
            f"fork at height {fork.height}, epoch {fork.epoch}: both histories are final",
            *(f"  {name}: {block}" for name, block in zip(("A", "B"), said["blocks"], strict=True)),
            f"{fork.stake} of {fork.total_stake} units of stake signed for both:",
            session.output.table(columns, rows),
        ]
    )


def _told(statement: Vote | Proposal) -> str:
    """What was signed; chain, epoch and view are the same in all."""
    from ledger.vote import Vote

    if isinstance(statement, Vote):
        what = "the view" if statement.block_id is None else statement.block_id.hex()
        return f"vote to {statement.kind.name.lower()} {what}"
    return f"proposal of {statement.block_id.hex()} on the parent of view {statement.parent_view}"
