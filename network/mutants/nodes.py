"""Bugs of a node around its consensus: stores, log, executor, catching up, restart. Whole nodes find them.

Each waits for a death, a bad disk, a liar or a turn of epochs, in the scenario that it names.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from ledger.block import Header
from ledger.codec import decode
from ledger.consensus.signer import Signer
from ledger.mempool import Mempool
from ledger.merkle.tree import StateTree
from ledger.types import BlockId, Height
from network.mutants.planting import Mutant, Patches
from node import assemble, catch_up, executor
from node.consensus_log import ConsensusLog
from node.p2p import dialler
from node.resume import stored_tip
from node.store import journal
from node.store.blocks import BlockStore
from node.store.failure import FailStop, StoreFailed
from node.store.journal import Journal
from node.store.memory_disk import MemoryDisk
from node.store.state import StateStore
from node.store.stores import Gap, Stores


def _state_before_blocks(patches: Patches) -> None:
    async def commit(self: Stores, final: Any, index: Any = None, offload: Any = None) -> None:
        block = self.blocks.stage(final.stored)
        state = self.state.stage(final.head, final.execution.layer, index)
        with self.state.frozen():
            await offload(partial(self.state.write, state))
        await offload(partial(self.blocks.write, block))
        self.blocks.settle(block)
        self.state.settle(state)

    patches.replace(Stores, "commit", commit)


def _told_before_durable(patches: Patches) -> None:
    async def commit(self: Stores, final: Any, index: Any = None, offload: Any = None) -> None:
        block = self.blocks.stage(final.stored)
        state = self.state.stage(final.head, final.execution.layer, index)
        self.blocks.settle(block)
        self.state.settle(state)

        async def write() -> None:
            await offload(partial(self.blocks.write, block))
            await offload(partial(self.state.write, state))

        self.pending = asyncio.create_task(write())  # type: ignore[attr-defined]  # kept from the collector

    patches.replace(Stores, "commit", commit)


def _log_not_synced(patches: Patches) -> None:
    patches.replace(Journal, "sync", lambda self: None)


def _start_trusts_the_cache(patches: Patches) -> None:
    def extend(self: MemoryDisk, path: Any, size: int) -> Any:
        file = original(self, path, size)
        sync, file.sync = file.sync, lambda: None

        def write(data: bytes) -> None:
            file.sync = sync
            plain(data)

        plain, file.write = file.write, write
        return file

    original = patches.replace(MemoryDisk, "extend", extend)


def _failed_write_ignored(patches: Patches) -> None:
    def fail(self: FailStop, doing: str, problem: Exception) -> StoreFailed:
        return StoreFailed("log", doing)

    def sync(self: Journal) -> None:
        try:
            original(self)
        except StoreFailed:
            self._pending.clear()

    patches.replace(FailStop, "fail", fail)
    original = patches.replace(Journal, "sync", sync)


def _torn_tail_kept(patches: Patches) -> None:
    def read(path: Any, data: bytes) -> Any:
        salt, records, _ = original(path, data)
        return salt, records, len(data)

    original = patches.replace(journal, "read_journal", read)


def _damage_believed(patches: Patches) -> None:
    patches.replace(journal, "_check_torn", lambda *arguments: None)


def _gap_not_run(patches: Patches) -> None:
    patches.replace(assemble, "recover", lambda stores, rules: stored_tip(stores))


def _recent_forgotten(patches: Patches) -> None:
    patches.replace(StateStore, "is_recent", lambda self, transaction_id: False)


def _committed_kept_waiting(patches: Patches) -> None:
    patches.replace(Mempool, "remove", lambda self, transaction_ids: None)


def _index_forgotten(patches: Patches) -> None:
    patches.replace(executor, "entries_of", lambda *arguments: {})


def _page_unverified(patches: Patches) -> None:
    patches.replace(catch_up, "verify_certificate", lambda *arguments: None)


def _copy_may_sign(patches: Patches) -> None:
    patches.replace(Signer, "_distrust", lambda self, last, store: "")


def _bodies_not_read_back(patches: Patches) -> None:
    patches.replace(ConsensusLog, "bodies", property(lambda self: ()))


def _header_believed(patches: Patches) -> None:
    def header(self: BlockStore, height: Height) -> tuple[BlockId, Header]:
        data = self._database.get(b"H" + height.to_bytes(8, "big"))
        assert data is not None
        return BlockId(data[:32]), decode(data[32:], Header, 2_048)

    patches.replace(BlockStore, "_header", header)


def _pages_believed(patches: Patches) -> None:
    def load(self: StateStore, depth: int) -> StateTree:
        return StateTree(depth, self, self._pages(depth))

    patches.replace(StateStore, "_load_tree", load)
    patches.replace(StateStore, "_check_covered", lambda self, key, value: None)


def _lost_blocks_forgotten(patches: Patches) -> None:
    whole: Any = Stores.gap
    patches.replace(Stores, "gap", property(lambda self: Gap(whole.fget(self).replay, range(0))))


def _dials_once(patches: Patches) -> None:
    patches.replace(dialler, "retry_seconds", lambda failures: 100_000.0)


NODES: Final = (
    Mutant("state-before-blocks", "D1: blocks first, then state", _state_before_blocks, "whole-crash"),
    Mutant("told-before-durable", "D1: synced before anybody is told", _told_before_durable, "whole-crash"),
    Mutant("log-not-synced", "S4: durable before it leaves", _log_not_synced, "whole-calm"),
    Mutant("start-trusts-the-cache", "J3: what a start read is durable", _start_trusts_the_cache, "whole"),
    Mutant(
        "failed-write-ignored", "D3: the first failed write is the last", _failed_write_ignored, "whole-crash"
    ),
    Mutant("torn-tail-kept", "J3: a torn tail is cut off", _torn_tail_kept, "whole-crash"),
    Mutant("damage-believed", "J4: a damaged log is refused", _damage_believed, "whole-data"),
    Mutant("gap-not-run", "D2: a start runs the gap again", _gap_not_run, "whole-crash"),
    Mutant("recent-forgotten", "X5: a transaction stands once", _recent_forgotten, "whole"),
    Mutant("committed-kept-waiting", "what is final waits no longer", _committed_kept_waiting, "whole-calm"),
    Mutant("index-forgotten", "the index is written with its block", _index_forgotten, "whole-calm"),
    Mutant("page-unverified", "B1: a page proves itself", _page_unverified, "whole-liar"),
    Mutant("copy-may-sign", "Q1: a copied record does not sign", _copy_may_sign, "whole-data"),
    Mutant(
        "bodies-not-read-back", "a body is durable with the vote for it", _bodies_not_read_back, "whole-crash"
    ),
    Mutant("header-believed", "D5: a stored header is held to its id", _header_believed, "whole-ageing"),
    Mutant("pages-believed", "D5: a start computes the root from the pages", _pages_believed, "whole-ageing"),
    Mutant(
        "lost-blocks-forgotten", "D9: lost blocks are fetched first", _lost_blocks_forgotten, "whole-ageing"
    ),
    Mutant("dials-once", "N2: whoever is lost is dialled again", _dials_once, "whole-wire"),
)
