"""The block store: in order, written once, hashed again when read, and pages that prove themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import block_id, decode_block
from ledger.codec import decode, encode
from ledger.types import BlockId, Height, TxId
from node.link import check_link
from node.store.blocks import BlockStore
from node.store.failure import StoreCorrupted, StoreError
from node.store.memory import MemoryDatabase
from node.store.stores import FinalizedBlock, Stores, stores_over
from tests.node.store.chain import (
    CHAIN,
    DEPTH,
    extend,
    fill,
    genesis_block,
    next_execution,
    tip_of,
    transaction_id,
)


def new_stores() -> tuple[Stores, MemoryDatabase]:
    blocks, state = MemoryDatabase("data/blocks"), MemoryDatabase("data/state")
    fill(blocks, state)
    stores = stores_over(blocks, state, CHAIN, tree_depth=DEPTH)
    return stores, blocks


def final_height(certificate: bytes) -> int:
    """The height that a test certificate makes final."""
    height: int = decode(certificate, tuple[str, int], 100)[1]
    return height


async def test_a_new_chain_holds_block_zero() -> None:
    """After creation the genesis block is the head, without certificate, and nothing is above it."""
    blocks = new_stores()[0].blocks
    assert blocks.head == (0, block_id(genesis_block().header))
    assert blocks.block(Height(0)) == genesis_block()
    assert blocks.receipts(Height(0)) == ()
    assert blocks.block(Height(1)) is None
    assert blocks.finalized_page(Height(1), 10, 1000) is None


async def test_everything_about_a_block_is_read_back() -> None:
    """Block, receipts, certificates, id and transactions are found again, after opening too."""
    stores, database = new_stores()
    made = await extend(stores, 5, transactions=3)
    for blocks in (stores.blocks, BlockStore(database.reopened(), CHAIN)):
        assert blocks.head == (5, made[-1].tip.id)
        for execution in made:
            height = Height(execution.tip.header.height)
            stored = blocks.stored(height)
            assert stored is not None
            assert (stored.id, stored.block, stored.receipts) == (
                execution.tip.id, execution.block, execution.receipts,
            )  # fmt: skip
            assert stored.finalization == encode(("final", height))
            assert stored.covering == encode(("why", height))
            assert blocks.height_of(execution.tip.id) == height
            assert blocks.id_at(height) == execution.tip.id
            assert blocks.header(height) == execution.tip.header
            assert blocks.place_of(transaction_id(height, 2)) == (height, 2)
        assert blocks.height_of(BlockId(bytes(32))) is None
        assert blocks.place_of(TxId(bytes(32))) is None
        assert list(blocks.audit()) == list(range(6))


async def test_neither_gap_nor_overwriting() -> None:
    """A block that is not the next one is our own bug: it stops the node and changes nothing."""
    stores, database = new_stores()
    await extend(stores, 2)
    execution = next_execution(tip_of(stores), {})
    before = dict(database.entries)
    for changed in (
        execution.block.header.__class__(**{**fields(execution), "height": 2}),
        execution.block.header.__class__(**{**fields(execution), "height": 4}),
        execution.block.header.__class__(**{**fields(execution), "parent_id": bytes(32)}),
    ):
        stored = FinalizedBlock(execution, b"", b"").stored
        with pytest.raises(AssertionError):
            stores.blocks.append(replace(stored, block=replace_header(execution, changed)))
    assert database.entries == before


def fields(execution):  # type: ignore[no-untyped-def]  # a header's fields by name
    header = execution.block.header
    return {name: getattr(header, name) for name in header.__struct_fields__}


def replace_header(execution, header):  # type: ignore[no-untyped-def]  # the block under another header
    return execution.block.__class__(header, execution.block.last_certificate, execution.block.transactions)


async def test_a_block_is_not_seen_before_it_is_settled() -> None:
    """While its batch is on the way to the disk, no reader sees a block, by height, id or transaction."""
    stores, _ = new_stores()
    execution = next_execution(tip_of(stores), {})
    staged = stores.blocks.stage(FinalizedBlock(execution, b"f", b"j").stored)
    stores.blocks.write(staged)
    assert stores.blocks.head[0] == 0
    assert stores.blocks.block(Height(1)) is None
    assert stores.blocks.height_of(execution.tip.id) is None
    assert stores.blocks.place_of(transaction_id(1, 0)) is None
    assert stores.blocks.finalization(Height(1)) is None
    assert stores.blocks.finalized_page(Height(1), 9, 9) is None
    stores.blocks.settle(staged)
    assert stores.blocks.head == (1, execution.tip.id)


# --- certificates and pages -------------------------------------------------------


async def test_the_nearest_certificate_is_found() -> None:
    """A block without a certificate of its own is final by the next descendant that has one."""
    stores, _ = new_stores()
    await extend(stores, 9, finalize_each=4)
    for height, expected in ((1, 4), (4, 4), (5, 8), (8, 8)):
        found = stores.blocks.finalization(Height(height))
        assert found == (expected, encode(("final", expected)))
    assert stores.blocks.finalization(Height(9)) is None


@given(
    finalize_each=st.integers(1, 6),
    start=st.integers(1, 26),
    blocks_max=st.integers(1, 30),
    bytes_max=st.integers(0, 20_000),
)
async def test_pages_keep_their_limits_and_prove_their_end(
    finalize_each: int, start: int, blocks_max: int, bytes_max: int
) -> None:
    """Every page starts where asked, follows on, keeps its limits, and its certificate covers its end."""
    stores, _ = new_stores()
    made = await extend(stores, 24, finalize_each=finalize_each)
    page = stores.blocks.finalized_page(Height(start), blocks_max, bytes_max)
    last_final = 24 - 24 % finalize_each
    if start > last_final:
        assert page is None
        return
    assert page is not None
    blocks = [decode_block(data) for data in page.blocks]
    assert blocks == [execution.block for execution in made[start - 1 : start - 1 + len(blocks)]]
    assert 1 <= len(blocks) <= blocks_max
    assert len(blocks) == 1 or sum(map(len, page.blocks)) <= bytes_max
    assert all(upper.header.parent_id == block_id(lower.header) for lower, upper in pairwise(blocks))
    last = blocks[-1].header if page.link is None else page.link.header
    assert final_height(page.finalization) == last.height
    if page.link is not None:
        check_link(page.link, made[start + len(blocks) - 2].tip.history)
    own = [block.header.height for block in blocks if block.header.height % finalize_each == 0]
    assert (page.link is not None) == (not own), "a link only where no block has its own"


async def test_reading_page_by_page_gives_the_whole_chain() -> None:
    """A node that asks for the height after the last page gets every final block once."""
    stores, _ = new_stores()
    await extend(stores, 20, finalize_each=7)
    for blocks_max in (1, 3, 8, 64):
        heights: list[int] = []
        while page := stores.blocks.finalized_page(Height(len(heights) + 1), blocks_max, 1 << 20):
            heights += [decode_block(data).header.height for data in page.blocks]
        assert heights == list(range(1, 15))


async def test_a_page_ends_with_its_epoch() -> None:
    """The blocks of one page are of one epoch: what proves them was signed by one set of validators."""
    stores, _ = new_stores()
    await extend(stores, 3)
    await extend(stores, 3, epoch=2)
    for start, heights in ((1, [1, 2, 3]), (4, [4, 5, 6])):
        page = stores.blocks.finalized_page(Height(start), 64, 1 << 20)
        assert page is not None
        assert [decode_block(data).header.height for data in page.blocks] == heights


async def test_no_link_leads_into_another_epoch() -> None:
    """A run that no certificate of its own epoch ends is not sent: the other set's proves nothing of it."""
    stores, _ = new_stores()
    await extend(stores, 3, finalize_each=9)
    await extend(stores, 1, epoch=2)
    assert stores.blocks.finalized_page(Height(1), 64, 1 << 20) is None
    assert stores.blocks.finalized_page(Height(4), 64, 1 << 20) is not None


# --- damage -----------------------------------------------------------------------

READS: tuple[Callable[[BlockStore], object], ...] = (
    lambda blocks: blocks.stored(Height(2)),
    lambda blocks: list(blocks.audit()),
)


@given(data=st.data())
async def test_no_changed_byte_of_a_block_is_ever_answered(data: st.DataObject) -> None:
    """Whichever byte of header, body or receipts was changed on the disk, the read is refused."""
    stores, database = new_stores()
    await extend(stores, 3)
    keys = [table + (2).to_bytes(8, "big") for table in (b"H", b"B", b"R")]
    key = data.draw(st.sampled_from(keys))
    value = bytearray(database.entries[key])
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    database.write({key: bytes(value)})
    with pytest.raises(StoreCorrupted, match="data/blocks: height 2"):
        data.draw(st.sampled_from(READS))(stores.blocks)


@pytest.mark.parametrize("table", [b"H", b"B", b"R"])
async def test_missing_parts_of_a_block_are_damage(table: bytes) -> None:
    """A block below the head has all its parts, or the store is damaged."""
    stores, database = new_stores()
    await extend(stores, 3)
    database.write({table + (2).to_bytes(8, "big"): None})
    for read in READS:
        with pytest.raises(StoreCorrupted, match="height 2"):
            read(stores.blocks)


async def test_blocks_that_were_swapped_are_damage() -> None:
    """A block of another height in this one's place is refused, though its hash is right."""
    stores, database = new_stores()
    await extend(stores, 3)
    one, two = ((b"H" + height.to_bytes(8, "big")) for height in (1, 2))
    database.write({two: database.entries[one]})
    with pytest.raises(StoreCorrupted, match="height 2"):
        stores.blocks.block(Height(2))


async def test_a_store_without_blocks_is_refused() -> None:
    """An identity without block 0 is no block store."""
    _, database = new_stores()
    database.write({key: None for key in list(database.entries) if key[:1] == b"H"})
    with pytest.raises(StoreError):
        BlockStore(database, CHAIN)
