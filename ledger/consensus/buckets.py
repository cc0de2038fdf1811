"""Token buckets: how much one peer may make this node say, and how fast. Integers only."""

from __future__ import annotations

from typing import Final

from ledger.consensus.events import Peer

PEERS_TRACKED_MAX: Final = 1024  # beyond it the longest unseen is forgotten, and begins with a full bucket


class TokenBuckets:
    """One bucket a peer: it holds up to `capacity` and gains `per_second`."""

    def __init__(self, capacity: int, per_second: int) -> None:
        self._capacity_milli = capacity * 1000
        self._per_second = per_second
        self._levels: dict[Peer, tuple[int, int]] = {}  # thousandths of a token, at this time

    def take(self, peer: Peer, now_ms: int, tokens: int = 1) -> bool:
        """Whether the peer's bucket held so many tokens; then they are gone."""
        level, at_ms = self._levels.pop(peer, (self._capacity_milli, now_ms))
        level = min(self._capacity_milli, level + max(0, now_ms - at_ms) * self._per_second)
        is_granted = level >= tokens * 1000
        if is_granted:
            level -= tokens * 1000
        if len(self._levels) >= PEERS_TRACKED_MAX:
            del self._levels[next(iter(self._levels))]
        self._levels[peer] = (level, now_ms)
        return is_granted

    def __len__(self) -> int:
        return len(self._levels)
