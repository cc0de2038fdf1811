"""The hunt: one campaign, green without a bug, that must kill every mutant on the list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError
from network.mutants.agreement import AGREEMENT
from network.mutants.liveness import LIVENESS
from network.mutants.memory import MEMORY
from network.mutants.planting import Mutant, planted
from network.mutants.turning import TURNING
from network.simulator.laboratory import run_seed

MUTANTS: Final = (*AGREEMENT, *MEMORY, *LIVENESS, *TURNING)
HUNT_SEEDS: Final = 60
SCENARIO: Final = "mixed"


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of a mutant: the seed, network size and rule that killed it; seed 0 if it survived."""

    mutant: str
    breaks: str
    seed: int
    nodes: int
    violation: str

    @property
    def is_killed(self) -> bool:
        """Whether a run of the campaign went red."""
        return self.seed > 0


def trials(seeds: int) -> Iterator[tuple[int, int]]:
    """(seed, nodes) of the campaign: every fourth seed has seven validators, the others four."""
    return ((seed, 7 if seed % 4 == 0 else 4) for seed in range(1, seeds + 1))


def red_without(seeds: int) -> tuple[str, ...]:
    """What the campaign finds with no bug planted: nothing, or no kill counts."""
    reports = (run_seed(seed, nodes, SCENARIO) for seed, nodes in trials(seeds))
    return tuple(f"seed {report.seed}: {report.violations[0]}" for report in reports if not report.is_green)


def hunt(mutants: Iterable[Mutant] = MUTANTS, seeds: int = HUNT_SEEDS) -> Iterator[Kill]:
    """Run the campaign against each mutant until the first red seed."""
    for mutant in mutants:
        with planted(mutant):
            yield _hunt_one(mutant, seeds)


def _hunt_one(mutant: Mutant, seeds: int) -> Kill:
    for seed, nodes in trials(seeds):
        report = run_seed(seed, nodes, SCENARIO)
        if not report.is_green:
            return Kill(mutant.name, mutant.breaks, seed, nodes, report.violations[0])
    return Kill(mutant.name, mutant.breaks, 0, 0, "")


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
