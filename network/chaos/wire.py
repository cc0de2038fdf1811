"""The network between the nodes, as a scenario may break it. Two kinds, by what the machine allows.

`network.chaos.namespaces`: every node in a network namespace of its own; the kernel loses packets.
`network.chaos.proxies`: a relay for each pair of nodes; bytes stay away, connections break.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from network.testnet.plan import Plan

PERMILLE: int = 1000


class Wire(Protocol):
    """All links between the nodes of one network. Faults add up until `heal`."""

    kind: str
    """What reports call it."""

    def plan(self, folder: Path, validators: int, observers: int, stakes: Mapping[str, int]) -> Plan:
        """The nodes of a new network, at addresses that this wire joins. Called once, before `open`."""

    def open(self) -> None:
        """Join the planned nodes."""

    def launcher(self, node: str) -> tuple[str, ...]:
        """What stands before the command of a node, so that it starts in its place."""

    def cut(self, sender: str, receiver: str) -> None:
        """Nothing of what `sender` sends reaches `receiver` any more."""

    def lose(self, nodes: Iterable[str], permille: int) -> None:
        """So much of what these nodes send to the others is lost, by chance."""

    def slow(self, node: str, kilobits_per_second: int) -> None:
        """All that a node sends to the others goes through a narrow pipe."""

    def affected(self) -> int:
        """How many packets or pieces were lost, held back or slowed so far; it only grows."""

    def heal(self) -> None:
        """Every fault of this wire ends."""

    def close(self) -> None:
        """Let go of everything; the nodes have stopped."""


def part(wire: Wire, sides: Iterable[Iterable[str]]) -> None:
    """Cut every link between nodes of different sides, both ways."""
    groups = [tuple(side) for side in sides]
    for mine, side in enumerate(groups):
        for other, far in enumerate(groups):
            if mine != other:
                for sender in side:
                    for receiver in far:
                        wire.cut(sender, receiver)
