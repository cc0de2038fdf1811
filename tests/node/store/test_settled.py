"""What settled each view: found by epoch and view, with its holes, for the dispute period."""

from __future__ import annotations

import dataclasses

import pytest

from ledger.codec import decode, encode
from ledger.epoch import EpochStart
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, ChainId, Epoch, View
from ledger.validators import Validator, ValidatorSet
from ledger.vote import Certificate, Vote, VoteKind
from node.store.failure import StoreCorrupted
from node.store.memory import MemoryDatabase
from node.store.settled import (
    SWEPT_VIEWS_MAX,
    EpochRecord,
    Retention,
    SettledViews,
    epoch_entry,
    ranges,
    settled_entries,
)
from node.store.stores import finalized, retention_of, stores_over
from tests.node.store.chain import CHAIN, DEPTH, PARAMETERS, VALIDATORS, fill, next_execution, story, tip_of

RECORD = EpochRecord(10, 50_000, VALIDATORS.validators)


def settle(view: int, kind: VoteKind = VoteKind.NULLIFY, epoch: int = 1, signers: int = 1) -> Certificate:
    block = None if kind is VoteKind.NULLIFY else bytes(32)
    vote = Vote(ChainId(CHAIN), epoch, view, kind, block)
    return Certificate(vote, tuple((index, bytes(64)) for index in range(signers)))


def views_of(*views: int, epoch: int = 1) -> SettledViews:
    found = SettledViews(MemoryDatabase("data/blocks"))
    found.write([settle(view, epoch=epoch) for view in views])
    return found


def test_a_view_has_one_certificate() -> None:
    """Of two of one view the finalization is kept; views of other epochs are others."""
    views = views_of()
    views.write([settle(3, VoteKind.FINALIZE), settle(3, VoteKind.NOTARIZE), settle(3, epoch=2)])
    found = [views.certificate(epoch, 3) for epoch in (1, 2, 3)]
    assert found == [encode(settle(3, VoteKind.FINALIZE)), encode(settle(3, epoch=2)), None]
    assert list(views.all_of(1)) == [encode(settle(3, VoteKind.FINALIZE))]


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ((), [1, 2, 3, 4, 5, 6]),
        ((1, 2, 3, 4, 5, 6), []),
        ((1, 3, 6), [2, 4, 5]),
        ((6,), [1, 2, 3, 4, 5]),
        ((9,), [1, 2, 3, 4, 5, 6]),
    ],
)
def test_holes_are_found(held: tuple[int, ...], missing: list[int]) -> None:
    """AC4: every view up to a finalization of which nothing is held, bounded, and as ranges to ask for."""
    views = views_of(*held)
    assert views.missing(1, 0, 6, 100) == missing
    assert views.missing(1, 0, 6, 2) == missing[:2]
    asked = [
        View(view)
        for after, until in ranges(views.missing(1, 0, 6, 100))
        for view in range(after + 1, until + 1)
    ]
    assert asked == missing
    assert views.last_view(1) == max(held, default=0)


def test_pages_are_bounded() -> None:
    """A page ends at its count, and never leaves its epoch or what was asked for."""
    views = views_of(*range(1, 9))
    views.write([settle(1, epoch=2)])
    assert views.page(1, 0, 8, 3) == [(view, encode(settle(view))) for view in (1, 2, 3)]
    assert [view for view, _ in views.page(1, 5, 99, 10)] == [6, 7, 8]
    assert [view for view, _ in views.page(1, 2, 4, 10)] == [3, 4]
    assert views.page(1, 8, 8, 10) == []


def with_epochs(*starts_ms: int) -> SettledViews:
    """Epochs from 0 on, each with two settled views; epoch 1 and later begin at these times."""
    database = MemoryDatabase("data/blocks")
    for number, start_ms in enumerate(starts_ms, 1):
        database.write(epoch_entry(Epoch(number), EpochRecord(number, start_ms, VALIDATORS.validators)))
    views = SettledViews(database)
    views.write([settle(view, epoch=epoch) for epoch in range(len(starts_ms) + 1) for view in (1, 2)])
    return views


@pytest.mark.parametrize(
    ("epoch", "time_ms", "gone"),
    [
        (2, 90_000, []),  # two epochs after theirs are not over
        (3, 10_500, []),  # epochs may be short: the time is not over
        (3, 90_000, [0]),
        (4, 12_500, [0]),
        (4, 90_000, [0, 1]),
    ],
)
def test_certificates_leave_after_the_dispute_period(epoch: int, time_ms: int, gone: list[int]) -> None:
    """AC8: when so many epochs and so much time are over since the epoch ended, not before."""
    views = with_epochs(10_000, 11_000, 12_000, 13_000)
    outdated = views.outdated(epoch, time_ms, Retention(2, 2_000))
    assert outdated == list(settled_entries(settle(view, epoch=each) for each in gone for view in (1, 2)))


def test_sweeping_is_bounded() -> None:
    """However much is outdated, one block removes so many and leaves the rest to the next ones."""
    views = with_epochs(1, 2, 3, 4)
    views.write([settle(view, epoch=0) for view in range(1, 2 * SWEPT_VIEWS_MAX)])
    assert len(views.outdated(4, 1 << 40, Retention(1, 1))) == SWEPT_VIEWS_MAX


def test_a_last_block_leaves_the_set_of_the_next_epoch() -> None:
    """AC8: with the last block of an epoch its successor's base and validators are written, for ever."""
    blocks, state = MemoryDatabase("data/blocks"), MemoryDatabase("data/state")
    fill(blocks, state)
    stores = stores_over(blocks, state, CHAIN, tree_depth=DEPTH)
    execution = next_execution(tip_of(stores), story(1))
    final = finalized(execution, settle(4, VoteKind.FINALIZE))
    assert final.stored.epoch is None
    other = ValidatorSet((Validator(VALIDATORS.public_key(0), 7, "node-7"),))
    tip = execution.tip

    turned = dataclasses.replace(tip, epoch=EpochStart(2, 1, 1_001), validators=other)
    stored = finalized(dataclasses.replace(execution, tip=turned), settle(4, VoteKind.FINALIZE)).stored
    stores.blocks.append(stored)
    record = stores.blocks.settled.epoch(2)
    assert record == EpochRecord(1, 1_001, other.validators)
    assert stores.blocks.settled.validators(2) == other
    assert stores.blocks.settled.epoch(1) is None


def test_the_parents_certificate_settles_its_view() -> None:
    """AC7: what a block carries of its parent is kept by view, beside what consensus saw."""
    blocks, state = MemoryDatabase("data/blocks"), MemoryDatabase("data/state")
    fill(blocks, state)
    stores = stores_over(blocks, state, CHAIN, tree_depth=DEPTH)
    parent = settle(2, VoteKind.NOTARIZE)
    execution = next_execution(tip_of(stores), story(1), certificate=encode(parent))
    final = settle(4, VoteKind.FINALIZE)
    stores.blocks.append(finalized(execution, final, (settle(3), final)).stored)
    held = [stores.blocks.settled.certificate(1, view) for view in range(1, 6)]
    assert held == [None, encode(parent), encode(settle(3)), encode(final), None]
    assert decode(held[3] or b"", Certificate, QUORUM_CERTIFICATE_BYTES_MAX) == final


def test_the_retention_follows_the_parameters() -> None:
    """AC8: one epoch's time is added, since clocks differ."""
    parameters = PARAMETERS.consensus
    assert retention_of(parameters) == Retention(2, 3 * parameters.epoch_ms)


def test_a_spoilt_epoch_is_named() -> None:
    """What the disk changed is never taken for a validator set."""
    database = MemoryDatabase("data/blocks", {b"V" + (5).to_bytes(8, "big"): b"\x93\x01"})
    with pytest.raises(StoreCorrupted):
        SettledViews(database).epoch(5)
