"""The world after a block: committed state, and layers of executed blocks above it.

Consensus may hold several notarized blocks above the last finalized one. Each is executed
once and kept as a `Layer`: its writes, its transaction ids and its state tree update. When a
block is finalized its layer is written to disk as it is; nothing is computed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

from ledger.merkle.tree import StateTree, TreeUpdate
from ledger.types import TxId


class CommittedState(Protocol):
    """State after the last finalized block, as a store holds it."""

    @property
    def tree(self) -> StateTree:
        """The state tree over exactly the keys that `get` answers."""

    def get(self, key: bytes) -> bytes | None:
        """The value at a full key."""

    def is_recent(self, transaction_id: TxId) -> bool:
        """Whether the transaction stands in one of the last `replay_window_blocks` blocks."""


class Layer:
    """One executed block above another layer or the committed state."""

    __slots__ = ("_parent", "transaction_ids", "update", "writes")

    def __init__(
        self,
        parent: Layer | CommittedState,
        writes: Mapping[bytes, bytes | None],
        transaction_ids: frozenset[TxId],
    ) -> None:
        self._parent = parent
        self.writes = writes
        self.transaction_ids = transaction_ids
        self.update = _preview(parent, writes)

    def get(self, key: bytes) -> bytes | None:
        """The value at a full key after this block."""
        if key in self.writes:
            return self.writes[key]
        return self._parent.get(key)

    def is_recent(self, transaction_id: TxId) -> bool:
        """Whether this block or one below, inside the window, holds the transaction."""
        return transaction_id in self.transaction_ids or self._parent.is_recent(transaction_id)

    def rebase(self, committed: CommittedState) -> None:
        """Stand directly on the committed state, which has taken in everything below this layer."""
        self._parent = committed

    @property
    def parent(self) -> Layer | CommittedState:
        """What this layer stands on."""
        return self._parent


World = Layer | CommittedState


def _preview(parent: World, writes: Mapping[bytes, bytes | None]) -> TreeUpdate:
    """The tree update of `writes` above `parent`.

    A layer whose root the committed tree has reached was committed while this block ran.
    """
    updates: list[TreeUpdate] = []
    below = parent
    while isinstance(below, Layer):
        updates.append(below.update)
        below = below.parent
    committed = [index for index, update in enumerate(updates) if update.root == below.tree.root]
    if committed:
        del updates[committed[0] :]
    changes = {
        sha256(key).digest(): None if value is None else sha256(value).digest()
        for key, value in writes.items()
    }
    return below.tree.preview(changes, updates[::-1])
