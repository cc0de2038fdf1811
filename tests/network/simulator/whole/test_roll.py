"""The judge works out every set by its own hands: a turn that gives another one is found."""

from __future__ import annotations

import pytest

from contracts.staking import attendance, weights
from network.simulator.whole.laboratory import run_whole
from network.simulator.whole.scenario import plan_of

CAPPED_SEED = 7  # more stake wants to move at one turn than may
JAILING_SEED = 6  # a validator is away for two epochs


def rules(violations: tuple[str, ...]) -> set[str]:
    return {each.partition(":")[0] for each in violations}


def test_a_turn_that_moves_too_much_stake_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """K7: all nodes agree on the wrong set; the judge does not."""
    assert plan_of(CAPPED_SEED, 4, "whole-stake").has_stake_moves
    monkeypatch.setattr(weights, "budget_units", lambda validators: validators.total_stake // 2)
    assert rules(run_whole(CAPPED_SEED, 4, "whole-stake").violations) == {"epoch"}


def test_a_turn_that_jails_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """K15: the absence is on the chain for everybody to count."""
    monkeypatch.setattr(attendance, "_jail", lambda *arguments: None)
    assert rules(run_whole(JAILING_SEED, 4, "whole-stake").violations) == {"epoch"}
