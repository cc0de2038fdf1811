"""What waits of many peers in one bounded room, so that none takes the place of another.

Where the room is full, who has most in it makes way: a peer that sends more than its turn loses its own.
What waits is taken one peer at a time, in turn.

Source: docs/spec/p2p.md, rule G7.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ledger.types import PublicKey


@dataclass(slots=True)
class _Share:
    items: deque[bytes] = field(default_factory=deque)
    size_bytes: int = 0


class Shares:
    """At most `items_max` byte strings of `bytes_max` bytes together, by the peer they came from."""

    def __init__(self, items_max: int, bytes_max: int) -> None:
        self._items_max = items_max
        self._bytes_max = bytes_max
        self._shares: dict[PublicKey, _Share] = {}  # whose turn is next comes first; none is empty
        self._items = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._items

    @property
    def size_bytes(self) -> int:
        """What waits, together."""
        return self._bytes

    def put(self, peer: PublicKey, item: bytes) -> int:
        """Let an item wait; answers how many were lost for it, itself included."""
        lost = 0
        while self._items >= self._items_max or self._bytes + len(item) > self._bytes_max:
            heaviest = max(self._shares, key=self._weight, default=None)
            if heaviest is None or self._weight(peer, len(item)) >= self._weight(heaviest):
                return lost + 1
            self._pop(heaviest, newest=True)
            lost += 1
        share = self._shares.setdefault(peer, _Share())
        share.items.append(item)
        share.size_bytes += len(item)
        self._items += 1
        self._bytes += len(item)
        return lost

    def take(self) -> tuple[PublicKey, bytes]:
        """The longest waiting item of the peer whose turn it is; the next peer's turn comes."""
        peer = next(iter(self._shares))
        item = self._pop(peer, newest=False)
        share = self._shares.pop(peer, None)
        if share is not None:
            self._shares[peer] = share
        return peer, item

    def _weight(self, peer: PublicKey, item_bytes: int = 0) -> int:
        """How much of the room a peer has, of places or of bytes, whichever is more; with one item more."""
        share = self._shares.get(peer, _Share())
        items = len(share.items) + (item_bytes > 0)
        return max(items * self._bytes_max, (share.size_bytes + item_bytes) * self._items_max)

    def _pop(self, peer: PublicKey, *, newest: bool) -> bytes:
        share = self._shares[peer]
        item = share.items.pop() if newest else share.items.popleft()
        share.size_bytes -= len(item)
        self._items -= 1
        self._bytes -= len(item)
        if not share.items:
            del self._shares[peer]
        return item
