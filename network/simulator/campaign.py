"""Many seeds, on one process or several, and what they came to together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final

from ledger.errors import LedgerError
from network.simulator.laboratory import ALWAYS, run_seed
from network.simulator.report import RunReport
from network.simulator.scenario import NODES_MAX, NODES_MIN, SCENARIOS
from network.simulator.whole.laboratory import run_whole
from network.simulator.whole.scenario import SCENARIOS as WHOLE_SCENARIOS

SEEDS_MAX: Final = 1_000_000  # of one campaign
SEED_MAX: Final = 2**53
SIZES_MAX: Final = 8
JOBS_MAX: Final = 64
TRIALS_PER_TURN: Final = 2  # few, so that no process waits long for the last ones
WHOLE_RARITY: Final = 3  # whole nodes take three times as long
NAMES: Final = (*SCENARIOS, *WHOLE_SCENARIOS)  # of every scenario: light ones first, then of whole nodes


def parse_seeds(text: str) -> range:
    """The seeds that `A` or `A-B` stand for, both ends included.

    Raises:
        LedgerError: `sim.seeds`.
    """
    found = re.fullmatch(r"([0-9]{1,16})(?:-([0-9]{1,16}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not first <= last <= SEED_MAX or last - first >= SEEDS_MAX:
        raise LedgerError("sim.seeds", f"{text!r}, expected A or A-B with A <= B, at most {SEEDS_MAX} seeds")
    return range(first, last + 1)


def parse_nodes(text: str) -> tuple[int, ...]:
    """The network sizes that `N` or `N,M` stand for.

    Raises:
        LedgerError: `sim.nodes`.
    """
    parts = text.split(",")
    sizes = tuple(int(part) for part in parts if re.fullmatch(r"[0-9]{1,3}", part))
    is_sound = len(sizes) == len(parts) <= SIZES_MAX
    if not is_sound or not all(NODES_MIN <= size <= NODES_MAX for size in sizes):
        raise LedgerError(
            "sim.nodes", f"{text!r}, expected sizes from {NODES_MIN} to {NODES_MAX}, as 4 or 4,7"
        )
    return sizes


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a campaign."""

    scenario: str
    seed: int
    nodes: int


def trials_of(names: Sequence[str], seeds: Iterable[int], sizes: Sequence[int] | None) -> Iterator[Trial]:
    """Each scenario at each seed and size; those that take long at some seeds only. No sizes: its own.

    Raises:
        LedgerError: `sim.unknown_scenario`.
    """
    chosen = [(name, *share_of(name)) for name in names]
    return (
        Trial(name, seed, nodes)
        for turn, seed in enumerate(seeds)
        for name, rarity, usual in chosen
        if turn % rarity == 0
        for nodes in sizes or usual
    )


def share_of(name: str) -> tuple[int, tuple[int, ...]]:
    """In one round of how many a campaign runs a scenario, and at which sizes.

    Raises:
        LedgerError: `sim.unknown_scenario`.
    """
    if name in WHOLE_SCENARIOS:
        return WHOLE_RARITY, WHOLE_SCENARIOS[name].sizes
    if name not in SCENARIOS:
        raise LedgerError("sim.unknown_scenario", f"{name!r}, expected one of {', '.join(NAMES)}")
    scenario = SCENARIOS[name]
    return scenario.rarity, scenario.sizes


def run_trial(trial: Trial) -> RunReport:
    """One run.

    Raises:
        LedgerError: `sim.nodes`.
    """
    if trial.scenario in WHOLE_SCENARIOS:
        return run_whole(trial.seed, trial.nodes, trial.scenario)
    return run_seed(trial.seed, trial.nodes, trial.scenario)


def run_trials(trials: Iterable[Trial], jobs: int = 1) -> Iterator[RunReport]:
    """Run them all, in this process or in so many others; reports come in the order of the trials."""
    if jobs == 1:
        yield from map(run_trial, trials)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(run_trial, trials, TRIALS_PER_TURN)


def table_of(reports: Sequence[RunReport]) -> list[dict[str, Any]]:
    """A row for each scenario: its runs, how many were green, and what happened in them all together."""
    rows = []
    for name in dict.fromkeys(report.scenario for report in reports):
        own = [report for report in reports if report.scenario == name]
        rows.append(
            {
                "scenario": name,
                "runs": len(own),
                "green": sum(report.is_green for report in own),
                "heights": sum(max(report.heights) for report in own),
                "faults": sum(sum(_hits(report).values()) for report in own),
                "lies": sum(report.adversary_messages for report in own),
                "recovery_ms_max": max(report.recovery_ms for report in own),
            }
        )
    return rows


def adversaries_of(reports: Sequence[RunReport]) -> list[dict[str, Any]]:
    """A row for each kind of liar: in how many runs it was, how many there were, and what they told."""
    rows = []
    for lie in sorted({lie for report in reports for lie in report.adversaries}):
        own = [report for report in reports if lie in report.adversaries]
        rows.append(
            {
                "adversary": lie,
                "runs": len(own),
                "liars": sum(report.adversaries.count(lie) for report in own),
                "lies": sum(report.lies.get(lie, 0) for report in own),
            }
        )
    return rows


def _hits(report: RunReport) -> dict[str, int]:
    return {fault: count for fault, count in report.faults.items() if fault != ALWAYS}


def run_campaign(seeds: Iterable[int], sizes: Sequence[int], scenario: str) -> Iterator[RunReport]:
    """Each seed at each size.

    Raises:
        LedgerError: `sim.unknown_scenario`.
    """
    share_of(scenario)
    return run_trials(Trial(scenario, seed, nodes) for seed in seeds for nodes in sizes)


def summary_of(reports: Sequence[RunReport]) -> dict[str, Any]:
    """The totals of some runs. `heights` counts each block once a run."""
    faults: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    liars: Counter[str] = Counter()
    for report in reports:
        faults.update(report.faults)
        changes.update(report.changes)
        liars.update(report.adversaries or ("none",))
    return {
        "runs": len(reports),
        "green": sum(report.is_green for report in reports),
        "heights": sum(max(report.heights) for report in reports),
        "faults": dict(sorted(faults.items())),
        "changes": dict(sorted(changes.items())),
        "adversary_messages": sum(report.adversary_messages for report in reports),
        "adversaries": dict(sorted(liars.items())),
        "sizes": {
            str(size): count for size, count in sorted(Counter(len(r.stakes) for r in reports).items())
        },
        "recovery_ms_max": max((report.recovery_ms for report in reports), default=0),
        "busiest_window_max": max((report.busiest_window for report in reports), default=0),
        "most_remembered_max": max((report.most_remembered for report in reports), default=0),
    }
