"""A node that is about to be: what it is asked to be is checked as a whole before anything is made.

Two files go from it to the admin of its organisation, both public: node.json lists the node, gateway.json
asks for its gateway key to be added. They can be written again at any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.output import Output
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id
from ledger.members import ADDRESSES_MAX, NodeRole, Role
from ledger.types import NAME_LENGTH_MAX, ChainId, Name
from node.config import load_config
from node.genesis_file import check_same_chain, read_genesis
from node.home import Home
from node.keys import KeyName, read_key
from node.new_home import NewKeys
from node.registration import key_registration, node_registration, write_registration
from node.settings import config_text, parse_address
from node.store.disk import LocalDisk, replace_file

NODE_FILE: Final = "node.json"
GATEWAY_FILE: Final = "gateway.json"
_BROUGHT: Final = frozenset(("genesis.json", "node.toml", "lost+found"))  # may lie there before the node does


@dataclass(frozen=True, slots=True)
class NewNode:
    """What a node is asked to be. `settings` go into node.toml, `addresses` to the other nodes."""

    home: Home
    name: str
    organisation: str
    role: NodeRole
    settings: Mapping[str, Any]
    addresses: tuple[str, ...]


def plan_node(
    home: Path,
    *,
    name: str,
    organisation: str,
    role: NodeRole,
    listens: Mapping[str, str | None],
    peers: Sequence[str] = (),
    addresses: Sequence[str] = (),
) -> NewNode:
    """Check all that was asked for; nothing is touched.

    Args:
        listens: addresses by setting; None where the default is good.

    Raises:
        click.BadParameter. LedgerError: `config.*`, `home.foreign`, `home.exists`.
    """
    check_name(name, "--name")
    check_name(organisation, "--organisation")
    if len(addresses) > ADDRESSES_MAX:
        raise click.BadParameter(f"at most {ADDRESSES_MAX} are listed", param_hint="--address")
    asked = {"name": name, "peers": tuple(peers) or None, **listens}
    settings = {key: value for key, value in asked.items() if value is not None}
    p2p = load_config(None, {}, settings).p2p.listen
    place = Home(home.absolute())
    check_folder(place, name)
    found = tuple(dict.fromkeys(addresses)) or _reached_at(p2p, is_local_good=role is NodeRole.VALIDATOR)
    return NewNode(place, name, organisation, role, settings, found)


def check_name(value: str, option: str) -> None:
    """Refuse a name that the chain could not list. Raises click.BadParameter."""
    try:
        msgspec.convert(value, Name)
    except msgspec.ValidationError:
        raise click.BadParameter(
            f"{value[:100]!r}: expected 1 to {NAME_LENGTH_MAX} of a-z, 0-9 and _ . -, "
            "beginning with a letter or digit",
            param_hint=option,
        ) from None


def check_folder(home: Home, name: str | None) -> None:
    """Refuse a folder that holds something else, or a node of another name.

    Raises:
        LedgerError: `home.foreign`, `home.exists`, or a `config.*` code of a node.toml that is there.
    """
    inside = {path.name for path in home.root.iterdir()} if home.root.is_dir() else set()
    if inside - _BROUGHT and "keys" not in inside:
        raise Failure(
            "home.foreign",
            f"{home.root} holds other files and no node",
            advice="name an empty folder, or a new one, with --home",
            exit_code=ExitCode.CONFLICT,
        )
    if name is not None and home.settings.exists():
        known = load_config(home.settings, {}).name
        if known != name:
            raise Failure(
                "home.exists",
                f"{home.root} is the home of {known}, not of {name}",
                advice="name another folder with --home, or the same --name",
            )


def check_may_follow(node: NewNode, genesis: Genesis) -> None:
    """Refuse a home that holds a key which votes, and a name that the genesis gives to another node.

    Raises:
        LedgerError: `home.exists`, `node.exists`, `key_file.*`.
    """
    keys = node.home.keys
    if (keys / KeyName.VALIDATOR.value).exists():
        raise Failure(
            "home.exists",
            f"{node.home.root} holds the key of a validator",
            advice="a founder completes it with: ledger-node init --genesis FILE",
        )
    listed = next((each for each in genesis.nodes if each.name == node.name), None)
    has_key = (keys / KeyName.NODE.value).exists()
    if listed is not None and not (has_key and read_key(keys, KeyName.NODE).public == listed.public_key):
        raise Failure(
            "node.exists",
            f"the genesis lists a node called {node.name} already, of {listed.organisation}",
            advice="choose another --name; a lost home is joined again under a new one",
        )


def is_complete(home: Home, genesis: Genesis) -> bool:
    """Whether the home is that of a node of this chain already.

    Raises:
        LedgerError: `genesis.mismatch`, or as `read_genesis`.
    """
    if home.genesis.exists():
        check_same_chain(home.genesis, chain_id(read_genesis(home.genesis)), chain_id(genesis))
    return home.data.exists()


def keep_settings(node: NewNode) -> None:
    """Write node.toml, unless there is one: what an operator has edited stays."""
    if not node.home.settings.exists():
        replace_file(LocalDisk(), node.home.settings, config_text(node.settings).encode())


def write_requests(
    node: NewNode, keys: NewKeys, chain: ChainId | None, registration: Path | None = None
) -> tuple[Path, ...]:
    """Write node.json (or `registration`), and gateway.json where the chain is known; answers their paths."""
    listed = node_registration(
        keys.identity,
        name=node.name,
        organisation=node.organisation,
        role=node.role,
        addresses=node.addresses,
        validator_key=None if keys.validator is None else keys.validator.public,
        gateway_key=keys.gateway.public,
        chain_id=chain,
    )
    file = registration or node.home.root / NODE_FILE
    write_registration(file, listed)
    if chain is None:
        return (file,)
    request = key_registration(
        keys.gateway,
        organisation=node.organisation,
        label=f"gateway of {node.name}",
        roles=(Role.GATEWAY,),
        chain_id=chain,
    )
    write_registration(node.home.root / GATEWAY_FILE, request)
    return (file, node.home.root / GATEWAY_FILE)


def tell(
    output: Output,
    node: NewNode,
    keys: NewKeys,
    chain: ChainId | None,
    files: Sequence[Path],
    *,
    is_new: bool,
) -> None:
    """Say what was made: public things alone."""
    made = {
        "home": str(node.home.root),
        "is_new": is_new,
        "name": node.name,
        "organisation": node.organisation,
        "role": node.role.value,
        "chain_id": None if chain is None else chain.hex(),
        "node_key": keys.identity.public_key.hex(),
        "addresses": list(node.addresses),
        "registrations": [str(file) for file in files],
    }
    output.data(made, lambda: output.fields([*made.items()]))
    if not is_new:
        output.note("the home was there already: its keys, node.toml and data are as before")


def genesis_in(path: Path) -> Genesis:
    """The genesis in a file that the command line names; a refusal names the file.

    Raises:
        LedgerError: as `read_genesis`.
    """
    try:
        return read_genesis(path)
    except LedgerError as refusal:
        if str(path) in refusal.message:
            raise
        raise LedgerError(refusal.code, f"{path}: {refusal.message}", refusal.pointer) from None


def _reached_at(listen: str, *, is_local_good: bool) -> tuple[str, ...]:
    """Where others reach a node that listens here, as far as that can be told: at no wildcard."""
    host, port = parse_address(listen)
    if port == 0:
        return ()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_loopback, is_wildcard = host == "localhost", False
    else:
        is_loopback, is_wildcard = address.is_loopback, address.is_unspecified
    return () if is_wildcard or (is_loopback and not is_local_good) else (listen,)
