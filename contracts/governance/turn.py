"""The turn of an epoch: new seats, and open ballots counted again with them.

It comes before the turn of the stake, so that what it carries takes effect at the same turn.

Source: docs/spec/governance.md, rules G3, G9 and G10.
"""

from __future__ import annotations

from contracts.governance.ballots import ballot_numbered, expire, open_ballots, settle
from contracts.governance.seats import turn_seats
from ledger.epoch import EpochStart
from ledger.state import Overlay


def turn_governance(following: EpochStart, state: Overlay) -> None:
    """Seat who was chosen, end what is over, and count the rest by number. It can't refuse."""
    is_changed = turn_seats(state)
    expire(state, following.base_time_ms, following.base_height)
    if is_changed:
        for each in open_ballots(state):
            settle(state, ballot_numbered(state, each.number), following.base_height)
