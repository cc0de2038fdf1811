"""One test for each line of the rules: the last block of an epoch, proposed until it is final; who signed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ledger.block import Header, block_id
from ledger.consensus.events import (
    Behind,
    Broadcast,
    Build,
    Check,
    Commit,
    Connected,
    EpochEnded,
    Halt,
    Peer,
    Persist,
    Report,
    Synced,
)
from ledger.consensus.messages import (
    CertificateRequest,
    VotesMessage,
    Want,
)
from ledger.consensus.records import (
    SignerFloor,
)
from ledger.consensus.timeouts import delay_ms
from ledger.types import Epoch
from ledger.vote import SignedVote, VoteKind, verify_certificate
from tests.ledger.consensus.lockstep import BASE, CHAIN
from tests.ledger.consensus.short_epoch import (
    D_MS,
    FIRST,
    LAST,
    LAST_ID,
    LEADERS,
    PARAMETERS,
    ended,
    nullify_below,
    proposals_in,
    reports_in,
    subject,
    with_last_notarized,
)
from tests.ledger.consensus.subject import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    Subject,
    block_on,
    builds_in,
    of,
    records_in,
    sent_to,
    view_led_by,
    votes_in,
)

# --- E5: nothing of an epoch follows its last block ------------------------------------------------


def test_a_proposal_on_the_last_block_is_refused_for_good() -> None:
    """'any other child of it is invalid': reported, and the view is left at once."""
    node = subject()
    notarization = with_last_notarized(node)
    effects = node.hear_proposal(3, block_on(LAST), 2, notarization)
    assert reports_in(effects) == ["proposal.after_last_block"]
    assert votes_in(effects + node.wait(D_MS)) == [(NULLIFY, 3, None)]


def test_a_child_whose_parent_is_not_known_to_be_the_last_block_waits_and_is_refused() -> None:
    """The parent's header has still to come: until then pending, then refused without being checked."""
    node = subject(has_bodies=False)
    node.hear_certificates(node.certificate(FINALIZE, 1, FIRST))
    node.hear(node.proposal(1, FIRST))
    child = block_on(LAST)
    effects = node.hear_proposal(3, child, 2, node.certificate(NOTARIZE, 2, LAST))
    assert reports_in(effects) == []
    node.has_bodies = True
    effects = node.wait(1_000)
    assert "proposal.after_last_block" in reports_in(effects)
    assert block_id(child) not in [check.block_id for check in of(effects, Check)]


def test_even_a_quorum_puts_nothing_on_the_last_block() -> None:
    """More than a third lied: a body above the last block is invalid here, unchecked, and the node stops."""
    node = subject()
    with_last_notarized(node)
    child = block_on(LAST)
    node.headers[block_id(child)] = child
    effects = node.hear_certificates(node.certificate(NOTARIZE, 3, child))
    assert of(effects, Check) == []
    assert votes_in(effects) == []
    assert node.view == 3
    effects = node.hear_certificates(node.certificate(FINALIZE, 3, child))
    assert [halt.code for halt in of(effects, Halt)] == ["consensus.diverged"]


# --- E6: leaders propose it again ------------------------------------------------------------------


def test_leaders_build_nothing_on_the_last_block_and_propose_it_again_after_d() -> None:
    """'leaders only RE-PROPOSE it', 'only after d': {view, latest notarized view, its id}, no new block."""
    node = subject(me=LEADERS[3])
    notarization = with_last_notarized(node)
    effects = node.pending()
    assert builds_in(effects) == []
    assert proposals_in(node.wait(D_MS - 1)) == []
    (again,) = proposals_in(node.wait(1))
    proposal = again.signed.proposal
    assert (proposal.view, proposal.parent_view, proposal.block_id) == (3, 2, LAST_ID)
    assert again.header == LAST
    assert again.parent_certificate == notarization
    assert builds_in(node.effects) == []


def test_the_proposal_and_the_vote_for_it_are_durable_before_they_leave() -> None:
    """S4 holds for a block that is proposed again: record first, and its body is not written twice."""
    node = subject(me=LEADERS[3])
    with_last_notarized(node)
    effects = node.wait(D_MS)
    assert isinstance(effects[0], Persist)
    assert effects[0].bodies == ()
    assert votes_in(effects) == [(NOTARIZE, 3, LAST_ID)]


def test_it_is_proposed_again_from_its_latest_notarization_over_a_gap() -> None:
    """'(v1, b) its latest notarization, gap (v1, v2) nullified': all of the gap goes along."""
    node = subject(me=LEADERS[6])
    with_last_notarized(node)
    node.hear_proposal(3, LAST, 2)
    again = node.certificate(NOTARIZE, 3, LAST)
    gap = [node.certificate(NULLIFY, view) for view in (4, 5)]
    node.hear_certificates(again, *gap)
    assert node.view == 6
    (message,) = proposals_in(node.wait(30_000))
    assert message.signed.proposal.parent_view == 3
    assert (message.parent_certificate, message.gap) == (again, tuple(gap))


def test_what_the_gap_lacks_is_asked_for_before_it_is_proposed_again() -> None:
    """The leader came to its view by the nullification of the one before; an earlier one is missing here."""
    node = subject(me=LEADERS[5])
    with_last_notarized(node)
    node.hear_certificates(node.certificate(NULLIFY, 4))
    node.wait(30_000)
    asked = [each.message for each in of(node.effects, Broadcast)]
    assert CertificateRequest(0, (Want(3, NULLIFY), Want(3, NOTARIZE))) in asked
    assert proposals_in(node.effects) == []
    node = subject(me=LEADERS[5])
    with_last_notarized(node)
    node.hear_certificates(node.certificate(NULLIFY, 4), node.certificate(NULLIFY, 3))
    node.wait(delay_ms(PARAMETERS, 3))
    (message,) = proposals_in(node.effects)
    assert [each.view for each in message.gap] == [3, 4]


# --- E7: told apart by the certificate of the parent view ------------------------------------------


def test_a_block_that_its_parent_view_certifies_is_proposed_again() -> None:
    """Certified there is the block itself: no height, no time, no execution is looked at again."""
    node = subject()
    with_last_notarized(node)
    before = len(of(node.effects, Check))
    node.wall_ms = 0  # by this clock every block is from the future
    effects = node.hear_proposal(3, LAST, 2)
    assert votes_in(effects) == [(NOTARIZE, 3, LAST_ID)]
    assert len(of(node.effects, Check)) == before


def test_a_last_block_whose_parent_is_certified_there_is_a_proposal_like_any_other() -> None:
    """View 2 was left by nullification: such a block may stand on its parent once more, if it is timely."""
    node = subject()
    node.hear_proposal(1, FIRST)
    node.hear_certificates(node.certificate(FINALIZE, 1, FIRST), node.certificate(NULLIFY, 2))
    early = block_on(FIRST, time_ms=node.wall_ms + 60_000)
    assert votes_in(node.hear_proposal(3, early, 1)) == []
    node = subject()
    node.hear_proposal(1, FIRST)
    node.hear_certificates(node.certificate(FINALIZE, 1, FIRST), node.certificate(NULLIFY, 2))
    assert votes_in(node.hear_proposal(3, LAST, 1)) == [(NOTARIZE, 3, LAST_ID)]


@pytest.mark.parametrize("is_repeated", [True, False])
def test_the_certificate_that_tells_which_is_asked_for(is_repeated: bool) -> None:
    """Neither is certified here yet: the proposer is asked for that view, and its answer decides."""
    node = subject()
    node.hear_proposal(1, FIRST)
    first = node.certificate(NOTARIZE, 1, FIRST)
    node.hear_certificates(first)
    message = node.proposal(4, LAST, 2 if is_repeated else 3)
    gap = [node.certificate(NULLIFY, 3)] if is_repeated else [node.certificate(NULLIFY, 2)]
    node.hear_certificates(node.certificate(NULLIFY, 3), *gap)
    effects = node.hear(message, node.leader(4))
    assert sent_to(effects, node.leader(4)) == [
        CertificateRequest(0, (Want(message.signed.proposal.parent_view, NOTARIZE),))
    ]
    assert votes_in(effects) == []
    block, view = (LAST, 2) if is_repeated else (FIRST, 3)
    assert (NOTARIZE, 4, LAST_ID) in votes_in(node.hear_certificates(node.certificate(NOTARIZE, view, block)))


def test_only_a_last_block_is_proposed_again() -> None:
    """Any other block has children to finalize it: proposing it again is refused for good."""
    node = subject()
    node.hear_proposal(1, FIRST)
    node.hear_certificates(node.certificate(NOTARIZE, 1, FIRST))
    effects = node.hear_proposal(2, FIRST, 1)
    assert reports_in(effects) == ["proposal.wrong_place"]
    assert votes_in(effects + node.wait(D_MS))[:1] == [(NULLIFY, 2, None)]


def test_a_leader_that_proposes_it_again_without_its_gap_gets_no_vote() -> None:
    """A missing nullification is asked for; nobody votes before it is there."""
    node = subject()
    with_last_notarized(node)
    node.hear_certificates(node.certificate(NULLIFY, 4))
    effects = node.hear_proposal(5, LAST, 2)
    assert sent_to(effects, node.leader(5)) == [CertificateRequest(0, (Want(3, NULLIFY),))]
    assert votes_in(effects) == []
    assert votes_in(node.hear_certificates(node.certificate(NULLIFY, 3))) == [(NOTARIZE, 5, LAST_ID)]


def test_a_block_proposed_again_while_its_finalization_lacks_the_body_is_no_offence() -> None:
    """The leader has not seen the finalization that we hold; we lack the body: pending, not refused."""
    node = subject(has_bodies=False)
    node.hear_certificates(node.certificate(FINALIZE, 2, LAST))
    effects = node.hear_proposal(3, LAST, 2)
    assert reports_in(effects) == []
    assert votes_in(effects) == []


# --- E8: votes and finality of a repeated block ----------------------------------------------------


def test_a_repeated_block_is_voted_and_becomes_final_like_any_other() -> None:
    """Notarize and finalize votes in the new view; its finalization commits the block, once."""
    node = subject()
    with_last_notarized(node)
    node.hear_proposal(3, LAST, 2)
    effects = node.hear_certificates(node.certificate(NOTARIZE, 3, LAST))
    assert votes_in(effects) == [(FINALIZE, 3, LAST_ID)]
    finalization = node.certificate(FINALIZE, 3, LAST)
    effects = node.hear_certificates(finalization)
    assert [commit.block_id for commit in of(effects, Commit)] == [LAST_ID]
    assert of(effects, EpochEnded) == [EpochEnded(Epoch(0), LAST_ID, finalization)]


def test_a_late_finalization_of_the_first_view_ends_the_epoch_in_the_midst_of_repeating() -> None:
    """Notarized again in view 3 when view 2 turns out final: committed by that, and no vote more."""
    node = subject()
    with_last_notarized(node)
    node.hear_proposal(3, LAST, 2)
    node.hear_certificates(node.certificate(NOTARIZE, 3, LAST))
    node.waits_to_turn = True
    late = node.certificate(FINALIZE, 2, LAST)
    effects = node.hear_certificates(late)
    assert of(effects, EpochEnded) == [EpochEnded(Epoch(0), LAST_ID, late)]
    assert votes_in(effects) == []
    assert node.hear_votes(node.others, FINALIZE, 3, LAST) == []


@pytest.mark.parametrize("views", [(2, 3), (3, 2)])
def test_two_finalizations_of_one_block_in_different_views_are_no_fork(views: tuple[int, int]) -> None:
    """'Finalizations of one block in several views agree': one commit, one end, no halt, in either order."""
    node = subject()
    with_last_notarized(node)
    node.hear_proposal(3, LAST, 2)
    node.hear_certificates(*(node.certificate(FINALIZE, view, LAST) for view in views))
    assert [commit.block_id for commit in of(node.effects, Commit)] == [block_id(FIRST), LAST_ID]
    assert len(of(node.effects, EpochEnded)) == 1
    assert of(node.effects, Halt) == []
    assert node.epoch == 1


def test_the_commit_of_a_repeated_block_holds_all_that_justifies_its_place() -> None:
    """Every nullification and notarization since the last final view, ascending, and the finalization."""
    node = subject()
    node.hear_proposal(1, FIRST)
    node.hear_certificates(node.certificate(FINALIZE, 1, FIRST), node.certificate(NULLIFY, 2))
    node.hear_proposal(3, LAST, 1)
    node.hear_certificates(node.certificate(NOTARIZE, 3, LAST), node.certificate(NULLIFY, 4))
    node.hear_proposal(5, LAST, 3)
    node.hear_certificates(node.certificate(NOTARIZE, 5, LAST))
    (commit,) = of(node.hear_certificates(node.certificate(FINALIZE, 5, LAST)), Commit)
    assert [(each.kind, each.view) for each in commit.settled] == [
        (NULLIFY, 2), (NOTARIZE, 3), (NULLIFY, 4), (FINALIZE, 5),
    ]  # fmt: skip


# --- E9: the end -----------------------------------------------------------------------------------


def test_after_the_last_block_nothing_is_voted_proposed_or_timed_out() -> None:
    """'After the last block is committed the machine neither votes nor proposes nor times out.'"""
    node = subject(me=LEADERS[3])
    node.waits_to_turn = True
    ended(node)
    said = node.pending() + node.wait(60_000) + node.hear_proposal(3, LAST, 2)
    said += node.hear_certificates(node.certificate(NULLIFY, 3), node.certificate(NOTARIZE, 4, LAST))
    said += node.feed(Connected(Peer(1)))
    assert [effect for effect in said if not sent_to([effect], LEADERS[3])] == []


def test_the_last_block_is_committed_before_the_epoch_ends_and_its_floor_is_durable_before_that() -> None:
    """S7 at the turn: floor, then commit, then the end."""
    node = subject()
    node.waits_to_turn = True
    with_last_notarized(node)
    effects = node.hear_certificates(node.certificate(FINALIZE, 2, LAST))
    kinds = [type(effect) for effect in effects]
    assert kinds.index(Persist) < kinds.index(Commit) < kinds.index(EpochEnded)
    assert [record.view for record in records_in(effects) if isinstance(record, SignerFloor)] == [2]
    assert isinstance(effects[-1], EpochEnded)


def test_a_sync_that_ends_at_the_last_block_ends_the_epoch() -> None:
    """'(also after catching up)': the driver committed it by certificates; then the epoch is over too."""
    node = subject(has_bodies=False)
    node.waits_to_turn = True
    finalization = node.certificate(FINALIZE, 40, LAST)
    assert of(node.hear_certificates(finalization), Behind) == [Behind(finalization)]
    effects = node.feed(Synced(LAST, finalization))
    assert of(effects, EpochEnded) == [EpochEnded(Epoch(0), LAST_ID, finalization)]


# --- E10: the next epoch stands on the last block --------------------------------------------------


def test_the_first_block_of_an_epoch_carries_what_ended_the_one_before() -> None:
    """'View 0 of e+1 = the finalized last block of e': the parent, and its finalization the certificate."""
    node = subject()
    finalization = ended(node)
    assert node.epoch == 1
    leader = view_led_by(node, node.me or 0)
    nullify_below(node, leader)
    (build,) = builds_in(node.pending())
    assert (build.epoch, build.view) == (1, leader)
    assert build.parent.block_id == LAST_ID
    assert build.parent_certificate == finalization
    header = block_on(LAST, epoch=1)
    (message,) = proposals_in(node.build(leader, header))
    assert message.signed.proposal.parent_view == 0
    assert message.parent_certificate is None


def test_waiting_transactions_are_still_waiting_after_the_turn() -> None:
    """The driver said so once; the next machine knows it."""
    node = subject(me=LEADERS[7])
    node.pending()
    ended(node)
    assert node.machine.state.are_transactions_pending
    assert votes_in(node.wait(2 * D_MS)) == [(NULLIFY, 1, None)]  # awake: the first leader owes a block


def test_several_epochs_in_a_row() -> None:
    """Each begins on the last block of the one before, and heights go on."""
    node = subject()
    parent = BASE
    for epoch in range(4):
        assert node.epoch == epoch
        for view in (1, 2):
            header = block_on(parent, epoch=epoch)
            node.hear_proposal(view, header, view - 1)
            node.hear_certificates(node.certificate(FINALIZE, view, header))
            parent = header
    assert [commit.height for commit in of(node.effects, Commit)] == list(range(1, 9))
    assert of(node.effects, Report) == []


# --- L7: the fullest certificate -------------------------------------------------------------------


def leader_above_first(late: Sequence[VotesMessage | tuple[int, VotesMessage]] = ()) -> Build:
    """What the leader of view 2 builds with: view 1 was made final by three, then these votes came."""
    node = Subject(me=LEADERS[2])
    node.headers[block_id(FIRST)] = FIRST
    node.hear_proposal(1, FIRST)
    node.hear_certificates(node.certificate(FINALIZE, 1, FIRST, signers=quorum_of(node)))
    for each in late:
        peer, message = each if isinstance(each, tuple) else (each.votes[0].validator, each)
        node.hear(message, peer)
    (build,) = builds_in(node.pending())
    return build


def quorum_of(node: Subject) -> list[int]:
    """Three of the four, without the last of the others."""
    slow = max(node.others)
    return [index for index in range(4) if index != slow]


SLOW = max(Subject(me=LEADERS[2]).others)


def late_vote(kind: VoteKind, header: Header = FIRST, signature: bytes | None = None) -> VotesMessage:
    vote = Subject(me=None).vote(SLOW, kind, 1, None if kind is NULLIFY else header)
    return VotesMessage((vote if signature is None else SignedVote(vote.vote, vote.validator, signature),))


def test_a_leader_adds_the_votes_that_came_late() -> None:
    """'the FULLEST certificate it holds (late votes added)': all four are in it, ascending, all valid."""
    certificate = leader_above_first([late_vote(FINALIZE)]).parent_certificate
    assert certificate is not None
    assert [index for index, _ in certificate.signatures] == [0, 1, 2, 3]
    verify_certificate(certificate, CHAIN, Epoch(0), Subject(me=None).validators)


def test_without_late_votes_it_is_the_certificate_that_was_formed() -> None:
    """Nothing is made up."""
    certificate = leader_above_first().parent_certificate
    assert certificate is not None
    assert SLOW not in [index for index, _ in certificate.signatures]
    verify_certificate(certificate, CHAIN, Epoch(0), Subject(me=None).validators)


@pytest.mark.parametrize(
    "late",
    [
        late_vote(FINALIZE, signature=bytes(64)),
        late_vote(FINALIZE, block_on(BASE, 9)),
        (min(Subject(me=LEADERS[2]).others), late_vote(FINALIZE)),
        late_vote(NULLIFY),
    ],
    ids=["forged", "another block", "told by another", "nullify"],
)
def test_a_late_lie_is_left_out(late: VotesMessage | tuple[int, VotesMessage]) -> None:
    """What would spoil the certificate, or displace a validator's own vote, does not get into it."""
    certificate = leader_above_first([late]).parent_certificate
    assert certificate is not None
    assert SLOW not in [index for index, _ in certificate.signatures]
    verify_certificate(certificate, CHAIN, Epoch(0), Subject(me=None).validators)


def test_of_notarization_and_finalization_the_fuller_one_is_carried() -> None:
    """Four notarized, three finalized: the notarization names who took part."""
    node = Subject(me=LEADERS[2])
    node.headers[block_id(FIRST)] = FIRST
    node.hear_proposal(1, FIRST)
    node.hear_votes(node.others, NOTARIZE, 1, FIRST)
    node.hear_certificates(node.certificate(FINALIZE, 1, FIRST, signers=quorum_of(node)))
    (build,) = builds_in(node.pending())
    certificate = build.parent_certificate
    assert certificate is not None
    assert certificate.kind is NOTARIZE
    assert [index for index, _ in certificate.signatures] == [0, 1, 2, 3]
