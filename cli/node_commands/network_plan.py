"""The plan of a new network, as its founders agree on it, and the genesis that follows from it.

    network = "produce"                    one word
    title = "Produce of two valleys"
    is_test_network = false                true allows fail-points and shifted clocks

    [[organisations]]
    id = "green-valley"
    title = "Green Valley Farm"
    gs1_prefixes = ["9521001"]
    admin_key = "64 hex digits"            public half of the key of its admin
    is_registrar = true                    its admin also admits further members; one at least

    [[nodes]]
    registration = "green-valley.json"     as `ledger-node init` wrote it; from the folder of the plan
    stake = 100

What can be checked is not taken on trust: keys, certificates, and that every name is defined.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ledger.errors import LedgerError
from ledger.genesis import GENESIS_VERSION, Genesis, Parameters, check_genesis
from ledger.members import Gs1Prefix, Key, Node, NodeRole, Organisation, Role, Title
from ledger.types import STAKE_MAX, Name
from ledger.validators import Validator
from node.p2p.identity import certificate_key
from node.registration import NodeRegistration, read_registration

FILE_BYTES_MAX: Final = 1 << 20
STAKE: Final = 100
ADMIN_LABEL: Final = "founding admin"


class PlannedOrganisation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A founding member."""

    id: Name
    title: Title
    admin_key: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    gs1_prefixes: tuple[Gs1Prefix, ...] = ()
    is_registrar: bool = False


class PlannedNode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A validator, by the registration that its operator sent."""

    registration: str
    stake: Annotated[int, Meta(ge=1, le=STAKE_MAX)] = STAKE


class NetworkPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the founders agreed on."""

    network: Name
    title: Title
    organisations: Annotated[tuple[PlannedOrganisation, ...], Meta(min_length=1, max_length=1024)]
    nodes: Annotated[tuple[PlannedNode, ...], Meta(min_length=1, max_length=1024)]
    is_test_network: bool = False


def read_plan(path: Path) -> NetworkPlan:
    """The plan in a file.

    Raises:
        LedgerError: `plan.malformed`, with the place in the message; `plan.no_registrar`.
        OSError
    """
    with path.open("rb") as file:
        data = file.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise LedgerError("plan.malformed", f"{path}: more than {FILE_BYTES_MAX} bytes")
    try:
        plan = msgspec.toml.decode(data, type=NetworkPlan)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise LedgerError("plan.malformed", f"{path}: {problem}") from None
    if not any(each.is_registrar for each in plan.organisations):
        raise LedgerError(
            "plan.no_registrar", f"{path}: no organisation is_registrar, so none could be admitted later"
        )
    return plan


def genesis_of(plan: NetworkPlan, folder: Path, time_ms: int) -> Genesis:
    """The genesis that the plan gives; registrations are looked for in `folder`.

    Raises:
        LedgerError: `registration.*`, `readable.*`, `identity.*`, or as `check_genesis`.
    """
    nodes = [(each.stake, _registration(folder / each.registration)) for each in plan.nodes]
    genesis = Genesis(
        version=GENESIS_VERSION,
        network=plan.network,
        title=plan.title,
        is_test_network=plan.is_test_network,
        time_ms=time_ms,
        parameters=Parameters(),
        organisations=tuple(
            Organisation(each.id, each.title, each.gs1_prefixes) for each in plan.organisations
        ),
        keys=(
            *(_admin(each) for each in plan.organisations),
            *(_gateway(found) for _, found in nodes if found.gateway_key is not None),
        ),
        sites=(),
        nodes=tuple(_node(found) for _, found in nodes),
        validators=tuple(
            Validator(found.validator_key, stake, found.name)
            for stake, found in nodes
            if found.validator_key is not None
        ),
    )
    check_genesis(genesis)
    return genesis


def _registration(path: Path) -> NodeRegistration:
    """A founder's registration, which must be of a validator of no chain yet; a refusal names the file.

    Raises:
        LedgerError: `registration.wrong_role`, `registration.of_a_chain`, `identity.*`, or as
            `read_registration`.
    """
    try:
        found = read_registration(path, NodeRegistration)
        if certificate_key(found.certificate) != found.public_key:
            raise LedgerError("identity.wrong_certificate", "the certificate is of another key")
        if found.role is not NodeRole.VALIDATOR or found.validator_key is None:
            raise LedgerError("registration.wrong_role", "not of a validator; observers join later")
        if found.chain_id is not None:
            raise LedgerError("registration.of_a_chain", f"of the chain {found.chain_id.hex()} already")
    except LedgerError as refusal:
        if str(path) in refusal.message:
            raise
        raise LedgerError(refusal.code, f"{path}: {refusal.message}", refusal.pointer) from None
    return found


def _admin(organisation: PlannedOrganisation) -> Key:
    roles: tuple[Role, ...] = (Role.ADMIN, Role.OPERATOR)
    if organisation.is_registrar:
        roles = (Role.REGISTRAR, *roles)
    return Key(bytes.fromhex(organisation.admin_key), organisation.id, ADMIN_LABEL, roles, 0, 0)


def _gateway(found: NodeRegistration) -> Key:
    assert found.gateway_key is not None
    return Key(found.gateway_key, found.organisation, f"gateway of {found.name}", (Role.GATEWAY,), 0, 0)


def _node(found: NodeRegistration) -> Node:
    return Node(
        found.public_key, found.organisation, found.name, found.role, found.certificate, found.addresses
    )
