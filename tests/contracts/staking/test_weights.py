"""From one set to the next: less than a third moves, nobody is left out for ever, the order is one."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.staking.weights import Urgency, Wish, budget_units, next_set
from ledger.crypto import key_pair
from ledger.validators import Validator, ValidatorSet

KEYS = sorted(key_pair(sha256(b"%d" % number).digest()).public for number in range(8))


def voters(*stakes: int) -> ValidatorSet:
    """A set of the first keys with these stakes, against the order of the keys."""
    listed = [Validator(KEYS[index], stake, f"node-{index}") for index, stake in enumerate(stakes) if stake]
    return ValidatorSet(tuple(reversed(listed)))


def wish(index: int, units: int, urgency: Urgency) -> Wish:
    return Wish(KEYS[index], f"node-{index}", units, urgency)


def stakes(validators: ValidatorSet) -> dict[int, int]:
    return {KEYS.index(each.public_key): each.stake for each in validators.validators}


@pytest.mark.parametrize(("total", "budget"), [(1, 0), (3, 0), (4, 1), (6, 1), (7, 2), (300, 99), (301, 100)])
def test_the_budget_is_the_most_that_is_less_than_a_third(total: int, budget: int) -> None:
    """Exactly a third is too much."""
    assert budget_units(voters(total)) == budget
    assert 3 * budget < total <= 3 * (budget + 1)


def test_a_set_without_wishes_is_the_same_set() -> None:
    """The same order and the same hash."""
    before = voters(5, 4, 3)
    assert next_set(before, [wish(index, 5 - index, Urgency.MORE) for index in range(3)]) == before


def test_urgent_changes_come_first() -> None:
    """Slashed, jailed, less, more; and within one kind by key."""
    before = voters(30, 30, 30, 30, 30, 30)
    wishes = [
        wish(6, 40, Urgency.MORE),
        wish(0, 10, Urgency.LESS),
        wish(1, 0, Urgency.JAILED),
        wish(2, 0, Urgency.SLASHED),
        wish(3, 40, Urgency.MORE),
    ]  # fmt: skip
    assert budget_units(before) == 59
    assert stakes(next_set(before, wishes)) == {5: 30, 4: 30, 3: 30, 1: 1, 0: 30}


def test_what_does_not_fit_is_done_at_later_turns() -> None:
    """Three equal validators become one only step by step, and a single one never disappears."""
    now = voters(100, 100, 100)
    wishes = [wish(0, 0, Urgency.LESS), wish(1, 0, Urgency.LESS), wish(2, 100, Urgency.MORE)]
    seen = []
    while True:
        following = next_set(now, wishes)
        if following == now:
            break
        seen.append(stakes(following))
        now = following
    assert seen[0] == {2: 100, 1: 100, 0: 1}
    assert seen[-1] == {2: 100}
    assert next_set(now, [wish(2, 0, Urgency.SLASHED)]) != now
    assert len(next_set(now, [wish(2, 0, Urgency.SLASHED)])) == 1


def test_who_stays_keeps_its_place_and_who_is_new_comes_behind_by_key() -> None:
    """Whatever the order of the wishes."""
    before = voters(50, 50, 50, 50)
    wishes = [wish(7, 9, Urgency.MORE), wish(5, 9, Urgency.MORE), wish(1, 40, Urgency.LESS)]
    expected = [3, 2, 1, 0, 5, 7]
    assert list(stakes(next_set(before, wishes))) == expected
    assert list(stakes(next_set(before, wishes[::-1]))) == expected


units = st.integers(0, 200)


@given(
    st.lists(units, min_size=1, max_size=6).filter(any),
    st.dictionaries(st.integers(0, 7), st.tuples(units, st.sampled_from(Urgency))),
    st.randoms(use_true_random=False),
)
def test_every_turn_moves_less_than_a_third_and_leaves_somebody(now, wanted, shuffle) -> None:  # type: ignore[no-untyped-def]
    """Whatever is wished for, in whatever order; nothing overshoots, and the budget is used up if need be."""
    before = voters(*now)
    wishes = [wish(index, *each) for index, each in wanted.items()]
    after = next_set(before, wishes)
    shuffle.shuffle(wishes)
    assert next_set(before, wishes) == after
    old, new = stakes(before), stakes(after)
    moved = sum(abs(new.get(index, 0) - old.get(index, 0)) for index in range(8))
    assert 3 * moved < before.total_stake
    assert 3 * sum(min(new.get(index, 0), stake) for index, stake in old.items()) > 2 * before.total_stake
    asked = sum(abs(each[0] - old.get(index, 0)) for index, each in wanted.items())
    assert moved == min(asked, budget_units(before))
    for index in range(8):
        goal = wanted[index][0] if index in wanted else old.get(index, 0)
        low, high = sorted((old.get(index, 0), goal))
        assert low <= new.get(index, 0) <= high
