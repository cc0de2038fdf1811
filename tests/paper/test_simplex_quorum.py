"""One test for each line of the rules: quorums, finality, jumps, giving a view up."""

from __future__ import annotations

import pytest

from ledger.block import block_id
from ledger.consensus.events import (
    Behind,
    Broadcast,
    Commit,
    DropRecords,
    Entered,
    Evidence,
    Fetch,
    Halt,
    Peer,
    Persist,
    Report,
    Synced,
    Verdict,
)
from ledger.consensus.messages import CertificatesMessage, VotesMessage
from ledger.consensus.records import HeldCertificate, SignerFloor
from ledger.types import BlockId, PublicKey, View
from ledger.vote import Certificate, VoteKind
from tests.ledger.consensus.lockstep import BASE
from tests.ledger.consensus.subject import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    Subject,
    block_on,
    certificates_in,
    of,
    records_in,
    votes_in,
)

LEADERS = [Subject(me=None).leader(view) for view in range(8)]


def follower() -> Subject:
    """A validator that leads neither of the first three views."""
    return Subject(me=LEADERS[4])


# --- q of notarize(v, h) -----------------------------------------------------------------------


def test_notarization_is_formed_and_sent_unverified() -> None:
    """'q of notarize(v, h): form and send the notarization, even unverified; get the body from any signer'"""
    subject = follower()
    subject.has_bodies = False
    header = block_on(BASE)
    effects = subject.hear_votes(subject.others, NOTARIZE, 1, header)
    assert certificates_in(effects) == [(NOTARIZE, 1)]
    assert of(effects, Fetch) == [Fetch(block_id(header), tuple(Peer(index) for index in subject.others))]
    assert subject.view == 1


def test_notarization_needs_more_than_two_thirds() -> None:
    """Two of three equal validators make none."""
    subject = Subject(stakes=(1, 1, 1), me=None)
    assert certificates_in(subject.hear_votes([0, 1], NOTARIZE, 1, block_on(BASE))) == []
    assert certificates_in(subject.hear_votes([2], NOTARIZE, 1, block_on(BASE))) == [(NOTARIZE, 1)]


def test_notarization_with_a_valid_body_always_enters_the_next_view() -> None:
    """'(a) ALWAYS enter(v+1) if our view <= v': after one's own nullify too."""
    subject = follower()
    subject.pending()
    assert votes_in(subject.wait(1_000)) == [(NULLIFY, 1, None)]
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    effects = subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    assert [entered.view for entered in of(effects, Entered)] == [2]
    assert votes_in(effects) == []  # and no finalize vote: it was nullified


def test_notarization_enters_when_the_body_comes() -> None:
    """The body may come after the certificate; the move waits for it and needs nothing else."""
    subject = follower()
    subject.has_bodies = False
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    assert subject.view == 1
    subject.has_bodies = True
    effects = subject.wait(1_000)
    assert subject.view == 2
    assert (FINALIZE, 1, block_id(header)) in votes_in(effects)


def test_notarization_of_an_invalid_body_moves_nothing() -> None:
    """A quorum of others is no reason to build on what one's own execution refuses."""
    subject = follower()
    subject.verdict = Verdict.INVALID
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    effects = subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    assert subject.view == 1
    assert (FINALIZE, 1, block_id(header)) not in votes_in(effects)


def test_finalize_vote_follows_its_record() -> None:
    """'(b) vote finalize(v, h) after PERSIST', the notarization durable in the same sync."""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    notarization = subject.certificate(NOTARIZE, 1, header)
    effects = subject.hear_certificates(notarization)
    assert isinstance(effects[0], Persist)
    assert HeldCertificate(notarization) in effects[0].records
    assert votes_in(effects) == [(FINALIZE, 1, block_id(header))]


def test_finalize_vote_for_every_view_above_the_last_final() -> None:
    """'for every view above the last finalized': a view that was left by nullification is still finalized."""
    subject = follower()
    header = block_on(BASE)
    subject.hear_certificates(subject.certificate(NULLIFY, 1), subject.certificate(NULLIFY, 2))
    subject.headers[block_id(header)] = header
    effects = subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    assert subject.view == 3
    assert votes_in(effects) == [(FINALIZE, 1, block_id(header))]


def test_finalize_vote_not_for_another_block_than_notarized() -> None:
    """'own notarize in (None, h)'"""
    subject = follower()
    mine, theirs = block_on(BASE, 1), block_on(BASE, 2)
    assert votes_in(subject.hear_proposal(1, mine)) == [(NOTARIZE, 1, block_id(mine))]
    subject.headers[block_id(theirs)] = theirs
    effects = subject.hear_certificates(subject.certificate(NOTARIZE, 1, theirs, subject.others))
    assert subject.view == 2
    assert votes_in(effects) == []


def test_finalize_vote_not_after_equivocation_of_the_leader() -> None:
    """'no equivocation seen in v'"""
    subject = follower()
    first, second = block_on(BASE, 1), block_on(BASE, 2)
    subject.hear_proposal(1, first)
    subject.hear_proposal(1, second)
    assert votes_in(subject.hear_certificates(subject.certificate(NOTARIZE, 1, first))) == []
    assert subject.view == 2


def test_finalize_vote_despite_equivocation_of_a_follower() -> None:
    """Another validator's two votes cost nobody the view: else one liar could stop finality for good."""
    subject = follower()
    header = block_on(BASE)
    liar = next(index for index in subject.others if index != LEADERS[1])
    subject.hear_proposal(1, header)
    subject.hear_votes([liar], NOTARIZE, 1, header)
    assert of(subject.hear_votes([liar], NOTARIZE, 1, block_on(BASE, 2)), Evidence) != []
    effects = subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    assert votes_in(effects) == [(FINALIZE, 1, block_id(header))]


def test_finalize_vote_once() -> None:
    """'finalized_vote None': a re-sent certificate brings no second vote."""
    subject = follower()
    header = block_on(BASE)
    notarization = subject.certificate(NOTARIZE, 1, header)
    subject.hear_proposal(1, header)
    subject.hear_certificates(notarization)
    assert votes_in(subject.hear_certificates(notarization)) == []


# --- t_leader | t_advance | leader nullified | ... ------------------------------------------------


def test_nullify_at_t_leader() -> None:
    """'t_leader': no proposal for 2d."""
    subject = follower()
    subject.pending()
    assert votes_in(subject.wait(999)) == []
    effects = subject.wait(1)
    assert votes_in(effects) == [(NULLIFY, 1, None)]
    assert isinstance(effects[0], Persist)


def test_nullify_at_t_advance_after_notarize() -> None:
    """'t_advance': voted, but no quorum for 3d; to notarize and then nullify is allowed."""
    subject = follower()
    header = block_on(BASE)
    assert votes_in(subject.hear_proposal(1, header)) == [(NOTARIZE, 1, block_id(header))]
    subject.wait(1_499)
    assert (NULLIFY, 1, None) in votes_in(subject.wait(1))


def test_nullify_when_the_leader_does() -> None:
    """'leader nullified': its own word that no proposal will come."""
    subject = follower()
    assert votes_in(subject.hear_votes([LEADERS[1]], NULLIFY, 1)) == [(NULLIFY, 1, None)]


def test_nullify_never_after_finalize() -> None:
    """'finalized_vote None -> ... vote nullify(v)': not after one's own finalize vote."""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    seen = [vote for _ in range(100) for vote in votes_in(subject.wait(1_000))]
    assert (NULLIFY, 1, None) not in seen
    assert (FINALIZE, 1, block_id(header)) in seen


def test_skip_a_leader_that_missed_three_views() -> None:
    """'skip after 3 missed views': the fourth is nullified on entry; and 'unknown is not silent' before."""
    subject = follower()
    silent = LEADERS[1]
    subject.pending()
    skipped, effects = [], []
    for view in range(1, 24):
        assert subject.view == view
        if subject.leader(view) == silent:
            skipped.append((NULLIFY, view, None) in votes_in(effects))
        elif subject.leader(view) != subject.me:
            subject.hear_votes([subject.leader(view)], NULLIFY, view)
        subject.wait(45_000)
        effects = subject.hear_certificates(subject.certificate(NULLIFY, view))
    assert skipped == [False] * 3 + [True] * 3


def test_skip_ends_with_a_vote_of_the_leader() -> None:
    """A leader that came back and votes is waited for in its next view."""
    subject = follower()
    silent = LEADERS[1]
    subject.pending()
    for view in range(1, 13):
        if subject.leader(view) not in (silent, subject.me):
            subject.hear_votes([subject.leader(view)], NULLIFY, view)
        subject.wait(45_000)
        if view == 12:
            subject.hear_votes([silent], NULLIFY, view)
        effects = subject.hear_certificates(subject.certificate(NULLIFY, view))
    assert subject.leader(subject.view) == silent
    assert (NULLIFY, 13, None) not in votes_in(effects)


def test_skip_ends_when_the_leader_is_heard() -> None:
    """A fresh vote of a silent leader is reason enough to wait for it again."""
    from ledger.consensus.leaders import LeaderWatch

    watch, leader = LeaderWatch(), PublicKey(bytes(32))
    for _ in range(3):
        assert not watch.is_silent(leader, 3)
        watch.missed(leader)
    assert watch.is_silent(leader, 3)
    watch.heard(leader)
    assert not watch.is_silent(leader, 3)


# --- q of nullify(v) -------------------------------------------------------------------------------


def test_nullification_is_sent_and_enters_the_next_view() -> None:
    """'q of nullify(v) -> send the nullification; enter(v+1)'"""
    subject = follower()
    bystanders = [index for index in subject.others if index != LEADERS[1]]
    subject.pending()
    subject.wait(1_000)  # our own vote is one of the quorum
    effects = subject.hear_votes(bystanders, NULLIFY, 1)
    assert certificates_in(effects) == [(NULLIFY, 1)]
    assert subject.view == 2


# --- q of finalize(v, h) ---------------------------------------------------------------------------


def test_two_votes_are_noticed_in_certificates_too() -> None:
    """T2: a vote here and another in a certificate, or in two certificates, in whichever order they come."""
    one, other = block_on(BASE, 1), block_on(BASE, 2)
    liar = 3
    for is_vote_first in (True, False):
        subject = follower()
        lie = subject.certificate(NOTARIZE, 1, other)
        steps = [
            lambda subject=subject: subject.hear_votes([liar], NOTARIZE, 1, one),
            lambda subject=subject, lie=lie: subject.hear_certificates(lie),
        ]
        effects = [each() for each in (steps if is_vote_first else steps[::-1])]
        assert of(effects[0], Evidence) == []
        (found,) = of(effects[1], Evidence)
        assert found.validator == liar
        assert {found.first.vote.block_id, found.second.vote.block_id} == {block_id(one), block_id(other)}
        assert of(subject.hear_votes([liar], NOTARIZE, 1, one), Evidence) == [], "once a validator and view"


def test_conflicting_certificates_accuse_everybody_in_both() -> None:
    """T2, F6: two blocks final in one view halt this node, and name who signed for both first."""
    subject = follower()
    one, other = block_on(BASE, 1), block_on(BASE, 2)
    subject.hear_proposal(1, one)
    subject.hear_certificates(subject.certificate(FINALIZE, 1, one, signers=[0, 1, 2]))
    effects = subject.hear_certificates(subject.certificate(FINALIZE, 1, other, signers=[1, 2, 3]))
    assert [each.validator for each in of(effects, Evidence)] == [1, 2]
    assert [each.code for each in of(effects, Halt)] == ["consensus.forked"]
    places = [effects.index(each) for each in (*of(effects, Evidence), *of(effects, Halt))]
    assert places == sorted(places)


def test_finalization_is_sent_and_commits() -> None:
    """'q of finalize(v, h) -> send the finalization; commit'"""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    effects = subject.hear_votes(subject.others, FINALIZE, 1, header)
    assert (FINALIZE, 1) in certificates_in(effects)
    (commit,) = of(effects, Commit)
    assert (commit.block_id, commit.height) == (block_id(header), 1)
    assert commit.settled == (commit.finalization,)


def test_finalization_commits_ancestors_oldest_first_and_once() -> None:
    """'commit unfinalized ancestors oldest first, then h, once a hash'"""
    subject = follower()
    first = block_on(BASE, 1)
    second, third = block_on(first, 2), block_on(block_on(first, 2), 3)
    subject.hear_proposal(1, first)
    parent = subject.certificate(NOTARIZE, 1, first)
    subject.hear_proposal(2, second, 1, parent)
    upper = subject.certificate(NOTARIZE, 2, second)
    subject.hear_certificates(subject.certificate(NULLIFY, 3))
    subject.hear_proposal(4, third, 2, upper, [subject.certificate(NULLIFY, 3)])
    final = subject.certificate(FINALIZE, 2, second)
    effects = subject.hear_certificates(final)
    assert [commit.block_id for commit in of(effects, Commit)] == [block_id(first), block_id(second)]
    assert [commit.settled for commit in of(effects, Commit)] == [(), (parent, final)]
    effects = subject.hear_certificates(subject.certificate(FINALIZE, 4, third))
    (commit,) = of(effects, Commit)
    assert commit.block_id == block_id(third)
    assert [(each.view, each.kind) for each in commit.settled] == [(3, NULLIFY), (4, FINALIZE)]
    assert of(subject.hear_certificates(final), Commit) == []


def test_finalization_prunes_and_drops_siblings() -> None:
    """'drop siblings; prune below': what is settled is forgotten; the log may drop it after the commit."""
    subject = follower()
    sibling, header = block_on(BASE, 1), block_on(BASE, 2)
    subject.hear_proposal(1, sibling)
    subject.hear_certificates(subject.certificate(NULLIFY, 1))
    subject.hear_proposal(2, header, 0, None, [subject.certificate(NULLIFY, 1)])
    effects = subject.hear_certificates(subject.certificate(FINALIZE, 2, header))
    kinds = [type(effect) for effect in effects]
    assert kinds.index(Commit) < kinds.index(DropRecords)
    state = subject.machine.state
    assert state.blocks.all() == ()
    assert state.certificates.above(state.certificates.final_view) == ()
    assert state.certificates.nullification(View(1)) is None
    assert state.tally.stake_moved(View(1)) == 0
    assert sorted(state.rounds) == [3]


def test_floor_is_durable_before_the_commit() -> None:
    """S7: 'the signer's floor is raised and fsynced BEFORE the block store commits'"""
    subject = follower()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    effects = subject.hear_certificates(subject.certificate(FINALIZE, 1, header))
    assert isinstance(effects[0], Persist)
    assert [record.view for record in effects[0].records if isinstance(record, SignerFloor)] == [1]
    assert len(of(effects, Commit)) == 1


def test_floor_is_durable_before_a_sync() -> None:
    """S7 for synced blocks: `Behind` comes after the floor, so the driver may commit up to its view."""
    subject = follower()
    final = subject.certificate(FINALIZE, 50, block_on(BASE))
    effects = subject.hear_certificates(final)
    assert [record.view for record in records_in(effects) if isinstance(record, SignerFloor)] == [50]
    assert [type(effect) for effect in effects if isinstance(effect, Persist | Behind)] == [Persist, Behind]
    assert subject.view == 51


def test_sync_moves_the_committed_block() -> None:
    """`Synced` is what a chain of commits would have been: later blocks go on from its head."""
    subject = follower()
    head = block_on(BASE, 5)
    final = subject.certificate(FINALIZE, 50, head)
    subject.hear_certificates(final)
    subject.feed(Synced(head, final))
    header = block_on(head)
    subject.hear_certificates(subject.certificate(NULLIFY, 51))
    effects = subject.hear_proposal(52, header, 50, final, [subject.certificate(NULLIFY, 51)])
    assert (NOTARIZE, 52, block_id(header)) in votes_in(effects)


def test_a_final_block_that_is_missing_is_fetched() -> None:
    """One lost body needs no sync: it is fetched, checked and committed."""
    subject = follower()
    header = block_on(BASE)
    subject.headers[block_id(header)] = header
    effects = subject.hear_certificates(subject.certificate(FINALIZE, 1, header))
    assert [commit.block_id for commit in of(effects, Commit)] == [block_id(header)]
    assert of(effects, Behind) == []


def test_ancestors_of_a_certified_block_are_fetched() -> None:
    """'parents recursively'"""
    subject = follower()
    headers = [block_on(BASE, 1)]
    for salt in range(2, 6):
        headers.append(block_on(headers[-1], salt))
    subject.headers.update({block_id(header): header for header in headers})
    effects = subject.hear_certificates(subject.certificate(FINALIZE, 5, headers[-1]))
    assert [commit.block_id for commit in of(effects, Commit)] == [block_id(header) for header in headers]


def test_a_final_block_that_stays_away_is_synced() -> None:
    """What can't be fetched is synced: `Behind` is repeated while it holds."""
    subject = follower()
    final = subject.certificate(FINALIZE, 1, block_on(BASE))
    subject.hear_certificates(final)
    assert [behind for _ in range(10) for behind in of(subject.wait(1_000), Behind)] == [Behind(final)] * 2


def test_a_final_block_that_is_invalid_here_halts_this_node() -> None:
    """'one node with a wrong state root halts alone'"""
    subject = follower()
    subject.verdict = Verdict.INVALID
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    effects = subject.hear_certificates(subject.certificate(FINALIZE, 1, header))
    assert [halt.code for halt in of(effects, Halt)] == ["consensus.diverged"]
    assert of(effects, Commit) == []


def test_two_finalizations_of_one_view_halt() -> None:
    """A fork is not survived quietly."""
    subject = follower()
    subject.hear_certificates(subject.certificate(FINALIZE, 1, block_on(BASE, 1)))
    effects = subject.hear_certificates(subject.certificate(FINALIZE, 1, block_on(BASE, 2)))
    assert [halt.code for halt in of(effects, Halt)] == ["consensus.forked"]


# --- valid certificate for w >= v -> jump -------------------------------------------------------------


@pytest.mark.parametrize("kind", [NULLIFY, FINALIZE])
def test_jump_by_a_later_certificate(kind: VoteKind) -> None:
    """'valid certificate for w >= v -> jump', however far, without the views between."""
    subject = follower()
    header = None if kind is NULLIFY else block_on(BASE)
    effects = subject.hear_certificates(subject.certificate(kind, 1_000, header))
    assert [entered.view for entered in of(effects, Entered)] == [1_001]


def test_jump_by_a_notarization_only_with_a_valid_body() -> None:
    """'(a notarization only with a valid body)'"""
    subject = follower()
    header = block_on(BASE)
    notarization = subject.certificate(NOTARIZE, 9, header)
    subject.hear_certificates(notarization)
    assert subject.view == 1
    subject.headers[block_id(header)] = header
    subject.wait(5_000)
    assert subject.view == 10


def test_no_jump_by_an_older_certificate() -> None:
    """A certificate below our view moves nothing back."""
    subject = follower()
    subject.hear_certificates(subject.certificate(NULLIFY, 5))
    assert of(subject.hear_certificates(subject.certificate(NULLIFY, 3)), Entered) == []
    assert subject.view == 6


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda held: Certificate(held.vote, held.signatures[:2]), "certificate.too_little_stake"),
        (
            lambda held: Certificate(held.vote, (held.signatures[0],) * 3),
            "certificate.signers_not_ascending",
        ),
        (
            lambda held: Certificate(held.vote, (*held.signatures[:2], (2, held.signatures[0][1]))),
            "certificate.wrong_signature",
        ),
    ],
)
def test_a_bad_certificate_is_reported_and_moves_nothing(spoil: object, code: str) -> None:
    """'a bad one is reported, never raised'"""
    subject = follower()
    bad = spoil(subject.certificate(NULLIFY, 1))  # type: ignore[operator] # a function of one certificate
    effects = subject.hear_certificates(bad, peer=3)
    assert [(report.peer, report.code) for report in of(effects, Report)] == [(3, code)]
    assert subject.view == 1
    assert records_in(effects) == []


def test_a_bad_vote_is_reported_and_not_counted() -> None:
    """A signature by another key, or for another vote, is no vote."""
    subject = follower()
    good = subject.vote(subject.others[0], NULLIFY, 1)
    forged = type(good)(good.vote, subject.others[1], good.signature)
    effects = subject.hear(VotesMessage((forged,)), 3)
    assert [report.code for report in of(effects, Report)] == ["vote.wrong_signature"]
    assert len(subject.machine.state.tally) == 0


def test_behind_a_bad_statement_nothing_of_a_message_is_believed() -> None:
    """I2: an honest sender has verified what it says, so the rest costs no signature check and one report."""
    subject = follower()
    other, *_ = subject.others
    bad, good = (subject.vote(other, NULLIFY, view) for view in (1, 2))
    forged = type(bad)(bad.vote, other, bytes(64))
    effects = subject.hear(VotesMessage((forged, good, forged)), other)
    assert [report.code for report in of(effects, Report)] == ["vote.wrong_signature"]
    assert len(subject.machine.state.tally) == 0
    certificate = subject.certificate(NULLIFY, 1)
    spoilt = Certificate(
        certificate.vote, ((certificate.signatures[0][0], bytes(64)), *certificate.signatures[1:])
    )
    effects = subject.hear_certificates(spoilt, subject.certificate(NULLIFY, 2), spoilt)
    assert [report.code for report in of(effects, Report)] == ["certificate.wrong_signature"]
    assert subject.view == 1
    assert len(subject.machine.state.verdicts) == 0


# --- observers ------------------------------------------------------------------------------------------


def test_an_observer_follows_and_never_votes() -> None:
    """An observer commits what becomes final and signs nothing, whatever happens."""
    subject = Subject(me=None)
    header = block_on(BASE)
    subject.pending()
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    assert subject.view == 2
    subject.hear_certificates(subject.certificate(FINALIZE, 1, header))
    for _ in range(100):
        subject.wait(1_000)
    assert [commit.block_id for commit in of(subject.effects, Commit)] == [block_id(header)]
    assert votes_in(subject.effects) == []
    assert not any(isinstance(each.message, CertificatesMessage) for each in of(subject.effects, Broadcast))
    assert BlockId(header.parent_id) == block_id(BASE)
