"""Whole machines together: blocks become final, after faults too."""

from __future__ import annotations

import pytest

from tests.ledger.consensus.lockstep import Room


@pytest.mark.parametrize("stakes", [[1], [1, 1], [1, 1, 1, 1], [5, 3, 2, 2, 1, 1, 1]])
def test_a_transaction_becomes_final_on_every_node(stakes: list[int]) -> None:
    """One transaction known everywhere is committed everywhere, and the chain falls quiet after it."""
    room = Room(stakes, observers=1).start()
    for transaction in range(1, 6):
        for node in room.nodes:
            node.submit(transaction)
    room.run(10_000)
    assert [node.transactions for node in room.nodes] == [[]] * len(room.nodes)
    assert min(room.heights()) >= 5
    quiet = room.heights()
    room.run(30_000)
    assert room.heights() == quiet
    room.check_agreement()
    room.check_quiet()
