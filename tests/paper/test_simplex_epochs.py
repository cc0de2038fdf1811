"""One test for each line of the rules: last blocks, the turn, other epochs, the signer across epochs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ledger.block import Header, block_id
from ledger.codec import encode
from ledger.consensus.early import EARLY_BYTES_MAX, EARLY_MESSAGES_MAX, EARLY_PEERS_MAX, EarlyMessages
from ledger.consensus.epochs import Epochs
from ledger.consensus.events import (
    Behind,
    Broadcast,
    Build,
    Built,
    Check,
    Commit,
    Connected,
    DropRecords,
    Effect,
    EpochEnded,
    Halt,
    NothingToBuild,
    OldEpoch,
    Peer,
    Persist,
    Received,
    Report,
    SignerState,
    Started,
    Synced,
)
from ledger.consensus.messages import (
    CertificateRequest,
    CertificatesMessage,
    Message,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
    Want,
    encode_message,
)
from ledger.consensus.records import (
    OwnVote,
    Record,
    SignerFloor,
    decode_record,
    encode_record,
    record_position,
)
from ledger.consensus.timeouts import ConsensusParameters, delay_ms
from ledger.errors import LedgerError
from ledger.types import Epoch, TimeMs, View
from ledger.vote import Certificate, SignedVote, Vote, VoteKind, sign_vote, verify_certificate
from tests.ledger.consensus.lockstep import BASE, CHAIN
from tests.ledger.consensus.subject import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    Subject,
    block_on,
    builds_in,
    not_led_by,
    of,
    records_in,
    sent_to,
    unsigned_certificates,
    view_led_by,
    votes_in,
)

PARAMETERS = ConsensusParameters(epoch_blocks=2)
D_MS = delay_ms(PARAMETERS, 1)  # in view 3, with view 1 final
FIRST = block_on(BASE)
LAST = block_on(FIRST)
LAST_ID = block_id(LAST)
LEADERS = [Subject(me=None).leader(view) for view in range(8)]


def subject(
    me: int | None = LEADERS[7],
    stakes: Sequence[int] = (1, 1, 1, 1),
    later: Sequence[Sequence[int]] = (),
    *,
    has_bodies: bool = True,
) -> Subject:
    """A node in an epoch of two blocks, that knows both of them; it leads none of the first views."""
    made = Subject(stakes, me, PARAMETERS, has_bodies=has_bodies, later=later)
    made.headers.update({block_id(FIRST): FIRST, LAST_ID: LAST})
    return made


def with_last_notarized(node: Subject) -> Certificate:
    """View 1 made the first block final, view 2 notarized the last one; answers that notarization."""
    node.hear_proposal(1, FIRST)
    node.hear_certificates(node.certificate(FINALIZE, 1, FIRST))
    node.hear_proposal(2, LAST, 1)
    notarization = node.certificate(NOTARIZE, 2, LAST)
    node.hear_certificates(notarization)
    assert node.view == 3
    return notarization


def ended(node: Subject) -> Certificate:
    """The epoch ended in view 2; answers the finalization."""
    with_last_notarized(node)
    finalization = node.certificate(FINALIZE, 2, LAST)
    node.hear_certificates(finalization)
    return finalization


def nullify_below(node: Subject, view: int) -> list[Effect]:
    """The node comes to this view by nullifications."""
    return [e for each in range(1, view) for e in node.hear_certificates(node.certificate(NULLIFY, each))]


def proposals_in(effects: Sequence[Effect]) -> list[ProposalMessage]:
    messages = [effect.message for effect in of(effects, Broadcast)]
    return [message for message in messages if isinstance(message, ProposalMessage)]


def reports_in(effects: Sequence[Effect]) -> list[str]:
    return [report.code for report in of(effects, Report)]


def log_of(node: Subject) -> list[Record]:
    """What a disk would hold: every record, less what was dropped, through its encoding."""
    records: list[Record] = [node.floor(0), *records_in(node.effects)]
    for drop in of(node.effects, DropRecords):
        records = [record for record in records if record_position(record) >= (drop.epoch, drop.view)]
    return [decode_record(encode_record(record)) for record in records]


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


# --- E11: older epochs -----------------------------------------------------------------------------


def old_messages(node: Subject) -> list[Message]:
    """What a node in epoch 0 says: a vote, a proposal, a status, a request."""
    return [
        VotesMessage((node.vote(1, FINALIZE, 2, LAST),)),
        node.proposal(3, LAST, 2),
        StatusMessage(0, 3, 1, 2),
        CertificateRequest(0, (Want(2, FINALIZE),)),
    ]


@pytest.mark.parametrize("which", range(4))
def test_who_speaks_of_the_epoch_before_is_told_what_ended_it(which: int) -> None:
    """'a message of an older epoch is answered with the finalization that ended ITS epoch'"""
    node = subject()
    message = old_messages(node)[which]
    finalization = ended(node)
    node.wait(1_000)
    assert (
        node.hear(message, 1) == []
        if False
        else sent_to(node.hear(message, 1), 1) == [CertificatesMessage((finalization,))]
    )


@pytest.mark.parametrize("which", range(4))
def test_the_same_while_the_driver_works_out_the_next_epoch(which: int) -> None:
    """Between the end and the beginning the answer is the same, and nothing else happens."""
    node = subject()
    node.waits_to_turn = True
    message = old_messages(node)[which]
    finalization = ended(node)
    node.wait(1_000)
    effects = node.hear(message, 1)
    assert effects == [effect for effect in effects if sent_to([effect], 1)]
    assert sent_to(effects, 1) == [CertificatesMessage((finalization,))]


def test_votes_that_crossed_the_end_are_not_answered_but_questions_are() -> None:
    """Late votes of the last view cost no traffic; whoever asks does not know, and is told at once."""
    node = subject()
    vote, proposal, status, request = old_messages(node)
    ended(node)
    assert sent_to(node.hear(vote, 1), 1) == sent_to(node.hear(proposal, 1), 1) == []
    assert sent_to(node.hear(status, 1), 1) != []
    assert sent_to(node.hear(request, 2), 2) != []


def test_certificates_of_an_old_epoch_are_not_answered() -> None:
    """Else two nodes that both have turned would send each other the same finalization for ever."""
    node = subject()
    stale = node.certificate(NULLIFY, 1)
    finalization = ended(node)
    node.wait(10_000)
    assert sent_to(node.hear_certificates(finalization), 1) == []
    assert sent_to(node.hear_certificates(stale), 1) == []


def test_an_epoch_before_the_last_turn_is_for_the_store() -> None:
    """Only the last finalization is at hand: the driver is asked for the others."""
    node = subject()
    status = old_messages(node)[2]
    ended(node)
    first, last = block_on(LAST, epoch=1), block_on(block_on(LAST, epoch=1), epoch=1)
    node.headers.update({block_id(first): first, block_id(last): last})
    node.hear_certificates(node.certificate(FINALIZE, 2, last))
    assert node.epoch == 2
    assert node.hear(status, 1) == [OldEpoch(Peer(1), Epoch(0))]


def test_answers_to_old_epochs_are_bounded_a_peer() -> None:
    """A token bucket: a thousand questions draw a bounded number of answers, and nobody else's."""
    node = subject()
    status = old_messages(node)[2]
    ended(node)
    answers = [answer for _ in range(1_000) for answer in sent_to(node.hear(status, 1), 1)]
    assert len(answers) == 64
    assert len(sent_to(node.hear(status, 2), 2)) == 1


def test_stale_certificates_of_another_epoch_move_nothing() -> None:
    """Good certificates of epoch 0 in epoch 1: neither counted nor believed, whatever their view or kind."""
    node = subject()
    stale = [node.certificate(kind, 7, None if kind is NULLIFY else LAST) for kind in VoteKind]
    ended(node)
    before = (node.view, node.machine.state.certificates.above(View(0)))
    for certificate in stale:
        node.hear_certificates(certificate)
    assert (node.view, node.machine.state.certificates.above(View(0))) == before


def test_a_certificate_says_its_epoch_in_what_is_signed() -> None:
    """Old votes dressed up as votes of the epoch in force are a forgery, and reported."""
    node = subject()
    stale = node.certificate(NULLIFY, 1)
    ended(node)
    content = Vote(CHAIN, 1, 1, NULLIFY, None)
    effects = node.hear_certificates(Certificate(content, stale.signatures))
    assert reports_in(effects) == ["certificate.wrong_signature"]
    assert node.view == 1


# --- E12: newer epochs -----------------------------------------------------------------------------


def newer(node: Subject, epoch: int = 1, view: int = 1) -> list[Message]:
    """What somebody in a later epoch says."""
    content = Vote(CHAIN, epoch, view, NULLIFY, None)
    vote = SignedVote(content, 1, sign_vote(node.keys[1], content))
    signatures = tuple((index, sign_vote(key, content)) for index, key in enumerate(node.keys))
    return [
        VotesMessage((vote,)),
        CertificatesMessage((Certificate(content, signatures),)),
        StatusMessage(epoch, view, 0, 0),
        CertificateRequest(epoch, (Want(view, NULLIFY),)),
    ]


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("epoch", [1, 5])
def test_who_speaks_of_a_newer_epoch_is_told_where_we_stand(which: int, epoch: int) -> None:
    """'one of a newer epoch makes us ask that peer where it stands' and claims move nothing."""
    node = subject()
    with_last_notarized(node)
    before = node.machine.state.view
    assert sent_to(node.hear(newer(node, epoch)[which], 1), 1) == [StatusMessage(0, 3, 1, 2)]
    assert (node.epoch, node.machine.state.view) == (0, before)


def test_the_answer_to_that_moves_us() -> None:
    """The finalization that ended our epoch comes back, and the epoch turns."""
    ahead, node = subject(), subject(me=LEADERS[6])
    finalization = ended(ahead)
    with_last_notarized(node)
    (status,) = sent_to(node.hear(newer(node)[0], 1), 1)
    (answer,) = sent_to(ahead.hear(status, 2), 2)
    node.hear(answer, 1)
    assert (node.epoch, answer) == (1, CertificatesMessage((finalization,)))


def test_questions_to_newer_epochs_are_bounded_a_peer() -> None:
    """A peer that claims a newer epoch for ever draws four questions at once and one a second."""
    node = subject()
    asked = [each for _ in range(500) for each in sent_to(node.hear(newer(node, 9)[0], 1), 1)]
    assert len(asked) == 4


def test_a_node_two_epochs_behind_is_led_through_each() -> None:
    """Each answer ends the epoch that the node is in; blocks come by the sync, epoch by epoch."""
    node = subject(has_bodies=False)
    parent = LAST
    for epoch in range(2):
        assert sent_to(node.hear(newer(node, 2)[0], 1), 1) == [StatusMessage(epoch, 1, 0, 0)]
        finalization = node.certificate(FINALIZE, 40, parent)
        assert of(node.hear_certificates(finalization), Behind) == [Behind(finalization)]
        node.headers[block_id(parent)] = parent
        node.feed(Synced(parent, finalization))
        parent = block_on(block_on(parent, epoch=epoch + 1), epoch=epoch + 1)
    assert node.epoch == 2
    node.hear(newer(node, 2)[1], 1)
    assert node.view == 2


def test_a_new_epoch_says_at_once_where_it_stands() -> None:
    """So that whoever is ahead again answers at once: a node that slept is through in a few hops."""
    node = subject()
    node.waits_to_turn = True
    finalization = ended(node)
    effects = node.begin(EpochEnded(Epoch(0), LAST_ID, finalization))
    assert StatusMessage(1, 1, 0, 0) in [effect.message for effect in of(effects, Broadcast)]


# --- E13: a moment early ---------------------------------------------------------------------------


def test_what_is_said_of_the_next_epoch_early_is_heard_when_it_begins() -> None:
    """The first leader's proposal and the votes for it overtook what let us follow."""
    node = subject()
    with_last_notarized(node)
    header = block_on(LAST, epoch=1)
    node.epoch = Epoch(1)
    proposal, votes = node.proposal(1, header), [node.vote(i, NOTARIZE, 1, header) for i in range(3)]
    leader = node.leader(1)
    node.epoch = Epoch(0)
    node.hear(proposal, leader)
    for vote in votes:
        node.hear(VotesMessage((vote,)), vote.validator)
    effects = node.hear_certificates(node.certificate(FINALIZE, 2, LAST))
    assert node.view == 2
    assert votes_in(effects) == [(FINALIZE, 1, block_id(header))]


def test_the_same_between_the_end_and_the_beginning() -> None:
    """While the driver works out the next set, its first messages wait."""
    node = subject()
    node.waits_to_turn = True
    finalization = ended(node)
    node.hear(newer(node)[1], 1)
    node.begin(EpochEnded(Epoch(0), LAST_ID, finalization))
    assert node.view == 2


def test_questions_and_places_are_not_kept() -> None:
    """'StatusMessages are not': they come from a number of the old set, and will come again."""
    early = EarlyMessages()
    for message in newer(subject()):
        early.keep(Peer(1), message)
    assert [type(message) for message in early.take()] == [VotesMessage, CertificatesMessage]
    assert len(early) == 0


def test_a_lie_of_the_next_epoch_is_neither_believed_nor_blamed_on_the_wrong_peer() -> None:
    """A bad early vote: no answer, no report, since the number of its sender is of the set before."""
    node = subject()
    with_last_notarized(node)
    content = Vote(CHAIN, 1, 1, NULLIFY, None)
    node.hear(VotesMessage((SignedVote(content, 1, bytes(64)),)), 2)
    before = len(node.effects)
    node.hear_certificates(node.certificate(FINALIZE, 2, LAST))
    assert of(node.effects[before:], Report) == []
    assert not node.machine.state.tally.has_voted(View(1), NULLIFY, 1)


def test_early_messages_are_bounded_in_number_bytes_and_peers() -> None:
    """Floods of one peer and of many: nothing grows past its limit, and no peer displaces another's."""
    vote, message = newer(subject())[:2]
    assert isinstance(message, CertificatesMessage)
    page = CertificatesMessage(message.certificates * 16)
    early = EarlyMessages()
    for peer in range(EARLY_PEERS_MAX + 50):
        for _ in range(100):
            early.keep(Peer(peer), vote if peer % 2 else page)
    kept = early.take()
    assert kept.count(vote) == EARLY_PEERS_MAX // 2 * EARLY_MESSAGES_MAX
    pages = min(EARLY_MESSAGES_MAX, EARLY_BYTES_MAX // len(encode_message(page)))
    assert kept.count(page) == EARLY_PEERS_MAX // 2 * pages
    assert sum(len(encode_message(each)) for each in kept) <= EARLY_BYTES_MAX * EARLY_PEERS_MAX


def test_only_the_next_epoch_is_kept() -> None:
    """What is further ahead will be said again when we are there."""
    node = subject()
    with_last_notarized(node)
    node.hear(newer(node, 2)[1], 1)
    node.hear_certificates(node.certificate(FINALIZE, 2, LAST))
    assert node.epoch == 1
    first, last = block_on(LAST, epoch=1), block_on(block_on(LAST, epoch=1), epoch=1)
    node.headers.update({block_id(first): first, block_id(last): last})
    node.hear_certificates(node.certificate(FINALIZE, 2, last))
    assert (node.epoch, node.view) == (2, 1)


# --- E14: the signer outlives epochs ---------------------------------------------------------------


def test_a_validator_that_leaves_signs_no_more_and_keeps_its_floor() -> None:
    """It becomes an observer; its record still rises with what is final, so that a restart trusts it."""
    node = subject(me=0, later=[(0, 1, 1, 1)])
    ended(node)
    assert node.me is None
    header = block_on(LAST, epoch=1)
    effects = node.hear_proposal(1, header) + node.wait(30_000)
    assert votes_in(effects) == []
    effects = node.hear_certificates(node.certificate(FINALIZE, 1, header))
    floors = [record for record in records_in(effects) if isinstance(record, SignerFloor)]
    assert [(floor.epoch, floor.view) for floor in floors] == [(1, 1)]
    assert node.signer is not None
    with pytest.raises(LedgerError, match=r"signer\.outside_set"):
        node.signer.sign_vote(Vote(CHAIN, 1, 5, NULLIFY, None))


def test_a_validator_that_joins_signs_from_the_first_view_of_its_first_epoch() -> None:
    """Its signer was restored at the start, outside of the set; no vote before, every vote after."""
    node = subject(me=4, stakes=(1, 1, 1, 1, 0), later=[(1, 1, 1, 1, 1)])
    assert of(node.effects, SignerState) == [SignerState(True, "")]
    ended(node)
    assert votes_in(node.effects) == []
    assert node.me == 4
    header = block_on(LAST, epoch=1)
    if node.leader(1) == node.me:
        node.hear_certificates(node.certificate(NULLIFY, 1))
    assert votes_in(node.hear_proposal(node.view, header, 0)) == [(NOTARIZE, node.view, block_id(header))]


def test_who_leaves_and_comes_back_signs_under_its_new_index() -> None:
    """The index is of the set in force, not of the key."""
    node = subject(me=1, later=[(1, 0, 1, 1), (0, 1, 1, 1)])
    ended(node)
    first, last = block_on(LAST, epoch=1), block_on(block_on(LAST, epoch=1), epoch=1)
    node.headers.update({block_id(first): first, block_id(last): last})
    node.hear_certificates(node.certificate(FINALIZE, 2, last))
    assert (node.epoch, node.me) == (2, 0)
    node.pending()
    before = len(node.effects)
    node.wait(60_000)
    votes = [record.signed for record in records_in(node.effects[before:]) if isinstance(record, OwnVote)]
    assert votes
    assert all((vote.validator, vote.vote.epoch) == (0, 2) for vote in votes)


def test_the_signer_signs_in_no_epoch_but_the_one_in_force() -> None:
    """After the turn the old epoch is closed to this key, above its floor too."""
    node = subject()
    ended(node)
    assert node.signer is not None
    with pytest.raises(LedgerError, match=r"signer\.other_epoch"):
        node.signer.sign_vote(Vote(CHAIN, 0, 9, NULLIFY, None))


# --- E15: silent leaders ---------------------------------------------------------------------------


def test_a_dead_leader_is_skipped_in_the_next_epoch_too() -> None:
    """It missed three awaited views before the turn: after it, its first view is not waited for."""
    node = subject()
    node.pending()
    silent = node.leader(1)
    missed = 0
    while missed < 3:
        view = node.view
        missed += node.leader(view) == silent
        if node.leader(view) != silent:
            node.hear_votes([node.leader(view)], NULLIFY, view)
        node.wait(60_000)
        node.hear_certificates(node.certificate(NULLIFY, view))
    node.hear_certificates(node.certificate(FINALIZE, node.view, LAST))
    assert node.epoch == 1
    view = view_led_by(node, silent)
    effects = nullify_below(node, view)
    assert node.view == view
    assert (NULLIFY, view, None) in votes_in(effects)


# --- restarts --------------------------------------------------------------------------------------


def restarted(node: Subject, head: Header, finalization: Certificate | None) -> Subject:
    """The same node after a crash within the first epoch."""
    again = Subject(
        (1, 1, 1, 1), node.me, PARAMETERS, records=log_of(node), head=head, finalization=finalization
    )
    again.headers = dict(node.headers)
    again.wait(1_000)
    return again


def restarted_after(node: Subject, finalization: Certificate, records: Sequence[Record]) -> Subject:
    """The same node after a crash, its store at the last block of the first epoch."""
    begun = node.begun(1, LAST, finalization)
    again = Subject(
        (1, 1, 1, 1),
        node.me,
        PARAMETERS,
        records=records,
        head=LAST,
        finalization=finalization,
        begun=begun,
    )
    again.headers = dict(node.headers)
    return again


def test_a_restart_in_the_midst_of_repeating_goes_on_where_it_was() -> None:
    """Both proposals of one block, two notarizations and the votes come back; nothing is signed anew."""
    node = subject()
    with_last_notarized(node)
    node.hear_proposal(3, LAST, 2)
    node.hear_certificates(node.certificate(NOTARIZE, 3, LAST))
    final = node.certificate(FINALIZE, 1, FIRST)
    again = restarted(node, FIRST, final)
    assert again.view == node.view == 4
    before = {encode(record) for record in log_of(node) if isinstance(record, OwnVote)}
    after = {encode(record) for record in records_in(again.effects) if isinstance(record, OwnVote)}
    assert after <= before
    assert votes_in(again.hear_proposal(4, LAST, 3)) == [(NOTARIZE, 4, LAST_ID)]
    effects = again.hear_certificates(again.certificate(FINALIZE, 3, LAST))
    assert of(effects, EpochEnded) != []


def test_every_prefix_of_the_log_of_repeating_starts_and_ends_the_epoch() -> None:
    """A crash after any record: the node starts, and the finalization of either view ends the epoch."""
    node = subject(me=LEADERS[3])
    with_last_notarized(node)
    node.wait(D_MS)
    node.hear_certificates(node.certificate(NOTARIZE, 3, LAST))
    records = log_of(node)
    final = node.certificate(FINALIZE, 1, FIRST)
    for length in range(1, len(records) + 1):
        for view in (2, 3):
            again = Subject(
                (1, 1, 1, 1), node.me, PARAMETERS, records=records[:length], head=FIRST, finalization=final
            )
            again.headers = dict(node.headers)
            again.hear_certificates(node.certificate(FINALIZE, view, LAST))
            again.wait(1_000)
            assert again.epoch == 1, (length, view)


def test_a_restart_exactly_after_the_last_block_begins_the_next_epoch() -> None:
    """The store's tip names the next epoch: nothing of the old one is left, and the record is trusted."""
    node = subject()
    finalization = ended(node)
    again = restarted_after(node, finalization, log_of(node))
    assert of(again.effects, SignerState) == [SignerState(True, "")]
    assert (again.epoch, again.view) == (1, 1)
    header = block_on(LAST, epoch=1)
    view = not_led_by(again, again.me)
    nullify_below(again, view)
    assert votes_in(again.hear_proposal(view, header, 0)) == [(NOTARIZE, view, block_id(header))]


def test_a_log_ahead_of_its_store_keeps_every_promise_of_the_epochs_to_come() -> None:
    """Blocks went back, the record did not: what was signed in epoch 1 binds when epoch 1 comes again."""
    node = subject()
    finalization = ended(node)
    mine, other = block_on(LAST, 1, epoch=1), block_on(LAST, 2, epoch=1)
    view = not_led_by(node, node.me)
    nullify_below(node, view)
    assert votes_in(node.hear_proposal(view, mine, 0)) == [(NOTARIZE, view, block_id(mine))]
    again = Subject((1, 1, 1, 1), node.me, PARAMETERS, records=[node.floor(0), *records_in(node.effects)])
    again.headers = dict(node.headers)
    again.hear_certificates(finalization)
    again.wait(6_000)
    assert (again.epoch, again.view) == (1, view)
    effects = again.hear_proposal(view, other, 0)
    assert (NOTARIZE, view, block_id(other)) not in votes_in(effects)


# --- Q6: quarantine across a turn ------------------------------------------------------------------


def quarantined(**changes: object) -> Subject:
    """A validator without a record, that heard from everyone that they entered view 1 by view 0."""
    node = Subject((1, 1, 1, 1), LEADERS[7], PARAMETERS, records=[], **changes)  # type: ignore[arg-type]
    node.headers.update({block_id(FIRST): FIRST, LAST_ID: LAST})
    for peer in node.others:
        node.hear(StatusMessage(0, 1, 0, 0), peer)
    return node


def test_a_block_above_the_reports_ends_the_quarantine_and_a_last_block_does_not() -> None:
    """This node may have held an earlier finalization of the last block, and voted in the next epoch."""
    node = quarantined()
    node.hear_certificates(node.certificate(FINALIZE, 9, FIRST))
    assert of(unsigned_certificates(node, 10), SignerState) == [SignerState(True, "")]
    node = quarantined()
    unsigned_certificates(node, 2)
    effects = node.hear_certificates(node.certificate(FINALIZE, 9, LAST))
    assert (node.epoch, of(effects, SignerState)) == (1, [])
    assert node.signer is not None
    assert node.signer.is_quarantined


def test_in_the_next_epoch_the_quarantine_asks_anew() -> None:
    """Reports of the epoch before say nothing of this one; with new ones it ends above them."""
    node = quarantined()
    node.hear_certificates(node.certificate(FINALIZE, 9, LAST))
    header = block_on(LAST, epoch=1)
    node.headers[block_id(header)] = header
    assert of(node.hear_certificates(node.certificate(FINALIZE, 3, header)), SignerState) == []
    for peer in node.others:
        node.hear(StatusMessage(1, 5, 3, 4), peer)
    assert of(node.hear_certificates(node.certificate(FINALIZE, 5, header)), SignerState) == []
    assert of(node.hear_certificates(node.certificate(FINALIZE, 6, header)), SignerState) == []
    effects = unsigned_certificates(node, 7)
    assert of(effects, SignerState) == [SignerState(True, "")]
    floors = [record for record in records_in(effects) if isinstance(record, SignerFloor)]
    assert [(floor.epoch, floor.view) for floor in floors] == [(1, 6)]


@pytest.mark.parametrize(
    ("floor", "reason"),
    [((0, 1), "signer.floor_below_store"), ((0, 2), ""), ((1, 1), "")],
)
def test_the_floor_is_held_to_the_finalization_of_the_base(floor: tuple[int, int], reason: str) -> None:
    """At the turn the store's head is final in (e, v): a floor below that pair is a restored copy."""
    node = subject()
    finalization = ended(node)
    again = restarted_after(node, finalization, [node.floor(floor[1], floor[0])])
    assert of(again.effects, SignerState) == [SignerState(reason == "", reason)]


# --- late answers ----------------------------------------------------------------------------------


def test_answers_to_questions_of_an_ended_epoch_are_dropped() -> None:
    """Views count anew: a late block, or the news that there is none, is no answer in this epoch."""
    node = subject(me=LEADERS[1])
    node.pending()
    (build,) = builds_in(node.effects)
    ended(node)
    state = node.machine.state
    late = [
        Built(Epoch(0), build.view, FIRST),
        Built(Epoch(0), build.view, None),
        NothingToBuild(Epoch(0), build.view),
        Synced(FIRST, Subject(me=None).certificate(FINALIZE, 1, FIRST)),
    ]
    for answer in late:
        assert node.feed(answer) == []
    assert not state.round(View(1)).cannot_build
    assert not state.round(View(1)).has_nothing_to_build


def test_turns_go_up_one_by_one_and_only_at_an_end() -> None:
    """A driver that begins an epoch out of order has a bug, and is stopped."""
    node = subject()
    with pytest.raises(AssertionError, match="ended"):
        node.feed(node.begun(1, LAST, None))
    node.waits_to_turn = True
    finalization = ended(node)
    for wrong in (node.begun(2, LAST, finalization), node.begun(1, FIRST, finalization)):
        with pytest.raises(AssertionError):
            node.feed(wrong)


def test_a_machine_of_its_own_is_started_by_the_start() -> None:
    """Nothing happens before `Started`."""
    node = subject()
    machine = Epochs(CHAIN, node.begun(0, BASE, None), None)
    with pytest.raises(AssertionError, match="first input"):
        machine.step(0, Received(Peer(1), StatusMessage(0, 1, 0, 0)))
    assert machine.step(0, Started(TimeMs(0), BASE, None, ()))


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
        (LEADERS[1], late_vote(FINALIZE)),
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
