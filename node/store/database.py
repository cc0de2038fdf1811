"""An ordered map of bytes to bytes that is written in atomic, synced batches and in no other way.

Two implementations: `node.store.leveldb` on a disk, `node.store.memory` for tests and the simulator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from ledger.codec import Canonical, decode, encode
from ledger.errors import LedgerError
from ledger.types import Bytes32, ChainId, Counter
from node.store.failure import StoreCorrupted, StoreLost, StoreMismatch

Batch = Mapping[bytes, bytes | None]
"""New values by key; None removes the key."""

FORMAT_VERSION: Final = 1
IDENTITY_KEY: Final = b"\x00identity"
_IDENTITY_BYTES_MAX: Final = 256


class Reader(Protocol):
    """What a database held at one moment, or holds now. Keys are in byte order."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None.

        Raises:
            StoreCorrupted, StoreFailed
        """

    def scan(
        self, start: bytes, stop: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < stop in key order, or from the end, at most `limit`.

        Raises:
            StoreCorrupted, StoreFailed
        """

    def close(self) -> None:
        """Let go of it."""


class Database(Reader, Protocol):
    """A store of bytes. `close` lets go of its files; nothing waits to be written."""

    @property
    def path(self) -> str:
        """Where it lies, for messages."""

    def snapshot(self) -> Reader:
        """What it holds now, whatever is written later; to be closed."""

    def write(self, batch: Batch) -> None:
        """Make all changes durable together. When this returns they survive a power cut.

        Raises:
            StoreFailed: only where the process was told not to end.
        """


class Identity(Canonical):
    """What a database is: written when it is made, asked for whenever it is opened.

    LevelDB opens a store that lost its files as an empty one, without a word; the missing identity tells.
    """

    kind: str
    format_version: Counter
    chain_id: Bytes32


def identity_entry(kind: str, chain_id: ChainId) -> dict[bytes, bytes | None]:
    """What the first batch of a new database must hold."""
    return {IDENTITY_KEY: encode(Identity(kind, FORMAT_VERSION, chain_id))}


def check_identity(database: Database, kind: str, chain_id: ChainId) -> None:
    """Refuse a database that lost its beginning, or is of another kind, format or chain.

    Raises:
        StoreLost, StoreCorrupted, StoreMismatch: `store.kind`, `store.format`, `genesis.mismatch`.
    """
    data = database.get(IDENTITY_KEY)
    if data is None:
        raise StoreLost(database.path, f"it opens, but holds no {kind} database")
    try:
        identity = decode(data, Identity, _IDENTITY_BYTES_MAX)
    except LedgerError as refusal:
        raise StoreCorrupted(database.path, "identity", str(refusal)) from None
    if identity.kind != kind:
        raise StoreMismatch("store.kind", database.path, f"holds {identity.kind}, expected {kind}")
    if identity.format_version != FORMAT_VERSION:
        raise StoreMismatch(
            "store.format",
            database.path,
            f"format {identity.format_version}, this release reads {FORMAT_VERSION}",
        )
    if identity.chain_id != chain_id:
        raise StoreMismatch(
            "genesis.mismatch",
            database.path,
            f"the data belongs to chain {identity.chain_id.hex()}, genesis.json to {chain_id.hex()}",
        )
