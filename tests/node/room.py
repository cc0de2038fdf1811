"""One node's executor over stores in memory, with the notes contract, and a way to hold its disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from contracts.genesis import genesis_block
from ledger.block import Block, block_id
from ledger.codec import encode
from ledger.epoch import EpochStart, parameters_in_force, validators_in_force
from ledger.genesis import Genesis, Parameters, chain_id
from ledger.mempool import Mempool
from ledger.state import Overlay
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.transition import Execution, Rules, Tip
from ledger.types import BlockId, ChainId, Height, TimeMs
from ledger.validators import ValidatorSet
from ledger.vote import Certificate, Vote, VoteKind, sign_vote
from node.executor import Executor
from node.store.memory import MemoryDatabase
from node.store.stores import fill_databases, stores_over
from tests.contracts.chain import START_MS, key_of, make_genesis
from tests.ledger.chain import Notes

VOTER = key_of("vote-0")
FARM, SHOP, STRANGER = key_of("farm/operator"), key_of("shop/operator"), key_of("stranger")


class HeldDisk:
    """Runs what waits for the disk at once, or, while held, when it is let go."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.calls = 0

    async def run(self, call: Callable[[], None]) -> None:
        self.calls += 1
        await self.free.wait()
        call()


class SteadyNotes(Notes):
    """The notes contract, with the same lone validator in every epoch."""

    def end_epoch(self, following: EpochStart, state: Overlay) -> tuple[ValidatorSet, Parameters]:
        return validators_in_force(state), parameters_in_force(state)


class Room:
    """A node without network and consensus: blocks are final when the test says so."""

    def __init__(self, mempool: Mempool | None = None, rules: Rules | None = None, **parameters: Any) -> None:
        base = make_genesis()
        chosen = Parameters(**({"replay_window_blocks": 10} | parameters))
        self.genesis = Genesis(
            base.version, base.network, base.title, base.is_test_network, base.time_ms, chosen,
            base.organisations, base.keys, base.sites, base.nodes, base.validators,
        )  # fmt: skip
        self.chain_id: ChainId = chain_id(self.genesis)
        header, writes = genesis_block(self.genesis)
        self.base = Block(header, b"", ())
        blocks, state = MemoryDatabase("data/blocks"), MemoryDatabase("data/state")
        fill_databases(blocks, state, self.chain_id, self.base, writes, tree_depth=4)
        self.stores = stores_over(blocks, state, self.chain_id, tree_depth=4)
        self.disk = HeldDisk()
        head = self.stores.state.head
        tip = Tip.restored(header, block_id(header), self.stores.state, head.history)
        waiting = Mempool() if mempool is None else mempool
        contracts = Notes() if rules is None else rules
        self.executor = Executor(self.genesis, self.stores, contracts, waiting, tip, self.disk.run)

    def transaction(
        self,
        nonce: int = 0,
        valid_until: int = 9,
        arguments: bytes = b"a=1",
        sender: str = "farm/operator",
        method: str = "write",
        contract: str = "notes",
        chain: ChainId | None = None,
    ) -> Transaction:
        """A signed call of the notes contract."""
        key = key_of(sender)
        body = TransactionBody(
            chain or self.chain_id,
            key.public,
            nonce.to_bytes(16, "big"),
            valid_until,
            contract,
            method,
            arguments,
        )
        return sign_transaction(body, key)

    def view_at(self, height: int) -> int:
        """The view in which the block at a height becomes final: the next one, counted within its epoch."""
        return (height - 1) % self.genesis.parameters.consensus.epoch_blocks + 1

    def certificate(self, of: BlockId, view: int, kind: VoteKind = VoteKind.FINALIZE) -> Certificate:
        """A certificate by the only validator there is, of the block's epoch (of the first, if unknown)."""
        height, tip = self.stores.blocks.height_of(of), self.executor.tip(of)
        header = tip.header if tip is not None else self.stores.blocks.header(height or Height(0))
        vote = Vote(self.chain_id, 0 if header is None else header.epoch, view, kind, of)
        return Certificate(vote, ((0, sign_vote(VOTER, vote)),))

    def parent_certificate(self, tip: Tip) -> bytes:
        """What a block above this tip carries."""
        height = tip.header.height
        return encode(self.certificate(tip.id, self.view_at(height), VoteKind.NOTARIZE)) if height else b""

    async def build(self, parent: BlockId | None = None, time_ms: int = 0) -> Execution:
        """A block of what waits, above a block that was run; the last final one where none is named."""
        of = parent or self.executor.committed.id
        tip = self.executor.tip(of)
        assert tip is not None
        at = TimeMs(time_ms or START_MS + 1000 * (tip.header.height + 1))
        execution = await self.executor.build(of, at, self.parent_certificate(tip))
        assert execution is not None
        return execution

    async def commit(self, execution: Execution, has_certificate: bool = True) -> bool:
        """Make a block final by its own certificate or, later, a descendant's; False if it was before."""
        named = execution.tip.id if has_certificate else BlockId(b"descendant".ljust(32))
        view = self.view_at(execution.tip.header.height)
        return await self.executor.commit(execution.tip.id, self.certificate(named, view))

    async def grow(
        self, count: int = 1, transactions: bool = True, finalize_each: int = 1
    ) -> list[Execution]:
        """So many final blocks, each with a transaction; each `finalize_each`-th has its own certificate."""
        made = []
        for _ in range(count):
            height = self.executor.committed.header.height + 1
            if transactions:
                self.executor.admit(self.transaction(nonce=height, valid_until=height + 5).raw)
            made.append(await self.build())
            await self.commit(made[-1], height % finalize_each == 0)
        return made

    @property
    def height(self) -> Height:
        """The last final height."""
        return Height(self.executor.committed.header.height)
