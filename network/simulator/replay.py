"""A run once more, stopped where somebody wants to look: each node's state after a step, and differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ledger.consensus.events import Effect, Input
from network.simulator.event_log import Head, line_of, tail_line
from network.simulator.laboratory import Laboratory
from network.simulator.report import RunReport
from network.simulator.scenario import plan_of, scenario_of
from network.simulator.standing import state_of, state_of_site
from network.simulator.whole.laboratory import WholeLaboratory
from network.simulator.whole.scenario import SCENARIOS as WHOLE_SCENARIOS
from network.simulator.whole.scenario import plan_of as whole_plan_of


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where every node stood when a step had been taken and none of its effects had happened. `states` has a
    row of named facts for each place; `line` is the log's for this step, "" at the end."""

    step: int
    now_ms: int
    states: tuple[dict[str, str], ...]
    line: str = ""


class _Enough(Exception):
    """The last step that was asked for is taken."""


def record(head: Head, write: Callable[[str], object]) -> RunReport:
    """Run a seed and write its log, line by line.

    Raises:
        LedgerError: `sim.unknown_scenario`, `sim.nodes`.
    """
    laboratory = _laboratory_of(head)
    write(head.line() + chr(10))

    def watch(number: int, place: int | None, event: Input | str, effects: Sequence[Effect | str]) -> None:
        write(line_of(number, laboratory.now_ms, place, event, effects) + chr(10))

    report = laboratory.run(watch)
    write(tail_line(report.trace_hash) + chr(10))
    return report


def replay(head: Head, steps: Iterable[int]) -> tuple[Snapshot, ...]:
    """Run a seed again up to the last of some steps; what stood there after each of them.

    A step beyond the end is the end. Raises:
        LedgerError: `sim.unknown_scenario`, `sim.nodes`.
    """
    wanted, found = sorted(set(steps)), dict[int, Snapshot]()
    laboratory = _laboratory_of(head)

    def watch(number: int, place: int | None, event: Input | str, effects: Sequence[Effect | str]) -> None:
        if number in wanted:
            line = line_of(number, laboratory.now_ms, place, event, effects)
            found[number] = _snapshot(number, laboratory, line)
        if wanted and number >= wanted[-1]:
            raise _Enough

    try:
        report = laboratory.run(watch)
        end = _snapshot(report.steps, laboratory)
    except _Enough:
        end = found[wanted[-1]]
    return tuple(found.get(step, end) for step in wanted) or (end,)


def trace_of(head: Head) -> str:
    """The hash of everything done in a run."""
    return _laboratory_of(head).run().trace_hash


def differences(first: dict[str, str], second: dict[str, str]) -> tuple[tuple[str, str, str], ...]:
    """The facts that are not equal: name, first, second."""
    names = dict.fromkeys((*first, *second))
    rows = ((name, first.get(name, ""), second.get(name, "")) for name in names)
    return tuple(row for row in rows if row[1] != row[2])


def _laboratory_of(head: Head) -> Laboratory | WholeLaboratory:
    if head.scenario in WHOLE_SCENARIOS:
        return WholeLaboratory(whole_plan_of(head.seed, head.nodes, head.scenario))
    return Laboratory(plan_of(head.seed, head.nodes, scenario_of(head.scenario)))


def _snapshot(step: int, laboratory: Laboratory | WholeLaboratory, line: str = "") -> Snapshot:
    if isinstance(laboratory, WholeLaboratory):
        states = tuple(state_of_site(site) for site in laboratory.sites)
    else:
        states = tuple(state_of(node) for node in laboratory.nodes)
    return Snapshot(step, laboratory.now_ms, states, line)
