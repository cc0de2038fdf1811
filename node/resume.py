"""What a start makes of the stores: the tip to go on from, and the certificate that made it final."""

from __future__ import annotations

from ledger.codec import decode
from ledger.transition import Rules, Tip, apply_block
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, BlockId, Height
from ledger.vote import Certificate
from node.event_index import entries_of
from node.pace import drained
from node.store.stores import Stores


def recover(stores: Stores, rules: Rules) -> Tip:
    """The tip of the last final block, its state caught up with the blocks that are stored."""
    assert not stores.gap.refetch, "see node.lost_blocks"
    gap = stores.gap
    tip = stored_tip(stores)
    for height in gap.replay:
        block = stores.blocks.block(Height(height))
        assert block is not None, "the gap names stored blocks"
        execution = drained(apply_block(tip, block, rules, {}))
        stores.replay(
            execution,
            entries_of(height, block.header.time_ms, execution.transactions, execution.receipts),
        )
        tip = stored_tip(stores)
    return tip


def stored_tip(stores: Stores) -> Tip:
    """The tip of the block whose state is stored."""
    head = stores.state.head
    return Tip.restored(head.header, BlockId(head.block_id), stores.state, head.history)


def finalization_of_head(stores: Stores) -> Certificate | None:
    """The certificate that makes the last committed block final; None for block 0."""
    height = stores.blocks.head[0]
    if height == 0:
        return None
    own = stores.blocks.finalization(height)
    if own is not None:
        return decode(own[1], Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
    stored = stores.blocks.stored(height)
    assert stored is not None, "the head is stored"
    return decode(stored.covering, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
