"""The judge executes what became final by itself, and finds each wrong field."""

from __future__ import annotations

import msgspec
import pytest

from ledger.block import Block, block_id
from network.simulator.chain import WALL_START_MS, base_block, block_on
from network.simulator.disk import Committed, base_of
from network.simulator.history import TRANSACTIONS_MAX, History, landing_views

BASE = base_block(b"c" * 32)
ONE = block_on(BASE.header, WALL_START_MS, b"", (b"1" * 16,))
TWO = block_on(ONE.header, WALL_START_MS + 5, b"", (b"2" * 16,))


def judged(*blocks: Block, landing: int | None = None) -> tuple[History, list[str]]:
    found: list[str] = []
    history = History(BASE.header, lambda rule, problem: found.append(f"{rule}: {problem}"), landing)
    for block in blocks:
        history.committed(0, block, 4)
    return history, found


def changed(block: Block, **fields: object) -> Block:
    header = msgspec.structs.replace(block.header, **fields)
    return Block(header, block.last_certificate, block.transactions)


def test_good_blocks_are_good() -> None:
    """Else nothing below says anything; the same block from another node is judged once."""
    history, found = judged(ONE, TWO, TWO)
    assert found == []
    assert history.transactions == 2


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (changed(TWO, parent_id=b"x" * 32), "a parent that was never final"),
        (changed(TWO, height=3), "a height after 1"),
        (changed(TWO, time_ms=ONE.header.time_ms), "a time that is not after its parent's"),
        (changed(TWO, transaction_count=2), "1 transactions"),
        (changed(TWO, transactions_root=b"x" * 32), "another body than its header's"),
        (changed(TWO, state_root=b"x" * 32), "a wrong state root"),
        (changed(TWO, history_root=b"x" * 32), "a wrong history root"),
        (
            block_on(ONE.header, WALL_START_MS + 5, b"", ONE.transactions),
            "a transaction that is final already",
        ),
        (
            block_on(
                ONE.header,
                WALL_START_MS + 5,
                b"",
                tuple(bytes([at]) * 16 for at in range(TRANSACTIONS_MAX + 1)),
            ),
            "17 transactions",
        ),
    ],
)
def test_each_wrong_field_is_found(block: Block, problem: str) -> None:
    """A final block that the judge's own execution refuses is named with what is wrong."""
    _, found = judged(ONE, block)
    assert found == [f"block: node 0 committed {block.header.height} with {problem}"]


def test_another_root_at_a_height_is_found() -> None:
    """Two nodes with two states."""
    other = block_on(ONE.header, WALL_START_MS + 5, b"", (b"3" * 16,))
    history, found = judged(ONE, TWO)
    history.committed(1, other, 4)
    assert found == ["roots: node 1 has another state at height 2"]


def test_a_lost_transaction_is_found() -> None:
    """Each disk that is as high holds each final transaction at its height; a lower one need not."""
    history, found = judged(ONE, TWO)
    chain = [base_of(BASE), *(Committed(block_id(each.header), each, None) for each in (ONE, TWO))]
    history.judge_end({0: chain, 1: chain[:2]})
    assert found == []
    empty = block_on(ONE.header, WALL_START_MS + 5, b"", ())
    history.judge_end({2: [*chain[:2], Committed(block_id(empty.header), empty, None)]})
    assert found == ["lost: node 2 lacks 1 transactions that were final"]


def test_a_late_transaction_is_found_where_landing_is_bounded() -> None:
    """Handed in at view 1, final in view 4: within three views, and not within two."""
    for landing, late in ((None, 0), (3, 0), (2, 1)):
        history, found = judged(landing=landing)
        history.submitted(ONE.transactions[0], 1)
        history.committed(0, ONE, 4)
        assert len(found) == late
        assert all(each.startswith("censored") for each in found)
    assert landing_views(4) < landing_views(10)
