"""Reports: what is proved is slashed and never votes again; what is not proved harms nobody."""

from __future__ import annotations

import msgspec
import pytest

from contracts.staking.records import OFFENCES, Offences, Unbonding, offences, supply_units
from contracts.staking.reporting import Report
from ledger.codec import decode
from ledger.evidence import (
    EVIDENCE_BYTES_MAX,
    ConflictingVotes,
    decode_evidence,
    encode_evidence,
    evidence_id,
)
from ledger.types import ChainId
from tests.contracts.chain import key_of
from tests.contracts.staking.stage import Stage, double_vote, make_stage, voter
from tests.ledger.refusals import code_of


def evidence(stage: Stage, number: int, epoch: int | None = None, salt: bytes = b"x") -> bytes:
    """That the validator on node-`number` voted twice, in the epoch in force unless told."""
    at = stage.epoch if epoch is None else epoch
    return double_vote(stage.chain_id, voter(number), at, stage.voters, salt=salt)


def test_an_equivocator_is_slashed_and_gone_at_the_next_turn() -> None:
    """Its units burn at once, its weight goes with the epoch, and the record of it stays."""
    stage = make_stage()
    proof = evidence(stage, 1)
    result = stage.report(proof).result
    assert supply_units(stage.state) == 300
    assert stage.bond_of(1).units == 0
    assert stage.weights()["node-1"] == 100, "the total is constant within an epoch"
    record = decode(result, Offences, 1000)
    assert record == Offences(
        voter(1).public, "node-1", (0,), evidence_id(decode_evidence(proof)), stage.height, 100
    )
    stage.turn()
    assert stage.weights() == {"node-0": 100, "node-2": 100, "node-3": 100}
    assert OFFENCES.get(stage.state, voter(1).public) == record
    stage.check_books()


def test_the_slashed_go_before_all_others() -> None:
    """Where the budget is enough for one and a bit, the liar loses its weight first, whatever its key."""
    for liar, leaver, owner in ((0, 1, "packer"), (1, 0, "farm")):
        stage = make_stage((80, 80, 80, 80))
        stage.unbond(f"{owner}/admin", leaver, 80)
        stage.report(evidence(stage, liar))
        stage.turn()
        assert f"node-{liar}" not in stage.weights()
        assert stage.weights()[f"node-{leaver}"] == 80 - (106 - 80)


def test_anybody_who_may_write_can_report() -> None:
    """An admin, an operator; even the offender's own organisation."""
    for sender in ("farm/admin", "packer/operator", "shop/operator"):
        stage = make_stage()
        stage.report(evidence(stage, 1), sender)


def test_one_offence_is_punished_once() -> None:
    """A second report of the same key and epoch is refused, whatever other votes it shows."""
    stage = make_stage(equivocation_penalty_permille=500)
    stage.report(evidence(stage, 1))
    for salt in (b"x", b"y"):
        report = Report(evidence(stage, 1, salt=salt))
        assert stage.refusal("farm/admin", "staking", "report", report).code == "evidence.known"
    assert supply_units(stage.state) == 350


def test_each_epoch_has_its_own_penalty() -> None:
    """Who signed twice in two epochs pays twice, as long as evidence of them is admitted."""
    stage = make_stage(equivocation_penalty_permille=500)
    first = evidence(stage, 1)
    stage.turn()
    second = evidence(stage, 1)
    stage.report(first)
    assert supply_units(stage.state) == 350
    stage.report(second)
    assert supply_units(stage.state) == 325
    record = OFFENCES.get(stage.state, voter(1).public)
    assert record is not None
    assert (record.epochs, record.burned_units) == ((0, 1), 75)
    stage.check_books()


def test_what_a_penalty_leaves_goes_back_after_the_delay() -> None:
    """The rest of a partly slashed bond never votes, and is released like any other."""
    stage = make_stage(equivocation_penalty_permille=250)
    stage.report(evidence(stage, 0))
    stage.turn()
    assert "node-0" not in stage.weights()
    assert stage.bond_of(0).unbonding == (Unbonding(4, 75),)
    stage.turn(3)
    assert stage.held("farm") == 75
    stage.check_books()


def test_units_on_their_way_back_are_slashed_too() -> None:
    """Neither asking them back nor a lost weight saves them before the delay is over."""
    stage = make_stage()
    proof = evidence(stage, 0)
    stage.unbond("farm/admin", 0, 60)
    stage.turn()
    stage.unbond("farm/admin", 0, 40)
    stage.turn()
    assert stage.bond_of(0).unbonding == (Unbonding(4, 60), Unbonding(5, 40))
    stage.report(proof)
    assert stage.bond_of(0).unbonding == ()
    stage.turn(4)
    assert stage.held("farm") == 0
    assert supply_units(stage.state) == 300
    stage.check_books()


@pytest.mark.parametrize(
    ("units", "permille", "kept"), [(100, 1000, 0), (100, 0, 100), (1, 1, 0), (1999, 1, 1997)]
)
def test_a_penalty_is_rounded_up(units: int, permille: int, kept: int) -> None:
    """Splitting units into small parts does not escape it."""
    stage = make_stage((units, 3000, 3000, 3000), equivocation_penalty_permille=permille)
    stage.report(evidence(stage, 0))
    assert stage.bond_of(0).units == kept
    stage.check_books()


def test_units_in_two_places_are_rounded_apart() -> None:
    """One unit bonded and one on its way out both burn for the smallest penalty."""
    stage = make_stage((2, 3000, 3000, 3000), equivocation_penalty_permille=1)
    stage.unbond("farm/admin", 0, 1)
    stage.report(evidence(stage, 0))
    assert stage.bond_of(0).units == 0
    stage.check_books()


def test_the_record_lists_no_epoch_that_cannot_be_reported_any_more() -> None:
    """It stays small, however long a large liar takes to leave the set."""
    stage = make_stage((1000, 100))
    for epoch in range(4):
        assert stage.epoch == epoch
        stage.report(evidence(stage, 0))
        stage.turn()
    record = OFFENCES.get(stage.state, voter(0).public)
    assert record is not None
    assert record.epochs == (1, 2, 3)
    assert record.burned_units == 1000
    assert offences(stage.state) == (record,)


def test_offenders_are_listed_the_latest_first() -> None:
    """Each once, whatever it did."""
    stage = make_stage()
    for number in (2, 0):
        stage.report(evidence(stage, number))
    assert [each.node for each in offences(stage.state)] == ["node-0", "node-2"]


def test_a_slashed_key_never_returns() -> None:
    """Not by bonding, not by a ballot, not when everything of it is gone."""
    stage = make_stage()
    stage.grant("farm", 50)
    stage.report(evidence(stage, 0))
    assert code_of(lambda: stage.bond("farm/admin", 0, 10)) == "validator.slashed"
    assert code_of(lambda: stage.set_weight(0, 10)) == "validator.slashed"
    stage.turn(9)
    assert code_of(lambda: stage.bond("farm/admin", 0, 10)) == "validator.unknown"
    assert code_of(lambda: stage.admit(0, 100)) == "validator.slashed"
    assert "node-0" not in stage.weights()
    stage.admit(0, 100, key=key_of("another key of the same node"))
    stage.turn()
    assert stage.weights()["node-0"] == 99, "less than a third of 300"


def test_evidence_of_an_old_epoch_is_judged_by_the_set_of_that_epoch() -> None:
    """An index means the validator that had it then, also where it has left since."""
    stage = make_stage(equivocation_penalty_permille=500)
    proof = evidence(stage, 2)
    stage.remove(0)
    stage.turn()
    assert stage.voters.index_of(voter(2).public) == 1
    stage.report(proof)
    assert supply_units(stage.state) == 350
    assert stage.bond_of(1).units == 100


@pytest.mark.parametrize(
    ("turns", "code"), [(0, ""), (2, ""), (3, "evidence.too_old"), (9, "evidence.too_old")]
)
def test_evidence_is_admitted_for_so_many_epochs(turns: int, code: str) -> None:
    """Two here: as long as its set is kept."""
    stage = make_stage()
    proof = evidence(stage, 1)
    stage.turn(turns)
    if code:
        assert stage.refusal("farm/admin", "staking", "report", Report(proof)).code == code
    else:
        stage.report(proof)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def renamed(data: bytes, validator: int) -> bytes:
    """The same signatures as if another validator had made them."""
    pair = decode_evidence(data)
    assert isinstance(pair, ConflictingVotes)
    names = [msgspec.structs.replace(each, validator=validator) for each in (pair.first, pair.second)]
    return encode_evidence(ConflictingVotes(*names))


HOSTILE = {
    "of another chain": (
        lambda stage: double_vote(ChainId(b"d" * 32), voter(1), 0, stage.voters), "vote.wrong_chain"
    ),
    "of an epoch to come": (lambda stage: evidence(stage, 1, epoch=1), "evidence.too_early"),
    "badly signed": (lambda stage: flipped(evidence(stage, 1)), "vote.wrong_signature"),
    "by a stranger": (
        lambda stage: double_vote(stage.chain_id, voter(5), 0, make_stage((1,) * 7).voters),
        "vote.unknown_validator",
    ),
    "in another's name": (lambda stage: renamed(evidence(stage, 1), 2), "vote.wrong_signature"),
    "with a byte more": (lambda stage: evidence(stage, 1) + b"\0", "encoding.malformed"),
    "garbage": (lambda stage: b"\xc1", "encoding.malformed"),
    "empty": (lambda stage: b"", "arguments.malformed"),
    "too long": (lambda stage: b"x" * (EVIDENCE_BYTES_MAX + 1), "arguments.malformed"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_proved_harms_nobody(name: str) -> None:
    """A forged, foreign or malformed report is refused with a code and changes nothing."""
    make, code = HOSTILE[name]
    stage = make_stage()
    report = Report(make(stage))
    assert stage.refusal("shop/operator", "staking", "report", report).code == code


def test_the_same_vote_twice_is_no_evidence() -> None:
    """A resend is honest."""
    stage = make_stage()
    pair = decode_evidence(evidence(stage, 1))
    assert isinstance(pair, ConflictingVotes)
    report = Report(encode_evidence(ConflictingVotes(pair.first, pair.first)))
    assert stage.refusal("farm/admin", "staking", "report", report).code == "evidence.no_conflict"
