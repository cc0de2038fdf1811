"""What each kind of change does when the epoch turns, and the limits of parameters and seats."""

from __future__ import annotations

import msgspec
import pytest

from contracts.genesis import genesis_block
from contracts.governance.ballots import BallotStatus
from contracts.governance.changes import (
    CHANGE_BYTES_MAX,
    AddSeat,
    Change,
    ChangeParameters,
    GrantUnits,
    RemoveSeat,
    RemoveValidator,
    SetWeight,
    WithdrawUnits,
)
from contracts.governance.seats import SEATS_MAX
from contracts.governance.settings import (
    LIMITS,
    SETTING_NAME_LENGTH_MAX,
    SETTINGS_MAX,
    Setting,
    setting_names,
    with_settings,
)
from ledger.codec import decode, encode
from ledger.consensus.timeouts import ConsensusParameters
from ledger.epoch import parameters_in_force
from ledger.genesis import Parameters
from ledger.members import Organisation
from ledger.readable import from_readable, to_readable
from ledger.types import HEIGHT_MAX
from tests.contracts.governance.council import SEATED, admission, grant, make_council
from tests.contracts.staking.stage import voter
from tests.ledger.refusals import code_of, refusal_of

LIMIT, VALUE, CONSENSUS = "parameters.limit", "/change/settings/0/value", "parameters.consensus"


def settings(**values: int) -> ChangeParameters:
    """A change of parameters; `__` stands for the dot."""
    return ChangeParameters(tuple(Setting(name.replace("__", "."), value) for name, value in values.items()))


# --- validators and units ---------------------------------------------------------------------------


def test_a_validator_is_added_weighted_removed_and_comes_back() -> None:
    """Each by a ballot, each at the next turn and not before."""
    council = make_council()
    council.carry(admission(council, 14, 100))
    assert "node-14" not in council.weights()
    council.turn()
    assert council.weights()["node-14"] == 100
    council.carry(SetWeight(voter(14).public, 40))
    council.turn()
    assert council.weights()["node-14"] == 40
    council.carry(RemoveValidator(voter(14).public))
    council.turn()
    assert "node-14" not in council.weights()
    council.carry(admission(council, 14, 60))
    council.turn()
    assert council.weights()["node-14"] == 60
    council.check_books()


def test_units_are_granted_and_withdrawn() -> None:
    """A member may bond what it was granted; what it holds can be taken back."""
    council = make_council()
    council.carry(GrantUnits("packer", 50))
    council.bond("packer/admin", 1, 20)
    council.carry(WithdrawUnits("packer", 30))
    council.turn()
    assert (council.held("packer"), council.weights()["node-1"]) == (0, 120)
    assert code_of(lambda: council.propose("farm", WithdrawUnits("packer", 1))) == "units.too_few"
    council.check_books()


# --- parameters ---------------------------------------------------------------------------------------


def test_parameters_change_at_the_turn() -> None:
    """Those that are named, and no other."""
    council = make_council()
    before = parameters_in_force(council.state)
    council.carry(settings(block_transactions_max=500, staking__jail_epochs=9))
    assert parameters_in_force(council.state) == before
    council.turn()
    wanted = msgspec.structs.replace(
        before,
        block_transactions_max=500,
        staking=msgspec.structs.replace(before.staking, jail_epochs=9),
    )
    assert parameters_in_force(council.state) == wanted


def test_two_ballots_in_one_epoch_do_not_undo_each_other() -> None:
    """The second builds on what the first one chose."""
    council = make_council()
    council.carry(settings(block_transactions_max=500))
    council.carry(settings(staking__jail_epochs=9))
    council.turn()
    chosen = parameters_in_force(council.state)
    assert (chosen.block_transactions_max, chosen.staking.jail_epochs) == (500, 9)


def test_a_choice_that_contradicts_an_earlier_one_fails() -> None:
    """Each was possible alone; units would be released before a fault expires with both."""
    council = make_council()
    later = council.propose("farm", settings(staking__evidence_epochs=3))
    council.carry(settings(staking__unbonding_epochs=2))
    for organisation in ("packer", "carrier", "center"):
        later = council.vote(organisation, later.number)
    assert (later.status, later.code) == (BallotStatus.FAILED, "parameters.staking")
    council.turn()
    assert parameters_in_force(council.state).staking.evidence_epochs == 2


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        (settings(no_such=1), "parameters.unknown", "/change/settings/0/name"),
        (settings(consensus=1), "parameters.unknown", "/change/settings/0/name"),
        (settings(consensus__drift_ms__x=1), "parameters.unknown", "/change/settings/0/name"),
        (settings(staking__jail_epochs=1, jail_epochs=1), "parameters.unknown", "/change/settings/1/name"),
        (
            ChangeParameters((Setting("block_bytes_max", 2 << 20), Setting("block_bytes_max", 3 << 20))),
            "parameters.repeated",
            "/change/settings/1/name",
        ),
        (settings(block_bytes_max=(1 << 20) - 1), LIMIT, VALUE),
        (settings(staking__jail_epochs=0), LIMIT, VALUE),
        (settings(staking__equivocation_penalty_permille=1001), LIMIT, VALUE),
        (settings(replay_window_blocks=601), "parameters.fixed", "/change/replay_window_blocks"),
        (settings(staking__unbonding_epochs=1), "parameters.staking", "/change"),
        (settings(consensus__delay_growth_numerator=1), "parameters.stalling", "/change/settings"),
        (settings(consensus__epoch_ms=599_999), "parameters.stalling", "/change/settings"),
        (settings(consensus__heartbeat_ms=60_001), "parameters.stalling", "/change/settings"),
        (settings(consensus__delay_first_ms=9_000, consensus__delay_max_ms=8_000), CONSENSUS, "/change"),
    ],
)  # fmt: skip
def test_parameters_are_held_to_the_rules_of_a_genesis(
    change: ChangeParameters, code: str, pointer: str
) -> None:
    """Unknown, repeated, out of range, contradicting or fixed for ever."""
    council = make_council()
    error = refusal_of(lambda: council.propose("farm", change))
    assert (error.code, error.pointer) == (code, pointer)


@pytest.mark.parametrize("name", LIMITS)
def test_a_ballot_may_not_stop_the_chain(name: str) -> None:
    """Each limit is where it says it is: one beyond is refused, the limit itself is taken."""
    allowed = LIMITS[name]
    wide = Parameters(consensus=ConsensusParameters(heartbeat_ms=1_000, epoch_ms=86_400_000))
    for value in (allowed.start - 1, allowed.stop):
        if value <= HEIGHT_MAX:
            error = refusal_of(lambda: with_settings(Parameters(), (Setting(name, value),)))  # noqa: B023
            assert (error.code, error.pointer) == ("parameters.limit", "/settings/0/value")
    for value in (allowed.start, allowed.stop - 1):
        with_settings(wide, (Setting(name, value),))


def test_timers_that_never_grow_are_refused() -> None:
    """Rounding down can hold a small delay where it is for ever, although the growth is above one."""
    stuck = settings(
        consensus__delay_first_ms=10,
        consensus__delay_growth_numerator=21,
        consensus__delay_growth_denominator=20,
    )
    council = make_council()
    assert code_of(lambda: council.propose("farm", stuck)) == "parameters.stalling"


def test_the_defaults_are_within_the_limits() -> None:
    """A chain of defaults can set each of its parameters to what it is."""
    readable = to_readable(Parameters())
    for name in setting_names():
        group, _, last = name.rpartition(".")
        value = (readable[group] if group else readable)[last]
        assert with_settings(Parameters(), (Setting(name, value),)) == Parameters()


def test_every_parameter_has_a_name() -> None:
    """The names are the leaves of the genesis, and one ballot has room for all."""
    readable = to_readable(Parameters())
    leaves = [
        f"{name}.{inner}" if inner else name
        for name, value in readable.items()
        for inner in (value if isinstance(value, dict) else [""])
    ]
    assert list(setting_names()) == leaves
    assert len(leaves) <= SETTINGS_MAX
    assert max(map(len, leaves)) <= SETTING_NAME_LENGTH_MAX
    assert set(LIMITS) <= set(leaves)


# --- seats ------------------------------------------------------------------------------------------------


def test_founders_have_the_seats() -> None:
    """Each organisation of the genesis, ascending."""
    assert make_council().seated == SEATED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (AddSeat("nobody"), "organisation.unknown"),
        (AddSeat("shop"), "seat.exists"),
        (RemoveSeat("nobody"), "seat.unknown"),
    ],
)
def test_seats_are_of_members_and_change_once(change: Change, code: str) -> None:
    """Of a member, once, and only who has one loses it."""
    council = make_council()
    error = refusal_of(lambda: council.propose("farm", change))
    assert (error.code, error.pointer) == (code, "/change/organisation")


def test_a_seat_that_is_on_its_way_is_not_removed_twice() -> None:
    """What the turn will do counts already; the other direction takes it back."""
    council = make_council()
    council.carry(RemoveSeat("shop"))
    assert code_of(lambda: council.propose("farm", RemoveSeat("shop"))) == "seat.unknown"
    council.carry(AddSeat("shop"))
    council.turn()
    assert council.seated == SEATED


def test_seats_have_an_upper_limit() -> None:
    """256: of founders, and by ballot."""
    council = make_council()
    members = [Organisation(f"member-{number:03}", "Member", ()) for number in range(SEATS_MAX - 4)]
    crowd = (*council.genesis.organisations, *members)
    genesis = msgspec.structs.replace(council.genesis, organisations=crowd)
    assert code_of(lambda: genesis_block(genesis)) == "seats.too_many"
    genesis_block(msgspec.structs.replace(genesis, organisations=crowd[:-1]))


# --- bytes ---------------------------------------------------------------------------------------


def test_every_change_reads_back() -> None:
    """Canonical and readable form, for each kind; the largest fits its limit."""
    council = make_council()
    changes: tuple[Change, ...] = (
        admission(council, 14, 100),
        SetWeight(voter(0).public, 0),
        RemoveValidator(voter(0).public),
        grant(),
        WithdrawUnits("shop", 1),
        ChangeParameters((Setting("x" * SETTING_NAME_LENGTH_MAX, HEIGHT_MAX),) * SETTINGS_MAX),
        AddSeat("shop"),
        RemoveSeat("shop"),
    )  # fmt: skip
    for change in changes:
        assert decode(encode(change), Change, CHANGE_BYTES_MAX) == change  # type: ignore[arg-type]
        assert from_readable(to_readable(change), Change) == change  # type: ignore[arg-type]
