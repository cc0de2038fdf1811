"""The records of the members, written in one place: by genesis and by the contract `organisations`.

Each list that people want to read ("the keys of this organisation") has records of its own, because
state can be read by key only. Limits are held here, so genesis is held to them as well.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts import authority
from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.members import (
    KEYS,
    KEYS_MAX,
    NAMESPACE,
    NODE_LIST,
    NODES,
    NODES_MAX,
    ORGANISATIONS,
    SITES,
    SITES_MAX,
    Key,
    Node,
    NodeList,
    NodeRole,
    Organisation,
    Role,
    Site,
    Uri,
)
from ledger.state import Overlay, StateView, Table
from ledger.types import Bytes32, Counter, Name

ORGANISATIONS_MAX: Final = 100_000  # of one chain: every farm of a country's region, with room
CHAIN_NODES_MAX: Final = 4096  # as many as NodeList holds


class OrganisationName(Canonical):
    """One entry of the list of organisations."""

    id: Name


class SiteName(Canonical):
    """One entry of the list of an organisation's sites."""

    id: Uri


class Count(Canonical):
    """How many entries a list has; they are numbered from 0."""

    entries: Counter


class KeyList(Canonical):
    """The keys of an organisation that are in force, ascending."""

    public_keys: Annotated[tuple[Bytes32, ...], Meta(max_length=KEYS_MAX)]


class NodeName(Canonical):
    """Which node bears a name."""

    public_key: Bytes32


ORGANISATION_COUNT: Final = Table(NAMESPACE, b"organisation-count", Count)  # one record, key: empty
ORGANISATION_LIST: Final = Table(NAMESPACE, b"organisation-list", OrganisationName)  # key: number, 4 bytes
SITE_COUNTS: Final = Table(NAMESPACE, b"site-count", Count)  # key: organisation
SITE_LISTS: Final = Table(NAMESPACE, b"site-list", SiteName)  # key: organisation, zero byte, number, 4 bytes
KEY_LISTS: Final = Table(NAMESPACE, b"keys", KeyList)  # key: organisation
NODE_COUNTS: Final = Table(NAMESPACE, b"node-count", Count)  # key: organisation
NODE_NAMES: Final = Table(NAMESPACE, b"node-name", NodeName)  # key: name


# --- organisations ------------------------------------------------------------


def record_organisation(state: Overlay, organisation: Organisation) -> None:
    """Write a new organisation and its prefixes.

    Raises:
        LedgerError: `organisation.exists`, `organisation.too_many`, `prefix.taken`.
    """
    name = organisation.id.encode()
    if ORGANISATIONS.get(state, name) is not None:
        raise LedgerError("organisation.exists", f"{organisation.id} is a member already", "/id")
    number = _next(state, ORGANISATION_COUNT, b"", ORGANISATIONS_MAX, "organisation.too_many")
    ORGANISATIONS.put(state, name, organisation)
    ORGANISATION_LIST.put(state, _number(number), OrganisationName(organisation.id))
    for prefix in organisation.gs1_prefixes:
        authority.assign(state, organisation.id, prefix)


def organisations(state: StateView, offset: int, limit: int) -> tuple[Organisation, ...]:
    """Members in the order in which they were admitted."""
    numbers = _page(ORGANISATION_COUNT.get(state, b""), offset, limit)
    names = (ORGANISATION_LIST.get(state, _number(number)) for number in numbers)
    records = (ORGANISATIONS.get(state, name.id.encode()) for name in names if name is not None)
    return tuple(record for record in records if record is not None)


# --- keys ---------------------------------------------------------------------


def record_key(state: Overlay, key: Key) -> None:
    """Write a new key. A key that was revoked is not new.

    Raises:
        LedgerError: `key.exists`, `key.too_many`.
    """
    if KEYS.get(state, key.public_key) is not None:
        raise LedgerError("key.exists", "the key is registered already, perhaps revoked", "/public_key")
    owner = key.organisation.encode()
    listed = _key_list(state, owner)
    if len(listed) == KEYS_MAX:
        raise LedgerError("key.too_many", f"{key.organisation} has {KEYS_MAX} keys, the most allowed")
    KEYS.put(state, key.public_key, key)
    KEY_LISTS.put(state, owner, KeyList(_with(listed, key.public_key)))


def revoke(state: Overlay, key: Key, height: int) -> Key:
    """Take a key out of force and off the list; its record stays for ever."""
    revoked = Key(key.public_key, key.organisation, key.label, key.roles, key.added_height, height)
    owner = key.organisation.encode()
    KEYS.put(state, key.public_key, revoked)
    KEY_LISTS.put(state, owner, KeyList(_without(_key_list(state, owner), key.public_key)))
    return revoked


def keys(state: StateView, organisation: str) -> tuple[Key, ...]:
    """The keys of an organisation that are in force, ascending."""
    records = (KEYS.get(state, public_key) for public_key in _key_list(state, organisation.encode()))
    return tuple(record for record in records if record is not None)


def admin_count(state: StateView, organisation: str) -> int:
    """How many keys in force are admins."""
    return sum(Role.ADMIN in key.roles for key in keys(state, organisation))


# --- sites --------------------------------------------------------------------


def record_site(state: Overlay, site: Site) -> None:
    """Write a new site.

    Raises:
        LedgerError: `site.exists`, `site.too_many`.
    """
    name, owner = site.id.encode(), site.organisation.encode()
    if SITES.get(state, name) is not None:
        raise LedgerError("site.exists", f"{site.id} is registered already", "/id")
    number = _next(state, SITE_COUNTS, owner, SITES_MAX, "site.too_many")
    SITES.put(state, name, site)
    SITE_LISTS.put(state, owner + b"\0" + _number(number), SiteName(site.id))


def sites(state: StateView, organisation: str, offset: int, limit: int) -> tuple[Site, ...]:
    """The sites of an organisation in the order in which they were registered."""
    owner = organisation.encode()
    numbers = _page(SITE_COUNTS.get(state, owner), offset, limit)
    names = (SITE_LISTS.get(state, owner + b"\0" + _number(number)) for number in numbers)
    records = (SITES.get(state, name.id.encode()) for name in names if name is not None)
    return tuple(record for record in records if record is not None)


# --- nodes --------------------------------------------------------------------


def record_node(state: Overlay, node: Node) -> None:
    """Write a new node.

    Raises:
        LedgerError: `node.exists` (its key or its name), `node.too_many`.
    """
    if NODES.get(state, node.public_key) is not None:
        raise LedgerError("node.exists", "a node with this key is registered already", "/public_key")
    if NODE_NAMES.get(state, node.name.encode()) is not None:
        raise LedgerError("node.exists", f"a node is called {node.name} already", "/name")
    listed = _node_list(state)
    if len(listed) == CHAIN_NODES_MAX:
        raise LedgerError("node.too_many", f"the chain has {CHAIN_NODES_MAX} nodes, the most allowed")
    _next(state, NODE_COUNTS, node.organisation.encode(), NODES_MAX, "node.too_many")
    NODES.put(state, node.public_key, node)
    NODE_NAMES.put(state, node.name.encode(), NodeName(node.public_key))
    NODE_LIST.put(state, b"", NodeList(_with(listed, node.public_key)))


def forget_node(state: Overlay, node: Node) -> None:
    """Remove a node, its name and its place on the list."""
    owner = node.organisation.encode()
    count = NODE_COUNTS.get(state, owner)
    assert count is not None, "a node that is registered was counted"
    NODES.delete(state, node.public_key)
    NODE_NAMES.delete(state, node.name.encode())
    NODE_COUNTS.put(state, owner, Count(count.entries - 1))
    NODE_LIST.put(state, b"", NodeList(_without(_node_list(state), node.public_key)))


def node_named(state: StateView, name: str) -> Node | None:
    """The node that bears a name."""
    named = NODE_NAMES.get(state, name.encode())
    return None if named is None else NODES.get(state, named.public_key)


def set_node_role(state: Overlay, name: str, role: NodeRole) -> None:
    """Let a node, where it is registered still, vote or follow."""
    node = node_named(state, name)
    if node is not None and node.role is not role:
        NODES.put(state, node.public_key, msgspec.structs.replace(node, role=role))


# --- lists ---------------------------------------------------------------------


def _next(state: Overlay, counts: Table[Count], key: bytes, entries_max: int, code: str) -> int:
    """Count one more entry and give its number."""
    known = counts.get(state, key) or Count(0)
    if known.entries >= entries_max:
        raise LedgerError(code, f"{known.entries} of them, the most allowed")
    counts.put(state, key, Count(known.entries + 1))
    return known.entries


def _page(count: Count | None, offset: int, limit: int) -> range:
    entries = count.entries if count else 0
    return range(min(offset, entries), min(offset + limit, entries))


def _number(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _key_list(state: StateView, owner: bytes) -> tuple[bytes, ...]:
    listed = KEY_LISTS.get(state, owner)
    return listed.public_keys if listed else ()


def _node_list(state: StateView) -> tuple[bytes, ...]:
    listed = NODE_LIST.get(state, b"")
    return listed.public_keys if listed else ()


def _with(listed: tuple[bytes, ...], added: bytes) -> tuple[bytes, ...]:
    place = bisect_left(listed, added)
    return (*listed[:place], added, *listed[place:])


def _without(listed: tuple[bytes, ...], removed: bytes) -> tuple[bytes, ...]:
    return tuple(each for each in listed if each != removed)
