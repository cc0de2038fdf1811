"""A recovery: no final block is lost by it, no two are valid, and nothing in it is believed unverified."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.codec import encode
from ledger.consensus.records import OwnVote, SignerFloor
from ledger.consensus.signer import Signer, first_record
from ledger.crypto import Tag, key_pair, sign
from ledger.errors import LedgerError
from ledger.recovery import (
    EPOCHS_PASSED,
    ApprovedRecovery,
    EndedEpoch,
    Recovery,
    Report,
    SignedReport,
    approve,
    check_recovery,
    check_successors,
    decode_recovery,
    make_recovery,
    recovery_hash,
    sign_report,
    verify_recovery,
)
from ledger.types import HEIGHT_MAX, RECOVERY_BYTES_MAX, BlockId, ChainId, Epoch, View
from ledger.validators import Validator, ValidatorSet
from ledger.vote import Certificate, Vote, VoteKind, is_vote_signature, sign_vote

CHAIN, EPOCH, BASE = ChainId(b"c" * 32), Epoch(5), BlockId(b"0" * 32)
KEYS = [key_pair(bytes([index + 1]) * 32) for index in range(7)]
NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
A, B = BlockId(b"a" * 32), BlockId(b"b" * 32)


def ended(stakes: Sequence[int] = (1, 1, 1, 1)) -> EndedEpoch:
    chosen = tuple(Validator(KEYS[i].public, stake, f"node-{i}") for i, stake in enumerate(stakes))
    return EndedEpoch(CHAIN, EPOCH, ValidatorSet(chosen), BASE)


FOUR = ended()


def certificate(
    kind: VoteKind, view: int, block: BlockId | None, signers: Sequence[int] = (0, 1, 2), epoch: int = EPOCH
) -> Certificate:
    vote = Vote(CHAIN, epoch, view, kind, block)
    return Certificate(vote, tuple((index, sign_vote(KEYS[index], vote)) for index in signers))


def report(
    validator: int, held: Certificate | None = None, *, whole: bool = True, epoch: int = EPOCH, by: int = -1
) -> SignedReport:
    content = Report(CHAIN, epoch, validator, whole, held)
    return sign_report(KEYS[validator if by < 0 else by], content)


def approved(recovery: Recovery, signers: Sequence[int] = (0, 1, 2)) -> ApprovedRecovery:
    return ApprovedRecovery(
        recovery, tuple((index, approve(KEYS[index], recovery, FOUR)) for index in signers)
    )


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value.code


LOW, HIGH = certificate(NOTARIZE, 3, A), certificate(NOTARIZE, 7, B)
UNDERWEIGHT = certificate(NOTARIZE, 9, A, (0, 1))
SOUND = [report(0, LOW), report(1, HIGH), report(2, whole=False)]


def test_a_recovery_that_was_approved_verifies() -> None:
    """K3 to K9: from reports of two whole records and a lost one follows the block of the highest view."""
    recovery = make_recovery(SOUND, FOUR)
    assert (recovery.view, recovery.block_id) == (7, B)
    assert recovery.new_epoch == EPOCH + EPOCHS_PASSED == 7
    margin = verify_recovery(approved(recovery), FOUR)
    assert (margin.whole, margin.reported, margin.total, margin.lies_max) == (2, 3, 4, 0)
    data = encode(approved(recovery))
    assert decode_recovery(data) == approved(recovery)


def test_the_order_of_reports_makes_no_difference() -> None:
    """K6: whoever combines the same reports comes to the same bytes, which all can sign."""
    assert encode(make_recovery(SOUND[::-1], FOUR)) == encode(make_recovery(SOUND, FOUR))


def test_an_epoch_without_a_certificate_begins_again_on_its_base() -> None:
    """K6: nothing was certified, so nothing can be final."""
    recovery = make_recovery([report(0), report(1), report(2)], FOUR)
    assert (recovery.view, recovery.block_id) == (0, BASE)


def test_a_finalization_counts_like_a_notarization_of_its_view() -> None:
    """K6: the higher view is chosen whatever its kind; in one view both name one block."""
    final = certificate(FINALIZE, 7, B)
    assert make_recovery([report(0, LOW), report(1, final), report(2)], FOUR).block_id == B
    assert make_recovery([report(0, HIGH), report(1, final), report(2)], FOUR).block_id == B
    assert make_recovery([report(0, HIGH), report(1, certificate(FINALIZE, 3, A)), report(2)], FOUR).view == 7


def test_the_largest_recovery_fits_its_limit() -> None:
    """128 validators, each with a certificate of all, all approving."""
    one = Certificate(LOW.vote, tuple((index, bytes(64)) for index in range(128)))
    reports = tuple(SignedReport(Report(CHAIN, EPOCH, index, True, one), bytes(64)) for index in range(128))
    whole = Recovery(CHAIN, EPOCH, 7, 3, A, reports)
    data = encode(ApprovedRecovery(whole, tuple((index, bytes(64)) for index in range(128))))
    assert len(data) < RECOVERY_BYTES_MAX


@pytest.mark.parametrize(
    ("reports", "code"),
    [
        ([], "recovery.too_few_reports"),
        ([report(0), report(1)], "recovery.too_few_reports"),
        ([report(0), report(1), report(1)], "recovery.reports_not_ascending"),
        ([report(0), report(1, whole=False), report(2, whole=False)], "recovery.too_few_records"),
        ([report(0), report(1), report(2, epoch=EPOCH + 1)], "recovery.wrong_report"),
        ([report(0), report(1), report(2, by=3)], "recovery.wrong_signature"),
        ([report(0), report(1), report(2), report(5)], "recovery.unknown_validator"),
        ([report(0, certificate(NULLIFY, 9, None)), report(1), report(2)], "recovery.wrong_report"),
        (
            [report(0, certificate(NOTARIZE, 9, A, (0, 1))), report(1), report(2)],
            "certificate.too_little_stake",
        ),
        ([report(0, certificate(NOTARIZE, 9, A, epoch=4)), report(1), report(2)], "certificate.wrong_epoch"),
        ([report(0, HIGH), report(1, certificate(NOTARIZE, 7, A, (1, 2, 3))), report(2)], "recovery.forked"),
    ],
)
def test_reports_that_are_not_enough_or_not_true(reports: list[SignedReport], code: str) -> None:
    """K3 to K6: each is refused with its reason; exactly two thirds, and exactly a third, are not enough."""
    assert code_of(lambda: make_recovery(reports, FOUR)) == code


def test_exact_thirds_are_not_enough() -> None:
    """K4, K5 in integers: 4 of 6 is not more than two thirds, 2 of 6 not more than one."""
    six = ended((1, 1, 1, 1, 1, 1))
    four = [report(index) for index in range(4)]
    assert code_of(lambda: make_recovery(four, six)) == "recovery.too_few_reports"
    mixed = [report(index, whole=index < 2) for index in range(5)]
    assert code_of(lambda: make_recovery(mixed, six)) == "recovery.too_few_records"
    assert make_recovery([report(index, whole=index < 3) for index in range(5)], six).view == 0


def test_a_certificate_with_one_bad_signature_is_no_certificate() -> None:
    """K4: every signature is verified, as anywhere."""
    forged = Certificate(HIGH.vote, (*HIGH.signatures[:2], (2, bytes(64))))
    assert code_of(lambda: make_recovery([report(0, forged), report(1), report(2)], FOUR)) == (
        "certificate.wrong_signature"
    )


def changed(recovery: Recovery, **fields: object) -> Recovery:
    values = {name: getattr(recovery, name) for name in recovery.__struct_fields__} | fields
    return Recovery(**values)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"chain_id": b"d" * 32}, "recovery.wrong_place"),
        ({"ended_epoch": 4}, "recovery.wrong_place"),
        ({"new_epoch": 6}, "recovery.wrong_epoch"),
        ({"new_epoch": 8}, "recovery.wrong_epoch"),
        ({"view": 3, "block_id": A}, "recovery.wrong_block"),
        ({"block_id": A}, "recovery.wrong_block"),
        ({"reports": (SOUND[1], SOUND[0], SOUND[2])}, "recovery.reports_not_ascending"),
        ({"reports": tuple(SOUND[:2])}, "recovery.too_few_reports"),
    ],
)
def test_a_recovery_that_does_not_follow_is_neither_approved_nor_verified(
    fields: dict[str, object], code: str
) -> None:
    """K8: each validator checks all of it again before it signs, and so does whoever applies it."""
    lie = changed(make_recovery(SOUND, FOUR), **fields)
    assert code_of(lambda: approve(KEYS[0], lie, FOUR)) == code
    digest = recovery_hash(lie)
    forced = ApprovedRecovery(lie, tuple((i, sign(KEYS[i], Tag.RECOVERY, digest)) for i in range(3)))
    assert code_of(lambda: verify_recovery(forced, FOUR)) == code


def test_approvals_are_of_a_quorum_and_of_exactly_this() -> None:
    """K8: too few, twice, unknown, forged, or of another recovery of the same epoch."""
    recovery = make_recovery(SOUND, FOUR)
    other = make_recovery([*SOUND, report(3)], FOUR)
    good = approved(recovery).approvals
    assert code_of(lambda: verify_recovery(approved(recovery, (0, 1)), FOUR)) == "recovery.too_little_stake"
    cases = {
        "recovery.approvals_not_ascending": (good[0], good[0], good[1]),
        "recovery.unknown_validator": (*good[:2], (9, good[2][1])),
        "recovery.wrong_signature": (*good[:2], (3, good[2][1])),
    }
    for code, approvals in cases.items():
        forged = ApprovedRecovery(recovery, approvals)
        assert code_of(lambda forged=forged: verify_recovery(forged, FOUR)) == code  # type: ignore[misc]  # bound now
    moved = ApprovedRecovery(other, good)
    assert code_of(lambda: verify_recovery(moved, FOUR)) == "recovery.wrong_signature"


def test_a_report_is_no_vote_and_an_approval_no_report() -> None:
    """W5: each signature has the tag of its purpose."""
    recovery = make_recovery(SOUND, FOUR)
    signed = SignedReport(SOUND[0].report, approve(KEYS[0], recovery, FOUR))
    assert code_of(lambda: make_recovery([signed, *SOUND[1:]], FOUR)) == "recovery.wrong_signature"
    vote_bytes = encode(SOUND[0].report)
    assert not is_vote_signature(KEYS[0].public, vote_bytes, SOUND[0].signature)  # type: ignore[arg-type]  # 64 bytes


def test_a_last_block_needs_reports_that_outweigh_the_next_epoch_too() -> None:
    """K7: stake moves at a turn; the next epoch may have begun where nobody is heard."""
    recovery = make_recovery(SOUND, FOUR)
    check_successors(recovery, FOUR, FOUR.validators)
    for stakes, code in (
        ((1, 1, 1, 3), "recovery.too_few_reports"),
        ((1, 1, 5, 1), "recovery.too_few_records"),
    ):
        moved = ended(stakes).validators
        assert code_of(lambda moved=moved: check_successors(recovery, FOUR, moved)) == code  # type: ignore[misc]
    without = ValidatorSet(FOUR.validators.validators[2:])
    assert code_of(lambda: check_successors(recovery, FOUR, without)) == "recovery.too_few_reports"


def test_who_reported_signs_nothing_in_the_ended_epoch_or_the_next() -> None:
    """K2, K9: the floor refuses both at every later start, and lets the new epoch through."""
    closing = SignerFloor(CHAIN, KEYS[0].public, b"g" * 16, EPOCH + 1, HEIGHT_MAX)
    signer = Signer(CHAIN, KEYS[0], b"g" * 16)
    signer.restore([first_record(CHAIN, KEYS[0].public, b"g" * 16, EPOCH), closing], (EPOCH, View(9)))
    signer.heard(EPOCH, View(9))
    for epoch in (EPOCH, EPOCH + 1):
        signer.begin_epoch(Epoch(epoch), FOUR.validators, is_vote_signature)
        for view in (1, 10, HEIGHT_MAX):
            vote = Vote(CHAIN, epoch, view, NULLIFY, None)
            assert code_of(lambda vote=vote: signer.sign_vote(vote)) == "signer.below_floor"  # type: ignore[misc]
    signer.begin_epoch(Epoch(EPOCH + EPOCHS_PASSED), FOUR.validators, is_vote_signature)
    assert isinstance(signer.sign_vote(Vote(CHAIN, EPOCH + EPOCHS_PASSED, 1, NULLIFY, None)), OwnVote)


# --- no final block is lost ------------------------------------------------------------------
#
# A history of one epoch, view by view, in which honest validators vote as the signer and N2 let them and
# liars for everything. Who learns of which certificate is drawn. Signatures play no part in the argument, so
# certificates are made when they are reported.

VIEWS = 6
STAKES = ((1, 1, 1, 1), (3, 2, 2, 2, 1), (1, 1, 1, 1, 1, 1, 1), (5, 3, 1, 1))


@dataclass
class Epoch5:
    """What everybody signed. Blocks are (view, which of the leader's two)."""

    of: EndedEpoch
    liars: frozenset[int]
    parents: dict[tuple[int, int], tuple[int, int] | None] = field(default_factory=dict)
    notarized: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    nullified: set[int] = field(default_factory=set)
    known: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # notarizations that each holds
    final: list[tuple[int, int]] = field(default_factory=list)
    signers: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def is_quorum(self, voters: Sequence[int]) -> bool:
        return self.of.validators.is_quorum(sum(self.of.validators.stake(each) for each in voters))

    def may_follow(self, view: int, parent: tuple[int, int] | None) -> bool:
        """N2: the parent is certified, every view between is nullified."""
        start = 0 if parent is None else parent[0]
        return all(between in self.nullified for between in range(start + 1, view))

    def ancestors(self, block: tuple[int, int] | None) -> list[tuple[int, int]]:
        found = []
        while block is not None:
            found.append(block)
            block = self.parents[block]
        return found


def played(chance: random.Random, stakes: Sequence[int]) -> Epoch5:
    """An epoch in which liars hold less than a third."""
    of = ended(stakes)
    order = chance.sample(range(len(stakes)), len(stakes))
    liars: list[int] = []
    for each in order:
        lying = sum(stakes[index] for index in (*liars, each))
        if 3 * lying < sum(stakes) and chance.random() < 0.7:
            liars.append(each)
    history = Epoch5(of, frozenset(liars), known={index: [] for index in range(len(stakes))})
    for view in range(1, VIEWS + 1):
        _play(history, view, chance)
    return history


def _play(history: Epoch5, view: int, chance: random.Random) -> None:
    everyone = range(len(history.of.validators))
    honest = [each for each in everyone if each not in history.liars]
    certified = [None, *(block for blocks in history.notarized.values() for block in blocks)]
    possible = [parent for parent in certified if history.may_follow(view, parent)]
    proposed = [(view, which) for which in range(chance.choice((1, 1, 2))) if possible]
    for block in proposed:
        history.parents[block] = chance.choice(possible)
    voted: dict[int, tuple[int, int]] = {}
    nullify: set[int] = set()
    eager = chance.choice((0.5, 0.9, 1.0))
    for each in honest:
        if proposed and chance.random() < eager:
            voted[each] = chance.choice(proposed[: chance.choice((1, 2))])
    for block in proposed:
        voters = [each for each in everyone if each in history.liars or voted.get(each) == block]
        if history.is_quorum(voters):
            history.notarized.setdefault(view, []).append(block)
            history.signers[block] = voters
    patience = chance.choice((0.1, 0.5, 0.9))
    finalize: dict[int, tuple[int, int]] = {}
    for each in honest:
        learnt = [block for block in history.notarized.get(view, ()) if chance.random() < patience]
        history.known[each] += learnt
        if learnt and voted.get(each, learnt[0]) == learnt[0] and chance.random() < 0.8:
            finalize[each] = learnt[0]  # S3: it holds the notarization, and S2: it did not nullify
        elif chance.random() < 0.9:
            nullify.add(each)
    if history.is_quorum([each for each in everyone if each in history.liars or each in nullify]):
        history.nullified.add(view)
    for block in history.notarized.get(view, ()):
        if history.is_quorum([e for e in everyone if e in history.liars or finalize.get(e) == block]):
            history.final.append(block)


def name_of(block: tuple[int, int]) -> BlockId:
    return BlockId(bytes(block) + bytes(30))


def reported(history: Epoch5, each: int, chance: random.Random, *, whole: bool) -> SignedReport:
    """Honest and whole: the highest that it holds. A liar reports any certificate there is, or none; who lost
    its record, nothing."""
    every = [block for blocks in history.notarized.values() for block in blocks]
    if each in history.liars:
        held = chance.choice([None, *every])
    else:
        held = max(history.known[each], default=None) if whole else None
    if held is None:
        return report(each, whole=whole)
    return report(each, certificate(NOTARIZE, held[0], name_of(held), history.signers[held]), whole=whole)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(STAKES))
def test_no_final_block_is_lost(seed: int, stakes: tuple[int, ...]) -> None:
    """Whoever lost its record, whoever lies and whoever is heard: if the reports are accepted and no more lie
    among them than the margin allows, the new epoch begins on a descendant of every final block."""
    chance = random.Random(seed)
    history = played(chance, stakes)
    lost = {each for each in range(len(stakes)) if chance.random() < 0.45}
    heard = [each for each in range(len(stakes)) if chance.random() < 0.9]
    reports = [
        reported(history, each, chance, whole=each not in lost or each in history.liars) for each in heard
    ]
    try:
        recovery = make_recovery(reports, history.of)
    except LedgerError as problem:
        refusal = problem.code
    else:
        refusal = ""
    if refusal:
        assert refusal in ("recovery.too_few_reports", "recovery.too_few_records")
        return
    lying = sum(stakes[each] for each in heard if each in history.liars)
    if lying > check_recovery(recovery, history.of).lies_max:
        return
    every = [block for blocks in history.notarized.values() for block in blocks]
    chosen = next((block for block in every if name_of(block) == recovery.block_id), None)
    assert (chosen is None) == (recovery.block_id == BASE)
    for final in history.final:
        assert final in history.ancestors(chosen), f"seed {seed}: {final} is final, {chosen} was chosen"


def test_the_histories_are_worth_something() -> None:
    """Of 400 drawn epochs many have final blocks, lost records and liars, and are recovered: the property is
    not about nothing."""
    kept = refused = 0
    for seed in range(400):
        chance = random.Random(seed)
        stakes = STAKES[seed % len(STAKES)]
        history = played(chance, stakes)
        lost = {each for each in range(len(stakes)) if chance.random() < 0.45}
        reports = [
            reported(history, each, chance, whole=each not in lost or each in history.liars)
            for each in range(len(stakes))
        ]
        try:
            recovery = make_recovery(reports, history.of)
        except LedgerError:
            refused += 1
            continue
        lying = sum(stakes[each] for each in history.liars)
        is_covered = lying <= check_recovery(recovery, history.of).lies_max
        kept += bool(history.final) and bool(lost) and is_covered
    assert kept >= 40
    assert refused >= 20


def test_without_a_third_of_whole_records_a_final_block_would_be_lost() -> None:
    """K5, forced: three of four finalized A and two of them lost their records; the third is not heard. The
    only whole record that reports never saw A, and the reports are refused."""
    assert code_of(
        lambda: make_recovery([report(0, whole=False), report(1, whole=False), report(3)], FOUR)
    ) == ("recovery.too_few_records")
    known = make_recovery([report(1, whole=False), report(2, LOW), report(3)], FOUR)
    assert known.block_id == A


def test_beyond_the_margin_a_liar_can_hide_a_final_block() -> None:
    """Forced: 0, 1 and 2 finalized A in view 3; 0 and 1 lost their records, 2 lies. The margin says 0."""
    recovery = make_recovery([report(0, whole=False), report(1, whole=False), report(2), report(3)], FOUR)
    assert recovery.block_id == BASE
    assert check_recovery(recovery, FOUR).lies_max == 0
    honest = make_recovery([report(0, whole=False), report(1), report(2, LOW), report(3)], FOUR)
    assert check_recovery(honest, FOUR).lies_max == 1


@given(st.sets(st.integers(0, 6), min_size=1), st.sets(st.integers(0, 6), min_size=1))
def test_no_two_recoveries_are_both_approved(first: set[int], second: set[int]) -> None:
    """K8: two quorums of seven share more than a third, so an honest validator that approved both."""
    seven = ended((1,) * 7).validators
    if seven.is_quorum(len(first)) and seven.is_quorum(len(second)):
        assert seven.is_blocking(len(first & second))
