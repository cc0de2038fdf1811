"""No history without what justifies it: gathered before a block is final here, holes filled afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

import node.catch_up as catch_up_module
from ledger.codec import encode
from ledger.consensus.events import Behind
from ledger.types import BlockId, Epoch, Height, PublicKey, TimeMs, View
from ledger.vote import Certificate, Vote, VoteKind, sign_vote
from node.catch_up import PAGE_BLOCKS_MAX
from node.exchange import Exchange
from node.p2p.conduct import Offence
from node.p2p.messages import Settled, SettledRequest
from node.store.settled import settled_entries
from tests.contracts.chain import START_MS
from tests.node.room import VOTER, Room
from tests.node.test_catch_up import ANNA, BERT, Follower
from tests.node.test_exchange import FOLLOWER, LEADER, MALLORY, Member

N, X, F = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause between rounds is one turn of the event loop."""
    monkeypatch.setattr(catch_up_module, "PAUSE_SECONDS", 0)


def settle(room: Room, view: int, kind: VoteKind = X, block: BlockId | None = None) -> Certificate:
    vote = Vote(room.chain_id, 0, view, kind, block)
    return Certificate(vote, ((0, sign_vote(VOTER, vote)),))


async def grow_in(room: Room, views: Sequence[int], final_from: int = 0) -> None:
    """A block notarized in each of these views, final by itself from one on; the views between nullified."""
    for view in views:
        tip = room.executor.committed
        below = last_view(room)
        carried = encode(room.certificate(tip.id, below, N)) if below else b""
        made = await room.executor.build(tip.id, TimeMs(START_MS + 1000 * view), carried)
        assert made is not None
        gap = [settle(room, each) for each in range(below + 1, view)]
        own = room.certificate(made.tip.id, view, F if view >= final_from else N)
        covering = own if view >= final_from else settle(room, max(views), F, BlockId(b"last".ljust(32)))
        await room.executor.commit(made.tip.id, covering, (*gap, own))


def last_view(room: Room) -> int:
    return room.stores.blocks.settled.last_view(0)


def held_views(room: Room) -> list[int]:
    return [view for view, _ in room.stores.blocks.settled.page(0, 0, 1_000, 1_000)]


def target_of(follower: Follower, height: int | None = None) -> Certificate:
    """The finalization that the source holds of a height, or of its head."""
    at = Height(follower.source.height if height is None else height)
    identifier = follower.source.stores.blocks.id_at(at)
    assert identifier is not None
    view = last_view(follower.source)
    return settle(follower.source, view, F, identifier)


async def source_in(*views: int) -> Room:
    room = Room()
    await grow_in(room, views)
    return room


def drop(room: Room, *views: int) -> None:
    """Forget what settled these views."""
    entries = settled_entries(settle(room, view) for view in views)
    room.stores.blocks.settled._database.write(dict.fromkeys(entries))  # type: ignore[attr-defined]


async def test_a_page_brings_along_what_settled_every_view() -> None:
    """AC9: after catching up, every view up to the finalization has its certificate here."""
    follower = Follower(await source_in(1, 2, 6, 7, 12))
    assert await follower.follow(target_of(follower))
    assert held_views(follower.room) == list(range(1, 13))
    assert follower.blamed == []


async def test_what_blocks_carry_is_not_asked_for() -> None:
    """AC9: a chain without gaps costs no question."""
    follower = Follower(await source_in(1, 2, 3, 4))
    assert await follower.follow(target_of(follower))
    assert follower.asked_views == []
    assert held_views(follower.room) == [1, 2, 3, 4]


async def test_what_consensus_holds_is_not_asked_for() -> None:
    """AC9: nullifications of its own are as good as a peer's."""
    source = await source_in(1, 5)
    follower = Follower(source)
    follower.held = [settle(source, view) for view in (2, 3, 4)]
    assert await follower.follow(target_of(follower))
    assert follower.asked_views == []
    assert held_views(follower.room) == [1, 2, 3, 4, 5]


async def test_a_page_without_justification_is_refused_and_blames_nobody() -> None:
    """AC9: while one view is unsettled no block of the page is final here."""
    source = await source_in(1, 2, 6)
    drop(source, 4)
    follower = Follower(source)
    assert not await follower.follow(target_of(follower), turns=300)
    assert follower.room.height == 0
    assert follower.blamed == []


async def test_several_peers_make_it_whole() -> None:
    """AC9: no single peer need have all of it; each is asked for what is still missing."""
    source = await source_in(1, 8)
    follower = Follower(source)
    follower.peers = [ANNA, BERT]
    low = {encode(settle(source, view)) for view in (2, 3, 4)}
    follower.alter_settled = {
        ANNA: lambda page: [each for each in page if each in low],
        BERT: lambda page: [each for each in page if each not in low],
    }
    assert await follower.follow(target_of(follower))
    assert held_views(follower.room) == list(range(1, 9))
    assert (BERT, 4, 7) in follower.asked_views


async def test_who_deals_out_certificates_one_by_one_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """AC9: true certificates, one in five seconds: after a while the others are asked for the rest."""
    follower = Follower(await source_in(1, 60))
    follower.peers = [ANNA, BERT]
    loop, ask, late = asyncio.get_running_loop(), follower.ask_settled, 0.0
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + late)

    async def slow(peer: PublicKey, epoch: Epoch, after: View, until: View) -> Sequence[bytes]:
        nonlocal late
        page = await ask(peer, epoch, after, until)
        if peer == ANNA:
            late += 4.9
            await asyncio.sleep(0)
        return page[:1] if peer == ANNA else page

    monkeypatch.setattr(follower.justifier, "_ask", slow)
    assert await follower.follow(target_of(follower))
    assert len([peer for peer, _, _ in follower.asked_views if peer == ANNA]) < 10
    assert held_views(follower.room) == held_views(follower.source)
    assert follower.blamed == []


async def test_a_long_gap_comes_page_by_page() -> None:
    """AC9: hours without a quorum are many views; each question goes on where the page ended."""
    follower = Follower(await source_in(1, 40))
    follower.settled_count_max = 7
    assert await follower.follow(target_of(follower), turns=5_000)
    assert held_views(follower.room) == list(range(1, 41))
    assert [after for _, after, _ in follower.asked_views] == [1, 8, 15, 22, 29, 36]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda page: [page[0][:-1] + b"\0", *page[1:]], "certificate.wrong_signature"),
        (lambda page: page[::-1], "page.wrong_view"),
        (lambda page: [*page[:1], *page[:1]], "page.wrong_view"),
        (lambda page: [b"rubbish"], "encoding.malformed"),
    ],
)
async def test_a_false_certificate_is_an_offence(spoil, code: str) -> None:  # type: ignore[no-untyped-def]
    """AC10: what does not verify, or was not asked for, is reported, and another peer makes it whole."""
    follower = Follower(await source_in(1, 6))
    follower.peers = [ANNA, BERT]
    follower.alter_settled[ANNA] = spoil
    assert await follower.follow(target_of(follower))
    assert follower.blamed
    assert set(follower.blamed) == {(ANNA, code)}
    assert held_views(follower.room) == list(range(1, 7))


async def test_a_certificate_of_another_chain_settles_nothing_here() -> None:
    """AC1, AC9: a lying peer's certificate of a rival block, valid as it is, does not stand for its view."""
    source = await source_in(1, 4)
    follower = Follower(source)
    rival = encode(settle(source, 2, N, BlockId(b"rival".ljust(32))))
    follower.alter_settled[ANNA] = lambda page: [rival, *page[1:]] if page else []
    assert not await follower.follow(target_of(follower), turns=300)
    assert follower.room.height == 0
    assert follower.blamed == []


async def test_below_the_dispute_period_nothing_is_asked() -> None:
    """AC11: peers need not have it any more; blocks a day old are taken by their finalization alone."""
    source = await source_in(1, 6)
    drop(source, 2, 3)
    follower = Follower(source)
    follower.wall_ms = START_MS + DAY_MS
    assert await follower.follow(target_of(follower))
    assert follower.asked_views == []
    assert follower.room.height == 2


async def test_a_block_that_is_named_brings_the_justification_of_all_below_it() -> None:
    """AC9: blocks under a link come in by themselves; the one that the certificate names needs all of it."""
    source = Room()
    await grow_in(source, range(2, 142, 2), final_from=140)
    drop(source, 21)
    follower = Follower(source)
    assert not await follower.follow(target_of(follower), turns=8_000)
    assert follower.room.height == PAGE_BLOCKS_MAX < source.height
    source.stores.blocks.settled.write([settle(source, 21)])
    assert await follower.follow(target_of(follower), turns=8_000)
    assert held_views(follower.room) == list(range(1, 141))


async def test_holes_are_filled_afterwards() -> None:
    """AC10: what consensus jumped is asked of one peer a round, until nothing is missing."""
    source = await source_in(1, 5, 9)
    follower = Follower(source)
    for height in (1, 2, 3):
        block = source.stores.blocks.block(Height(height))
        assert block is not None
        execution = await follower.room.executor.check(block)
        final = follower.source.certificate(execution.tip.id, (1, 5, 9)[height - 1])
        await follower.room.executor.commit(execution.tip.id, final, (final,))
    assert held_views(follower.room) == [1, 5, 9]
    follower.peers = []
    await follower.justifier.fill()
    assert follower.justifier.missing_views == 6, "nobody to ask makes no hole less"
    follower.peers = [ANNA, BERT]
    follower.alter_settled[ANNA] = lambda page: page[:1]
    for _ in range(6):
        await follower.justifier.fill()
    assert held_views(follower.room) == list(range(1, 10))
    assert follower.justifier.missing_views == 0
    asked = len(follower.asked_views)
    await follower.justifier.fill()
    assert len(follower.asked_views) == asked, "a whole epoch is not looked through again"
    assert follower.blamed == []


async def test_an_empty_chain_has_no_holes() -> None:
    """AC10: above block 0 there is nothing to justify yet."""
    follower = Follower(await source_in(1))
    await follower.justifier.fill()
    assert follower.asked_views == []


# --- on the wire -------------------------------------------------------------------------


def joined(own: PublicKey) -> tuple[Member, Exchange]:
    member = Member(own)
    return member, member.exchange


async def test_a_question_is_answered_from_store_and_consensus() -> None:
    """AC9: what is stored, and nullifications that consensus holds above it; nothing of other epochs."""
    member, exchange = joined(LEADER)
    await grow_in(member.room, (1, 3))
    above = [settle(member.room, 5), settle(member.room, 7), settle(member.room, 6, N, BlockId(bytes(32)))]
    member.machine.held = above
    exchange.on_message(FOLLOWER, SettledRequest(0, 1, 6))
    exchange.on_message(FOLLOWER, SettledRequest(1, 0, 9))
    exchange.on_message(FOLLOWER, SettledRequest(0, 9, 3))
    stored = [member.room.stores.blocks.settled.certificate(0, view) for view in (2, 3)]
    assert member.wire.sent == [
        (FOLLOWER, Settled((*(each or b"" for each in stored), encode(above[0])))),
        (FOLLOWER, Settled(())),
        (FOLLOWER, Settled(())),
    ]


async def test_an_answer_that_nobody_asked_for_is_unsolicited() -> None:
    """A peer can't push certificates; the one that was asked answers its question and no more."""
    member, exchange = joined(FOLLOWER)
    exchange.on_message(MALLORY, Settled(()))
    assert member.wire.reports == [(MALLORY, Offence.UNSOLICITED)]


def test_aims_are_unchanged_by_what_is_missing() -> None:
    """A refused page leaves the aim as it was: the next round asks again."""
    room = Room()
    follower = Follower(room)
    certificate = settle(room, 9, F, BlockId(bytes(32)))
    follower.catch_up.aim(Behind(certificate))
    assert follower.catch_up.target_view == View(9)
