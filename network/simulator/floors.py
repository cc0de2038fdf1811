"""The least that a run of a scenario must show. What shows less proves nothing, and is red as `empty`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

PROGRESS_HEIGHTS: Final = 5  # that every honest node commits after the last fault


@dataclass(frozen=True, slots=True)
class Floors:
    """Counts at the end of a run: `heights` of every honest node, `faults` that hit something, of all kinds
    together, `lies` that adversaries told and truths that they withheld; `named`: faults by name, each with
    a floor of its own."""

    heights: int = PROGRESS_HEIGHTS
    faults: int = 0
    lies: int = 0
    named: tuple[tuple[str, int], ...] = ()

    def shortfalls(self, heights: int, hits: int, lies: int, faults: Mapping[str, int]) -> Iterator[str]:
        """What a run is short of, in words. `hits`: all faults together, but for what happens in good weather
        too; `faults`: each by name."""
        counted = (
            (heights, self.heights, "heights"),
            (hits, self.faults, "faults"),
            (lies, self.lies, "adversary messages"),
            *((faults.get(fault, 0), floor, fault) for fault, floor in self.named),
        )
        for count, floor, what in counted:
            if count < floor:
                yield f"{count} of {what}, at least {floor} expected"

    def as_dict(self) -> dict[str, int]:
        """By the names that a report gives to what is counted."""
        return {
            "heights": self.heights,
            "faults": self.faults,
            "adversary_messages": self.lies,
            **dict(self.named),
        }


CALM: Final = Floors()  # of a run without faults and liars
ANY_FAULT: Final = Floors(faults=1)
