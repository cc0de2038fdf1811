"""The mempool: bounded, fair between organisations, in order within one."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from ledger.mempool import ORGANISATION_SHARE, Mempool
from ledger.transaction import Transaction
from ledger.types import Height, TxId
from tests.ledger.chain import make_transaction
from tests.ledger.refusals import code_of

BODY = make_transaction().body


def waiting(number: int, size: int = 100, valid_until: int = 10) -> Transaction:
    """A transaction of so many bytes; nobody here looks at its signature."""
    body = make_transaction(valid_until=valid_until).body if valid_until != 5 else BODY
    return Transaction(TxId(number.to_bytes(32, "big")), bytes(size), body, b"")


def test_a_transaction_waits_once() -> None:
    """A second admission is refused and changes nothing."""
    pool = Mempool()
    pool.admit(waiting(1), "farm")
    assert code_of(lambda: pool.admit(waiting(1), "shop")) == "transaction.pending"
    assert (len(pool), pool.size_bytes) == (1, 100)


def test_what_waits_is_found_and_removed() -> None:
    """By id; unknown ids are no error; what is removed leaves no bytes behind."""
    pool = Mempool()
    one, two = waiting(1), waiting(2, 50)
    pool.admit(one, "farm")
    pool.admit(two, "shop")
    assert pool.get(one.id) is one
    assert two.id in pool
    assert list(pool.ids()) == [one.id, two.id]
    pool.remove([one.id, TxId(b"?" * 32)])
    assert pool.get(one.id) is None
    assert one.id not in pool
    assert (len(pool), pool.size_bytes, list(pool.candidates())) == (1, 50, [two])
    pool.admit(one, "farm")  # it may come again: the block that held it was never final
    assert one.id in pool


def test_the_whole_pool_has_a_limit_in_transactions() -> None:
    """Beyond it admission says that the pool is full, and takes again when there is room."""
    pool = Mempool(transactions_max=8)
    for number in range(8):
        pool.admit(waiting(number), f"member-{number}")
    assert code_of(lambda: pool.admit(waiting(8), "farm")) == "mempool.full"
    pool.remove([waiting(3).id])
    pool.admit(waiting(8), "farm")


def test_the_whole_pool_has_a_limit_in_bytes() -> None:
    """The last byte may be used, and no more."""
    pool = Mempool(bytes_max=400)
    for number in range(4):
        pool.admit(waiting(number), f"member-{number}")
    assert code_of(lambda: pool.admit(waiting(4, 1), "member-4")) == "mempool.full"


def test_one_organisation_holds_a_quarter_of_the_transactions() -> None:
    """Its burst is refused while the others are still admitted."""
    pool = Mempool(transactions_max=4 * 5)
    for number in range(20 // ORGANISATION_SHARE):
        pool.admit(waiting(number), "farm")
    assert code_of(lambda: pool.admit(waiting(90), "farm")) == "mempool.organisation_full"
    pool.admit(waiting(91), "shop")


def test_one_organisation_holds_a_quarter_of_the_bytes() -> None:
    """Few large transactions count as many small ones do."""
    pool = Mempool(bytes_max=800)
    pool.admit(waiting(1, 150), "farm")
    assert code_of(lambda: pool.admit(waiting(2, 51), "farm")) == "mempool.organisation_full"
    pool.admit(waiting(2, 50), "farm")
    assert code_of(lambda: pool.admit(waiting(3, 1), "farm")) == "mempool.organisation_full"
    pool.admit(waiting(3, 200), "shop")


def test_an_organisation_with_nothing_waiting_may_always_send_one() -> None:
    """However small the pool was made, a share is never less than one transaction."""
    pool = Mempool(transactions_max=2, bytes_max=400)
    pool.admit(waiting(1, 101), "farm")
    assert code_of(lambda: pool.admit(waiting(2, 1), "farm")) == "mempool.organisation_full"
    pool.admit(waiting(2, 299), "shop")


def test_organisations_take_turns() -> None:
    """A hundred of one member do not stand before the first of another."""
    pool = Mempool()
    for number in range(100):
        pool.admit(waiting(number), "farm")
    pool.admit(waiting(100), "shop")
    pool.admit(waiting(101), "packer")
    assert [int.from_bytes(each.id, "big") for each in pool.candidates()][:5] == [0, 100, 101, 1, 2]


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_candidates_are_fair_and_in_order(owners: list[str]) -> None:
    """All that waits comes once; rounds of one each; oldest first within an organisation."""
    pool = Mempool()
    for number, owner in enumerate(owners):
        pool.admit(waiting(number), owner)
    order = [int.from_bytes(each.id, "big") for each in pool.candidates()]
    assert sorted(order) == list(range(len(owners)))
    for owner in "abc":
        own = [number for number in order if owners[number] == owner]
        assert own == sorted(own)
    taken = [sum(owners[number] == owners[last] for number in order[: place + 1])
             for place, last in enumerate(order)]  # fmt: skip
    assert taken == sorted(taken)  # the n-th of one never before the (n-1)-th of another that has one
    assert all(len(list(group)) <= 3 for _, group in groupby(taken))


@pytest.mark.parametrize(("height", "gone"), [(10, False), (11, True)])
def test_what_can_no_longer_stand_in_a_block_is_dropped_and_named(height: int, gone: bool) -> None:
    """A transaction leaves when the height passes its last valid one."""
    pool = Mempool()
    one = waiting(1, valid_until=10)
    pool.admit(one, "farm")
    assert pool.expire(Height(height)) == ([one.id] if gone else [])
    assert (one.id in pool) is not gone


class PoolMachine(RuleBasedStateMachine):
    """Any sequence of admissions and removals: limits hold and sums are exact, against a plain dictionary."""

    known = Bundle("known")

    def __init__(self) -> None:
        super().__init__()
        self.pool = Mempool(transactions_max=12, bytes_max=1200)
        self.model: dict[TxId, tuple[str, int]] = {}

    @rule(target=known, number=st.integers(0, 30), size=st.integers(1, 350), owner=st.sampled_from("abcde"))
    def admit(self, number: int, size: int, owner: str) -> TxId:
        transaction = waiting(number, size)
        own = [held for name, held in self.model.values() if name == owner]
        total = sum(held for _, held in self.model.values())
        if transaction.id in self.model:
            expected = "transaction.pending"
        elif len(self.model) >= 12 or total + size > 1200:
            expected = "mempool.full"
        elif own and (len(own) >= 3 or sum(own) + size > 300):
            expected = "mempool.organisation_full"
        else:
            expected = ""
        if expected:
            assert code_of(lambda: self.pool.admit(transaction, owner)) == expected
        else:
            self.pool.admit(transaction, owner)
            self.model[transaction.id] = (owner, size)
        return transaction.id

    @rule(identifier=consumes(known))
    def remove(self, identifier: TxId) -> None:
        self.pool.remove([identifier, identifier])
        self.model.pop(identifier, None)

    @invariant()
    def agrees(self) -> None:
        assert len(self.pool) == len(self.model)
        assert self.pool.size_bytes == sum(size for _, size in self.model.values())
        assert list(self.pool.ids()) == list(self.model)
        assert {each.id for each in self.pool.candidates()} == set(self.model)


TestPoolMachine = PoolMachine.TestCase
