"""What the chain commits to of an event: its commitment, its identity, and the identifier of a nameless one.

The canonical event is the prefixes in force and a tuple of fields, `(name, 0, canonical JSON of the value)`
sorted by name. In a later form a field may stand as `(name, 1, salted commitment of 32 bytes)`, so that a
private field forks nothing. `recordTime` is no part of it: the repository's record time is the block's.

Two events of one identity are one event captured twice. The identity covers the client's own eventID and an
error declaration, so that an event and the declaration that it was wrong differ.

Source: docs/spec/encoding.md; RFC 9562 section 5.8 (UUID version 8).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from contracts.epcis.canonical_json import JsonObject, canonical
from contracts.epcis.prefixes import Prefixes
from ledger.codec import encode
from ledger.crypto import Tag, hash_tagged
from ledger.types import Hash

OPEN: Final = 0  # a field that stands as its value
_NOT_COMMITTED: Final = "recordTime"


class Commitment(NamedTuple):
    """Both hashes of an event, 32 bytes each."""

    commitment: Hash
    identity: Hash


def commit(prefixes: Prefixes, event: JsonObject) -> Commitment:
    """The hashes of an event as `canonical_json.parse` returns it, under the prefixes its document binds."""
    fields = [(name, OPEN, canonical(event[name])) for name in sorted(event) if name != _NOT_COMMITTED]
    data = encode((prefixes, fields))
    return Commitment(hash_tagged(Tag.EVENT, data), hash_tagged(Tag.EVENT_IDENTITY, data))


def given_event_id(identity: Hash) -> str:
    """The eventID of an event that came without one: a version 8 UUID of its identity's first 16 bytes."""
    digits = bytearray(identity[:16])
    digits[6] = 0x80 | digits[6] & 0x0F
    digits[8] = 0x80 | digits[8] & 0x3F
    text = digits.hex()
    return f"urn:uuid:{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
