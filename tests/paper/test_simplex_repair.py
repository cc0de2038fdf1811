"""One test for each line of the rules: answers, resends, restarts, quarantine, other epochs."""

from __future__ import annotations

from typing import TypeVar

import pytest

from ledger.block import Header, block_id
from ledger.codec import encode
from ledger.consensus.events import (
    Behind,
    Broadcast,
    Commit,
    Connected,
    DropRecords,
    Effect,
    Entered,
    Peer,
    Persist,
    Report,
    SignerState,
    Synced,
)
from ledger.consensus.messages import (
    CERTIFICATES_PAGE_MAX,
    VOTES_PAGE_MAX,
    CertificateRequest,
    CertificatesMessage,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
    Want,
)
from ledger.consensus.records import Record, SignerFloor, decode_record, encode_record, record_position
from ledger.consensus.repair import RESENDS_PER_PAGE
from ledger.consensus.signer import first_record
from ledger.types import View
from ledger.vote import Certificate, SignedVote, Vote, VoteKind, sign_vote
from tests.ledger.consensus.lockstep import BASE, CHAIN, EPOCH, GENERATION
from tests.ledger.consensus.subject import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    Subject,
    block_on,
    builds_in,
    certificates_in,
    of,
    records_in,
    sent_to,
    unsigned_certificates,
    votes_in,
)

LEADERS = [Subject(me=None).leader(view) for view in range(8)]
MessageKind = TypeVar("MessageKind", ProposalMessage, VotesMessage, CertificatesMessage)


def follower() -> Subject:
    """A validator that leads neither of the first three views."""
    return Subject(me=LEADERS[4])


def said(effects: list[Effect], kind: type[MessageKind]) -> list[MessageKind]:
    """The messages of one kind that were broadcast."""
    return [each.message for each in of(effects, Broadcast) if isinstance(each.message, kind)]


def log_of(subject: Subject) -> list[Record]:
    """What a disk would hold: every record, less what was dropped, through its encoding."""
    assert subject.me is not None
    records: list[Record] = [subject.floor(0), *records_in(subject.effects)]
    for drop in of(subject.effects, DropRecords):
        records = [record for record in records if record_position(record) >= (drop.epoch, drop.view)]
    return [decode_record(encode_record(record)) for record in records]


def restarted(subject: Subject, head: Header = BASE, finalization: Certificate | None = None) -> Subject:
    """The same validator after a crash."""
    again = Subject(me=subject.me, records=log_of(subject), head=head, finalization=finalization)
    again.headers = dict(subject.headers)
    return again


# --- a vote, or a request, at or below the finalized view ------------------------------------------


def settled() -> tuple[Subject, Certificate]:
    """A node whose view 3 is final for a while."""
    subject = follower()
    header = block_on(BASE)
    subject.headers[block_id(header)] = header
    final = subject.certificate(FINALIZE, 3, header)
    subject.hear_certificates(final)
    subject.wait(1_000)
    return subject, final


@pytest.mark.parametrize("view", [1, 3])
@pytest.mark.parametrize("kind", list(VoteKind))
def test_old_vote_is_answered_with_the_highest_finalization(view: int, kind: VoteKind) -> None:
    """'a vote ... at or below the finalized view -> answer that peer with the HIGHEST finalization'"""
    subject, final = settled()
    vote = subject.vote(1, kind, view, None if kind is NULLIFY else block_on(BASE, 9))
    assert sent_to(subject.hear(VotesMessage((vote,)), 1), 1) == [CertificatesMessage((final,))]


def test_old_proposal_is_answered_with_the_highest_finalization() -> None:
    """A leader that proposes in a settled view is told so."""
    subject, final = settled()
    assert sent_to(subject.hear_proposal(2, block_on(BASE, 9)), LEADERS[2]) == [CertificatesMessage((final,))]


def test_old_request_is_answered_with_the_highest_finalization() -> None:
    """'or a request for a ... certificate': below the floor too, where the certificate itself is gone."""
    subject, final = settled()
    request = CertificateRequest(0, (Want(1, NULLIFY), Want(2, NOTARIZE)))
    assert sent_to(subject.hear(request, 1), 1) == [CertificatesMessage((final,))]


def test_votes_that_cross_their_finalization_are_not_answered() -> None:
    """A late vote of the view that was finalized this moment costs no traffic."""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(FINALIZE, 1, header))
    assert sent_to(subject.hear_votes([1], FINALIZE, 1, header), 1) == []


def test_answers_are_bounded_a_peer() -> None:
    """'(token bucket a peer)': a peer that asks a thousand times is answered a bounded number of times."""
    subject, _ = settled()
    request = CertificateRequest(0, (Want(1, NULLIFY),))
    answers = [answer for _ in range(1_000) for answer in sent_to(subject.hear(request, 1), 1)]
    assert len(answers) == 64
    assert len(sent_to(subject.hear(request, 3), 3)) == 1


def test_request_is_answered_with_exactly_what_is_held() -> None:
    """'key (view, wanted kind)', at most a page in one message."""
    subject = follower()
    held = [subject.certificate(NULLIFY, view) for view in range(1, 21)]
    subject.hear_certificates(*held[:16])
    subject.hear_certificates(*held[16:])
    wants = tuple(Want(view, NULLIFY) for view in range(1, 30))
    answers = sent_to(subject.hear(CertificateRequest(0, wants), 1), 1)
    pages = [answer.certificates for answer in answers if isinstance(answer, CertificatesMessage)]
    assert [len(page) for page in pages] == [CERTIFICATES_PAGE_MAX, 4]
    assert [certificate for page in pages for certificate in page] == held


# --- t_retry ---------------------------------------------------------------------------------------


def test_retry_resends_the_identical_votes() -> None:
    """'resend the identical bytes of all own votes above last_final (notarize, nullify and finalize)'"""
    subject = follower()
    header = block_on(BASE)
    first = said(subject.hear_proposal(1, header), VotesMessage)
    second = said(subject.hear_certificates(subject.certificate(NOTARIZE, 1, header)), VotesMessage)
    again = said(subject.wait(1_000), VotesMessage)
    fresh = [vote for message in (*first, *second) for vote in message.votes]
    assert [encode(vote) for message in again for vote in message.votes] == [encode(vote) for vote in fresh]
    assert [vote.vote.kind for vote in fresh] == [NOTARIZE, FINALIZE]


def test_retry_goes_on_as_long_as_it_takes() -> None:
    """'t_retry, while anything above last_final is notarized, voted or nullified': until it is settled."""
    subject = follower()
    subject.pending()
    subject.wait(1_000)
    for _ in range(120):
        assert (NULLIFY, 1, None) in votes_in(subject.wait(1_000))
    subject.hear_certificates(subject.certificate(FINALIZE, 1, block_on(BASE)))
    assert (NULLIFY, 1, None) not in votes_in(subject.wait(1_000))


def test_retry_resends_own_proposal_complete() -> None:
    """'own proposal': with parent certificate and gap, as the first time."""
    subject = Subject(me=LEADERS[2])
    subject.hear_certificates(subject.certificate(NULLIFY, 1))
    subject.pending()
    first = said(subject.build(2, block_on(BASE)), ProposalMessage)
    again = said(subject.wait(1_000), ProposalMessage)
    assert [encode(message) for message in again] == [encode(message) for message in first]
    assert again[0].gap != ()


def test_retry_resends_entry_and_finalization() -> None:
    """'the entry certificate, the highest finalization'"""
    subject, final = settled()
    entry = subject.certificate(NULLIFY, 4)
    subject.hear_certificates(entry)
    subject.pending()
    effects = [effect for _ in range(2) for effect in subject.wait(1_000)]
    assert CertificatesMessage((final, entry)) in said(effects, CertificatesMessage)


def test_retry_pages_the_other_certificates_at_a_slower_rate() -> None:
    """'every certificate above last_final at a slower rate, paged': all come, a page every fourth time."""
    subject = follower()
    views = range(1, 41)
    for view in views:
        subject.hear_certificates(subject.certificate(NULLIFY, view))
    subject.pending()
    seconds = [said(subject.wait(1_000), CertificatesMessage) for _ in range(16)]
    pages = [
        message.certificates for messages in seconds for message in messages if len(message.certificates) > 2
    ]
    assert len(pages) <= 4
    assert sorted({certificate.view for page in pages for certificate in page}) == list(views)


def test_retry_traffic_has_a_bound() -> None:
    """'Total resend traffic has a bound': half an hour stuck above 300 views."""
    subject = follower()
    for view in range(1, 301):
        subject.pending()
        subject.hear_certificates(subject.certificate(NULLIFY, view))
        if subject.leader(view + 1) != subject.me:
            subject.hear_votes([subject.leader(view + 1)], NULLIFY, view + 1)  # so that we vote too
    assert len(subject.signer.votes()) > VOTES_PAGE_MAX if subject.signer else False
    seen: dict[int, None] = {}
    for _ in range(1_800):
        effects = subject.wait(1_000)
        messages = of(effects, Broadcast)
        assert len(messages) <= 6
        assert sum(len(encode(message.message)) for message in messages) < 64 << 10
        seen.update(dict.fromkeys(vote[1] for vote in votes_in(effects)))
    assert len(seen) >= len(subject.signer.votes()) if subject.signer else False


def test_retry_sleeps_when_all_is_settled() -> None:
    """A chain with nothing above its last finalization says nothing but its beacon."""
    subject, _ = settled()
    effects = [effect for _ in range(50) for effect in subject.wait(1_000)]
    assert {type(each.message) for each in of(effects, Broadcast)} == {StatusMessage}


def test_a_sleeping_view_repeats_at_the_rate_of_the_beacon() -> None:
    """R8: with something certified above the final view and nothing to do, it retries each status_ms."""
    subject = follower()
    subject.hear_certificates(subject.certificate(NULLIFY, 1))
    effects = [
        effect for _ in range(55) for effect in subject.wait(1_000)
    ]  # the heartbeat wakes it after 60 s
    retries = 55_000 // subject.parameters.status_ms
    again = [each for each in of(effects, Broadcast) if isinstance(each.message, CertificatesMessage)]
    assert len(again) == retries + retries // RESENDS_PER_PAGE


# --- start -----------------------------------------------------------------------------------------


def test_start_resumes_at_the_highest_view_that_certificates_allow() -> None:
    """'start: replay; resume at the highest view that persisted certificates allow'"""
    subject = follower()
    subject.hear_certificates(*(subject.certificate(NULLIFY, view) for view in (1, 2, 6)))
    assert restarted(subject).view == 7


def test_start_resumes_by_a_notarization_once_its_body_is_checked_again() -> None:
    """The execution is lost with the process; view and finalize vote come back with the check."""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    again = Subject(me=subject.me, records=log_of(subject), has_bodies=False)
    assert again.view == 1
    again.headers, again.has_bodies = subject.headers, True
    again.wait(1_000)
    assert again.view == 2


def test_start_commits_what_was_final_but_not_committed() -> None:
    """A crash between the finalization's record and the commit loses nothing."""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    final = subject.certificate(FINALIZE, 1, header)
    records = [*log_of(subject), *records_in(subject.hear_certificates(final))]
    again = Subject(me=subject.me, records=records, has_bodies=False)
    again.headers, again.has_bodies = subject.headers, True
    assert [commit.block_id for commit in of(again.wait(5_000), Commit)] == [block_id(header)]


def test_start_resends_and_a_restored_flag_never_means_sent() -> None:
    """'resend as above; arm the timers (t_retry too where the record says nullified)'"""
    subject = follower()
    subject.pending()
    nullified = said(subject.wait(1_000), VotesMessage)
    again = restarted(subject)
    effects = [effect for _ in range(6) for effect in again.wait(1_000)]
    assert nullified[0] in said(effects, VotesMessage)


def test_start_keeps_every_promise() -> None:
    """After a restart the nullified view gets no other vote, a re-sent certificate or not."""
    subject = follower()
    subject.pending()
    subject.wait(1_000)
    again = restarted(subject)
    header = block_on(BASE)
    again.hear_proposal(1, header)
    again.hear_certificates(again.certificate(NOTARIZE, 1, header))
    assert again.view == 2
    assert {vote[0] for vote in votes_in(again.effects) if vote[1] == 1} <= {NULLIFY}


def test_start_proposes_nothing_new_where_it_proposed() -> None:
    """S1 after a restart: the leader sends its first proposal again and builds no other."""
    subject = Subject(me=LEADERS[1])
    subject.pending()
    first = said(subject.build(1, block_on(BASE)), ProposalMessage)
    again = restarted(subject)
    effects = [effect for _ in range(3) for effect in (*again.pending(), *again.wait(400))]
    assert builds_in(effects) == []
    assert encode(said(effects, ProposalMessage)[0]) == encode(first[0])


def test_start_votes_for_its_own_proposal_when_its_time_has_come() -> None:
    """A proposal that was durable but not voted for yet is taken up again: fetched, checked, voted for."""
    subject = Subject(me=LEADERS[1])
    subject.pending()
    header = block_on(BASE, time_ms=subject.wall_ms + 2_500)
    assert votes_in(subject.build(1, header)) == []
    again = Subject(me=subject.me, records=log_of(subject), has_bodies=False)
    again.headers, again.has_bodies = subject.headers, True
    again.wait(1_000)
    assert (NOTARIZE, 1, block_id(header)) in votes_in(again.effects)


def test_start_from_a_store_goes_on_above_it() -> None:
    """With blocks committed the node begins in the view after the finalization of its head."""
    subject = follower()
    header = block_on(BASE)
    final = subject.certificate(FINALIZE, 1, header)
    subject.hear_proposal(1, header)
    subject.hear_certificates(final)
    again = restarted(subject, header, final)
    assert [entered.view for entered in of(again.effects, Entered)] == [2]
    assert of(again.effects, SignerState) == [SignerState(True, "")]
    child = block_on(header)
    assert (NOTARIZE, 2, block_id(child)) in votes_in(again.hear_proposal(2, child, 1, final))


def test_start_with_every_prefix_of_the_log_is_safe() -> None:
    """Whatever the crash left of the last records, no restart signs what conflicts with a vote that left."""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    records = log_of(subject)
    for length in range(1, len(records) + 1):
        again = Subject(me=subject.me, records=records[:length])
        again.headers = subject.headers
        again.hear_certificates(again.certificate(NULLIFY, 1))


def test_a_log_torn_before_the_floor_raises_it_before_the_commit() -> None:
    """A power cut kept the finalization and lost the floor of the same sync: the start makes up for it, or
    dropping the records below the commit would leave a record without any floor."""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(
        subject.certificate(NOTARIZE, 1, header), subject.certificate(FINALIZE, 1, header)
    )
    records: list[Record] = [subject.floor(0), *records_in(subject.effects)]
    assert isinstance(records[-1], SignerFloor)
    again = Subject(me=subject.me, records=records[:-1])
    again.headers = subject.headers
    again.wait(again.parameters.status_ms)
    kinds = [type(each) for each in again.effects if isinstance(each, Persist | Commit)]
    assert kinds[:2] == [Persist, Commit]
    floors = [each for each in records_in(again.effects) if isinstance(each, SignerFloor)]
    assert [(floor.epoch, floor.view) for floor in floors] == [(0, 1)]


# --- quarantine ------------------------------------------------------------------------------------


def test_quarantine_signs_nothing_and_ends_above_what_others_report() -> None:
    """'do not sign until a finalization above V is seen', V from reports of more than two thirds"""
    subject = Subject(me=LEADERS[4], records=[])
    assert of(subject.effects, SignerState) == [SignerState(False, "signer.no_record")]
    header = block_on(BASE)
    assert votes_in(subject.hear_proposal(1, header)) == []
    for peer, entry in zip(subject.others, (4, 9, 7), strict=True):
        subject.hear(StatusMessage(0, entry + 1, 0, entry), peer)
    subject.headers[block_id(header)] = header
    assert of(subject.hear_certificates(subject.certificate(FINALIZE, 10, header)), SignerState) == []
    assert of(subject.hear_certificates(subject.certificate(FINALIZE, 11, header)), SignerState) == []
    effects = unsigned_certificates(subject, 12)
    assert of(effects, SignerState) == [SignerState(True, "")]
    assert [record.view for record in records_in(effects) if isinstance(record, SignerFloor)] == [11]


def test_quarantine_needs_more_than_two_thirds_of_reports() -> None:
    """Reports of exactly two thirds, or of one peer three times, end nothing; observers do not count."""
    subject = Subject(stakes=(1, 1, 1), me=0, records=[])
    for peer in (1, 2, 1, 2, 200):
        subject.hear(StatusMessage(0, 3, 0, 2), peer)
    subject.hear_certificates(subject.certificate(FINALIZE, 50, block_on(BASE)))
    assert of(subject.effects, SignerState) == [SignerState(False, "signer.no_record")]


def test_quarantine_of_a_restored_backup() -> None:
    """Yesterday's log beside today's store: the floor lies below the store, so nothing is signed."""
    subject = follower()
    old = log_of(subject)
    header = block_on(BASE)
    again = Subject(
        me=subject.me, records=old, head=header, finalization=subject.certificate(FINALIZE, 7, header)
    )
    assert of(again.effects, SignerState) == [SignerState(False, "signer.floor_below_store")]


def test_a_claim_counts_when_certificates_bear_it_out() -> None:
    """Q4: a liar's boast keeps nobody in quarantine for ever, nor does it end one: it is as if unsaid."""
    subject = Subject(stakes=(1,) * 7, me=LEADERS[4], records=[])
    boaster, *honest = subject.others
    subject.hear(StatusMessage(0, 1 << 60, (1 << 60) - 1, (1 << 60) - 1), boaster)
    for peer in honest:
        subject.hear(StatusMessage(0, 10, 0, 9), peer)
    header = block_on(BASE)
    subject.headers[block_id(header)] = header
    others = subject.others
    subject.hear_certificates(subject.certificate(NULLIFY, 9, signers=others))
    subject.hear_certificates(subject.certificate(FINALIZE, 11, header, signers=others))
    assert SignerState(True, "") in unsigned_certificates(subject, 12)


def test_normal_restart_signs_at_once() -> None:
    """Q5, Q7: 'The record is created with the key by init/join, so that ... and so does a normal restart'"""
    subject = follower()
    assert of(subject.effects, SignerState) == [SignerState(True, "")]
    assert of(restarted(subject).effects, SignerState) == [SignerState(True, "")]


# --- other epochs ----------------------------------------------------------------------------------


def test_a_statement_of_another_epoch_among_ours_is_reported_and_not_counted() -> None:
    """'Of another epoch nothing is counted': whole messages go to `Epochs`; no correct peer mixes them."""
    subject = follower()
    content = Vote(CHAIN, EPOCH + 1, 1, NULLIFY, None)
    later = SignedVote(content, 1, sign_vote(subject.keys[1], content))
    effects = subject.hear(VotesMessage((subject.vote(1, NULLIFY, 2), later)), 1)
    assert [(report.peer, report.code) for report in of(effects, Report)] == [(1, "message.mixed_epochs")]
    assert subject.machine.state.tally.has_voted(View(2), NULLIFY, 1)
    assert not subject.machine.state.tally.has_voted(View(1), NULLIFY, 1)


# --- pitfalls --------------------------------------------------------------------------------------


def test_pitfall_split_notarization_and_nullification() -> None:
    """We left a view by nullification, the leader builds on its notarization: the proposal repairs it."""
    subject = follower()
    first = block_on(BASE, 1)
    subject.hear_certificates(subject.certificate(NULLIFY, 1))
    second = block_on(first, 2)
    subject.headers[block_id(first)] = first
    effects = subject.hear_proposal(2, second, 1, subject.certificate(NOTARIZE, 1, first))
    assert (NOTARIZE, 2, block_id(second)) in votes_in(effects)


def test_pitfall_a_displaced_certificate_is_asked_for_everywhere() -> None:
    """When the proposal's leader does not answer, everyone is asked, each t_retry."""
    subject = follower()
    subject.hear_certificates(subject.certificate(NULLIFY, 2))
    subject.hear_proposal(3, block_on(BASE))
    request = CertificateRequest(0, (Want(1, NULLIFY),))
    assert Broadcast(request) in subject.wait(1_000)
    assert Broadcast(request) not in subject.wait(999)
    assert Broadcast(request) in subject.wait(1)


def test_pitfall_verdict_is_bound_to_the_exact_vote() -> None:
    """'A vote-verification cache not bound to the exact vote': it says nothing of another."""
    subject = follower()
    good = subject.vote(1, NULLIFY, 1)
    subject.hear(VotesMessage((good,)), 1)
    moved = SignedVote(subject.vote(1, NULLIFY, 2).vote, 1, good.signature)
    subject.hear(VotesMessage((moved,)), 1)
    assert not subject.machine.state.tally.has_voted(View(2), NULLIFY, 1)


def test_pitfall_future_views_do_not_fill_memory() -> None:
    """A validator that votes in ten thousand future views leaves a bounded number of votes behind."""
    subject = follower()
    for view in range(1, 10_001, 10):
        content = [subject.vote(1, NULLIFY, view + offset) for offset in range(10)]
        subject.hear(VotesMessage(tuple(content)), 1)
    state = subject.machine.state
    assert len(state.tally) <= 66  # 65 of the liar, one of our own
    assert len(state.rounds) <= 66
    assert len(state.verdicts) <= 66


def test_pitfall_proposals_of_future_views_do_not_fill_memory() -> None:
    """A leader's proposals far ahead are not kept, those near cost no fetch before their view."""
    subject = follower()
    for view in range(2, 500):
        if subject.leader(view) == LEADERS[1]:
            subject.hear_proposal(view, block_on(BASE, view))
    assert len(subject.machine.state.blocks.all()) <= 17
    assert all(known.is_waiting is False for known in subject.machine.state.blocks.all())


def test_pitfall_a_vote_far_ahead_makes_us_ask() -> None:
    """Someone two views ahead is told where we stand, so that it lifts us; a flood is not."""
    subject = follower()
    answers = [
        message for view in range(3, 60) for message in sent_to(subject.hear_votes([1], NULLIFY, view), 1)
    ]
    assert answers == [StatusMessage(0, 1, 0, 0)] * 4


def test_pitfall_own_signature_is_verified_too() -> None:
    """'Messages are verified inside step, our own too': every own vote leaves a verdict behind."""
    subject = follower()
    subject.hear_proposal(1, block_on(BASE))
    assert len(subject.machine.state.verdicts) == 1


def test_pitfall_sync_is_never_beyond_what_was_named() -> None:
    """A sync beyond every finalization that consensus saw is the driver's bug, and stops the node."""
    subject = follower()
    header = block_on(BASE)
    with pytest.raises(AssertionError):
        subject.feed(Synced(header, subject.certificate(FINALIZE, 9, header)))
    assert of(subject.effects, Behind) == []


def test_connected_says_where_we_stand() -> None:
    """After a reconnect both sides know at once who is behind."""
    subject, _ = settled()
    assert sent_to(subject.feed(Connected(Peer(3))), 3) == [StatusMessage(0, 4, 3, 3)]


def test_the_first_record_names_chain_key_and_host() -> None:
    """What `init` writes is what a normal start trusts."""
    subject = follower()
    assert subject.me is not None
    expected = first_record(CHAIN, subject.keys[subject.me].public, GENERATION, EPOCH)
    assert encode(subject.floor(0)) == encode(expected)
    assert certificates_in(subject.effects) == []
