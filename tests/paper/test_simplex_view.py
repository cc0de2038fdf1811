"""One test for each line of the rules: entering a view, waking, leading, proposing."""

from __future__ import annotations

import pytest

from ledger.block import Header, block_id
from ledger.consensus.events import (
    Broadcast,
    Connected,
    Entered,
    Evidence,
    Fetch,
    NothingToBuild,
    Peer,
    Persist,
    Report,
    Send,
    WakeAt,
)
from ledger.consensus.messages import (
    CertificateRequest,
    CertificatesMessage,
    ProposalMessage,
    StatusMessage,
    Want,
)
from ledger.consensus.records import HeldCertificate, HeldProposal, OwnProposal
from ledger.consensus.timeouts import ConsensusParameters
from ledger.types import View
from tests.ledger.consensus.lockstep import BASE, EPOCH
from tests.ledger.consensus.subject import (
    BASE_ID,
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

D0 = ConsensusParameters().delay_first_ms
HEARTBEAT = ConsensusParameters().heartbeat_ms
LEADERS = [Subject(me=None).leader(view) for view in range(8)]


def follower() -> Subject:
    """A validator that leads neither of the first three views."""
    return Subject(me=LEADERS[4])


def leading(view: int = 1) -> Subject:
    """The validator that leads a view."""
    return Subject(me=LEADERS[view])


def chain(length: int) -> list[Header]:
    """The base block and its descendants."""
    headers = [BASE]
    for salt in range(1, length + 1):
        headers.append(block_on(headers[-1], salt))
    return headers


# --- enter(v, why) ------------------------------------------------------------------------


def test_enter_why_is_durable_before_the_move() -> None:
    """'enter(v, why): why = the certificate that allows it; durable before the move'"""
    subject = follower()
    why = subject.certificate(NULLIFY, 1)
    effects = subject.hear_certificates(why)
    assert isinstance(effects[0], Persist)
    assert HeldCertificate(why) in effects[0].records
    assert [entered.view for entered in of(effects, Entered)] == [2]


def test_enter_why_is_kept_and_sent_again() -> None:
    """'... kept, re-sent'"""
    subject = follower()
    why = subject.certificate(NULLIFY, 1)
    subject.hear_certificates(why)
    subject.pending()
    effects = subject.wait(1_000) + subject.wait(1_000)
    assert Broadcast(CertificatesMessage((why,))) in effects


@pytest.mark.parametrize(("nullified", "delay"), [(0, 500), (1, 750), (2, 1125)])
def test_enter_delay_follows_the_view_distance(nullified: int, delay: int) -> None:
    """'k = v - 1 - last_final.view; d = min(D0 * g**k, Dmax)': each view since the last adds to it."""
    subject = follower()
    for view in range(1, nullified + 1):
        subject.hear_certificates(subject.certificate(NULLIFY, view))
    view = nullified + 1
    if subject.leader(view) == subject.me:
        pytest.fail("the subject must not lead here")
    subject.pending()
    assert votes_in(subject.wait(2 * delay - 1)) == []
    assert votes_in(subject.wait(1)) == [(NULLIFY, view, None)]


def test_enter_delay_shrinks_with_a_finalization() -> None:
    """'one number, the same at every node': k counts from the last final view, not from timeouts suffered."""
    subject = follower()
    for view in range(1, 12):
        subject.hear_certificates(subject.certificate(NULLIFY, view))
    assert subject.machine.state.distance == 11
    subject.hear_certificates(subject.certificate(FINALIZE, 11, block_on(BASE)))
    assert subject.machine.state.distance == 0


# --- awake(v) -----------------------------------------------------------------------------


def test_awake_an_idle_view_has_no_timer() -> None:
    """'idle: no view timer': nothing pending, nothing unfinalized, no vote for longer than any view timer."""
    subject = follower()
    for _ in range(59):
        assert votes_in(subject.wait(1_000)) == []
    assert subject.view == 1


def test_awake_by_a_pending_transaction() -> None:
    """'awake(v) = pending transaction', and the timers count 'from the moment of waking'."""
    subject = follower()
    subject.wait(30_000)
    subject.pending()
    assert votes_in(subject.wait(2 * D0 - 1)) == []
    assert votes_in(subject.wait(1)) == [(NULLIFY, 1, None)]


def test_awake_by_something_unfinalized() -> None:
    """'anything unfinalized': after a notarization the next view runs, although nothing is pending."""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    assert subject.view == 2
    assert (NULLIFY, 2, None) in votes_in(subject.wait(2 * 750))


def test_awake_by_the_heartbeat() -> None:
    """'heartbeat due': of local monotonic time since the last commit."""
    subject = follower()
    assert votes_in(subject.wait(HEARTBEAT)) == []
    assert votes_in(subject.wait(2 * D0)) == [(NULLIFY, 1, None)]


def test_awake_by_a_proposal() -> None:
    """'a proposal for v seen'"""
    subject = follower()
    subject.has_bodies = False
    subject.hear_proposal(1, block_on(BASE))
    assert votes_in(subject.wait(3 * D0)) == [(NULLIFY, 1, None)]


@pytest.mark.parametrize("kind", [NOTARIZE, NULLIFY])
def test_awake_by_more_than_a_third(kind: object) -> None:
    """'notarize(v) or nullify(v) from f+1': one of four equal validators wakes nobody, two do."""
    subject = follower()
    bystanders = [index for index in subject.others if index != LEADERS[1]]
    header = block_on(BASE) if kind is NOTARIZE else None
    subject.hear_votes(bystanders[:1], kind, 1, header)  # type: ignore[arg-type] # parametrize knows no enum
    assert subject.machine.state.pacemaker.awake_at_ms is None
    subject.hear_votes(bystanders[1:2], kind, 1, header)  # type: ignore[arg-type] # the same
    assert subject.machine.state.pacemaker.awake_at_ms == subject.now_ms


def test_awake_is_evaluated_again_at_every_input() -> None:
    """'re-evaluated at every input': when nothing is left to do the timers stop."""
    from ledger.consensus.events import TransactionsPending

    subject = follower()
    subject.pending()
    subject.wait(500)
    subject.feed(TransactionsPending(False))
    assert votes_in(subject.wait(10_000)) == []


def test_alarm_that_rings_early_is_asked_for_again() -> None:
    """A timer that fires a millisecond early does nothing, and its deadline is not forgotten."""
    subject = follower()
    due_ms = of(subject.pending(), WakeAt)[-1].at_ms
    assert [alarm.at_ms for alarm in of(subject.wait(due_ms - subject.now_ms - 1), WakeAt)] == [due_ms]


def test_idle_a_slow_status_beacon() -> None:
    """'idle: ... a slow status beacon (epoch, view, last_final)'"""
    subject = follower()
    effects = [effect for _ in range(10) for effect in subject.wait(1_000)]
    beacons = [effect for effect in of(effects, Broadcast) if isinstance(effect.message, StatusMessage)]
    assert [beacon.message for beacon in beacons] == [StatusMessage(0, 1, 0, 0)] * 2
    assert of(effects, Broadcast) == beacons


def test_status_is_sent_on_connect() -> None:
    """'also sent on connect'"""
    subject = follower()
    assert sent_to(subject.feed(Connected(Peer(9))), 9) == [StatusMessage(0, 1, 0, 0)]


def test_status_a_peer_ahead_answers_with_finalization_and_entry() -> None:
    """'a peer ahead answers with its highest finalization and its entry certificate'"""
    subject = follower()
    header = block_on(BASE)
    final, entry = subject.certificate(FINALIZE, 3, header), subject.certificate(NULLIFY, 4)
    subject.hear_certificates(final, entry)
    assert sent_to(subject.hear(StatusMessage(0, 2, 0, 1), 3), 3) == [CertificatesMessage((final, entry))]
    assert sent_to(subject.hear(StatusMessage(0, 5, 3, 4), 3), 3) == []


def test_status_moves_nothing() -> None:
    """A declared view or finalization is no reason to move: 'only certificates move the target'."""
    subject = follower()
    effects = subject.hear(StatusMessage(0, 10**9, 10**9, 10**9), 3)
    assert subject.view == 1
    assert sent_to(effects, 3) == [StatusMessage(0, 1, 0, 0)]


# --- I lead -----------------------------------------------------------------------------------


def test_lead_builds_on_the_base_when_transactions_wait() -> None:
    """'build when there are transactions'"""
    subject = leading()
    (build,) = builds_in(subject.pending())
    assert (build.view, build.parent.block_id, build.parent_certificate) == (1, BASE_ID, None)
    assert not build.may_be_empty


def test_lead_builds_for_the_heartbeat() -> None:
    """'the heartbeat is due': the block may be empty."""
    subject = leading()
    assert builds_in(subject.wait(HEARTBEAT - 1)) == []
    (build,) = builds_in(subject.wait(1))
    assert build.may_be_empty


def test_lead_builds_an_empty_block_on_an_unfinalized_parent() -> None:
    """'or the parent chain has an unfinalized block (then empty if need be)', after d."""
    subject = leading(2)
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    notarization = subject.certificate(NOTARIZE, 1, header)
    assert builds_in(subject.hear_certificates(notarization)) == []
    assert builds_in(subject.wait(749)) == []
    (build,) = builds_in(subject.wait(1))
    assert build.may_be_empty
    assert (build.parent.block_id, build.parent_certificate) == (block_id(header), notarization)


def test_lead_stays_quiet_when_the_parent_becomes_final_in_time() -> None:
    """'Empty chains stay quiet': the finalization arrives before the empty block is due."""
    subject = leading(2)
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    subject.hear_certificates(subject.certificate(FINALIZE, 1, header))
    assert builds_in(subject.wait(10_000)) == []


def test_lead_with_nothing_new_waits_for_a_transaction() -> None:
    """Pending transactions that the parent chain holds already make no second block; a new one does."""
    subject = leading()
    subject.pending()
    assert builds_in(subject.feed(NothingToBuild(EPOCH, View(1)))) == []
    assert len(builds_in(subject.pending())) == 1


def test_lead_parent_is_the_highest_certified_block() -> None:
    """'parent = highest p with a notarization ..., valid, and nullifications for every view between'"""
    subject = leading(4)
    _, first, second = chain(2)
    subject.hear_proposal(1, first)
    lower = subject.certificate(NOTARIZE, 1, first)
    subject.hear_proposal(2, second, 1, lower)
    upper = subject.certificate(NOTARIZE, 2, second)
    subject.hear_certificates(upper, subject.certificate(NULLIFY, 3))
    (build,) = builds_in(subject.pending())
    assert (build.view, build.parent.block_id, build.parent_certificate) == (4, block_id(second), upper)


def test_lead_asks_for_what_its_parent_lacks() -> None:
    """'keep fetching what is missing until t_leader': no build over a gap, but a request."""
    subject = leading(4)
    subject.hear_certificates(subject.certificate(NULLIFY, 1), subject.certificate(NULLIFY, 3))
    effects = subject.pending()
    assert builds_in(effects) == []
    wanted = CertificateRequest(0, (Want(2, NULLIFY), Want(2, NOTARIZE)))
    assert Broadcast(wanted) in effects
    assert builds_in(subject.hear_certificates(subject.certificate(NULLIFY, 2))) != []


def test_lead_gives_up_what_it_cannot_complete() -> None:
    """'... until t_leader': then the leader nullifies its own view."""
    subject = leading(4)
    subject.hear_certificates(subject.certificate(NULLIFY, 1), subject.certificate(NULLIFY, 3))
    subject.pending()
    assert (NULLIFY, 4, None) in votes_in(subject.wait(2 * 1687))


def test_lead_persists_proposal_and_body_before_sending() -> None:
    """'PERSIST proposal and body, send it with the parent's certificate and the gap's nullifications'"""
    subject = leading(4)
    gap = [subject.certificate(NULLIFY, view) for view in (1, 2, 3)]
    subject.hear_certificates(*gap)
    subject.pending()
    header = block_on(BASE)
    effects = subject.build(4, header)
    persist = effects[0]
    assert isinstance(persist, Persist)
    assert block_id(header) in persist.bodies
    assert any(isinstance(record, OwnProposal) for record in persist.records)
    assert any(isinstance(record, HeldProposal) for record in persist.records)
    (sent,) = [each.message for each in of(effects, Broadcast) if isinstance(each.message, ProposalMessage)]
    assert sent.gap == tuple(gap)
    assert sent.parent_certificate is None
    assert (NOTARIZE, 4, block_id(header)) in votes_in(effects)


def test_lead_attaches_at_most_sixteen_nullifications() -> None:
    """'at most 16 attached, the rest by paged request'"""
    view = view_led_by(Subject(me=LEADERS[1]), LEADERS[1], start=20)
    subject = leading(1)
    for below in range(1, view):
        subject.hear_certificates(subject.certificate(NULLIFY, below))
    subject.pending()
    effects = subject.build(view, block_on(BASE))
    (sent,) = [each.message for each in of(effects, Broadcast) if isinstance(each.message, ProposalMessage)]
    assert [nullification.view for nullification in sent.gap] == list(range(1, 17))


def test_lead_proposes_once() -> None:
    """S1 at the machine: a second answer of the builder changes nothing."""
    subject = leading()
    subject.pending()
    subject.build(1, block_on(BASE))
    assert of(subject.build(1, block_on(BASE, 2)), Broadcast) == []


def test_lead_that_cannot_build_nullifies() -> None:
    """'cannot build for good' -> nullify now."""
    from ledger.consensus.events import Built

    subject = leading()
    subject.pending()
    assert votes_in(subject.feed(Built(EPOCH, View(1), None))) == [(NULLIFY, 1, None)]


# --- proposal(b, v) ---------------------------------------------------------------------------------


def test_proposal_is_voted_for_with_its_body_in_one_sync() -> None:
    """'valid, timely, notarized_hash None -> PERSIST vote and block body in one sync, vote notarize(v, h)'"""
    subject = follower()
    header = block_on(BASE)
    effects = subject.hear_proposal(1, header)
    assert votes_in(effects) == [(NOTARIZE, 1, block_id(header))]
    (persist,) = of(effects, Persist)
    assert persist.bodies == (block_id(header),)
    assert [type(record).__name__ for record in persist.records] == ["HeldProposal", "OwnVote"]
    assert effects.index(persist) < min(effects.index(each) for each in of(effects, Broadcast))


def test_proposal_the_first_only() -> None:
    """'the first only': a second block of the leader gets no vote and is evidence, once."""
    subject = follower()
    first, second, third = (subject.proposal(1, block_on(BASE, salt)) for salt in (1, 2, 3))
    subject.hear(first, LEADERS[1])
    effects = subject.hear(second, LEADERS[1])
    assert votes_in(effects) == []
    assert of(effects, Evidence) == [Evidence(LEADERS[1], first.signed, second.signed)]
    assert of(subject.hear(third, LEADERS[1]), Evidence) == []


def test_proposal_is_shown_to_who_was_shown_another() -> None:
    """A leader that shows two proposals apart is proved guilty: who votes for the other is sent mine."""
    subject = follower()
    mine, theirs = block_on(BASE, 1), block_on(BASE, 2)
    one, other = (index for index in subject.others if index != LEADERS[1])
    held = subject.proposal(1, mine)
    subject.hear(held, LEADERS[1])
    assert of(subject.hear_votes([one], NOTARIZE, 1, mine), Send) == []
    (sent,) = of(subject.hear_votes([other], NOTARIZE, 1, theirs), Send)
    assert sent.peer == Peer(other)
    assert isinstance(sent.message, ProposalMessage)
    assert (sent.message.signed, sent.message.header) == (held.signed, mine)
    assert of(subject.hear_votes([other], NOTARIZE, 1, block_on(BASE, 3)), Send) == []
    assert of(subject.hear_votes([other], NULLIFY, 1), Send) == []
    elsewhere = follower()
    elsewhere.hear(elsewhere.proposal(1, theirs), LEADERS[1])
    effects = elsewhere.hear(sent.message, one)
    assert [each.validator for each in of(effects, Evidence)] == [LEADERS[1]]


def test_proposal_from_the_leader_only() -> None:
    """'from leader(v)': a proposal out of turn is evidence by itself, and is not voted for."""
    subject = follower()
    usurper = LEADERS[2]
    message = subject.proposal(1, block_on(BASE), by=usurper)
    effects = subject.hear(message, usurper)
    assert votes_in(effects) == []
    assert of(effects, Evidence) == [Evidence(usurper, message.signed, None)]
    assert [report.code for report in of(effects, Report)] == ["proposal.out_of_turn"]
    assert of(subject.hear(message, usurper), Evidence) == []


def test_proposal_passed_on_by_another_peer_counts() -> None:
    """The signature says whose proposal it is, not the connection that it came by."""
    subject = follower()
    header = block_on(BASE)
    assert votes_in(subject.hear(subject.proposal(1, header), 9)) == [(NOTARIZE, 1, block_id(header))]


def test_proposal_cancels_t_leader_but_not_t_advance() -> None:
    """'cancels t_leader; t_advance stays'"""
    subject = follower()
    subject.has_bodies = False
    subject.pending()
    subject.wait(500)
    subject.hear_proposal(1, block_on(BASE))
    assert votes_in(subject.wait(3 * D0 - 501)) == []
    assert votes_in(subject.wait(1)) == [(NULLIFY, 1, None)]


def test_proposal_signature_is_checked() -> None:
    """'Check signature': a forged proposal is reported and leaves nothing behind."""
    subject = follower()
    good = subject.proposal(1, block_on(BASE))
    other = subject.proposal(1, block_on(BASE, 2))
    forged = ProposalMessage(
        type(good.signed)(good.signed.proposal, good.signed.validator, other.signed.signature),
        good.header,
        None,
        (),
    )
    effects = subject.hear(forged, 2)
    assert [report.code for report in of(effects, Report)] == ["proposal.wrong_signature"]
    assert votes_in(subject.hear(good, LEADERS[1])) != []


def test_proposal_header_is_the_signed_block() -> None:
    """A header beside the signed block id is refused before it is stored."""
    subject = follower()
    good = subject.proposal(1, block_on(BASE))
    swapped = ProposalMessage(good.signed, block_on(BASE, 2), None, ())
    assert [report.code for report in of(subject.hear(swapped, 2), Report)] == ["proposal.wrong_header"]
    assert votes_in(subject.hear(good, LEADERS[1])) != []


def test_proposal_lacking_gap_certificates_waits_for_them() -> None:
    """'certificates for every gap view': the exact missing ones are asked for at the leader."""
    subject = follower()
    header = block_on(BASE)
    nullifications = {view: subject.certificate(NULLIFY, view) for view in (1, 2)}
    subject.hear_certificates(nullifications[2])
    effects = subject.hear_proposal(3, header)
    assert votes_in(effects) == []
    assert sent_to(effects, LEADERS[3]) == [CertificateRequest(0, (Want(1, NULLIFY),))]
    assert votes_in(subject.hear_certificates(nullifications[1])) == [(NOTARIZE, 3, block_id(header))]


def test_proposal_lacking_its_parents_certificate_waits_for_it() -> None:
    """A parent that no quorum is known to have notarized is no parent yet."""
    subject = follower()
    _, first, second = chain(2)
    subject.hear_proposal(1, first)
    subject.hear_certificates(subject.certificate(NULLIFY, 1))
    effects = subject.hear_proposal(2, second, 1)
    assert votes_in(effects) == []
    assert sent_to(effects, LEADERS[2]) == [CertificateRequest(0, (Want(1, NOTARIZE),))]
    notarization = subject.certificate(NOTARIZE, 1, first)
    assert (NOTARIZE, 2, block_id(second)) in votes_in(subject.hear_certificates(notarization))


def test_proposal_attachments_complete_it_at_once() -> None:
    """Parent certificate and gap travel with the proposal: a node that has neither votes in one step."""
    subject = follower()
    _, first, second = chain(2)
    subject.headers[block_id(first)] = first
    parent = subject.certificate(NOTARIZE, 1, first)
    gap = (subject.certificate(NULLIFY, 2),)
    effects = subject.hear_proposal(3, second, 1, parent, gap)
    assert subject.view == 3
    assert (NOTARIZE, 3, block_id(second)) in votes_in(effects)


def test_proposal_on_a_parent_below_the_final_view_is_refused() -> None:
    """'p.view >= last_final.view'"""
    subject = follower()
    header = block_on(BASE)
    subject.headers[block_id(header)] = header
    subject.hear_certificates(subject.certificate(FINALIZE, 1, header))
    effects = subject.hear_proposal(2, block_on(BASE, 7))
    assert [report.code for report in of(effects, Report)] == ["proposal.wrong_place"]
    assert (NOTARIZE, 2) not in [vote[:2] for vote in votes_in(effects)]


def test_proposal_beside_the_final_block_is_refused() -> None:
    """In the final view only the final block is a parent."""
    subject = follower()
    header, sibling = block_on(BASE), block_on(BASE, 2)
    subject.headers[block_id(header)] = header
    subject.hear_certificates(subject.certificate(FINALIZE, 1, header))
    effects = subject.hear_proposal(2, block_on(sibling), 1)
    assert [report.code for report in of(effects, Report)] == ["proposal.wrong_place"]


def test_proposal_of_a_wrong_height_is_refused() -> None:
    """The height is the parent's plus one."""
    subject = follower()
    effects = subject.hear_proposal(1, block_on(BASE, height=2))
    assert [report.code for report in of(effects, Report)] == ["proposal.wrong_place"]
    assert votes_in(effects) == [(NULLIFY, 1, None)]


def test_proposal_from_the_near_future_waits_for_its_time() -> None:
    """'too early = pending': voted for when now + drift reaches its time, without a new message."""
    subject = follower()
    early = block_on(BASE, time_ms=subject.wall_ms + 2_000 + 400)
    effects = subject.hear_proposal(1, early)
    assert votes_in(effects) == []
    assert of(effects, WakeAt)[-1].at_ms == subject.now_ms + 400
    assert votes_in(subject.wait(399)) == []
    assert votes_in(subject.wait(1)) == [(NOTARIZE, 1, block_id(early))]


def test_proposal_time_must_pass_the_parents() -> None:
    """'parent.time < b.time': a block as old as its parent gets no vote of ours."""
    subject = follower()
    assert votes_in(subject.hear_proposal(1, block_on(BASE, time_ms=BASE.time_ms))) == []


def test_proposal_time_one_ms_after_the_parent_is_always_timely() -> None:
    """'max(parent.time + 1 ms, now + drift)': a parent from the future does not stop the chain."""
    subject = follower()
    ahead = block_on(BASE, time_ms=subject.wall_ms + 60_000)
    subject.hear_proposal(1, ahead)
    notarization = subject.certificate(NOTARIZE, 1, ahead)
    subject.hear_certificates(notarization)
    child = block_on(ahead, time_ms=ahead.time_ms + 1)
    assert (NOTARIZE, 2, block_id(child)) in votes_in(subject.hear_proposal(2, child, 1, notarization))


def test_time_is_no_part_of_finality() -> None:
    """'never part of validity, finalize, jump, sync': a quorum's block counts whatever its time."""
    subject = follower()
    early = block_on(BASE, time_ms=subject.wall_ms + 10**6)
    subject.hear_proposal(1, early)
    effects = subject.hear_certificates(subject.certificate(NOTARIZE, 1, early))
    assert subject.view == 2
    assert (FINALIZE, 1, block_id(early)) in votes_in(effects)


def test_proposal_after_own_nullify_gets_no_vote() -> None:
    """'not after one's own nullify(v): the signer enforces it'"""
    subject = follower()
    subject.pending()
    assert votes_in(subject.wait(2 * D0)) == [(NULLIFY, 1, None)]
    assert votes_in(subject.hear_proposal(1, block_on(BASE))) == []


def test_proposal_invalid_for_good_is_nullified_now() -> None:
    """'permanently invalid -> nullify now'"""
    from ledger.consensus.events import Verdict

    subject = follower()
    subject.verdict = Verdict.INVALID
    effects = subject.hear_proposal(1, block_on(BASE))
    assert votes_in(effects) == [(NULLIFY, 1, None)]
    assert [report.code for report in of(effects, Report)] == ["proposal.invalid_block"]


def test_proposal_invalid_has_a_floor_that_grows() -> None:
    """'with a floor that grows with k, so that views cannot spin'"""
    from ledger.consensus.events import Verdict

    subject = follower()
    subject.verdict = Verdict.INVALID
    gap = [subject.certificate(NULLIFY, view) for view in (1, 2)]
    subject.hear_certificates(*gap)
    assert votes_in(subject.hear_proposal(3, block_on(BASE))) == []
    assert votes_in(subject.wait(1125 - 500 - 1)) == []
    assert votes_in(subject.wait(1)) == [(NULLIFY, 3, None)]


def test_proposal_with_missing_data_is_pending() -> None:
    """'data missing -> pending, not invalid; ask the proposer', again and again."""
    subject = follower()
    subject.has_bodies = False
    header = block_on(BASE)
    effects = subject.hear_proposal(1, header)
    assert of(effects, Fetch) == [Fetch(block_id(header), (Peer(LEADERS[1]),))]
    assert votes_in(effects) == []
    subject.has_bodies = True
    assert votes_in(subject.wait(1_000)) == [(NOTARIZE, 1, block_id(header))]


def test_check_that_times_out_is_pending() -> None:
    """'A block check that times out is "pending", not "false"': it is repeated, then voted for."""
    from ledger.consensus.events import Verdict

    subject = follower()
    subject.verdict = Verdict.PENDING
    header = block_on(BASE)
    assert votes_in(subject.hear_proposal(1, header)) == []
    subject.verdict = Verdict.VALID
    assert votes_in(subject.wait(1_000)) == [(NOTARIZE, 1, block_id(header))]


def test_records_of_a_step_come_first() -> None:
    """'Effects are performed in order and nothing after a persist happens before it is synced'"""
    subject = leading()
    subject.pending()
    effects = subject.build(1, block_on(BASE))
    assert isinstance(effects[0], Persist)
    assert len(of(effects, Persist)) == 1
    assert records_in(effects)
