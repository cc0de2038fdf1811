"""The plan of scenarios: complete where completeness is promised, and found by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from network.chaos.audit import Violation
from network.chaos.crashes import SIGNING, is_reached
from network.chaos.plan import SCENARIOS, chosen
from network.chaos.report import Report, Result, longest_gap
from network.chaos.sandbox import missing
from network.chaos.stage import ROLES
from node.failpoints import FailPoint

DOCS = Path(__file__).resolve().parents[3] / "docs" / "concepts" / "chaos.md"


def test_every_failpoint() -> None:
    """Each fail-point has its scenario, and each role comes by each, but an observer signs nothing."""
    assert {f"failpoints/{point.value}" for point in FailPoint} <= set(SCENARIOS)
    for role in ROLES:
        passed_over = {point for point in FailPoint if not is_reached(point, role)}
        assert passed_over == (SIGNING if role == "observer" else frozenset())


def test_chosen() -> None:
    """Names and groups, in the order of the plan; none means all; an unknown one is refused with a hint."""
    assert chosen(()) == tuple(SCENARIOS.values())
    assert [each.name for each in chosen(("links/ring", "crashes/all", "clocks"))] == [
        "crashes/all", "links/ring",
        "clocks/ahead", "clocks/behind", "clocks/hour-ahead", "clocks/hour-behind",
        "clocks/jumps",
    ]  # fmt: skip
    with pytest.raises(LedgerError, match="did you mean 'links'") as refused:
        chosen(("linkz",))
    assert refused.value.code == "chaos.unknown"


def test_names() -> None:
    """Names are GROUP/NAME in plain letters, and the page on chaos speaks of every group."""
    page = DOCS.read_text("utf-8")
    for name, scenario in SCENARIOS.items():
        assert re.fullmatch(r"[a-z]+/[a-z-]+", name)
        assert scenario.summary
        assert f"| `{scenario.group}` |" in page


def test_links_by_relays() -> None:
    """What a machine without namespaces plays is played where there are some, too, and never twice."""
    links = [name.partition("/")[2] for name in SCENARIOS if name.startswith("links/")]
    relays = [each for each in SCENARIOS.values() if each.group == "relays"]
    assert [each.name.partition("/")[2] for each in relays] == links
    for each in relays:
        assert each.is_by_relays
        assert [missing(need, is_inside=True) for need in each.needs] == [""]
        assert "by relays here" in missing(each.needs[0], is_inside=False)


def test_report() -> None:
    """A run is green where all that was played held, and something was played."""
    held = Result("links/ring", wire="relays", faults=1, final=9)
    skipped = Result("disks/slow", skipped="needs strace")
    broken = Result("links/loss", violations=(Violation("lost", "it is nowhere"),))
    assert not Report(1).is_green
    assert not Report(1, [skipped]).is_green
    assert Report(1, [held, skipped]).is_green
    assert not Report(1, [held, broken]).is_green
    assert [each.word for each in (held, skipped, broken)] == ["held", "skipped", "BROKEN"]
    summary = Report(1, [held, skipped, broken]).summary()
    assert (summary["played"], summary["held"], summary["skipped"], summary["violations"]) == (2, 1, 1, 1)
    assert summary["not_shown"] == {"needs strace": ["disks/slow"]}
    assert broken.as_json()["violations"] == [{"rule": "lost", "message": "it is nowhere"}]


def test_longest_gap() -> None:
    """The longest time between two answers, the time to the first and after the last included."""
    assert longest_gap([3.0, 1.0, 1.5], 0.0, 4.0) == 1.5
    assert longest_gap([], 0.0, 4.0) == 4.0
    assert longest_gap([1.0, 9.0], 0.0, 2.0) == 1.0
