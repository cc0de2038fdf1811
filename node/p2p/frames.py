"""Messages in bounded frames, so that a vote can overtake a block that is half sent.

A frame is one WebSocket binary message: a byte that names its lane and says whether more of the message
follows, then a piece of the message. Pieces of one lane stay in order; lanes interleave at will.

Source: docs/spec/p2p.md, rules F1-F4.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from ledger.errors import LedgerError
from node.p2p.messages import MESSAGE_BYTES_MAX

PIECE_BYTES_MAX: Final = 64 << 10  # at 1 Mbit/s, half a second that a vote may wait
FRAME_BYTES_MAX: Final = 1 + PIECE_BYTES_MAX
_MORE: Final = 0x80


class Lane(IntEnum):
    """Which traffic goes first. The first two go strictly ahead; the last two share what is left."""

    CONSENSUS = 0
    PROPOSAL = 1
    GOSSIP = 2
    BULK = 3


def split(lane: Lane, data: bytes) -> Iterator[bytes]:
    """The frames of one message, in order."""
    assert 0 < len(data) <= MESSAGE_BYTES_MAX, f"a message of {len(data)} bytes"
    for start in range(0, len(data), PIECE_BYTES_MAX):
        end = start + PIECE_BYTES_MAX
        yield bytes([lane | (_MORE if end < len(data) else 0)]) + data[start:end]


class Assembler:
    """Puts the frames of one connection together again; holds at most one unfinished message a lane."""

    def __init__(self) -> None:
        self._pieces: dict[Lane, bytearray] = {}

    def feed(self, frame: bytes) -> bytes | None:
        """The message that this frame completes, or None.

        Raises:
            LedgerError: `frame.malformed`, `frame.too_large`, `message.too_large`.
        """
        if not 2 <= len(frame) <= FRAME_BYTES_MAX:
            code = "frame.malformed" if len(frame) < 2 else "frame.too_large"
            raise LedgerError(code, f"a frame of {len(frame)} bytes, 2 to {FRAME_BYTES_MAX} are allowed")
        number = frame[0] & ~_MORE
        if number >= len(Lane):
            raise LedgerError("frame.malformed", f"there is no lane {number}")
        lane = Lane(number)
        if frame[0] & _MORE:
            self._collect(lane, frame)
            return None
        started = self._pieces.pop(lane, None)
        if started is None:
            return frame[1:]
        _check_size(len(started) + len(frame) - 1)
        return bytes(started) + frame[1:]

    def _collect(self, lane: Lane, frame: bytes) -> None:
        # Only a full piece may be followed by more: else a peer could make us count millions of tiny ones.
        if len(frame) != FRAME_BYTES_MAX:
            raise LedgerError("frame.malformed", f"a piece of {len(frame) - 1} bytes that is not the last")
        pieces = self._pieces.setdefault(lane, bytearray())
        _check_size(len(pieces) + len(frame) - 1)
        pieces += memoryview(frame)[1:]


def _check_size(size: int) -> None:
    if size > MESSAGE_BYTES_MAX:
        raise LedgerError("message.too_large", f"a message over {MESSAGE_BYTES_MAX} bytes")
