"""Answers to what peers lack: bodies, transactions, pages of final blocks, what settled a view.

Each answer is at the cost of the peer that asked; one that has drawn too much is told that nothing is here.

Source: docs/spec/p2p.md, rules B1-B7, C5 and P3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, assert_never

from ledger.block import Block
from ledger.codec import encode
from ledger.errors import LedgerError
from ledger.types import HASH_BYTES, BlockId, Height, PublicKey, View
from ledger.vote import Certificate, VoteKind
from node.allowance import Allowance
from node.bodies import Bodies
from node.catch_up import PAGE_BYTES_MAX
from node.p2p.frames import Lane
from node.p2p.messages import (
    BATCH_BYTES_MAX,
    BATCH_TRANSACTIONS_MAX,
    SETTLED_COUNT_MAX,
    Blocks,
    BlocksRequest,
    Body,
    BodyRequest,
    Message,
    NotFound,
    Settled,
    SettledRequest,
    Transactions,
    TransactionsRequest,
)
from node.store.blocks import BlockStore

NO_PAGE: Final = bytes(HASH_BYTES)  # what `NotFound` names where it answers a request for blocks

Request = TransactionsRequest | BodyRequest | BlocksRequest | SettledRequest
Send = Callable[[PublicKey, Message, Lane], object]


class Answers:
    """Answers requests from what is stored and what is at hand.

    Args:
        held: the certificates that consensus holds above the last final block.
    """

    def __init__(
        self,
        blocks: BlockStore,
        bodies: Bodies,
        allowance: Allowance,
        held: Callable[[], Sequence[Certificate]],
        send: Send,
    ) -> None:
        self._blocks = blocks
        self._bodies = bodies
        self._allowance = allowance
        self._held = held
        self._send = send

    def answer(self, peer: PublicKey, request: Request) -> None:
        """Answer one request, whether or not the peer's lane has room.

        Raises:
            LedgerError: `message.out_of_range`.
        """
        if self._allowance.is_spent(peer):
            self._send(peer, *_nothing(request))
            return
        match request:
            case TransactionsRequest():
                self._send_transactions(peer, request)
            case BodyRequest():
                self._send_body(peer, request)
            case BlocksRequest():
                self._send_page(peer, request)
            case SettledRequest():
                self._send_settled(peer, request)
            case _:
                assert_never(request)

    def tell(self, peer: PublicKey, answer: Message, lane: Lane, size_bytes: int) -> None:
        """Answer what was no request with something large, unless the peer has drawn too much."""
        if not self._allowance.is_spent(peer):
            self._charged(peer, answer, lane, size_bytes)

    def _charged(self, peer: PublicKey, answer: Message, lane: Lane, size_bytes: int) -> None:
        self._allowance.charge(peer, size_bytes)
        self._send(peer, answer, lane)

    def _send_transactions(self, peer: PublicKey, request: TransactionsRequest) -> None:
        block = self._block(BlockId(request.block_id))
        if block is None:
            self._charged(peer, *_nothing(request), 0)
            return
        if request.places[-1] >= len(block.transactions):
            raise LedgerError("message.out_of_range", f"the block has {len(block.transactions)} transactions")
        batch: list[bytes] = []
        size = 0
        for place in request.places:
            raw = block.transactions[place]
            if len(batch) == BATCH_TRANSACTIONS_MAX or (batch and size + len(raw) > BATCH_BYTES_MAX):
                self._charged(peer, Transactions(tuple(batch)), Lane.PROPOSAL, size)
                batch, size = [], 0
            batch.append(raw)
            size += len(raw)
        self._charged(peer, Transactions(tuple(batch)), Lane.PROPOSAL, size)

    def _send_body(self, peer: PublicKey, request: BodyRequest) -> None:
        block = self._block(BlockId(request.block_id))
        if block is None:
            self._charged(peer, *_nothing(request), 0)
        else:
            body = Body(encode(block))
            self._charged(peer, body, Lane.PROPOSAL, len(body.block))

    def _block(self, of: BlockId) -> Block | None:
        """A block that is at hand or stored."""
        block = self._bodies.get(of)
        if block is not None:
            return block
        height = self._blocks.height_of(of)
        return None if height is None else self._blocks.block(height)

    def _send_page(self, peer: PublicKey, request: BlocksRequest) -> None:
        page = self._blocks.finalized_page(Height(request.from_height), request.count_max, PAGE_BYTES_MAX)
        if page is None:
            self._charged(peer, *_nothing(request), 0)
        else:
            answer = Blocks(request.from_height, page.blocks, page.link, page.finalization)
            self._charged(peer, answer, Lane.BULK, sum(map(len, page.blocks)))

    def _send_settled(self, peer: PublicKey, request: SettledRequest) -> None:
        """What is stored, and nullifications that consensus holds above the last final block."""
        views = range(request.after + 1, request.until + 1)
        found = {
            certificate.view: encode(certificate)
            for certificate in self._held()
            if certificate.kind is VoteKind.NULLIFY
            and certificate.vote.epoch == request.epoch
            and certificate.view in views
        }
        stored = self._blocks.settled.page(request.epoch, request.after, request.until, SETTLED_COUNT_MAX)
        found.update((View(view), certificate) for view, certificate in stored)
        page = tuple(found[view] for view in sorted(found)[:SETTLED_COUNT_MAX])
        self._charged(peer, Settled(page), Lane.BULK, sum(map(len, page)))


def _nothing(request: Request) -> tuple[Message, Lane]:
    """The answer where what is asked for is not here."""
    match request:
        case TransactionsRequest() | BodyRequest():
            return NotFound(request.block_id), Lane.PROPOSAL
        case BlocksRequest():
            return NotFound(NO_PAGE), Lane.BULK
        case SettledRequest():
            return Settled(()), Lane.BULK
