"""A running node gives an epoch up that operators ended, and begins the one that they approved.

The recovery comes from this node's store, where an operator or an earlier run left it, or from a peer that
has begun already; it is verified here whoever brings it. Consensus stops first. Then the promise to sign
nothing more of the epoch is durable, then the recovery, then the chosen block and what is missing below it;
then consensus runs again, above that block. A crash between any two steps is answered by the next start.

Source: docs/spec/recovery.md, rules K9 to K13.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from ledger.block import Block
from ledger.consensus.events import Peer
from ledger.consensus.signer import Signer
from ledger.epoch import epoch_in_force
from ledger.recovery import (
    VIEW_LAST,
    ApprovedRecovery,
    decode_recovery,
    ended_epoch,
    verify_recovery,
)
from ledger.transition import Tip
from ledger.types import BlockId, Epoch, View
from node.bodies import Bodies
from node.catch_up import CatchUp
from node.consensus_log import ConsensusLog
from node.driver import NodeHalted
from node.executor import UNFINALIZED_BLOCKS_MAX, Executor
from node.logging import log, logger
from node.resume import finalization_of_head, recovery_of
from node.store.stores import Offload

LOG: Final = logger("recovery")

FetchBody = Callable[[BlockId, Sequence[Peer]], Awaitable[bool]]


class Recovering:
    """The recovery that one node takes in: one at a time, and each epoch is given up once."""

    def __init__(
        self,
        executor: Executor,
        signer: Signer | None,
        consensus_log: ConsensusLog,
        bodies: Bodies,
        catch_up: CatchUp,
        fetch_body: FetchBody,
        peers: Callable[[], Sequence[Peer]],
        stop_consensus: Callable[[], None],
        offload: Offload,
    ) -> None:
        self._executor = executor
        self._signer = signer
        self._log = consensus_log
        self._bodies = bodies
        self._catch_up = catch_up
        self._fetch_body = fetch_body
        self._peers = peers
        self._stop_consensus = stop_consensus
        self._offload = offload
        self._approved: ApprovedRecovery | None = None
        self._data = b""

    def hear(self, data: bytes) -> None:
        """Take a recovery of the epoch in force from a peer; one of another epoch changes nothing.

        Raises:
            LedgerError: it is not valid.
        """
        approved = decode_recovery(data)
        if self._approved is not None or not _is_of(approved, self._executor.committed):
            return
        self._take(approved, data)
        self._stop_consensus()

    def begin_kept(self) -> bool:
        """Take in what the store keeps for the epoch in force, if anything; whether there is something to do.

        Raises:
            LedgerError: the store keeps what is not valid.
        """
        tip = self._executor.committed
        if self._approved is not None and not _is_of(self._approved, tip):
            self._approved = None  # lost blocks that came back led past it
        data = None if tip.recovery else recovery_of(self._executor.stores, tip)
        if data is not None and self._approved is None:
            self._take(decode_recovery(data), data)
        return self._approved is not None

    def _take(self, approved: ApprovedRecovery, data: bytes) -> None:
        tip = self._executor.committed
        ended = ended_epoch(tip.header, tip.id, tip.world, Epoch(approved.recovery.ended_epoch))
        verify_recovery(approved, ended)
        self._approved, self._data = approved, data

    async def complete(self) -> None:
        """Give the epoch up and stand on the chosen block; consensus does not run meanwhile.

        Raises:
            LedgerError: the block is invalid, or the recovery does not outweigh the epoch after (K7).
            NodeHalted: `recovery.diverged`.
        """
        approved, data = self._approved, self._data
        assert approved is not None, "there is something to complete"
        recovery = approved.recovery
        log(LOG, logging.WARNING, "epoch given up", epoch=recovery.ended_epoch, begins=recovery.new_epoch)
        await self._promise(Epoch(recovery.new_epoch - 1))
        await self._offload(partial(self._executor.stores.blocks.keep_recovery, data))
        self._check_history(BlockId(recovery.block_id))
        await self._commit_what_is_here(approved)
        while self._executor.committed.id != recovery.block_id:
            if not await self._catch_up.advance():  # maybe nobody has it in his store
                await self._commit_what_is_here(approved)
        self._executor.recover(data)
        self._approved = None
        log(
            LOG,
            logging.WARNING,
            "epoch begun on the recovered block",
            epoch=recovery.new_epoch,
            height=self._executor.committed.header.height,
        )

    async def _promise(self, last: Epoch) -> None:
        """Never sign up to the end of this epoch, durably, before a block is final by the recovery (S7)."""
        signer = self._signer
        if signer is None:
            return
        if not signer.is_restored:
            final = finalization_of_head(self._executor.stores)
            store = (Epoch(0), View(0)) if final is None else (Epoch(final.vote.epoch), final.view)
            signer.restore(self._log.records, store)
        floor = signer.give_up_epochs(last, VIEW_LAST)
        if floor is not None:
            await self._log.append([floor], [])

    def _check_history(self, chosen: BlockId) -> None:
        blocks = self._executor.stores.blocks
        if chosen != self._executor.committed.id and blocks.height_of(chosen) is not None:
            raise NodeHalted(
                "recovery.diverged",
                "blocks above the one that operators chose are final here: ask the other operators; "
                "farmgate evidence audit names who signed for both",
            )

    async def _commit_what_is_here(self, approved: ApprovedRecovery) -> None:
        """Commit up to the chosen block from bodies at hand, or had one by one, if none is missing."""
        await self._catch_up.commit(await self._run_to(BlockId(approved.recovery.block_id)), approved)

    async def _run_to(self, chosen: BlockId) -> list[Block]:
        """The blocks from above the head up to the chosen one, oldest first; none where one is missing."""
        run: list[Block] = []
        wanted = chosen
        while wanted != self._executor.committed.id:
            if self._bodies.get(wanted) is None:
                await self._fetch_body(wanted, self._peers())
            block = self._bodies.get(wanted)
            is_above = block is not None and block.header.height > self._executor.committed.header.height
            if block is None or not is_above or len(run) == UNFINALIZED_BLOCKS_MAX:
                return []
            run.insert(0, block)
            wanted = BlockId(block.header.parent_id)
        return run


def _is_of(approved: ApprovedRecovery, tip: Tip) -> bool:
    """Whether it gives up the epoch in force, or the one before, whose last block the tip is."""
    in_force, ended = epoch_in_force(tip.world).epoch, approved.recovery.ended_epoch
    is_last = ended == in_force - 1 and tip.header.epoch == ended
    return (
        not tip.recovery
        and approved.recovery.chain_id == tip.header.chain_id
        and (ended == in_force or is_last)
    )
