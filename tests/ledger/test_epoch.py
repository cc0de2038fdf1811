"""Epochs in the ledger: the last block, what governs its children, attendance, and how long sets are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from ledger.consensus.timeouts import ConsensusParameters
from ledger.epoch import (
    VALIDATORS,
    EpochStart,
    begin_epoch,
    epoch_in_force,
    is_last_block,
    parameters_in_force,
    validators_in_force,
    validators_of,
)
from ledger.genesis import Parameters, StakingParameters, parameters_hash
from ledger.state import Overlay
from ledger.transition import Execution, Tip, check_place
from ledger.validators import validators_hash
from tests.ledger.chain import (
    SIGNERS,
    START_MS,
    MemoryState,
    apply,
    build,
    certificate_of,
    commit,
    genesis_tip,
    grow,
    make_transaction,
    note_key,
    voters_of,
)
from tests.ledger.refusals import code_of
from tests.ledger.test_transition import replaced, with_header

EPOCH_BLOCKS = 4
SHORT = ConsensusParameters(epoch_blocks=EPOCH_BLOCKS, epoch_ms=60_000)


def short_tip(evidence_epochs: int = 144) -> Tip:
    """A new chain whose epochs have four blocks, or last a minute."""
    staking = StakingParameters(evidence_epochs=evidence_epochs)
    return genesis_tip(consensus=SHORT, staking=staking)


def empty_blocks(tip: Tip, blocks: int) -> Iterator[Execution]:
    """So many more empty blocks, each made final once the caller has looked at it."""
    for _ in range(blocks):
        execution = build(tip)
        yield execution
        tip = commit(tip, execution)


# --- X10: which block is the last -----------------------------------------------------


@pytest.mark.parametrize(
    ("height", "time_ms", "is_last"),
    [
        (13, 1_000, False),
        (14, 1_000, True),
        (11, 60_999, False),
        (11, 61_000, True),
        (99, 99_000, True),
    ],
)
def test_the_last_block_is_far_enough_or_old_enough(height: int, time_ms: int, is_last: bool) -> None:
    """From the base at height 10 and 1,000 ms: four blocks or 60,000 ms, both ends belonging to it."""
    assert is_last_block(EpochStart(3, 10, 1_000), height, time_ms, SHORT) is is_last


def test_the_children_of_a_last_block_are_of_the_next_epoch() -> None:
    """The last block is of its own epoch still; its tip governs children by the next."""
    made = list(empty_blocks(short_tip(), 2 * EPOCH_BLOCKS + 1))
    assert [each.tip.header.epoch for each in made] == [0, 0, 0, 0, 1, 1, 1, 1, 2]
    assert [each.tip.epoch.epoch for each in made] == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    last = made[EPOCH_BLOCKS - 1].tip
    assert last.epoch == EpochStart(1, EPOCH_BLOCKS, last.header.time_ms)
    assert (last.voters, last.validators) == (voters_of(0), voters_of(1))
    within = made[EPOCH_BLOCKS].tip
    assert within.voters == within.validators == voters_of(1)
    assert within.epoch == last.epoch


def test_an_epoch_ends_by_time_as_well() -> None:
    """One block is enough where it is a minute above the base."""
    tip = short_tip()
    execution = build(tip, time_ms=START_MS + 60_000)
    assert execution.tip.epoch == EpochStart(1, 1, START_MS + 60_000)
    assert build(tip, time_ms=START_MS + 59_999).tip.epoch == tip.epoch


def test_headers_commit_to_both_sets_and_to_the_parameters_in_force() -> None:
    """The set that votes on the block, the one that votes on its children; parameters turn after it."""
    tip = short_tip()
    for _ in range(3 * EPOCH_BLOCKS):
        execution = build(tip)
        header, epoch = execution.tip.header, execution.tip.epoch.epoch
        assert header.validators_hash == tip.header.next_validators_hash
        assert header.validators_hash == validators_hash(voters_of(header.epoch))
        assert header.next_validators_hash == validators_hash(voters_of(epoch))
        assert header.parameters_hash == parameters_hash(tip.parameters)
        assert execution.tip.parameters.event_time_skew_ms == 600_000 + epoch
        tip = commit(tip, execution)


def test_the_transactions_of_a_last_block_run_under_the_old_epoch() -> None:
    """The turn comes after them, and their writes stand."""
    tip = grow(short_tip(), EPOCH_BLOCKS - 1)
    execution = build(tip, make_transaction(valid_until=EPOCH_BLOCKS))
    assert execution.tip.world.get(note_key("farm", "a")) == b"1"
    assert execution.tip.epoch.epoch == 1
    assert apply(tip, execution.block).tip.header == execution.tip.header


def test_a_block_of_another_epoch_is_invalid() -> None:
    """An epoch that turns too early or too late is a header that execution does not give."""
    tip = short_tip()
    for execution in empty_blocks(tip, 2 * EPOCH_BLOCKS):
        for epoch in {execution.tip.header.epoch + 1, max(0, execution.tip.header.epoch - 1)}:
            other = with_header(execution.block, epoch=epoch)
            if other != execution.block:
                assert code_of(partial(apply, tip, other)) == "block.wrong_header"
        tip = replace(execution.tip, world=tip.world)


# --- X3: the parent's certificate is by the parent's voters -----------------------------


def test_the_first_block_of_an_epoch_carries_a_certificate_of_the_epoch_before() -> None:
    """The last block was voted on by its own set; the next set's signatures over it count for nothing."""
    tip = grow(short_tip(), EPOCH_BLOCKS)
    block = build(tip).block
    check_place(tip, block)
    by_next = replaced(block, last_certificate=certificate_of(tip.id, epoch=1))
    assert code_of(lambda: check_place(tip, by_next)) == "certificate.wrong_epoch"


def test_within_an_epoch_the_set_of_the_epoch_before_counts_for_nothing() -> None:
    """A second block of epoch 1 with a certificate of epoch 0 is refused."""
    tip = grow(short_tip(), EPOCH_BLOCKS + 1)
    block = build(tip).block
    check_place(tip, block)
    by_old = replaced(block, last_certificate=certificate_of(tip.id, epoch=0))
    assert code_of(lambda: check_place(tip, by_old)) == "certificate.wrong_epoch"


# --- X11: attendance ---------------------------------------------------------------------


def test_signers_are_counted_within_an_epoch_only() -> None:
    """Not in block 1, which has no certificate, and not in a first block, whose parent has another set."""
    tip = short_tip()
    for height in range(1, 2 * EPOCH_BLOCKS + 2):
        execution = build(tip)
        counted = execution.layer.writes.get(SIGNERS)
        is_first = height % EPOCH_BLOCKS == 1
        assert counted == (None if is_first else bytes([0, 1, 2])), height
        tip = commit(tip, execution)


# --- X12, X13: records ---------------------------------------------------------------------


def test_a_stored_tip_is_restored_from_its_world() -> None:
    """After any block, the tip read from state is the tip that execution made."""
    for execution in empty_blocks(short_tip(), 3 * EPOCH_BLOCKS):
        tip = execution.tip
        assert Tip.restored(tip.header, tip.id, tip.world, tip.history) == tip


def test_only_a_last_block_writes_what_governs() -> None:
    """Within an epoch the records of the ledger about epochs are not touched."""
    for execution in empty_blocks(short_tip(), 2 * EPOCH_BLOCKS):
        written = [key for key in execution.layer.writes if key.startswith(b"ledger\0")]
        is_last = execution.tip.header.height % EPOCH_BLOCKS == 0
        assert len(written) == (4 if is_last else 1), written


def test_sets_are_kept_for_the_evidence_period_and_no_longer() -> None:
    """With a period of two epochs, state holds the set in force and two before it."""
    tip = short_tip(evidence_epochs=2)
    for execution in empty_blocks(tip, 6 * EPOCH_BLOCKS):
        epoch = execution.tip.epoch.epoch
        kept = [each for each in range(epoch + 2) if validators_of(execution.tip.world, each) is not None]
        assert kept == list(range(max(0, epoch - 2), epoch + 1))
        assert validators_of(execution.tip.world, kept[0]) == voters_of(kept[0])


@pytest.mark.parametrize(("before", "after"), [(5, 2), (2, 5), (3, 3)])
def test_a_changed_evidence_period_leaves_no_set_behind(before: int, after: int) -> None:
    """A shorter one drops several sets at once; a longer one begins to keep more."""
    state = Overlay(MemoryState({}))
    for epoch in range(30):
        period = before if epoch < 15 else after
        parameters = Parameters(staking=StakingParameters(evidence_epochs=period))
        begin_epoch(state, EpochStart(epoch, epoch, epoch), voters_of(epoch), parameters)
    prefix = VALIDATORS.key(b"")
    kept = [key for key, value in state.writes.items() if key.startswith(prefix) and value is not None]
    assert len(kept) == after + 1
    assert epoch_in_force(state) == EpochStart(29, 29, 29)
    assert validators_in_force(state) == voters_of(29)
    assert parameters_in_force(state).staking.evidence_epochs == after
