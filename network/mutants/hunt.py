"""The hunt: one campaign, green without a bug, that must kill every mutant on the list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from ledger.errors import LedgerError
from network.mutants.agreement import AGREEMENT
from network.mutants.belief import BELIEF
from network.mutants.liveness import LIVENESS
from network.mutants.memory import MEMORY
from network.mutants.nodes import NODES
from network.mutants.pages import PAGES
from network.mutants.planting import Mutant, planted
from network.mutants.turning import TURNING
from network.simulator.campaign import Trial, run_trial, run_trials, share_of
from network.simulator.whole.scenario import SCENARIOS as WHOLE_SCENARIOS

MUTANTS: Final = (*AGREEMENT, *MEMORY, *LIVENESS, *TURNING, *BELIEF, *PAGES, *NODES)
HUNT_SEEDS: Final = 60
WHOLE: Final = 2, (4,)  # of whole nodes every second seed, with four validators: what is wrong with one shows


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of a mutant: scenario, seed, size and rule that killed it; seed 0 if it survived."""

    mutant: str
    breaks: str
    scenario: str
    seed: int
    nodes: int
    violation: str

    @property
    def is_killed(self) -> bool:
        """Whether a run of the campaign went red."""
        return self.seed > 0


def trials(scenario: str, seeds: int) -> Iterator[Trial]:
    """The runs that hunt in a scenario: every fourth seed has seven validators, the others four, where the
    scenario has both; of one that takes long, fewer seeds."""
    rarity, sizes = WHOLE if scenario in WHOLE_SCENARIOS else share_of(scenario)
    for seed in range(1, max(1, seeds // rarity) + 1):
        yield Trial(scenario, seed, 7 if seed % 4 == 0 and 7 in sizes else 4)


def green_trials(mutants: Iterable[Mutant], seeds: int) -> Iterator[Trial]:
    """All runs that a hunt may make: without a bug every one is green, or no kill counts."""
    for scenario in dict.fromkeys(mutant.shows_in for mutant in mutants):
        yield from trials(scenario, seeds)


def red_without(seeds: int, mutants: Iterable[Mutant] = MUTANTS, jobs: int = 1) -> tuple[str, ...]:
    """What the campaign finds with no bug planted: nothing, or no kill counts."""
    reports = run_trials(green_trials(mutants, seeds), jobs)
    return tuple(
        f"{report.scenario} seed {report.seed}: {report.violations[0]}"
        for report in reports
        if not report.is_green
    )


def hunt(mutants: Iterable[Mutant] = MUTANTS, seeds: int = HUNT_SEEDS, jobs: int = 1) -> Iterator[Kill]:
    """Run the campaign against each mutant until the first red seed, so many mutants at a time."""
    names = [(mutant.name, seeds) for mutant in mutants]
    if jobs == 1:
        yield from map(_hunt_one, names)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(_hunt_one, names)


def _hunt_one(what: tuple[str, int]) -> Kill:
    (mutant,), seeds = mutants_named([what[0]]), what[1]
    with planted(mutant):
        for trial in trials(mutant.shows_in, seeds):
            report = run_trial(trial)
            if not report.is_green:
                found = report.violations[0]
                return Kill(mutant.name, mutant.breaks, trial.scenario, trial.seed, trial.nodes, found)
    return Kill(mutant.name, mutant.breaks, mutant.shows_in, 0, 0, "")


def mutants_named(names: Iterable[str]) -> tuple[Mutant, ...]:
    """The mutants with these names.

    Raises:
        LedgerError: `sim.unknown_mutant`.
    """
    by_name = {mutant.name: mutant for mutant in MUTANTS}
    wanted = tuple(names)
    for name in wanted:
        if name not in by_name:
            raise LedgerError("sim.unknown_mutant", f"{name!r}, expected one of {', '.join(by_name)}")
    return tuple(by_name[name] for name in wanted)
