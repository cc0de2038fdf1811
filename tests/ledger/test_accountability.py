"""Two conflicting final histories name more than a third of the stake, and nobody honest."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.accountability import Fork, History, is_settling, name_culprits
from ledger.block import block_id
from ledger.errors import LedgerError
from ledger.evidence import check_evidence
from ledger.types import BlockId, Epoch, View
from ledger.validators import ValidatorSet
from ledger.vote import Certificate, Vote, VoteKind, sign_vote
from tests.ledger.forks import CHAIN, EPOCH, Drawn, F, ForkedChain, N, X, draw_fork

SEEDS = st.integers(0, 2**32)


def final_view(history: History) -> View:
    branch = [block_id(header) for header in history.headers[1:]]
    return min(each.view for each in history.certificates if each.kind is F and each.block_id in branch)


def is_in_two_views(fork: Drawn) -> bool:
    return final_view(fork[1]) != final_view(fork[2])


def refusal_of(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value.code


def check_named(world: ForkedChain, fork: Fork) -> None:
    named = [culprit.validator for culprit in fork.culprits]
    assert named == sorted(set(named))
    assert set(named) <= world.liars, "an honest validator was named"
    assert fork.stake == sum(world.validators.stake(index) for index in named)
    assert 3 * fork.stake > fork.total_stake == world.validators.total_stake
    for culprit in fork.culprits:
        key = check_evidence(culprit.evidence, CHAIN, EPOCH, world.validators)
        assert key == culprit.public_key == world.keys[culprit.validator].public


@given(SEEDS)
def test_a_forced_fork_names_a_third_and_nobody_honest(seed: int) -> None:
    """AC4, AC5: whatever liars and stakes made the fork, its two justified histories name the liars."""
    world, first, second = draw_fork(seed)
    for pair in ((first, second), (second, first)):
        check_named(world, name_culprits(CHAIN, world.validators, *pair))


@given(SEEDS, st.data())
def test_forged_certificates_name_nobody(seed: int, data: st.DataObject) -> None:
    """AC5: certificates that the honest never signed, strewn into both histories, accuse nobody."""
    world, first, second = draw_fork(seed)
    true = [*first.certificates, *second.certificates]
    forged = []
    for _ in range(data.draw(st.integers(1, 4))):
        model = data.draw(st.sampled_from(true))
        other = data.draw(st.sampled_from(true))
        kind = data.draw(st.sampled_from(list(VoteKind)))
        vote = Vote(CHAIN, EPOCH, model.view, kind, None if kind is X else bytes(range(32)))
        borrowed = tuple((index, signature) for index, signature in other.signatures)
        liars = tuple((index, sign_vote(world.keys[index], vote)) for index in sorted(world.liars))
        forged += [Certificate(vote, borrowed), Certificate(vote, liars)]
    spoilt = History(first.headers, (*forged, *first.certificates))
    check_named(world, name_culprits(CHAIN, world.validators, spoilt, second))


@given(SEEDS)
def test_an_unjustified_history_is_told_apart(seed: int) -> None:
    """AC6: without the certificate that settled the deciding view nobody is named, and the view is."""
    world, first, second = draw_fork(seed, is_in_two_views)
    low, high = sorted((first, second), key=final_view)
    deciding = final_view(low)
    kept = tuple(each for each in high.certificates if each.view > deciding)
    lone = tuple(each for each in low.certificates if each.kind is F and each.view == deciding)
    bare = History(low.headers, lone), History(high.headers, kept)
    assert refusal_of(lambda: name_culprits(CHAIN, world.validators, *bare)) == "audit.not_justified"


def test_every_way_to_fork_is_drawn() -> None:
    """AC4: final in one view; by a gap; past a last block, or the shared one, that was notarized again."""

    def in_one_view(fork: Drawn) -> bool:
        return final_view(fork[1]) == final_view(fork[2])

    def by_a_gap(fork: Drawn) -> bool:
        low, high = sorted(fork[1:], key=final_view)
        return any(each.kind is X and each.view == final_view(low) for each in high.certificates)

    def proposed_again(fork: Drawn) -> bool:
        low, high = sorted(fork[1:], key=final_view)
        blocks = [each.block_id for each in high.certificates if each.kind is N]
        return final_view(low) < final_view(high) and len(blocks) > len(set(blocks))

    def below_the_shared_block(fork: Drawn) -> bool:
        _, high = sorted(fork[1:], key=final_view)
        low = final_view(fork[1]), final_view(fork[2])
        shared = block_id(high.headers[0])
        return any(each.block_id == shared and each.view >= min(low) for each in high.certificates)

    for kind in (in_one_view, by_a_gap, proposed_again, below_the_shared_block):
        world, first, second = draw_fork(0, kind)
        check_named(world, name_culprits(CHAIN, world.validators, first, second))


def test_histories_that_agree_are_no_fork() -> None:
    """AC2: the same blocks, or a history that ends where the other goes on, accuse nobody."""
    world, first, _ = draw_fork(0)
    assert refusal_of(lambda: name_culprits(CHAIN, world.validators, first, first)) == "audit.no_conflict"
    ended = History(first.headers[:1], first.certificates)
    assert refusal_of(lambda: name_culprits(CHAIN, world.validators, first, ended)) == "audit.no_conflict"


def test_a_history_that_is_not_final_accuses_nobody() -> None:
    """AC3: a branch without a valid finalization of one of its blocks is no fork."""
    world, first, second = draw_fork(0)
    open_end = History(second.headers, tuple(each for each in second.certificates if each.kind is not F))
    foreign = History(
        second.headers, (*open_end.certificates, *(e for e in first.certificates if e.kind is F))
    )
    for side in (open_end, foreign):
        assert (
            refusal_of(lambda side=side: name_culprits(CHAIN, world.validators, first, side))
            == "audit.not_final"
        )


def test_broken_histories_are_refused() -> None:
    """AC2: links, the shared block, its validators and the chain are checked before anybody is accused."""
    world, first, second = draw_fork(0, lambda fork: len(fork[1].headers) > 2)
    code = "audit.broken_history"

    def audit(one: History, other: History, validators: ValidatorSet = world.validators) -> str:
        return refusal_of(lambda: name_culprits(CHAIN, validators, one, other))

    assert audit(History((first.headers[0], *first.headers[2:]), first.certificates), second) == code
    assert audit(History(first.headers[1:], first.certificates), second) == code
    assert audit(first, second, ValidatorSet(world.validators.validators[::-1])) == code
    moved = world.child(first.headers[0])
    moved = msgspec.structs.replace(moved, epoch=Epoch(EPOCH + 1))
    assert audit(History((first.headers[0], moved), first.certificates), second) == code


def test_a_view_is_settled_by_its_own_history_only() -> None:
    """AC1: a nullification settles a view for everybody, a block's certificate for who holds the block."""
    mine, other = BlockId(b"a" * 32), BlockId(b"b" * 32)
    votes = {
        kind: Certificate(Vote(CHAIN, EPOCH, 1, kind, None if kind is X else mine), ()) for kind in VoteKind
    }
    assert is_settling(votes[X], ())
    assert is_settling(votes[N], (mine,))
    assert is_settling(votes[F], (mine,))
    assert not is_settling(votes[N], (other,))
    assert not is_settling(votes[F], ())
