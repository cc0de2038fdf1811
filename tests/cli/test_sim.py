"""`farmgate sim`: a red seed is named and fails the command, a log can be stepped through, tables count."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands import sim
from network.mutants.hunt import mutants_named
from network.mutants.planting import planted
from network.simulator.campaign import NAMES
from network.simulator.scenario import SCENARIOS
from tests.cli.shell import shell


def test_scenarios_are_listed_with_what_they_say() -> None:
    """Every name that `run` takes, once, and a sentence."""
    rows = shell("sim", "scenarios", "--json").json
    assert [row["scenario"] for row in rows] == list(NAMES)
    assert all(row["says"] and row["sizes"] for row in rows)
    assert all({"heights", "faults", "adversary_messages"} <= set(row["floors"]) for row in rows)
    told = {row["scenario"]: row["floors"] for row in rows}
    assert told["isolate-each"] == SCENARIOS["isolate-each"].floors.as_dict()
    heads = shell("sim", "scenarios").out.splitlines()[0].split()
    assert heads == ["scenario", "nodes", "heights", "faults", "lies", "what"]


def test_a_campaign_counts_by_scenario_and_by_adversary() -> None:
    """Two scenarios, two seeds, their own sizes."""
    said = shell("sim", "campaign", "--seed", "1-2", "--scenario", "calm", "--scenario", "censor", "--json")
    assert said.code == 0
    assert [(row["scenario"], row["runs"], row["green"]) for row in said.json["scenarios"]] == [
        ("calm", 4, 4),
        ("censor", 4, 4),
    ]
    assert [row["adversary"] for row in said.json["adversaries"]] == ["censor"]
    assert said.json["heights_per_second"] > 0
    text = shell("sim", "campaign", "--seed", "1", "--scenario", "calm").out
    assert "scenario" in text
    assert "heights_per_second" in text


def test_a_red_seed_is_named_with_its_rule() -> None:
    """With a bug planted the campaign fails, and says the seed, the rule and how to run it again."""
    (mutant,) = mutants_named(["never-nullify"])
    with planted(mutant):
        said = shell("sim", "campaign", "--seed", "1-3", "--scenario", "mute-leader", "--json")
        told = shell("sim", "campaign", "--seed", "1-3", "--scenario", "mute-leader")
    assert said.code == told.code == 1
    assert said.json["red"]
    assert {"scenario", "seed", "nodes", "violations"} == set(said.json["red"][0])
    assert "again: farmgate sim run --seed" in told.out
    assert "again: farmgate sim run --seed" in said.err  # at once, and beside the JSON


def test_a_long_campaign_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then, beside the data; a short one, or a quiet one, says nothing."""
    words = ("sim", "campaign", "--seed", "1", "--scenario", "calm")
    assert shell(*words).err == ""
    monkeypatch.setattr(sim, "NEWS_SECONDS", 0.0)
    assert "1 of 2 runs, 0 red, 0 min, about 0 min left" in shell(*words).err
    assert shell(*words, "--quiet").err == ""


@pytest.mark.parametrize("scenario", ["halves", "whole"])
def test_a_log_is_written_and_stepped_through(scenario: str, tmp_path: Path) -> None:
    """Of light nodes and of whole ones: states at a step, two nodes there, and that step against a later one;
    the whole log is the same run."""
    log = str(tmp_path / "run.log")
    ran = shell("sim", "run", "--seed", "2", "--scenario", scenario, "--log", log, "--json")
    assert ran.code == 0
    stepped = shell("sim", "replay", log, "--until", "60", "--json").json
    assert (stepped["step"], len(stepped["nodes"])) == (60, 4)
    pair = shell("sim", "replay", log, "--until", "60", "--diff", "0:2", "--json").json
    assert any(row["what"] == "node" and row["n0"] != row["n2"] for row in pair)
    later = shell("sim", "replay", log, "--until", "60", "--diff", "200", "--json").json
    assert any(row["what"].endswith("height") for row in later)
    whole = shell("sim", "replay", log, "--json").json
    assert [int(node["height"]) for node in whole["nodes"]] == ran.json["heights"]


def test_a_log_of_another_history_is_refused(tmp_path: Path) -> None:
    """The hash at its end is held to the run, and where it stops early the line of that step."""
    log = tmp_path / "run.log"
    shell("sim", "run", "--seed", "2", "--scenario", "calm", "--log", str(log))
    lines = log.read_text("utf-8").splitlines()
    log.write_text("\n".join([*lines[:-1], "trace " + "0" * 64]), "utf-8")
    assert shell("sim", "replay", str(log), "--json").error["code"] == "sim.replay_differs"
    log.write_text("\n".join([*lines[:20], lines[20] + "; COMMIT 99 0badc0de", *lines[21:]]), "utf-8")
    assert shell("sim", "replay", str(log), "--until", "19", "--json").code == 0
    said = shell("sim", "replay", str(log), "--until", "20", "--json")
    assert said.error["code"] == "sim.replay_differs"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "--scenario", "weather"), "sim.unknown_scenario"),
        (("run", "--seed", "1-2", "--log", "x.log"), "sim.log_of_many"),
        (("run", "--scenario", "whole", "--nodes", "4,7", "--log", "x.log"), "sim.log_of_many"),
        (("run", "--log", "/nowhere/x.log"), "sim.log_unwritable"),
        (("campaign", "--scenario", "weather"), "sim.unknown_scenario"),
        (("campaign", "--nodes", "3"), "sim.nodes"),
    ],
)
def test_what_cannot_run_is_refused(words: tuple[str, ...], code: str) -> None:
    """With its stable code, and nothing runs."""
    assert shell("sim", *words, "--json").error["code"] == code


@pytest.mark.parametrize("diff", ["9:0", "a", "0:", "1:2:3"])
def test_an_odd_difference_is_refused(diff: str, tmp_path: Path) -> None:
    """Neither two nodes of the run nor a step."""
    log = tmp_path / "run.log"
    log.write_text('{"seed": 1, "nodes": 4, "scenario": "calm"}\n', "utf-8")
    said = shell("sim", "replay", str(log), "--until", "5", "--diff", diff, "--json")
    assert said.error["code"] == "sim.diff"
