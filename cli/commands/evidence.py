"""`farmgate evidence`: who signed against the rules, and the proof."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click
import msgspec

from cli.answers import Evidence, EvidencePage
from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.group import Command, Group
from cli.session import Session, with_session

if TYPE_CHECKING:
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


def _told(statement: Vote | Proposal) -> str:
    """What was signed; chain, epoch and view are the same in all."""
    from ledger.vote import Vote

    if isinstance(statement, Vote):
        what = "the view" if statement.block_id is None else statement.block_id.hex()
        return f"vote to {statement.kind.name.lower()} {what}"
    return f"proposal of {statement.block_id.hex()} on the parent of view {statement.parent_view}"
