"""`farmgate bench`: measure a local network of real processes, and show what was measured."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import click

from cli.choices import Choices
from cli.group import Group
from cli.output import Output
from ledger.errors import LedgerError
from network.bench.local import local_target
from network.bench.one_down import measure_one_down
from network.bench.run import measure
from network.bench.workloads import Workload

REPORT_BYTES_MAX: Final = 1 << 20
_SHOWN: Final = (
    "workload",
    "validators",
    "ok",
    "failed",
    "unknown",
    "finalized_tps",
    "events_per_second",
    "limit_fraction",
    "latency_ms",
    "cpu_us_per_tx",
    "disk_bytes_per_tx",
    "wire_bytes_per_tx",
    "peak_rss_mb",
)

bench: Final = Group(name="bench", help="Measure a local network of real processes.")


@bench.command("run")
@click.option(
    "--workload",
    type=click.Choice([each.value for each in Workload]),
    default=Workload.EPCIS.value,
    show_default=True,
    help="Which traffic.",
)
@click.option(
    "--validators", type=click.IntRange(1, 16), default=4, show_default=True, help="Nodes that vote."
)
@click.option(
    "--seconds",
    type=click.IntRange(1, 3600),
    default=20,
    show_default=True,
    help="Time under load; with one-down, of each of its two parts.",
)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path), help="Also write the figures here.")
@click.pass_obj
def run(choices: Choices, workload: str, validators: int, seconds: int, file: Path | None) -> None:
    """Start a network, load it, print the figures, remove the network."""
    output = Output(is_json=bool(choices.is_json), is_quiet=bool(choices.is_quiet))
    chosen = Workload(workload)
    output.note(f"{validators} validators, {workload} for {seconds} s")
    with local_target(validators, chosen) as target:
        if chosen is Workload.ONE_DOWN:
            figures = asyncio.run(measure_one_down(target, seconds))
        else:
            figures = asyncio.run(measure(target, chosen, seconds))
    if file is not None:
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    output.data(figures, lambda: _text(output, figures))


@bench.command("report")
@click.argument(
    "files", type=click.Path(exists=True, dir_okay=False, path_type=Path), nargs=-1, required=True
)
@click.pass_obj
def report(choices: Choices, files: tuple[Path, ...]) -> None:
    """Show the figures of runs that were written with --output."""
    output = Output(is_json=bool(choices.is_json), is_quiet=bool(choices.is_quiet))
    runs = [_read(file) for file in files]
    output.data(runs, lambda: "\n\n".join(_text(output, figures) for figures in runs))


def _read(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        data = opened.read(REPORT_BYTES_MAX + 1)
    try:
        found = json.loads(data) if len(data) <= REPORT_BYTES_MAX else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or "finalized_tps" not in found:
        raise LedgerError("bench.malformed", f"{file} holds no figures of `farmgate bench run`")
    return found


def _text(output: Output, figures: dict[str, Any]) -> str:
    shown = figures if figures.get("workload") == Workload.ONE_DOWN.value else _SHOWN
    return output.fields([(name, _flat(figures.get(name))) for name in shown])


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(inner)}" for name, inner in value.items())
    return str(value)
