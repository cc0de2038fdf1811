"""Transactions over HTTP: admitted, answered, waited for, or refused with a code and nothing changed."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ledger.codec import encode
from ledger.transaction import Transaction
from ledger.types import TRANSACTION_BYTES_MAX
from node.api.transactions import BATCH, BATCH_TRANSACTIONS_MAX, ONE
from tests.contracts.provenance.story import chapters
from tests.node.api.fakes import FakeNode, Running

EVENTS = chapters()[0][1]


def capture(node: FakeNode) -> Transaction:
    return node.capture("farm/operator", *EVENTS)


async def post(site: Running, body: bytes, kind: str = ONE, **headers: str) -> tuple[int, dict[str, Any]]:
    sent = {"Content-Type": kind, **headers}
    async with site.client.post(site.url("/v1/transactions"), data=io.BytesIO(body), headers=sent) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_one_is_answered_with_its_id(site: Running) -> None:
    """202 at once, the id that the client knows already, status pending; the node has it."""
    transaction = capture(site.node)
    status, answer = await post(site, transaction.raw)
    assert status == 202
    assert (answer["id"], answer["status"]) == (transaction.id.hex(), "pending")
    assert transaction.id in site.node.pending


async def test_waiting_brings_the_receipt(site: Running) -> None:
    """`Prefer: wait` answers with height, index and receipt once the transaction is final."""
    transaction = capture(site.node)
    status, answer = await post(site, transaction.raw, Prefer="wait=5")
    assert status == 202
    assert (answer["status"], answer["height"], answer["index"]) == ("accepted", 1, 0)
    assert answer["receipt"]["status"] == "accepted"
    assert len(answer["receipt"]["events"]) == len(EVENTS)
    async with site.client.get(site.url(f"/v1/transactions/{transaction.id.hex()}")) as found:
        assert found.status == 200
        read = await found.json()
    assert read["receipt"] == answer["receipt"]
    assert (read["contract"], read["method"]) == ("provenance", "capture")


async def test_sending_again_is_harmless(site: Running) -> None:
    """The same bytes answer pending while they wait, then duplicate; one block holds them."""
    transaction = capture(site.node)
    assert (await post(site, transaction.raw))[1]["status"] == "pending"
    assert (await post(site, transaction.raw))[1]["status"] == "pending"
    await site.node.seal()
    status, answer = await post(site, transaction.raw, Prefer="wait=1")
    assert (status, answer["status"], answer["height"]) == (202, "duplicate", 1)
    assert site.node.pending == {}


async def test_batch_is_answered_in_order(site: Running) -> None:
    """Each of a batch has its own answer: a good one, a repeated one, garbage, and a wrong signature."""
    good = capture(site.node)
    forged = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
    other = site.node.sign("farm/operator", "nothing", "at-all", b"\x90")
    status, answer = await post(site, encode((good.raw, good.raw, b"\xc1", other.raw)), BATCH)
    assert status == 202
    results = answer["results"]
    assert [each["status"] for each in results] == ["pending", "pending", "refused", "refused"]
    assert results[2]["id"] is None
    assert results[2]["code"] == "encoding.malformed"
    assert results[3]["code"] == "contract.unknown"
    status, answer = await post(site, encode((forged,)), BATCH)
    assert answer["results"][0]["status"] == "pending", "the id is known: the good copy waits"


async def test_batch_with_wait_brings_receipts(site: Running) -> None:
    """A batch that waits answers with the receipts in order."""
    first = site.node.capture("farm/operator", *EVENTS)
    second = site.node.capture("farm/operator", *EVENTS)
    _, answer = await post(site, encode((first.raw, second.raw)), BATCH, Prefer="wait=5")
    assert [each["status"] for each in answer["results"]] == ["accepted", "duplicate"]
    assert [each["receipt"]["transaction_id"] for each in answer["results"]] == [
        first.id.hex(),
        second.id.hex(),
    ]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"", ONE, 400, "encoding.malformed"),
        (b"\xc1", ONE, 400, "encoding.malformed"),
        (b"{}", ONE, 400, "encoding.malformed"),
        (b"\x90", BATCH, 400, "encoding.malformed"),
        (encode((b"",) * (BATCH_TRANSACTIONS_MAX + 1)), BATCH, 400, "encoding.malformed"),
        (b"\xdd\xff\xff\xff\xff", BATCH, 400, "encoding.malformed"),
        (b"\x91" * 3000, BATCH, 400, "encoding.malformed"),
        (b"\xdc\x00\x01\xc4\x01a", BATCH, 400, "encoding.non_canonical"),
        (bytes(TRANSACTION_BYTES_MAX + 1), ONE, 413, "body.too_large"),
        (b"{}", "application/json", 415, "body.media_type"),
        (b"{}", "", 415, "body.media_type"),
    ],
    ids=range(11),
)
async def test_bad_bytes_are_refused(site: Running, body: bytes, kind: str, status: int, code: str) -> None:
    """Bytes that are no transaction, no batch, too many or of another kind have a code and change nothing."""
    found, answer = await post(site, body, kind)
    assert (found, answer["code"], answer["status"]) == (status, code, status)
    assert site.node.pending == {}


async def test_each_rule_at_the_door_has_its_code(site: Running) -> None:
    """Wrong signature, stranger, role, method, arguments: each refused with its own code and status."""
    node = site.node
    good = capture(node)
    forged = good.raw[:-1] + bytes([good.raw[-1] ^ 1])
    stranger = node.sign("nobody", "provenance", "capture", b"\x91\x90")
    method = node.sign("farm/operator", "provenance", "forget", b"\x90")
    role = node.sign("farm/admin", "provenance", "capture", good.body.arguments)
    arguments = node.sign("farm/operator", "provenance", "capture", b"\x93\x01\x02\x03")
    cases = [
        (forged, 400, "transaction.bad_signature"),
        (stranger.raw, 403, "sender.not_a_member"),
        (method.raw, 400, "method.unknown"),
        (role.raw, 403, "sender.role"),
        (arguments.raw, 400, "arguments.malformed"),
    ]
    for raw, status, code in cases:
        found, answer = await post(site, raw)
        assert (found, answer["code"]) == (status, code)
    assert node.pending == {}


async def test_unknown_transaction_is_not_found(site: Running) -> None:
    """An id that nobody sent is 404; an id that is none is 400, its pointer the path."""
    async with site.client.get(site.url("/v1/transactions/" + "ab" * 32)) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (404, "transaction.unknown")
    async with site.client.get(site.url("/v1/transactions/ABC")) as answer:
        problem = await answer.json(content_type=None)
        assert (answer.status, problem["code"], problem["pointer"]) == (400, "parameter.invalid", "/path/id")
