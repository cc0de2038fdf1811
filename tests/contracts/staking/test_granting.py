"""What the consortium decides: units, validators, weights, parameters; and what not even a ballot may do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from contracts.membership import node_named
from contracts.organisations import RemoveNode
from contracts.staking import granting
from contracts.staking.records import NEXT_PARAMETERS, SUPPLY_UNITS_MAX, Unbonding, supply_units
from contracts.staking.turn import set_after, wanted_set
from ledger.consensus.timeouts import ConsensusParameters
from ledger.epoch import parameters_in_force
from ledger.genesis import Parameters, StakingParameters
from ledger.members import NodeRole
from ledger.state import Overlay
from ledger.types import STAKE_MAX, VALIDATORS_MAX
from tests.contracts.chain import key_of
from tests.contracts.staking.stage import Stage, make_stage, voter
from tests.ledger.refusals import code_of


def role(stage: Stage, node: str) -> NodeRole:
    found = node_named(stage.state, node)
    assert found is not None
    return found.role


# --- units ---------------------------------------------------------------------------


def test_granted_units_are_held_and_may_be_withdrawn() -> None:
    """A grant gives no weight; what is withdrawn leaves the chain."""
    stage = make_stage()
    stage.grant("shop", 70)
    assert (stage.held("shop"), supply_units(stage.state)) == (70, 470)
    overlay = Overlay(stage.state)
    granting.withdraw(overlay, "shop", 20)
    stage.state.commit(overlay)
    assert (stage.held("shop"), supply_units(stage.state)) == (50, 450)
    stage.check_books()


def test_grants_go_to_members_and_have_a_limit() -> None:
    """Nobody else holds units, and their sum stays exact in every reader."""
    stage = make_stage()
    overlay = Overlay(stage.state)
    assert code_of(lambda: granting.grant(overlay, "nobody", 1)) == "organisation.unknown"
    assert code_of(lambda: granting.withdraw(overlay, "nobody", 1)) == "organisation.unknown"
    assert code_of(lambda: granting.withdraw(overlay, "shop", 1)) == "units.too_few"
    assert code_of(lambda: granting.grant(overlay, "shop", SUPPLY_UNITS_MAX - 399)) == "units.too_many"
    stage.grant("shop", SUPPLY_UNITS_MAX - 400)
    stage.check_books()


# --- admission -------------------------------------------------------------------------


def test_an_admitted_validator_votes_from_the_next_turn_on() -> None:
    """Behind those who vote already, with new units, on a node that others count as a validator at once."""
    stage = make_stage()
    assert role(stage, "node-14") is NodeRole.OBSERVER
    bond = stage.admit(14, 100)
    assert (bond.organisation, bond.node, bond.bonded_units) == ("shop", "node-14", 100)
    assert role(stage, "node-14") is NodeRole.VALIDATOR
    assert "node-14" not in stage.weights()
    stage.turn()
    assert list(stage.weights()) == ["node-0", "node-1", "node-2", "node-3", "node-14"]
    assert supply_units(stage.state) == 500
    stage.check_books()


def test_a_large_newcomer_grows_over_several_turns() -> None:
    """Less than a third of the stake moves at once."""
    stage = make_stage((100,))
    stage.admit(14, 200)
    seen = []
    for _ in range(5):
        stage.turn()
        seen.append(stage.weights().get("node-14"))
    assert seen == [33, 77, 135, 200, 200]


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "no member": ({"organisation": "nobody"}, "organisation.unknown"),
    "no node": ({"node": "node-99"}, "node.unknown"),
    "another member's node": ({"node": "node-10"}, "node.unknown"),
    "a node that votes": ({"node": "node-3", "organisation": "center"}, "validator.node_taken"),
    "a key that votes": (
        {"public_key": voter(3).public, "organisation": "center", "node": "node-13"},
        "validator.admitted",
    ),
    "too many units": ({"units": STAKE_MAX + 1}, "validators.stake"),
    "more units than there may be": ({"units": SUPPLY_UNITS_MAX}, "units.too_many"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_not_everything_is_admitted(name: str) -> None:
    """A ballot is held to the same rules as anybody: members, and their own nodes."""
    changes, code = HOSTILE[name]
    stage = make_stage()
    chosen: dict[str, Any] = {"organisation": "shop", "node": "node-14", "public_key": voter(14).public}
    chosen |= {"units": 5, **changes}
    overlay = Overlay(stage.state)
    assert code_of(lambda: granting.admit(overlay, **chosen)) == code


def test_the_roll_has_an_upper_limit() -> None:
    """With 128 keys on it, nobody is admitted before somebody is gone."""
    stage = make_stage()
    overlay = Overlay(stage.state)
    for number in range(VALIDATORS_MAX - 4):
        key = key_of(f"many-{number}").public
        granting.record_bond(overlay, granting.Bond(key, "farm", "node-10", False, 0, 0, (), 0, 0))
    stage.state.commit(overlay)
    assert code_of(lambda: stage.admit(14, 5)) == "validators.too_many"
    stage.turn()
    stage.admit(14, 5)


def test_a_newcomer_that_has_to_wait_is_a_validator_already() -> None:
    """Where the turn has no stake to move for it, its node keeps the role that it was admitted in."""
    stage = make_stage()
    stage.set_weight(0, 1)
    stage.admit(14, 50)
    stage.remove(1)
    stage.turn()
    assert "node-14" not in stage.weights()
    assert role(stage, "node-14") is NodeRole.VALIDATOR
    stage.turn(2)
    assert stage.weights() == {"node-0": 1, "node-2": 100, "node-3": 100, "node-14": 50}


# --- removal, and the way back --------------------------------------------------------------


def test_a_removed_validator_leaves_and_may_be_admitted_again() -> None:
    """Its units go back to its organisation; a second admission takes new ones."""
    stage = make_stage()
    stage.remove(3)
    stage.turn()
    assert list(stage.weights()) == ["node-0", "node-1", "node-2"]
    assert role(stage, "node-3") is NodeRole.OBSERVER
    assert stage.bond_of(3).unbonding == (Unbonding(4, 100),)
    bond = stage.admit(3, 50)
    assert (bond.bonded_units, bond.unbonding) == (50, (Unbonding(4, 100),))
    stage.turn()
    assert list(stage.weights().items())[-1] == ("node-3", 50)
    assert role(stage, "node-3") is NodeRole.VALIDATOR
    stage.turn(2)
    assert (stage.held("center"), supply_units(stage.state)) == (100, 450)
    stage.check_books()


def test_a_second_admission_ends_jail() -> None:
    """The consortium has decided anew: what was before counts no more."""
    stage = make_stage()
    for _ in range(2):
        stage.sign(4, absent=(3,))
        stage.turn()
    assert stage.bond_of(3).jailed_until == 5
    stage.remove(3)
    bond = stage.admit(3, 60)
    assert (bond.jailed_until, bond.absences) == (0, 0)
    stage.turn()
    assert stage.weights()["node-3"] == 60


def test_a_removed_validator_is_forgotten_when_everything_of_it_is_gone() -> None:
    """Then its place on the roll is free, and a ballot finds it unknown."""
    stage = make_stage()
    stage.remove(3)
    assert code_of(lambda: stage.remove(3)) == "validator.removed"
    stage.turn(4)
    assert stage.held("center") == 100
    assert code_of(lambda: stage.remove(3)) == "validator.unknown"
    assert stage.admit(3, 10).unbonding == ()


def test_a_key_on_its_way_out_does_not_move_to_another_node() -> None:
    """Its units belong to the organisation that it leaves."""
    stage = make_stage()
    stage.remove(3)
    stage.turn()
    overlay = Overlay(stage.state)
    refused = code_of(lambda: granting.admit(overlay, "shop", "node-14", voter(3).public, 5))
    assert refused == "validator.elsewhere"


def test_another_key_on_the_node_waits_until_the_first_one_has_no_weight() -> None:
    """A node holds one key that votes."""
    stage = make_stage((100, 100))
    stage.remove(1)
    stage.turn()
    assert stage.weights() == {"node-0": 100, "node-1": 34}
    assert role(stage, "node-1") is NodeRole.VALIDATOR, "it votes still"
    assert code_of(lambda: stage.admit(1, 5, key=key_of("second"))) == "validator.node_taken"
    stage.turn()
    stage.admit(1, 5, key=key_of("second"))
    stage.turn()
    assert stage.weights() == {"node-0": 100, "node-1": 5}
    assert role(stage, "node-1") is NodeRole.VALIDATOR
    stage.turn(5)
    assert role(stage, "node-1") is NodeRole.VALIDATOR, "the first key's end does not touch the second"


def test_a_node_takes_one_key_also_before_it_votes() -> None:
    """Two ballots of one epoch don't put two keys on a node."""
    stage = make_stage()
    stage.admit(14, 5)
    assert code_of(lambda: stage.admit(14, 5, key=key_of("second"))) == "validator.node_taken"


def test_a_validators_node_is_not_cut_off() -> None:
    """Neither while it votes nor while it is admitted; once it is out it may go."""
    stage = make_stage()
    remove = RemoveNode(key_of("node-3").public)
    assert stage.refusal("center/admin", "organisations", "remove_node", remove).code == "node.validates"
    stage.unbond("center/admin", 3, 100)
    stage.turn()
    assert stage.refusal("center/admin", "organisations", "remove_node", remove).code == "node.validates"
    stage.remove(3)
    stage.send("center/admin", "organisations", "remove_node", remove)
    stage.turn(4)
    assert stage.held("center") == 100


# --- weight ---------------------------------------------------------------------------------


def test_a_weight_goes_up_by_new_units_and_down_by_the_delay() -> None:
    """More is granted, less goes back to the organisation."""
    stage = make_stage()
    stage.set_weight(0, 130)
    stage.turn()
    assert (stage.weights()["node-0"], supply_units(stage.state)) == (130, 430)
    stage.set_weight(0, 90)
    stage.turn()
    assert (stage.weights()["node-0"], stage.bond_of(0).unbonding) == (90, (Unbonding(5, 40),))
    stage.check_books()
    assert code_of(lambda: stage.set_weight(9, 5)) == "validator.unknown"
    assert code_of(lambda: stage.set_weight(0, STAKE_MAX + 1)) == "validators.stake"


# --- parameters -----------------------------------------------------------------------------


def test_chosen_parameters_are_in_force_from_the_next_epoch_on() -> None:
    """Once; the last choice of an epoch counts."""
    stage = make_stage()
    before = parameters_in_force(stage.state)
    for skew_ms in (1, 2):
        overlay = Overlay(stage.state)
        granting.choose_parameters(overlay, msgspec.structs.replace(before, event_time_skew_ms=skew_ms))
        stage.state.commit(overlay)
    assert parameters_in_force(stage.state) == before
    stage.turn()
    assert parameters_in_force(stage.state).event_time_skew_ms == 2
    assert NEXT_PARAMETERS.get(stage.state, b"") is None, "the choice is spent"
    stage.turn(3)
    assert parameters_in_force(stage.state).event_time_skew_ms == 2


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (Parameters(replay_window_blocks=601), "parameters.fixed"),
        (Parameters(consensus=ConsensusParameters(delay_max_ms=1)), "parameters.consensus"),
        (Parameters(staking=StakingParameters(unbonding_epochs=1)), "parameters.staking"),
    ],
)
def test_parameters_under_which_the_chain_could_not_go_on_are_refused(
    parameters: Parameters, code: str
) -> None:
    """Not even a ballot changes the ring of replays or lets units go before their evidence."""
    overlay = Overlay(make_stage().state)
    assert code_of(lambda: granting.choose_parameters(overlay, parameters)) == code


# --- previews ---------------------------------------------------------------------------------


def test_a_preview_shows_the_next_set_and_the_end_of_the_road() -> None:
    """`set_after` is what the turn will give, `wanted_set` where the turns lead."""
    stage = make_stage((100,))
    stage.admit(14, 200)
    wanted = {each.node: each.stake for each in wanted_set(stage.state)}
    assert wanted == {"node-0": 100, "node-14": 200}
    for _ in range(4):
        expected = set_after(stage.state)
        assert stage.turn() == expected
    assert stage.weights() == wanted
