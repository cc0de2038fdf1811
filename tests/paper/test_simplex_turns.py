"""One test for each line of the rules: from epoch to epoch, other epochs, the signer across them."""

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
    Built,
    EpochEnded,
    NothingToBuild,
    OldEpoch,
    Peer,
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
    StatusMessage,
    VotesMessage,
    Want,
    encode_message,
)
from ledger.consensus.records import (
    OwnVote,
    Record,
    SignerFloor,
)
from ledger.errors import LedgerError
from ledger.types import Epoch, TimeMs, View
from ledger.vote import Certificate, SignedVote, Vote, VoteKind, sign_vote
from tests.ledger.consensus.lockstep import BASE, CHAIN
from tests.ledger.consensus.short_epoch import (
    D_MS,
    FIRST,
    LAST,
    LAST_ID,
    LEADERS,
    PARAMETERS,
    ended,
    log_of,
    nullify_below,
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
    not_led_by,
    of,
    records_in,
    sent_to,
    unsigned_certificates,
    view_led_by,
    votes_in,
)

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
    """A thousand questions draw four answers at once and one a second, and nobody else's."""
    node = subject()
    status = old_messages(node)[2]
    ended(node)
    answers = [answer for _ in range(1_000) for answer in sent_to(node.hear(status, 1), 1)]
    assert len(answers) == 4
    assert len(sent_to(node.hear(status, 2), 2)) == 1
    node.now_ms += 1_000
    assert len([answer for _ in range(1_000) for answer in sent_to(node.hear(status, 1), 1)]) == 1


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
    """What is further ahead will be said again when we are there; here it takes no room from what is next."""
    node = subject()
    with_last_notarized(node)
    for _ in range(EARLY_MESSAGES_MAX):
        node.hear(newer(node, 2)[1], 1)
    node.hear(newer(node, 1)[1], 1)
    node.hear_certificates(node.certificate(FINALIZE, 2, LAST))
    assert (node.epoch, node.view) == (1, 2)
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
