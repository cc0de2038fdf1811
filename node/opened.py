"""Transactions whose signature is known to be valid: verified once, found by their bytes or by their hash.

The hash is that of the leaf in a block's transactions tree, so it covers the signature. An id does
not: one body may have many signatures, valid ones too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from ledger.merkle.log import leaf_hash
from ledger.transaction import Transaction
from ledger.types import Hash

OPENED_MAX: Final = 100_000  # a full mempool, and as many in blocks
OPENED_BYTES_MAX: Final = 256 << 20  # the same, in bytes


class Opened:
    """The memory of one node. Bounded; the oldest go first."""

    def __init__(self) -> None:
        self._by_raw: OrderedDict[bytes, Transaction] = OrderedDict()
        self._by_hash: dict[Hash, bytes] = {}
        self._size_bytes = 0

    @property
    def by_raw(self) -> Mapping[bytes, Transaction]:
        """All of them by their bytes; for reading only."""
        return self._by_raw

    def raw(self, of: Hash) -> bytes | None:
        """The bytes of the transaction with this leaf hash, or None."""
        return self._by_hash.get(of)

    def add(self, transaction: Transaction) -> None:
        """Remember a transaction whose signature was found valid."""
        if transaction.raw in self._by_raw:
            return
        self._by_raw[transaction.raw] = transaction
        self._by_hash[leaf_hash(transaction.raw)] = transaction.raw
        self._size_bytes += len(transaction.raw)
        while len(self._by_raw) > OPENED_MAX or self._size_bytes > OPENED_BYTES_MAX:
            raw, _ = self._by_raw.popitem(last=False)
            del self._by_hash[leaf_hash(raw)]
            self._size_bytes -= len(raw)
