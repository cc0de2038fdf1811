"""Many seeds, one after the other, and what they came to together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from ledger.errors import LedgerError
from network.simulator.laboratory import run_seed
from network.simulator.report import RunReport
from network.simulator.scenario import NODES_MAX, NODES_MIN, SCENARIOS, scenario_of
from network.simulator.whole.laboratory import run_whole
from network.simulator.whole.scenario import SCENARIOS as WHOLE_SCENARIOS

SEEDS_MAX: Final = 1_000_000  # of one campaign
SEED_MAX: Final = 2**53
SIZES_MAX: Final = 8
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


def run_campaign(seeds: Iterable[int], sizes: Sequence[int], scenario: str) -> Iterator[RunReport]:
    """Each seed at each size.

    Raises:
        LedgerError: `sim.unknown_scenario`.
    """
    if scenario in WHOLE_SCENARIOS:
        return (run_whole(seed, nodes, scenario) for seed in seeds for nodes in sizes)
    scenario_of(scenario)
    return (run_seed(seed, nodes, scenario) for seed in seeds for nodes in sizes)


def summary_of(reports: Sequence[RunReport]) -> dict[str, Any]:
    """The totals of some runs. `heights` counts each block once a run."""
    faults: Counter[str] = Counter()
    liars: Counter[str] = Counter()
    for report in reports:
        faults.update(report.faults)
        liars.update(report.adversaries or ("none",))
    return {
        "runs": len(reports),
        "green": sum(report.is_green for report in reports),
        "heights": sum(max(report.heights) for report in reports),
        "faults": dict(sorted(faults.items())),
        "adversary_messages": sum(report.adversary_messages for report in reports),
        "adversaries": dict(sorted(liars.items())),
        "sizes": {
            str(size): count for size, count in sorted(Counter(len(r.stakes) for r in reports).items())
        },
        "recovery_ms_max": max((report.recovery_ms for report in reports), default=0),
        "busiest_window_max": max((report.busiest_window for report in reports), default=0),
        "most_remembered_max": max((report.most_remembered for report in reports), default=0),
    }
