"""A node gives an epoch up and begins the one that operators approved, from whatever it holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ledger.accountability import Fork
from ledger.block import Block, block_id
from ledger.codec import encode
from ledger.consensus.events import Behind, Peer
from ledger.consensus.records import SignerFloor
from ledger.consensus.signer import REPORTED, Signer
from ledger.consensus.timeouts import ConsensusParameters
from ledger.crypto import Tag, sign
from ledger.epoch import epoch_in_force, validators_of
from ledger.errors import LedgerError
from ledger.recovery import (
    VIEW_LAST,
    ApprovedRecovery,
    Recovery,
    Report,
    is_recovery,
    recovery_hash,
    sign_report,
)
from ledger.transition import Execution, governed
from ledger.types import BlockId, Epoch, Height, TimeMs, View
from ledger.vote import VoteKind
from node import catch_up as catch_up_module
from node.audit import audit_blocks
from node.bodies import Bodies
from node.catch_up import Page
from node.consensus_log import ConsensusLog
from node.driver import NodeHalted
from node.epochs import epoch_in_force as begun_of
from node.epochs import what_ended
from node.recovering import Recovering
from node.resume import finalization_of_head, recover, recovery_of
from node.store.journal import Journal
from node.store.memory_disk import MemoryDisk
from tests.contracts.chain import START_MS
from tests.node.room import VOTER, Room, SteadyNotes
from tests.node.test_catch_up import ANNA, Follower

CHOSEN = 4


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause between rounds is one turn of the event loop."""
    monkeypatch.setattr(catch_up_module, "PAUSE_SECONDS", 0)


HOST, OTHER_HOST = b"h" * 16, b"o" * 16


def recovery_on(
    room: Room, view: int, chosen: BlockId, *, ended: int = 0, has_certificate: bool = True
) -> ApprovedRecovery:
    """What the only validator reports and approves."""
    held = room.certificate(chosen, view, VoteKind.NOTARIZE) if has_certificate else None
    signed = sign_report(VOTER, Report(room.chain_id, ended, 0, True, held))
    made = Recovery(room.chain_id, ended, ended + 2, view, chosen, (signed,))
    return ApprovedRecovery(made, ((0, sign(VOTER, Tag.RECOVERY, recovery_hash(made))),))


async def notarized(room: Room) -> tuple[Execution, ApprovedRecovery]:
    """A chain with a block on top that nobody made final, and the recovery that chooses it."""
    await room.grow(CHOSEN - 1)
    top = await room.build()
    return top, recovery_on(room, CHOSEN, top.tip.id)


async def recovered(room: Room) -> bytes:
    """The same chain, standing in the new epoch on that block."""
    top, approved = await notarized(room)
    await room.executor.commit(top.tip.id, approved)
    room.executor.recover(encode(approved))
    return encode(approved)


async def grow_recovered(room: Room, count: int = 2) -> list[Execution]:
    """Final blocks of the new epoch, from its view 1 on."""
    made: list[Execution] = []
    for view in range(1, count + 1):
        tip = room.executor.committed
        height = tip.header.height + 1
        room.executor.admit(room.transaction(nonce=height, valid_until=height + 5).raw)
        below = room.certificate(tip.id, view - 1, VoteKind.NOTARIZE) if made else None
        proof = b"" if below is None else encode(below)
        execution = await room.executor.build(tip.id, TimeMs(START_MS + 1000 * height), proof)
        assert execution is not None
        await room.executor.commit(execution.tip.id, room.certificate(execution.tip.id, view))
        made.append(execution)
    return made


class Site:
    """A node without consensus, that takes a recovery in from what its peer and its log hold."""

    def __init__(self, source: Room, room: Room | None = None) -> None:
        self.follower = Follower(source, room)
        self.room = self.follower.room
        self.disk = MemoryDisk()
        path = Path("data/consensus/records.log")
        Journal.create(self.disk, path)
        self.log = ConsensusLog(*Journal.open(self.disk, path), self.room.disk.run)
        self.signer = Signer(self.room.chain_id, VOTER, HOST)
        self.bodies = Bodies()
        self.stopped = 0
        self.recovering = Recovering(
            self.room.executor,
            self.signer,
            self.log,
            self.bodies,
            self.follower.catch_up,
            self.fetch_body,
            lambda: [Peer(0)],
            self.stop,
            self.room.disk.run,
        )

    def stop(self) -> None:
        self.stopped += 1

    async def fetch_body(self, of: BlockId, sources: Sequence[Peer]) -> bool:
        return False


# --- the ledger ---------------------------------------------------------------------------------


async def test_the_first_block_of_a_recovered_epoch_brings_the_recovery() -> None:
    """K13: its header commits to it, its state begins the epoch, and the set and its voters stay."""
    room = Room()
    data = await recovered(room)
    first, second = await grow_recovered(room)
    assert (first.block.header.epoch, first.block.last_certificate) == (2, data)
    assert (second.block.header.epoch, is_recovery(second.block.last_certificate)) == (2, False)
    world = room.stores.state
    assert epoch_in_force(world).epoch == 2
    assert epoch_in_force(world).base_height == CHOSEN
    assert validators_of(world, 2) == validators_of(world, 0)
    assert validators_of(world, 1) is None, "nobody votes in the epoch that is passed over"
    assert room.stores.blocks.settled.validators(Epoch(2)) == room.executor.committed.validators


async def test_a_replay_from_genesis_crosses_the_recovery() -> None:
    """K13: the blocks hold all that their run needs: a state that is made anew is the same."""
    room = Room()
    await recovered(room)
    await grow_recovered(room)
    blocks = [room.stores.blocks.block(Height(height)) for height in range(1, room.height + 1)]
    again = Room()
    for block in blocks:
        assert block is not None
        execution = await again.executor.check(block)
        await again.executor.commit(execution.tip.id, room.certificate(execution.tip.id, 1))
    assert again.stores.state.tree.root == room.stores.state.tree.root
    assert again.stores.blocks.recovery(Epoch(0)) == room.stores.blocks.recovery(Epoch(0))


async def test_a_block_that_brings_an_unsound_recovery_is_invalid() -> None:
    """K13: too few approvals, another base, another epoch, another chain's: refused when the block runs."""
    room = Room()
    data = await recovered(room)
    first = (await grow_recovered(room, 1))[0].block
    other = Room()
    top, approved = await notarized(other)
    await other.executor.commit(top.tip.id, other.certificate(top.tip.id, CHOSEN))
    tip = other.executor.committed
    assert governed(tip, first).epoch.epoch == 2
    lies = {
        "recovery.too_little_stake": ApprovedRecovery(approved.recovery, ()),
        "recovery.wrong_signature": ApprovedRecovery(approved.recovery, ((0, bytes(64)),)),
        "recovery.wrong_base": recovery_on(other, 3, tip.header.parent_id),  # type: ignore[arg-type]
        "recovery.wrong_place": recovery_on(other, CHOSEN, tip.id, ended=1),
        "recovery.wrong_block": recovery_on(other, 0, tip.id, has_certificate=False),
    }
    for code, lie in lies.items():
        block = Block(first.header, encode(lie), first.transactions)
        with pytest.raises(LedgerError) as refusal:
            await other.executor.check(block)
        assert refusal.value.code == code
    assert is_recovery(data)


async def test_on_a_recovered_base_nothing_else_stands() -> None:
    """K13: a block of the ended epoch, with its certificate, is no child of the new epoch's base."""
    old = Room()
    top, _ = await notarized(old)
    await old.commit(top)
    child = await old.build()
    room = Room()
    await recovered(room)
    with pytest.raises(LedgerError) as refusal:
        await room.executor.check(child.block)
    assert refusal.value.code == "block.wrong_certificate"


async def test_an_epoch_in_which_nothing_was_certified_begins_again_on_its_base() -> None:
    """K6, K13: of genesis too; and what was reported of no certificate chooses no block above the base."""
    room = Room()
    genesis = room.executor.committed.id
    approved = recovery_on(room, 0, genesis, has_certificate=False)
    room.executor.recover(encode(approved))
    first = (await grow_recovered(room, 1))[0]
    assert (first.block.header.height, first.block.header.epoch) == (1, 2)
    assert room.stores.blocks.finalized_page(Height(1), 64, 1 << 20) is not None
    other = Room()
    await other.grow(2)
    lie = recovery_on(other, 0, other.executor.committed.id, has_certificate=False)
    with pytest.raises(LedgerError, match=r"recovery\.wrong_block"):
        other.executor.recover(encode(lie))


async def test_the_last_block_of_an_epoch_may_be_chosen() -> None:
    """K7, K9: the set that governs its children votes in the new epoch, which passes the next one over."""
    room = Room(rules=SteadyNotes(), consensus=ConsensusParameters(epoch_blocks=10))
    await room.grow(10)
    tip = room.executor.committed
    assert (tip.header.epoch, tip.epoch.epoch) == (0, 1)
    room.executor.recover(encode(recovery_on(room, 10, tip.id)))
    first = (await grow_recovered(room, 1))[0]
    assert first.block.header.epoch == 2
    assert what_ended(room.stores.blocks, Epoch(1)) == what_ended(room.stores.blocks, Epoch(0))


# --- what the store knows -------------------------------------------------------------------------


async def test_a_start_on_a_recovered_base_knows_it() -> None:
    """K14: no certificate is there, and none is missed; the store answers with the recovery."""
    room = Room()
    data = await recovered(room)
    assert finalization_of_head(room.stores) is None
    tip = recover(room.stores, room.executor.rules)
    assert recovery_of(room.stores, tip) is None, "it is kept by whoever gives the epoch up (K11)"
    room.stores.blocks.keep_recovery(data)
    assert recovery_of(room.stores, tip) == data
    begun = begun_of(room.stores.blocks, tip.recovered(data))
    assert (begun.epoch, begun.finalization, block_id(begun.base)) == (2, None, tip.id)
    assert what_ended(room.stores.blocks, Epoch(0)) == data
    await grow_recovered(room)
    assert recovery_of(room.stores, recover(room.stores, room.executor.rules)) is None


def beyond(source: Room) -> Behind:
    """An aim that no page holds."""
    return Behind(source.certificate(BlockId(b"unknown".ljust(32)), 9))


# --- pages ------------------------------------------------------------------------------------------


async def test_who_is_behind_crosses_the_recovery_by_pages() -> None:
    """K14, K11: up to the chosen block under the recovery, then on from it; consensus hears of it first."""
    source = Room()
    data = await recovered(source)
    await grow_recovered(source, 3)
    site = Site(source)
    site.follower.catch_up.aim(beyond(source))
    assert not await site.follower.catch_up._step(ANNA)
    assert (site.room.height, site.follower.recoveries[0]) == (0, (ANNA, data))
    site.recovering.hear(data)
    assert site.stopped == 1
    await site.recovering.complete()
    assert (site.room.height, site.room.executor.committed.epoch.epoch) == (CHOSEN, 2)
    assert site.room.stores.blocks.recovery(Epoch(0)) == data
    target = source.certificate(source.executor.committed.id, 3)
    assert await site.follower.follow(target)
    assert site.room.stores.state.tree.root == source.stores.state.tree.root
    assert site.follower.blamed == []


async def test_who_stands_on_the_chosen_block_learns_of_it_from_the_next_page() -> None:
    """K14: the block was final here by certificate; the page above it brings the recovery."""
    source = Room()
    data = await recovered(source)
    await grow_recovered(source, 1)
    site = Site(source)
    top, _ = await notarized(site.room)
    await site.room.commit(top)
    site.follower.catch_up.aim(beyond(source))
    await site.follower.catch_up._step(ANNA)
    assert site.follower.recoveries == [(ANNA, data)]
    assert site.room.height == CHOSEN, "it does not run past it before consensus has stopped"


async def test_a_page_with_a_forged_recovery_is_refused_and_blamed() -> None:
    """K14: a peer's word that operators approved is nothing: the page is refused, nothing is stored."""
    source = Room()
    await recovered(source)
    site = Site(source)
    forged = encode(ApprovedRecovery(recovery_on(source, CHOSEN, source.executor.committed.id).recovery, ()))
    site.follower.alter[ANNA] = lambda page: Page(page.blocks, page.link, forged)
    await site.follower.catch_up._advance(ANNA)
    assert site.follower.blamed == [(ANNA, "recovery.too_little_stake")]
    assert site.room.height == 0
    with pytest.raises(LedgerError):
        site.recovering.hear(forged)
    assert site.stopped == 0


async def test_an_audit_names_who_forked_a_recovered_epoch_and_nobody_where_it_began() -> None:
    """K14: two first blocks of one recovery are a fork like any other. Where one side has no such recovery,
    there is nothing that a certificate proves."""
    rooms = [Room(), Room()]
    for number, room in enumerate(rooms):
        await recovered(room)
        room.executor.admit(room.transaction(nonce=50 + number, valid_until=9).raw)
        first = await room.executor.build(room.executor.committed.id, TimeMs(START_MS + 9_000), b"")
        assert first is not None
        await room.executor.commit(first.tip.id, room.certificate(first.tip.id, 1))
    found = audit_blocks(rooms[0].genesis, rooms[0].stores.blocks, rooms[1].stores.blocks)
    assert isinstance(found, Fork)
    assert (found.epoch, [each.public_key for each in found.culprits]) == (2, [VOTER.public])
    other = Room()
    top, _ = await notarized(other)
    await other.commit(top)
    await other.grow(1)
    with pytest.raises(LedgerError) as refusal:
        audit_blocks(other.genesis, rooms[0].stores.blocks, other.stores.blocks)
    assert refusal.value.code == "audit.recovered"


# --- giving up --------------------------------------------------------------------------------------


async def test_the_chosen_block_is_taken_from_the_log_without_a_peer() -> None:
    """K11: who holds the body needs nobody; the recovery proves it final."""
    site = Site(Room())
    top, approved = await notarized(site.room)
    site.bodies.put(top.block)
    site.recovering.hear(encode(approved))
    await site.recovering.complete()
    assert site.room.executor.committed.id == top.tip.id
    assert site.follower.asked == []


async def test_a_body_that_comes_later_is_asked_for_again() -> None:
    """K11: at a start no peer is connected, and no store holds a block that is final nowhere: it asks on, for
    pages and for bodies."""
    site = Site(Room())
    top, approved = await notarized(site.room)
    asked: list[BlockId] = []

    async def fetch(of: BlockId, sources: Sequence[Peer]) -> bool:
        asked.append(of)
        if len(asked) > 2:
            site.bodies.put(top.block)
        return len(asked) > 2

    site.recovering._fetch_body = fetch
    site.recovering.hear(encode(approved))
    await site.recovering.complete()
    assert site.room.executor.committed.id == top.tip.id
    assert asked == [top.tip.id] * 3


async def test_the_promise_is_durable_before_the_recovery_and_that_before_the_block() -> None:
    """K11, S7: whatever step the process ends at, the next start goes on, and signs nothing below."""
    site = Site(Room())
    top, approved = await notarized(site.room)
    site.bodies.put(top.block)
    data = encode(approved)
    blocks, steps = site.room.stores.blocks, []
    keep, commit, append = blocks.keep_recovery, site.room.executor.commit, site.log.append

    def kept(of: bytes) -> None:
        steps.append("recovery")
        keep(of)

    async def committed(*arguments: object) -> bool:
        steps.append("block")
        return await commit(*arguments)  # type: ignore[arg-type]

    async def appended(records: Sequence[SignerFloor], bodies: Sequence[Block]) -> None:
        steps.append(f"floor {records[0].epoch} {records[0].view == VIEW_LAST}")
        await append(records, bodies)

    blocks.keep_recovery = kept  # type: ignore[method-assign]
    site.room.executor.commit = committed  # type: ignore[method-assign, assignment]
    site.log.append = appended  # type: ignore[method-assign, assignment]
    site.signer.restore([SignerFloor(site.room.chain_id, VOTER.public, HOST, 0, 3)], (Epoch(0), View(3)))
    site.recovering.hear(data)
    await site.recovering.complete()
    assert steps == ["floor 1 True", "recovery", "block"]
    site.signer.begin_epoch(Epoch(0), site.room.executor.committed.validators, lambda *_: True)
    assert site.signer.floor == (1, VIEW_LAST)


async def test_a_start_goes_on_from_what_is_kept() -> None:
    """K11: the process ended after the recovery was kept and before the block was here."""
    source = Room()
    data = await recovered(source)
    site = Site(source)
    await site.room.grow(2)
    site.room.stores.blocks.keep_recovery(data)
    assert site.recovering.begin_kept()
    await site.recovering.complete()
    assert site.room.executor.committed.id == source.executor.committed.id
    assert not site.recovering.begin_kept(), "it is done"


async def test_of_another_epoch_nothing_is_taken() -> None:
    """K11: a recovery is taken by who has its epoch in force, once; an old one changes nothing."""
    site = Site(Room())
    top, approved = await notarized(site.room)
    site.recovering.hear(encode(recovery_on(site.room, CHOSEN, top.tip.id, ended=7)))
    assert site.stopped == 0
    site.bodies.put(top.block)
    site.recovering.hear(encode(approved))
    site.recovering.hear(encode(approved))
    await site.recovering.complete()
    site.recovering.hear(encode(approved))
    assert site.stopped == 1


async def test_blocks_that_are_final_above_the_chosen_one_stop_the_node() -> None:
    """K11: that contradicts the argument of the recovery; people have to look."""
    site = Site(Room())
    top, approved = await notarized(site.room)
    await site.room.commit(top)
    await site.room.grow(1)
    site.recovering.hear(encode(approved))
    with pytest.raises(NodeHalted) as halted:
        await site.recovering.complete()
    assert halted.value.code == "recovery.diverged"


# --- the signer -------------------------------------------------------------------------------------


def signer_of(records: Sequence[SignerFloor], host: bytes = HOST) -> Signer:
    found = Signer(Room().chain_id, VOTER, host)
    found.restore(records, (Epoch(0), View(0)))
    return found


def test_the_quarantine_of_who_reported_ends_and_it_listens_first() -> None:
    """K12: its record holds all that it signs above the promise; a home restored since is met before (Q7)."""
    promise = signer_of([]).promise_for_report(Epoch(1), VIEW_LAST)
    signer = signer_of([promise])
    assert signer.quarantine_reason == REPORTED
    assert signer.promise_for_report(Epoch(1), VIEW_LAST) == promise
    floor = signer.give_up_epochs(Epoch(1), VIEW_LAST)
    assert floor is not None
    assert (signer.quarantine_reason, signer.is_listening, signer.may_sign) == ("", True, False)
    assert signer_of([promise, floor]).quarantine_reason == ""


def test_no_other_quarantine_ends_by_a_recovery() -> None:
    """K12: a key that did not report, or of another epoch, or whose record was copied to another host since,
    may have signed in the new epoch already."""
    promise = signer_of([]).promise_for_report(Epoch(1), VIEW_LAST)
    for signer in (signer_of([]), signer_of([promise], OTHER_HOST)):
        assert signer.give_up_epochs(Epoch(1), VIEW_LAST) is None
        assert signer.is_quarantined
    late = signer_of([promise])
    assert late.give_up_epochs(Epoch(4), VIEW_LAST) is None
    assert late.quarantine_reason == REPORTED


def test_a_whole_record_reports_and_stays_whole() -> None:
    """K2: its floor rises above the epoch and the next one, under its own host."""
    chain = Room().chain_id
    own = SignerFloor(chain, VOTER.public, HOST, 0, 3)
    promise = signer_of([own]).promise_for_report(Epoch(1), VIEW_LAST)
    assert promise == replace_floor(own, 1, VIEW_LAST)
    assert signer_of([own, promise]).quarantine_reason == ""


def replace_floor(floor: SignerFloor, epoch: int, view: int) -> SignerFloor:
    return SignerFloor(floor.chain_id, floor.public_key, floor.generation, epoch, view)


def test_a_record_that_was_given_up_promises_nothing() -> None:
    """K2: another holder of the key may sign whatever is promised here."""
    signer = signer_of([])
    given = signer.give_up()
    with pytest.raises(LedgerError) as refusal:
        signer_of([given]).promise_for_report(Epoch(1), VIEW_LAST)
    assert refusal.value.code == "recovery.given_up"
