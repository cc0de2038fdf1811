"""One test for each line of the rules: a record that looks whole and is not, a key that signs elsewhere."""

from __future__ import annotations

import pytest

from ledger.block import Header, block_id
from ledger.consensus.events import (
    Broadcast,
    DropRecords,
    Effect,
    Entered,
    Halt,
    Persist,
    SignerState,
)
from ledger.consensus.messages import CertificatesMessage, Message, StatusMessage, VotesMessage
from ledger.consensus.records import (
    Record,
    SignerFloor,
    decode_record,
    encode_record,
    record_position,
)
from ledger.consensus.recovery import CERTIFICATES_WITHOUT_KEY
from ledger.consensus.signer import given_up
from ledger.types import View
from ledger.vote import SignedVote
from tests.ledger.consensus.lockstep import BASE, CHAIN, EPOCH
from tests.ledger.consensus.subject import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    Subject,
    block_on,
    of,
    records_in,
    unsigned_certificates,
    votes_in,
)

LEADERS = [Subject(me=None).leader(view) for view in range(8)]


def wary(records: list[Record] | None = None, me: int = LEADERS[4]) -> Subject:
    """A validator that leads neither of the first three views."""
    return Subject(me=me, records=records, is_wary=True)


def restarted(subject: Subject, head: Header = BASE) -> Subject:
    """The same validator after a crash."""
    again = Subject(me=subject.me, records=log_of(subject), head=head, is_wary=True)
    again.headers = dict(subject.headers)
    return again


def log_of(subject: Subject) -> list[Record]:
    """What a disk would hold: every record, less what was dropped, through its encoding."""
    records: list[Record] = [subject.floor(0), *records_in(subject.effects)]
    for drop in of(subject.effects, DropRecords):
        records = [record for record in records if record_position(record) >= (drop.epoch, drop.view)]
    return [decode_record(encode_record(record)) for record in records]


def listened(subject: Subject, final_view: int = 0) -> Subject:
    """The others say that they stand where it stands, so that it may sign."""
    for peer in subject.others[:2]:
        subject.hear(StatusMessage(0, final_view + 1, final_view, final_view), peer)
    return subject


# --- a record that looks whole -----------------------------------------------------------------------


def test_a_start_listens_before_it_signs() -> None:
    """Q7: with promises in the record nothing is signed until two thirds, itself included, are heard."""
    subject = wary()
    subject.hear_proposal(1, block_on(BASE))
    again = restarted(subject)
    assert of(again.effects, SignerState) == [SignerState(False, "signer.listening")]
    header = block_on(BASE, 2)
    again.hear_certificates(again.certificate(NULLIFY, 1))
    assert votes_in(again.hear_proposal(2, header, 0, None, [again.certificate(NULLIFY, 1)])) == []
    again.hear(StatusMessage(0, 2, 0, 1), again.others[0])
    assert votes_in(again.wait(0)) == []
    effects = again.hear(StatusMessage(0, 2, 0, 1), again.others[1])
    assert of(effects, SignerState) == [SignerState(True, "")]
    assert (NOTARIZE, 2, block_id(header)) in votes_in(effects)


def test_a_start_waits_until_it_stands_where_the_others_stand() -> None:
    """Q7: who is behind hears of it before it signs; a boast that nothing bears out counts as silence."""
    subject = wary()
    subject.hear_proposal(1, block_on(BASE))
    again = restarted(subject)
    for peer in again.others[:2]:
        again.hear(StatusMessage(0, 6, 5, 5), peer)
    again.hear(StatusMessage(0, 1 << 60, 1 << 59, 1 << 59), again.others[2])
    assert of(again.effects, SignerState) == [SignerState(False, "signer.listening")]
    header = block_on(BASE)
    again.headers[block_id(header)] = header
    effects = again.hear_certificates(again.certificate(FINALIZE, 5, header))
    assert of(effects, SignerState) == [SignerState(True, "")]


def test_a_start_waits_for_what_is_certified_and_not_final() -> None:
    """Q7: what the others hold above, final or not, may bear this key's signature."""
    subject = wary()
    subject.hear_proposal(1, block_on(BASE))
    again = restarted(subject)
    for peer in again.others:
        again.hear(StatusMessage(0, 3, 0, 2), peer)
    assert of(again.effects, SignerState) == [SignerState(False, "signer.listening")]
    effects = again.hear_certificates(again.certificate(NULLIFY, 1), again.certificate(NULLIFY, 2))
    assert of(effects, SignerState) == [SignerState(True, "")]


def test_a_start_signs_nothing_fresh_below_what_was_certified_when_it_heard() -> None:
    """Q7: one late certificate ends the listening; those below it may bear this key's signature, unseen."""
    subject = wary()
    subject.hear_proposal(1, block_on(BASE))
    again = restarted(subject)
    for peer in again.others:
        again.hear(StatusMessage(0, 5, 3, 4), peer)
    effects = again.hear_certificates(again.certificate(NOTARIZE, 5, block_on(BASE, 5)))
    assert of(effects, SignerState) == [SignerState(True, "")]
    assert again.machine.state.view == 1, "the body has not come"
    assert {(kind, view) for kind, view, _ in votes_in(again.wait(60_000))} <= {(NOTARIZE, 1)}
    effects = again.hear_certificates(again.certificate(NULLIFY, 6))
    assert (NULLIFY, 7) in {(kind, view) for kind, view, _ in votes_in([*effects, *again.wait(60_000)])}


def restored_in_place() -> tuple[Subject, Subject]:
    """A validator, and its home as it was before it voted in view 2: log and store fit together."""
    subject = wary()
    subject.hear_proposal(1, block_on(BASE))
    old = restarted(subject)
    subject.hear_certificates(subject.certificate(NULLIFY, 1))
    subject.hear_proposal(2, block_on(BASE, 2), 0, None, [subject.certificate(NULLIFY, 1)])
    return subject, old


def test_a_record_older_than_the_keys_last_vote_is_distrusted() -> None:
    """Q8: a restored home meets its own later signature in a certificate before it signs: quarantine."""
    now, old = restored_in_place()
    header = block_on(BASE, 2)
    signed = now.certificate(NOTARIZE, 2, header, signers=range(4))
    effects = old.hear_certificates(signed)
    assert SignerState(False, "signer.old_record") in effects
    listened(old)
    assert {(kind, view) for kind, view, _ in votes_in(old.wait(60_000))} <= {(NOTARIZE, 1)}
    assert not [record for record in records_in(old.effects) if isinstance(record, SignerFloor)]


def test_a_stale_record_is_noticed_by_a_vote_or_a_proposal_too() -> None:
    """Q8: whatever bears the key's valid signature counts; a forged one counts for nothing."""
    now, old = restored_in_place()
    assert old.me is not None
    vote = now.vote(old.me, NULLIFY, 2)
    forged = SignedVote(vote.vote, old.me, bytes(64))
    assert SignerState(False, "signer.old_record") not in old.hear(VotesMessage((forged,)), 1)
    assert SignerState(False, "signer.old_record") in old.hear(VotesMessage((vote,)), 1)
    now, old = restored_in_place()
    proposal = now.proposal(4, block_on(BASE, 4), by=old.me)
    assert SignerState(False, "signer.old_record") in old.hear(proposal, 1)


def second_holder_in(effects: list[Effect]) -> bool:
    """Whether the node stops because somebody else signs, and remembers it: in this order."""
    halts = [halt.code for halt in of(effects, Halt)]
    floors = [record for record in records_in(effects) if isinstance(record, SignerFloor)]
    if not halts:
        return False
    assert halts == ["signer.second_holder"]
    assert floors[-1].generation == b"\xff" * 16
    places = [index for index, each in enumerate(effects) if isinstance(each, Persist | Halt)]
    assert isinstance(effects[places[-1]], Halt)
    return True


@pytest.mark.parametrize("form", ["certificate", "vote", "proposal"])
def test_a_second_process_with_the_key_stops_this_one(form: str) -> None:
    """Q9: a signature that this process did not make, after it signed itself: it stops and stays stopped."""
    subject = wary()
    assert subject.me is not None
    subject.hear_proposal(1, block_on(BASE))  # it voted
    message: Message
    match form:
        case "certificate":
            all_four = subject.certificate(NULLIFY, 1, signers=range(4))
            message = CertificatesMessage((all_four,))
        case "vote":
            message = VotesMessage((subject.vote(subject.me, NULLIFY, 1),))
        case _:
            message = subject.proposal(4, block_on(BASE, 4), by=subject.me)
    assert second_holder_in(subject.hear(message))
    fresh = {(kind, view) for kind, view, _ in votes_in(subject.wait(60_000))} - {(NOTARIZE, 1)}
    assert not fresh, "what was sent may be repeated, nothing more is signed"
    again = restarted(subject)
    assert of(again.effects, SignerState) == [SignerState(False, "signer.second_holder")]
    for peer in again.others:
        again.hear(StatusMessage(0, 1, 0, 0), peer)
    header = block_on(BASE)
    again.headers[block_id(header)] = header
    again.hear_certificates(again.certificate(FINALIZE, 3, header))
    assert SignerState(True, "") not in unsigned_certificates(again, 4), "no finalization ends it"


def test_own_words_that_come_back_are_no_second_holder() -> None:
    """Q9: a peer repeats what this node signed, before and after a restart, in any order."""
    subject = wary()
    assert subject.me is not None
    header = block_on(BASE)
    subject.hear_proposal(1, header)
    own = subject.vote(subject.me, NOTARIZE, 1, header)
    for node in (subject, restarted(subject)):
        effects = node.hear(VotesMessage((own,)))
        effects += node.hear_certificates(node.certificate(NOTARIZE, 1, header, signers=range(4)))
        assert not second_holder_in(effects)
        assert SignerState(False, "signer.old_record") not in effects


def test_a_quarantined_copy_stops_when_the_original_signs() -> None:
    """Q9: above V + 2 a quarantined key signed nothing before; its signature there is another's."""
    subject = wary([])
    for peer in subject.others:
        subject.hear(StatusMessage(0, 5, 0, 4), peer)
    everyone = range(4)
    effects = subject.hear_certificates(
        *(subject.certificate(NULLIFY, view, signers=everyone) for view in (4, 5, 6))
    )
    assert not second_holder_in(effects), "what may be its own old vote accuses nobody"
    assert second_holder_in(subject.hear_certificates(subject.certificate(NULLIFY, 7, signers=everyone)))


def test_a_restart_lowers_no_report() -> None:
    """Q4: who restarts tells of the certificates that it holds before their bodies are checked again."""
    subject = wary()
    first, second = block_on(BASE), block_on(block_on(BASE), 2)
    for view, header in ((1, first), (2, second)):
        subject.headers[block_id(header)] = header
        subject.hear_certificates(subject.certificate(NOTARIZE, view, header))
    assert subject.view == 3
    again = Subject(me=subject.me, records=log_of(subject), has_bodies=False, is_wary=True)
    assert again.view == 1
    assert of(again.effects, Broadcast)[0].message == StatusMessage(0, 1, 0, 2)


def test_quarantine_hears_enough_certificates_without_its_key() -> None:
    """Q4: the original may be missing from one quorum, hardly from six; until then the copy listens."""
    subject = wary([])
    for peer in subject.others:
        subject.hear(StatusMessage(0, 5, 0, 4), peer)
    header = block_on(BASE)
    subject.headers[block_id(header)] = header
    subject.hear_certificates(subject.certificate(NULLIFY, 4), subject.certificate(FINALIZE, 6, header))
    effects = unsigned_certificates(subject, 7)
    assert of(effects, SignerState) == [SignerState(True, "")]
    states = [isinstance(each, SignerState) for each in effects if isinstance(each, SignerState | Entered)]
    assert states.index(True) >= CERTIFICATES_WITHOUT_KEY - 2, "not by the first of them"


@pytest.mark.parametrize("foreign", ["chain", "key"])
def test_the_log_of_another_node_or_chain_teaches_nothing(foreign: str) -> None:
    """Q3: its floors, votes and certificates are not believed, and don't outlive the quarantine."""
    other = wary(me=LEADERS[5])
    other.hear_proposal(1, block_on(BASE))
    records = [*log_of(other), SignerFloor(CHAIN, other.keys[LEADERS[5]].public, b"g" * 16, 9, 9_999)]
    if foreign == "chain":
        records = [of_another_chain(record) for record in records]
    subject = wary(records)
    assert of(subject.effects, SignerState) == [SignerState(False, f"signer.other_{foreign}")]
    assert subject.signer is not None
    assert subject.signer.floor == (0, 0)
    assert not subject.machine.state.tally.has_voted(View(1), NOTARIZE, LEADERS[4])
    for peer in subject.others:
        subject.hear(StatusMessage(0, 5, 0, 4), peer)
    header = block_on(BASE)
    subject.headers[block_id(header)] = header
    subject.hear_certificates(subject.certificate(NULLIFY, 4), subject.certificate(FINALIZE, 6, header))
    assert SignerState(True, "") in unsigned_certificates(subject, 7)


def test_promises_made_after_a_foreign_log_are_kept() -> None:
    """Q3: a released signer goes on in the log that it found; what it promises there binds later starts."""
    other = wary(me=LEADERS[5])
    other.hear_proposal(1, block_on(BASE))
    foreign = log_of(other)
    subject = wary(foreign)
    for peer in subject.others:
        subject.hear(StatusMessage(0, 5, 0, 4), peer)
    header = block_on(BASE)
    subject.headers[block_id(header)] = header
    subject.hear_certificates(subject.certificate(NULLIFY, 4), subject.certificate(FINALIZE, 6, header))
    unsigned_certificates(subject, 7)
    assert subject.signer is not None
    assert subject.signer.may_sign
    subject.pending()
    made = subject.wait(60_000)
    assert votes_in(made)
    again = wary([*foreign, *records_in(subject.effects)])
    assert again.signer is not None
    assert again.signer.votes() == subject.signer.votes() != ()


def of_another_chain(record: Record) -> Record:
    data = encode_record(record)
    return decode_record(data.replace(CHAIN, b"d" * 32))


def test_a_record_that_was_handed_over_never_signs_again() -> None:
    """Q9: after an export no finalization brings the signer back: the history lives elsewhere now."""
    key = wary().keys[LEADERS[4]].public
    record = given_up(CHAIN, key, "signer.handed_over", EPOCH, View(3))
    subject = wary([record])
    assert of(subject.effects, SignerState) == [SignerState(False, "signer.handed_over")]
    for peer in subject.others:
        subject.hear(StatusMessage(0, 5, 0, 4), peer)
    header = block_on(BASE)
    subject.headers[block_id(header)] = header
    subject.hear_certificates(subject.certificate(NULLIFY, 4), subject.certificate(FINALIZE, 6, header))
    assert SignerState(True, "") not in unsigned_certificates(subject, 7)
