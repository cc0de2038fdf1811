"""The event as it travels in a transaction and rests in the chain, and what a contract makes of it.

A gateway cuts a document into captured events; every validator reads each again and trusts nothing: the body
must be canonical JSON and the prefixes exactly those that it needs, so that one event has one encoding.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.epcis.canonical_json import JsonObject, canonical, parse
from contracts.epcis.commitment import commit, given_event_id
from contracts.epcis.event import Event
from contracts.epcis.prefixes import PREFIXES_MAX, is_mentioned, is_prefix_pair
from contracts.epcis.validate import validate_event
from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.types import Hash

EVENT_BYTES_MAX: Final = 128 << 10  # canonical JSON of one event: some 2,000 identifiers; half a state value

Body = Annotated[bytes, Meta(min_length=2, max_length=EVENT_BYTES_MAX)]
BoundPrefixes = Annotated[tuple[tuple[str, str], ...], Meta(max_length=PREFIXES_MAX)]


class CapturedEvent(Canonical, frozen=True):
    """One event cut out of its document.

    Args:
        prefixes: (prefix, namespace) of the document's `@context` that the event mentions and does not bind
            itself, sorted by prefix.
        body: canonical JSON of the event as it was given, its own `@context` and recordTime included.
    """

    prefixes: BoundPrefixes
    body: Body


class ReadEvent(msgspec.Struct, frozen=True):
    """A captured event that was found valid.

    Args:
        event: the typed view.
        fields: the event's own JSON.
        commitment: 32 bytes, what histories and proofs hold.
        identity: 32 bytes, equal for an event captured twice.
        event_id: the client's, or the one that the ledger gives.
    """

    event: Event
    fields: JsonObject
    commitment: Hash
    identity: Hash
    event_id: str


def read_captured(captured: CapturedEvent, pointer: str = "") -> ReadEvent:
    """Check a captured event in full.

    Args:
        captured: from a transaction; nothing about it is trusted.
        pointer: where the event stands in its document; the pointers of problems begin with it.

    Raises:
        LedgerError: `json.*`, `epcis.not_canonical`, `epcis.bad_prefixes`.
        EpcisError: what is wrong with the event itself.
    """
    value = parse_body(captured, pointer)
    _check_prefixes(captured, value, pointer)
    event = validate_event(value, captured.prefixes, pointer)
    hashes = commit(captured.prefixes, value)
    event_id = event.event_id or given_event_id(hashes.identity)
    return ReadEvent(event, value, hashes.commitment, hashes.identity, event_id)


def parse_body(captured: CapturedEvent, pointer: str = "") -> JsonObject:
    """The event's own JSON.

    Raises:
        LedgerError: `json.*`, `epcis.not_canonical`.
    """
    try:
        value = parse(captured.body, EVENT_BYTES_MAX)
    except LedgerError as problem:
        raise LedgerError(problem.code, problem.message, pointer + problem.pointer) from None
    if not isinstance(value, dict) or canonical(value) != captured.body:
        raise LedgerError("epcis.not_canonical", "the body is not the canonical JSON of an object", pointer)
    return value


def own_prefixes(event: JsonObject) -> tuple[str, ...]:
    """The prefixes that an event's `@context` binds, whatever else is wrong with it."""
    context = event.get("@context")
    entries = context if isinstance(context, list) else [context]
    return tuple(name for entry in entries if isinstance(entry, dict) for name in entry)


def _check_prefixes(captured: CapturedEvent, event: JsonObject, pointer: str) -> None:
    own = own_prefixes(event) if captured.prefixes else ()
    last = ""
    for prefix, namespace in captured.prefixes:
        if prefix <= last or not is_prefix_pair(prefix, namespace):
            message = f"prefix {prefix[:40]!r} is out of order or binds no namespace"
            raise LedgerError("epcis.bad_prefixes", message, pointer)
        if prefix in own or not is_mentioned(prefix, captured.body):
            message = f"the event does not take prefix {prefix!r} from its document"
            raise LedgerError("epcis.bad_prefixes", message, pointer)
        last = prefix
