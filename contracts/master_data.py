"""What identifiers stand for: products by GTIN, locations by GLN, parties. Versioned, never rewritten.

A record is the word of the organisation that wrote it. Where the GS1 prefix or the registered site
of the identifier is another organisation's, or nobody's, it is recorded and flagged, and it never
hides a version that the rightful organisation wrote.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Final

from msgspec import Meta

from contracts import authority
from contracts.epcis.identifiers import canonical_id
from contracts.method import Method
from ledger.codec import Canonical, encode
from ledger.errors import LedgerError
from ledger.members import SITES, Role, Uri
from ledger.receipt import Status
from ledger.state import Overlay, StateView, Table
from ledger.transition import Call, Outcome
from ledger.types import Bytes32, Code, Counter, Name

CONTRACT: Final = "master_data"
ATTRIBUTES_MAX: Final = 128  # FSMA 204 asks for some twenty a location; the CBV defines fewer than a hundred
ATTRIBUTE_NAME_LENGTH_MAX: Final = 128
ATTRIBUTE_VALUE_LENGTH_MAX: Final = 1000

AttributeName = Annotated[str, Meta(min_length=1, max_length=ATTRIBUTE_NAME_LENGTH_MAX)]
AttributeValue = Annotated[str, Meta(max_length=ATTRIBUTE_VALUE_LENGTH_MAX)]
Attributes = Annotated[tuple[tuple[AttributeName, AttributeValue], ...], Meta(max_length=ATTRIBUTES_MAX)]


class MasterKind(Enum):
    """What an identifier names here."""

    PRODUCT = "product"
    LOCATION = "location"
    PARTY = "party"


class Put(Canonical):
    """A new version of what is known about `id`. Attributes ascend by name, each name once."""

    kind: MasterKind
    id: Uri
    attributes: Attributes


class MasterRecord(Canonical):
    """One version, numbered from 1. `flag`: empty, or why the organisation may not be the one to say this."""

    kind: MasterKind
    id: Uri
    version: Counter
    organisation: Name
    height: Counter
    time_ms: Counter
    transaction_id: Bytes32
    flag: Code
    attributes: Attributes


class Versions(Canonical):
    """The number of the newest version, and of the newest without a flag (0: there is none)."""

    newest: Counter
    newest_clean: Counter


VERSIONS: Final = Table(CONTRACT, b"versions", Versions)  # key: kind, zero byte, id
RECORDS: Final = Table(CONTRACT, b"record", MasterRecord)  # key: the same, zero byte, version of 8 bytes


def put(call: Call, arguments: Put, state: Overlay) -> Outcome:
    """Record a new version of what an identifier stands for.

    The status is DUPLICATE where the newest version says the same already, FLAGGED where the identifier is
    not covered by a prefix or site of the sender's organisation. The result is the record.

    Raises:
        LedgerError: `attributes.order`, `identifier.not_uri`, `identifier.invalid`.
    """
    _check_order(arguments.attributes)
    item_id = canonical_id(arguments.id)

    key = _key(arguments.kind, item_id)
    versions = VERSIONS.get(state, key) or Versions(0, 0)
    known = _version(state, key, versions.newest)
    same_words = known is not None and known.attributes == arguments.attributes
    if known is not None and same_words and known.organisation == call.sender.organisation:
        return Outcome(Status.DUPLICATE, encode(known))

    flag = _flag(state, item_id, call.sender.organisation)
    record = MasterRecord(
        arguments.kind,
        item_id,
        versions.newest + 1,
        call.sender.organisation,
        call.height,
        call.time_ms,
        call.transaction_id,
        flag,
        arguments.attributes,
    )
    RECORDS.put(state, _versioned(key, record.version), record)
    VERSIONS.put(state, key, Versions(record.version, versions.newest_clean if flag else record.version))

    return Outcome(Status.FLAGGED if flag else Status.ACCEPTED, encode(record))


def latest(state: StateView, kind: MasterKind, item_id: str) -> MasterRecord | None:
    """The newest version without a flag; where there is none, the newest."""
    key = _key(kind, item_id)
    versions = VERSIONS.get(state, key)
    return None if versions is None else _version(state, key, versions.newest_clean or versions.newest)


def version(state: StateView, kind: MasterKind, item_id: str, number: int) -> MasterRecord | None:
    """One version, from 1."""
    return _version(state, _key(kind, item_id), number)


def _flag(state: StateView, item_id: str, organisation: str) -> str:
    """Empty where the organisation answers for the identifier. A plain URI that nobody registered is free."""
    site = SITES.get(state, item_id.encode())
    if site is not None:
        return "" if site.organisation == organisation else "site.not_owned"
    digits = authority.gs1_digits(item_id)
    if digits is None or authority.prefix_owner(state, digits) == organisation:
        return ""
    return "prefix.not_owned"


def _check_order(attributes: tuple[tuple[str, str], ...]) -> None:
    for index in range(1, len(attributes)):
        if attributes[index - 1][0] >= attributes[index][0]:
            raise LedgerError("attributes.order", "names must ascend, each once", f"/attributes/{index}")


def _key(kind: MasterKind, item_id: str) -> bytes:
    return kind.value.encode() + b"\0" + item_id.encode()


def _versioned(key: bytes, number: int) -> bytes:
    return key + b"\0" + number.to_bytes(8, "big")


def _version(state: StateView, key: bytes, number: int) -> MasterRecord | None:
    return RECORDS.get(state, _versioned(key, number)) if number else None


METHODS: Final = (Method(CONTRACT, "put", Put, (Role.OPERATOR, Role.GATEWAY), put),)
