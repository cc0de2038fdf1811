"""Catching up: certificates alone move a node, and honest peers are never blamed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import node.catch_up as catch_up_module
from ledger.block import Block, Header, block_id, decode_block
from ledger.codec import encode
from ledger.consensus.events import Behind, Synced
from ledger.consensus.timeouts import ConsensusParameters
from ledger.transition import Execution
from ledger.types import BlockId, Epoch, Height, PublicKey, View
from ledger.vote import Certificate, VoteKind
from node.catch_up import PAGE_BLOCKS_MAX, PAGE_BYTES_MAX, CatchUp, Page
from node.driver import NodeHalted
from node.home import Home
from node.justify import Justifier
from node.link import Link
from node.lost_blocks import MARK_FILE, LostBlocks, read_mark
from tests.contracts.chain import START_MS
from tests.node.room import Room, SteadyNotes

ANNA, BERT = PublicKey(b"a" * 32), PublicKey(b"b" * 32)
Alter = Callable[[Page], Page | None]


class Follower:
    """A node that is behind, and peers that answer from another node's store, changed as the test likes."""

    def __init__(self, source: Room, room: Room | None = None) -> None:
        self.source = source
        self.room = room or Room()
        self.peers: list[PublicKey] = [ANNA]
        self.alter: dict[PublicKey, Alter] = {}
        self.asked: list[tuple[PublicKey, int, int]] = []
        self.committed: list[BlockId] = []
        self.synced: list[Synced] = []
        self.raised: list[Certificate] = []
        self.blamed: list[tuple[PublicKey, str]] = []
        self.recoveries: list[tuple[PublicKey, bytes]] = []
        self.held: list[Certificate] = []  # what consensus holds
        self.alter_settled: dict[PublicKey, Callable[[list[bytes]], list[bytes]]] = {}
        self.asked_views: list[tuple[PublicKey, int, int]] = []
        self.settled_count_max = 64
        self.wall_ms = START_MS
        self.justifier = Justifier(
            self.room.executor,
            self.ask_settled,
            lambda: self.peers,
            lambda: self.held,
            lambda: self.wall_ms,
            self.room.disk.run,
            lambda peer, code: self.blamed.append((peer, code)),
        )
        self.catch_up = CatchUp(
            self.room.executor,
            self.ask,
            lambda: self.peers,
            self.on_committed,
            self.synced.append,
            self.on_finalization,
            lambda peer, code: self.blamed.append((peer, code)),
            lambda peer, recovery: self.recoveries.append((peer, recovery)),
            self.justifier,
        )

    async def ask_settled(self, peer: PublicKey, epoch: Epoch, after: View, until: View) -> Sequence[bytes]:
        self.asked_views.append((peer, after, until))
        found = self.source.stores.blocks.settled.page(epoch, after, until, self.settled_count_max)
        alter = self.alter_settled.get(peer)
        page = [certificate for _, certificate in found]
        return page if alter is None else alter(page)

    async def ask(self, peer: PublicKey, start: Height, blocks_max: int) -> Page | None:
        self.asked.append((peer, start, blocks_max))
        found = self.source.stores.blocks.finalized_page(start, blocks_max, PAGE_BYTES_MAX)
        page = None if found is None else Page(found.blocks, found.link, found.finalization)
        alter = self.alter.get(peer)
        return alter(page) if alter is not None and page is not None else page

    async def on_committed(self, identifier: BlockId) -> None:
        self.committed.append(identifier)

    def on_finalization(self, peer: PublicKey, finalization: Certificate) -> None:
        """What consensus does with a finalization that it did not know: it aims there."""
        self.raised.append(finalization)
        self.catch_up.aim(Behind(finalization))

    def target(self, height: int | None = None) -> Certificate:
        """What consensus saw: the finalization of a height of the source."""
        at = Height(self.source.height if height is None else height)
        identifier = self.source.stores.blocks.id_at(at)
        assert identifier is not None
        return self.source.certificate(identifier, self.source.view_at(at))

    async def follow(self, target: Certificate | None = None, turns: int = 2_000) -> bool:
        """Aim, and run until the aim is reached or nothing more can be hoped for."""
        self.catch_up.aim(Behind(target or self.target()))
        task = asyncio.create_task(self.catch_up.run())
        for _ in range(turns):
            await asyncio.sleep(0)
            if self.catch_up.target_view is None or task.done():
                break
        if task.done():
            task.result()
        task.cancel()
        return self.catch_up.target_view is None


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause between rounds is one turn of the event loop."""
    monkeypatch.setattr(catch_up_module, "PAUSE_SECONDS", 0)


async def source_of(blocks: int, finalize_each: int = 1, **parameters: Any) -> Room:
    room = Room(**parameters)
    await room.grow(blocks, finalize_each=finalize_each)
    return room


async def test_a_node_that_was_away_gets_the_same_chain() -> None:
    """Same head, same state, each block reported, consensus told where it stands."""
    follower = Follower(await source_of(5))
    assert await follower.follow()
    assert follower.room.executor.committed.id == follower.source.executor.committed.id
    assert follower.room.stores.state.tree.root == follower.source.stores.state.tree.root
    assert len(follower.committed) == 5
    assert follower.synced[-1].head == follower.source.executor.committed.header
    assert follower.synced[-1].finalization == follower.target()
    assert follower.blamed == []


async def test_a_long_way_is_gone_page_by_page() -> None:
    """Each page begins where the last one ended."""
    follower = Follower(await source_of(PAGE_BLOCKS_MAX + 5))
    assert await follower.follow(turns=20_000)
    assert [start for _, start, _ in follower.asked] == [1, PAGE_BLOCKS_MAX + 1]


async def test_a_peer_that_deals_out_the_truth_drop_by_drop_holds_nobody_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One honest block in five seconds is slower than the chain grows: the quicker peer is asked instead."""
    follower = Follower(await source_of(3 * PAGE_BLOCKS_MAX))
    follower.peers = [ANNA, BERT]
    loop, ask, late = asyncio.get_running_loop(), follower.ask, 0.0
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + late)

    async def slow(peer: PublicKey, start: Height, blocks_max: int) -> Page | None:
        nonlocal late
        late += 4.9 if peer == ANNA else 0.0
        return await ask(peer, start, 1 if peer == ANNA else blocks_max)

    monkeypatch.setattr(follower.catch_up, "_ask", slow)
    assert await follower.follow(turns=20_000)
    assert [peer for peer, _, _ in follower.asked] == [ANNA, BERT, BERT, BERT]
    assert follower.blamed == []


async def test_what_lies_beyond_the_aim_is_left_to_consensus() -> None:
    """A peer that is ahead answers with more: the node takes the part up to its aim, and blames nobody."""
    follower = Follower(await source_of(6))
    assert await follower.follow(follower.target(4))
    assert follower.room.height == 4
    assert follower.synced[-1].finalization == follower.target(4)
    assert follower.blamed == []


async def test_a_higher_aim_replaces_a_lower_one() -> None:
    """And a lower one that comes late does not take it back."""
    follower = Follower(await source_of(4))
    follower.catch_up.aim(Behind(follower.target(2)))
    follower.catch_up.aim(Behind(follower.target(4)))
    follower.catch_up.aim(Behind(follower.target(3)))
    assert follower.catch_up.target_view == 4


EPOCHS: dict[str, Any] = {"rules": SteadyNotes(), "consensus": ConsensusParameters(epoch_blocks=3)}


async def test_the_way_leads_epoch_by_epoch() -> None:
    """No page passes a last block: consensus hears of each one, and aims anew in the next epoch."""
    follower = Follower(await source_of(8, **EPOCHS), Room(**EPOCHS))
    for last in (3, 6, 8):
        assert await follower.follow(follower.target(last))
        assert follower.room.height == last
        assert follower.synced[-1] == Synced(follower.room.executor.committed.header, follower.target(last))
    assert [start for _, start, _ in follower.asked] == [1, 4, 7]
    assert follower.blamed == []


async def test_an_aim_of_a_later_epoch_is_higher_whatever_its_view() -> None:
    """Views are counted within an epoch: a low view of the next one replaces a high one of the last."""
    follower = Follower(await source_of(4, **EPOCHS), Room(**EPOCHS))
    last = follower.source.stores.blocks.id_at(Height(3))
    assert last is not None
    follower.catch_up.aim(Behind(follower.source.certificate(last, 70)))
    follower.catch_up.aim(Behind(follower.target(4)))
    assert follower.catch_up.target_view == 1
    follower.catch_up.aim(Behind(follower.source.certificate(last, 71)))
    assert follower.catch_up.target_view == 1


async def test_a_page_that_comes_after_the_turn_is_no_offence() -> None:
    """Consensus committed the last block while the peer answered: its certificate is of the set before."""
    follower = Follower(await source_of(3, **EPOCHS), Room(**EPOCHS))
    answer = follower.ask

    async def slow(peer: PublicKey, start: Height, blocks_max: int) -> Page | None:
        page = await answer(peer, start, blocks_max)
        if follower.room.height < 3:
            for height in (1, 2, 3):
                block = follower.source.stores.blocks.block(Height(height))
                assert block is not None
                await follower.room.commit(await follower.room.executor.check(block))
        return page

    follower.catch_up._ask = slow
    assert await follower.follow()
    assert follower.blamed == []


async def test_an_aim_that_is_reached_already_asks_nobody() -> None:
    """Consensus was faster."""
    source = await source_of(3)
    follower = Follower(source, source)
    assert await follower.follow()
    assert follower.asked == []


async def test_a_peer_that_answers_late_is_not_to_blame() -> None:
    """While it answered, consensus committed everything that its page holds."""
    source = await source_of(3)
    follower = Follower(source)
    blocks = [source.stores.blocks.block(Height(height)) for height in (1, 2, 3)]

    async def faster(peer: PublicKey, start: Height, blocks_max: int) -> Page | None:
        page = await Follower.ask(follower, peer, start, blocks_max)
        for block in blocks:
            assert block is not None
            execution = await follower.room.executor.check(block)
            await follower.room.commit(execution)
        return page

    follower.catch_up._ask = faster
    assert await follower.follow()
    assert follower.room.height == 3
    assert follower.blamed == []


async def test_consensus_may_commit_while_a_page_is_run() -> None:
    """The page's blocks that are final by then are skipped, and the rest goes on."""
    source = await source_of(3)
    follower = Follower(source)
    first = source.stores.blocks.block(Height(1))
    second = source.stores.blocks.block(Height(2))
    assert first is not None
    assert second is not None

    async def meanwhile(identifier: BlockId) -> None:
        follower.committed.append(identifier)
        if len(follower.committed) == 1:
            await follower.room.commit(await follower.room.executor.check(second))

    follower.catch_up._on_committed = meanwhile
    assert await follower.follow()
    assert follower.room.height == 3
    assert len(follower.committed) == 2  # the one that consensus committed is consensus's to report
    assert follower.blamed == []


async def test_a_block_that_consensus_committed_meanwhile_is_not_reported_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its waiting clients, metrics and log line are served once."""
    follower = Follower(await source_of(1))
    run = follower.room.executor.check

    async def run_and_lose(block: Block) -> Execution:
        execution = await run(block)
        await follower.room.commit(execution)
        return execution

    monkeypatch.setattr(follower.room.executor, "check", run_and_lose)
    assert await follower.follow()
    assert follower.room.height == 1
    assert follower.committed == []


async def test_the_next_peer_is_asked_where_one_has_nothing() -> None:
    """And the one that answers well is asked again first."""
    follower = Follower(await source_of(PAGE_BLOCKS_MAX + 1))
    follower.peers = [ANNA, BERT]
    follower.alter[ANNA] = lambda page: None
    assert await follower.follow(turns=20_000)
    assert [peer for peer, _, _ in follower.asked] == [ANNA, BERT, BERT]


# --- runs without a certificate ---------------------------------------------------

RUN = 3 * PAGE_BLOCKS_MAX + 15  # blocks under one certificate, more than three pages


async def test_a_run_longer_than_any_page_is_caught_up() -> None:
    """Only the last of more than 200 blocks has a certificate: page by page the whole chain comes."""
    follower = Follower(await source_of(RUN, finalize_each=RUN))
    assert await follower.follow(turns=60_000)
    assert follower.room.executor.committed.id == follower.source.executor.committed.id
    assert follower.room.stores.state.tree.root == follower.source.stores.state.tree.root
    assert [start for _, start, _ in follower.asked] == [1 + each * PAGE_BLOCKS_MAX for each in range(4)]
    assert follower.blamed == []
    blocks = follower.room.stores.blocks
    assert blocks.finalization(Height(1)) == (RUN, encode(follower.target()))
    assert [blocks.stored(Height(each)).finalization for each in (1, RUN - 1)] == [b"", b""]  # type: ignore[union-attr]  # they are there


async def test_consensus_hears_only_of_a_block_that_its_own_certificate_names() -> None:
    """Below the certificate there is no view to tell; a restart reads the covering one from the store."""
    source = await source_of(PAGE_BLOCKS_MAX + 9, finalize_each=PAGE_BLOCKS_MAX + 9)
    follower = Follower(source)
    seen: list[int] = []
    follower.catch_up._on_synced = lambda synced: seen.append(synced.head.height)
    assert await follower.follow(turns=20_000)
    assert seen == [PAGE_BLOCKS_MAX + 9]
    middle = follower.room.stores.blocks.stored(Height(PAGE_BLOCKS_MAX))
    assert middle is not None
    assert middle.covering == encode(follower.target())


async def test_an_aim_under_the_link_is_raised_by_consensus_before_anything_is_stored() -> None:
    """A store never stands above the signer's floor: consensus hears of the higher certificate first."""
    follower = Follower(await source_of(RUN, finalize_each=RUN))
    below: list[int] = []

    def tell(peer: PublicKey, found: Certificate) -> None:
        below.append(follower.room.height)
        follower.on_finalization(peer, found)

    follower.catch_up._on_finalization = tell
    assert await follower.follow(follower.target(PAGE_BLOCKS_MAX + 3), turns=60_000)
    assert follower.raised == [follower.target()]
    assert below == [0]
    assert follower.room.height == RUN
    assert follower.blamed == []


async def test_an_aim_inside_of_a_linked_page_ends_there() -> None:
    """The aim's own finalization proves what lies below it, whatever the page's link leads to."""
    follower = Follower(await source_of(RUN, finalize_each=RUN))
    assert await follower.follow(follower.target(5), turns=20_000)
    assert follower.room.height == 5
    assert follower.synced[-1].finalization == follower.target(5)
    assert follower.raised == follower.blamed == []


def linked(change: Callable[[Link], Link | None]) -> Alter:
    def altered(page: Page) -> Page:
        assert page.link is not None
        return Page(page.blocks, change(page.link), page.finalization)

    return altered


def other_header(link: Link, **fields: object) -> Header:
    known = {name: getattr(link.header, name) for name in Header.__struct_fields__}
    return Header(**(known | fields))


def certified(header: Header, subtrees: tuple[bytes, ...] = ()) -> Alter:
    """A page that a true certificate ends, of a header that does not belong there: a quorum's own lie."""

    def altered(page: Page) -> Page:
        finalization = Room().certificate(block_id(header), PAGE_BLOCKS_MAX + 9)
        return Page(page.blocks, Link(header, subtrees), encode(finalization))

    return altered


def link_to_the_last_block(page: Page) -> Page:
    return certified(decode_block(page.blocks[-1]).header)(page)


def link_below_the_page(page: Page) -> Page:
    return certified(decode_block(page.blocks[0]).header)(page)


def of_another_epoch(page: Page) -> Page:
    assert page.link is not None
    return certified(other_header(page.link, epoch=1), page.link.subtrees)(page)


def of_another_history(page: Page) -> Page:
    assert page.link is not None
    return certified(other_header(page.link, history_root=b"x" * 32), page.link.subtrees)(page)


LINK_LIES: dict[str, tuple[Alter, str]] = {
    "a subtree of other blocks": (
        linked(lambda link: Link(link.header, (b"x" * 32, *link.subtrees[1:]))), "page.broken_link",
    ),
    "a subtree left out": (linked(lambda link: Link(link.header, link.subtrees[1:])), "page.broken_link"),
    "a subtree too many": (
        linked(lambda link: Link(link.header, (*link.subtrees, b"x" * 32))), "page.broken_link",
    ),
    "a header that no certificate names": (
        linked(lambda link: Link(other_header(link, time_ms=1), link.subtrees)), "page.wrong_certificate",
    ),
    "no link where one is needed": (linked(lambda link: None), "page.wrong_certificate"),
    "a link from other blocks than the page's": (
        lambda page: Page(page.blocks[:-1], page.link, page.finalization), "page.broken_link",
    ),
    "a link to the page's own last block": (link_to_the_last_block, "page.broken_link"),
    "a link to a block below": (link_below_the_page, "page.broken_link"),
    "a link into another epoch": (of_another_epoch, "page.crosses_epoch"),
    "a certified header of another history": (of_another_history, "page.broken_link"),
    "a forged certificate under a true link": (
        lambda page: Page(page.blocks, page.link, page.finalization[:-1] + b"?"),
        "certificate.wrong_signature",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LINK_LIES)
async def test_a_link_that_lies_moves_nothing_and_is_blamed(lie: str) -> None:
    """Nothing of its page is committed; the other peer brings the chain."""
    alter, code = LINK_LIES[lie]
    follower = Follower(await source_of(PAGE_BLOCKS_MAX + 9, finalize_each=PAGE_BLOCKS_MAX + 9))
    follower.peers = [ANNA, BERT]
    heights: list[int] = []
    follower.alter[ANNA] = alter

    def blame(peer: PublicKey, code: str) -> None:
        follower.blamed.append((peer, code))
        heights.append(follower.room.height)

    follower.catch_up._on_invalid = blame
    assert await follower.follow(turns=20_000)
    assert follower.blamed == [(ANNA, code)]
    assert heights == [0]
    assert follower.room.height == PAGE_BLOCKS_MAX + 9


def forged_certificate(page: Page) -> Page:
    return Page(page.blocks, None, page.finalization[:-1] + bytes([page.finalization[-1] ^ 1]))


def other_kind(page: Page) -> Page:
    room = Room()
    last = block_id(decode_block(page.blocks[-1]).header)
    return Page(page.blocks[:2], None, encode(room.certificate(last, 2, VoteKind.NOTARIZE)))


def of_a_later_view(page: Page) -> Page:
    room = Room()
    last = block_id(decode_block(page.blocks[1]).header)
    return Page(page.blocks[:2], None, encode(room.certificate(last, 99)))


def wrong_body(page: Page) -> Page:
    block = decode_block(page.blocks[0])
    other = type(block)(block.header, block.last_certificate, ())
    return Page((encode(other), *page.blocks[1:]), None, page.finalization)


LIES: dict[str, tuple[Alter, str]] = {
    "a forged certificate": (forged_certificate, "certificate.wrong_signature"),
    "garbage for a certificate": (lambda page: Page(page.blocks, None, b"?"), "encoding.malformed"),
    "garbage for a block": (
        lambda page: Page((b"?", *page.blocks[1:]), None, page.finalization), "encoding.malformed",
    ),
    "a certificate of another block": (
        lambda page: Page(page.blocks[:2], None, page.finalization), "page.wrong_certificate",
    ),
    "a notarization for a finalization": (other_kind, "page.wrong_certificate"),
    "a certificate of a view that nobody asked for": (of_a_later_view, "page.beyond_target"),
    "a block left out": (
        lambda page: Page((page.blocks[0], *page.blocks[2:]), None, page.finalization), "page.broken_chain",
    ),
    "the first block left out": (
        lambda page: Page(page.blocks[1:], None, page.finalization), "page.wrong_start",
    ),
    "a body that is not the header's": (wrong_body, "page.wrong_body"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
async def test_a_lying_peer_moves_nothing_and_is_blamed(lie: str) -> None:
    """Nothing of its page is committed; the other peer brings the chain."""
    alter, code = LIES[lie]
    follower = Follower(await source_of(4))
    follower.peers = [ANNA, BERT]
    follower.alter[ANNA] = alter
    assert await follower.follow()
    assert follower.blamed == [(ANNA, code)]
    assert follower.room.height == 4


async def test_a_block_whose_header_lies_is_refused_though_a_quorum_signed_it() -> None:
    """Every block is run; a quorum that signs a wrong root is not believed."""
    room = Room()
    honest = await room.build()
    header = honest.block.header
    fields = {name: getattr(header, name) for name in header.__struct_fields__}
    liar = type(header)(**(fields | {"state_root": b"x" * 32}))
    finalization = room.certificate(block_id(liar), 1)
    page = Page((encode(type(honest.block)(liar, b"", ())),), None, encode(finalization))
    follower = Follower(room)
    follower.alter[ANNA] = lambda _: page

    async def ask(peer: PublicKey, start: Height, blocks_max: int) -> Page | None:
        follower.asked.append((peer, start, blocks_max))
        return page

    follower.catch_up._ask = ask
    assert not await follower.follow(finalization, turns=200)
    assert follower.room.height == 0
    assert follower.blamed[0] == (ANNA, "block.wrong_header")


async def test_blocks_that_are_here_already_are_passed_over() -> None:
    """A page that begins too low is used from where it is new."""
    source = await source_of(4)
    follower = Follower(source)
    assert await follower.follow(follower.target(2))
    full = source.stores.blocks.finalized_page(Height(1), 10, PAGE_BYTES_MAX)
    assert full is not None
    follower.alter[ANNA] = lambda _: Page(full.blocks, full.link, full.finalization)
    assert await follower.follow()
    assert follower.room.height == 4
    assert follower.blamed == []


# --- blocks that were lost ----------------------------------------------------------


def lost_of(room: Room, height: int, path: Path) -> LostBlocks:
    """What a start writes down of a node that stood at this height of the room's chain."""
    header = room.stores.blocks.header(Height(height))
    assert header is not None
    home = Home(path)
    home.data.mkdir()
    (home.data / MARK_FILE).write_bytes(encode((height, block_id(header))))
    lost = read_mark(home)
    assert lost is not None
    return lost


@pytest.mark.parametrize("finalize_each", [1, RUN])
async def test_lost_blocks_come_back_to_the_last_of_them_and_no_further(
    tmp_path: Path, finalize_each: int
) -> None:
    """Consensus has named nothing yet: the store must not rise above what this node has seen final before."""
    source = await source_of(RUN, finalize_each=finalize_each)
    follower = Follower(source)
    lost = lost_of(source, PAGE_BLOCKS_MAX + 7, tmp_path)
    await follower.catch_up.regain(lost)
    assert follower.room.height == PAGE_BLOCKS_MAX + 7
    assert [(start, count) for _, start, count in follower.asked] == [(1, 64), (65, 7)]
    assert lost.forget_if_regained(follower.room.stores.blocks)
    assert follower.synced == follower.blamed == []
    assert follower.catch_up.regaining is None


async def test_a_peer_that_sends_more_than_was_lost_is_cut(tmp_path: Path) -> None:
    """A page that ignores the count is used as far as it was asked for."""
    source = await source_of(9)
    follower = Follower(source)
    full = source.stores.blocks.finalized_page(Height(1), 9, PAGE_BYTES_MAX)
    assert full is not None
    follower.alter[ANNA] = lambda _: Page(full.blocks, full.link, full.finalization)
    await follower.catch_up.regain(lost_of(source, 4, tmp_path))
    assert follower.room.height == 4


@pytest.mark.parametrize("lie", LIES)
async def test_a_liar_brings_no_lost_block_back(tmp_path: Path, lie: str) -> None:
    """The same checks as ever, and the next peer is asked."""
    source = await source_of(4)
    follower = Follower(source)
    follower.peers = [ANNA, BERT]
    follower.alter[ANNA], code = LIES[lie]
    await follower.catch_up.regain(lost_of(source, 4, tmp_path))
    assert follower.room.executor.committed.id == source.executor.committed.id
    assert [*follower.blamed] in ([(ANNA, code)], [])
    assert (follower.blamed == []) == (lie == "a certificate of a view that nobody asked for")


async def test_a_chain_without_the_block_that_was_final_here_stops_the_node(tmp_path: Path) -> None:
    """A quorum made another block final at that height: nothing of it is stored, and people must look."""
    mine = Room()
    await mine.grow(3, transactions=False)
    follower = Follower(await source_of(5))
    with pytest.raises(NodeHalted) as caught:
        await follower.catch_up.regain(lost_of(mine, 3, tmp_path))
    assert caught.value.code == "store.diverged"
    assert follower.room.height == 0
    assert follower.blamed == []
