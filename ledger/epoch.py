"""Epochs: which block is the last of its epoch, a function of the parent chain alone.

An epoch begins on a base (the last block of the epoch before, or genesis) and ends with the
first block that is far enough above it, by height or by time. The validator set, the leaders
and the parameters change between epochs only, so the total stake is constant within one.

Source: docs/spec/consensus.md, rules E1-E4.
"""

from __future__ import annotations

from ledger.codec import Canonical
from ledger.consensus.timeouts import ConsensusParameters
from ledger.types import Counter


class EpochStart(Canonical):
    """An epoch and its base: height and time of the block that the epoch's first block follows."""

    epoch: Counter
    base_height: Counter
    base_time_ms: Counter


FIRST_EPOCH = 0


def is_last_block(start: EpochStart, height: int, time_ms: int, parameters: ConsensusParameters) -> bool:
    """Whether a block of this height and time closes the epoch: long enough, or old enough."""
    return (
        height - start.base_height >= parameters.epoch_blocks
        or time_ms - start.base_time_ms >= parameters.epoch_ms
    )
