"""How much one peer may draw from this node: a request is a few bytes, its answer may be a page of blocks.

An answer is charged when it is made, whatever it weighs; whoever is in debt gets none until time has paid for
it. So nothing is read or encoded to find out that it is too much.

Source: docs/spec/p2p.md, rule C5.
"""

from __future__ import annotations

from typing import Final

from ledger.types import PublicKey
from node.clock import Clock

DRAW_BYTES_BURST: Final = 32 << 20  # four full pages: a quarter of a second of this node's time
DRAW_BYTES_PER_SECOND: Final = 16 << 20  # an eighth of its time, for one peer
ANSWER_BYTES_MIN: Final = 64 << 10  # what the smallest answer counts as: a look into the store and a message
PEERS_TRACKED_MAX: Final = 1_024  # beyond it the longest unseen is forgotten, and owes nothing


class Allowance:
    """What each peer has drawn lately. It outlives a connection: to connect anew pays no debt."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._drawn: dict[PublicKey, tuple[int, int]] = {}  # thousandths of a byte, at this time

    def is_spent(self, peer: PublicKey) -> bool:
        """Whether the peer has to wait before it gets another answer."""
        return self._now(peer) >= DRAW_BYTES_BURST * 1000

    def charge(self, peer: PublicKey, size_bytes: int) -> None:
        """An answer of this size was made for the peer."""
        drawn = self._now(peer) + max(size_bytes, ANSWER_BYTES_MIN) * 1000
        self._drawn.pop(peer, None)
        if len(self._drawn) >= PEERS_TRACKED_MAX:
            del self._drawn[next(iter(self._drawn))]
        self._drawn[peer] = drawn, self._clock.monotonic_ms()

    def _now(self, peer: PublicKey) -> int:
        now_ms = self._clock.monotonic_ms()
        drawn, at_ms = self._drawn.get(peer, (0, now_ms))
        return max(0, drawn - (now_ms - at_ms) * DRAW_BYTES_PER_SECOND)
