"""Each spoiled block is wrong in the one place it says, and the chain refuses it for that."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ledger.block import Block, block_id
from network.adversaries.adversary import Hands
from network.adversaries.bad_blocks import (
    BadBlock,
    BadHeight,
    BadParent,
    BadRepeat,
    BadRoot,
    BadSize,
    BadTime,
    WrongBody,
)
from network.simulator.chain import WALL_START_MS, Chain, base_block, block_on, is_body_of
from network.simulator.disk import Committed, Disk, base_of

CHAIN = b"c" * 32
BASE = base_block(CHAIN)
ONE = block_on(BASE.header, WALL_START_MS, b"", (b"1" * 16,))
TWO = block_on(ONE.header, WALL_START_MS + 10, b"", (b"2" * 16,))
GOOD = block_on(TWO.header, WALL_START_MS + 20, b"", (b"3" * 16,))


def new_chain() -> Chain:
    entries = [Committed(block_id(each.header), each, None) for each in (ONE, TWO)]
    return Chain(Disk([base_of(BASE), *entries]))


def liar(kind: type[BadBlock], seed: int) -> BadBlock:
    chain = new_chain()
    hands: Any = SimpleNamespace(random=Random(seed), chain=lambda: chain)
    return kind(cast(Hands, hands))


def spoilt(kind: type[BadBlock], seed: int) -> Block:
    block = liar(kind, seed).spoil(GOOD)
    assert block is not None
    return block


def test_the_good_block_is_good() -> None:
    """Else nothing below says anything."""
    assert new_chain().is_valid(GOOD)
    assert is_body_of(GOOD)


@pytest.mark.parametrize("kind", [BadRoot, BadHeight, BadSize, BadRepeat])
@pytest.mark.parametrize("seed", range(6))
def test_a_bad_block_is_invalid_and_whole(kind: type[BadBlock], seed: int) -> None:
    """Its body is its header's, and yet the chain refuses it for good."""
    block = spoilt(kind, seed)
    assert is_body_of(block)
    assert new_chain().is_valid(block) is False


def test_a_bad_time_is_refused_or_waits() -> None:
    """Not after the parent's: invalid. Tomorrow's is valid, and a matter of patience."""
    times = set()
    for seed in range(20):
        block = spoilt(BadTime, seed)
        is_later = block.header.time_ms > TWO.header.time_ms
        assert new_chain().is_valid(block) is is_later
        times.add(is_later)
    assert times == {True, False}


def test_a_bad_parent_is_another_one() -> None:
    """Unknown, or the block below the parent; never the parent that the certificate is of."""
    parents = {spoilt(BadParent, seed).header.parent_id for seed in range(20)}
    assert len(parents) == 2
    assert TWO.header.parent_id in parents
    assert GOOD.header.parent_id not in parents


def test_a_wrong_body_keeps_the_header() -> None:
    """The id is the good block's; who looks at the body alone sees the lie."""
    block = spoilt(WrongBody, 1)
    assert block.header == GOOD.header
    assert not is_body_of(block)
