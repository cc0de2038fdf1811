"""The chain as the checker runs it: from genesis, every block through the rules, in memory of its own."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.genesis import genesis_block
from contracts.runtime import CoreRules
from contracts.staking.records import offences
from ledger.block import Block, Header, block_id
from ledger.genesis import Genesis
from ledger.transition import Tip, apply_block
from ledger.types import BlockId, ChainId
from ledger.validators import ValidatorSet
from node.pace import drained
from node.store.memory import MemoryDatabase
from node.store.state import StateHead, StateStore, genesis_head


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transaction stands, and what became of it."""

    height: int
    index: int
    status: str


class Replayed:
    """A node without network or disk, which takes blocks one after the other and believes nobody."""

    def __init__(self, genesis: Genesis) -> None:
        header, writes = genesis_block(genesis)
        self.chain_id = ChainId(header.chain_id)
        database = MemoryDatabase("the checker's state")
        StateStore.create(database, self.chain_id, header, writes)
        self._state = StateStore(database, self.chain_id)
        head = genesis_head(header)
        self._rules = CoreRules()
        self._tip = Tip.restored(header, BlockId(head.block_id), self._state, head.history)
        self._headers = [header]
        self._voters = {header.epoch: self._tip.voters}
        self.places: dict[str, list[Place]] = {}  # by transaction id
        self.senders: dict[str, bytes] = {}

    @property
    def height(self) -> int:
        """Of the last block."""
        return len(self._headers) - 1

    @property
    def epoch(self) -> int:
        """Of the last block."""
        return self._headers[-1].epoch

    def header(self, height: int) -> Header:
        """The header at a height from 0 to `height`."""
        return self._headers[height]

    def id_at(self, height: int) -> bytes:
        """The block id at a height from 0 to `height`."""
        return block_id(self._headers[height])

    def voters(self, epoch: int) -> ValidatorSet | None:
        """The set that signs the certificates of an epoch that was reached."""
        return self._voters.get(epoch)

    def slashed(self) -> frozenset[str]:
        """The nodes whose keys were ever proved guilty."""
        return frozenset(record.node for record in offences(self._tip.world))

    def extend(self, block: Block) -> None:
        """Run the next block; its place, its parent's certificate and every root are checked by that.

        Raises:
            LedgerError: the block breaks a rule of the ledger.
        """
        execution = drained(apply_block(self._tip, block, self._rules, {}))
        tip = execution.tip
        head = StateHead(tip.header, tip.id, tip.history)
        self._state.commit(head, execution.layer)
        self._tip = Tip.restored(tip.header, tip.id, self._state, tip.history)
        self._headers.append(tip.header)
        self._voters[self._tip.epoch.epoch] = self._tip.validators
        for index, (transaction, receipt) in enumerate(
            zip(execution.transactions, execution.receipts, strict=True)
        ):
            name = transaction.id.hex()
            place = Place(tip.header.height, index, receipt.status.word)
            self.places.setdefault(name, []).append(place)
            self.senders[name] = bytes(transaction.body.sender)
