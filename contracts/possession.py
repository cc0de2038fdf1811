"""Proof that whoever registers a key holds it: the new key signs for the chain and the organisation it joins.

Without it, an admin could list somebody else's key as its own and keep it from being registered elsewhere.
"""

from __future__ import annotations

from ledger.codec import encode
from ledger.crypto import KeyPair, Tag, check_public_key, is_signature, sign
from ledger.errors import LedgerError
from ledger.types import ChainId, Signature


def prove_possession(key: KeyPair, chain_id: ChainId, organisation: str) -> Signature:
    """The signature (64 bytes) that goes with a new key of an organisation or of one of its nodes."""
    return sign(key, Tag.KEY_POSSESSION, encode((chain_id, organisation)))


def check_possession(public_key: bytes, chain_id: ChainId, organisation: str, proof: bytes) -> None:
    """Refuse a key that is none, or that did not sign for this chain and organisation.

    Raises:
        LedgerError: `key.invalid`, `key.no_proof`.
    """
    check_public_key(public_key)
    if not is_signature(public_key, Tag.KEY_POSSESSION, encode((chain_id, organisation)), proof):
        raise LedgerError("key.no_proof", "the key did not sign for this chain and organisation", "/proof")
