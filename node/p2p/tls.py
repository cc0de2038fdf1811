"""TLS 1.3 where each side is a pinned member: no authorities, no names, only the certificates in force.

A live context can learn a certificate but never forget one, so a change of members makes a new context and
every later handshake is given it. Who got in is checked again by the bytes of its certificate, because a
member's own certificate could be one that vouches for others.

Source: docs/spec/p2p.md, rules T1-T5.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from typing import Final

from ledger.members import Node
from ledger.types import PublicKey
from node.p2p.identity import NodeIdentity, chain_pem

NODES_MAX: Final = 4096  # as many as the chain can list


class Members:
    """The nodes that may connect, and the TLS contexts that let in nobody else."""

    def __init__(self, identity: NodeIdentity, nodes: Iterable[Node]) -> None:
        self._identity = identity
        self._pem = chain_pem(identity)
        self._nodes: dict[bytes, Node] = {}
        self._certificates: frozenset[bytes] = frozenset()
        self._clients: dict[bytes, ssl.SSLContext] = {}
        self._any_member: ssl.SSLContext | None = None
        self._current = self._context(ssl.PROTOCOL_TLS_SERVER, ())
        # OpenSSL asks this one first and is handed the current one; alone it trusts nobody.
        self.server_context: Final = self._context(ssl.PROTOCOL_TLS_SERVER, ())
        self.server_context.sni_callback = self._switch
        self.allow(nodes)

    def allow(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Replace the set in force; answer with the nodes left out, whose certificate OpenSSL cannot read."""
        listed = tuple(nodes)
        assert len(listed) <= NODES_MAX, "the chain lists fewer nodes"
        readable, unreadable = _sorted_out(listed)
        certificates = tuple(node.certificate for node in readable)
        self._nodes = {node.public_key: node for node in readable}
        self._certificates = frozenset(certificates)
        self._current = self._context(ssl.PROTOCOL_TLS_SERVER, certificates)
        self._any_member = None
        self._clients = {
            known: context for known, context in self._clients.items() if known in self._certificates
        }
        return unreadable

    def is_allowed(self, certificate: bytes) -> bool:
        """Whether a node in force has exactly this certificate (DER)."""
        return certificate in self._certificates

    def client_context(self, peer: PublicKey | None) -> ssl.SSLContext:
        """What dials one peer and accepts only that one; None is an address whose node is not known yet."""
        if peer is None:
            if self._any_member is None:
                self._any_member = self._context(ssl.PROTOCOL_TLS_CLIENT, tuple(self._certificates))
            return self._any_member
        certificate = self._nodes[peer].certificate
        if certificate not in self._clients:
            self._clients[certificate] = self._context(ssl.PROTOCOL_TLS_CLIENT, (certificate,))
        return self._clients[certificate]

    def _switch(self, connection: ssl.SSLObject, name: str | None, asked: ssl.SSLContext) -> None:
        connection.context = self._current

    def _context(self, side: int, trusted: tuple[bytes, ...]) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a pinned certificate is its own anchor
        if side == ssl.PROTOCOL_TLS_SERVER:
            context.num_tickets = 0  # a resumed session shows no certificate: it would outlive its membership
        _load_chain(context, self._pem)
        for certificate in trusted:
            context.load_verify_locations(cadata=certificate)
        return context


def _sorted_out(nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """The nodes whose certificate OpenSSL reads, and the others, so that one bad record locks nobody out."""
    scratch = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    readable: list[Node] = []
    unreadable: list[Node] = []
    for node in nodes:
        try:
            scratch.load_verify_locations(cadata=node.certificate)
        except (ssl.SSLError, ValueError):
            unreadable.append(node)
        else:
            readable.append(node)
    return tuple(readable), tuple(unreadable)


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Give a context our key. OpenSSL wants a file; one that lives in memory never reaches a disk."""
    descriptor = os.memfd_create("identity")
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
