"""The most telling scenarios of `make chaos`, short: nothing acknowledged is lost, no two nodes differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.console import farmgate

pytestmark = pytest.mark.e2e


def played(folder: Path, *words: str) -> Any:
    """The report of a run in which everything held."""
    done = farmgate(
        "chaos", "run", "--seconds", "1", "--json", *words, "--keep", str(folder / "net"),
        home=folder / "person", seconds=600,
    )  # fmt: skip
    assert done.code == 0, f"{done.out}\n{done.err}"
    report = done.json
    for each in report["results"]:
        assert (each["outcome"], each["violations"]) == ("held", [])
        assert each["faults"] > 0
        assert each["final"] > 0
    assert report["statements"] > 0
    return report


def test_crashes_and_damage(tmp_path: Path) -> None:
    """Each role dies with a vote that it has signed and not sent; then yesterday's data is restored."""
    scenarios = ("failpoints/after-vote-signed", "damage/restored")
    report = played(tmp_path, *(word for name in scenarios for word in ("--only", name)))
    assert [each["scenario"] for each in report["results"]] == list(scenarios)


def test_links(tmp_path: Path) -> None:
    """Half and half there is no block, and one chain after; by the kernel where it can, by relays if not."""
    report = played(tmp_path, "--only", "links/halves")
    assert report["played"] == 1


def test_links_by_relays(tmp_path: Path) -> None:
    """The same faults where the machine gives no namespaces: one alone catches up, the others go on."""
    report = played(tmp_path, "--only", "links/minority", "--wire", "relays")
    assert (report["played"], report["wire"]) == (1, "relays")


def test_unknown_scenario(tmp_path: Path) -> None:
    """A name that is none is refused before anything starts, and the nearest one is told."""
    done = farmgate("chaos", "run", "--only", "links/halfs", "--json", home=tmp_path / "person")
    assert done.code != 0
    assert "links/halves" in done.err
