"""What a run of scenarios came to: for people a line each, for programs one document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from network.chaos.audit import Violation


@dataclass(slots=True)
class Result:
    """One scenario, played or skipped.

    skipped: the reason, where it was. wire: what joined the nodes.
    final, unknown, refused: transactions of its clients, by what they were told in the end.
    gap_seconds: the longest time in which no client was told that something is final.
    recovery_seconds: from the end of the fault until every node had taken a transaction that became final.
    """

    scenario: str
    skipped: str = ""
    wire: str = ""
    violations: tuple[Violation, ...] = ()
    faults: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    height_first: int = 0
    height_last: int = 0
    epoch_first: int = 0
    epoch_last: int = 0
    final: int = 0
    unknown: int = 0
    refused: int = 0
    gap_seconds: float = 0.0
    recovery_seconds: float = 0.0

    @property
    def is_green(self) -> bool:
        """Whether nothing was found that must not be; a skipped one is not red."""
        return not self.violations

    @property
    def word(self) -> str:
        """What became of it, in one word."""
        if self.skipped:
            return "skipped"
        return "held" if self.is_green else "BROKEN"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "scenario": self.scenario,
            "outcome": self.word.lower(),
            "skipped": self.skipped,
            "wire": self.wire,
            "violations": [{"rule": each.rule, "message": each.message} for each in self.violations],
            "faults": self.faults,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 1),
            "heights": [self.height_first, self.height_last],
            "epochs": [self.epoch_first, self.epoch_last],
            "final": self.final,
            "unknown": self.unknown,
            "refused": self.refused,
            "gap_seconds": round(self.gap_seconds, 2),
            "recovery_seconds": round(self.recovery_seconds, 2),
        }


@dataclass(slots=True)
class Report:
    """All scenarios of a run. `statements` counts the different signed statements that were compared."""

    seed: int
    results: list[Result] = field(default_factory=list)
    statements: int = 0

    @property
    def is_green(self) -> bool:
        """Whether every scenario held that was played, and one was."""
        return all(each.is_green for each in self.results) and any(not each.skipped for each in self.results)

    def not_shown(self) -> dict[str, tuple[str, ...]]:
        """What this machine could not play, by the reason."""
        skipped = [each for each in self.results if each.skipped]
        return {
            reason: tuple(each.scenario for each in skipped if each.skipped == reason)
            for reason in dict.fromkeys(each.skipped for each in skipped)
        }

    def summary(self) -> dict[str, Any]:
        """The figures of the whole run."""
        played = [each for each in self.results if not each.skipped]
        return {
            "wire": ", ".join(dict.fromkeys(each.wire for each in played)),
            "seed": self.seed,
            "played": len(played),
            "held": sum(each.is_green for each in played),
            "skipped": len(self.results) - len(played),
            "not_shown": {reason: list(names) for reason, names in self.not_shown().items()},
            "faults": sum(each.faults for each in played),
            "heights": sum(each.height_last - each.height_first for each in played),
            "epochs": sum(each.epoch_last - each.epoch_first for each in played),
            "acknowledged": sum(each.final for each in played),
            "unknown": sum(each.unknown for each in played),
            "statements": self.statements,
            "violations": sum(len(each.violations) for each in played),
            "seconds": round(sum(each.seconds for each in played), 1),
        }


def longest_gap(moments: Sequence[float], start: float, end: float) -> float:
    """The longest time between two of these moments, start and end counted as such."""
    inside = [start, *sorted(each for each in moments if start < each < end), end]
    return max(later - earlier for earlier, later in pairwise(inside))
