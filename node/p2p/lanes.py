"""What waits to be sent to one peer: four bounded queues, and whose turn it is.

Consensus goes before proposals and bodies, these before gossip and bulk, which take turns. A message in
pieces gives way between any two of them. A peer that reads slowly fills its own queues and nobody else's.

Source: docs/spec/p2p.md, rules L1-L4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from node.p2p.frames import Lane, split
from node.p2p.messages import MESSAGE_BYTES_MAX


class WhenFull(Enum):
    """What happens to a message for a full lane."""

    DROP_OLDEST = "drop_oldest"  # the newest says most, and the sender repeats what still matters
    REFUSE = "refuse"  # the sender is told, and tries again


@dataclass(frozen=True, slots=True)
class LaneLimit:
    """How much may wait on one lane of one peer."""

    messages_max: int
    bytes_max: int
    when_full: WhenFull


LIMITS: Final[dict[Lane, LaneLimit]] = {
    Lane.CONSENSUS: LaneLimit(2_048, 4 << 20, WhenFull.DROP_OLDEST),
    Lane.PROPOSAL: LaneLimit(32, 2 * MESSAGE_BYTES_MAX, WhenFull.DROP_OLDEST),
    Lane.GOSSIP: LaneLimit(1_024, 4 << 20, WhenFull.REFUSE),
    Lane.BULK: LaneLimit(32, 2 * MESSAGE_BYTES_MAX, WhenFull.REFUSE),
}


class Lanes:
    """The outgoing messages of one peer."""

    def __init__(self, limits: dict[Lane, LaneLimit] = LIMITS) -> None:
        self._limits = limits
        self._waiting: dict[Lane, deque[bytes]] = {lane: deque() for lane in Lane}
        self._bytes = dict.fromkeys(Lane, 0)
        self._begun: dict[Lane, Iterator[bytes]] = {}  # messages of which a piece has been sent
        self._bulk_next = False
        self.dropped = dict.fromkeys(Lane, 0)

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._waiting.values()) + len(self._begun)

    @property
    def size_bytes(self) -> int:
        """What waits, but for the messages of which a piece has been sent."""
        return sum(self._bytes.values())

    def push(self, lane: Lane, data: bytes) -> bool:
        """Queue a message. False says that the lane is full and the message was not taken."""
        limit, queue = self._limits[lane], self._waiting[lane]
        assert len(data) <= limit.bytes_max, f"no room ever for {len(data)} bytes on {lane.name}"
        while len(queue) >= limit.messages_max or self._bytes[lane] + len(data) > limit.bytes_max:
            self.dropped[lane] += 1
            if limit.when_full is WhenFull.REFUSE:
                return False
            self._bytes[lane] -= len(queue.popleft())
        queue.append(data)
        self._bytes[lane] += len(data)
        return True

    def next_frame(self) -> bytes | None:
        """The frame to send now, or None where nothing waits."""
        lane = self._turn()
        if lane is None:
            return None
        pieces = self._begun.pop(lane, None)
        if pieces is None:
            data = self._waiting[lane].popleft()
            self._bytes[lane] -= len(data)
            pieces = split(lane, data)
        frame = next(pieces)
        if frame[0] != lane:  # marked: more of this message follows
            self._begun[lane] = pieces
        return frame

    def _turn(self) -> Lane | None:
        for lane in (Lane.CONSENSUS, Lane.PROPOSAL):
            if self._has(lane):
                return lane
        pair = (Lane.BULK, Lane.GOSSIP) if self._bulk_next else (Lane.GOSSIP, Lane.BULK)
        for lane in pair:
            if self._has(lane):
                self._bulk_next = lane is Lane.GOSSIP
                return lane
        return None

    def _has(self, lane: Lane) -> bool:
        return lane in self._begun or bool(self._waiting[lane])
