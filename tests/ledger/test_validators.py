"""The validator set: stake in integers, quorums without rounding, leaders in proportion."""

from __future__ import annotations

from collections import Counter

import nacl.bindings as sodium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import key_pair
from ledger.errors import LedgerError
from ledger.types import STAKE_MAX, VALIDATORS_MAX, ChainId, Epoch, View
from ledger.validators import (
    SCHEDULE_SLOTS,
    Validator,
    ValidatorSet,
    leader,
    slots_by_stake,
    validators_hash,
)
from tests.ledger.refusals import code_of

CHAIN = ChainId(b"c" * 32)


def members(*stakes: int) -> tuple[Validator, ...]:
    return tuple(
        Validator(key_pair(index.to_bytes(32, "big")).public, stake, f"node{index}")
        for index, stake in enumerate(stakes)
    )


@pytest.mark.parametrize(
    ("stakes", "stake", "is_quorum"),
    [
        ((1, 1, 1), 2, False),
        ((1, 1, 1), 3, True),
        ((1, 1, 1, 1), 2, False),
        ((1, 1, 1, 1), 3, True),
        ((1,), 1, True),
    ],
)
def test_quorum_is_more_than_two_thirds(stakes: tuple[int, ...], stake: int, is_quorum: bool) -> None:
    """Exactly two thirds of the stake is no quorum; one unit more is."""
    assert ValidatorSet(members(*stakes)).is_quorum(stake) is is_quorum


def test_blocking_is_more_than_one_third() -> None:
    """Exactly one third blocks nothing; one unit more does."""
    validators = ValidatorSet(members(1, 1, 1))
    assert not validators.is_blocking(1)
    assert validators.is_blocking(2)


def test_the_largest_stakes_do_not_overflow() -> None:
    """A full set of the largest stakes counts exactly."""
    validators = ValidatorSet(members(*[STAKE_MAX] * VALIDATORS_MAX))
    total = STAKE_MAX * VALIDATORS_MAX
    assert validators.total_stake == total
    assert not validators.is_quorum(total * 2 // 3)
    assert validators.is_quorum(total * 2 // 3 + 1)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=7))
def test_the_quorum_stake_is_the_least_that_is_one(stakes: list[int]) -> None:
    """One unit less is none."""
    validators = ValidatorSet(members(*stakes))
    assert validators.is_quorum(validators.quorum_stake)
    assert not validators.is_quorum(validators.quorum_stake - 1)


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ((), "validators.empty"),
        (members(0), "validators.stake"),
        (members(STAKE_MAX + 1), "validators.stake"),
        ((*members(1), *members(1)), "validators.duplicate"),
        (members(*[1] * (VALIDATORS_MAX + 1)), "validators.too_many"),
        ((Validator(bytes(32), 1, "small-order"),), "key.invalid"),
    ],
)
def test_a_wrong_set_is_refused(listed: tuple[Validator, ...], code: str) -> None:
    """No set without stake, with a key twice, above the limit, or with a key of small order."""
    with pytest.raises(LedgerError) as refusal:
        ValidatorSet(listed)
    assert refusal.value.code == code


def test_the_hash_covers_order_and_stake() -> None:
    """Two sets that count votes differently have different hashes."""
    one, two = members(1, 2)
    same = validators_hash(ValidatorSet((one, two)))
    assert validators_hash(ValidatorSet((one, two))) == same
    assert validators_hash(ValidatorSet((two, one))) != same
    assert validators_hash(ValidatorSet((one, Validator(two.public_key, 3, two.node)))) != same


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, STAKE_MAX), min_size=1, max_size=VALIDATORS_MAX))
def test_slots_are_full_and_everybody_leads(stakes: list[int]) -> None:
    """The slots add up to the schedule, and each positive stake leads at least once."""
    slots = slots_by_stake(stakes)
    assert sum(slots) == SCHEDULE_SLOTS
    assert min(slots) >= 1


def test_slots_follow_stake() -> None:
    """A validator with three times the stake leads three times as often, but for rounding."""
    counted = Counter(
        leader(CHAIN, Epoch(0), View(view), ValidatorSet(members(3, 1))) for view in range(SCHEDULE_SLOTS)
    )
    assert abs(counted[0] - 3 * counted[1]) <= 4


def test_equal_stakes_take_turns() -> None:
    """With equal stakes no validator leads twice in a row: a dead one costs single views, not runs."""
    validators = ValidatorSet(members(1, 1, 1, 1))
    leaders = [leader(CHAIN, Epoch(0), View(view), validators) for view in range(2 * SCHEDULE_SLOTS)]
    for start in range(0, len(leaders) - 4, 4):
        assert sorted(leaders[start : start + 4]) == [0, 1, 2, 3]


def test_short_epochs_are_led_in_proportion() -> None:
    """In epochs of two views each leads about its share; did all begin with the heaviest, none else would."""
    validators = ValidatorSet(members(5, 2, 2, 1))
    led = Counter(
        leader(CHAIN, Epoch(epoch), View(view), validators) for epoch in range(1_000) for view in (1, 2)
    )
    for index in range(4):
        share = validators.stake(index) / validators.total_stake
        assert 0.8 * share < led[index] / 2_000 < 1.2 * share


def test_the_schedule_is_seeded_by_chain_and_epoch() -> None:
    """The order of equals differs between chains or epochs, and is the same whenever it is asked for."""
    validators = ValidatorSet(members(*[1] * 16))

    def turn(chain: ChainId, epoch: int) -> list[int]:
        return [leader(chain, Epoch(epoch), View(view), validators) for view in range(16)]

    assert turn(CHAIN, 0) == turn(CHAIN, 0)
    assert turn(CHAIN, 0) != turn(CHAIN, 1)
    assert turn(CHAIN, 0) != turn(ChainId(b"d" * 32), 0)


def test_a_set_that_is_read_again_costs_no_curve_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence is held against the set of its epoch each second: 144 pieces of one liar, 128 keys each."""
    validators = [Validator(key_pair(bytes([number]) * 32).public, 1, "node") for number in range(200, 220)]
    looked: list[bytes] = []
    original = sodium.crypto_core_ed25519_is_valid_point

    def counted(point: bytes) -> bool:
        looked.append(point)
        return bool(original(point))

    monkeypatch.setattr(sodium, "crypto_core_ed25519_is_valid_point", counted)
    for _ in range(144):
        ValidatorSet(tuple(validators))
    assert len(looked) <= len(validators)
    small_order = bytes([1]).ljust(32, b"\0")
    for _ in range(2):
        assert code_of(lambda: ValidatorSet((Validator(small_order, 1, "node"),))) == "key.invalid"
