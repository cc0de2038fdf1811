"""A contract method: its name, the record it is called with, who may call it, and what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ledger.codec import Canonical
from ledger.members import Role
from ledger.state import Overlay
from ledger.transition import Call, Outcome

Arguments = TypeVar("Arguments", bound=Canonical)


@dataclass(frozen=True, slots=True)
class Method(Generic[Arguments]):
    """One entry of a contract. A sender needs one of `roles`; `run` refuses by raising a LedgerError."""

    contract: str
    name: str
    arguments: type[Arguments]
    roles: tuple[Role, ...]
    run: Callable[[Call, Arguments, Overlay], Outcome]

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.run.__doc__ or "").partition("\n")[0]
