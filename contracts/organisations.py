"""The members: their keys, sites, nodes and GS1 prefixes, changed by their own admins or by a registrar.

An admin acts for its own organisation only. What it does is in force for the next transaction, so a
lost scanner is one revocation away from being harmless. It refuses to leave an organisation without
an admin, and to cut off the node of a validator.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from contracts import authority, membership
from contracts.epcis.identifiers import canonical_id
from contracts.method import Method
from contracts.possession import check_possession
from contracts.staking.records import is_validating
from ledger.codec import Canonical, encode
from ledger.errors import LedgerError
from ledger.members import (
    ADDRESSES_MAX,
    KEYS,
    NODES,
    ORGANISATIONS,
    PREFIXES_MAX,
    TLS_CERTIFICATE_BYTES_MAX,
    Address,
    Gs1Prefix,
    Key,
    Node,
    NodeRole,
    Organisation,
    Role,
    Site,
    Title,
    Uri,
)
from ledger.receipt import Status
from ledger.state import Overlay, StateView
from ledger.transition import Call, Outcome
from ledger.types import Bytes32, Bytes64, Name

CONTRACT: Final = "organisations"
ROLES_MAX: Final = len(Role)

Roles = Annotated[tuple[Role, ...], Meta(min_length=1, max_length=ROLES_MAX)]
Prefixes = Annotated[tuple[Gs1Prefix, ...], Meta(max_length=PREFIXES_MAX)]
Certificate = Annotated[bytes, Meta(min_length=1, max_length=TLS_CERTIFICATE_BYTES_MAX)]
Addresses = Annotated[tuple[Address, ...], Meta(max_length=ADDRESSES_MAX)]


class AddKey(Canonical):
    """A new key of the sender's organisation. `proof`: see `contracts.possession`."""

    public_key: Bytes32
    label: Title
    roles: Roles
    proof: Bytes64


class RevokeKey(Canonical):
    """A key of the sender's organisation that may not send any more."""

    public_key: Bytes32


class AddSite(Canonical):
    """A place of the sender's organisation, in any spelling of its identifier."""

    id: Uri
    title: Title


class AddNode(Canonical):
    """A node of the sender's organisation that follows the chain. `certificate` is DER."""

    public_key: Bytes32
    name: Name
    certificate: Certificate
    addresses: Addresses
    proof: Bytes64


class RemoveNode(Canonical):
    """A node of the sender's organisation that may not connect any more."""

    public_key: Bytes32


class AddOrganisation(Canonical):
    """A new member and its first key, its admin. `proof` is signed for the new organisation's id."""

    id: Name
    title: Title
    gs1_prefixes: Prefixes
    admin_key: Bytes32
    admin_label: Title
    proof: Bytes64


class AssignPrefix(Canonical):
    """A GS1 company prefix that an organisation holds from now on."""

    organisation: Name
    prefix: Gs1Prefix


def add_key(call: Call, arguments: AddKey, state: Overlay) -> Outcome:
    """Add a key to the sender's organisation.

    Raises:
        LedgerError: `key.no_proof`, `key.invalid`, `key.exists`, `key.too_many`, `roles.repeated`, and
            `roles.not_yours` where the new key could do what only a registrar may and the sender may not.
    """
    organisation = call.sender.organisation
    if Role.REGISTRAR in arguments.roles and Role.REGISTRAR not in call.sender.roles:
        raise LedgerError("roles.not_yours", "only a registrar may make a registrar", "/roles")

    _check_roles(arguments.roles)
    check_possession(arguments.public_key, call.chain_id, organisation, arguments.proof)

    key = Key(arguments.public_key, organisation, arguments.label, arguments.roles, call.height, 0)
    membership.record_key(state, key)

    return _accepted(key)


def revoke_key(call: Call, arguments: RevokeKey, state: Overlay) -> Outcome:
    """Revoke a key of the sender's organisation; it is refused from the next transaction on.

    Raises:
        LedgerError: `key.unknown` (also another organisation's), `key.revoked`, `key.last_admin`.
    """
    key = KEYS.get(state, arguments.public_key)
    if key is None or key.organisation != call.sender.organisation:
        raise LedgerError("key.unknown", "not a key of your organisation", "/public_key")

    if key.revoked_height:
        raise LedgerError("key.revoked", f"revoked at height {key.revoked_height} already", "/public_key")
    if Role.ADMIN in key.roles and membership.admin_count(state, key.organisation) == 1:
        raise LedgerError("key.last_admin", "the last admin key stays: add another one first", "/public_key")

    revoked = membership.revoke(state, key, call.height)

    return _accepted(revoked)


def add_site(call: Call, arguments: AddSite, state: Overlay) -> Outcome:
    """Register a place of the sender's organisation.

    Raises:
        LedgerError: `identifier.not_uri`, `identifier.invalid`, `site.exists`, `site.too_many`, and
            `site.not_owned` where the GS1 prefix of the place is another organisation's.
    """
    organisation = call.sender.organisation
    site_id = canonical_id(arguments.id)
    digits = authority.gs1_digits(site_id)
    holder = authority.prefix_owner(state, digits) if digits else None
    if holder not in (None, organisation):
        raise LedgerError("site.not_owned", f"the GS1 prefix of {site_id} is held by {holder}", "/id")

    site = Site(site_id, organisation, arguments.title)
    membership.record_site(state, site)

    return _accepted(site)


def add_node(call: Call, arguments: AddNode, state: Overlay) -> Outcome:
    """Register a node of the sender's organisation as an observer: it may connect and follow.

    Raises:
        LedgerError: `key.no_proof`, `key.invalid`, `node.exists`, `node.too_many`.
    """
    organisation = call.sender.organisation
    check_possession(arguments.public_key, call.chain_id, organisation, arguments.proof)

    node = Node(
        arguments.public_key,
        organisation,
        arguments.name,
        NodeRole.OBSERVER,
        arguments.certificate,
        arguments.addresses,
    )
    membership.record_node(state, node)

    return _accepted(node)


def remove_node(call: Call, arguments: RemoveNode, state: Overlay) -> Outcome:
    """Take a node of the sender's organisation off the list of those that may connect.

    Raises:
        LedgerError: `node.unknown` (also another organisation's), and `node.validates` where it holds stake.
    """
    node = NODES.get(state, arguments.public_key)
    if node is None or node.organisation != call.sender.organisation:
        raise LedgerError("node.unknown", "not a node of your organisation", "/public_key")

    if is_validating(state, node.name):
        raise LedgerError("node.validates", f"{node.name} holds stake; it can't be cut off", "/public_key")

    membership.forget_node(state, node)

    return _accepted(node)


def add_organisation(call: Call, arguments: AddOrganisation, state: Overlay) -> Outcome:
    """Admit a member with its first admin key.

    Raises:
        LedgerError: `organisation.exists`, `organisation.too_many`, `prefix.taken`, `key.no_proof`,
            `key.invalid`, `key.exists`.
    """
    check_possession(arguments.admin_key, call.chain_id, arguments.id, arguments.proof)

    organisation = Organisation(arguments.id, arguments.title, arguments.gs1_prefixes)
    membership.record_organisation(state, organisation)
    roles = (Role.ADMIN, Role.OPERATOR)
    key = Key(arguments.admin_key, arguments.id, arguments.admin_label, roles, call.height, 0)
    membership.record_key(state, key)

    return _accepted(organisation)


def assign_prefix(call: Call, arguments: AssignPrefix, state: Overlay) -> Outcome:
    """Assign a GS1 company prefix to a member.

    Raises:
        LedgerError: `organisation.unknown`, `prefix.taken`, `prefix.too_many`.
    """
    known = _organisation(state, arguments.organisation)
    if len(known.gs1_prefixes) == PREFIXES_MAX:
        raise LedgerError("prefix.too_many", f"{known.id} holds {PREFIXES_MAX} prefixes, the most allowed")

    authority.assign(state, known.id, arguments.prefix)
    changed = Organisation(known.id, known.title, (*known.gs1_prefixes, arguments.prefix))
    ORGANISATIONS.put(state, known.id.encode(), changed)

    return _accepted(changed)


def _organisation(state: StateView, organisation: str) -> Organisation:
    known = ORGANISATIONS.get(state, organisation.encode())
    if known is None:
        raise LedgerError("organisation.unknown", f"{organisation} is no member", "/organisation")
    return known


def _check_roles(roles: tuple[Role, ...]) -> None:
    if len(dict.fromkeys(roles)) != len(roles):
        raise LedgerError("roles.repeated", "one role is named twice", "/roles")


def _accepted(record: Canonical) -> Outcome:
    """The changed record is the answer."""
    return Outcome(Status.ACCEPTED, encode(record))


METHODS: Final = (
    Method(CONTRACT, "add_key", AddKey, (Role.ADMIN,), add_key),
    Method(CONTRACT, "revoke_key", RevokeKey, (Role.ADMIN,), revoke_key),
    Method(CONTRACT, "add_site", AddSite, (Role.ADMIN,), add_site),
    Method(CONTRACT, "add_node", AddNode, (Role.ADMIN,), add_node),
    Method(CONTRACT, "remove_node", RemoveNode, (Role.ADMIN,), remove_node),
    Method(CONTRACT, "add_organisation", AddOrganisation, (Role.REGISTRAR,), add_organisation),
    Method(CONTRACT, "assign_prefix", AssignPrefix, (Role.REGISTRAR,), assign_prefix),
)
