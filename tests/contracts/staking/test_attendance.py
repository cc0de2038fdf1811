"""Attendance: counted by certificate, settled at the turn; the absent are jailed, but never a third."""

from __future__ import annotations

import pytest

from contracts.staking.attendance import attendance
from contracts.staking.records import SUPPLY, SUPPLY_UNITS_MAX, Attendance, Units, supply_units
from ledger.state import Overlay
from tests.contracts.staking.stage import Stage, make_stage


def epochs(stage: Stage, count: int, certificates: int = 4, absent: tuple[int, ...] = ()) -> None:
    """So many epochs in which these validators signed nothing."""
    for _ in range(count):
        stage.sign(certificates, absent)
        stage.turn()


def jailed(stage: Stage, validators: int = 4) -> list[int]:
    return [number for number in range(validators) if stage.bond_of(number).jailed_until]


def test_each_signer_is_counted_once_a_certificate() -> None:
    """And the count begins anew with each epoch."""
    stage = make_stage()
    stage.sign(3)
    stage.sign(2, absent=(3,))
    assert attendance(stage.state) == Attendance(5, (5, 5, 5, 3))
    stage.turn()
    assert attendance(stage.state) == Attendance(0, ())


def test_a_block_writes_one_record() -> None:
    """Counting costs one small write, of at most a few bytes for each validator."""
    stage = make_stage()
    stage.sign(1000)
    overlay = Overlay(stage.state)
    stage.rules.begin_block([0, 1, 2], overlay)
    assert len(overlay.writes) == 1
    assert sum(len(value or b"") for value in overlay.writes.values()) < 32


def test_absent_for_long_enough_is_jailed_for_a_while() -> None:
    """Two epochs in a row here; the way back opens three epochs later."""
    stage = make_stage()
    epochs(stage, 1, absent=(2,))
    assert (stage.bond_of(2).absences, jailed(stage)) == (1, [])
    epochs(stage, 1, absent=(2,))
    assert jailed(stage) == [2]
    assert (stage.bond_of(2).jailed_until, stage.bond_of(2).absences) == (stage.epoch + 3, 2)
    assert stage.weights() == {"node-0": 100, "node-1": 100, "node-3": 100}
    assert stage.bond_of(2).bonded_units == 100
    stage.check_books()


def test_absences_must_be_in_a_row() -> None:
    """One good epoch in between, and the count begins anew."""
    stage = make_stage()
    for _ in range(3):
        epochs(stage, 1, absent=(2,))
        epochs(stage, 1)
    assert jailed(stage) == []


def test_an_epoch_with_few_certificates_says_nothing() -> None:
    """Neither for nor against anybody."""
    stage = make_stage()
    epochs(stage, 1, absent=(2,))
    epochs(stage, 5, certificates=3, absent=(2,))
    assert (stage.bond_of(2).absences, jailed(stage)) == (1, [])
    epochs(stage, 1, absent=(2,))
    assert jailed(stage) == [2]


@pytest.mark.parametrize(("signed", "is_absent"), [(0, True), (9, True), (10, False), (100, False)])
def test_who_signed_a_tenth_was_there(signed: int, is_absent: bool) -> None:
    """The limit belongs to those who attended."""
    stage = make_stage()
    stage.sign(signed)
    stage.sign(100 - signed, absent=(1,))
    stage.turn()
    assert stage.bond_of(1).absences == int(is_absent)


def test_never_a_third_of_the_stake_is_jailed_in_all() -> None:
    """Of seven equal validators two may sit; the next one that is away keeps its weight."""
    stage = make_stage((100,) * 7)
    epochs(stage, 2, absent=(5, 6))
    assert jailed(stage, 7) == [5, 6]
    epochs(stage, 4, absent=(4,))
    assert jailed(stage, 7) == [5, 6]
    assert stage.bond_of(4).absences == 4
    epochs(stage, 1)
    assert stage.bond_of(4).absences == 0


def test_who_signed_least_is_jailed_first() -> None:
    """With room for one, the one that was never there; a tie goes by key."""
    stage = make_stage()
    for _ in range(2):
        stage.sign(1, absent=(1,))
        stage.sign(19, absent=(1, 3))
        stage.turn()
    assert jailed(stage) == [1]


def test_three_equal_validators_jail_nobody() -> None:
    """Two of three are no quorum anyway: jailing would only hide who is missing."""
    stage = make_stage((100, 100, 100))
    epochs(stage, 9, absent=(0,))
    assert jailed(stage, 3) == []


def test_absence_may_cost_a_penalty() -> None:
    """A permille of what is bonded is burned when it is jailed; the default is nothing."""
    stage = make_stage(absence_penalty_permille=250)
    epochs(stage, 2, absent=(0,))
    assert stage.bond_of(0).bonded_units == 75
    assert supply_units(stage.state) == 375
    stage.check_books()


def test_attendance_may_earn_new_units() -> None:
    """Their organisations hold them and may bond them; who was away gets none; the default is nothing."""
    stage = make_stage(reward_units=5)
    epochs(stage, 1, absent=(1,))
    assert [stage.held(name) for name in ("farm", "packer", "carrier", "center")] == [5, 0, 5, 5]
    assert set(stage.weights().values()) == {100}
    assert supply_units(stage.state) == 415
    stage.check_books()


def test_rewards_end_where_the_chain_has_all_the_units_it_may_have() -> None:
    """The turn can't refuse, so it gives what there is."""
    stage = make_stage(reward_units=5)
    overlay = Overlay(stage.state)
    SUPPLY.put(overlay, b"", Units(SUPPLY_UNITS_MAX - 7))
    stage.state.commit(overlay)
    epochs(stage, 1)
    assert sum(stage.held(name) for name in ("farm", "packer", "carrier", "center")) == 7
    assert supply_units(stage.state) == SUPPLY_UNITS_MAX


def test_who_is_on_the_way_out_is_not_judged() -> None:
    """A validator without wanted weight is neither rewarded nor jailed."""
    stage = make_stage(reward_units=5)
    stage.remove(0)
    epochs(stage, 1)
    assert (stage.held("farm"), stage.bond_of(0).absences) == (0, 0)
