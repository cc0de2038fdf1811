"""What one run came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RunReport:
    """One seed's result. `heights` are each node's committed heights at the end, the adversary's too;
    `faults` counts what really hit something; `adversary_messages` counts lies told or truths withheld."""

    seed: int
    scenario: str
    stakes: tuple[int, ...]
    adversary: str
    adversary_index: int | None
    heights: tuple[int, ...]
    faults: dict[str, int]
    adversary_messages: int
    violations: tuple[str, ...]
    virtual_ms: int
    recovery_ms: int
    steps: int
    messages: int
    busiest_window: int
    most_remembered: int
    trace_hash: str

    @property
    def is_green(self) -> bool:
        """Whether the run found nothing to complain about, and had something to find."""
        return not self.violations

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)
