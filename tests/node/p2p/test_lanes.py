"""Lanes: who goes first, and what a full one does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.p2p.frames import PIECE_BYTES_MAX, Assembler, Lane
from node.p2p.lanes import LIMITS, LaneLimit, Lanes, WhenFull

SMALL = {
    Lane.CONSENSUS: LaneLimit(3, 100, WhenFull.DROP_OLDEST),
    Lane.PROPOSAL: LaneLimit(3, 100, WhenFull.DROP_OLDEST),
    Lane.GOSSIP: LaneLimit(3, 100, WhenFull.REFUSE),
    Lane.BULK: LaneLimit(3, 100, WhenFull.REFUSE),
}


def drain(lanes: Lanes) -> list[bytes]:
    """Every message, in the order in which the other side has it whole."""
    assembler, messages = Assembler(), []
    while (frame := lanes.next_frame()) is not None:
        message = assembler.feed(frame)
        if message is not None:
            messages.append(message)
    return messages


def test_lanes_go_in_their_order_whatever_was_queued_first() -> None:
    """Consensus, then proposals, then gossip and bulk in turns."""
    lanes = Lanes()
    for lane, data in (
        (Lane.BULK, b"b1"),
        (Lane.BULK, b"b2"),
        (Lane.GOSSIP, b"g1"),
        (Lane.GOSSIP, b"g2"),
        (Lane.PROPOSAL, b"p1"),
        (Lane.CONSENSUS, b"c1"),
        (Lane.CONSENSUS, b"c2"),
    ):
        assert lanes.push(lane, data)
    assert drain(lanes) == [b"c1", b"c2", b"p1", b"g1", b"b1", b"g2", b"b2"]


def test_a_vote_overtakes_a_block_between_two_pieces() -> None:
    """A message that is half sent waits for a more urgent one, and is whole in the end."""
    lanes, assembler = Lanes(), Assembler()
    block = bytes(10 * PIECE_BYTES_MAX)
    lanes.push(Lane.BULK, block)
    for _ in range(3):
        frame = lanes.next_frame()
        assert frame is not None
        assert assembler.feed(frame) is None
    lanes.push(Lane.CONSENSUS, b"vote")
    frame = lanes.next_frame()
    assert frame is not None
    assert assembler.feed(frame) == b"vote"
    rest = []
    while (frame := lanes.next_frame()) is not None:
        rest.append(assembler.feed(frame))
    assert rest == [None] * 6 + [block]


@pytest.mark.parametrize("lane", [Lane.CONSENSUS, Lane.PROPOSAL])
def test_a_full_urgent_lane_loses_its_oldest(lane: Lane) -> None:
    """The newest vote says most; what was lost is counted."""
    lanes = Lanes(SMALL)
    assert all(lanes.push(lane, data) for data in (b"1", b"2", b"3", b"4", b"5"))
    assert lanes.dropped[lane] == 2
    assert drain(lanes) == [b"3", b"4", b"5"]


@pytest.mark.parametrize("lane", [Lane.GOSSIP, Lane.BULK])
def test_a_full_patient_lane_refuses_the_newest(lane: Lane) -> None:
    """The sender is told, and keeps what was not taken."""
    lanes = Lanes(SMALL)
    assert [lanes.push(lane, data) for data in (b"1", b"2", b"3", b"4")] == [True, True, True, False]
    assert lanes.dropped[lane] == 1
    assert drain(lanes) == [b"1", b"2", b"3"]


def test_bytes_fill_a_lane_as_messages_do() -> None:
    """A few large messages are as full as many small ones."""
    lanes = Lanes(SMALL)
    assert lanes.push(Lane.CONSENSUS, bytes(60))
    assert lanes.push(Lane.CONSENSUS, bytes(50))
    assert lanes.dropped[Lane.CONSENSUS] == 1
    assert not lanes.push(Lane.GOSSIP, bytes(50)) or not lanes.push(Lane.GOSSIP, bytes(60))
    assert lanes.size_bytes == 100


@given(st.lists(st.tuples(st.sampled_from(list(Lane)), st.integers(1, 99)) | st.none(), max_size=60))
def test_no_lane_is_ever_over_its_limits(steps: list[tuple[Lane, int] | None]) -> None:
    """Whatever is queued and sent: the limits hold, the sums are right, each lane keeps its order."""
    lanes, assembler = Lanes(SMALL), Assembler()
    number = 0
    received: dict[int, list[bytes]] = {lane: [] for lane in Lane}
    for step in steps:
        if step is None:
            frame = lanes.next_frame()
            if frame is not None:
                message = assembler.feed(frame)
                assert message is not None
                received[frame[0]].append(message)
        else:
            number += 1
            lanes.push(step[0], number.to_bytes(2, "big") + bytes(step[1] - 1))
        for lane, limit in SMALL.items():
            queue = lanes._waiting[lane]
            assert len(queue) <= limit.messages_max
            assert sum(map(len, queue)) == lanes._bytes[lane] <= limit.bytes_max
    assert all(got == sorted(got, key=lambda data: data[:2]) for got in received.values())


def test_no_single_message_is_too_large_for_its_lane() -> None:
    """Blocks fit the lanes that carry blocks."""
    for lane in (Lane.PROPOSAL, Lane.BULK):
        assert LIMITS[lane].bytes_max >= 8 << 20
