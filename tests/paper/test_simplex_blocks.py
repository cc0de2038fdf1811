"""One test for each line of the rules: bodies, where they come from and how far back; a block's hash."""

from __future__ import annotations

from ledger.block import Header, block_id
from ledger.consensus.blocks import ANCESTORS_FETCHED_MAX
from ledger.consensus.commits import BEHIND_VIEWS
from ledger.consensus.events import Behind, Broadcast, Check, Fetch, Peer, Report, Verdict
from ledger.consensus.messages import ProposalMessage, StatusMessage
from tests.ledger.consensus.lockstep import BASE
from tests.ledger.consensus.subject import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    Subject,
    block_on,
    not_led_by,
    of,
    votes_in,
)

LEADERS = [Subject(me=None).leader(view) for view in range(8)]


def follower() -> Subject:
    """A validator that leads none of the first three views."""
    return Subject(me=LEADERS[4])


def chain_of(length: int) -> list[Header]:
    """Blocks on the base, oldest first."""
    headers = [block_on(BASE)]
    while len(headers) < length:
        headers.append(block_on(headers[-1], len(headers) + 1))
    return headers


# --- data missing ------------------------------------------------------------------------------------------


def test_a_missing_body_is_asked_for_at_the_proposer_and_then_at_each_signer_in_turn() -> None:
    """'ask the proposer, then the signers of the certificate and other peers in turn': each retry begins
    with another."""
    subject = follower()
    subject.has_bodies = False
    header = block_on(BASE)
    proposer = subject.leader(1)
    first = of(subject.hear_proposal(1, header), Fetch)
    assert [fetch.sources for fetch in first] == [(Peer(proposer),)]
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header, signers=subject.others))
    asked = [fetch.sources for _ in range(8) for fetch in of(subject.wait(1_000), Fetch)]
    assert {frozenset(sources) for sources in asked} == {frozenset(Peer(each) for each in subject.others)}
    assert {sources[0] for sources in asked} == {Peer(each) for each in subject.others}, (
        "each comes first once"
    )


def test_a_body_is_fetched_when_its_place_is_proved() -> None:
    """'certificates for every gap view' come first: over a gap that nobody proved nothing is fetched."""
    subject = follower()
    subject.has_bodies = False
    subject.hear_certificates(subject.certificate(NULLIFY, 2))
    header = block_on(BASE)
    assert of(subject.hear_proposal(3, header), Fetch) == []
    effects = subject.hear_certificates(subject.certificate(NULLIFY, 1))
    assert [fetch.block_id for fetch in of(effects, Fetch)] == [block_id(header)]


def test_a_block_on_an_invalid_one_is_invalid_and_never_checked() -> None:
    """What stands on a wrong block is wrong: it gets no vote and costs no execution."""
    subject = follower()
    subject.verdict = Verdict.INVALID
    wrong = block_on(BASE)
    subject.hear_proposal(1, wrong)
    subject.hear_certificates(subject.certificate(NULLIFY, 1))
    subject.verdict = Verdict.VALID
    child = block_on(wrong, 2)
    effects = subject.hear_proposal(2, child, 1, subject.certificate(NOTARIZE, 1, wrong))
    assert [check.block_id for check in of(effects, Check)] == []
    assert "proposal.invalid_block" in [report.code for report in of(effects, Report)]
    assert (NOTARIZE, 2, block_id(child)) not in votes_in(subject.effects)


def test_ancestors_are_fetched_to_a_depth_and_no_deeper() -> None:
    """'parents recursively', but a long way back is for the sync."""
    for missing, is_fetched in ((ANCESTORS_FETCHED_MAX, True), (ANCESTORS_FETCHED_MAX + 1, False)):
        subject = follower()
        headers = chain_of(missing)
        subject.headers.update({block_id(header): header for header in headers})
        effects = subject.hear_certificates(subject.certificate(NOTARIZE, missing, headers[-1]))
        fetched = [fetch.block_id for fetch in of(effects, Fetch)]
        expected = headers if is_fetched else headers[-1:]
        assert fetched == [block_id(header) for header in reversed(expected)]


def test_a_finalization_far_ahead_is_synced_at_once() -> None:
    """Up to so many views behind, blocks are fetched one by one; further behind, all are synced."""
    for view, is_behind in ((BEHIND_VIEWS, False), (BEHIND_VIEWS + 1, True)):
        subject = follower()
        final = subject.certificate(FINALIZE, view, block_on(BASE))
        effects = subject.hear_certificates(final)
        assert of(effects, Behind) == ([Behind(final)] if is_behind else [])


# --- the own block -----------------------------------------------------------------------------------------


def test_a_leader_holds_its_own_block_to_what_it_asks_of_others() -> None:
    """'A proposer that skips validating its own block': a time that is too early waits, one's own too."""
    subject = Subject(me=LEADERS[1])
    subject.pending()
    ahead_ms = subject.parameters.drift_ms + 500
    header = block_on(BASE, time_ms=subject.wall_ms + ahead_ms)
    effects = subject.build(1, header)
    assert [
        each.message.header for each in of(effects, Broadcast) if isinstance(each.message, ProposalMessage)
    ]
    assert votes_in(effects) == []
    assert votes_in(subject.wait(500)) == [(NOTARIZE, 1, block_id(header))]


def test_a_header_names_no_view_no_leader_and_no_certificate_of_its_own() -> None:
    """'The block's own view inside its hash': proposed again in a later view it is the same block."""
    fields = set(Header.__struct_fields__)
    assert not {name for name in fields if "view" in name or "leader" in name or "proposer" in name}
    assert {name for name in fields if "certificate" in name} == {"last_certificate_hash"}
    subject = follower()
    header = block_on(BASE)
    again = not_led_by(subject, subject.me, 2)
    first, second = subject.proposal(1, header), subject.proposal(again, header)
    assert first.signed.proposal.block_id == second.signed.proposal.block_id == block_id(header)


# --- observers ---------------------------------------------------------------------------------------------


def test_an_observer_says_where_it_stands_and_nothing_again() -> None:
    """Nothing is its own to send again: a retry says a place, no more."""
    subject = Subject(me=None)
    subject.pending()
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    subject.hear_certificates(subject.certificate(NOTARIZE, 1, header))
    said = [effect.message for _ in range(60) for effect in of(subject.wait(1_000), Broadcast)]
    assert all(isinstance(message, StatusMessage) for message in said)
    parameters = subject.parameters
    assert len(said) == 60_000 // parameters.retry_ms + 60_000 // parameters.status_ms
