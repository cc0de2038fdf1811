"""What the store knows of epochs: the one in force, and what ended those before it."""

from __future__ import annotations

from bisect import bisect_right

from ledger.codec import decode
from ledger.consensus.events import EpochBegun
from ledger.transition import Tip
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, Epoch, Height
from ledger.vote import Certificate
from node.store.blocks import BlockStore


def epoch_in_force(blocks: BlockStore, tip: Tip) -> EpochBegun:
    """The epoch of the children of the last final block, and the block that it stands on."""
    height = Height(tip.epoch.base_height)
    base = blocks.header(height)
    assert base is not None, "the base is at or below the head"
    is_turn = tip.epoch.epoch == base.epoch + 1  # a recovery passes over an epoch
    finalization = _own_finalization(blocks, height) if is_turn else None
    return EpochBegun(Epoch(tip.epoch.epoch), tip.validators, tip.parameters.consensus, base, finalization)


def what_ended(blocks: BlockStore, epoch: Epoch) -> Certificate | bytes | None:
    """The finalization of an epoch's last block; None for an epoch whose successor has no block here.

    The epochs of final headers ascend, so it is found by halving. Of an epoch that operators gave up, and of
    the one that they passed over, it is the encoded recovery.
    """
    for ended in (epoch, Epoch(epoch - 1)):
        recovery = blocks.recovery(ended) if ended >= 0 else None
        if recovery is not None:
            return recovery
    heights = range(blocks.head[0] + 1)
    above = bisect_right(heights, int(epoch), key=lambda height: _epoch_at(blocks, Height(height)))
    return None if above in (0, len(heights)) else _own_finalization(blocks, Height(above - 1))


def _epoch_at(blocks: BlockStore, height: Height) -> int:
    header = blocks.header(height)
    assert header is not None, "at or below the head"
    return header.epoch


def _own_finalization(blocks: BlockStore, height: Height) -> Certificate:
    found = blocks.finalization(height)
    assert found is not None, "a final block has a certificate that covers it"
    assert found[0] == height, "nothing of its epoch follows a last block, so none but its own covers it"
    return decode(found[1], Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
