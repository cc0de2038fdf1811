"""What a node, or the holder of a new key, hands to the admin of its organisation: public, nothing secret.

`node.json` and key requests are the readable form (`ledger.readable`) of these records. The proof shows
that whoever made the file holds the key (`contracts.possession`); it is bound to chain and organisation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, TypeVar

from msgspec import Meta

from contracts.possession import prove_possession
from ledger.codec import Canonical
from ledger.crypto import KeyPair
from ledger.errors import LedgerError
from ledger.members import ADDRESSES_MAX, TLS_CERTIFICATE_BYTES_MAX, Address, NodeRole, Role, Title
from ledger.readable import from_readable, to_readable
from ledger.types import Bytes32, Bytes64, ChainId, Name
from node.p2p.identity import NodeIdentity
from node.store.disk import LocalDisk, replace_file

FILE_BYTES_MAX: Final = 64 << 10

Record = TypeVar("Record", bound=Canonical)


class NodeRegistration(Canonical):
    """A node as it wants to be listed.

    Args:
        name, organisation, role: how it takes part.
        public_key, certificate: its identity, and its TLS certificate (DER).
        addresses: host:port where other nodes reach it; none for a node that only dials.
        validator_key: the key that votes, None for an observer.
        gateway_key: the key that signs for the site's clients.
        chain_id, proof: None while there is no chain yet.
    """

    name: Name
    organisation: Name
    role: NodeRole
    public_key: Bytes32
    certificate: Annotated[bytes, Meta(min_length=1, max_length=TLS_CERTIFICATE_BYTES_MAX)]
    addresses: Annotated[tuple[Address, ...], Meta(max_length=ADDRESSES_MAX)]
    validator_key: Bytes32 | None
    gateway_key: Bytes32 | None
    chain_id: Bytes32 | None
    proof: Bytes64 | None


class KeyRegistration(Canonical):
    """A key that wants to speak for an organisation; the admin decides in which roles."""

    public_key: Bytes32
    organisation: Name
    label: Title
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=len(Role))]
    chain_id: Bytes32
    proof: Bytes64


class ValidatorRegistration(Canonical):
    """A key that votes, on a node that is listed: what a ballot admits. The key proves itself."""

    node: Name
    organisation: Name
    public_key: Bytes32
    chain_id: Bytes32
    proof: Bytes64


def node_registration(
    identity: NodeIdentity,
    *,
    name: str,
    organisation: str,
    role: NodeRole,
    addresses: tuple[str, ...],
    validator_key: bytes | None,
    gateway_key: bytes | None,
    chain_id: ChainId | None,
) -> NodeRegistration:
    """The registration of a node, with the proof of its key where the chain is known."""
    proof = None if chain_id is None else prove_possession(identity.key, chain_id, organisation)
    return NodeRegistration(
        name=name,
        organisation=organisation,
        role=role,
        public_key=identity.public_key,
        certificate=identity.certificate,
        addresses=addresses,
        validator_key=validator_key,
        gateway_key=gateway_key,
        chain_id=chain_id,
        proof=proof,
    )


def key_registration(
    key: KeyPair, *, organisation: str, label: str, roles: tuple[Role, ...], chain_id: ChainId
) -> KeyRegistration:
    """The registration of a key, proved by the key itself."""
    proof = prove_possession(key, chain_id, organisation)
    return KeyRegistration(key.public, organisation, label, roles, chain_id, proof)


def validator_registration(
    key: KeyPair, *, node: str, organisation: str, chain_id: ChainId
) -> ValidatorRegistration:
    """The registration of a validator's key, proved by the key itself."""
    proof = prove_possession(key, chain_id, organisation)
    return ValidatorRegistration(node, organisation, key.public, chain_id, proof)


def write_registration(path: Path, registration: Canonical) -> None:
    """Write a registration as JSON, whole and durable; one that is there already is replaced.

    Raises:
        OSError
    """
    replace_file(LocalDisk(), path, (json.dumps(to_readable(registration), indent=2) + "\n").encode())


def read_registration(path: Path, kind: type[Record]) -> Record:
    """The registration in a file.

    Raises:
        LedgerError: `registration.missing`, `registration.unreadable`, `registration.malformed`, or a
            `readable.*` code that points at the field.
    """
    try:
        data = LocalDisk().read(path, FILE_BYTES_MAX)
    except FileNotFoundError:
        raise LedgerError("registration.missing", f"{path} is not there") from None
    except OSError as problem:
        raise LedgerError("registration.unreadable", f"{path}: {problem.strerror}") from None
    if len(data) > FILE_BYTES_MAX:
        raise LedgerError("registration.malformed", f"{path}: more than {FILE_BYTES_MAX} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise LedgerError("registration.malformed", f"{path}: not JSON: {problem}") from None
    return from_readable(value, kind)
