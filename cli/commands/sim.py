"""`farmgate sim`: seeded networks with faults and an adversary, and the planted bugs that they must find."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from cli.choices import Choices
from cli.exit_code import ExitCode
from cli.failure import Failure, Finished
from cli.group import Group
from cli.output import Output
from network.mutants.hunt import HUNT_SEEDS, MUTANTS, Kill, hunt, mutants_named, red_without
from network.simulator.campaign import (
    JOBS_MAX,
    NAMES,
    adversaries_of,
    parse_nodes,
    parse_seeds,
    run_campaign,
    run_trials,
    share_of,
    summary_of,
    table_of,
    trials_of,
)
from network.simulator.event_log import Head, read_head, read_trace
from network.simulator.replay import Snapshot, differences, record, replay, trace_of
from network.simulator.report import RunReport
from network.simulator.scenario import SCENARIOS
from network.simulator.whole.scenario import SCENARIOS as WHOLE_SCENARIOS

NEWS_SECONDS: Final = 60.0  # between two lines on how far a campaign is

sim: Final = Group(name="sim", help="Run seeded networks with faults and an adversary.")


@sim.command("run")
@click.option("--seed", "seeds", default="1", show_default=True, help="A seed, or a range A-B.")
@click.option("--nodes", "sizes", default="4", show_default=True, help="Validators; 4,7 runs both.")
@click.option(
    "--scenario", default="mixed", show_default=True, help="What goes wrong: `farmgate sim scenarios`."
)
@click.option(
    "--log", type=click.Path(dir_okay=False, path_type=Path), help="Write a line for each step here."
)
@click.pass_obj
def run(choices: Choices, seeds: str, sizes: str, scenario: str, log: Path | None) -> None:
    """Run each seed; fail if any breaks a rule, makes no progress, or shows nothing."""
    output = _output(choices)
    chosen, nodes = parse_seeds(seeds), parse_nodes(sizes)
    began = time.monotonic()
    reports = []
    if log is not None:
        reports.append(_logged(log, chosen, nodes, scenario))
        chosen = range(0)
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


def _output(choices: Choices) -> Output:
    return Output(is_json=bool(choices.is_json), is_quiet=bool(choices.is_quiet))


def _logged(log: Path, seeds: range, sizes: tuple[int, ...], scenario: str) -> RunReport:
    """One run, written down as it goes."""
    if len(seeds) != 1 or len(sizes) != 1:
        raise Failure("sim.log_of_many", "a log is of one seed at one size")
    try:
        with log.open("w", encoding="utf-8") as file:
            return record(Head(seeds[0], sizes[0], scenario), file.write)
    except OSError as error:
        raise Failure("sim.log_unwritable", f"{log}: {error.strerror}") from None


@sim.command("scenarios")
@click.pass_obj
def scenarios(choices: Choices) -> None:
    """List what a run may be about, and the least that each run must show."""
    output = _output(choices)
    known = {name: (each.says, each.floors) for name, each in SCENARIOS.items()}
    known |= {name: (each.says, each.floors) for name, each in WHOLE_SCENARIOS.items()}
    value = [
        {
            "scenario": name,
            "sizes": ",".join(map(str, share_of(name)[1])),
            "floors": floors.as_dict(),
            "says": says,
        }
        for name, (says, floors) in known.items()
    ]
    rows = [
        (each["scenario"], each["sizes"], floors.heights, floors.faults, floors.lies, each["says"])
        for each, (_, floors) in zip(value, known.values(), strict=True)
    ]
    heads = ("scenario", "nodes", "heights", "faults", "lies", "what")
    output.data(value, lambda: output.table(heads, rows))


@sim.command("campaign")
@click.option(
    "--seed", "seeds", default="1-4", show_default=True, help="A seed, or a range A-B, for each scenario."
)
@click.option(
    "--nodes", "sizes", default="", help="Validators, as 4,7; each scenario's own sizes by default."
)
@click.option("--scenario", "names", multiple=True, help="Only this; may be given again.")
@click.option("--jobs", type=click.IntRange(1, JOBS_MAX), default=1, show_default=True, help="Processes.")
@click.pass_obj
def campaign(choices: Choices, seeds: str, sizes: str, names: tuple[str, ...], jobs: int) -> None:
    """Run every scenario at each seed; count by scenario and by adversary, and fail if any run is red."""
    output = _output(choices)
    chosen = parse_nodes(sizes) if sizes else None
    trials = list(trials_of(names or NAMES, parse_seeds(seeds), chosen))
    began = told = time.monotonic()
    reports = []
    with output.progress("runs", len(trials)) as step:
        for report in run_trials(trials, jobs):
            reports.append(report)
            step()
            if not report.is_green:  # at once: the end may be an hour away
                (output.note if output.is_json else output.line)(_red(report))
            if time.monotonic() - told >= NEWS_SECONDS:
                told = time.monotonic()
                output.note(_news(reports, len(trials), told - began))
    summary = _summary(reports, time.monotonic() - began)
    by_scenario, by_adversary = table_of(reports), adversaries_of(reports)
    red = [_red_as_json(report) for report in reports if not report.is_green]
    value = {**summary, "scenarios": by_scenario, "adversaries": by_adversary, "red": red}
    output.data(value, lambda: _campaign_text(output, summary, by_scenario, by_adversary))
    if red:
        raise Finished(ExitCode.FAILED)


def _news(reports: list[RunReport], runs: int, seconds: float) -> str:
    red = sum(not report.is_green for report in reports)
    left = seconds / len(reports) * (runs - len(reports))
    return f"{len(reports)} of {runs} runs, {red} red, {seconds / 60:.0f} min, about {left / 60:.0f} min left"


def _campaign_text(
    output: Output,
    summary: dict[str, Any],
    by_scenario: list[dict[str, Any]],
    by_adversary: list[dict[str, Any]],
) -> str:
    tables = [
        output.table(tuple(rows[0]), [tuple(row.values()) for row in rows])
        for rows in (by_scenario, by_adversary)
        if rows
    ]
    totals = {name: value for name, value in summary.items() if name != "adversaries"}
    return "\n\n".join((*tables, output.fields(list(totals.items()))))


def _red_as_json(report: RunReport) -> dict[str, Any]:
    size = len(report.stakes)
    return {
        "scenario": report.scenario,
        "seed": report.seed,
        "nodes": size,
        "violations": list(report.violations),
    }


@sim.command("replay")
@click.argument("log", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--until", type=click.IntRange(1), help="Stop after this step; the end by default.")
@click.option("--diff", help="A:B compares two nodes there; a number, every node there with that step.")
@click.pass_obj
def replay_command(choices: Choices, log: Path, until: int | None, diff: str | None) -> None:
    """Run the seed of a log again, step by step, and show where each node stands."""
    output = _output(choices)
    stop = until if until is not None else sys.maxsize
    with log.open(encoding="utf-8", errors="replace") as file:
        head = read_head(next(file, ""))
        at_stop, last = _read_steps(file, stop)
    if until is None and (trace := read_trace(last)) is not None and trace != trace_of(head):
        raise _differs()
    if diff is None:
        _show_states(output, _stopped(head, (stop,), at_stop)[0])
        return
    pair = re.fullmatch(r"([0-9]{1,3}):([0-9]{1,3})", diff)
    if pair is not None:
        snapshot = _stopped(head, (stop,), at_stop)[0]
        first, second = (int(each) for each in pair.groups())
        if max(first, second) >= len(snapshot.states):
            raise Failure("sim.diff", f"{diff!r}, the run has nodes 0 to {len(snapshot.states) - 1}")
        rows = differences(snapshot.states[first], snapshot.states[second])
        _show_differences(output, f"n{first}", f"n{second}", rows)
    elif re.fullmatch(r"[0-9]{1,9}", diff):
        early, late = _stopped(head, (stop, int(diff)), at_stop)
        rows = tuple(
            (f"n{place} {name}", old, new)
            for place, (before, after) in enumerate(zip(early.states, late.states, strict=True))
            for name, old, new in differences(before, after)
        )
        _show_differences(output, f"step {early.step}", f"step {late.step}", rows)
    else:
        raise Failure("sim.diff", f"{diff!r}, expected two nodes as 0:2, or a step")


def _read_steps(lines: Iterable[str], stop: int) -> tuple[str, str]:
    """The line of a step, or "" where the log has none, and the last line."""
    at_stop = last = ""
    for number, last in enumerate(lines, 1):
        if number == stop and last.endswith(chr(10)) and read_trace(last) is None:
            at_stop = last.rstrip(chr(10))
    return at_stop, last


def _stopped(head: Head, steps: tuple[int, ...], at_stop: str) -> tuple[Snapshot, ...]:
    """A run once more, up to steps of which the log tells the first with `at_stop`, if it does."""
    snapshots = replay(head, steps)
    if at_stop and snapshots[0].line != at_stop:
        raise _differs()
    return snapshots


def _differs() -> Failure:
    return Failure("sim.replay_differs", "the run leads elsewhere than its log: it is of another release")


def _show_states(output: Output, snapshot: Snapshot) -> None:
    names = list(dict.fromkeys(name for state in snapshot.states for name in state))
    rows = [(name, *(state.get(name, "") for state in snapshot.states)) for name in names]
    heads = (f"step {snapshot.step}", *(f"n{place}" for place in range(len(snapshot.states))))
    value = {"step": snapshot.step, "time_ms": snapshot.now_ms, "nodes": list(snapshot.states)}
    output.data(value, lambda: output.table(heads, rows))


def _show_differences(
    output: Output, first: str, second: str, rows: tuple[tuple[str, str, str], ...]
) -> None:
    value = [{"what": what, first: one, second: other} for what, one, other in rows]
    output.data(value, lambda: output.table(("what", first, second), rows) if rows else "no difference")


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
@click.option("--jobs", type=click.IntRange(1, JOBS_MAX), default=1, show_default=True, help="Processes.")
@click.argument("names", nargs=-1)
@click.pass_obj
def mutants(choices: Choices, seeds: int, jobs: int, names: tuple[str, ...]) -> None:
    """Plant each known bug; fail if the campaign stays green with one, or is red without any."""
    output = _output(choices)
    chosen = mutants_named(names) if names else MUTANTS
    kills = []
    with output.progress("mutants", len(chosen) + 1) as step:
        red = red_without(seeds, chosen, jobs)
        step()
        for kill in () if red else hunt(chosen, seeds, jobs):
            kills.append(kill)
            step()
    if red:
        raise Failure("sim.red_without_bugs", f"the campaign is red with no bug planted: {red[0]}")
    rows = [
        (kill.mutant, kill.scenario, kill.nodes or "", kill.seed or "", kill.violation or "SURVIVED")
        for kill in kills
    ]
    output.data(
        [_as_json(kill) for kill in kills],
        lambda: output.table(("mutant", "scenario", "nodes", "seed", "found as"), rows),
    )
    survivors = [kill.mutant for kill in kills if not kill.is_killed]
    output.note(f"{len(kills) - len(survivors)} of {len(kills)} planted bugs found")
    if survivors:
        raise Finished(ExitCode.FAILED)


def _as_json(kill: Kill) -> dict[str, Any]:
    return {
        "mutant": kill.mutant,
        "breaks": kill.breaks,
        "scenario": kill.scenario,
        "is_killed": kill.is_killed,
        "seed": kill.seed,
        "nodes": kill.nodes,
        "violation": kill.violation,
    }
