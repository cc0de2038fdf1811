"""One room for what waits of many peers: nobody takes the place of another."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ledger.types import PublicKey
from node.shares import Shares

A, B, C = (PublicKey(letter * 32) for letter in (b"a", b"b", b"c"))


def drained(shares: Shares) -> list[tuple[PublicKey, bytes]]:
    return [shares.take() for _ in range(len(shares))]


def test_peers_take_turns_and_each_keeps_its_order() -> None:
    """One of each, until a peer has none left."""
    shares = Shares(10, 100)
    for peer, item in ((A, b"1"), (A, b"2"), (A, b"3"), (B, b"4"), (C, b"5"), (B, b"6")):
        assert shares.put(peer, item) == 0
    assert drained(shares) == [(A, b"1"), (B, b"4"), (C, b"5"), (A, b"2"), (B, b"6"), (A, b"3")]
    assert (len(shares), shares.size_bytes) == (0, 0)


def test_who_has_most_loses_its_newest() -> None:
    """A newcomer gets room from the heaviest; who is the heaviest itself gets none."""
    shares = Shares(4, 100)
    for item in (b"1", b"2", b"3", b"4"):
        shares.put(A, item)
    assert shares.put(A, b"5") == 1
    assert shares.put(B, b"6") == 1
    assert shares.put(B, b"7") == 1  # two each now
    assert shares.put(B, b"8") == 1  # its own
    assert drained(shares) == [(A, b"1"), (B, b"6"), (A, b"2"), (B, b"7")]


def test_many_small_ones_weigh_as_much_as_few_large_ones() -> None:
    """Places and bytes are the same room: a flood of single bytes makes nobody else lose."""
    shares = Shares(100, 10_000)
    for _ in range(100):
        shares.put(A, b"!")
    assert [shares.put(B, bytes(500)) for _ in range(10)] == [1] * 10
    assert Counter(peer for peer, _ in drained(shares)) == {A: 90, B: 10}


def test_an_item_larger_than_the_room_is_lost_and_takes_nobody_along() -> None:
    """Not even the heaviest, when nothing is gained by it."""
    shares = Shares(10, 10)
    shares.put(A, bytes(6))
    assert shares.put(B, bytes(11)) == 1
    assert drained(shares) == [(A, bytes(6))]


@given(st.lists(st.tuples(st.sampled_from([A, B, C]), st.binary(min_size=1, max_size=40)), max_size=60))
def test_the_room_is_never_overfull_and_nothing_vanishes(given: list[tuple[PublicKey, bytes]]) -> None:
    """Whatever comes: within both limits, and what is not lost is taken."""
    shares, lost = Shares(8, 100), 0
    for peer, item in given:
        lost += shares.put(peer, item)
        assert len(shares) <= 8
        assert shares.size_bytes <= 100
    taken = drained(shares)
    assert len(taken) + lost == len(given)
    assert not Counter(taken) - Counter(given)
