"""One running node, as its interfaces see it (`node.service.Service`): reads, the door, and waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Final

from ledger.crypto import KeyPair
from ledger.epoch import validators_of
from ledger.errors import LedgerError
from ledger.evidence import Evidence
from ledger.genesis import Genesis
from ledger.members import NODES, Node, NodeRole, nodes_in_force
from ledger.state import StateView
from ledger.transaction import decode_transaction
from ledger.types import BlockId, ChainId, Epoch, Height, PublicKey, TxId
from ledger.validators import ValidatorSet
from node.diagnosis import Outlook, Voter, refusal, standing_of, why
from node.exchange import Exchange
from node.executor import Executor, Submission
from node.home import SpaceVerdict
from node.service import (
    FOLLOWERS_MAX,
    BlockRecord,
    NodeStatus,
    PeerStatus,
    Submitted,
    TransactionRecord,
)

RECORDS_KEPT: Final = 8  # just read: whoever waits for a batch asks for each of its transactions


class Site:
    """The node behind REST, admin port and tests."""

    def __init__(
        self, own: Node, executor: Executor, exchange: Exchange, gateway_key: KeyPair | None
    ) -> None:
        self.genesis: Genesis = executor.genesis
        self.chain_id: ChainId = executor.chain_id
        self.name = own.name
        self.organisation = own.organisation
        self.space = SpaceVerdict.ENOUGH
        self._own = own
        self._executor = executor
        self._exchange = exchange
        self._gateway = gateway_key
        self._waiting: dict[TxId, list[asyncio.Future[None]]] = {}
        self._committed = asyncio.Event()
        self._followers = 0
        self._records: OrderedDict[Height, BlockRecord] = OrderedDict()

    # --- the door -------------------------------------------------------------

    def submit(self, raw: bytes) -> Submitted:
        """Admit a transaction and pass it on; never raises for what the sender did."""
        if self.space is not SpaceVerdict.ENOUGH:
            return Submitted(None, "refused", "node.no_space", "the disk of this node is nearly full")
        try:
            transaction_id, outcome = self._exchange.intake.submit(raw)
        except LedgerError as refusal:
            return Submitted(_id_of(raw), "refused", refusal.code, refusal.message, refusal.pointer)
        status = "duplicate" if outcome is Submission.DUPLICATE else "pending"
        return Submitted(transaction_id, status)

    async def wait(self, transaction_ids: Sequence[TxId], seconds: float) -> None:
        """Return when all of them stand in final blocks, or after `seconds`."""
        blocks = self._executor.stores.blocks
        waiters = []
        for transaction_id in transaction_ids:
            if blocks.place_of(transaction_id) is None:
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.setdefault(transaction_id, []).append(waiter)
                waiters.append((transaction_id, waiter))
        try:
            async with asyncio.timeout(seconds):
                for _, waiter in waiters:
                    await waiter
        except TimeoutError:
            pass
        finally:
            for transaction_id, waiter in waiters:
                others = self._waiting.get(transaction_id, [])
                if waiter in others:
                    others.remove(waiter)
                if not others:
                    self._waiting.pop(transaction_id, None)

    def committed(self, transaction_ids: Sequence[TxId]) -> None:
        """A block with these transactions became final: wake who waits, and note how we are listed now."""
        listed = NODES.get(self.state(), self._own.public_key)
        if listed is not None:
            self._own, self.organisation = listed, listed.organisation
        for transaction_id in transaction_ids:
            for waiter in self._waiting.get(transaction_id, ()):
                if not waiter.done():
                    waiter.set_result(None)
        self._committed.set()
        self._committed = asyncio.Event()

    # --- reads ----------------------------------------------------------------

    def head(self) -> tuple[Height, BlockId]:
        """The last final block."""
        tip = self._executor.committed
        return Height(tip.header.height), tip.id

    def state(self) -> StateView:
        """State after the last final block."""
        return self._executor.committed.world

    def transaction(self, transaction_id: TxId) -> TransactionRecord | None:
        """A transaction that waits here or is final."""
        blocks = self._executor.stores.blocks
        place = blocks.place_of(transaction_id)
        if place is None:
            waiting = self._executor.waiting(transaction_id)
            return None if waiting is None else TransactionRecord(waiting, None, None, None)
        height, index = place
        record = self.block(height)
        if record is None:
            waiting = self._executor.waiting(transaction_id)  # its block is being written
            return None if waiting is None else TransactionRecord(waiting, None, None, None)
        return TransactionRecord(
            decode_transaction(record.block.transactions[index]), height, index, record.receipts[index]
        )

    def block(self, height: Height) -> BlockRecord | None:
        """A final block by height (genesis is 0), or None."""
        known = self._records.get(height)
        if known is not None:
            return known
        blocks = self._executor.stores.blocks
        if height > self._executor.committed.header.height:
            return None
        block, identifier, receipts = blocks.block(height), blocks.id_at(height), blocks.receipts(height)
        if block is None or identifier is None:
            return None
        found = blocks.finalization(height)
        record = BlockRecord(identifier, block, receipts or (), b"" if found is None else found[1])
        if found is not None:  # what is final under a certificate stays as it is
            self._records[height] = record
            while len(self._records) > RECORDS_KEPT:
                self._records.popitem(last=False)
        return record

    def height_of(self, block_id: BlockId) -> Height | None:
        """The height of a final block."""
        return self._executor.stores.blocks.height_of(block_id)

    def validators(self, height: Height) -> ValidatorSet | None:
        """The validators that voted on the block at `height`, or will vote on the next.

        None also where its epoch is older than the evidence period.
        """
        tip = self._executor.committed
        if height == tip.header.height + 1:
            return tip.validators
        header = self._executor.stores.blocks.header(height)
        if header is None or height > tip.header.height:
            return None
        return tip.voters if header.epoch == tip.header.epoch else validators_of(tip.world, header.epoch)

    def evidence(self) -> Sequence[Evidence]:
        """The evidence that this node holds, by ascending epoch and validator."""
        return self._exchange.evidence.held()

    def epoch_validators(self, epoch: Epoch) -> ValidatorSet | None:
        """The validators of an epoch, as long as evidence of it is admitted."""
        return validators_of(self.state(), epoch)

    def gateway(self) -> KeyPair | None:
        """The organisation's gateway key, where this node holds one."""
        return self._gateway

    async def follow(self, height: Height) -> AsyncIterator[BlockRecord]:
        """Final blocks from `height` on, without end.

        Raises:
            LedgerError: `stream.too_many`.
        """
        if self._followers >= FOLLOWERS_MAX:
            raise LedgerError("stream.too_many", f"{self._followers} streams are open; try again later")
        self._followers += 1
        try:
            while True:
                committed = self._committed
                record = self.block(height)
                if record is None:
                    await committed.wait()
                else:
                    yield record
                    height = Height(height + 1)
        finally:
            self._followers -= 1

    # --- status ---------------------------------------------------------------

    def status(self) -> NodeStatus:
        """Where the node stands now."""
        tip = self._executor.committed
        driver = self._exchange.driver
        is_turned = driver.epoch == tip.epoch.epoch  # else the leader's index is of the set before
        leader = tip.validators.validators[driver.leader].node if is_turned and driver.leader >= 0 else ""
        peers, catch_up = self._peers(), self._exchange.catch_up
        is_voting = self._own.role is NodeRole.VALIDATOR and driver.is_voting
        return NodeStatus(
            chain_id=self.chain_id,
            node=self.name,
            role=self._own.role.value,
            height=Height(tip.header.height),
            block_id=tip.id,
            state_root=tip.header.state_root,
            time_ms=tip.header.time_ms,
            epoch=tip.epoch.epoch,
            view=driver.view,
            leader=leader,
            lag_blocks=self._exchange.lag_blocks(),
            pending_transactions=len(self._executor.mempool),
            unsettled_views=0 if catch_up is None else catch_up.unsettled_views,
            peers=peers,
            is_voting=is_voting,
            reason=self._reason(peers),
        )

    def _peers(self) -> tuple[PeerStatus, ...]:
        network = self._exchange.network
        connected = {peer.peer_id for peer in network.peers()}
        problems = {dial.peer_id: dial.code for dial in network.dials() if dial.peer_id is not None}
        return tuple(
            PeerStatus(
                node.name,
                node.role.value,
                node.public_key,
                node.public_key in connected,
                "" if node.public_key in connected else problems.get(PublicKey(node.public_key), ""),
            )
            for node in nodes_in_force(self.state())
            if node.public_key != self._own.public_key
        )

    def _reason(self, peers: Sequence[PeerStatus]) -> str:
        """One sentence where the chain cannot advance as seen from here, else nothing."""
        tip, driver, regaining = self._executor.committed, self._exchange.driver, None
        if self._exchange.catch_up is not None:
            regaining = self._exchange.catch_up.regaining
        alone = self._exchange.network.problem()
        looked = driver.looked()
        here = {peer.name for peer in peers if peer.connected} | {self.name}
        voters = tuple(
            Voter(each.node, each.stake, each.node in here, looked is not None and index in looked.voted)
            for index, each in enumerate(tip.validators.validators)
        )
        is_validator = self._own.role is NodeRole.VALIDATOR
        has_vote = any(each.name == self.name for each in voters)
        return why(
            Outlook(
                is_disk_full=self.space is SpaceVerdict.STOP_VOTING,
                regaining=regaining,
                refused="" if alone is None else refusal(alone.code, alone.message),
                not_signing=driver.not_signing if is_validator else "",
                standing="" if has_vote or not is_validator else standing_of(tip.world, self.name),
                voters=voters,
                quorum=tip.validators.quorum_stake,
                total=tip.validators.total_stake,
                leader=tip.validators.validators[driver.leader].node if driver.leader >= 0 else "",
                looked=looked if driver.epoch == tip.epoch.epoch else None,
                hears_votes=is_validator,
            )
        )


def _id_of(raw: bytes) -> TxId | None:
    try:
        return decode_transaction(raw).id
    except LedgerError:
        return None
