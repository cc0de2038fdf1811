"""Who may propose and vote, when a ballot is decided, and that nothing decides it twice."""

from __future__ import annotations

import msgspec
import pytest

from contracts.arguments import encode_arguments
from contracts.governance.ballots import BALLOT_MS_MAX, OPEN_BY_ONE_MAX, BallotStatus, open_ballots
from contracts.governance.changes import AddSeat, RemoveSeat, RemoveValidator, SetWeight
from contracts.governance.voting import Propose, Retract, Vote
from contracts.staking.records import Bond, record_bond, supply_units
from ledger.errors import LedgerError
from ledger.state import Overlay
from ledger.types import VALIDATORS_MAX
from tests.contracts.chain import DAY_MS, key_of
from tests.contracts.governance.council import (
    SEATED,
    Council,
    admission,
    grant,
    make_council,
    make_small_council,
)
from tests.contracts.staking.stage import voter
from tests.ledger.refusals import code_of


def refused(council: Council, sender: str, method: str, arguments: msgspec.Struct) -> tuple[str, str]:
    """Code and pointer of a call that must change nothing."""
    error = council.refusal(sender, "governance", method, arguments)  # type: ignore[arg-type]
    return error.code, error.pointer


# --- what carries a ballot -----------------------------------------------------------------


def test_more_than_two_thirds_of_the_seats_carry_a_ballot() -> None:
    """Of five seats four: with three nothing is done, with the fourth it is done at once."""
    council = make_council()
    ballot = council.propose("farm", grant(7), reason="a second line")
    assert (ballot.number, ballot.proposer, ballot.yes, ballot.seats) == (1, "farm", ("farm",), 5)
    assert (ballot.reason, ballot.settled_height) == ("a second line", 0)
    council.vote("packer", 1)
    third = council.vote("carrier", 1)
    assert (third.status, council.held("shop")) == (BallotStatus.OPEN, 0)
    done = council.vote("center", 1)
    assert (done.status, council.held("shop")) == (BallotStatus.ENACTED, 7)
    assert done.settled_height == council.height
    assert council.ballot(1) == done
    assert not open_ballots(council.state)


@pytest.mark.parametrize("number", range(1, 6))
def test_exactly_two_thirds_are_not_enough(number: int) -> None:
    """For each number of seats, the least that carries is the least n with 3 n > 2 seats."""
    council = make_small_council(("farm", "packer", "carrier", "center", "shop")[:number])
    needed = next(yes for yes in range(1, number + 1) if 3 * yes > 2 * number)
    ballot = council.propose("farm", grant(organisation="farm"))
    for count, organisation in enumerate(council.genesis.organisations[1:], 2):
        assert (ballot.status is BallotStatus.ENACTED) is (count > needed)
        if ballot.status is BallotStatus.ENACTED:
            break
        ballot = council.vote(organisation.id, 1)
    assert ballot.status is BallotStatus.ENACTED
    assert len(ballot.yes) == needed


def test_a_ballot_is_rejected_as_soon_as_it_is_lost() -> None:
    """With two of five against it, four can't be reached; the change is not made."""
    council = make_council()
    council.propose("farm", grant())
    assert council.vote("packer", 1, is_yes=False).status is BallotStatus.OPEN
    lost = council.vote("shop", 1, is_yes=False)
    assert (lost.status, lost.no, council.held("shop")) == (BallotStatus.REJECTED, ("packer", "shop"), 0)
    assert refused(council, "carrier/admin", "vote", Vote(1, True)) == ("ballot.closed", "/number")


# --- who, and how often ------------------------------------------------------------------------


def test_an_organisation_votes_once_and_for_ever() -> None:
    """Neither the same vote nor the other one is taken again, also of the proposer."""
    council = make_council()
    council.propose("farm", grant())
    council.vote("packer", 1, is_yes=False)
    for organisation in ("farm", "packer"):
        for is_yes in (True, False):
            found = refused(council, f"{organisation}/admin", "vote", Vote(1, is_yes))
            assert found == ("ballot.voted", "/number")
    assert (council.ballot(1).yes, council.ballot(1).no) == (("farm",), ("packer",))


@pytest.mark.parametrize("sender", ["farm/operator", "shop/operator"])
def test_only_an_admin_speaks_for_its_organisation(sender: str) -> None:
    """An operator neither proposes nor votes nor retracts."""
    council = make_council()
    council.propose("farm", grant())
    proposal = Propose(grant(), council.time_ms + DAY_MS, "")
    for method, arguments in (("propose", proposal), ("vote", Vote(1, True)), ("retract", Retract(1))):
        assert refused(council, sender, method, arguments)[0] == "sender.role"


def test_a_member_without_a_seat_decides_nothing() -> None:
    """It may not propose, vote or retract; a seat comes by ballot, at the turn."""
    council = make_council()
    council.carry(RemoveSeat("shop"))
    council.turn()
    council.propose("farm", grant())
    proposal = Propose(grant(), council.time_ms + DAY_MS, "")
    for method, arguments in (("propose", proposal), ("vote", Vote(2, True)), ("retract", Retract(2))):
        assert refused(council, "shop/admin", method, arguments)[0] == "sender.no_seat"


def test_only_the_proposer_retracts() -> None:
    """And only while the ballot is open; what is retracted takes no vote."""
    council = make_council()
    council.propose("farm", grant())
    assert refused(council, "packer/admin", "retract", Retract(1)) == ("ballot.not_yours", "/number")
    assert council.retract("farm", 1).status is BallotStatus.RETRACTED
    assert refused(council, "farm/admin", "retract", Retract(1)) == ("ballot.closed", "/number")
    assert refused(council, "packer/admin", "vote", Vote(1, True)) == ("ballot.closed", "/number")
    assert not open_ballots(council.state)


@pytest.mark.parametrize("number", [1, 2**53 - 1])
def test_a_ballot_that_is_not_there(number: int) -> None:
    """Votes and retractions name a ballot that was proposed."""
    council = make_council()
    assert refused(council, "farm/admin", "vote", Vote(number, True)) == ("ballot.unknown", "/number")
    assert refused(council, "farm/admin", "retract", Retract(number)) == ("ballot.unknown", "/number")


# --- time ------------------------------------------------------------------------------------------


def test_nothing_is_carried_after_its_close() -> None:
    """The vote of the closing millisecond is too late, also before anything has noted that it is over."""
    council = make_council()
    ballot = council.propose("farm", grant(), days=1)
    for organisation in ("packer", "carrier"):
        council.vote(organisation, 1)
    council.time_ms = ballot.closes_ms - 1000  # the next block's time is a second later
    assert refused(council, "center/admin", "vote", Vote(1, True)) == ("ballot.closed", "/number")
    assert council.ballot(1).status is BallotStatus.OPEN
    council.turn()
    assert (council.ballot(1).status, council.held("shop")) == (BallotStatus.EXPIRED, 0)
    assert council.ballot(1).settled_height == council.height
    assert not open_ballots(council.state)


def test_the_last_millisecond_counts() -> None:
    """One before the close, a vote carries."""
    council = make_council()
    ballot = council.propose("farm", grant(), days=1)
    for organisation in ("packer", "carrier"):
        council.vote(organisation, 1)
    council.time_ms = ballot.closes_ms - 1001
    assert council.vote("center", 1).status is BallotStatus.ENACTED


@pytest.mark.parametrize(
    ("offset_ms", "is_taken"), [(0, False), (1, True), (BALLOT_MS_MAX, True), (BALLOT_MS_MAX + 1, False)]
)
def test_a_ballot_closes_in_the_future_and_not_too_far(offset_ms: int, is_taken: bool) -> None:
    """After the block's time, at most 90 days later."""
    council = make_council()
    proposal = Propose(grant(), council.time_ms + 1000 + offset_ms, "")
    if is_taken:
        council.send("farm/admin", "governance", "propose", proposal)
    else:
        assert refused(council, "farm/admin", "propose", proposal) == ("ballot.closing_time", "/closes_ms")


# --- limits -----------------------------------------------------------------------------------------


def test_an_organisation_has_few_ballots_open() -> None:
    """A fourth is refused until one of its own is retracted, decided or over."""
    council = make_council()
    for days in (1, 5, 5):
        council.propose("farm", grant(), days=days)
    fourth = Propose(grant(), council.time_ms + DAY_MS, "")
    assert len(open_ballots(council.state)) == OPEN_BY_ONE_MAX
    assert refused(council, "farm/admin", "propose", fourth) == ("ballots.too_many", "")
    council.propose("packer", grant())
    council.retract("farm", 2)
    assert council.propose("farm", grant()).number == 5
    council.time_ms += 2 * DAY_MS
    assert council.propose("farm", grant()).number == 6
    assert council.ballot(1).status is BallotStatus.EXPIRED
    assert [each.number for each in open_ballots(council.state)] == [3, 4, 5, 6]


def test_the_chain_has_a_limit_of_open_ballots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever proposes, no more are open than are counted at a turn."""
    monkeypatch.setattr("contracts.governance.voting.OPEN_MAX", 2)
    council = make_council()
    council.propose("farm", grant())
    council.propose("packer", grant())
    third = Propose(grant(), council.time_ms + DAY_MS, "")
    assert refused(council, "shop/admin", "propose", third) == ("ballots.too_many", "")


# --- what can't be done ------------------------------------------------------------------------------


def test_a_change_that_is_impossible_now_is_not_even_proposed() -> None:
    """The refusal is the change's own, its pointer inside the proposal; nothing is written."""
    council = make_council()
    stranger = RemoveValidator(voter(14).public)
    proposal = Propose(stranger, council.time_ms + DAY_MS, "")
    assert refused(council, "farm/admin", "propose", proposal) == (
        "validator.unknown",
        "/change/public_key",
    )


def test_a_change_that_became_impossible_fails_with_its_reason() -> None:
    """Two ballots remove one validator: the second is carried, fails, and changes nothing else."""
    council = make_council()
    first = council.propose("farm", RemoveValidator(voter(3).public))
    second = council.propose("packer", RemoveValidator(voter(3).public))
    for organisation in ("packer", "carrier", "center"):
        council.vote(organisation, first.number)
    for organisation in ("carrier", "center"):
        council.vote(organisation, second.number)
    before = council.bond_of(3)
    failed = council.vote("shop", second.number)
    assert (failed.status, failed.code, failed.pointer) == (
        BallotStatus.FAILED,
        "validator.removed",
        "/public_key",
    )
    assert council.bond_of(3) == before
    assert refused(council, "farm/admin", "vote", Vote(second.number, True))[0] == "ballot.closed"
    council.check_books()


def test_a_change_that_fails_half_way_leaves_nothing() -> None:
    """An admission mints units before the roll refuses it: the failed ballot has written none of them."""
    council = make_council()
    ballot = council.propose("farm", admission(council, 14, 50))
    overlay = Overlay(council.state)
    for number in range(VALIDATORS_MAX - 4):
        record_bond(overlay, Bond(key_of(f"many-{number}").public, "farm", "node-10", False, 0, 0, (), 0, 0))
    council.state.commit(overlay)
    for organisation in ("packer", "carrier", "center"):
        ballot = council.vote(organisation, ballot.number)
    assert (ballot.status, ballot.code) == (BallotStatus.FAILED, "validators.too_many")
    assert supply_units(council.state) == 400
    council.check_books()


def test_an_admission_needs_the_proof_of_its_key() -> None:
    """The new key signs for this chain and for the organisation that it joins."""
    council = make_council()
    good = admission(council, 14, 50)
    elsewhere = admission(make_council(reward_units=1), 14, 50)
    for bad in (
        msgspec.structs.replace(good, proof=bytes(64)),
        msgspec.structs.replace(good, organisation="farm", node="node-10"),
        msgspec.structs.replace(good, public_key=voter(15).public),
        elsewhere,
    ):
        proposal = Propose(bad, council.time_ms + DAY_MS, "")
        assert refused(council, "farm/admin", "propose", proposal) == ("key.no_proof", "/change/proof")
    nothing = msgspec.structs.replace(good, public_key=bytes(32))
    assert (
        refused(council, "farm/admin", "propose", Propose(nothing, council.time_ms + DAY_MS, ""))[0]
        == "key.invalid"
    )
    council.carry(good)


# --- arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        ["no_such_change", "shop"],
        ["add_seat"],
        ["add_seat", "shop", 1],
        ["add_seat", "Not A Name"],
        ["set_weight", b"\0" * 32, 2**48 + 1],
        ["set_weight", b"\0" * 31, 1],
        ["grant_units", "shop", 0],
        ["change_parameters", []],
        ["change_parameters", [["x", 1]] * 33],
        None,
    ],
)
def test_malformed_changes_are_refused_at_the_door(change: object) -> None:
    """A kind that there is not, a field too many or too few, a value out of range."""
    council = make_council()
    data = msgspec.msgpack.encode([change, council.time_ms + DAY_MS, ""])
    error = council.refusal("farm/admin", "governance", "propose", data)
    assert (error.code, error.pointer) == ("arguments.malformed", "/change")


def test_ballots_are_numbered_from_one() -> None:
    """No ballot 0 can be voted on."""
    council = make_council()
    data = encode_arguments(Vote(0, True))
    assert council.refusal("farm/admin", "governance", "vote", data).pointer == "/number"


# --- seats that change while ballots are open ------------------------------------------------------------


def test_seats_change_at_the_turn() -> None:
    """Until then who was removed votes, and who was added does not."""
    council = make_council()
    council.carry(RemoveSeat("shop"))
    assert (council.seated, council.next_seated) == (SEATED, SEATED[:4])
    council.propose("shop", grant())
    council.turn()
    assert council.seated == SEATED[:4]
    council.carry(AddSeat("shop"), SEATED[:3])
    assert refused(council, "shop/admin", "vote", Vote(2, True))[0] == "sender.no_seat"
    council.turn()
    assert council.seated == SEATED


def test_a_vote_is_lost_with_its_seat() -> None:
    """Three yes of five; one of the three leaves: two of four need two more, not one."""
    council = make_council()
    council.propose("shop", grant())
    council.vote("farm", 1)
    council.vote("packer", 1)
    council.carry(RemoveSeat("shop"))
    council.turn()
    left = council.ballot(1)
    assert (left.yes, left.seats, left.status) == (("farm", "packer"), 4, BallotStatus.OPEN)
    assert council.vote("carrier", 1).status is BallotStatus.ENACTED


def test_who_gets_its_seat_back_votes_anew() -> None:
    """The old vote does not come back with the seat."""
    council = make_council()
    council.propose("farm", grant(), days=60)
    council.vote("shop", 1)
    council.carry(RemoveSeat("shop"))
    council.turn()
    council.carry(AddSeat("shop"), SEATED[:3])
    council.turn()
    assert council.ballot(1).yes == ("farm",)
    assert council.vote("shop", 1, is_yes=False).no == ("shop",)


def test_a_turn_carries_what_the_new_seats_carry() -> None:
    """Three yes of five wait; of four they carry, and the weight changes at that same turn."""
    council = make_council()
    waiting = council.propose("farm", SetWeight(voter(0).public, 150))
    for organisation in ("packer", "carrier"):
        council.vote(organisation, waiting.number)
    council.carry(RemoveSeat("shop"))
    assert council.ballot(waiting.number).status is BallotStatus.OPEN
    council.turn()
    assert council.ballot(waiting.number).status is BallotStatus.ENACTED
    assert council.weights()["node-0"] == 150


def test_a_turn_rejects_what_the_new_seats_reject() -> None:
    """One no of four leaves a ballot open; of three it is lost."""
    council = make_council()
    council.carry(RemoveSeat("shop"))
    council.turn()
    waiting = council.propose("packer", grant())
    council.vote("center", waiting.number, is_yes=False)
    council.carry(RemoveSeat("carrier"), ("farm", "packer", "center"))
    assert council.ballot(waiting.number).status is BallotStatus.OPEN
    council.turn()
    assert council.ballot(waiting.number).status is BallotStatus.REJECTED


def test_a_turn_carries_nothing_whose_time_is_over() -> None:
    """The block that turns the epoch is at the close already: fewer seats do not carry the ballot."""
    council = make_council()
    waiting = council.propose("farm", grant(), days=1)
    for organisation in ("packer", "carrier"):
        council.vote(organisation, waiting.number)
    council.carry(RemoveSeat("shop"))
    council.time_ms = waiting.closes_ms
    council.turn()
    assert council.ballot(waiting.number).status is BallotStatus.EXPIRED
    assert council.held("shop") == 0


def test_the_last_seat_stays() -> None:
    """Somebody can always decide."""
    council = make_small_council(("farm",))
    error = code_of(lambda: council.propose("farm", RemoveSeat("farm")))
    assert error == "seats.last"


def test_one_seat_decides_alone() -> None:
    """Where one organisation has the only seat, its proposal is carried at once."""
    council = make_small_council(("farm",))
    assert council.propose("farm", grant(organisation="farm")).status is BallotStatus.ENACTED
    with pytest.raises(LedgerError, match=r"ballot\.closed"):
        council.retract("farm", 1)
