"""What waits for consensus, in the order in which it came: inputs of this node's own, and what peers said.

What waits of one peer is bounded, in number and in bytes, so that its flood is lost and never another's word.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from ledger.consensus.events import Input
from ledger.consensus.messages import Message
from ledger.types import PublicKey

INPUTS_OF_PEER_MAX: Final = 2_000  # waiting messages of one peer; what comes above is lost, as on a network
INPUT_BYTES_OF_PEER_MAX: Final = 8 << 20  # of these: what waits while the loop stands still


@dataclass(frozen=True, slots=True)
class Heard:
    """A node said something, or (None) is there again. What number it has is asked when its turn comes."""

    sender: PublicKey
    message: Message | None
    size_bytes: int


class Inbox:
    """One queue for all that a machine hears."""

    def __init__(self) -> None:
        self._items: deque[Input | Heard] = deque()
        self._of_peer: Counter[PublicKey] = Counter()
        self._bytes_of_peer: Counter[PublicKey] = Counter()

    def __len__(self) -> int:
        return len(self._items)

    def hear(self, heard: Heard) -> bool:
        """Take what a peer says, unless its share is full; whether it was taken."""
        sender = heard.sender
        size_bytes = self._bytes_of_peer[sender] + heard.size_bytes
        if self._of_peer[sender] >= INPUTS_OF_PEER_MAX or size_bytes > INPUT_BYTES_OF_PEER_MAX:
            return False
        self._of_peer[sender] += 1
        self._bytes_of_peer[sender] = size_bytes
        self._items.append(heard)
        return True

    def put(self, item: Input) -> None:
        """Take an input of this node's own."""
        self._items.append(item)

    def put_first(self, item: Input) -> None:
        """Take an input that comes before whatever waits."""
        self._items.appendleft(item)

    def take(self) -> Input | Heard:
        """What has waited longest."""
        item = self._items.popleft()
        if isinstance(item, Heard):
            self._of_peer[item.sender] -= 1
            self._bytes_of_peer[item.sender] -= item.size_bytes
        return item

    def keep_heard(self) -> None:
        """Forget this node's own inputs: they are for a machine that is no more."""
        self._items = deque(item for item in self._items if isinstance(item, Heard))
