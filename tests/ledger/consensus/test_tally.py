"""Counting: by stake, once a validator, and whoever votes twice is noticed once."""

from __future__ import annotations

import pytest

from ledger.consensus.tally import Tally
from ledger.evidence import vote_offence
from ledger.types import View
from ledger.vote import SignedVote, Vote, VoteKind
from tests.ledger.consensus.lockstep import CHAIN, EPOCH, validator_set

A, B = b"a" * 32, b"b" * 32
NOTARIZE, NULLIFY, FINALIZE = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


def vote(validator: int, kind: VoteKind, block: bytes | None = A, view: int = 1) -> SignedVote:
    content = Vote(CHAIN, EPOCH, view, kind, None if kind is NULLIFY else block)
    return SignedVote(content, validator, bytes([validator]) * 64)


def test_a_quorum_makes_a_certificate_in_order() -> None:
    """Votes that come in any order make a certificate whose signers ascend."""
    tally = Tally(validator_set([1, 1, 1, 1]))
    for validator in (3, 0):
        tally.add(vote(validator, NOTARIZE))
        assert tally.certificate(vote(0, NOTARIZE).vote) is None
    tally.add(vote(1, NOTARIZE))
    certificate = tally.certificate(vote(0, NOTARIZE).vote)
    assert certificate is not None
    assert [index for index, _ in certificate.signatures] == [0, 1, 3]


def test_stake_counts_not_heads() -> None:
    """One validator with more than two thirds of the stake is a quorum, three with less are not."""
    tally = Tally(validator_set([7, 1, 1, 1]))
    for validator in (1, 2, 3):
        tally.add(vote(validator, NOTARIZE))
    assert tally.certificate(vote(0, NOTARIZE).vote) is None
    tally.add(vote(0, NOTARIZE))
    assert tally.certificate(vote(0, NOTARIZE).vote) is not None


def test_a_vote_counts_once() -> None:
    """The same vote twice, or a second block of the same validator, adds no stake."""
    tally = Tally(validator_set([1, 1, 1, 1]))
    tally.add(vote(0, NOTARIZE))
    tally.add(vote(0, NOTARIZE))
    tally.add(vote(0, NOTARIZE, B))
    assert tally.stake(View(1), NOTARIZE, A) == 1  # type: ignore[arg-type] # any 32 bytes are a block id here
    assert tally.stake(View(1), NOTARIZE, B) == 0  # type: ignore[arg-type] # the same
    assert len(tally) == 1


@pytest.mark.parametrize(
    ("first", "second", "is_forbidden"),
    [
        (vote(0, NOTARIZE), vote(0, NOTARIZE, B), True),
        (vote(0, FINALIZE), vote(0, FINALIZE, B), True),
        (vote(0, NULLIFY), vote(0, FINALIZE), True),
        (vote(0, NOTARIZE), vote(0, FINALIZE, B), True),
        (vote(0, NOTARIZE), vote(0, FINALIZE), False),
        (vote(0, NOTARIZE), vote(0, NULLIFY), False),
        (vote(0, NOTARIZE), vote(0, NOTARIZE, B, view=2), False),
        (vote(0, NULLIFY), vote(0, FINALIZE, view=2), False),
    ],
)
def test_forbidden_pairs_are_noticed(first: SignedVote, second: SignedVote, is_forbidden: bool) -> None:
    """The pairs that no correct validator signs in one view are evidence in either order; others are not."""
    for left, right in ((first, second), (second, first)):
        assert (vote_offence(left.vote, right.vote) is not None) is is_forbidden
        tally = Tally(validator_set([1, 1, 1, 1]))
        assert tally.add(left) is None
        assert tally.add(right) == ((left, right) if is_forbidden else None)
        assert tally.add(right) is None


def test_a_finalized_view_is_forgotten() -> None:
    """Pruning drops the votes below a view and no others: those of the view itself fill its certificate."""
    tally = Tally(validator_set([1, 1, 1, 1]))
    for view in (1, 2, 3):
        tally.add(vote(0, NULLIFY, view=view))
    tally.prune(View(2))
    assert not tally.has_voted(View(1), NULLIFY, 0)
    assert tally.has_voted(View(2), NULLIFY, 0)
    assert tally.has_voted(View(3), NULLIFY, 0)
    assert len(tally) == 2
