"""A local network on the disk: homes, one genesis, keys and profiles of the demo organisations.

DIR/network.json  genesis.json
DIR/node-0/ ...                     homes
DIR/profiles/ORG.toml               profiles, with keys/ORG.key and keys/ORG.token beside them
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.crypto import KeyPair, key_pair
from ledger.genesis import GENESIS_VERSION, Genesis, chain_id
from ledger.members import Key, Node, NodeRole, Organisation, Role, Site
from ledger.validators import Validator
from network.profile import Profile, profile_text
from network.testnet.members import ORGANISATIONS, REGISTRAR, DemoOrganisation
from network.testnet.network_file import NetworkFile, NodeEntry, write_network_file
from network.testnet.plan import Plan, PlannedNode
from node.api.tokens import Scope, new_token
from node.genesis_file import write_genesis
from node.home import FOLDER_MODE, Home
from node.keys import SEED_BYTES, write_seed
from node.new_home import NewKeys, complete_home, make_keys
from node.store.disk import LocalDisk, replace_file

GENESIS_FILE: Final = "genesis.json"
PROFILES_FOLDER: Final = "profiles"
# A local network must also run where the disk is small; it is thrown away when it is full.
VOTE_BYTES_MIN: Final = 64 << 20
_FREE_SPACE: Final = {
    "free_space.admit_percent_min": 0,
    "free_space.admit_bytes_min": 2 * VOTE_BYTES_MIN,
    "free_space.vote_bytes_min": VOTE_BYTES_MIN,
}


class _Built(NamedTuple):
    plan: PlannedNode
    keys: NewKeys


def found_network(plan: Plan, time_ms: int) -> NetworkFile:
    """Make everything that a network needs before its first process; network.json is written last.

    Args:
        plan: where; the folder is new or empty.
        time_ms: the time of block 0.

    Raises:
        LedgerError, OSError: as the homes of `node.new_home`.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    seeds = {organisation.id: os.urandom(SEED_BYTES) for organisation in ORGANISATIONS}
    built = [_Built(node, make_keys(Home(node.home), node.role)) for node in plan.nodes]
    genesis = _genesis(plan, built, {name: key_pair(seed) for name, seed in seeds.items()}, time_ms)
    for each in built:
        complete_home(Home(each.plan.home), each.keys, genesis, _settings(plan, each.plan))
    write_genesis(plan.folder / GENESIS_FILE, genesis)
    profiles = {
        organisation.id: _write_profile(plan, organisation, seeds[organisation.id], genesis, time_ms)
        for organisation in ORGANISATIONS
    }
    network = NetworkFile(
        chain_id(genesis).hex(),
        tuple(_entry(node) for node in plan.nodes),
        {name: str(path) for name, path in profiles.items()},
    )
    write_network_file(plan.folder, network)
    return network


def _genesis(plan: Plan, built: list[_Built], people: dict[str, KeyPair], time_ms: int) -> Genesis:
    sites = tuple(
        Site(organisation.place(site.reference), organisation.id, site.title)
        for organisation in ORGANISATIONS
        for site in organisation.sites
    )
    validators = tuple(
        Validator(keys.validator.public, node.stake, node.name)
        for node, keys in built
        if keys.validator is not None
    )
    return Genesis(
        version=GENESIS_VERSION,
        network="local",
        title="Local test network",
        is_test_network=True,
        time_ms=time_ms,
        parameters=plan.parameters,
        organisations=tuple(Organisation(each.id, each.title, (each.prefix,)) for each in ORGANISATIONS),
        keys=(*_people_keys(people), *_gateway_keys(built)),
        sites=sites,
        nodes=tuple(_node(plan, node, keys) for node, keys in built),
        validators=validators,
    )


def _people_keys(people: dict[str, KeyPair]) -> tuple[Key, ...]:
    roles: dict[str, tuple[Role, ...]] = dict.fromkeys(people, (Role.ADMIN, Role.OPERATOR))
    roles[REGISTRAR] = (Role.REGISTRAR, Role.ADMIN, Role.OPERATOR)
    return tuple(Key(pair.public, name, "office", roles[name], 0, 0) for name, pair in people.items())


def _gateway_keys(built: list[_Built]) -> tuple[Key, ...]:
    return tuple(
        Key(keys.gateway.public, node.organisation, f"gateway of {node.name}", (Role.GATEWAY,), 0, 0)
        for node, keys in built
    )


def _node(plan: Plan, node: PlannedNode, keys: NewKeys) -> Node:
    identity = keys.identity
    addresses = () if plan.doors else (node.p2p,)
    return Node(identity.public_key, node.organisation, node.name, node.role, identity.certificate, addresses)


def _settings(plan: Plan, node: PlannedNode) -> dict[str, Any]:
    peers = tuple(
        plan.doors.get((node.name, other.name), other.p2p) for other in plan.nodes if other is not node
    )
    listen = {"api.listen": node.api, "admin.listen": node.admin, "p2p.listen": node.p2p}
    return {"name": node.name, "peers": peers, **listen, **_FREE_SPACE}


def _entry(node: PlannedNode) -> NodeEntry:
    return NodeEntry(
        name=node.name,
        role="validator" if node.role is NodeRole.VALIDATOR else "observer",
        organisation=node.organisation,
        api=f"http://{node.api}",
        admin=f"http://{node.admin}",
        p2p=node.p2p,
        home=str(node.home),
        pid=None,
        log=str(node.home / "node.log"),
    )


def _write_profile(
    plan: Plan, organisation: DemoOrganisation, seed: bytes, genesis: Genesis, time_ms: int
) -> Path:
    """The profile of an organisation, which asks its own nodes first."""
    folder = plan.folder / PROFILES_FOLDER
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    write_seed(folder / "keys" / f"{organisation.id}.key", seed)
    own = [node for node in plan.nodes if node.organisation == organisation.id]
    others = [node for node in plan.nodes if node.organisation != organisation.id]
    token_file = ""
    if own:
        token_file = f"keys/{organisation.id}.token"
        _write_token(folder / token_file, own, organisation, time_ms)
    path = folder / f"{organisation.id}.toml"
    profile = Profile(
        nodes=tuple(f"http://{node.api}" for node in (*own, *others)),
        chain_id=chain_id(genesis).hex(),
        organisation=organisation.id,
        key_file=f"keys/{organisation.id}.key",
        token_file=token_file,
        site=organisation.place(organisation.sites[-1].reference),
    )
    replace_file(LocalDisk(), path, profile_text(profile).encode())
    return path


def _write_token(path: Path, own: list[PlannedNode], organisation: DemoOrganisation, time_ms: int) -> None:
    """A token of the organisation's first node; the other nodes keep tokens of their own."""
    scopes = (Scope.CAPTURE, Scope.READ)
    _, secret = new_token(own[0].home, f"office of {organisation.id}", scopes, time_ms)
    replace_file(LocalDisk(), path, secret.encode() + b"\n")
