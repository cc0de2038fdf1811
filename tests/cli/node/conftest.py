"""A network of two founders, made by the commands themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.crypto import key_pair
from tests.cli.node.command import LedgerNode

PLAN = """
network = "produce"
title = "Produce of two valleys"

[[organisations]]
id = "org-0"
title = "The first"
gs1_prefixes = ["9521001"]
admin_key = "{first}"
is_registrar = true

[[organisations]]
id = "org-1"
title = "The second"
admin_key = "{second}"

[[nodes]]
registration = "v0.json"

[[nodes]]
registration = "v1.json"
stake = 50
"""


@pytest.fixture
def ledger_node(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> LedgerNode:
    """The program, away from this machine's own settings."""
    for variable in ("FARMGATE_NAME", "FARMGATE_API_LISTEN"):
        monkeypatch.delenv(variable, raising=False)
    return LedgerNode(capsys)


@pytest.fixture
def plan(tmp_path: Path, ledger_node: LedgerNode) -> Path:
    """A plan, and beside it the homes (n0, n1) and registrations (v0.json, v1.json) of both founders."""
    for number in range(2):
        answer = ledger_node(
            *("init", "--home", tmp_path / f"n{number}", "--name", f"v{number}"),
            *("--organisation", f"org-{number}", "--address", f"v{number}.example:26602"),
            *("--registration", tmp_path / f"v{number}.json"),
        )
        assert answer.code == 0
    keys = [key_pair(bytes([number]) * 32).public.hex() for number in (1, 2)]
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.format(first=keys[0], second=keys[1]))
    return path


@pytest.fixture
def genesis(plan: Path, ledger_node: LedgerNode) -> Path:
    """The genesis of that plan."""
    path = plan.with_name("genesis.json")
    assert ledger_node("init", "--new-network", plan, "-o", path).code == 0
    return path
