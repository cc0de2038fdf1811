"""The reference pages say exactly what the contracts do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from contracts.governance.settings import LIMITS
from contracts.provenance.flags import FlagCode
from contracts.runtime import Description, describe

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = (ROOT / "docs/reference/contracts.md").read_text()
FLAGS = (ROOT / "docs/reference/flags.md").read_text()
CODE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def section(description: Description) -> str:
    """The text under a method's heading."""
    heading = f"### {description.contract}.{description.method}\n"
    assert heading in CONTRACTS, heading
    return re.split(r"\n##+ ", CONTRACTS.split(heading)[1])[0]


@pytest.mark.parametrize("description", describe(), ids=lambda each: f"{each.contract}.{each.method}")
def test_each_method_is_described(description: Description) -> None:
    """Roles and fields, in order, with their types."""
    text = section(description)
    roles = re.search(r"^Roles: ([a-z, ]+)\.", text, re.MULTILINE)
    assert roles is not None
    assert roles[1].split(", ") == [role.value for role in description.roles]
    rows = re.findall(r"^\| `([a-z0-9_]+)` \| (.+) \|$", text, re.MULTILINE)
    assert [(name, kind.replace("\\|", "|")) for name, kind in rows] == [
        (field.name, field.type) for field in description.arguments
    ]


def test_no_method_is_described_that_there_is_not() -> None:
    """A heading for each method and for nothing else."""
    headings = re.findall(r"^### ([a-z_.]+)$", CONTRACTS, re.MULTILINE)
    assert headings == [f"{each.contract}.{each.method}" for each in describe()]


def test_each_flag_is_explained() -> None:
    """Each code has one row, and each row is a code that there is."""
    rows = re.findall(r"^\| `([a-z_.]+)` \|", FLAGS, re.MULTILINE)
    from_reading = ["identifier.check_digit", "identifier.invalid"]
    assert sorted(rows) == sorted([*(flag.value for flag in FlagCode), *from_reading])


def raised_codes() -> set[str]:
    """Every string in the contracts, but for EPCIS, that has the form of a code and is not a flag."""
    found = set()
    folders = [
        ROOT / "contracts",
        *(ROOT / "contracts" / name for name in ("provenance", "staking", "governance")),
    ]
    for path in (path for folder in folders for path in folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                found.add(node.value)
    dangers = {each for each in found if each.startswith("outlook.")}  # of previews: nothing is refused
    return found - dangers - {flag.value for flag in FlagCode} | {"site.not_owned"}


def test_each_refusal_is_listed() -> None:
    """A code that a contract can raise stands on the page, and the page lists no other of theirs."""
    listed = set(re.findall(r"`([a-z0-9_]+\.[a-z0-9_]+)`", CONTRACTS))
    listed -= {f"{each.contract}.{each.method}" for each in describe()}
    from_below = {"key.invalid", "identifier.not_uri", "identifier.invalid"}
    from_below |= {"parameters.consensus", "parameters.staking"}
    assert listed - from_below == raised_codes() - {"encoding.malformed", *LIMITS}
