"""Proofs about the state tree, and how anyone checks them with nothing but SHA-256.

The tree is binary over 256-bit paths and is fixed by the set of (path, value hash):

    empty subtree    32 zero bytes
    exactly one leaf SHA-256(0x00, path, value hash), however high it stands
    otherwise        SHA-256(0x01, left, right); bit 0 of a path is its first byte's top bit

Membership and absence are two functions on purpose: a membership proof that fails
says nothing about absence. A neighbour is always sent as (path, value hash), never
as a bare hash whose meaning the prover could choose.

This module makes no proofs; `ledger.merkle.tree` does.

Source: docs/spec/state-tree.md; the leaf rule is that of the Jellyfish Merkle Tree (Gao, Hu, Wu, 2021).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical, decode
from ledger.errors import LedgerError
from ledger.types import HASH_BYTES, ZERO_HASH, Bytes32, Hash

PATH_BITS: Final = 256
EMPTY_HASH: Final = Hash(ZERO_HASH)  # an empty subtree; no SHA-256 input is known to give it
SIBLINGS_MAX: Final = (
    PATH_BITS  # two paths differ at bit 255 at the latest, so no leaf stands deeper than 256
)
# One array of [array of at most 256 hashes, other leaf]; each hash carries 2 bytes of MessagePack head.
STATE_PROOF_BYTES_MAX: Final = 1 + 3 + SIBLINGS_MAX * 34 + 1 + 2 * 34


class StateLeaf(Canonical, frozen=True):
    """One entry of the state: where it stands and what its value hashes to."""

    path: Bytes32
    value_hash: Bytes32


class StateProof(Canonical, frozen=True):
    """The way from one place in the tree up to the root.

    siblings: the hashes beside the way, deepest first; as many as the place is deep.
    other: only in a proof of absence, and only where one other leaf stands in that place.
    """

    siblings: Annotated[tuple[Bytes32, ...], Meta(max_length=SIBLINGS_MAX)]
    other: StateLeaf | None


def path_of(full_key: bytes) -> Hash:
    """Where a key stands: SHA-256 of (namespace, 0x00, key), which the caller has joined."""
    return Hash(sha256(full_key).digest())


def value_hash_of(value: bytes) -> Hash:
    """What a leaf commits to: SHA-256 of the value's bytes."""
    return Hash(sha256(value).digest())


def leaf_hash(path: bytes, value_hash: bytes) -> Hash:
    """The hash of a subtree that holds this one leaf."""
    return Hash(sha256(b"\x00" + path + value_hash).digest())


def node_hash(left: bytes, right: bytes) -> Hash:
    """The hash of a subtree of two or more leaves."""
    return Hash(sha256(b"\x01" + left + right).digest())


def path_bit(path: bytes, index: int) -> int:
    """Bit `index` of a path: 0 is the top bit of its first byte."""
    return path[index >> 3] >> (7 - (index & 7)) & 1


def decode_state_proof(data: bytes) -> StateProof:
    """A proof from foreign bytes, refused before parsing where it is larger than any proof.

    Raises:
        LedgerError: `encoding.too_large`, `encoding.malformed`, `encoding.non_canonical`.
    """
    return decode(data, StateProof, STATE_PROOF_BYTES_MAX)


def verify_membership(root: bytes, path: bytes, value_hash: bytes, proof: StateProof) -> None:
    """Check that the state under `root` holds `value_hash` at `path` (each 32 bytes).

    Raises:
        LedgerError: `proof.hash_size`, `proof.length`, `proof.not_canonical`, `proof.other_leaf`,
            `proof.mismatch`.
    """
    _check_sizes(root, path, proof)
    check_hash(value_hash)
    if proof.other is not None:
        raise LedgerError("proof.other_leaf", "a proof of membership names another leaf")
    _check_not_collapsible(proof)
    _check_root(root, path, leaf_hash(path, value_hash), proof)


def verify_absence(root: bytes, path: bytes, proof: StateProof) -> None:
    """Check that the state under `root` holds nothing at `path`.

    Raises:
        LedgerError: `proof.hash_size`, `proof.length`, `proof.not_canonical`, `proof.other_leaf`,
            `proof.mismatch`.
    """
    _check_sizes(root, path, proof)
    _check_not_collapsible(proof)
    _check_root(root, path, absent_hash(path, proof.other, len(proof.siblings)), proof)


def absent_hash(path: bytes, other: StateLeaf | None, depth: int) -> Hash:
    """The hash that stands `depth` bits down an absent path: of nothing, or of the one other leaf there.

    Raises:
        LedgerError: `proof.hash_size`, `proof.other_leaf`.
    """
    if other is None:
        return EMPTY_HASH
    check_hash(other.path)
    check_hash(other.value_hash)
    if other.path == path:
        raise LedgerError("proof.other_leaf", "the other leaf stands at the very path said to be absent")
    if shared_bits(other.path, path) < depth:
        raise LedgerError(
            "proof.other_leaf", f"the other leaf does not share the first {depth} bits of the path"
        )
    return leaf_hash(other.path, other.value_hash)


def shared_bits(one: bytes, two: bytes) -> int:
    """How many leading bits two paths of 32 bytes have in common (256 when equal)."""
    difference = int.from_bytes(one, "big") ^ int.from_bytes(two, "big")
    return PATH_BITS - difference.bit_length()


def _check_root(root: bytes, path: bytes, lowest: bytes, proof: StateProof) -> None:
    computed = lowest
    for height, sibling in enumerate(proof.siblings):
        if path_bit(path, len(proof.siblings) - 1 - height):
            computed = node_hash(sibling, computed)
        else:
            computed = node_hash(computed, sibling)
    if computed != root:
        raise LedgerError("proof.mismatch", "the proof leads to another root")


def _check_sizes(root: bytes, path: bytes, proof: StateProof) -> None:
    if len(proof.siblings) > SIBLINGS_MAX:
        raise LedgerError(
            "proof.length", f"{len(proof.siblings)} siblings, at most {SIBLINGS_MAX} are possible"
        )
    for value in (root, path, *proof.siblings):
        check_hash(value)


def _check_not_collapsible(proof: StateProof) -> None:
    # A leaf (or nothing) beside an empty subtree would stand one level higher: no such node is in any tree.
    if proof.siblings and proof.siblings[0] == EMPTY_HASH:
        raise LedgerError(
            "proof.not_canonical", "the deepest sibling is empty, so the place would be higher up"
        )


def check_hash(value: bytes) -> None:
    """Refuse a root, path or hash that is not 32 bytes.

    Raises:
        LedgerError: `proof.hash_size`.
    """
    if len(value) != HASH_BYTES:
        raise LedgerError("proof.hash_size", f"a hash or path of {len(value)} bytes, expected {HASH_BYTES}")
