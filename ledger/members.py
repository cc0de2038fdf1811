"""Who may speak on this chain: organisations, their keys, their sites, their nodes.

The ledger reads these records (admission, roles, transport); only the contract
`organisations` and the genesis write them.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.state import StateView, Table
from ledger.types import Bytes32, Counter, Name

NAMESPACE: Final = "organisations"
TITLE_LENGTH_MAX: Final = 200
KEYS_MAX: Final = 1000  # of one organisation: a scanner a person, with room
PREFIXES_MAX: Final = 64
SITES_MAX: Final = 4096
NODES_MAX: Final = 64
TLS_CERTIFICATE_BYTES_MAX: Final = 4096
ADDRESSES_MAX: Final = 8

Title = Annotated[str, Meta(min_length=1, max_length=TITLE_LENGTH_MAX)]
Gs1Prefix = Annotated[str, Meta(pattern="^[0-9]{4,12}\\Z")]
Uri = Annotated[str, Meta(min_length=1, max_length=512)]
Address = Annotated[str, Meta(min_length=1, max_length=255)]  # host:port


class Role(Enum):
    """What a key may do for its organisation."""

    REGISTRAR = "registrar"  # admits organisations and assigns GS1 prefixes
    ADMIN = "admin"  # adds and revokes keys, sites and nodes of its own organisation
    OPERATOR = "operator"  # records events and master data
    GATEWAY = "gateway"  # the same, held by a node for the clients of its site
    AUDITOR = "auditor"  # reads; may not write


class NodeRole(Enum):
    """How a node takes part."""

    VALIDATOR = "validator"
    OBSERVER = "observer"


class Organisation(Canonical):
    """A member of the consortium. `gs1_prefixes` are the company prefixes it may commission under."""

    id: Name
    title: Title
    gs1_prefixes: Annotated[tuple[Gs1Prefix, ...], Meta(max_length=PREFIXES_MAX)]


class Key(Canonical):
    """A key of an organisation. `revoked_height` 0 means it is in force; else it is refused from there on."""

    public_key: Bytes32
    organisation: Name
    label: Title
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=8)]
    added_height: Counter
    revoked_height: Counter


class Site(Canonical):
    """A place of an organisation, by its canonical identifier (a GLN as Digital Link, or any URI)."""

    id: Uri
    organisation: Name
    title: Title


class Node(Canonical):
    """A node that may connect. `public_key` is its identity, `certificate` its TLS certificate (DER)."""

    public_key: Bytes32
    organisation: Name
    name: Name
    role: NodeRole
    certificate: Annotated[bytes, Meta(min_length=1, max_length=TLS_CERTIFICATE_BYTES_MAX)]
    addresses: Annotated[tuple[Address, ...], Meta(max_length=ADDRESSES_MAX)]


class NodeList(Canonical):
    """The identities of every node that may connect, ascending."""

    public_keys: Annotated[tuple[Bytes32, ...], Meta(max_length=4096)]


ORGANISATIONS: Final = Table(NAMESPACE, b"organisation", Organisation)  # key: id
KEYS: Final = Table(NAMESPACE, b"key", Key)  # key: public key
SITES: Final = Table(NAMESPACE, b"site", Site)  # key: id
NODES: Final = Table(NAMESPACE, b"node", Node)  # key: public key
NODE_LIST: Final = Table(NAMESPACE, b"nodes", NodeList)  # one record, key: empty


def key_in_force(state: StateView, public_key: bytes) -> Key:
    """The record of a key that may send.

    Raises:
        LedgerError: `sender.not_a_member`, `sender.revoked`.
    """
    key = KEYS.get(state, public_key)
    if key is None:
        raise LedgerError("sender.not_a_member", f"no organisation has the key {public_key.hex()}")
    if key.revoked_height:
        raise LedgerError("sender.revoked", f"the key was revoked at height {key.revoked_height}")
    return key


def nodes_in_force(state: StateView) -> tuple[Node, ...]:
    """Every node that may connect, by ascending identity."""
    listed = NODE_LIST.get(state, b"")
    nodes = (NODES.get(state, public_key) for public_key in (listed.public_keys if listed else ()))
    return tuple(node for node in nodes if node is not None)
