"""Both databases of a node together: how a final block becomes durable, and what a start finds.

Blocks first, then state. A crash in between leaves blocks ahead of state: the start runs the gap
again. State ahead of blocks means that the block database lost its tail; the gap says so too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from ledger.block import Block
from ledger.codec import decode, encode
from ledger.consensus.timeouts import ConsensusParameters
from ledger.recovery import ApprovedRecovery, is_recovery
from ledger.transition import Execution
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, BlockId, ChainId, Epoch, Height
from ledger.vote import Certificate
from node.failpoints import FailPoint, hit
from node.store.blocks import BlockStore, StoredBlock
from node.store.database import Batch, Database
from node.store.evidence import EvidenceStore
from node.store.failure import OnFailure, StoreCorrupted, exit_process
from node.store.leveldb import DEFAULT_SIZES, LevelDatabase, LevelSizes
from node.store.settled import EpochRecord, Retention
from node.store.state import CACHE_BYTES, StateHead, StateStore

BLOCKS_FOLDER: Final = "blocks"
STATE_FOLDER: Final = "state"

Offload = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs a call that waits for the disk in another thread."""


@dataclass(frozen=True, slots=True)
class FinalizedBlock:
    """A block that was run and became final.

    finalization: the encoded certificate that names this very block, or b"" where a descendant's covers it.
    covering: the encoded certificate of that descendant, or b"".
    settled: certificates to keep for disputes.
    """

    execution: Execution
    finalization: bytes
    covering: bytes = b""
    settled: tuple[Certificate, ...] = ()

    @property
    def stored(self) -> StoredBlock:
        """The part that goes to the block database."""
        run, tip = self.execution, self.execution.tip
        epoch = None
        is_first = is_recovery(run.block.last_certificate)  # of an epoch that no last block has announced
        if is_first or tip.epoch.epoch != tip.header.epoch:
            start = tip.epoch
            record = EpochRecord(start.base_height, start.base_time_ms, tip.validators.validators)
            epoch = Epoch(start.epoch), record
        return StoredBlock(
            tip.id,
            run.block,
            run.receipts,
            self.finalization,
            self.covering,
            self.settled,
            epoch,
            retention_of(tip.parameters.consensus),
        )

    @property
    def head(self) -> StateHead:
        """The part that says what the state stands after."""
        tip = self.execution.tip
        return StateHead(tip.header, tip.id, tip.history)


def finalized(
    execution: Execution, finalization: Certificate | ApprovedRecovery, settled: Sequence[Certificate] = ()
) -> FinalizedBlock:
    """A block that this certificate, its own or a descendant's, makes final; or that a recovery begins on, or
    above.

    The certificate of its parent that it carries is kept for disputes too.
    """
    encoded = encode(finalization)
    named = finalization if isinstance(finalization, Certificate) else finalization.recovery
    is_own = named.block_id == execution.tip.id
    parent = execution.block.last_certificate
    is_certificate = parent and not is_recovery(parent)
    below = [decode(parent, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)] if is_certificate else []
    return FinalizedBlock(
        execution, encoded if is_own else b"", b"" if is_own else encoded, (*below, *settled)
    )


def retention_of(parameters: ConsensusParameters) -> Retention:
    """How long certificates are kept: an epoch's time more than a peer may ask for, since clocks differ."""
    epochs = parameters.certificate_retention_epochs
    return Retention(epochs, (epochs + 1) * parameters.epoch_ms)


@dataclass(frozen=True, slots=True)
class Gap:
    """Where the two databases stand apart. At most one of the ranges is not empty.

    replay: heights whose blocks are here and whose state is not: run them again, in order, with `replay`.
    refetch: heights whose state is here and whose blocks were lost: fetch them from peers before voting.
    """

    replay: range
    refetch: range


class Stores:
    """Blocks and state of one chain, open in this process alone."""

    def __init__(
        self,
        blocks: BlockStore,
        state: StateStore,
        evidence: EvidenceStore,
        databases: tuple[Database, ...],
    ) -> None:
        self.blocks = blocks
        self.state = state
        self.evidence = evidence
        self._databases = databases
        _check_same_chain(blocks, state)

    @property
    def gap(self) -> Gap:
        """What a start has to make good before the node goes on."""
        blocks, state = self.blocks.head[0], self.state.head.height
        return Gap(replay=range(state + 1, blocks + 1), refetch=range(blocks + 1, state + 1))

    async def commit(
        self, final: FinalizedBlock, index: Batch | None = None, offload: Offload | None = None
    ) -> None:
        """Make a final block durable: one synced batch of blocks, then one of state.

        Args:
            index: local index entries that belong to the block (None removes one).
            offload: where to wait for the disk; None: here. Readers see the old state until both are written.
        """
        hit(FailPoint.BEFORE_BLOCK_SAVE)
        block = self.blocks.stage(final.stored)
        if offload is None:
            self.blocks.write(block)
        else:
            await offload(partial(self.blocks.write, block))
        hit(FailPoint.AFTER_BLOCK_SAVE)
        state = self.state.stage(final.head, final.execution.layer, index)
        hit(FailPoint.BEFORE_STATE_COMMIT)
        if offload is None:
            self.state.write(state)
        else:
            with self.state.frozen():
                await offload(partial(self.state.write, state))
        hit(FailPoint.AFTER_STATE_COMMIT)
        self.blocks.settle(block)
        self.state.settle(state)

    def replay(self, execution: Execution, index: Batch | None = None) -> None:
        """Write the state of a block of `gap.replay` that was run again."""
        head = StateHead(execution.tip.header, execution.tip.id, execution.tip.history)
        assert self.blocks.id_at(head.height) == execution.tip.id, "another block than the one that was saved"
        self.state.commit(head, execution.layer, index)

    def close(self) -> None:
        """Let go of the files. Nothing waits to be written."""
        for database in self._databases:
            database.close()


def create_stores(data: Path, chain_id: ChainId, genesis_block: Block, writes: Mapping[bytes, bytes]) -> None:
    """Make both databases of a new node below `data`, holding block 0 and its state, and close them.

    Raises:
        StoreError: `store.exists`, `store.unreadable`, or `store.failed`; nothing is ended by it.
    """
    with ExitStack() as opened:
        blocks, state = (
            opened.enter_context(
                closing(LevelDatabase(data / name, create=True, on_failure=lambda failure: None))
            )
            for name in (BLOCKS_FOLDER, STATE_FOLDER)
        )
        fill_databases(blocks, state, chain_id, genesis_block, writes)


def fill_databases(
    blocks: Database,
    state: Database,
    chain_id: ChainId,
    genesis_block: Block,
    writes: Mapping[bytes, bytes],
    *,
    tree_depth: int | None = None,
) -> None:
    """Write block 0 and its state into two empty databases."""
    BlockStore.create(blocks, chain_id, genesis_block)
    StateStore.create(state, chain_id, genesis_block.header, writes, tree_depth=tree_depth)


def open_stores(
    data: Path,
    chain_id: ChainId,
    *,
    sizes: LevelSizes = DEFAULT_SIZES,
    value_cache_bytes: int = CACHE_BYTES,
    on_failure: OnFailure = exit_process,
) -> Stores:
    """Open both databases of a node below `data`. The caller holds the home's lock.

    Raises:
        StoreError: `store.lost`, `store.corrupted`, `store.unreadable`, `store.kind`, `store.format`,
            `genesis.mismatch`.
    """
    with ExitStack() as opened:
        blocks, state = (
            opened.enter_context(
                closing(LevelDatabase(data / name, create=False, sizes=sizes, on_failure=on_failure))
            )
            for name in (BLOCKS_FOLDER, STATE_FOLDER)
        )
        stores = stores_over(blocks, state, chain_id, value_cache_bytes=value_cache_bytes)
        opened.pop_all()  # they stay open
        return stores


def stores_over(
    blocks: Database,
    state: Database,
    chain_id: ChainId,
    *,
    tree_depth: int | None = None,
    value_cache_bytes: int = CACHE_BYTES,
) -> Stores:
    """The stores of databases that are open: on disk, or in memory."""
    return Stores(
        BlockStore(blocks, chain_id),
        StateStore(state, chain_id, tree_depth=tree_depth, cache_bytes=value_cache_bytes),
        EvidenceStore(blocks),
        (blocks, state),
    )


def _check_same_chain(blocks: BlockStore, state: StateStore) -> None:
    """Refuse a state that stands after a block which the block database does not hold at that height."""
    height: Height = state.head.height
    identifier = blocks.id_at(height)
    if identifier is not None and identifier != BlockId(state.head.block_id):
        raise StoreCorrupted(
            "data",
            f"height {height}",
            "blocks and state are of different blocks; restore both from one backup",
        )
