"""The handshake, without sockets: two honest sides agree, and every lie has its code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import decode, encode
from ledger.crypto import Tag, sign
from ledger.errors import LedgerError
from ledger.members import Node, NodeRole
from ledger.types import BlockId, ChainId
from node.p2p.handshake import Handshake, Hello, HelloBody, LocalNode, Proof
from node.p2p.messages import Consensus, Goodbye, encode_message
from tests.node.p2p.nodes import identity, local, record

MEMBERS = {record(number).public_key: record(number) for number in (1, 2, 3)}
DIALLER, LISTENER = local(1), local(2)


def handshake(own: LocalNode, other: LocalNode, is_dialler: bool, nonce: bytes = b"n" * 32) -> Handshake:
    return Handshake(own, nonce, is_dialler, other.identity.certificate, MEMBERS.get)


def shake(dialler: Handshake, listener: Handshake) -> None:
    """Deliver every message until both are done."""
    answer, reply = dialler.receive(listener.hello()), listener.receive(dialler.hello())
    assert answer is not None
    assert reply is not None
    assert dialler.receive(reply) is None
    assert listener.receive(answer) is None


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value.code


def test_two_honest_sides_know_each_other() -> None:
    """After two messages each, both hold the other's record."""
    dialler, listener = handshake(DIALLER, LISTENER, True), handshake(LISTENER, DIALLER, False)
    shake(dialler, listener)
    assert dialler.peer == record(2)
    assert listener.peer == record(1)


@dataclass(frozen=True)
class Lie:
    """One field of the dialler's hello, and the code that it earns."""

    field: str
    value: object
    code: str


LIES = [
    Lie("chain_id", b"x" * 32, "handshake.wrong_chain"),
    Lie("genesis_id", b"x" * 32, "handshake.wrong_genesis"),
    Lie("public_key", identity(2).public_key, "handshake.self"),
    Lie("public_key", identity(9).public_key, "handshake.unknown_node"),
    Lie("public_key", identity(3).public_key, "handshake.unknown_node"),
    Lie("name", "node-3", "handshake.unknown_node"),
    Lie("nonce", b"m" * 32, "handshake.bad_signature"),
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: f"{lie.field}-{lie.code}")
def test_every_field_of_a_hello_is_checked_or_signed(lie: Lie) -> None:
    """A hello changed on the way is refused at once, or by the signature that does not cover it."""
    dialler, listener = handshake(DIALLER, LISTENER, True), handshake(LISTENER, DIALLER, False)
    hello = decode(dialler.hello(), Hello, 1024)
    body = decode(hello.body, HelloBody, 1024)
    fields = {name: getattr(body, name) for name in HelloBody.__struct_fields__} | {lie.field: lie.value}
    changed = encode(Hello(hello.version, encode(HelloBody(**fields))))
    proof = dialler.receive(listener.hello())
    assert proof is not None

    def finish() -> None:
        listener.receive(changed)
        listener.receive(proof)

    assert code_of(finish) == lie.code
    assert listener.peer is None


def test_a_node_whose_role_has_changed_is_let_in() -> None:
    """Either list may be old: who votes is read from the chain, which both go on to read from each other."""
    older = {**MEMBERS, DIALLER.identity.public_key: record(1, role=NodeRole.OBSERVER)}
    dialler = handshake(DIALLER, LISTENER, True)
    listener = Handshake(LISTENER, b"n" * 32, False, DIALLER.identity.certificate, older.get)
    hello = dialler.hello()
    proofs = dialler.receive(listener.hello()), listener.receive(hello)
    listener.receive(proofs[0] or b"")
    dialler.receive(proofs[1] or b"")
    assert listener.peer is not None
    assert listener.peer.role is NodeRole.OBSERVER


def test_another_version_is_refused_before_its_body_is_read() -> None:
    """A later version may say other things; what we must understand of it is its number."""
    listener = handshake(LISTENER, DIALLER, False)
    assert code_of(lambda: listener.receive(encode(Hello(2, b"whatever comes")))) == "handshake.version"


def test_the_certificate_of_tls_is_signed_too() -> None:
    """With another certificate between them, as a middleman would have, the signatures do not fit."""
    middle = identity(3).certificate
    nodes = {**MEMBERS, DIALLER.identity.public_key: _with_certificate(record(1), middle)}
    dialler = handshake(DIALLER, LISTENER, True)
    listener = Handshake(LISTENER, b"n" * 32, False, middle, nodes.get)
    proof = dialler.receive(listener.hello())
    assert proof is not None
    listener.receive(dialler.hello())
    assert code_of(lambda: listener.receive(proof)) == "handshake.bad_signature"


def test_a_hello_over_another_node_s_tls_is_refused() -> None:
    """Who shows one member's certificate cannot speak as another, whatever is signed afterwards."""
    listener = Handshake(LISTENER, b"n" * 32, False, identity(3).certificate, MEMBERS.get)
    hello = handshake(DIALLER, LISTENER, True).hello()
    assert code_of(lambda: listener.receive(hello)) == "handshake.unknown_node"


def _with_certificate(node: Node, certificate: bytes) -> Node:
    return Node(node.public_key, node.organisation, node.name, node.role, certificate, node.addresses)


def test_a_proof_sent_back_to_its_maker_is_no_proof() -> None:
    """Each side signs as itself: a mirror of our own messages is nobody."""
    dialler, listener = handshake(DIALLER, LISTENER, True), handshake(LISTENER, DIALLER, False)
    own = dialler.receive(listener.hello())
    assert own is not None
    assert code_of(lambda: dialler.receive(own)) == "handshake.bad_signature"


def test_an_old_handshake_cannot_be_replayed() -> None:
    """The messages of one connection open no other: the nonce of the other side is fresh."""
    dialler, listener = handshake(DIALLER, LISTENER, True), handshake(LISTENER, DIALLER, False)
    proof = dialler.receive(listener.hello())
    assert proof is not None
    fresh = handshake(LISTENER, DIALLER, False, nonce=b"f" * 32)
    fresh.receive(dialler.hello())
    assert code_of(lambda: fresh.receive(proof)) == "handshake.bad_signature"


def test_a_signature_for_another_purpose_is_no_proof() -> None:
    """The same bytes signed under another tag are refused."""
    dialler, listener = handshake(DIALLER, LISTENER, True), handshake(LISTENER, DIALLER, False)
    dialler.receive(listener.hello())
    listener.receive(dialler.hello())
    signature = sign(DIALLER.identity.key, Tag.KEY_POSSESSION, dialler._transcript(by_dialler=True))
    assert code_of(lambda: listener.receive(encode(Proof(signature)))) == "handshake.bad_signature"


def test_whom_we_dialled_must_be_who_answers() -> None:
    """A member that answers in another's place is refused even with a record and key of its own."""
    dialler = Handshake(
        DIALLER, b"n" * 32, True, LISTENER.identity.certificate, MEMBERS.get, identity(3).public_key
    )
    listener = handshake(LISTENER, DIALLER, False)
    assert code_of(lambda: dialler.receive(listener.hello())) == "handshake.unknown_node"


@pytest.mark.parametrize(
    "messages",
    [
        lambda dialler: [encode(Proof(bytes(64)))],
        lambda dialler: [dialler.hello(), dialler.hello()],
    ],
    ids=["proof first", "two hellos"],
)
def test_messages_out_of_order_are_refused(messages: Callable[[Handshake], list[bytes]]) -> None:
    """One hello, then one proof."""
    listener = handshake(LISTENER, DIALLER, False)

    def deliver() -> None:
        for message in messages(handshake(DIALLER, LISTENER, True)):
            listener.receive(message)

    assert code_of(deliver) == "handshake.out_of_order"


def test_other_messages_have_no_place_here() -> None:
    """Consensus before the handshake is over is refused, and a goodbye raises the code it brings."""
    listener = handshake(LISTENER, DIALLER, False)
    assert code_of(lambda: listener.receive(encode_message(Consensus(b"vote")))) == "message.unknown_kind"
    assert code_of(lambda: listener.receive(encode(Goodbye("handshake.self")))) == "handshake.self"
    assert code_of(lambda: listener.receive(encode(Goodbye("an.invention")))) == "peer.goodbye"


def test_another_chain_with_the_same_members_is_another_network() -> None:
    """Both sides of such a pair refuse, whoever speaks first."""
    stranger = replace(DIALLER, chain_id=ChainId(b"x" * 32), genesis_id=BlockId(b"y" * 32))
    listener, dialler = handshake(LISTENER, stranger, False), handshake(stranger, LISTENER, True)
    assert code_of(lambda: listener.receive(dialler.hello())) == "handshake.wrong_chain"
    assert code_of(lambda: dialler.receive(listener.hello())) == "handshake.wrong_chain"


def _mutations(data: bytes) -> st.SearchStrategy[bytes]:
    flipped = st.builds(
        lambda at, bit: data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :],
        st.integers(0, len(data) - 1),
        st.integers(0, 7),
    )
    cut = st.integers(0, len(data) - 1).map(lambda at: data[:at])
    grown = st.binary(min_size=1, max_size=8).map(lambda tail: data + tail)
    return flipped | cut | grown


@given(st.data())
def test_one_changed_bit_anywhere_ends_the_handshake(data: st.DataObject) -> None:
    """Whatever is changed in a hello or a proof, its receiver refuses."""
    dialler, listener = handshake(DIALLER, LISTENER, True), handshake(LISTENER, DIALLER, False)
    hello, answer = dialler.hello(), listener.hello()
    which = data.draw(st.sampled_from(["hello", "proof"]))
    if which == "hello":
        hello = data.draw(_mutations(hello))
    proof = dialler.receive(answer)
    assert proof is not None
    if which == "proof":
        proof = data.draw(_mutations(proof))

    def deliver() -> None:
        listener.receive(hello)
        listener.receive(proof)

    assert code_of(deliver).startswith(("handshake.", "encoding.", "message.unknown_kind"))
    assert listener.peer is None


@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_refused_with_a_code(garbage: bytes) -> None:
    """A stranger's first message raises a LedgerError, never another exception."""
    listener = handshake(LISTENER, DIALLER, False)
    assert "." in code_of(lambda: listener.receive(garbage))
