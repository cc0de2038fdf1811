"""TLS: whom the contexts let in, in memory, one handshake a test."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from ledger.members import Node, NodeRole
from node.p2p import tls
from node.p2p.identity import NodeIdentity
from node.p2p.tls import Members
from tests.node.p2p.nodes import ISSUED, identity, record
from tests.node.p2p.test_identity import shake

BOTH = (record(1), record(2))


def members(number: int, nodes: tuple[Node, ...] = BOTH) -> Members:
    return Members(identity(number), nodes)


def refused(client: ssl.SSLContext, server: ssl.SSLContext) -> str:
    """The reason for which the handshake fails."""
    with pytest.raises(ssl.SSLError) as problem:
        shake(client, server)
    return problem.value.reason


def test_two_members_meet_over_tls_1_3() -> None:
    """Each has the other's certificate in the end."""
    one, two = members(1), members(2)
    ours, theirs = shake(two.client_context(identity(1).public_key), one.server_context)
    assert ours.version() == theirs.version() == "TLSv1.3"
    assert ours.getpeercert(binary_form=True) == identity(1).certificate
    assert theirs.getpeercert(binary_form=True) == identity(2).certificate


def test_a_stranger_and_a_client_without_certificate_are_refused() -> None:
    """Nobody gets beyond TLS without a certificate that is pinned."""
    one = members(1)
    stranger = Members(identity(3), BOTH).client_context(identity(1).public_key)
    assert refused(stranger, one.server_context) == "CERTIFICATE_VERIFY_FAILED"
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.verify_mode = ssl.CERT_NONE
    assert refused(nobody, one.server_context) == "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def test_an_older_tls_is_refused() -> None:
    """1.2 is not spoken."""
    one, two = members(1), members(2)
    context = two.client_context(identity(1).public_key)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert refused(context, one.server_context) == "UNSUPPORTED_PROTOCOL"


def test_a_dialled_peer_must_be_the_one_that_was_meant() -> None:
    """Another member in its place is refused, but for an address whose node is not known yet."""
    nodes = (*BOTH, record(3))
    three = members(3, nodes)
    meant = members(2, nodes).client_context(identity(1).public_key)
    assert refused(meant, three.server_context) == "CERTIFICATE_VERIFY_FAILED"
    shake(members(2, nodes).client_context(None), three.server_context)


def test_a_change_of_members_counts_from_the_next_handshake_on() -> None:
    """The context that listens stays; who is new gets in and who is gone does not."""
    one = members(1)
    server = one.server_context
    old, new = members(2).client_context(identity(1).public_key), members(3, (record(1), record(3)))
    shake(old, server)
    one.allow((record(1), record(3)))
    assert refused(old, server) == "CERTIFICATE_VERIFY_FAILED"
    shake(new.client_context(identity(1).public_key), server)
    shake(new.client_context(None), server)
    assert one.is_allowed(identity(3).certificate)
    assert not one.is_allowed(identity(2).certificate)


def test_no_session_outlives_its_handshake() -> None:
    """A resumed session shows no certificate, so a removed member could come back: there is none."""
    one, two = members(1), members(2)
    context = two.client_context(identity(1).public_key)
    ours, theirs = shake(context, one.server_context)
    theirs.write(b"x")
    assert ours.read(1) == b"x"
    assert ours.session is None or not ours.session.has_ticket
    again, _ = shake(context, one.server_context)
    assert not again.session_reused


def test_a_member_that_is_an_authority_vouches_for_nobody() -> None:
    """A certificate signed by a member's passes OpenSSL; its own bytes are not pinned."""
    own, child = authority()
    node = Node(record(3).public_key, "farm", "node-3", NodeRole.VALIDATOR, own, ())
    one = Members(identity(1), (*BOTH, node))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tls._load_chain(context, child)
    _, theirs = shake(context, one.server_context)
    shown = theirs.getpeercert(binary_form=True)
    assert shown is not None
    assert not one.is_allowed(shown)


def authority() -> tuple[bytes, bytes]:
    """A self-signed authority (DER), and key and certificate (PEM) of a child that it has signed."""
    parent, child = Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32), Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    until = ISSUED + timedelta(days=3650)
    own = (
        x509.CertificateBuilder(name, name, parent.public_key(), 1, ISSUED, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(parent, None)
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "child")])
    signed = x509.CertificateBuilder(name, subject, child.public_key(), 2, ISSUED, until).sign(parent, None)
    key = child.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = signed.public_bytes(serialization.Encoding.PEM) + own.public_bytes(serialization.Encoding.PEM)
    return own.public_bytes(serialization.Encoding.DER), key + chain


def test_an_unreadable_certificate_costs_its_own_node_only() -> None:
    """The list says who was left out; the others get in."""
    bad = Node(record(3).public_key, "farm", "node-3", NodeRole.VALIDATOR, b"\x30\x03abc", ())
    one = Members(identity(1), ())
    assert one.allow((*BOTH, bad)) == (bad,)
    assert not one.is_allowed(bad.certificate)
    shake(members(2).client_context(identity(1).public_key), one.server_context)


def test_two_nodes_with_one_certificate_do_no_harm() -> None:
    """A record that copies another's certificate adds nothing: the handshake asks for the node's key."""
    copied = Node(record(3).public_key, "farm", "node-3", NodeRole.VALIDATOR, record(2).certificate, ())
    one = Members(identity(1), (*BOTH, copied))
    shake(members(2).client_context(identity(1).public_key), one.server_context)


def test_the_private_key_reaches_no_disk_and_leaves_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL reads it from memory, and nothing stays open."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    own: NodeIdentity = identity(1)
    Members(own, BOTH)
    assert list(tmp_path.iterdir()) == []
    assert len(list(descriptors.iterdir())) == before
