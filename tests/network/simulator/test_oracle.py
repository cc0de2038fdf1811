"""The judge finds each lie, and finds nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from ledger.block import Block, block_id
from ledger.consensus.events import Evidence, Halt, Peer, Persist, Report
from ledger.consensus.messages import CertificatesMessage, ProposalMessage, StatusMessage, VotesMessage
from ledger.consensus.records import HeldCertificate, OwnProposal, OwnVote
from ledger.types import BlockId, ChainId, Epoch, View
from ledger.validators import leader
from ledger.vote import (
    Certificate,
    Proposal,
    SignedProposal,
    SignedVote,
    Vote,
    VoteKind,
    sign_proposal,
    sign_vote,
)
from network.simulator import oracle as oracle_module
from network.simulator import traffic
from network.simulator.chain import WALL_START_MS, base_block, block_on
from network.simulator.disk import Committed, Disk, base_of
from network.simulator.oracle import Oracle
from network.simulator.roll import Roll, keys_of, validators_of
from network.simulator.turns import LONG_EPOCH

CHAIN = ChainId(b"c" * 32)
STAKES = (2, 2, 1, 1)
BASE = base_block(CHAIN)
ONE = block_on(BASE.header, WALL_START_MS, b"", (b"1" * 16,))
OTHER = block_on(BASE.header, WALL_START_MS, b"", (b"2" * 16,))
CHILD = block_on(ONE.header, WALL_START_MS + 1, b"", (b"3" * 16,))
ONE_ID, OTHER_ID, CHILD_ID = (block_id(block.header) for block in (ONE, OTHER, CHILD))
LIAR = 3
HONEST = (0, 1, 2)
LED_BY_LIAR = [
    view for view in range(1, 40) if leader(CHAIN, Epoch(0), View(view), validators_of(STAKES)) == LIAR
]
VIEW, LATER, LATEST = LED_BY_LIAR[:3]  # nobody honest proposes there, so any block may be certified

N, F, X = VoteKind.NOTARIZE, VoteKind.FINALIZE, VoteKind.NULLIFY


def new_oracle() -> Oracle:
    return Oracle(Roll((STAKES,)), CHAIN, HONEST, BASE.header, LONG_EPOCH)


def vote(kind: VoteKind, block: bytes | None, index: int = 0, view: int = VIEW) -> SignedVote:
    content = Vote(CHAIN, 0, view, kind, block)
    return SignedVote(content, index, sign_vote(keys_of(4)[index], content))


def certificate(
    kind: VoteKind, block: bytes | None, signers: tuple[int, ...] = (0, 1, 2), view: int = VIEW
) -> Certificate:
    votes = [vote(kind, block, index, view) for index in signers]
    return Certificate(votes[0].vote, tuple((each.validator, each.signature) for each in votes))


def proposal(block: bytes, index: int = 0, view: int = VIEW) -> SignedProposal:
    content = Proposal(CHAIN, 0, view, 0, block)
    return SignedProposal(content, index, sign_proposal(keys_of(4)[index], content))


def persist(oracle: Oracle, index: int, *records: OwnVote | OwnProposal | HeldCertificate) -> None:
    oracle.persisted(index, Persist(records, ()))


def commit(oracle: Oracle, index: int, *blocks: object) -> None:
    for block in blocks:
        assert isinstance(block, type(ONE))
        identifier = block_id(block.header)
        view = LATEST if block is CHILD else VIEW
        oracle.committed(index, Committed(identifier, block, certificate(F, identifier, view=view)))


def test_an_honest_history_is_green() -> None:
    """Votes that were durable first, good certificates, one chain: nothing to say."""
    oracle = new_oracle()
    for index in HONEST:
        persist(oracle, index, OwnVote(vote(N, ONE_ID, index)))
        oracle.said(index, VotesMessage((vote(N, ONE_ID, index),)), 0)
        persist(oracle, index, HeldCertificate(certificate(N, ONE_ID)), OwnVote(vote(F, ONE_ID, index)))
        oracle.executed(index, ONE.header)
        oracle.entered(index, 0, VIEW + 1)
        oracle.said(index, CertificatesMessage((certificate(N, ONE_ID),)), 0)
        commit(oracle, index, ONE, CHILD)
        oracle.executed(index, CHILD.header)
    oracle.judge_lineage()
    assert oracle.violations == []


def forged() -> Certificate:
    return Certificate(Vote(CHAIN, 0, VIEW, N, ONE_ID), tuple((index, b"x" * 64) for index in range(4)))


def elsewhere(chain: bytes, epoch: int) -> Certificate:
    content = Vote(chain, epoch, VIEW, N, ONE_ID)
    return Certificate(content, tuple((index, sign_vote(keys_of(4)[index], content)) for index in range(4)))


def repeated() -> Certificate:
    one = certificate(N, ONE_ID, (0,))
    return Certificate(one.vote, one.signatures * 4)


def unknown() -> Certificate:
    good = certificate(N, ONE_ID)
    return Certificate(good.vote, (*good.signatures, (9, b"x" * 64)))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(forged, id="forged signatures"),
        pytest.param(repeated, id="one signer repeated"),
        pytest.param(unknown, id="an unknown signer"),
        pytest.param(lambda: certificate(N, ONE_ID, (0, 1)), id="exactly two thirds"),
        pytest.param(lambda: certificate(N, ONE_ID, (0,)), id="too little stake"),
        pytest.param(lambda: certificate(X, ONE_ID), id="a block in a nullification"),
        pytest.param(lambda: certificate(N, None), id="no block in a notarization"),
        pytest.param(lambda: elsewhere(b"o" * 32, 0), id="another chain"),
        pytest.param(lambda: elsewhere(CHAIN, 1), id="another epoch"),
    ],
)
def test_a_bad_certificate_is_found(make: Callable[[], Certificate]) -> None:
    """Made durable, passed on alone or attached to a proposal: whoever believes it is caught."""
    bad = make()
    message = ProposalMessage(proposal(ONE_ID, LIAR), ONE.header, bad, ())
    deeds: list[Callable[[Oracle], None]] = [
        lambda oracle: persist(oracle, 0, HeldCertificate(bad)),
        lambda oracle: oracle.said(0, CertificatesMessage((bad,)), 0),
        lambda oracle: oracle.said(0, message, 0),
    ]
    for deed in deeds:
        oracle = new_oracle()
        deed(oracle)
        assert [each.partition(":")[0] for each in oracle.violations] == ["certificate"]


@pytest.mark.parametrize(
    "votes",
    [
        (vote(N, ONE_ID), vote(N, OTHER_ID)),
        (vote(F, ONE_ID), vote(F, OTHER_ID)),
        (vote(X, None), vote(F, ONE_ID)),
        (vote(N, ONE_ID), vote(F, OTHER_ID)),
    ],
)
def test_every_forbidden_pair_is_found_in_either_order(votes: tuple[SignedVote, SignedVote]) -> None:
    """Two votes of one honest key in one view that no correct validator signs both."""
    for pair in (votes, votes[::-1]):
        oracle = new_oracle()
        persist(oracle, 0, *(OwnVote(each) for each in pair))
        assert [each.partition(":")[0] for each in oracle.violations] == ["forbidden pair"]


@pytest.mark.parametrize(
    "votes",
    [
        (vote(N, ONE_ID), vote(X, None)),
        (vote(N, ONE_ID), vote(F, ONE_ID)),
        (vote(X, None), vote(F, ONE_ID, view=LATER)),
    ],
)
def test_pairs_that_are_allowed_are_left_alone(votes: tuple[SignedVote, SignedVote]) -> None:
    """Nullify after one's own notarize is how a view is left."""
    oracle = new_oracle()
    persist(oracle, 0, *(OwnVote(each) for each in votes))
    assert oracle.violations == []


def test_two_proposals_of_one_view_are_found() -> None:
    """The same one again is a resend."""
    oracle = new_oracle()
    persist(oracle, 0, OwnProposal(proposal(ONE_ID)), OwnProposal(proposal(ONE_ID)))
    assert oracle.violations == []
    persist(oracle, 0, OwnProposal(proposal(OTHER_ID)))
    assert [each.partition(":")[0] for each in oracle.violations] == ["forbidden pair"]


def test_what_leaves_before_it_is_durable_is_found() -> None:
    """A vote or a proposal on the wire that no sync covered."""
    for message in (
        VotesMessage((vote(N, ONE_ID),)),
        ProposalMessage(proposal(ONE_ID), ONE.header, None, ()),
    ):
        oracle = new_oracle()
        oracle.said(0, message, 0)
        assert [each.partition(":")[0] for each in oracle.violations] == ["durable"]


def test_a_restart_without_what_was_signed_is_found() -> None:
    """A durable vote above the floor must be on the disk at the next start, and so must final blocks."""
    oracle = new_oracle()
    persist(oracle, 0, OwnVote(vote(N, ONE_ID)))
    oracle.started(0, Disk([base_of(BASE)], [OwnVote(vote(N, ONE_ID))]))
    assert oracle.violations == []
    oracle.started(0, Disk([base_of(BASE)]))
    commit(oracle, 1, ONE)
    oracle.started(1, Disk([base_of(BASE)]))
    assert [each.partition(":")[0] for each in oracle.violations] == ["durable", "durable"]


def test_a_second_certificate_in_a_view_is_found() -> None:
    """Two notarized blocks, two final ones, final and nullified, notarized one and finalized another."""
    pairs = [
        (certificate(N, ONE_ID), certificate(N, OTHER_ID)),
        (certificate(F, ONE_ID), certificate(F, OTHER_ID)),
        (certificate(F, ONE_ID), certificate(X, None)),
        (certificate(N, ONE_ID), certificate(F, OTHER_ID)),
    ]
    for pair in pairs:
        for ordered in (pair, pair[::-1]):
            oracle = new_oracle()
            for each in ordered:
                oracle.judge_certificate(0, each)
            assert "view" in [each.partition(":")[0] for each in oracle.violations]


def test_a_block_that_an_honest_leader_never_proposed_is_found() -> None:
    """In the view of an honest leader only its own block can be certified."""
    view = next(each for each in range(1, 40) if each not in LED_BY_LIAR)
    turn = leader(CHAIN, Epoch(0), View(view), validators_of(STAKES))
    oracle = new_oracle()
    persist(oracle, turn, OwnProposal(proposal(ONE_ID, turn, view)))
    oracle.judge_certificate(0, certificate(N, ONE_ID, view=view))
    assert oracle.violations == []
    oracle.judge_certificate(0, certificate(F, OTHER_ID, view=view))
    assert "turn" in [each.partition(":")[0] for each in oracle.violations]


def test_forks_gaps_and_orphans_in_the_chain_are_found() -> None:
    """Another block at a height, a height left out, a block that is not on the one below."""
    oracle = new_oracle()
    commit(oracle, 0, ONE)
    oracle.committed(1, Committed(OTHER_ID, OTHER, certificate(F, OTHER_ID, view=LATER)))
    oracle.committed(2, Committed(CHILD_ID, CHILD, None))
    rules = [each.partition(":")[0] for each in oracle.violations]
    assert rules == ["agreement", "roots", "order", "certificate"]
    oracle = new_oracle()
    commit(oracle, 0, OTHER)
    oracle.committed(0, Committed(CHILD_ID, CHILD, certificate(F, CHILD_ID, view=LATEST)))
    assert [each.partition(":")[0] for each in oracle.violations] == ["ancestry", "block"]


def test_a_transaction_twice_in_the_chain_is_found() -> None:
    """The second block that holds it is named."""
    oracle = new_oracle()
    again = block_on(ONE.header, WALL_START_MS + 1, b"", ONE.transactions)
    commit(oracle, 0, ONE)
    oracle.committed(
        0, Committed(block_id(again.header), again, certificate(F, block_id(again.header), view=LATER))
    )
    assert [each.partition(":")[0] for each in oracle.violations] == ["block", "transactions"]


def test_a_branch_that_passes_over_a_final_view_is_found() -> None:
    """Whatever is notarized later must descend from what is final, even if it never becomes final itself."""
    oracle = new_oracle()
    for block in (ONE, OTHER, CHILD):
        oracle.executed(0, block.header)
    oracle.judge_certificate(0, certificate(F, ONE_ID))
    oracle.judge_certificate(0, certificate(N, CHILD_ID, view=LATER))
    oracle.judge_lineage()
    assert oracle.violations == []
    oracle.judge_certificate(0, certificate(N, OTHER_ID, view=LATEST))
    oracle.judge_lineage()
    assert [each.partition(":")[0] for each in oracle.violations] == ["lineage"]


def test_a_move_without_leave_is_found() -> None:
    """Entering needs a durable certificate of the view before; a notarization besides a valid body."""
    oracle = new_oracle()
    oracle.entered(0, 0, 1)
    persist(oracle, 0, HeldCertificate(certificate(X, None)))
    oracle.entered(0, 0, VIEW + 1)
    assert oracle.violations == []
    oracle.entered(1, 0, VIEW + 1)
    persist(oracle, 2, HeldCertificate(certificate(N, ONE_ID, view=LATER)))
    oracle.entered(2, 0, LATER + 1)
    assert [each.partition(":")[0] for each in oracle.violations] == ["move", "move"]


def test_accusing_the_honest_and_halting_are_found() -> None:
    """To accuse the liar is right."""
    oracle = new_oracle()
    oracle.noticed(0, Report(Peer(LIAR), "vote.wrong_signature", "x"))
    oracle.noticed(0, Evidence(LIAR, vote(N, ONE_ID, LIAR), vote(N, OTHER_ID, LIAR)))
    assert oracle.violations == []
    oracle.noticed(0, Report(Peer(1), "vote.wrong_signature", "x"))
    oracle.noticed(0, Evidence(1, vote(N, ONE_ID, 1), None))
    oracle.noticed(0, Halt("consensus.forked", "x"))
    assert [each.partition(":")[0] for each in oracle.violations] == [
        "false report",
        "false evidence",
        "halt",
    ]


def test_chatter_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """More messages than the limit within one window, once; a new window begins at nought."""
    monkeypatch.setattr(traffic, "MESSAGES_PER_PEER_MAX", 5)
    oracle, status = new_oracle(), StatusMessage(0, 1, 0, 0)
    for _ in range(15):
        oracle.said(0, status, 0)
    assert oracle.violations == []
    for _ in range(10):
        oracle.said(0, status, traffic.WINDOW_MS - 1)
    assert [each.partition(":")[0] for each in oracle.violations] == ["traffic"]
    for _ in range(15):
        oracle.said(1, status, traffic.WINDOW_MS)
    assert len(oracle.violations) == 1


def test_saying_it_again_has_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words in the next window are repeats; other words, and what is new, are not."""
    monkeypatch.setattr(traffic, "RESENDS_PER_PEER_MAX", 2)
    oracle = new_oracle()
    words = [CertificatesMessage((certificate(X, None, view=view),)) for view in range(1, 9)]
    for window, spoken in enumerate((words, words[:6], words[6:])):
        for message in spoken:
            oracle.said(0, message, window * traffic.WINDOW_MS)
    assert oracle.violations == []
    for message in (*words, *words):
        oracle.said(0, message, 3 * traffic.WINDOW_MS)
    for message in words:
        oracle.said(0, message, 4 * traffic.WINDOW_MS)
    assert [each.partition(":")[0] for each in oracle.violations] == ["traffic"]


def test_a_doubtful_record_signs_nothing_old() -> None:
    """After a swap of disks every view up to the last ever signed in is forbidden; the next is not."""
    oracle = new_oracle()
    persist(oracle, 0, OwnVote(vote(N, ONE_ID, view=LATER)))
    oracle.restored(0, Disk([base_of(BASE)]))
    oracle.started(0, Disk([base_of(BASE)]))
    persist(oracle, 0, OwnVote(vote(N, ONE_ID, view=LATEST)))
    assert oracle.violations == []
    persist(oracle, 0, OwnVote(vote(X, None, view=VIEW)))
    assert [each.partition(":")[0] for each in oracle.violations] == ["quarantine"]


def test_a_restored_record_may_be_said_again_and_nothing_else() -> None:
    """The votes on the copy are durable there; those that it lacks are not."""
    oracle = new_oracle()
    old, lost = vote(N, ONE_ID), vote(N, ONE_ID, view=LATER)
    persist(oracle, 0, OwnVote(old), OwnVote(lost))
    copy = Disk([base_of(BASE)], [OwnVote(old)])
    oracle.restored(0, copy)
    oracle.started(0, copy)
    oracle.said(0, VotesMessage((old,)), 0)
    assert oracle.violations == []
    oracle.said(0, VotesMessage((lost,)), 0)
    assert [each.partition(":")[0] for each in oracle.violations] == ["durable"]


def test_a_flood_of_findings_is_bounded() -> None:
    """The first ones say enough."""
    oracle = new_oracle()
    for index in range(1000):
        oracle.violated("rule", str(index))
    assert len(oracle.violations) == oracle_module.VIOLATIONS_MAX


def test_the_ids_in_these_tests_are_what_they_seem() -> None:
    """The liar leads the views in which any block may be certified."""
    assert isinstance(BlockId(ONE_ID), bytes)
    assert len({ONE_ID, OTHER_ID, CHILD_ID}) == 3
    assert VIEW < LATER < LATEST


# --- epochs ---------------------------------------------------------------------------------


SHORT = base_block(CHAIN, epoch_blocks=1)
LAST = block_on(SHORT.header, WALL_START_MS, b"", (b"1" * 16,))
FIRST = block_on(LAST.header, WALL_START_MS + 1, b"", (b"2" * 16,))
LAST_ID, FIRST_ID = block_id(LAST.header), block_id(FIRST.header)
LATER_STAKES = (2, 2, 2, 0)  # the liar has left, another one weighs more
SHORT_SETS = Roll((STAKES, LATER_STAKES))


def vote_in(epoch: int, kind: VoteKind, block: bytes | None, index: int = 0, view: int = VIEW) -> SignedVote:
    content = Vote(CHAIN, epoch, view, kind, block)
    return SignedVote(content, index, sign_vote(keys_of(4)[SHORT_SETS.members(epoch)[index]], content))


def finalization_in(
    epoch: int, block: bytes, signers: tuple[int, ...] = (0, 1, 2), view: int = VIEW
) -> Certificate:
    votes = [vote_in(epoch, F, block, index, view) for index in signers]
    return Certificate(votes[0].vote, tuple((each.validator, each.signature) for each in votes))


def after_a_turn() -> Oracle:
    """Everyone honest has committed the only block of epoch 0."""
    oracle = Oracle(SHORT_SETS, CHAIN, HONEST, SHORT.header, 1)
    for index in HONEST:
        oracle.executed(index, LAST.header)
        oracle.committed(index, Committed(LAST_ID, LAST, finalization_in(0, LAST_ID)))
    return oracle


def turn_of(oracle: Oracle, index: int, epoch: int) -> int:
    """A view of this epoch that the honest node leads."""
    lead = [
        view
        for view in range(1, 60)
        if SHORT_SETS.node(epoch, leader(CHAIN, Epoch(epoch), View(view), SHORT_SETS.validators(epoch)))
        == index
    ]
    return lead[0]


def test_a_turn_is_green() -> None:
    """The next epoch stands on the last block; its own set certifies, and its views count anew."""
    oracle = after_a_turn()
    view = turn_of(oracle, 0, 1)
    content = Proposal(CHAIN, 1, view, 0, FIRST_ID)
    own = SignedProposal(content, 0, sign_proposal(keys_of(4)[0], content))
    persist(oracle, 0, OwnProposal(own))
    for index in HONEST:
        persist(oracle, index, OwnVote(vote_in(1, N, FIRST_ID, index, view)))
        oracle.executed(index, FIRST.header)
        oracle.committed(index, Committed(FIRST_ID, FIRST, finalization_in(1, FIRST_ID, view=view)))
    oracle.judge_lineage()
    assert oracle.violations == []


def test_signing_in_an_epoch_that_has_ended_is_found() -> None:
    """After the last block is committed nobody votes in that epoch."""
    oracle = after_a_turn()
    persist(oracle, 0, OwnVote(vote_in(0, N, ONE_ID, 0)))
    assert [each.partition(":")[0] for each in oracle.violations] == ["epoch"]


def test_signing_in_an_epoch_that_has_not_begun_is_found() -> None:
    """Before its base is committed here nobody votes in an epoch."""
    oracle = Oracle(SHORT_SETS, CHAIN, HONEST, SHORT.header, 1)
    persist(oracle, 0, OwnVote(vote_in(1, X, None, 0)))
    assert [each.partition(":")[0] for each in oracle.violations] == ["epoch"]


def test_signing_without_stake_is_found() -> None:
    """Who has left the set signs nothing, whatever index it gives itself."""
    oracle = Oracle(SHORT_SETS, CHAIN, (0, 1, 2, 3), SHORT.header, 1)
    for index in (0, 1, 2, 3):
        oracle.committed(index, Committed(LAST_ID, LAST, finalization_in(0, LAST_ID)))
    oracle.violations.clear()
    persist(oracle, 3, OwnVote(vote_in(1, X, None, 0)))
    assert [each.partition(":")[0] for each in oracle.violations] == ["epoch"]


def test_a_certificate_is_held_to_the_set_of_its_epoch() -> None:
    """Two of the three that are left are exactly two thirds, though they were more in the epoch before."""
    oracle = after_a_turn()
    oracle.judge_certificate(0, finalization_in(1, FIRST_ID, (0, 1)))
    assert [each.partition(":")[0] for each in oracle.violations] == ["certificate"]
    oracle = after_a_turn()
    oracle.judge_certificate(0, finalization_in(2, FIRST_ID))
    assert [each.partition(":")[0] for each in oracle.violations] == ["certificate"]


def test_a_block_of_the_wrong_epoch_is_found() -> None:
    """A child of a last block that stays in its epoch, and one that leaps ahead."""
    oracle = after_a_turn()
    header = msgspec.structs.replace(FIRST.header, epoch=0)
    wrong = Block(header, FIRST.last_certificate, FIRST.transactions)
    oracle.committed(0, Committed(block_id(header), wrong, finalization_in(0, block_id(header), view=LATER)))
    assert "epoch" in [each.partition(":")[0] for each in oracle.violations]


def test_what_an_epoch_notarizes_stands_on_its_base() -> None:
    """A block of the next epoch beside the last block of the one before passes over what is final."""
    oracle = after_a_turn()
    beside = block_on(SHORT.header, WALL_START_MS + 5, b"", (b"9" * 16,))
    oracle.executed(0, beside.header)
    child = block_on(beside.header, WALL_START_MS + 6, b"", ())
    oracle.executed(0, child.header)
    view = turn_of(oracle, 0, 1)
    content = Proposal(CHAIN, 1, view, 0, block_id(child.header))
    persist(oracle, 0, OwnProposal(SignedProposal(content, 0, sign_proposal(keys_of(4)[0], content))))
    votes = [vote_in(1, N, block_id(child.header), index, view) for index in range(3)]
    oracle.judge_certificate(0, Certificate(votes[0].vote, tuple((v.validator, v.signature) for v in votes)))
    oracle.judge_lineage()
    assert [each.partition(":")[0] for each in oracle.violations] == ["lineage"]


def test_empty_blocks_of_honest_nodes_break_the_quiet() -> None:
    """Two may help the last block along, six where hops take longer than the first delay, and one more each
    block of a liar; what a liar builds is its own."""
    for built, above, is_far in (
        (2, 2, False),
        (3, 3, False),
        (3, 4, False),
        (0, 4, False),
        (6, 6, True),
        (7, 7, True),
    ):
        oracle = new_oracle()
        chain = [BASE]
        for _ in range(above + 1):
            chain.append(block_on(chain[-1].header, WALL_START_MS, b"", ()))
        for block in chain[2 : 2 + built]:
            oracle.built(0, block.header)
        for block in chain[1:]:
            oracle.committed(
                0, Committed(block_id(block.header), block, certificate(F, block_id(block.header)))
            )
        oracle.rested(1, is_far=is_far)
        is_too_much = any(each.startswith("quiet:") for each in oracle.violations)
        assert is_too_much == (built == above == (7 if is_far else 3))
