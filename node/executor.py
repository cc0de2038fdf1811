"""The executor: the one owner of state, blocks and mempool in a node.

It runs each block once, in slices that give the event loop back every few milliseconds,
keeps the executed blocks that are not final yet, and writes a block when it is final. There
are no compute threads: one would make every signature check wait for the interpreter.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final

from ledger.block import Block, block_id
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id
from ledger.members import key_in_force
from ledger.mempool import Mempool
from ledger.recovery import ApprovedRecovery
from ledger.transaction import Transaction, check_scope, decode_transaction, verify_signature
from ledger.transition import Execution, Rules, Tip, apply_block, check_size, execute, open_transaction
from ledger.types import BlockId, ChainId, Height, TimeMs, TxId
from ledger.vote import Certificate
from node.event_index import entries_of
from node.opened import Opened
from node.pace import Pace, Slices, sliced
from node.store.stores import Offload, Stores, finalized

UNFINALIZED_BLOCKS_MAX: Final = 64  # executed and kept above the last final block


Proof = Certificate | ApprovedRecovery
"""What makes a block final: a certificate, or operators who begin an epoch on it or above it."""


class Submission(Enum):
    """What became of a transaction at the door."""

    PENDING = "pending"
    DUPLICATE = "duplicate"  # in a block of the replay window


class Superseded(Exception):
    """While a block waited or ran, another became final in its parent's place, or it became final itself.

    There is no verdict about it, and none is needed any more.
    """


class Executor:
    """State, blocks and mempool of one node."""

    def __init__(
        self,
        genesis: Genesis,
        stores: Stores,
        rules: Rules,
        mempool: Mempool,
        tip: Tip,
        offload: Offload,
        pace: Pace | None = None,
    ) -> None:
        self.genesis = genesis
        self.chain_id: ChainId = chain_id(genesis)
        self.stores = stores
        self.rules = rules
        self.mempool = mempool
        self.committed = tip
        self.pace = pace or Slices()
        self._offload = offload
        self._executions: OrderedDict[BlockId, Execution] = OrderedDict()
        self.opened = Opened()
        self._running = asyncio.Lock()
        self._committing = asyncio.Lock()

    # --- the door -----------------------------------------------------------

    def admit(self, raw: bytes) -> tuple[Transaction, Submission, bool]:
        """Check a transaction as far as the state after the last final block allows, and let it wait.

        Answers the transaction, what became of it, and whether it is new here. The cheap
        checks come first, the signature last.

        Raises:
            LedgerError: `transaction.*`, `sender.*`, `contract.unknown`, `method.unknown`,
                `arguments.*`, `mempool.*`, `encoding.*`; nothing has changed then.
        """
        transaction = decode_transaction(raw)
        if transaction.id in self.mempool:
            return transaction, Submission.PENDING, False
        tip = self.committed
        if tip.world.is_recent(transaction.id):
            return transaction, Submission.DUPLICATE, False
        height = Height(tip.header.height + 1)
        check_scope(transaction.body, self.chain_id, height, tip.parameters.replay_window_blocks)
        sender = key_in_force(tip.world, transaction.body.sender)
        self.rules.check(transaction, sender)
        if raw not in self.opened.by_raw:
            verify_signature(transaction)
        self.mempool.admit(transaction, sender.organisation)
        self.opened.add(transaction)
        return transaction, Submission.PENDING, True

    def waiting(self, transaction_id: TxId) -> Transaction | None:
        """A transaction that no final block holds yet, or None."""
        found = self.mempool.get(transaction_id)
        if found is not None:
            return found
        for execution in reversed(self._executions.values()):
            if transaction_id in execution.layer.transaction_ids:
                return next(each for each in execution.transactions if each.id == transaction_id)
        return None

    def raw_transaction(self, transaction_id: TxId) -> bytes | None:
        """The bytes of a transaction that waits or stands in a block that is not final, or None."""
        found = self.waiting(transaction_id)
        return None if found is None else found.raw

    # --- running blocks -----------------------------------------------------

    @property
    def unfinalized(self) -> int:
        """How many blocks were run and are kept, not final yet."""
        return len(self._executions)

    def execution(self, of: BlockId) -> Execution | None:
        """A block that was run and is not final yet, or None."""
        return self._executions.get(of)

    def tip(self, of: BlockId) -> Tip | None:
        """The tip that a block makes, if it was run or is the last final one."""
        if of == self.committed.id:
            return self.committed
        execution = self._executions.get(of)
        return None if execution is None else execution.tip

    async def build(
        self, parent: BlockId, time_ms: TimeMs, last_certificate: bytes, *, may_be_empty: bool = True
    ) -> Execution | None:
        """Run a new block of waiting transactions above `parent`, which was run before.

        Answers None where no transaction fits and the block may not be empty.

        Raises:
            Superseded: the parent lost against a final block.
        """
        async with self._running:
            tip = self._tip_in_force(parent)
            time_ms = TimeMs(max(time_ms, tip.header.time_ms + 1))
            chosen = self._choose(tip)
            if not chosen and not may_be_empty:
                return None
            proof = tip.recovery or last_certificate
            execution = await sliced(execute(tip, time_ms, proof, chosen, self.rules), self.pace)
            self._tip_in_force(parent)
            return self._keep(execution)

    def _choose(self, tip: Tip) -> list[Transaction]:
        height = Height(tip.header.height + 1)
        parameters = tip.parameters
        chosen: list[Transaction] = []
        size = 0
        for transaction in self.mempool.candidates():
            if len(chosen) >= parameters.block_transactions_max:
                break
            if size + len(transaction.raw) > parameters.block_bytes_max:
                break
            if tip.world.is_recent(transaction.id) or transaction.body.valid_until < height:
                continue
            chosen.append(transaction)
            size += len(transaction.raw)
        return chosen

    async def check(self, block: Block) -> Execution:
        """Run a block of somebody else above its parent, which was run before.

        Raises:
            LedgerError: the block is invalid, for ever.
            Superseded: the parent lost against a final block.
        """
        identifier, parent = block_id(block.header), BlockId(block.header.parent_id)
        async with self._running:
            known = self._executions.get(identifier)
            if known is not None:
                return known
            tip = self._tip_in_force(parent)
            check_size(block.transactions, tip.parameters)
            try:
                await sliced(self._open(block), self.pace)
                execution = await sliced(apply_block(tip, block, self.rules, self.opened.by_raw), self.pace)
            except LedgerError:
                self._tip_in_force(parent)  # it may have run on a state that moved meanwhile
                raise
            self._tip_in_force(parent)
            return self._keep(execution)

    def _tip_in_force(self, parent: BlockId) -> Tip:
        tip = self.tip(parent)
        if tip is None:
            raise Superseded
        return tip

    def _open(self, block: Block) -> Generator[None, None, None]:
        """Verify the signatures of the block's transactions that were not seen before, and remember them."""
        for raw in block.transactions:
            if raw not in self.opened.by_raw:
                self.opened.add(open_transaction(raw, {}))
            yield

    def _keep(self, execution: Execution) -> Execution:
        self._executions[execution.tip.id] = execution
        self._stand(execution)
        while len(self._executions) > UNFINALIZED_BLOCKS_MAX:
            self._executions.popitem(last=False)
        return execution

    # --- final blocks -------------------------------------------------------

    async def commit(self, of: BlockId, finalization: Proof, settled: Sequence[Certificate] = ()) -> bool:
        """Write a final block that was run: blocks first, then state, each one synced batch.

        `finalization` is of this very block or of a descendant, or the recovery that chose either;
        `settled` is kept for disputes. False where the block was written before: consensus and catching up
        may both want it. A failed write ends the process: the store sees to it.
        """
        async with self._committing:
            execution = self._executions.get(of)
            if execution is None and self.stores.blocks.height_of(of) is not None:
                return False
            assert execution is not None, "asked to commit a block that was never run"
            await self._commit(execution, finalization, settled)
            return True

    async def _commit(
        self, execution: Execution, finalization: Proof, settled: Sequence[Certificate]
    ) -> None:
        tip = execution.tip
        assert tip.header.parent_id == self.committed.id, "blocks are committed oldest first"
        index = entries_of(tip.header.height, tip.header.time_ms, execution.transactions, execution.receipts)
        final = finalized(execution, finalization, settled)
        await self.stores.commit(final, index, self._offload)
        self.committed = replace(tip, world=self.stores.state)
        self._prune(tip)
        self.mempool.remove(transaction.id for transaction in execution.transactions)
        self.mempool.expire(Height(tip.header.height + 1))

    def recover(self, recovery: bytes) -> None:
        """Go on from the last committed block in the epoch that an approved recovery begins on it. What was
        run above it is of the ended epoch, and lost.

        Raises:
            LedgerError: as `Tip.recovered`; nothing has changed then.
        """
        self.committed = self.committed.recovered(recovery)
        self._executions.clear()

    def _prune(self, final: Tip) -> None:
        """Drop what lost against the final block; stand its children on the committed state."""
        del self._executions[final.id]
        kept: set[BlockId] = {final.id}
        for identifier, execution in list(self._executions.items()):
            if execution.block.header.parent_id in kept:
                kept.add(identifier)
                self._stand(execution)
            else:
                del self._executions[identifier]

    def _stand(self, execution: Execution) -> None:
        """Let a child of the last final block stand on the store, which has taken in the layer below it."""
        if execution.block.header.parent_id == self.committed.id:
            execution.layer.rebase(self.stores.state)
