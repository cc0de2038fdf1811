"""Bad input at the door of a running node: a stable code for each, and nothing changed by any."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from ledger.codec import encode
from ledger.crypto import Tag, key_pair, sign
from ledger.transaction import SignedBody, TransactionBody, sign_transaction
from ledger.types import TRANSACTION_BYTES_MAX
from tests.e2e.cluster import BATCH, TX, Cluster, running

pytestmark = pytest.mark.e2e

SMALL_ORDER_KEY = bytes.fromhex("0100000000000000000000000000000000000000000000000000000000000000")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A network for this module."""
    with running(tmp_path_factory.mktemp("refusals") / "net") as found:
        yield found


def body_of(cluster: Cluster, **changes: object) -> TransactionBody:
    """A body that would be accepted, with some fields replaced."""
    made = cluster.capture(cluster.new_events(1)).body
    fields = {name: getattr(made, name) for name in made.__struct_fields__}
    return TransactionBody(**(fields | changes))


def signed_by_stranger(cluster: Cluster, **changes: object) -> bytes:
    """A body signed with a key of nobody, which may name another sender."""
    stranger = key_pair(os.urandom(32))
    body = body_of(cluster, **changes)
    return encode(SignedBody(body, sign(stranger, Tag.TRANSACTION, encode(body))))


def non_canonical(cluster: Cluster) -> bytes:
    """A valid transaction whose outer array header is spelled in the long form."""
    raw = cluster.capture(cluster.new_events(1)).raw
    return b"\xdc\x00\x02" + raw[1:]


def by_stranger(cluster: Cluster) -> bytes:
    """A well signed transaction of a key that no organisation has."""
    stranger = key_pair(os.urandom(32))
    return sign_transaction(body_of(cluster, sender=stranger.public), stranger).raw


CASES = {
    "malformed": (lambda c: b"\xc1 not a transaction", "encoding.malformed"),
    "trailing": (lambda c: c.capture(c.new_events(1)).raw + b"\0", "encoding.malformed"),
    "non_canonical": (non_canonical, "encoding.non_canonical"),
    "wrong_signature": (signed_by_stranger, "transaction.bad_signature"),
    "small_order_key": (lambda c: signed_by_stranger(c, sender=SMALL_ORDER_KEY), "sender.not_a_member"),
    "other_chain": (lambda c: c.capture([], chain_id=os.urandom(32)).raw, "transaction.wrong_chain"),
    "expired": (lambda c: c.capture(c.new_events(1), valid_until=0).raw, "transaction.expired"),
    "far_ahead": (lambda c: c.capture([], valid_until=10_000).raw, "transaction.too_far_ahead"),
    "contract": (lambda c: c.capture([], contract="nothing").raw, "contract.unknown"),
    "method": (lambda c: c.capture([], method="nothing").raw, "method.unknown"),
    "arguments": (lambda c: c.capture([], arguments=encode((1, 2))).raw, "arguments.malformed"),
    "stranger": (by_stranger, "sender.not_a_member"),
    "oversized": (lambda c: b"\x00" * (TRANSACTION_BYTES_MAX + 1), "body.too_large"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_with_code(cluster: Cluster, name: str) -> None:
    """Each bad transaction is refused with its code, and height and state root stay as they were."""
    make, code = CASES[name]
    cluster.wait_equal(range(4))
    before = cluster.status(0)
    status, answer = cluster.post(0, make(cluster), TX)
    after = cluster.status(0)
    assert answer["code"] == code
    assert 400 <= status < 500
    assert (after["height"], after["state_root"]) == (before["height"], before["state_root"])


def test_replay_is_a_duplicate(cluster: Cluster) -> None:
    """The same bytes again: the answer names the block they stand in, and no second copy is recorded."""
    raw = cluster.capture(cluster.new_events(1)).raw
    _, first = cluster.post(0, raw, TX, wait=20)
    cluster.wait_equal(range(4))
    _, again = cluster.post(1, raw, TX, wait=5)
    assert again["id"] == first["id"]
    assert again["height"] == first["height"]
    cluster.wait_equal(range(4))
    recorded = [each["id"] for block in cluster.blocks(2) for each in block["transactions"]]
    assert recorded.count(first["id"]) == 1


def test_oversized_in_a_batch(cluster: Cluster) -> None:
    """One transaction of a batch is too large: it alone is refused, by name."""
    good = cluster.capture(cluster.new_events(1)).raw
    bad = b"\x92" + bytes(TRANSACTION_BYTES_MAX)
    _, answer = cluster.post(0, encode((good, bad)), BATCH, wait=20)
    first, second = answer["results"]
    assert first["status"] in {"accepted", "flagged"}
    assert (second["status"], second["code"]) == ("refused", "transaction.too_large")


def test_garbage_on_the_peer_port(cluster: Cluster) -> None:
    """Garbage and silence on the peer port: the connection is closed and the network goes on."""
    host, _, port = cluster.testnet.file().nodes[0].p2p.rpartition(":")
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(512)):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(garbage)
            try:
                while connection.recv(4096):
                    pass  # whatever it says, it ends
            except ConnectionResetError:
                pass
    assert cluster.send(0, 2)[0]["status"] in {"accepted", "flagged"}
