"""What one run came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class RunReport:
    """One seed's result. `heights` are each node's committed heights at the end, an adversary's too;
    `adversaries` are the lies by name, one a liar; `faults` counts what really hit something, `lies` what
    each kind of liar told or withheld. `transactions` became final, and `most_resends` is what one node said
    again in 5 s; whole nodes do not count these two. `floors`: what the scenario expects at least; `changes`:
    what became of the membership."""

    seed: int
    scenario: str
    stakes: tuple[int, ...]
    adversaries: tuple[str, ...]
    heights: tuple[int, ...]
    faults: dict[str, int]
    lies: dict[str, int]
    violations: tuple[str, ...]
    virtual_ms: int
    recovery_ms: int
    steps: int
    messages: int
    busiest_window: int
    most_remembered: int
    trace_hash: str
    most_resends: int = 0
    transactions: int = 0
    floors: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)

    @property
    def adversary_messages(self) -> int:
        """Lies told and truths withheld, by all liars together."""
        return sum(self.lies.values())

    @property
    def is_green(self) -> bool:
        """Whether the run found nothing to complain about, and had something to find."""
        return not self.violations

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {**asdict(self), "adversary_messages": self.adversary_messages}
