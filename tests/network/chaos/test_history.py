"""What clients write down."""

from __future__ import annotations

from network.chaos.history import History, Operation, Outcome, Sighting


def test_final_since() -> None:
    """Only what clients began after a moment, and were told is final, counts as progress after it."""
    history = History()
    history.add(Operation("a", "node-0", 1.0, 5.0, Outcome.FINAL, "accepted", 1, 0))
    history.add(Operation("b", "node-0", 3.0, 4.0, Outcome.UNKNOWN))
    history.add(Operation("c", "node-0", 3.0, 6.0, Outcome.FINAL, "accepted", 2, 0))
    history.add(Sighting("node-0", 3.0, 3.0, 1, "", ""))
    assert [each.id for each in history.final_since(2.0)] == ["c"]
    assert len(history.operations) == 3
    assert len(history.sightings) == 1
