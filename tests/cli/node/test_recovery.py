"""`ledger-node recovery` as two operators use it: what it says, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.exit_code import ExitCode
from node.home import Home
from tests.cli.node.command import LedgerNode
from tests.cli.shell import shell


@pytest.fixture
def homes(ledger_node: LedgerNode, genesis: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two founders with 100 and 50 units of stake; the second lost its record."""
    places = tmp_path / "n0", tmp_path / "n1"
    for place in places:
        assert ledger_node("init", "--home", place, "--genesis", genesis).code == 0
    Home(places[1]).consensus_log.unlink()
    assert ledger_node("repair", "--home", places[1]).code == 0
    return places


def test_two_operators_recover(ledger_node: LedgerNode, homes: tuple[Path, Path], tmp_path: Path) -> None:
    """Each step answers in JSON; what show says is what make said, and a step again says the same."""
    files = [tmp_path / "r0", tmp_path / "r1"]
    for home, file, is_whole in zip(homes, files, (True, False), strict=True):
        said = ledger_node("recovery", "report", file, "--home", home).json
        assert (said["epoch"], said["whole"], said["view"], said["block"]) == (0, is_whole, None, None)
    made = ledger_node("recovery", "make", tmp_path / "all", *files, "--home", homes[0]).json
    assert (made["ended"], made["begins"], made["view"], made["height"]) == (0, 2, 0, 0)
    assert made["stake"] == {"total": 150, "reported": 150, "whole": 100, "lies_max": 50}
    assert (made["whole"], made["lost"], made["silent"]) == (["v0"], ["v1"], [])
    assert ledger_node("recovery", "show", tmp_path / "all", "--home", homes[1]).json == made
    approvals = [tmp_path / "a0", tmp_path / "a1"]
    for home, file in zip(homes, approvals, strict=True):
        said = ledger_node("recovery", "approve", tmp_path / "all", file, "--home", home).json
        assert said["recovery"] == made["recovery"]
    few = ledger_node("recovery", "begin", tmp_path / "all", approvals[0], "--home", homes[0])
    assert (few.code, few.error) == (ExitCode.REJECTED, "recovery.too_little_stake")
    for _ in range(2):
        begun = ledger_node("recovery", "begin", tmp_path / "all", *approvals, "--home", homes[0]).json
        assert begun["begins"] == 2


def test_a_person_reads_what_a_recovery_rests_on(homes: tuple[Path, Path], tmp_path: Path) -> None:
    """In words: who reports, who lost what, and how much may lie."""
    for home, name in zip(homes, ("r0", "r1"), strict=True):
        said = shell("recovery", "report", str(tmp_path / name), "--home", str(home), program="ledger-node")
        assert said.code == 0, said.err
        assert ("its record is whole" in said.out) is (name == "r0")
    words = ("recovery", "make", *(str(tmp_path / name) for name in ("all", "r0", "r1")))
    said = shell(*words, "--home", str(homes[0]), program="ledger-node")
    assert "begins epoch 2" in said.out
    assert "150 of 150 units of stake, 100 of whole records" in said.out
    assert "lost: v1" in said.out
    assert "safe even if 50 units among the whole records lie" in said.out


def test_what_is_no_file_or_no_home_is_refused(
    ledger_node: LedgerNode, homes: tuple[Path, Path], tmp_path: Path
) -> None:
    """One sentence and a stable code, and nothing is made."""
    bad = tmp_path / "bad"
    bad.write_bytes(b"{}")
    for step in (("make", tmp_path / "new", bad), ("show", bad), ("approve", bad, tmp_path / "new")):
        answer = ledger_node("recovery", *step, "--home", homes[0])
        assert answer.error == "recovery.malformed"
    assert ledger_node("recovery", "report", bad, "--home", homes[0]).error == "recovery.exists"
    assert ledger_node("recovery", "report", tmp_path / "new", "--home", tmp_path).error == "home.missing"
    assert not (tmp_path / "new").exists()
