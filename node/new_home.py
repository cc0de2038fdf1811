"""A new node's home, in two steps: its keys and certificate, then the chain that it belongs to.

The first step may come long before the second: the founders of a network exchange what their nodes are
called (`node.registration`) and only then write the genesis. Each step can be repeated: what is there
and right is kept, a key is never made anew, and `data/` appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ledger.crypto import KeyPair
from ledger.errors import LedgerError
from ledger.genesis import Genesis
from ledger.members import NodeRole
from node.founding import found_data
from node.genesis_file import write_genesis
from node.home import Home
from node.keys import KeyName, create_key, read_key, read_seed
from node.p2p.identity import NodeIdentity, load_identity, make_identity
from node.settings import config_text
from node.store.disk import LocalDisk, replace_file

CERTIFICATE_FILE: Final = "node.crt"  # in tls/, DER


class NewKeys(NamedTuple):
    """What a new node is known by. `validator` None: it will not vote."""

    identity: NodeIdentity
    validator: KeyPair | None
    gateway: KeyPair


def make_keys(home: Home, role: NodeRole) -> NewKeys:
    """Make the folders, keys and certificate of a home; what is there already is used.

    Raises:
        LedgerError: a `key_file.*` or `identity.*` code where what is there can't be used.
        OSError
    """
    home.make()
    _key(home, KeyName.NODE)
    seed = read_seed(home.keys / KeyName.NODE.value)
    file = home.tls / CERTIFICATE_FILE
    if not file.exists():
        replace_file(LocalDisk(), file, make_identity(seed).certificate)
    validator = _key(home, KeyName.VALIDATOR) if role is NodeRole.VALIDATOR else None
    return NewKeys(load_identity(seed, file.read_bytes()), validator, _key(home, KeyName.GATEWAY))


def complete_home(home: Home, keys: NewKeys, genesis: Genesis, settings: Mapping[str, Any]) -> None:
    """Write genesis.json, node.toml (kept where it is there already) and `data/` for these keys.

    Raises:
        LedgerError: `home.exists`, `genesis.mismatch`, `init.not_in_genesis`.
        OSError
    """
    if home.data.exists():
        raise LedgerError("home.exists", f"{home.root} holds a node already; it is not made anew")
    if keys.validator is not None:
        check_listed(genesis, keys, str(settings["name"]))
    write_genesis(home.genesis, genesis)
    if not home.settings.exists():
        replace_file(LocalDisk(), home.settings, config_text(settings).encode())
    found_data(home, genesis, None if keys.validator is None else keys.validator.public)


def check_listed(genesis: Genesis, keys: NewKeys, name: str) -> None:
    """Refuse a genesis that does not list this validator as it is.

    Raises:
        LedgerError: `init.not_in_genesis`.
    """
    node = next((each for each in genesis.nodes if each.name == name), None)
    if node is None or node.role is not NodeRole.VALIDATOR:
        raise LedgerError("init.not_in_genesis", f"the genesis lists no validator node called {name}")
    if (node.public_key, node.certificate) != (keys.identity.public_key, keys.identity.certificate):
        raise LedgerError("init.not_in_genesis", f"the genesis lists {name} with another key or certificate")
    held = keys.validator.public if keys.validator else b""
    if not any(each.node == name and each.public_key == held for each in genesis.validators):
        raise LedgerError("init.not_in_genesis", f"the genesis gives {name} another validator key, or none")


def _key(home: Home, name: KeyName) -> KeyPair:
    if (home.keys / name.value).exists():
        return read_key(home.keys, name)
    return create_key(home.keys, name)
