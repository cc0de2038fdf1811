"""Identities: one seed, one key, one certificate that carries it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto import key_pair
from ledger.errors import LedgerError
from ledger.members import TLS_CERTIFICATE_BYTES_MAX
from node.p2p.identity import certificate_hash, certificate_key, chain_pem, load_identity, make_identity
from tests.node.p2p.nodes import ISSUED, identity

SEED = bytes([1]) * 32


def code_of(seed: bytes, certificate: bytes) -> str:
    with pytest.raises(LedgerError) as refusal:
        load_identity(seed, certificate)
    return refusal.value.code


def test_the_same_seed_and_instant_give_the_same_identity() -> None:
    """Nothing in it is drawn at random; the zone of the instant does not matter."""
    elsewhere = ISSUED.astimezone(timezone(timedelta(hours=9)))
    assert make_identity(SEED, ISSUED) == make_identity(SEED, elsewhere)
    assert make_identity(SEED, ISSUED) != make_identity(bytes(32), ISSUED)


def test_the_certificate_holds_the_node_s_key_for_ten_years() -> None:
    """Valid early, for peers whose clock is late; named by its key; signs for nobody."""
    own = make_identity(SEED, ISSUED)
    certificate = x509.load_der_x509_certificate(own.certificate)
    assert own.public_key == key_pair(SEED).public == certificate_key(own.certificate)
    assert certificate.not_valid_before_utc < ISSUED - timedelta(days=29)
    assert certificate.not_valid_after_utc > ISSUED + timedelta(days=3650)
    assert certificate.subject == certificate.issuer
    assert own.public_key.hex() in certificate.subject.rfc4514_string()
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    certificate.verify_directly_issued_by(certificate)
    assert len(own.certificate) < TLS_CERTIFICATE_BYTES_MAX
    assert len(certificate_hash(own.certificate)) == 32


def test_a_new_certificate_is_in_force_now() -> None:
    """Without an instant it is issued now."""
    certificate = x509.load_der_x509_certificate(make_identity(SEED).certificate)
    assert certificate.not_valid_before_utc < datetime.now(UTC) < certificate.not_valid_after_utc


def test_it_is_loaded_with_its_own_certificate_only() -> None:
    """A certificate of another key, or of no key of ours, is refused by name."""
    own = identity(1)
    assert load_identity(SEED, own.certificate) == own
    assert code_of(SEED, identity(2).certificate) == "identity.wrong_certificate"
    assert code_of(SEED, b"") == "identity.bad_certificate"
    assert code_of(SEED, bytes(TLS_CERTIFICATE_BYTES_MAX + 1)) == "identity.bad_certificate"
    assert code_of(SEED, _elliptic()) == "identity.bad_certificate"


def _elliptic() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, ISSUED, ISSUED + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@given(st.binary(max_size=200))
def test_any_bytes_are_no_certificate(data: bytes) -> None:
    """Hostile bytes raise a LedgerError, never another exception."""
    assert code_of(SEED, data) == "identity.bad_certificate"


def test_the_secret_is_not_shown() -> None:
    """Neither repr nor str of an identity holds the seed or the key."""
    own = identity(1)
    shown = repr(own) + str(own)
    assert repr(own.key.secret) not in shown
    assert SEED.hex() not in shown
    assert b"PRIVATE KEY" in chain_pem(own)


def test_the_certificate_passes_the_strict_rules_of_openssl() -> None:
    """Python 3.13 turns VERIFY_X509_STRICT on; certificates issued today must pass it."""
    own = identity(1)
    server, client = (ssl.SSLContext(side) for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    client.load_verify_locations(cadata=own.certificate)
    from node.p2p.tls import _load_chain

    _load_chain(server, chain_pem(own))
    shake(client, server)


def shake(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A TLS handshake in memory; raises what the first side to refuse raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [ours, theirs]
    for _ in range(10):
        for side in tuple(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    assert not waiting
    return ours, theirs
