"""Bodies of blocks that are not final: what is at hand, and how the rest is got.

A proposal names its transactions, since peers mostly hold them (`node.compact`); what is missing is
asked of the proposer, then the whole body of others in turn. A body is at hand only when its bytes
are what the header commits to.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from ledger.block import Block, Header, block_id, certificate_hash, transactions_root
from ledger.types import BlockId

BODIES_MAX: Final = 128
BODIES_BYTES_MAX: Final = 256 << 20
ANSWER_SECONDS: Final = 1.0  # how long one peer may take to answer before the next is asked
ASSEMBLY_SECONDS: Final = 0.3  # how long the missing transactions of a compact proposal may take
SOURCES_MAX: Final = 16  # peers asked for one body in one round


def is_body_of(header: Header, last_certificate: bytes, transactions: Sequence[bytes]) -> bool:
    """Whether these bytes are what the header commits to."""
    return (
        header.transaction_count == len(transactions)
        and certificate_hash(last_certificate) == header.last_certificate_hash
        and transactions_root(transactions) == header.transactions_root
    )


class Bodies:
    """Blocks at hand by id: built here, received, or read back from the log. Bounded; the oldest go first."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[BlockId, Block] = OrderedDict()
        self._sizes: dict[BlockId, int] = {}
        self._size_bytes = 0
        self._waiting: dict[BlockId, list[asyncio.Future[Block]]] = {}

    def __len__(self) -> int:
        return len(self._blocks)

    def get(self, of: BlockId) -> Block | None:
        """The block, if it is at hand."""
        return self._blocks.get(of)

    def put(self, block: Block) -> BlockId:
        """Keep a block whose body belongs to its header, and wake who waits for it."""
        identifier = block_id(block.header)
        if identifier not in self._blocks:
            size = sum(len(raw) for raw in block.transactions) + len(block.last_certificate)
            self._blocks[identifier] = block
            self._sizes[identifier] = size
            self._size_bytes += size
            while len(self._blocks) > BODIES_MAX or (
                self._size_bytes > BODIES_BYTES_MAX and len(self._blocks) > 1
            ):
                self.drop(next(iter(self._blocks)))
        for waiter in self._waiting.pop(identifier, ()):
            if not waiter.done():
                waiter.set_result(block)
        return identifier

    def offer(self, block: Block) -> bool:
        """Keep a block that a peer sent, unless its body does not belong to its header."""
        if not is_body_of(block.header, block.last_certificate, block.transactions):
            return False
        self.put(block)
        return True

    def drop(self, of: BlockId) -> None:
        """Forget a block, known or not."""
        if self._blocks.pop(of, None) is not None:
            self._size_bytes -= self._sizes.pop(of)

    async def wait(self, of: BlockId, seconds: float) -> Block | None:
        """The block, when it comes within `seconds`."""
        known = self._blocks.get(of)
        if known is not None:
            return known
        waiter: asyncio.Future[Block] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(of, []).append(waiter)
        try:
            async with asyncio.timeout(seconds):
                return await waiter
        except TimeoutError:
            return None
        finally:
            waiters = self._waiting.get(of)
            if waiters is not None and waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._waiting[of]
