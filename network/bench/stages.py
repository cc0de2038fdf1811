"""Where the time of one transaction goes, measured by running the same transactions through one pipeline.

Every validator does each of these once for each transaction. The rest of a node's time is its network,
consensus, REST and the interpreter between them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from contracts.genesis import genesis_block
from contracts.runtime import CoreRules
from ledger.block import Block
from ledger.genesis import Genesis, chain_id
from ledger.transaction import Transaction, decode_transaction, verify_signature
from ledger.transition import Execution, Tip, execute
from ledger.types import BlockId, TimeMs
from node.event_index import entries_of
from node.pace import drained
from node.store.memory import MemoryDatabase
from node.store.stores import FinalizedBlock, Stores, fill_databases, stores_over

BLOCK_TRANSACTIONS = 500
VERIFY_SECONDS = 0.5


def stage_times_us(genesis: Genesis, raws: Sequence[bytes]) -> dict[str, float]:
    """Microseconds a transaction by stage: decode, verify, execute (contracts, state tree, roots), store."""
    blocks, state = MemoryDatabase(), MemoryDatabase()
    header, writes = genesis_block(genesis)
    fill_databases(blocks, state, chain_id(genesis), Block(header, b"", ()), writes)
    stores = stores_over(blocks, state, chain_id(genesis))
    rules, watch = CoreRules(), _Stopwatch()
    for start in range(0, len(raws), BLOCK_TRANSACTIONS):
        with watch.stage("decode"):
            transactions = [decode_transaction(raw) for raw in raws[start : start + BLOCK_TRANSACTIONS]]
        with watch.stage("verify"):
            for transaction in transactions:
                verify_signature(transaction)
        tip = _tip(stores)
        with watch.stage("execute"):
            execution = drained(execute(tip, TimeMs(tip.header.time_ms + 1), b"", transactions, rules))
        with watch.stage("store_in_memory"):
            _store(stores, execution)
    return {stage: round(took / max(1, len(raws)) * 1e6, 1) for stage, took in watch.seconds.items()}


def _tip(stores: Stores) -> Tip:
    head = stores.state.head
    return Tip.restored(head.header, BlockId(head.block_id), stores.state, head.history)


def _store(stores: Stores, execution: Execution) -> None:
    header = execution.tip.header
    final = FinalizedBlock(execution, b"", b"")
    stores.blocks.append(final.stored)
    index = entries_of(header.height, header.time_ms, execution.transactions, execution.receipts)
    stores.state.commit(final.head, execution.layer, index)


def verify_rate(transaction: Transaction) -> int:
    """Ed25519 verifications a second on one core, through the same function as everywhere."""
    until = time.perf_counter() + VERIFY_SECONDS
    done = 0
    while time.perf_counter() < until:
        for _ in range(200):
            verify_signature(transaction)
        done += 200
    return round(done / VERIFY_SECONDS)


class _Stopwatch:
    """Seconds by stage, summed over all blocks."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        before = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - before
