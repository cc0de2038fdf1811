"""The signer's seven promises, against a machine that asks for anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import encode
from ledger.consensus.records import OwnProposal, OwnVote, Record, SignerFloor, decode_record, encode_record
from ledger.consensus.signer import Signer, first_record
from ledger.crypto import key_pair
from ledger.errors import LedgerError
from ledger.evidence import vote_offence
from ledger.types import ChainId, Epoch, View
from ledger.validators import Validator, ValidatorSet, leader
from ledger.vote import Certificate, Proposal, Vote, VoteKind, is_vote_signature, sign_vote

CHAIN, OTHER_CHAIN = ChainId(b"c" * 32), ChainId(b"d" * 32)
EPOCH = Epoch(3)
GENERATION = b"g" * 16
KEYS = [key_pair(bytes([index + 1]) * 32) for index in range(4)]
VALIDATORS = ValidatorSet(tuple(Validator(key.public, 1, f"node{i}") for i, key in enumerate(KEYS)))
A, B = b"a" * 32, b"b" * 32
LED = [view for view in range(5, 13) if leader(CHAIN, EPOCH, View(view), VALIDATORS) == 0]
START: tuple[Epoch, View] = (EPOCH, View(0))


def signer(records: Sequence[Record] | None = None, store: tuple[Epoch, View] = START) -> Signer:
    made = Signer(CHAIN, KEYS[0], GENERATION)
    made.begin_epoch(EPOCH, VALIDATORS, is_vote_signature)
    made.restore([birth()] if records is None else records, store)
    made.heard(Epoch(0), View(0))
    return made


def birth(view: int = 0) -> SignerFloor:
    return SignerFloor(CHAIN, KEYS[0].public, GENERATION, EPOCH, view)


def vote(kind: VoteKind, view: int = 5, block: bytes | None = A) -> Vote:
    return Vote(CHAIN, EPOCH, view, kind, None if kind is VoteKind.NULLIFY else block)


def notarization(view: int = 5, block: bytes = A, signers: Sequence[int] = (0, 1, 2)) -> Certificate:
    content = vote(VoteKind.NOTARIZE, view, block)
    return Certificate(content, tuple((index, sign_vote(KEYS[index], content)) for index in signers))


def finalize(by: Signer, view: int = 5, block: bytes = A) -> OwnVote:
    return by.sign_vote(vote(VoteKind.FINALIZE, view, block), notarization(view, block))


def proposal(view: int = 8, block: bytes = A) -> Proposal:
    return Proposal(CHAIN, EPOCH, view, view - 1, block)


def refusal_of(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value.code


def test_s1_one_notarize_hash_a_view() -> None:
    """S1: at most one notarize hash an (epoch, view)."""
    mine = signer()
    mine.sign_vote(vote(VoteKind.NOTARIZE))
    assert refusal_of(lambda: mine.sign_vote(vote(VoteKind.NOTARIZE, block=B))) == "signer.second_block"
    mine.sign_vote(vote(VoteKind.NOTARIZE, view=6, block=B))


def test_s1_one_proposal_a_view() -> None:
    """S1: at most one proposal an (epoch, view)."""
    mine = signer()
    mine.sign_proposal(proposal())
    assert refusal_of(lambda: mine.sign_proposal(proposal(block=B))) == "signer.second_proposal"
    mine.sign_proposal(proposal(view=12, block=B))


@pytest.mark.parametrize("view", [9, 10, 11])
def test_s1_no_proposal_out_of_turn(view: int) -> None:
    """S1: a proposal only in a view that this key leads: one out of turn would be evidence."""
    assert LED == [8, 12]
    assert refusal_of(lambda: signer().sign_proposal(proposal(view))) == "signer.out_of_turn"


def test_s2_never_finalize_after_nullify() -> None:
    """S2: never nullify and finalize in one view; nor notarize or propose afresh after nullify."""
    mine = signer()
    mine.sign_vote(vote(VoteKind.NULLIFY))
    mine.sign_vote(vote(VoteKind.NULLIFY, view=8))
    assert refusal_of(lambda: finalize(mine)) == "signer.after_nullify"
    assert refusal_of(lambda: mine.sign_vote(vote(VoteKind.NOTARIZE))) == "signer.after_nullify"
    assert refusal_of(lambda: mine.sign_proposal(proposal())) == "signer.after_nullify"


def test_s2_never_nullify_after_finalize() -> None:
    """S2, the other way round."""
    mine = signer()
    finalize(mine)
    assert refusal_of(lambda: mine.sign_vote(vote(VoteKind.NULLIFY))) == "signer.after_finalize"


@pytest.mark.parametrize("first", [VoteKind.NULLIFY, VoteKind.FINALIZE])
def test_s2_holds_after_a_restart(first: VoteKind) -> None:
    """S2 on replay: a restored record refuses it too, a re-sent certificate or not."""
    mine = signer()
    record = mine.sign_vote(vote(first), notarization() if first is VoteKind.FINALIZE else None)
    again = signer([birth(), decode_record(encode_record(record))])
    if first is VoteKind.NULLIFY:
        assert refusal_of(lambda: finalize(again)) == "signer.after_nullify"
    else:
        assert refusal_of(lambda: again.sign_vote(vote(VoteKind.NULLIFY))) == "signer.after_finalize"


@pytest.mark.parametrize(
    "held",
    [
        None,
        notarization(view=4),
        notarization(block=B),
        notarization(signers=(0, 1)),
        Certificate(vote(VoteKind.NOTARIZE), notarization(view=4).signatures),
        Certificate(vote(VoteKind.FINALIZE), notarization().signatures),
    ],
    ids=["none", "other view", "other block", "too little stake", "forged", "finalization"],
)
def test_s3_finalize_needs_the_notarization(held: Certificate | None) -> None:
    """S3: finalize only with a held notarization of that hash."""
    assert refusal_of(lambda: signer().sign_vote(vote(VoteKind.FINALIZE), held)) == "signer.no_notarization"


def test_s3_finalize_only_what_one_notarized() -> None:
    """S3: after one's own notarize of another block, the notarized one gets no finalize vote."""
    mine = signer()
    mine.sign_vote(vote(VoteKind.NOTARIZE, block=B))
    assert refusal_of(lambda: finalize(mine)) == "signer.second_block"


def test_s5_a_resend_is_the_identical_bytes() -> None:
    """S5: asking again gives the record of the first time, after a restart too."""
    mine = signer()
    first = [mine.sign_vote(vote(VoteKind.NOTARIZE)), finalize(mine)]
    own = mine.sign_proposal(proposal())
    again = signer([birth(), *first, own])
    assert [encode(record.signed) for record in first] == [encode(signed) for signed in again.votes()]
    assert again.sign_vote(vote(VoteKind.NOTARIZE)) == first[0]
    assert again.sign_proposal(proposal()) == own


def test_s6_below_the_floor_nothing_is_signed_ever_again() -> None:
    """S6: flags go only below a finalized view; signing there is refused for ever, after a restart too."""
    mine = signer()
    mine.sign_vote(vote(VoteKind.NULLIFY, view=5))
    floor = mine.raise_floor(EPOCH, View(5))
    assert floor is not None
    assert mine.votes() == ()
    for again in (mine, signer([birth(), floor])):
        assert refusal_of(lambda again=again: finalize(again)) == "signer.below_floor"
        assert (
            refusal_of(lambda again=again: again.sign_vote(vote(VoteKind.NULLIFY, 4))) == "signer.below_floor"
        )
        assert refusal_of(lambda again=again: again.sign_proposal(proposal(3))) == "signer.below_floor"
        again.sign_vote(vote(VoteKind.NULLIFY, 6))


def test_s6_the_floor_never_sinks() -> None:
    """S6: an older finalization lowers nothing and writes nothing."""
    mine = signer()
    assert mine.raise_floor(EPOCH, View(5)) is not None
    assert mine.raise_floor(EPOCH, View(5)) is None
    assert mine.raise_floor(EPOCH, View(3)) is None
    assert mine.floor == (EPOCH, 5)


def test_s7_a_floor_below_the_store_means_a_restored_copy() -> None:
    """S7: the floor is synced before the store commits, so a store above the floor quarantines the signer."""
    restored = signer([birth(), birth(view=4)], store=(EPOCH, View(5)))
    assert restored.quarantine_reason == "signer.floor_below_store"
    assert refusal_of(lambda: restored.sign_vote(vote(VoteKind.NULLIFY, 9))) == "signer.quarantined"
    assert not signer([birth(), birth(view=5)], store=(EPOCH, View(5))).is_quarantined


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "signer.no_record"),
        (first_record(OTHER_CHAIN, KEYS[0].public, GENERATION, EPOCH), "signer.other_chain"),
        (first_record(CHAIN, KEYS[1].public, GENERATION, EPOCH), "signer.other_key"),
        (first_record(CHAIN, KEYS[0].public, b"h" * 16, EPOCH), "signer.other_host"),
    ],
)
def test_a_doubtful_record_quarantines(record: SignerFloor | None, reason: str) -> None:
    """Record absent, or bound to another chain, key or host: nothing is signed, and no floor is written."""
    doubtful = signer([] if record is None else [record])
    assert doubtful.quarantine_reason == reason
    assert refusal_of(lambda: doubtful.sign_vote(vote(VoteKind.NULLIFY))) == "signer.quarantined"
    assert refusal_of(lambda: doubtful.sign_proposal(proposal())) == "signer.quarantined"
    assert doubtful.raise_floor(EPOCH, View(9)) is None


def test_a_released_signer_binds_itself_anew() -> None:
    """After the quarantine the record names this host again, and the next start signs at once."""
    doubtful = signer([first_record(CHAIN, KEYS[0].public, b"h" * 16, EPOCH)])
    record = doubtful.release(EPOCH, View(8))
    assert refusal_of(lambda: doubtful.sign_vote(vote(VoteKind.NULLIFY, 8))) == "signer.below_floor"
    doubtful.sign_vote(vote(VoteKind.NULLIFY, 9))
    assert not signer([first_record(CHAIN, KEYS[0].public, b"h" * 16, EPOCH), record]).is_quarantined


def test_another_chain_or_epoch_is_not_signed() -> None:
    """The key signs for its chain and for the epoch in force only."""
    mine = signer()
    foreign = Vote(OTHER_CHAIN, EPOCH, 5, VoteKind.NULLIFY, None)
    assert refusal_of(lambda: mine.sign_vote(foreign)) == "signer.other_chain"
    early = Vote(CHAIN, EPOCH + 1, 5, VoteKind.NULLIFY, None)
    assert refusal_of(lambda: mine.sign_vote(early)) == "signer.other_epoch"


REQUESTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(list(VoteKind)), st.integers(1, 3), st.sampled_from([A, B])),
        st.tuples(st.just("floor"), st.integers(1, 3), st.just(A)),
        st.tuples(st.just("restart"), st.just(0), st.just(A)),
        st.tuples(st.just("propose"), st.integers(1, 3), st.sampled_from([A, B])),
    ),
    max_size=40,
)


@given(REQUESTS)
def test_no_sequence_of_requests_makes_a_forbidden_pair(
    requests: list[tuple[VoteKind | str, int, bytes]],
) -> None:
    """Whatever is asked, with restarts between, all signatures that ever left are compatible."""
    log: list[Record] = [birth()]
    mine = signer(log)
    for what, view, block in requests:
        try:
            match what:
                case VoteKind():
                    log.append(mine.sign_vote(vote(what, view, block), notarization(view, block)))
                case "floor":
                    floor = mine.raise_floor(EPOCH, View(view))
                    log += [] if floor is None else [floor]
                case "propose":
                    log.append(mine.sign_proposal(proposal(view, block)))
                case _:
                    mine = signer(log)
        except LedgerError:
            continue
    votes = [record.signed.vote for record in log if isinstance(record, OwnVote)]
    assert not any(vote_offence(first, second) for first in votes for second in votes)
    places = {
        (own.signed.proposal.view, own.signed.proposal.block_id)
        for own in log
        if isinstance(own, OwnProposal)
    }
    assert len({view for view, _ in places}) == len(places)
