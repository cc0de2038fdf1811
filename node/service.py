"""What a node offers to its interfaces: one plain object, no sockets.

REST, the admin port and the tests read the node through `Service` and nothing else. Every
answer comes from committed state, and says which height that is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.block import Block
from ledger.crypto import KeyPair
from ledger.evidence import Evidence
from ledger.genesis import Genesis
from ledger.receipt import Receipt
from ledger.state import StateView
from ledger.transaction import Transaction
from ledger.types import BlockId, ChainId, Epoch, Height, TxId
from ledger.validators import ValidatorSet

FOLLOWERS_MAX: Final = 256  # open streams of one node
FOLLOWER_QUEUE_BLOCKS: Final = 64  # a reader that falls further behind reads from the store again


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A member node as this node sees it."""

    name: str
    role: str
    public_key: bytes
    connected: bool
    problem: str  # code of the last refusal, or ""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """Where this node stands. `lag_blocks` counts what certificates show to be final and is not here yet;
    `unsettled_views` those of the dispute period that no certificate here accounts for."""

    chain_id: ChainId
    node: str
    role: str
    height: Height
    block_id: BlockId
    state_root: bytes
    time_ms: int
    epoch: int
    view: int
    leader: str
    lag_blocks: int
    pending_transactions: int
    unsettled_views: int
    peers: tuple[PeerStatus, ...]
    is_voting: bool
    reason: str  # one sentence where the chain does not advance or the node does not vote, else ""


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A final block: its id, the block, its receipts in order, and the certificate that makes it final.

    `finalization` is the encoded `ledger.vote.Certificate` of this block or of the nearest
    descendant that has one of its own.
    """

    id: BlockId
    block: Block
    receipts: tuple[Receipt, ...]
    finalization: bytes


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """A transaction that waits (height, receipt None) or stands in a final block."""

    transaction: Transaction
    height: Height | None
    index: int | None
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer at the door: `status` is pending, duplicate or refused, the rest explains a refusal."""

    id: TxId | None  # None where the bytes could not be decoded
    status: str
    code: str = ""
    message: str = ""
    pointer: str = ""


class Service(Protocol):
    """A node, to its interfaces."""

    chain_id: ChainId
    genesis: Genesis
    name: str
    organisation: str

    def status(self) -> NodeStatus:
        """Where the node stands now."""

    def head(self) -> tuple[Height, BlockId]:
        """The last final block."""

    def state(self) -> StateView:
        """State after the last final block."""

    def submit(self, raw: bytes) -> Submitted:
        """Admit a transaction and pass it on; never raises for what the sender did."""

    async def wait(self, transaction_ids: Sequence[TxId], seconds: float) -> None:
        """Return when all of them stand in final blocks, or after `seconds`."""

    def transaction(self, transaction_id: TxId) -> TransactionRecord | None:
        """A transaction that waits here or is final."""

    def block(self, height: Height) -> BlockRecord | None:
        """A final block by height (genesis is 0), or None."""

    def height_of(self, block_id: BlockId) -> Height | None:
        """The height of a final block."""

    def validators(self, height: Height) -> ValidatorSet | None:
        """The validators that voted on the block at `height`."""

    def evidence(self) -> Sequence[Evidence]:
        """The evidence that this node holds, by ascending epoch and validator."""

    def epoch_validators(self, epoch: Epoch) -> ValidatorSet | None:
        """The validators of an epoch, as long as evidence of it is admitted."""

    def gateway(self) -> KeyPair | None:
        """The organisation's gateway key, where this node holds one."""

    def follow(self, height: Height) -> AsyncIterator[BlockRecord]:
        """Final blocks from `height` on, without end; raises LedgerError `stream.too_many` at once."""
