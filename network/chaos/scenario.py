"""A named fault: what it is, what it asks of the machine, and how it is played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from network.chaos.sandbox import Need
from network.chaos.stage import Stage


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the plan.

    name: GROUP/NAME; the scenarios of a group share one network, one after the other.
    summary: the fault and what has to hold while it lasts, in one line.
    play: brings the fault about, checks what has to hold while it lasts, and mends what an operator would.
        The run of it does the rest (`network.chaos.run`): everybody well again, equal, stopped, audited.
    is_by_relays: whether relays join the nodes also where the machine gives namespaces.
    """

    name: str
    summary: str
    play: Callable[[Stage], None]
    needs: tuple[Need, ...] = ()
    is_by_relays: bool = False

    @property
    def group(self) -> str:
        """The part before the stroke."""
        return self.name.partition("/")[0]
