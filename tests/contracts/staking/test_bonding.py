"""Bond, unbond and the way back from jail: only one's own, at the turn, with a delay, and never to nobody."""

from __future__ import annotations

import pytest

from contracts.staking.bonding import BondUnits, UnbondUnits, Unjail
from contracts.staking.records import Unbonding, supply_units
from ledger.types import STAKE_MAX
from tests.contracts.chain import key_of
from tests.contracts.staking.stage import Stage, double_vote, make_stage, voter
from tests.ledger.refusals import code_of


def refused(stage: Stage, sender: str, method: str, arguments: BondUnits | UnbondUnits | Unjail) -> str:
    return stage.refusal(sender, "staking", method, arguments).code


# --- genesis -------------------------------------------------------------------------


def test_validators_of_genesis_start_bonded() -> None:
    """Their stake stands behind their keys, owned by the organisations of their nodes; nobody holds more."""
    stage = make_stage((100, 200, 300))
    assert [stage.bond_of(number).bonded_units for number in range(3)] == [100, 200, 300]
    assert [stage.bond_of(number).organisation for number in range(3)] == ["farm", "packer", "carrier"]
    assert supply_units(stage.state) == 600
    assert [stage.held(name) for name in ("farm", "packer", "carrier")] == [0, 0, 0]
    before = stage.voters
    assert stage.turn(3) == before


# --- bond ----------------------------------------------------------------------------


def test_bonded_units_count_from_the_next_turn_on() -> None:
    """The set is constant within the epoch; the holding shrinks at once."""
    stage = make_stage()
    stage.grant("farm", 50)
    assert stage.bond("farm/admin", 0, 30).bonded_units == 130
    assert (stage.held("farm"), stage.weights()["node-0"]) == (20, 100)
    stage.turn()
    assert stage.weights() == {"node-0": 130, "node-1": 100, "node-2": 100, "node-3": 100}
    stage.check_books()


@pytest.mark.parametrize(
    ("sender", "number", "units", "code"),
    [
        ("packer/admin", 0, 1, "validator.unknown"),  # another organisation's
        ("farm/admin", 9, 1, "validator.unknown"),  # nobody's
        ("farm/admin", 0, 51, "units.too_few"),
        ("farm/operator", 0, 1, "sender.role"),
        ("farm/admin", 0, 0, "arguments.malformed"),
        ("farm/admin", 0, -1, "arguments.malformed"),
        ("farm/admin", 0, STAKE_MAX + 1, "arguments.malformed"),
    ],
)
def test_nobody_bonds_what_is_not_theirs(sender: str, number: int, units: int, code: str) -> None:
    """Not behind another's key, not more than is held, not as another role, not a number that is none."""
    stage = make_stage()
    stage.grant("farm", 50)
    assert refused(stage, sender, "bond", BondUnits(voter(number).public, units)) == code


def test_a_stake_has_an_upper_limit() -> None:
    """No sum of stakes can overflow."""
    stage = make_stage()
    stage.grant("farm", STAKE_MAX)
    assert refused(stage, "farm/admin", "bond", BondUnits(voter(0).public, STAKE_MAX - 99)) == (
        "validators.stake"
    )
    assert stage.bond("farm/admin", 0, STAKE_MAX - 100).bonded_units == STAKE_MAX


def test_a_removed_validator_gets_no_stake_from_its_organisation() -> None:
    """What a ballot decided is not undone by one member."""
    stage = make_stage()
    stage.grant("farm", 50)
    stage.remove(0)
    assert refused(stage, "farm/admin", "bond", BondUnits(voter(0).public, 1)) == "validator.removed"


# --- unbond ----------------------------------------------------------------------------


def test_units_come_back_after_the_delay_and_not_before() -> None:
    """They leave the set at the turn, stay slashable for three epochs, and are held then."""
    stage = make_stage()
    bond = stage.unbond("farm/admin", 0, 40)
    assert (bond.bonded_units, bond.leaving_units, bond.unbonding) == (60, 40, ())
    assert stage.weights()["node-0"] == 100
    stage.turn()
    assert stage.weights()["node-0"] == 60
    assert stage.bond_of(0).unbonding == (Unbonding(4, 40),)
    stage.turn(2)
    assert (stage.epoch, stage.held("farm")) == (3, 0)
    stage.check_books()
    stage.turn()
    assert (stage.epoch, stage.held("farm"), stage.bond_of(0).unbonding) == (4, 40, ())
    stage.check_books()


def test_the_delay_begins_when_the_weight_is_gone() -> None:
    """A large stake leaves over several turns, and each part waits from its own turn on."""
    stage = make_stage((100, 100))
    stage.unbond("farm/admin", 0, 100)
    stage.turn()
    assert stage.weights() == {"node-0": 34, "node-1": 100}
    assert (stage.bond_of(0).leaving_units, stage.bond_of(0).unbonding) == (34, (Unbonding(4, 66),))
    stage.turn()
    assert stage.weights() == {"node-1": 100}
    assert stage.bond_of(0).unbonding == (Unbonding(4, 66), Unbonding(5, 34))
    stage.turn(2)
    assert (stage.epoch, stage.held("farm")) == (4, 66)
    stage.turn()
    assert stage.held("farm") == 100
    stage.check_books()


def test_who_took_everything_back_may_bond_again() -> None:
    """An organisation that leaves by itself stays admitted; its key keeps its bond."""
    stage = make_stage()
    stage.unbond("farm/admin", 0, 100)
    stage.turn(5)
    assert "node-0" not in stage.weights()
    stage.bond("farm/admin", 0, 70)
    stage.turn()
    assert stage.weights() == {"node-1": 100, "node-2": 100, "node-3": 100, "node-0": 70}


@pytest.mark.parametrize(
    ("sender", "units", "code"),
    [
        ("packer/admin", 1, "validator.unknown"),
        ("farm/admin", 101, "units.too_few"),
        ("farm/operator", 1, "sender.role"),
        ("farm/admin", 0, "arguments.malformed"),
    ],
)
def test_nobody_unbonds_what_is_not_theirs(sender: str, units: int, code: str) -> None:
    """Nor more than is bonded."""
    assert refused(make_stage(), sender, "unbond", UnbondUnits(voter(0).public, units)) == code


def test_units_are_not_asked_back_twice() -> None:
    """What is leaving is not bonded any more."""
    stage = make_stage()
    stage.unbond("farm/admin", 0, 60)
    assert refused(stage, "farm/admin", "unbond", UnbondUnits(voter(0).public, 41)) == "units.too_few"
    stage.unbond("farm/admin", 0, 40)
    stage.check_books()


def test_the_last_validator_stays() -> None:
    """A change after which nobody would vote is refused; so is a removal."""
    stage = make_stage((100, 100))
    stage.unbond("packer/admin", 1, 100)
    assert refused(stage, "farm/admin", "unbond", UnbondUnits(voter(0).public, 100)) == "validators.empty"
    assert code_of(lambda: stage.remove(0)) == "validators.empty"
    assert code_of(lambda: stage.set_weight(0, 0)) == "validators.empty"
    stage.unbond("farm/admin", 0, 99)


def test_new_units_may_be_bonded_while_old_ones_leave() -> None:
    """What backs the weight is never less than the weight."""
    stage = make_stage()
    stage.grant("farm", 40)
    stage.unbond("farm/admin", 0, 50)
    stage.bond("farm/admin", 0, 40)
    stage.turn()
    assert stage.weights()["node-0"] == 90
    assert stage.bond_of(0).unbonding == (Unbonding(4, 50),)
    stage.check_books()


# --- unjail ----------------------------------------------------------------------------


def jailed(stage: Stage) -> None:
    """Let the validator on node-0 be absent for two epochs."""
    for _ in range(2):
        stage.sign(4, absent=(0,))
        stage.turn()
    assert stage.bond_of(0).jailed_until == 5


def test_the_way_back_from_jail() -> None:
    """When its time is over its organisation asks, and it votes from the next turn on with all it had."""
    stage = make_stage()
    jailed(stage)
    assert "node-0" not in stage.weights()
    assert refused(stage, "farm/admin", "unjail", Unjail(voter(0).public)) == "validator.jailed"
    stage.turn(3)
    assert refused(stage, "packer/admin", "unjail", Unjail(voter(0).public)) == "validator.unknown"
    assert "node-0" not in stage.weights(), "nobody comes back without asking"
    bond = stage.unjail("farm/admin", 0)
    assert (bond.jailed_until, bond.absences) == (0, 0)
    stage.turn()
    assert stage.weights()["node-0"] == 99, "less than a third of 300 moves at one turn"
    stage.turn()
    assert stage.weights()["node-0"] == 100


def test_only_the_jailed_come_back() -> None:
    """Not who votes, not who was slashed, not who was removed."""
    stage = make_stage()
    assert refused(stage, "farm/admin", "unjail", Unjail(voter(0).public)) == "validator.not_jailed"
    assert refused(stage, "farm/admin", "unjail", Unjail(key_of("nobody").public)) == "validator.unknown"
    jailed(stage)
    stage.report(double_vote(stage.chain_id, voter(0), 1, make_stage().voters))
    assert refused(stage, "farm/admin", "unjail", Unjail(voter(0).public)) == "validator.slashed"


def test_the_jailed_may_take_their_units_back() -> None:
    """Jail takes the weight and not the units."""
    stage = make_stage()
    jailed(stage)
    stage.unbond("farm/admin", 0, 100)
    stage.turn(4)
    assert stage.held("farm") == 100
    stage.check_books()
