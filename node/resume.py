"""What a start makes of the stores: the tip to go on from, and the certificate that made it final."""

from __future__ import annotations

from typing import Final

from ledger.codec import decode
from ledger.epoch import epoch_in_force
from ledger.recovery import is_recovery
from ledger.transaction import decode_transaction
from ledger.transition import Rules, Tip, apply_block
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, BlockId, Epoch, Height
from ledger.vote import Certificate
from node.event_index import entries_of, is_whole
from node.pace import drained
from node.store.stores import Stores

REINDEX_ENTRIES: Final = 20_000  # in one batch: some 2 MB


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
    _complete_index(stores)
    return tip


def _complete_index(stores: Stores) -> None:
    """Make the index of all blocks again where an earlier release wrote less of it.

    From the top down: the first event, by which `is_whole` judges, comes last, so a crash costs the work.
    """
    if is_whole(stores.state.index_scan):
        return
    batch: dict[bytes, bytes | None] = {}
    for height in range(stores.state.head.height, 0, -1):
        block, receipts = stores.blocks.block(Height(height)), stores.blocks.receipts(Height(height))
        assert block is not None, "the state stands on stored blocks"
        transactions = (decode_transaction(raw) for raw in block.transactions)
        if block.header.event_count:
            batch |= entries_of(height, block.header.time_ms, transactions, receipts or ())
        if len(batch) >= REINDEX_ENTRIES:
            stores.state.write_index(batch)
            batch = {}
    stores.state.write_index(batch)


def stored_tip(stores: Stores) -> Tip:
    """The tip of the block whose state is stored."""
    head = stores.state.head
    return Tip.restored(head.header, BlockId(head.block_id), stores.state, head.history)


def finalization_of_head(stores: Stores) -> Certificate | None:
    """The certificate that makes the last committed block final; None for block 0, and where it is the base
    of an epoch that operators began on it."""
    height = stores.blocks.head[0]
    if height == 0:
        return None
    own = stores.blocks.finalization(height)
    stored = stores.blocks.stored(height)
    assert stored is not None, "the head is stored"
    found = stored.covering if own is None else own[1]
    return None if is_recovery(found) else decode(found, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)


def recovery_of(stores: Stores, tip: Tip) -> bytes | None:
    """The recovery that gives up the epoch that this tip's children would be of, if one is kept.

    The store keeps only what was verified. It may name a block that is not here yet.
    """
    in_force = epoch_in_force(tip.world).epoch
    found = stores.blocks.recovery(Epoch(in_force))
    if found is None and in_force > 0 and tip.header.epoch == in_force - 1:
        found = stores.blocks.recovery(Epoch(in_force - 1))  # of the epoch that this block is the last of
    return found
