"""Every rule, pitfall and scenario of consensus has its tests: docs/spec/consensus-tests.md names them.

A rule that the page lacks is red, and so is a row without tests, a row of a rule that is gone, a number left
out, and a test or scenario that does not exist.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from network.chaos.plan import SCENARIOS as ON_PROCESSES
from network.simulator.scenario import SCENARIOS as ON_THE_LIGHT_CHAIN
from network.simulator.whole.scenario import SCENARIOS as OF_WHOLE_NODES

TESTS: Final = Path(__file__).resolve().parent
SPEC: Final = TESTS.parent / "docs" / "spec"
PAGES_OF_RULES: Final = ("consensus.md", "accountability.md")
PITFALLS: Final = 13  # in the design; a new one is one more
SCENARIOS: Final = 51
_ROW: Final = re.compile(r"^\| ([A-Z]{1,2}\d+) \| (.*) \|$", re.MULTILINE)
_NAME: Final = re.compile(r"`([^`]+)`")


def rules() -> list[str]:
    """The ids in the tables of the pages that state the rules, in their order."""
    return [found for page in PAGES_OF_RULES for found, _ in _ROW.findall((SPEC / page).read_text("utf-8"))]


def problems(page: str, expected: list[str]) -> Iterator[str]:
    """What the page of tests says that is not so, or does not say."""
    rows = [(found, cells.rpartition(" | ")[2]) for found, cells in _ROW.findall(page)]
    ids = [found for found, _ in rows]
    yield from (f"{each} stands twice" for each in sorted({each for each in ids if ids.count(each) > 1}))
    yield from (f"{each} has no row" for each in expected if each not in ids)
    yield from (f"{each} is no rule" for each in ids if each not in expected)
    for found, tests in rows:
        names = _NAME.findall(tests)
        if not names:
            yield f"{found} has no test"
        yield from (f"{found}: {name} does not exist" for name in names if not exists(name))


def exists(name: str) -> bool:
    """Whether there is such a test below tests/, or such a scenario."""
    if name.startswith("sim "):
        return name.removeprefix("sim ") in {*ON_THE_LIGHT_CHAIN, *OF_WHOLE_NODES}
    if name.startswith("chaos "):
        return name.removeprefix("chaos ") in ON_PROCESSES
    file, _, test = name.partition("::")
    return test in names_in(TESTS / file)


@cache
def names_in(file: Path) -> frozenset[str]:
    """The tests of one file, by name; none where there is no such file."""
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def numbered(letter: str, count: int) -> list[str]:
    """As many ids, counted from one."""
    return [f"{letter}{number}" for number in range(1, count + 1)]


IDENTIFIERS: Final = (SPEC / "identifiers.md").read_text("utf-8")
EXPECTED: Final = [*rules(), *numbered("Z", PITFALLS), *numbered("C", SCENARIOS)]
PAGE: Final = (SPEC / "consensus-tests.md").read_text("utf-8")


def test_every_rule_pitfall_and_scenario_has_its_tests() -> None:
    """The page has one row for each, with tests and scenarios that there are."""
    assert len(rules()) > 100, "the search reads the real tables"
    assert list(problems(PAGE, EXPECTED)) == []


def test_every_rule_of_identifiers_has_its_tests() -> None:
    """The page numbers its rules from one on, and each names tests that there are."""
    count = len(_ROW.findall(IDENTIFIERS))
    assert count > 8, "the search reads the real table"
    assert list(problems(IDENTIFIERS, numbered("ID", count))) == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("| P6 |", "| P66 |", {"P6 has no row", "P66 is no rule"}),
        ("| S1 |", "| S2 |", {"S2 stands twice", "S1 has no row"}),
        ("`sim halves`", "`sim quarters`", {"C2: sim quarters does not exist"}),
        ("`chaos links/ring`", "`chaos links/rings`", {"C3: chaos links/rings does not exist"}),
        (
            "test_simplex_view.py::test_enter_delay_follows_the_view_distance",
            "test_simplex_view.py::test_enter_delay",
            {"P2: paper/test_simplex_view.py::test_enter_delay does not exist"},
        ),
        (
            "`paper/test_simplex_view.py::test_status_moves_nothing` |",
            "`paper/test_simplex_views.py::test_status_moves_nothing` |",
            {"I5: paper/test_simplex_views.py::test_status_moves_nothing does not exist"},
        ),
        ("| Z13 |", "| Z14 |", {"Z13 has no row", "Z14 is no rule"}),
    ],
)
def test_a_page_that_is_wrong_is_red(before: str, after: str, found: set[str]) -> None:
    """Each way to be wrong is told apart."""
    assert before in PAGE
    assert set(problems(PAGE.replace(before, after, 1), EXPECTED)) == found


def test_a_row_without_tests_is_red() -> None:
    """Words are no test."""
    page = re.sub(r"^\| L6 \|.*$", "| L6 | surely somewhere |", PAGE, flags=re.MULTILINE)
    assert list(problems(page, EXPECTED)) == ["L6 has no test"]


def test_a_rule_that_is_added_to_the_spec_is_red_until_it_has_a_test() -> None:
    """A new rule's id is read from the table that states it."""
    assert list(problems(PAGE, [*EXPECTED, "P7"])) == ["P7 has no row"]
