"""The memory of verified transactions: found by bytes and by hash, and bounded."""

from __future__ import annotations

import pytest

import node.opened as opened_module
from ledger.crypto import Tag, sign
from ledger.merkle.log import leaf_hash
from ledger.transaction import Transaction
from ledger.types import Hash
from node.opened import Opened
from tests.ledger.chain import FARM, make_transaction


def holding(*transactions: Transaction) -> Opened:
    opened = Opened()
    for each in transactions:
        opened.add(each)
    return opened


def made(count: int) -> list[Transaction]:
    return [make_transaction(nonce=nonce) for nonce in range(count)]


def test_it_is_found_by_its_bytes_and_by_its_hash() -> None:
    """To add it again changes nothing; what was never added is not found."""
    one, other = made(2)
    opened = holding(one, one)
    assert opened.by_raw == {one.raw: one}
    assert opened.raw(leaf_hash(one.raw)) == one.raw
    assert opened.raw(leaf_hash(other.raw)) is None
    assert opened.raw(Hash(one.id)) is None


def test_two_signatures_over_one_body_are_two_entries() -> None:
    """Each is found by its own hash: one is never taken for the other."""
    one = make_transaction(nonce=1)
    signature = sign(FARM, Tag.VOTE, b"another signature")
    other = Transaction(one.id, one.raw[:-64] + signature, one.body, signature)
    opened = holding(one, other)
    assert [opened.raw(leaf_hash(each.raw)) for each in (one, other)] == [one.raw, other.raw]


@pytest.mark.parametrize("limit", ["OPENED_MAX", "OPENED_BYTES_MAX"])
def test_the_oldest_goes_first(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number or by bytes, and from both ways to find it."""
    transactions = made(5)
    size = len(transactions[0].raw)
    assert {len(each.raw) for each in transactions} == {size}
    monkeypatch.setattr(opened_module, limit, 2 if limit == "OPENED_MAX" else 3 * size - 1)
    opened = holding(*transactions, transactions[-1])  # which counts once
    assert list(opened.by_raw.values()) == transactions[-2:]
    assert [opened.raw(leaf_hash(each.raw)) for each in transactions] == [
        None, None, None, *(each.raw for each in transactions[-2:]),
    ]  # fmt: skip
