"""Runs `ledger-node` in this process and catches what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.entry import run
from cli.node_main import ledger_node


class Answer(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its one JSON document, on standard output or, for a refusal, on standard error."""
        return json.loads(self.out or self.err)

    @property
    def error(self) -> str:
        """The stable code of its refusal."""
        return str(json.loads(self.err)["error"]["code"])


class LedgerNode:
    """`ledger-node`, called with arguments."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path) -> Answer:
        """Run with --json and --quiet."""
        return self.plain(*arguments, "--json", "--quiet")

    def plain(self, *arguments: str | Path) -> Answer:
        """Run as a person would."""
        code = run(ledger_node, "ledger-node", [str(each) for each in arguments])
        out, err = self._capsys.readouterr()
        return Answer(code, out, err)


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by path: what a command that refuses must leave as it was."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
