"""A restart between two commits of one finalization. Found by the simulator, seed 120 of `mixed`."""

from __future__ import annotations

from tests.ledger.consensus.lockstep import Room


def test_a_store_below_its_finalization_catches_up_on_an_idle_chain() -> None:
    """The head is final by a descendant that a crash kept from being committed: it is got and committed.

    The node took the descendant's view for its own committed view, and rested one block behind for ever.
    """
    room = Room([1, 1, 1, 1]).start()
    for transaction in (1, 2, 3):
        for node in room.nodes:
            node.submit(transaction)
        room.run(2_000)
    heights = room.heights()
    node = room.nodes[2]
    node.crash()
    *below, (head, _), (_, finalization) = node.disk.committed
    node.disk.committed = [*below, (head, finalization)]
    node.disk.bodies.clear()
    node.start()
    room.run(10_000)
    assert room.heights() == heights
    room.check_agreement()
