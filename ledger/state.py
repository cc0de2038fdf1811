"""World state as the protocol sees it: a map from namespaced keys to bytes, in layers.

`StateView` is what may be read. `Overlay` collects the writes of one call or block
above a view and gives them up as a whole or not at all. `Table` gives a family of
keys the type of its records. Nothing here knows a disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from ledger.codec import decode, encode
from ledger.errors import LedgerError
from ledger.types import STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, TxId

Record = TypeVar("Record")


class StateView(Protocol):
    """Readable state at one block."""

    def get(self, key: bytes) -> bytes | None:
        """The value at a full key (`full_key`), or None."""

    def is_recent(self, transaction_id: TxId) -> bool:
        """Whether the transaction stands in one of the blocks of the replay window."""


def full_key(namespace: str, key: bytes) -> bytes:
    """The key as it is stored and hashed into a path: namespace, zero byte, key.

    Raises:
        LedgerError: `state.key_too_long`.
    """
    name = namespace.encode() + b"\0" + key
    if len(name) > STATE_KEY_BYTES_MAX:
        raise LedgerError(
            "state.key_too_long", f"{len(name)} bytes, at most {STATE_KEY_BYTES_MAX} are allowed"
        )
    return name


class Overlay:
    """Writes above a view, not yet part of it."""

    __slots__ = ("_view", "_writes")

    def __init__(self, view: StateView) -> None:
        self._view = view
        self._writes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value that this overlay or the view below holds."""
        if key in self._writes:
            return self._writes[key]
        return self._view.get(key)

    def is_recent(self, transaction_id: TxId) -> bool:
        """As the view below says: an overlay holds no block."""
        return self._view.is_recent(transaction_id)

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value.

        Raises:
            LedgerError: `state.value_too_large`.
        """
        if len(value) > STATE_VALUE_BYTES_MAX:
            raise LedgerError(
                "state.value_too_large", f"{len(value)} bytes, at most {STATE_VALUE_BYTES_MAX} are allowed"
            )
        self._writes[key] = value

    def delete(self, key: bytes) -> None:
        """Remove a key, present or not."""
        self._writes[key] = None

    @property
    def writes(self) -> Mapping[bytes, bytes | None]:
        """Every key written here and its last value (None: deleted), in the order of first writing."""
        return self._writes

    def absorb(self, child: Overlay) -> None:
        """Take over the writes of an overlay that was opened above this one."""
        self._writes.update(child._writes)


@dataclass(frozen=True, slots=True)
class Table(Generic[Record]):
    """A family of typed records: `namespace` / `prefix` / key.

    `key` is bytes chosen by the caller; `prefix` separates the families of one namespace.
    """

    namespace: str
    prefix: bytes
    kind: type[Record]

    def key(self, key: bytes) -> bytes:
        """The full key of a record, as proofs name it."""
        return full_key(self.namespace, self.prefix + b"/" + key)

    def get(self, state: StateView, key: bytes) -> Record | None:
        """The record, or None where there is none."""
        data = state.get(self.key(key))
        return None if data is None else decode(data, self.kind, STATE_VALUE_BYTES_MAX)

    def put(self, state: Overlay, key: bytes, record: Record) -> None:
        """Write a record."""
        state.put(self.key(key), encode(record))

    def delete(self, state: Overlay, key: bytes) -> None:
        """Remove a record."""
        state.delete(self.key(key))
