"""A node's identity: one Ed25519 key, and the self-signed TLS certificate that carries it.

The same key signs the TLS handshake, the certificate and our own handshake. Their signed bytes cannot be
confused: TLS 1.3 begins with 64 spaces, a certificate with a DER sequence, ours with an ASCII tag.
Files and their permissions are the business of `node.keys`; nothing here touches a disk.

Source: docs/spec/p2p.md, rules I1-I3; RFC 8410; RFC 5280.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.crypto import KeyPair, key_pair
from ledger.errors import LedgerError
from ledger.members import TLS_CERTIFICATE_BYTES_MAX
from ledger.types import PublicKey

SEED_BYTES: Final = 32
VALID_FOR: Final = timedelta(days=3653)  # ten years: the chain revokes, not the calendar
BACKDATED_BY: Final = timedelta(days=30)  # a peer whose clock is late must still accept a new certificate
_SERIAL_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """A node's key (the secret half stays in memory) and its certificate (DER)."""

    key: KeyPair = field(repr=False)
    certificate: bytes

    @property
    def public_key(self) -> PublicKey:
        """The node's name among its peers (32 bytes)."""
        return self.key.public


def make_identity(seed: bytes, issued: datetime | None = None) -> NodeIdentity:
    """The identity that a 32-byte secret seed stands for, with a new certificate.

    `issued` is an aware instant, now unless told; the same seed and instant give the same bytes.
    """
    key = key_pair(seed)
    return NodeIdentity(key, _certificate(seed, key.public, issued or datetime.now(UTC)))


def load_identity(seed: bytes, certificate: bytes) -> NodeIdentity:
    """The identity of a seed with the certificate (DER) that was made for it earlier.

    Raises:
        LedgerError: `identity.bad_certificate`, `identity.wrong_certificate` (made for another key).
    """
    key = key_pair(seed)
    if certificate_key(certificate) != key.public:
        raise LedgerError("identity.wrong_certificate", "the certificate was made for another key")
    return NodeIdentity(key, certificate)


def certificate_key(certificate: bytes) -> PublicKey:
    """The Ed25519 public key inside a certificate (DER).

    Raises:
        LedgerError: `identity.bad_certificate` (too large, not X.509, or of another algorithm).
    """
    if len(certificate) > TLS_CERTIFICATE_BYTES_MAX:
        raise LedgerError(
            "identity.bad_certificate", f"at most {TLS_CERTIFICATE_BYTES_MAX} bytes are allowed"
        )
    try:
        public = x509.load_der_x509_certificate(certificate).public_key()
    except Exception as problem:  # noqa: BLE001 - the parser names no closed list of errors for hostile bytes
        raise LedgerError("identity.bad_certificate", f"not an X.509 certificate: {problem}") from None
    if not isinstance(public, Ed25519PublicKey):
        raise LedgerError("identity.bad_certificate", "the certificate holds no Ed25519 key")
    return PublicKey(public.public_bytes_raw())


def certificate_hash(certificate: bytes) -> bytes:
    """SHA-256 over a certificate's DER bytes (32 bytes): what the handshake signs."""
    return hashlib.sha256(certificate).digest()


def chain_pem(identity: NodeIdentity) -> bytes:
    """Private key and certificate as PEM, for `tls` to hand to OpenSSL. Secret: never log or store it."""
    private = Ed25519PrivateKey.from_private_bytes(identity.key.secret[:SEED_BYTES])
    key_pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = x509.load_der_x509_certificate(identity.certificate)
    return key_pem + certificate.public_bytes(serialization.Encoding.PEM)


def _certificate(seed: bytes, public_key: PublicKey, issued: datetime) -> bytes:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key()
    # The key is the name, so that OpenSSL, which looks certificates up by name, never meets two alike.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, public_key.hex())])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    start = issued.astimezone(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(1 + int.from_bytes(hashlib.sha256(public_key).digest()[:_SERIAL_BYTES], "big"))
        .not_valid_before(start - BACKDATED_BY)
        .not_valid_after(start + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(both, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return builder.sign(private, None).public_bytes(serialization.Encoding.DER)
