"""Who are you, and are we on one chain? Four messages after TLS, before anything else; no sockets here.

Both sides say hello at once, then both sign all that was said together with the two TLS certificates, so that
nobody can stand in the middle or replay an old handshake. TLS has shown who holds the certificate; this shows
that the node's key, the one in the members' list, speaks on this very connection.

Source: docs/spec/p2p.md, rules H1-H6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger.codec import Canonical, decode, encode
from ledger.crypto import Tag, is_signature, sign
from ledger.errors import LedgerError
from ledger.members import Node
from ledger.types import BlockId, Bytes32, Bytes64, ChainId, Counter, Name, PublicKey
from node.p2p.identity import NodeIdentity, certificate_hash
from node.p2p.messages import Goodbye, decode_kind, known_code

P2P_VERSION: Final = 1
NONCE_BYTES: Final = 32
HANDSHAKE_BYTES_MAX: Final = 1024  # of one message


@dataclass(frozen=True, slots=True)
class LocalNode:
    """What this node says of itself. `genesis_id` is the id of its block 0."""

    identity: NodeIdentity
    name: str
    chain_id: ChainId
    genesis_id: BlockId


class Hello(Canonical, tag=32):
    """The first message of either side. `body` is an encoded `HelloBody` where `version` is one we know."""

    version: Counter
    body: bytes


class HelloBody(Canonical):
    """What a node says of itself in version 1, with a fresh random nonce."""

    chain_id: Bytes32
    genesis_id: Bytes32
    public_key: Bytes32
    name: Name
    nonce: Bytes32


class Proof(Canonical, tag=33):
    """The second message of either side: its signature over the transcript."""

    signature: Bytes64


class Transcript(Canonical):
    """What both sign: who signs, both hellos as sent, both certificates' hashes; the dialler first."""

    by_dialler: bool
    dialler_hello: bytes
    listener_hello: bytes
    dialler_certificate: Bytes32
    listener_certificate: Bytes32


_KINDS: Final[dict[int, tuple[type[Canonical], int]]] = {
    10: (Goodbye, HANDSHAKE_BYTES_MAX),
    32: (Hello, HANDSHAKE_BYTES_MAX),
    33: (Proof, HANDSHAKE_BYTES_MAX),
}

FindNode = Callable[[bytes], Node | None]


class Handshake:
    """One side of one handshake.

    Send what `hello()` gives, feed what comes to `receive` and send what it answers; `peer` is set when done.
    `certificate` is the other side's (DER), as TLS has verified it; `expected` is whom we dialled, if known.
    """

    def __init__(
        self,
        local: LocalNode,
        nonce: bytes,
        is_dialler: bool,
        certificate: bytes,
        find_node: FindNode,
        expected: PublicKey | None = None,
    ) -> None:
        assert len(nonce) == NONCE_BYTES
        self._local = local
        self._is_dialler = is_dialler
        self._certificate = certificate
        self._find_node = find_node
        self._expected = expected
        self._own_hello = _hello(local, nonce)
        self._their_hello = b""
        self._claimed: Node | None = None
        self.peer: Node | None = None

    def hello(self) -> bytes:
        """The message that opens the handshake."""
        return self._own_hello

    def receive(self, data: bytes) -> bytes | None:
        """Take the other side's next message; answer with what is to be sent back, if anything.

        Raises:
            LedgerError: a `handshake.*`, `encoding.*` or `message.unknown_kind` code, or the code with which
                the other side said goodbye. The connection is of no further use.
        """
        assert self.peer is None, "the handshake is over"
        match decode_kind(data, _KINDS):
            case Goodbye() as goodbye:
                raise LedgerError(known_code(goodbye.code), "said by the other side")
            case Hello() as hello if self._claimed is None:
                self._claimed = self._check_hello(hello)
                self._their_hello = data
                return encode(
                    Proof(sign(self._local.identity.key, Tag.HANDSHAKE, self._transcript(self._is_dialler)))
                )
            case Proof() as proof if self._claimed is not None:
                self._check_proof(proof, self._claimed)
                self.peer = self._claimed
                return None
            case _:
                raise LedgerError("handshake.out_of_order", "hello comes first and once, then the proof")

    def _check_hello(self, hello: Hello) -> Node:
        if hello.version != P2P_VERSION:
            raise LedgerError("handshake.version", f"version {hello.version}, this node speaks {P2P_VERSION}")
        body = decode(hello.body, HelloBody, HANDSHAKE_BYTES_MAX)
        own = self._local
        if body.chain_id != own.chain_id:
            raise LedgerError(
                "handshake.wrong_chain", f"chain {body.chain_id.hex()}, this is {own.chain_id.hex()}"
            )
        if body.genesis_id != own.genesis_id:
            raise LedgerError("handshake.wrong_genesis", f"block 0 is {body.genesis_id.hex()} there")
        if body.public_key == own.identity.public_key:
            raise LedgerError("handshake.self", "this node has reached itself, or another node has its key")
        node = self._find_node(body.public_key)
        if node is None or (self._expected is not None and body.public_key != self._expected):
            raise LedgerError(
                "handshake.unknown_node", f"{body.public_key.hex()} is not the node expected here"
            )
        if node.certificate != self._certificate or node.name != body.name:
            raise LedgerError("handshake.unknown_node", f"not as {node.name} is written in the members' list")
        return node

    def _check_proof(self, proof: Proof, node: Node) -> None:
        transcript = self._transcript(not self._is_dialler)
        if not is_signature(node.public_key, Tag.HANDSHAKE, transcript, proof.signature):
            raise LedgerError("handshake.bad_signature", f"{node.name} did not sign this handshake")

    def _transcript(self, by_dialler: bool) -> bytes:
        own_hash = certificate_hash(self._local.identity.certificate)
        ours, theirs = (self._own_hello, own_hash), (self._their_hello, certificate_hash(self._certificate))
        dialler, listener = (ours, theirs) if self._is_dialler else (theirs, ours)
        return encode(Transcript(by_dialler, dialler[0], listener[0], dialler[1], listener[1]))


def _hello(local: LocalNode, nonce: bytes) -> bytes:
    body = HelloBody(local.chain_id, local.genesis_id, local.identity.public_key, local.name, nonce)
    return encode(Hello(P2P_VERSION, encode(body)))
