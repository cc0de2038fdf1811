"""Transactions that wait for a block: bounded, fair between organisations, and pure.

It keeps order within an organisation and takes from the organisations in turn, so that
one member's burst delays nobody else's shipment.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError
from ledger.transaction import Transaction
from ledger.types import Height, TxId

TRANSACTIONS_MAX: Final = 50_000
BYTES_MAX: Final = 128 << 20
ORGANISATION_SHARE: Final = 4  # one organisation may hold a quarter of either limit


@dataclass(slots=True)
class _Queue:
    """What one organisation has waiting, oldest first."""

    transactions: OrderedDict[TxId, Transaction]
    size_bytes: int


class Mempool:
    """The waiting transactions of a node. Whoever admits has already checked the signature."""

    def __init__(self, transactions_max: int = TRANSACTIONS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._transactions_max = transactions_max
        self._bytes_max = bytes_max
        self._queues: dict[str, _Queue] = {}
        self._owner: dict[TxId, str] = {}
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._owner)

    def __contains__(self, transaction_id: TxId) -> bool:
        return transaction_id in self._owner

    @property
    def size_bytes(self) -> int:
        """The sum of the transactions' bytes."""
        return self._size_bytes

    def get(self, transaction_id: TxId) -> Transaction | None:
        """A waiting transaction, or None."""
        owner = self._owner.get(transaction_id)
        return None if owner is None else self._queues[owner].transactions[transaction_id]

    def ids(self) -> Iterator[TxId]:
        """The ids of all that waits, oldest first within an organisation."""
        return iter(self._owner)

    def admit(self, transaction: Transaction, organisation: str) -> None:
        """Add a transaction of an organisation.

        Raises:
            LedgerError: `transaction.pending` (it waits already), `mempool.organisation_full`,
                `mempool.full` (both: try again later).
        """
        size = len(transaction.raw)
        if transaction.id in self._owner:
            raise LedgerError("transaction.pending", "this transaction waits already")
        if len(self._owner) >= self._transactions_max or self._size_bytes + size > self._bytes_max:
            raise LedgerError("mempool.full", f"{len(self._owner)} transactions wait; try again later")
        queue = self._queues.get(organisation)
        if queue is not None and self._is_over_share(queue, size):
            raise LedgerError(
                "mempool.organisation_full",
                f"{len(queue.transactions)} transactions of {organisation} wait; try again later",
            )
        if queue is None:
            queue = self._queues[organisation] = _Queue(OrderedDict(), 0)
        queue.transactions[transaction.id] = transaction
        queue.size_bytes += size
        self._owner[transaction.id] = organisation
        self._size_bytes += size

    def _is_over_share(self, queue: _Queue, size: int) -> bool:
        return (
            len(queue.transactions) >= self._transactions_max // ORGANISATION_SHARE
            or queue.size_bytes + size > self._bytes_max // ORGANISATION_SHARE
        )

    def remove(self, transaction_ids: Iterable[TxId]) -> None:
        """Drop transactions that were committed or have become invalid; unknown ids are ignored."""
        for transaction_id in transaction_ids:
            owner = self._owner.pop(transaction_id, None)
            if owner is None:
                continue
            queue = self._queues[owner]
            size = len(queue.transactions.pop(transaction_id).raw)
            queue.size_bytes -= size
            self._size_bytes -= size
            if not queue.transactions:
                del self._queues[owner]

    def expire(self, height: Height) -> list[TxId]:
        """Drop and name what can no longer stand in a block at `height`."""
        late = [
            transaction.id
            for queue in self._queues.values()
            for transaction in queue.transactions.values()
            if transaction.body.valid_until < height
        ]
        self.remove(late)
        return late

    def candidates(self) -> Iterator[Transaction]:
        """What waits, one of each organisation in turn, oldest first; stop where the block is full."""
        turns = [iter(queue.transactions.values()) for queue in self._queues.values()]
        while turns:
            waiting = []
            for turn in turns:
                transaction = next(turn, None)
                if transaction is not None:
                    yield transaction
                    waiting.append(turn)
            turns = waiting
