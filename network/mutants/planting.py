"""Planting a bug in one process, and taking it out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


class Patches:
    """Replaced attributes of classes and modules, put back in reverse order."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, value: Any) -> Any:
        """Put `value` in the place of an attribute; answers what was there."""
        original = vars(owner)[name]
        self._undo.append((owner, name, original))
        setattr(owner, name, value)
        return original

    def undo(self) -> None:
        """Put everything back."""
        for owner, name, original in reversed(self._undo):
            setattr(owner, name, original)
        self._undo.clear()


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: `breaks` is the rule it breaks, in words; `plant` makes the patches; `shows_in` is the
    scenario whose runs hunt it."""

    name: str
    breaks: str
    plant: Callable[[Patches], None]
    shows_in: str = "mixed"


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The process with this bug in it. Not for threads."""
    patches = Patches()
    try:
        mutant.plant(patches)
        yield
    finally:
        patches.undo()
