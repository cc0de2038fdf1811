"""Bodies: at hand only when they are what the header commits to, bounded, and waited for without polling."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

import node.bodies as bodies_module
from ledger.block import Block, block_id
from node.bodies import Bodies, is_body_of
from tests.ledger.chain import build, genesis_tip, grow, make_transaction

TIP = grow(genesis_tip(), 1)
EXECUTION = build(TIP, make_transaction(nonce=1), make_transaction(nonce=2))
BLOCK = EXECUTION.block
ID = block_id(BLOCK.header)


def blocks(count: int) -> list[Block]:
    """Different blocks of one transaction each."""
    return [build(TIP, make_transaction(nonce=nonce)).block for nonce in range(count)]


@pytest.mark.parametrize(
    "changed",
    [
        msgspec.structs.replace(BLOCK, transactions=BLOCK.transactions[:1]),
        msgspec.structs.replace(BLOCK, transactions=BLOCK.transactions[::-1]),
        msgspec.structs.replace(BLOCK, transactions=(*BLOCK.transactions, b"more")),
        msgspec.structs.replace(BLOCK, last_certificate=b"other"),
        msgspec.structs.replace(BLOCK, last_certificate=b""),
        msgspec.structs.replace(BLOCK, header=msgspec.structs.replace(BLOCK.header, transaction_count=1)),
    ],
)
def test_a_body_that_is_not_the_headers_is_not_taken(changed: Block) -> None:
    """Left out, reordered, added, another certificate: a peer's offer is refused and nothing is kept."""
    bodies = Bodies()
    assert not bodies.offer(changed)
    assert bodies.get(block_id(changed.header)) is None
    assert not is_body_of(changed.header, changed.last_certificate, changed.transactions)


def test_a_good_body_is_at_hand_until_it_is_dropped() -> None:
    """By the id of its header."""
    bodies = Bodies()
    assert bodies.offer(BLOCK)
    assert bodies.get(ID) is BLOCK
    bodies.drop(ID)
    bodies.drop(ID)
    assert bodies.get(ID) is None


def test_the_number_of_bodies_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest goes first; to put one again does not make it two."""
    monkeypatch.setattr(bodies_module, "BODIES_MAX", 3)
    bodies, made = Bodies(), blocks(4)
    for block in (*made[:3], made[0], made[3]):
        bodies.put(block)
    assert [bodies.get(block_id(block.header)) for block in made] == [None, *made[1:]]


def test_the_bytes_of_bodies_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first; one is always kept, however large."""
    made = blocks(4)
    size = sum(map(len, made[0].transactions)) + len(made[0].last_certificate)
    monkeypatch.setattr(bodies_module, "BODIES_BYTES_MAX", 2 * size)
    bodies = Bodies()
    for block in made:
        bodies.put(block)
    assert [bodies.get(block_id(block.header)) for block in made] == [None, None, *made[2:]]
    bodies.drop(block_id(made[2].header))
    bodies.put(made[0])  # room was made by the drop
    assert bodies.get(block_id(made[3].header)) is made[3]
    monkeypatch.setattr(bodies_module, "BODIES_BYTES_MAX", 1)
    bodies.put(made[1])
    assert bodies.get(block_id(made[1].header)) is made[1]


async def test_who_waits_is_woken_by_the_body() -> None:
    """All of them, at once, without asking again."""
    bodies = Bodies()
    waiting = [asyncio.create_task(bodies.wait(ID, 60)) for _ in range(3)]
    await asyncio.sleep(0)
    bodies.offer(BLOCK)
    assert await asyncio.gather(*waiting) == [BLOCK] * 3
    assert await bodies.wait(ID, 60) is BLOCK


async def test_a_wait_ends_with_its_time() -> None:
    """Nothing comes: None, and nothing is left of the wait."""
    bodies = Bodies()
    assert await bodies.wait(ID, 0) is None
    assert bodies._waiting == {}
    other = blocks(1)[0]
    task = asyncio.create_task(bodies.wait(ID, 60))
    await asyncio.sleep(0)
    bodies.offer(other)
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bodies._waiting == {}


async def test_one_who_gave_up_does_not_disturb_the_others() -> None:
    """A cancelled wait is passed over when the body comes."""
    bodies = Bodies()
    gone, stays = (asyncio.create_task(bodies.wait(ID, 60)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    bodies.put(BLOCK)
    assert await stays is BLOCK
