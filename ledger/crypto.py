"""The one door to cryptography: tagged SHA-256 and Ed25519 (libsodium).

Each purpose has a tag of its own that is part of the hashed or signed bytes, so a
signature made for one purpose never verifies for another. One library decides
whether a signature is valid: libraries disagree on edge cases, and a chain must not.

Source: docs/spec/encoding.md; RFC 8032; libsodium's rejection of small-order
and non-canonical points.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

import nacl.bindings as sodium
import nacl.exceptions

from ledger.errors import LedgerError
from ledger.types import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Hash, PublicKey, Signature

PUBLIC_KEYS_CACHED: Final = 4_096  # that were found good, 1 MiB: every validator of all sets that are kept


class Tag(Enum):
    """What a hash or a signature is for. The value goes into the bytes, ended by a zero byte."""

    GENESIS = b"farmgate/genesis/1"
    PARAMETERS = b"farmgate/parameters/1"
    VALIDATORS = b"farmgate/validators/1"
    LEADERS = b"farmgate/leaders/1"
    TRANSACTION = b"farmgate/transaction/1"
    HEADER = b"farmgate/header/1"
    PROPOSAL = b"farmgate/proposal/1"
    VOTE = b"farmgate/vote/1"
    CERTIFICATE = b"farmgate/certificate/1"
    EVIDENCE = b"farmgate/evidence/1"
    EVENT = b"farmgate/event/1"
    EVENT_IDENTITY = b"farmgate/event-identity/1"
    HANDSHAKE = b"farmgate/handshake/1"
    KEY_POSSESSION = b"farmgate/key-possession/1"
    SIGNING_HISTORY = b"farmgate/signing-history/1"
    RECOVERY_REPORT = b"farmgate/recovery-report/1"
    RECOVERY = b"farmgate/recovery/1"


class KeyPair(NamedTuple):
    """An Ed25519 key: the public half, and libsodium's 64-byte secret half."""

    public: PublicKey
    secret: bytes


def hash_tagged(tag: Tag, data: bytes) -> Hash:
    """SHA-256 over tag, zero byte, data (32 bytes)."""
    return Hash(hashlib.sha256(tag.value + b"\0" + data).digest())


def key_pair(seed: bytes) -> KeyPair:
    """The key that a 32-byte secret seed stands for."""
    public, secret = sodium.crypto_sign_seed_keypair(seed)
    return KeyPair(PublicKey(public), secret)


def sign(key: KeyPair, tag: Tag, data: bytes) -> Signature:
    """The 64-byte Ed25519 signature over tag, zero byte, data."""
    signed = sodium.crypto_sign(tag.value + b"\0" + data, key.secret)
    return Signature(signed[:SIGNATURE_BYTES])


def is_signature(public: bytes, tag: Tag, data: bytes, signature: bytes) -> bool:
    """Whether `signature` is valid over tag, zero byte, data under `public`."""
    if len(signature) != SIGNATURE_BYTES or len(public) != PUBLIC_KEY_BYTES:
        return False
    try:
        sodium.crypto_sign_open(signature + tag.value + b"\0" + data, public)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


@lru_cache(maxsize=PUBLIC_KEYS_CACHED)
def check_public_key(public: bytes) -> None:
    """Refuse bytes that are no point of the main subgroup in canonical form.

    What was found good is remembered: a check takes 0.2 ms, and a validator set is read again and again.

    Raises:
        LedgerError: `key.invalid`.
    """
    if len(public) != PUBLIC_KEY_BYTES or not sodium.crypto_core_ed25519_is_valid_point(public):
        raise LedgerError(
            "key.invalid", "not a valid Ed25519 public key (wrong size, off the curve or of small order)"
        )
