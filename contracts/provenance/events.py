"""Which events are recorded: found by their eventID, told apart by their identity, so none counts twice.

The chain's blocks hold the events themselves; here stands where. Several events may share an eventID:
an event and the declarations that it was wrong, or a client's mistake, which is flagged. A recording id names
one event alone: the transaction that brought it, and its place in there.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.state import Overlay, StateView, Table
from ledger.types import Bytes32, Counter, Name, TxId

NAMESPACE: Final = "provenance"
VERSIONS_MAX: Final = 64  # events that share one eventID

_RECORDING_ID = re.compile(r"urn:farmgate:event:([0-9a-f]{64}):(0|[1-9][0-9]{0,3})")


class EventKey(Canonical):
    """Where an event stands: block, transaction in it, event in the transaction's arguments. From 0."""

    height: Counter
    transaction_index: Counter
    event_index: Counter


class EventRef(Canonical):
    """Where an event stands, and by which names it is asked for."""

    height: Counter
    transaction_index: Counter
    event_index: Counter
    event_id: str
    transaction_id: Bytes32

    @property
    def key(self) -> EventKey:
        """The place alone."""
        return EventKey(self.height, self.transaction_index, self.event_index)


class EventVersion(Canonical):
    """One event that bears an eventID. `is_declaration`: it declares the others of this id erroneous."""

    identity: Bytes32
    ref: EventRef
    organisation: Name
    is_declaration: bool


class EventVersions(Canonical):
    """All events of one eventID, oldest first."""

    versions: Annotated[tuple[EventVersion, ...], Meta(min_length=1, max_length=VERSIONS_MAX)]


class Erroneous(Canonical):
    """Says of an event which declaration called it wrong first."""

    declaration: EventKey


EVENTS: Final = Table(NAMESPACE, b"event", EventVersions)  # key: eventID
ERRONEOUS: Final = Table(NAMESPACE, b"erroneous", Erroneous)  # key: `key_bytes` of the event


def recording_id(transaction_id: bytes, event_index: int) -> str:
    """The ledger's own name of an event, which no other event has: `urn:farmgate:event:TRANSACTION:INDEX`."""
    return f"urn:farmgate:event:{transaction_id.hex()}:{event_index}"


def read_recording_id(text: str) -> tuple[TxId, int] | None:
    """The transaction and the index in it that a recording id names; None for any other text."""
    found = _RECORDING_ID.fullmatch(text)
    return None if found is None else (TxId(bytes.fromhex(found[1])), int(found[2]))


def key_bytes(key: EventKey) -> bytes:
    """A place as 16 bytes that sort in chain order."""
    parts = ((key.height, 8), (key.transaction_index, 4), (key.event_index, 4))
    return b"".join(number.to_bytes(size, "big") for number, size in parts)


def versions_of(state: StateView, event_id: str) -> tuple[EventVersion, ...]:
    """The events that bear this eventID, oldest first."""
    known = EVENTS.get(state, event_id.encode())
    return known.versions if known else ()


def add_version(state: Overlay, known: tuple[EventVersion, ...], version: EventVersion) -> None:
    """Record one more event under its eventID; `known` are those that bear it already.

    Raises:
        LedgerError: `event_id.overused`.
    """
    event_id = version.ref.event_id
    if len(known) == VERSIONS_MAX:
        raise LedgerError(
            "event_id.overused", f"{VERSIONS_MAX} events are called {event_id}, the most allowed"
        )
    EVENTS.put(state, event_id.encode(), EventVersions((*known, version)))


def declare_erroneous(state: Overlay, event: EventKey, declaration: EventKey) -> None:
    """Note that an event was declared wrong. The first declaration stays the one that is named."""
    if ERRONEOUS.get(state, key_bytes(event)) is None:
        ERRONEOUS.put(state, key_bytes(event), Erroneous(declaration))


def declaration_of(state: StateView, event: EventKey) -> EventKey | None:
    """The declaration that called this event wrong."""
    known = ERRONEOUS.get(state, key_bytes(event))
    return known.declaration if known else None
