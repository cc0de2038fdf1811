"""`farmgate chaos`: real processes under named faults, and a checker of what is left."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from cli.choices import Choices
from cli.exit_code import ExitCode
from cli.failure import Finished
from cli.group import Group
from cli.output import Output
from network.chaos.plan import SCENARIOS, chosen
from network.chaos.report import Report, Result
from network.chaos.run import SECONDS, play
from network.chaos.sandbox import command_inside

chaos: Final = Group(name="chaos", help="Break a local network of real processes, and check what is left.")


@chaos.command("list")
@click.pass_obj
def list_scenarios(choices: Choices) -> None:
    """List the scenarios."""
    output = Output(is_json=bool(choices.is_json), is_quiet=bool(choices.is_quiet))
    rows = [(each.name, each.summary) for each in SCENARIOS.values()]
    value = [{"name": name, "summary": summary} for name, summary in rows]
    output.data(value, lambda: output.table(("scenario", "what happens"), rows))


@chaos.command("run")
@click.option(
    "--only", "names", multiple=True, metavar="NAME", help="A scenario or a group; may be repeated."
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 3600),
    default=SECONDS,
    show_default=True,
    help="How long a fault is held.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="What chance begins with.")
@click.option(
    "--wire",
    type=click.Choice(["auto", "relays"]),
    default="auto",
    show_default=True,
    help="Namespaces where the machine gives them, or relays between the nodes.",
)
@click.option(
    "--keep",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the networks in this folder, whatever becomes of them.",
)
@click.option(
    "--inside", is_flag=True, hidden=True, help="Namespaces are made: what the command tells itself."
)
@click.pass_obj
def run(
    choices: Choices,
    names: tuple[str, ...],
    seconds: float,
    seed: int,
    wire: str,
    folder: Path | None,
    inside: bool,
) -> None:
    """Play scenarios; fail if one loses what was acknowledged, forks, signs twice, or does not recover."""
    output = Output(is_json=bool(choices.is_json), is_quiet=bool(choices.is_quiet))
    scenarios = chosen(names)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    if wire == "auto" and not inside:
        command = command_inside((sys.executable, *sys.argv, "--inside"))
        if command is not None:
            sys.stdout.flush()
            os.execvp(command[0], command)  # noqa: S606  # this very command, in namespaces of its own
    report = play(
        scenarios,
        seed=seed,
        seconds=seconds,
        is_inside=inside,
        folder=folder,
        tell=lambda result: output.note(_line(result)),
    )
    value = {**report.summary(), "results": [each.as_json() for each in report.results]}
    output.data(value, lambda: _figures(report, output))
    if not report.is_green:
        raise Finished(ExitCode.FAILED)


def _figures(report: Report, output: Output) -> str:
    """The figures of a run, and in plain words what it did not show."""
    figures = [(name, value) for name, value in report.summary().items() if name != "not_shown"]
    lines = [f"not shown here: {', '.join(names)}: {reason}" for reason, names in report.not_shown().items()]
    return "\n".join([output.fields(figures), *lines])


def _line(result: Result) -> str:
    """One scenario in one line, and what broke it below."""
    if result.skipped:
        return f"{result.word:8} {result.scenario}: {result.skipped}"
    line = (
        f"{result.word:8} {result.scenario}: {result.faults} faults, {result.final} final, "
        f"heights {result.height_first}-{result.height_last}, longest gap {result.gap_seconds:.1f} s, "
        f"well after {result.recovery_seconds:.1f} s, {result.seconds:.0f} s in all"
    )
    lines = [f"         {each.rule}: {each.message}" for each in result.violations[:10]]
    if result.violations:
        lines.append(f"         {'; '.join(result.notes)}")
    return "\n".join([line, *lines])
