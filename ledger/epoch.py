"""Epochs: which block is the last of its epoch, and the records of what governs each epoch.

An epoch begins on a base (the last block of the epoch before, or genesis) and ends with the
first block that is far enough above it, by height or by time: a function of the parent chain
alone. The validator set, the leaders and the parameters change between epochs only, so the
total stake is constant within one.

The state after a block says what governs its children. The sets of the epochs before are kept
for the evidence period, so that whoever signed twice can still be named by index.

Source: docs/spec/ledger.md, rules X10-X13.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical
from ledger.consensus.timeouts import ConsensusParameters
from ledger.genesis import Parameters
from ledger.state import Overlay, StateView, Table
from ledger.types import VALIDATORS_MAX, Counter, Epoch
from ledger.validators import Validator, ValidatorSet


class EpochStart(Canonical):
    """An epoch and its base: height and time of the block that the epoch's first block follows."""

    epoch: Counter
    base_height: Counter
    base_time_ms: Counter


class ValidatorList(Canonical):
    """The validators of an epoch, in the order that gives each its index."""

    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=VALIDATORS_MAX)]


FIRST_EPOCH: Final = 0
EPOCH: Final = Table("ledger", b"epoch", EpochStart)  # one record, key: empty
VALIDATORS: Final = Table("ledger", b"validators", ValidatorList)  # key: epoch, 8 bytes big-endian
PARAMETERS: Final = Table("ledger", b"parameters", Parameters)  # one record, key: empty


def is_last_block(start: EpochStart, height: int, time_ms: int, parameters: ConsensusParameters) -> bool:
    """Whether a block of this height and time closes the epoch: long enough, or old enough."""
    return (
        height - start.base_height >= parameters.epoch_blocks
        or time_ms - start.base_time_ms >= parameters.epoch_ms
    )


def begin_epoch(state: Overlay, start: EpochStart, validators: ValidatorSet, parameters: Parameters) -> None:
    """Write what governs the blocks above `start`, and drop the sets whose evidence period is over."""
    before = PARAMETERS.get(state, b"") or parameters
    ended = EPOCH.get(state, b"")
    last = start.epoch - 1 if ended is None else ended.epoch  # a recovery passes over one
    kept = max(0, start.epoch - parameters.staking.evidence_epochs)
    first = max(0, last - before.staking.evidence_epochs)
    for epoch in range(first, kept):
        VALIDATORS.delete(state, _key(epoch))
    EPOCH.put(state, b"", start)
    VALIDATORS.put(state, _key(start.epoch), ValidatorList(validators.validators))
    PARAMETERS.put(state, b"", parameters)


def epoch_in_force(state: StateView) -> EpochStart:
    """The epoch of the next block. Every chain has one from block 0 on."""
    start = EPOCH.get(state, b"")
    assert start is not None, "genesis writes the first epoch"
    return start


def validators_of(state: StateView, epoch: int) -> ValidatorSet | None:
    """The set of an epoch; None once its evidence period is over, and for epochs to come."""
    listed = VALIDATORS.get(state, _key(epoch))
    return None if listed is None else ValidatorSet(listed.validators)


def validators_in_force(state: StateView) -> ValidatorSet:
    """The set that votes on the next block."""
    validators = validators_of(state, Epoch(epoch_in_force(state).epoch))
    assert validators is not None, "the set in force is kept"
    return validators


def parameters_in_force(state: StateView) -> Parameters:
    """What the consortium chose, as it is for the next block."""
    chosen = PARAMETERS.get(state, b"")
    assert chosen is not None, "genesis writes the parameters"
    return chosen


def _key(epoch: int) -> bytes:
    return epoch.to_bytes(8, "big")
