"""What a change leads to, turn by turn, and the warnings that come before it is proposed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.governance.changes import RemoveSeat, RemoveValidator, SetWeight
from contracts.governance.outlook import TURNS_MAX, Danger, Stage, dangers, outlook
from ledger.types import STAKE_MAX
from ledger.validators import Validator, ValidatorSet
from tests.contracts.chain import key_of
from tests.contracts.governance.council import Council, admission, grant, make_council
from tests.contracts.staking.stage import voter
from tests.ledger.refusals import code_of


def up(*numbers: int) -> frozenset[bytes]:
    """The keys of the validators on these nodes."""
    return frozenset(voter(number).public for number in numbers)


def codes(found: tuple[Danger, ...]) -> list[tuple[str, int, bool]]:
    return [(each.code.removeprefix("outlook."), each.turns, each.is_warning) for each in found]


def look(council: Council, change: object, *numbers: int) -> list[tuple[str, int, bool]]:
    """The dangers of a change while these validators are up."""
    found = outlook(council.state, council.chain_id, change)  # type: ignore[arg-type]
    return codes(dangers(found, up(*numbers)))


# --- the sets of the coming turns ---------------------------------------------------------------------


def test_the_outlook_is_what_the_turns_do() -> None:
    """A change that takes several turns: each set that was foretold comes, and then nothing changes."""
    council = make_council()
    change = admission(council, 14, 500)
    foretold = outlook(council.state, council.chain_id, change)
    assert foretold.is_complete
    council.carry(change)
    assert council.voters == foretold.stages[0].validators
    for stage in foretold.stages[1:]:
        assert council.turn() == stage.validators
    assert council.turn() == foretold.stages[-1].validators
    assert [stage.turns for stage in foretold.stages] == list(range(len(foretold.stages)))


def test_an_outlook_changes_nothing() -> None:
    """It is a read, also of a change that can't be made."""
    council = make_council()
    before = dict(council.state.values)
    outlook(council.state, council.chain_id, RemoveValidator(voter(3).public))
    stranger = RemoveValidator(voter(14).public)
    assert code_of(lambda: outlook(council.state, council.chain_id, stranger)) == "validator.unknown"
    assert council.state.values == before


def test_what_was_decided_already_is_in_the_outlook() -> None:
    """Without a change it shows where the chain is heading; a change comes on top."""
    council = make_council()
    council.carry(RemoveValidator(voter(3).public))
    heading = outlook(council.state, council.chain_id, None)
    assert [len(stage.validators) for stage in heading.stages] == [4, 3]
    both = outlook(council.state, council.chain_id, SetWeight(voter(0).public, 110))
    assert both.stages[-1].validators.total_stake == 310


def test_a_change_without_weight_leads_nowhere() -> None:
    """Seats and grants move no set."""
    council = make_council()
    for change in (grant(), RemoveSeat("carrier")):
        assert len(outlook(council.state, council.chain_id, change).stages) == 1


def test_a_change_too_large_to_look_through_says_so() -> None:
    """The look ahead has an end."""
    council = make_council()
    found = outlook(council.state, council.chain_id, SetWeight(voter(0).public, STAKE_MAX))
    assert (found.is_complete, len(found.stages)) == (False, TURNS_MAX + 1)


# --- one set ---------------------------------------------------------------------------------------------


def stage_of(*stakes: int) -> Stage:
    validators = ValidatorSet(
        tuple(Validator(voter(number).public, stake, f"node-{number}") for number, stake in enumerate(stakes))
    )
    return Stage(0, validators, {voter(number).public: f"org-{number % 2}" for number in range(len(stakes))})


@pytest.mark.parametrize(
    ("stakes", "failures", "needed"),
    [
        ((1,), 0, 1),
        ((1, 1), 0, 2),
        ((1, 1, 1), 0, 3),
        ((1, 1, 1, 1), 1, 0),
        ((100, 100, 50), 0, 2),
        ((1,) * 7, 2, 0),
        ((50, 10, 10, 10, 10, 10), 0, 1),
    ],
)
def test_how_many_may_fail(stakes: tuple[int, ...], failures: int, needed: int) -> None:
    """By weight: one heavy validator can be needed where many light ones may fail."""
    stage = stage_of(*stakes)
    assert (stage.failures, len(stage.needed)) == (failures, needed)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.data())
@settings(max_examples=200, deadline=None)
def test_failures_and_needed_by_trying_out(stakes: list[int], data: st.DataObject) -> None:
    """Any `failures` may be missing, some one more may not; without a needed one there is never a quorum."""
    stage = stage_of(*stakes)
    keys = [each.public_key for each in stage.validators.validators]
    gone = data.draw(st.permutations(keys))
    left = frozenset(gone[stage.failures :])
    assert stage.validators.is_quorum(stage.stake_of(left))
    heaviest = sorted(stage.validators.validators, key=lambda each: -each.stake)
    rest = frozenset(each.public_key for each in heaviest[stage.failures + 1 :])
    assert not stage.validators.is_quorum(stage.stake_of(rest))
    needed = {each.public_key for each in stage.needed}
    for key in keys:
        others = frozenset(each for each in keys if each != key)
        assert (key in needed) is not stage.validators.is_quorum(stage.stake_of(others))


def test_holders_are_added_up() -> None:
    """The stake of an organisation is that of all its validators, the largest first."""
    assert stage_of(5, 4, 3, 2).holders == (("org-0", 8), ("org-1", 6))


# --- dangers -----------------------------------------------------------------------------------------------


def test_removing_a_validator_while_another_is_down_would_stop_the_chain() -> None:
    """Two of the three that are left are no quorum; while all are up it is one failure less to bear."""
    council = make_council()
    change = RemoveValidator(voter(3).public)
    assert look(council, change, 0, 1, 3) == [("no_quorum", 1, False), ("no_failure", 1, True)]
    assert look(council, change, 0, 1, 2, 3) == [("no_failure", 1, True)]


def test_removing_the_one_that_is_down_is_no_danger() -> None:
    """The three others are a quorum before and after."""
    council = make_council((100, 100, 100, 100, 100))
    assert look(council, RemoveValidator(voter(4).public), 0, 1, 2, 3) == []


def test_weight_for_one_that_is_not_up() -> None:
    """A new validator may weigh what the others can bear; more waits until it is up."""
    council = make_council()
    assert look(council, admission(council, 14, 100), 0, 1, 2, 3) == []
    assert look(council, admission(council, 14, 190), 0, 1, 2, 3) == []
    found = look(council, admission(council, 14, 400), 0, 1, 2, 3)
    assert found == [("no_quorum", 2, False), ("one_third", 2, False), ("no_failure", 2, True)]
    assert look(council, admission(council, 14, 190), 0, 1, 2, 3, 14) == []


def test_one_organisation_alone_with_more_than_a_third() -> None:
    """Refused where it is worse than now; exactly a third is none."""
    council = make_council()
    everyone = (0, 1, 2, 3)
    assert look(council, SetWeight(voter(0).public, 149), *everyone) == []
    assert look(council, SetWeight(voter(0).public, 150), *everyone) == [("no_failure", 1, True)]
    assert look(council, SetWeight(voter(0).public, 151), *everyone) == [
        ("one_third", 1, False),
        ("no_failure", 1, True),
    ]


def test_a_chain_of_one_may_grow() -> None:
    """Where one holds everything, each step that lessens it is only a warning."""
    council = make_council((100,))
    found = look(council, admission(council, 11, 100), 0, 11)
    assert found == [("one_third", 1, True)]
    worse = make_council((100, 100))
    assert ("one_third", 1, False) in look(worse, SetWeight(voter(0).public, 200), 0, 1)


def test_a_set_that_could_never_change_again_is_a_danger() -> None:
    """G21: with three units no turn moves one: a liar could not be taken out, nor anybody let in."""
    council = make_council((2, 1, 1))
    assert ("frozen", 1, False) in look(council, SetWeight(voter(0).public, 1), 0, 1, 2)
    frozen = make_council((1, 1, 1))
    change = admission(frozen, 14, 100)
    assert ("frozen", 0, True) in look(frozen, change, 0, 1, 2)
    frozen.carry(change)
    assert frozen.turn() == frozen.voters, "it comes to nothing, as foretold"
    assert "frozen" not in [code for code, _, _ in look(make_council((2, 1, 1)), None, 0, 1, 2)]


def test_dangers_name_who_is_missing() -> None:
    """The sentence says which node is not known to be up, and the numbers."""
    council = make_council()
    found = outlook(council.state, council.chain_id, RemoveValidator(voter(3).public))
    (first, *_) = dangers(found, up(0, 1))
    assert first.message == (
        "the validators that are known to be up would hold 200 of 300 units, and a quorum is 201; "
        "not known to be up: node-2"
    )


def test_a_stranger_that_is_up_counts_for_nothing() -> None:
    """Only keys of the set hold stake."""
    assert stage_of(1, 1).stake_of(frozenset((key_of("stranger").public,))) == 0
