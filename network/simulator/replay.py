"""A run once more, stopped where somebody wants to look: each node's state after a step, and differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.consensus.events import Effect, Input
from ledger.consensus.records import SignerFloor
from ledger.vote import VoteKind
from network.simulator.event_log import Head, line_of, tail_line
from network.simulator.laboratory import Laboratory
from network.simulator.node import SimulatedNode
from network.simulator.report import RunReport
from network.simulator.scenario import plan_of, scenario_of

VIEWS_SHOWN_MAX: Final = 8
BLOCKS_SHOWN_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where every node stood when a step had been taken and none of its effects had happened. `states` has a
    row of named facts for each place."""

    step: int
    now_ms: int
    states: tuple[dict[str, str], ...]


class _Enough(Exception):
    """The last step that was asked for is taken."""


def record(head: Head, write: Callable[[str], object]) -> RunReport:
    """Run a seed and write its log, line by line.

    Raises:
        LedgerError: `sim.unknown_scenario`, `sim.nodes`.
    """
    write(head.line() + chr(10))
    laboratory = _laboratory_of(head)

    def watch(number: int, place: int, event: Input, effects: Sequence[Effect]) -> None:
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

    def watch(number: int, place: int, event: Input, effects: Sequence[Effect]) -> None:
        if number in wanted:
            found[number] = _snapshot(number, laboratory)
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


def _laboratory_of(head: Head) -> Laboratory:
    return Laboratory(plan_of(head.seed, head.nodes, scenario_of(head.scenario)))


def _snapshot(step: int, laboratory: Laboratory) -> Snapshot:
    return Snapshot(step, laboratory.now_ms, tuple(state_of(node) for node in laboratory.nodes))


def state_of(node: SimulatedNode) -> dict[str, str]:
    """What can be told of a node, in words."""
    head = node.disk.head
    floors = [each.view for each in node.disk.records if isinstance(each, SignerFloor)]
    told = {
        "node": str(node.index),
        "height": str(head.block.header.height),
        "head": head.block_id[:4].hex(),
        "records": str(len(node.disk.records)),
        "floor": str(max(floors, default="none")),
        "waiting": str(len(node.chain.waiting)),
        "clock": f"{node.wall_ahead_ms:+d} ms",
    }
    return {**told, **(_mind_of(node) if node.is_up else {"process": "down"})}


def _mind_of(node: SimulatedNode) -> dict[str, str]:
    assert node.machine is not None
    state = node.machine.state
    certificates, entry = state.certificates, state.entry
    held = certificates.above(certificates.final_view)
    shown = {
        "process": "up",
        "epoch": str(state.epoch),
        "view": f"{state.view} led by {state.leader(state.view)}",
        "entered by": "nothing" if entry is None else f"{entry.kind.name} {entry.view}",
        "final": f"{certificates.final_view} {certificates.final_id[:4].hex()}",
        "awake": "no" if state.pacemaker.awake_at_ms is None else f"since {state.pacemaker.awake_at_ms} ms",
        "signer": "none" if state.signer is None else state.signer.quarantine_reason or "signs",
        "certified above": ", ".join(f"{each.kind.name} {each.view}" for each in held[-VIEWS_SHOWN_MAX:]),
        "blocks": ", ".join(
            f"{each.block_id[:4].hex()} {each.state.value}" for each in state.blocks.all()[-BLOCKS_SHOWN_MAX:]
        ),
    }
    for kind in VoteKind:
        voters = [at for at in range(len(state.validators)) if state.tally.has_voted(state.view, kind, at)]
        shown[f"{kind.name.lower()} votes"] = ", ".join(map(str, voters))
    return shown
