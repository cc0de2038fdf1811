"""Fail-points: the named place, the named pass, on a test network only."""

from __future__ import annotations

from contextvars import copy_context
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from node.failpoints import DESCRIPTIONS, PASSES_MAX, FailPoint, FailPoints, hit, of_node

ROOT = Path(__file__).resolve().parents[2]


def deaths(setting: str, passes: list[FailPoint]) -> list[int]:
    """The passes at which the process would have died."""
    points, died = FailPoints(), list[int]()
    number = 0
    points.arm(setting, is_test_network=True, die=lambda: died.append(number))
    for number, point in enumerate(passes):  # noqa: B007  # read by the lambda
        points.hit(point)
    return died


@pytest.mark.parametrize("point", FailPoint)
def test_each_point_dies_at_its_named_pass_once(point: FailPoint) -> None:
    """Only the named place counts, only its n-th pass dies, and no later one does."""
    other = next(each for each in FailPoint if each is not point)
    passes = [other, point, other, point, point, other, point]
    assert deaths(point.value, passes) == [1]
    assert deaths(f"{point.value}:3", passes) == [4]
    assert deaths(f"{point.value}:5", passes) == []
    assert deaths("", passes) == []


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ("nowhere", "failpoint.unknown"),
        ("before-block-save ", "failpoint.unknown"),
        (":1", "failpoint.unknown"),
        ("before-block-save:", "failpoint.count"),
        ("before-block-save:0", "failpoint.count"),
        ("before-block-save:-1", "failpoint.count"),
        ("before-block-save:1:2", "failpoint.count"),
        ("before-block-save:x", "failpoint.count"),
        ("before-block-save:²", "failpoint.count"),
        (f"before-block-save:{PASSES_MAX + 1}", "failpoint.count"),
    ],
)
def test_a_wrong_setting_is_refused(setting: str, code: str) -> None:
    """A mistyped fail-point must not pass for a run in which nothing happened."""
    with pytest.raises(LedgerError) as caught:
        FailPoints().arm(setting, is_test_network=True)
    assert caught.value.code == code


def test_a_real_network_has_no_fail_points() -> None:
    """A variable can't kill a node of a real network; it does not start with one either."""
    points = FailPoints()
    with pytest.raises(LedgerError) as caught:
        points.arm("before-block-save", is_test_network=False)
    assert caught.value.code == "failpoint.forbidden"
    points.arm("", is_test_network=False)
    for point in FailPoint:
        points.hit(point)


@pytest.mark.parametrize("point", FailPoint)
def test_every_point_is_passed_somewhere(point: FailPoint) -> None:
    """A fail-point that no code passes would make a test of it green for nothing."""
    sources = [
        file.read_text("utf-8") for file in (ROOT / "node").rglob("*.py") if file.name != "failpoints.py"
    ]
    assert any(f"hit(FailPoint.{point.name})" in source for source in sources)


def test_every_point_is_described_and_in_the_reference() -> None:
    """docs/reference/failpoints.md lists exactly the points that there are."""
    text = (ROOT / "docs" / "reference" / "failpoints.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{point.value}` | {DESCRIPTIONS[point]} |" for point in FailPoint]


def test_nodes_of_one_process_pass_their_own_points() -> None:
    """A point is that of the context in which a node's tasks run; everything else passes the process's."""
    died: list[str] = []
    contexts = {}
    for name in ("anna", "bert"):
        points = FailPoints()
        points.arm("before-block-save", is_test_network=True, die=lambda name=name: died.append(name))  # type: ignore[misc]
        contexts[name] = copy_context()
        contexts[name].run(of_node.set, points)
    hit(FailPoint.BEFORE_BLOCK_SAVE)
    assert died == []
    contexts["bert"].run(hit, FailPoint.BEFORE_BLOCK_SAVE)
    assert died == ["bert"]
    contexts["bert"].run(hit, FailPoint.BEFORE_BLOCK_SAVE)
    contexts["anna"].run(hit, FailPoint.BEFORE_BLOCK_SAVE)
    assert died == ["bert", "anna"]
