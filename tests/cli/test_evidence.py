"""`farmgate evidence`: listed, shown, and verified again where it is shown."""

from __future__ import annotations

import msgspec
import pytest

from cli.exit_code import ExitCode
from ledger.evidence import ConflictingVotes, evidence_id
from ledger.vote import VoteKind
from tests.cli.shell import Site, shell
from tests.node.api.test_evidence import accuse


def test_no_evidence(site: Site) -> None:
    """An honest chain answers in words, and with an empty list."""
    assert "nobody" in shell("--node", site.url, "evidence", "list").out
    assert shell("--node", site.url, "evidence", "list", "--json").json == {"evidence": []}


def test_evidence_is_listed_and_shown(site: Site) -> None:
    """Both name validator and offence; shown, the two statements stand side by side, verified here."""
    held = accuse(site.node)
    site.node.held_evidence = (held,)
    (listed,) = shell("--node", site.url, "evidence", "list", "--json").json["evidence"]
    assert "nullify_and_finalize" in shell("--node", site.url, "evidence", "list").out
    said = shell("--node", site.url, "evidence", "show", listed["id"])
    assert said.code == ExitCode.OK, said.err
    assert "node-0" in said.out
    assert "leave a view and to finalize" in said.out
    assert "verified here" in said.out
    shown = shell("--node", site.url, "evidence", "show", listed["id"], "--json").json
    assert [each["kind"] for each in shown["statements"]] == [VoteKind.NULLIFY.value, VoteKind.FINALIZE.value]


def test_a_proof_that_proves_nothing_is_told(site: Site) -> None:
    """A node that answers with a signature of nobody is caught by the one who asks: exit code 8."""
    held = accuse(site.node)
    assert isinstance(held, ConflictingVotes)
    forged = ConflictingVotes(held.first, msgspec.structs.replace(held.second, signature=bytes(64)))
    site.node.held_evidence = (forged,)
    said = shell("--node", site.url, "evidence", "show", evidence_id(forged).hex(), "--json")
    assert (said.code, said.error["code"]) == (ExitCode.UNVERIFIED, "evidence.unproved")


def test_unknown_evidence(site: Site) -> None:
    """Nothing under this id is exit code 3."""
    said = shell("--node", site.url, "evidence", "show", "ab" * 32, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.NOT_FOUND, "evidence.unknown")


@pytest.mark.parametrize("identifier", ["x", "AB" * 32, ""])
def test_no_evidence_id(identifier: str) -> None:
    """What is no id is wrong usage, and nobody is asked."""
    said = shell("evidence", "show", identifier, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "usage.not_an_id")
