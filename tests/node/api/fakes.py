"""A node of one process without consensus: real rules, real stores in memory, blocks when the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from contracts.arguments import encode_arguments
from contracts.genesis import genesis_block
from contracts.provenance.capture import CaptureArguments
from contracts.runtime import CoreRules
from ledger.block import Block
from ledger.codec import Canonical, encode
from ledger.crypto import KeyPair
from ledger.epoch import validators_in_force, validators_of
from ledger.errors import LedgerError
from ledger.evidence import Evidence
from ledger.genesis import Genesis, chain_id
from ledger.members import Key, Role, key_in_force
from ledger.state import StateView
from ledger.transaction import (
    Transaction,
    TransactionBody,
    check_scope,
    decode_transaction,
    sign_transaction,
    verify_signature,
)
from ledger.transition import Tip, execute
from ledger.types import BlockId, Epoch, Height, TimeMs, TxId, View
from ledger.validators import ValidatorSet
from ledger.vote import Certificate, Vote, VoteKind, sign_vote
from node.api.context import Api, Settings
from node.api.metrics import Metrics
from node.api.server import HttpInterfaces, Listen
from node.event_index import EventIndex, entries_of
from node.service import BlockRecord, NodeStatus, PeerStatus, Submitted, TransactionRecord
from node.store.memory import MemoryDatabase
from node.store.stores import FinalizedBlock, Stores, fill_databases, stores_over
from tests.contracts.chain import START_MS, key_of, make_genesis
from tests.contracts.provenance.story import chapters

GATEWAY = key_of("farm/gateway")
FOLLOWERS_MAX = 4


def genesis() -> Genesis:
    """The story's members, and a gateway key of the farm."""
    story = make_genesis()
    gateway = Key(GATEWAY.public, "farm", "gateway", (Role.GATEWAY,), 0, 0)
    return msgspec.structs.replace(story, keys=(*story.keys, gateway))


class FakeNode:
    """The `Service` of tests."""

    def __init__(self, document: Genesis | None = None) -> None:
        self.genesis = document or genesis()
        self.chain_id = chain_id(self.genesis)
        self.name = "node-0"
        self.organisation = "farm"
        self.rules = CoreRules()
        self.gateway_key: KeyPair | None = GATEWAY
        self.seals_on_wait = True
        self.gives_up_waiting = False
        self.lag_blocks = 0
        self.peers: tuple[PeerStatus, ...] = ()
        self.held_evidence: tuple[Evidence, ...] = ()
        self.signers: tuple[int, ...] = (0,)  # of certificates, by index; each has the key `vote-INDEX`
        self.pending: dict[TxId, Transaction] = {}
        self.stores = self._new_stores()
        self.followers = 0
        self.deserted = asyncio.Event()
        self._nonce = 0
        self._sealed = asyncio.Condition()

    def _new_stores(self) -> Stores:
        header, writes = genesis_block(self.genesis)
        blocks, state = MemoryDatabase("blocks"), MemoryDatabase("state")
        fill_databases(blocks, state, self.chain_id, Block(header, b"", ()), writes, tree_depth=4)
        return stores_over(blocks, state, self.chain_id, tree_depth=4)

    # --- what a test does ------------------------------------------------------

    def sign(self, sender: str, contract: str, method: str, arguments: Canonical | bytes) -> Transaction:
        """A transaction of a key by name, such as "farm/operator"."""
        self._nonce += 1
        data = arguments if isinstance(arguments, bytes) else encode_arguments(arguments)
        key = GATEWAY if sender == "farm/gateway" else key_of(sender)
        body = TransactionBody(
            self.chain_id,
            key.public,
            self._nonce.to_bytes(16, "big"),
            self.head()[0] + 10,
            contract,
            method,
            data,
        )
        return sign_transaction(body, key)

    def capture(self, sender: str, *events: dict[str, Any]) -> Transaction:
        """A signed capture of events as `tests.contracts.provenance.events` writes them."""
        from contracts.epcis.document import capture_event

        taken = tuple(capture_event(event) for event in events)
        return self.sign(sender, "provenance", "capture", CaptureArguments(taken))

    async def seal(self, transactions: Sequence[Transaction] | None = None) -> BlockRecord:
        """Make everything that waits (or these) final."""
        chosen = list(self.pending.values()) if transactions is None else list(transactions)
        head = self.stores.state.head
        tip = Tip.restored(head.header, BlockId(head.block_id), self.stores.state, head.history)
        run = execute(
            tip, TimeMs(head.header.time_ms + 1000), self._certificate(head.height), chosen, self.rules
        )
        while True:
            try:
                next(run)
            except StopIteration as end:
                execution = end.value
                break
        header = execution.block.header
        index = entries_of(header.height, header.time_ms, execution.transactions, execution.receipts)
        finalization = encode(self._vote(execution.tip.id, header.height))
        await self.stores.commit(FinalizedBlock(execution, finalization, b""), index)
        for transaction in chosen:
            self.pending.pop(transaction.id, None)
        async with self._sealed:
            self._sealed.notify_all()
        record = self.block(Height(header.height))
        assert record is not None
        return record

    async def tell(self) -> None:
        """Commit the whole story, one chapter a block."""
        for organisation, events in chapters():
            await self.seal([self.capture(f"{organisation}/operator", *events)])

    def _certificate(self, height: int) -> bytes:
        if height == 0:
            return b""
        return encode(self._vote(BlockId(self.stores.state.head.block_id), height))

    def _vote(self, block_id: BlockId, height: int) -> Certificate:
        vote = Vote(self.chain_id, Epoch(0), View(height), VoteKind.FINALIZE, block_id)
        return Certificate(
            vote, tuple((index, sign_vote(key_of(f"vote-{index}"), vote)) for index in self.signers)
        )

    # --- the Service -------------------------------------------------------------

    def status(self) -> NodeStatus:
        head = self.stores.state.head
        return NodeStatus(
            self.chain_id, self.name, "validator", Height(head.height), BlockId(head.block_id),
            head.header.state_root, head.header.time_ms, 0, head.height + 1, "node-0", self.lag_blocks,
            len(self.pending), 0, self.peers, True, "",
        )  # fmt: skip

    def head(self) -> tuple[Height, BlockId]:
        head = self.stores.state.head
        return Height(head.height), BlockId(head.block_id)

    def state(self) -> StateView:
        return self.stores.state

    def submit(self, raw: bytes) -> Submitted:
        transaction_id = None
        try:
            transaction = decode_transaction(raw)
            transaction_id = transaction.id
            if transaction.id in self.pending:
                return Submitted(transaction.id, "pending")
            if self.stores.state.is_recent(transaction.id):
                return Submitted(transaction.id, "duplicate")
            parameters = self.genesis.parameters
            height = Height(self.head()[0] + 1)
            check_scope(transaction.body, self.chain_id, height, parameters.replay_window_blocks)
            self.rules.check(transaction, key_in_force(self.state(), transaction.body.sender))
            verify_signature(transaction)
        except LedgerError as refusal:
            return Submitted(transaction_id, "refused", refusal.code, refusal.message, refusal.pointer)
        self.pending[transaction.id] = transaction
        return Submitted(transaction.id, "pending")

    async def wait(self, transaction_ids: Sequence[TxId], seconds: float) -> None:
        if self.seals_on_wait:
            if any(each in self.pending for each in transaction_ids):
                await self.seal()
            return
        if self.gives_up_waiting:
            return
        async with self._sealed:
            await self._sealed.wait_for(lambda: not any(each in self.pending for each in transaction_ids))

    def transaction(self, transaction_id: TxId) -> TransactionRecord | None:
        if transaction_id in self.pending:
            return TransactionRecord(self.pending[transaction_id], None, None, None)
        place = self.stores.blocks.place_of(transaction_id)
        if place is None:
            return None
        record = self.block(place[0])
        assert record is not None
        raw = record.block.transactions[place[1]]
        return TransactionRecord(decode_transaction(raw), place[0], place[1], record.receipts[place[1]])

    def block(self, height: Height) -> BlockRecord | None:
        stored = self.stores.blocks.stored(height)
        if stored is None:
            return None
        return BlockRecord(stored.id, stored.block, stored.receipts, stored.finalization)

    def height_of(self, block_id: BlockId) -> Height | None:
        return self.stores.blocks.height_of(block_id)

    def validators(self, height: Height) -> ValidatorSet | None:
        head = self.stores.state.head
        if height == head.height + 1:
            return validators_in_force(self.state())
        header = self.stores.blocks.header(height)
        return None if header is None else validators_of(self.state(), header.epoch)

    def evidence(self) -> Sequence[Evidence]:
        return self.held_evidence

    def epoch_validators(self, epoch: Epoch) -> ValidatorSet | None:
        return validators_of(self.state(), epoch)

    def gateway(self) -> KeyPair | None:
        return self.gateway_key

    def follow(self, height: Height) -> AsyncIterator[BlockRecord]:
        if self.followers >= FOLLOWERS_MAX:
            raise LedgerError("stream.too_many", "too many followers")
        self.followers += 1
        self.deserted.clear()
        return self._follow(height)

    async def _follow(self, height: Height) -> AsyncIterator[BlockRecord]:
        try:
            while True:
                async with self._sealed:
                    while self.head()[0] < height:
                        await self._sealed.wait()
                record = self.block(height)
                assert record is not None
                yield record
                height = Height(height + 1)
        finally:
            self.followers -= 1
            if not self.followers:
                self.deserted.set()


@dataclass
class Clock:
    """Time that a test sets. `ms` is the wall clock, `seconds` the monotonic one."""

    ms: int = START_MS
    seconds: float = 1000.0


@dataclass
class Running:
    """A fake node with its two listeners, and a client."""

    node: FakeNode
    api: Api
    http: HttpInterfaces
    client: aiohttp.ClientSession
    home: Path
    clock: Clock

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.public_port}{path}"

    def admin(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.admin_port}{path}"


@asynccontextmanager
async def running(
    home: Path, settings: Settings | None = None, node: FakeNode | None = None
) -> AsyncIterator[Running]:
    """Both listeners on free ports of loopback."""
    node = node or FakeNode()
    clock = Clock()
    metrics = Metrics()
    api = Api(
        node,
        EventIndex(node.stores.state.index_scan, node.stores.state.scan),
        home,
        metrics,
        settings or Settings(),
        now_ms=lambda: clock.ms,
    )
    http = HttpInterfaces(api)
    await http.start(Listen("127.0.0.1", 0), Listen("127.0.0.1", 0))
    try:
        async with aiohttp.ClientSession() as client:
            yield Running(node, api, http, client, home, clock)
    finally:
        await http.stop()
