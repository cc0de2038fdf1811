"""Frames: a message comes apart and together again, whatever travels between its pieces."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError
from node.p2p import frames
from node.p2p.frames import FRAME_BYTES_MAX, PIECE_BYTES_MAX, Assembler, Lane, split
from node.p2p.messages import MESSAGE_BYTES_MAX

LANES = st.sampled_from(list(Lane))


@given(
    LANES,
    st.sampled_from([1, PIECE_BYTES_MAX - 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 3 * PIECE_BYTES_MAX]),
)
def test_a_message_of_any_size_comes_together_again(lane: Lane, size: int) -> None:
    """No frame is over its limit, only the last piece completes the message, and it is the same."""
    data = bytes(number % 251 for number in range(size))
    assembler = Assembler()
    pieces = list(split(lane, data))
    assert all(len(piece) <= FRAME_BYTES_MAX for piece in pieces)
    assert [assembler.feed(piece) for piece in pieces] == [None] * (len(pieces) - 1) + [data]


@given(st.data())
def test_lanes_interleave_at_will(data: st.DataObject) -> None:
    """Pieces of one lane in order, lanes mixed in any way: every message arrives, in its lane's order."""
    sent = {lane: [bytes([lane]) * size for size in data.draw(SIZES)] for lane in Lane}
    streams = {lane: deque(p for m in messages for p in split(lane, m)) for lane, messages in sent.items()}
    assembler, received = Assembler(), {lane: [] for lane in Lane}
    while waiting := [lane for lane, stream in streams.items() if stream]:
        lane = data.draw(st.sampled_from(waiting))
        message = assembler.feed(streams[lane].popleft())
        if message is not None:
            received[lane].append(message)
    assert received == sent


SIZES = st.lists(st.sampled_from([1, 500, PIECE_BYTES_MAX + 7, 2 * PIECE_BYTES_MAX]), max_size=3)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"", "frame.malformed"),
        (b"\x00", "frame.malformed"),
        (b"\x04x", "frame.malformed"),
        (b"\x7fx", "frame.malformed"),
        (b"\x80x", "frame.malformed"),
        (bytes(FRAME_BYTES_MAX + 1), "frame.too_large"),
    ],
)
def test_a_frame_that_no_node_makes_is_refused(frame: bytes, code: str) -> None:
    """Empty, of an unknown lane, a short piece that is not the last, or too long."""
    with pytest.raises(LedgerError) as refusal:
        Assembler().feed(frame)
    assert refusal.value.code == code


def test_pieces_without_end_are_refused_at_the_limit_of_a_message() -> None:
    """An unfinished message holds no more than a message may have."""
    assembler = Assembler()
    piece = b"\x81" + bytes(PIECE_BYTES_MAX)
    for _ in range(MESSAGE_BYTES_MAX // PIECE_BYTES_MAX):
        assert assembler.feed(piece) is None
    with pytest.raises(LedgerError) as refusal:
        assembler.feed(piece)
    assert refusal.value.code == "message.too_large"


def test_a_last_piece_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for the whole message, its last piece included."""
    monkeypatch.setattr(frames, "MESSAGE_BYTES_MAX", PIECE_BYTES_MAX + 1)
    assembler = Assembler()
    assembler.feed(b"\x80" + bytes(PIECE_BYTES_MAX))
    with pytest.raises(LedgerError):
        assembler.feed(b"\x00xx")


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_any_frames_are_taken_or_refused_with_a_code(received: list[bytes]) -> None:
    """Hostile frames raise a LedgerError, never another exception."""
    assembler, codes = Assembler(), []
    for frame in received:
        try:
            assembler.feed(frame)
        except LedgerError as refusal:
            codes.append(refusal.code)
    assert all(code.startswith(("frame.", "message.")) for code in codes)
