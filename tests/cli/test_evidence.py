"""`farmgate evidence`: listed, shown, and verified again where it is shown."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cli.exit_code import ExitCode
from ledger.evidence import ConflictingVotes, check_evidence, decode_evidence, evidence_id
from ledger.types import Epoch
from ledger.vote import VoteKind
from tests.cli.shell import Site, shell
from tests.node.api.test_evidence import accuse
from tests.node.test_audit import Case


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


def test_a_fork_between_two_homes_is_proved(tmp_path: Path) -> None:
    """Exit code 10, the culprits by name, more than a third of the stake, each with its proof in the JSON."""
    case = Case(1)
    first, second = (str(home.root) for home in case.homes(tmp_path))
    said = shell("evidence", "audit", first, second)
    assert said.code == ExitCode.FORKED, said.err
    assert "fork at height" in said.out
    found = shell("evidence", "audit", first, second, "--json").json
    assert found["forked"] is True
    assert 3 * found["stake"] > found["total_stake"]
    for culprit in found["culprits"]:
        assert culprit["node"] in said.out
        proof = decode_evidence(bytes.fromhex(culprit["bytes"]))
        validators = case.validators
        key = check_evidence(proof, case.chain, Epoch(found["epoch"]), validators)
        assert key.hex() == culprit["public_key"]


def test_two_homes_that_agree(tmp_path: Path) -> None:
    """Exit code 0, and how far they agree."""
    home = str(Case(1).homes(tmp_path)[0].root)
    said = shell("evidence", "audit", home, home)
    assert said.code == ExitCode.OK
    assert "no conflict" in said.out
    assert shell("evidence", "audit", home, home, "--json").json["forked"] is False


def test_homes_that_prove_nothing(tmp_path: Path) -> None:
    """Without the certificates that name somebody it is exit code 8; of two chains, 9; no home, 1 or 2."""
    case = Case(1)
    first = str(case.home(tmp_path / "a", case.first).root)
    bare = str(case.home(tmp_path / "b", case.second, ()).root)
    said = shell("evidence", "audit", first, bare, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.UNVERIFIED, "audit.not_final")
    other = str(Case(4).homes(tmp_path / "other")[0].root)
    assert shell("evidence", "audit", first, other).code == ExitCode.CONFLICT
    assert shell("evidence", "audit", first, str(tmp_path / "none")).code == ExitCode.USAGE
    assert shell("evidence", "audit", first, str(tmp_path)).code != ExitCode.OK
