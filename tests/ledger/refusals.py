"""How tests ask for a refusal by its stable code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.errors import LedgerError


def refusal_of(action: Callable[[], object]) -> LedgerError:
    """The error that the action is refused with."""
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value


def code_of(action: Callable[[], object]) -> str:
    """The stable code that the action is refused with."""
    return refusal_of(action).code
