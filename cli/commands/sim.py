"""`farmgate sim`: seeded networks with faults and an adversary, and the planted bugs that they must find."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from cli.choices import Choices
from cli.exit_code import ExitCode
from cli.failure import Failure, Finished
from cli.group import Group
from cli.output import Output
from network.mutants.hunt import HUNT_SEEDS, MUTANTS, Kill, hunt, mutants_named, red_without
from network.simulator.campaign import NAMES, parse_nodes, parse_seeds, run_campaign, summary_of
from network.simulator.report import RunReport

sim: Final = Group(name="sim", help="Run seeded networks with faults and an adversary.")


@sim.command("run")
@click.option("--seed", "seeds", default="1", show_default=True, help="A seed, or a range A-B.")
@click.option("--nodes", "sizes", default="4", show_default=True, help="Validators; 4,7 runs both.")
@click.option(
    "--scenario",
    type=click.Choice(NAMES),
    default="mixed",
    show_default=True,
    help="What goes wrong.",
)
@click.pass_obj
def run(choices: Choices, seeds: str, sizes: str, scenario: str) -> None:
    """Run each seed; fail if any breaks a rule, makes no progress, or shows nothing."""
    output = Output(is_json=bool(choices.is_json), is_quiet=bool(choices.is_quiet))
    chosen, nodes = parse_seeds(seeds), parse_nodes(sizes)
    began = time.monotonic()
    reports = []
    with output.progress("seeds", len(chosen) * len(nodes)) as step:
        for report in run_campaign(chosen, nodes, scenario):
            reports.append(report)
            step()
            if not report.is_green:
                output.line(_red(report))
    seconds = time.monotonic() - began
    if len(reports) == 1:
        output.data(reports[0].as_json(), lambda: output.fields(list(reports[0].as_json().items())))
    else:
        summary = _summary(reports, seconds)
        value = {**summary, "reports": [report.as_json() for report in reports]}
        output.data(value, lambda: output.fields(list(summary.items())))
    if not all(report.is_green for report in reports):
        raise Finished(ExitCode.FAILED)


def _summary(reports: list[RunReport], seconds: float) -> dict[str, Any]:
    summary = summary_of(reports)
    rates = {
        "seconds": round(seconds, 1),
        "runs_per_second": round(len(reports) / max(seconds, 0.001), 1),
        "heights_per_second": round(summary["heights"] / max(seconds, 0.001), 1),
    }
    return {**summary, **rates}


def _liars(report: RunReport) -> str:
    return " and ".join(report.adversaries) or "no adversary"


def _red(report: RunReport) -> str:
    again = f"farmgate sim run --seed {report.seed} --nodes {len(report.stakes)} --scenario {report.scenario}"
    return f"seed {report.seed} ({_liars(report)}): {report.violations[0]}\n  again: {again}"


@sim.command("mutants")
@click.option(
    "--seeds",
    type=click.IntRange(1, 10_000),
    default=HUNT_SEEDS,
    show_default=True,
    help="How long the campaign against each is.",
)
@click.argument("names", nargs=-1)
@click.pass_obj
def mutants(choices: Choices, seeds: int, names: tuple[str, ...]) -> None:
    """Plant each known bug; fail if the campaign stays green with one, or is red without any."""
    output = Output(is_json=bool(choices.is_json), is_quiet=bool(choices.is_quiet))
    chosen = mutants_named(names) if names else MUTANTS
    kills = []
    with output.progress("mutants", len(chosen) + 1) as step:
        red = red_without(seeds)
        step()
        for kill in () if red else hunt(chosen, seeds):
            kills.append(kill)
            step()
    if red:
        raise Failure("sim.red_without_bugs", f"the campaign is red with no bug planted: {red[0]}")
    rows = [(kill.mutant, kill.nodes or "", kill.seed or "", kill.violation or "SURVIVED") for kill in kills]
    output.data(
        [_as_json(kill) for kill in kills],
        lambda: output.table(("mutant", "nodes", "seed", "found as"), rows),
    )
    survivors = [kill.mutant for kill in kills if not kill.is_killed]
    output.note(f"{len(kills) - len(survivors)} of {len(kills)} planted bugs found")
    if survivors:
        raise Finished(ExitCode.FAILED)


def _as_json(kill: Kill) -> dict[str, Any]:
    return {
        "mutant": kill.mutant,
        "breaks": kill.breaks,
        "is_killed": kill.is_killed,
        "seed": kill.seed,
        "nodes": kill.nodes,
        "violation": kill.violation,
    }
