"""The driver: the disk before the wire, shares for peers, honest verdicts, and how it stops.

The executor, the bodies and the consensus log are real, over disks in memory. The machine is real
where the test is of both together; else it is one that does what the test lists.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

import node.driver as driver_module
import node.pace as pace_module
from ledger.block import Block, block_id
from ledger.codec import encode
from ledger.consensus.blocks import facts_of
from ledger.consensus.epochs import Epochs
from ledger.consensus.events import (
    Behind,
    Broadcast,
    Build,
    Built,
    Check,
    Checked,
    Commit,
    Connected,
    DropRecords,
    Effect,
    Entered,
    Evidence,
    Fetch,
    Fetched,
    Halt,
    Input,
    NothingToBuild,
    OldEpoch,
    Peer,
    Persist,
    Received,
    Report,
    Send,
    SignerState,
    Started,
    Synced,
    Tick,
    TransactionsPending,
    Verdict,
    WakeAt,
)
from ledger.consensus.messages import (
    CertificatesMessage,
    Message,
    ProposalMessage,
    StatusMessage,
    VotesMessage,
    encode_message,
)
from ledger.consensus.records import HeldProposal, OwnVote, Record, encode_record
from ledger.consensus.signer import Signer, first_record
from ledger.evidence import Evidence as Proof
from ledger.evidence import evidence_of
from ledger.transition import Execution
from ledger.types import BlockId, Epoch, Height, PublicKey, TimeMs, View
from ledger.validators import ValidatorSet
from ledger.vote import (
    Certificate,
    Proposal,
    SignedProposal,
    SignedVote,
    Vote,
    VoteKind,
    sign_proposal,
    sign_vote,
)
from node.bodies import Bodies
from node.consensus_log import RECORD, ConsensusLog
from node.driver import TURN_INPUTS_MAX, Driver, NodeHalted
from node.epochs import epoch_in_force
from node.inbox import INPUT_BYTES_OF_PEER_MAX, INPUTS_OF_PEER_MAX
from node.store.failure import StoreFailed
from node.store.journal import Journal
from node.store.journal import Record as Entry
from node.store.memory_disk import MemoryDisk
from tests.contracts.chain import START_MS
from tests.node.room import VOTER, Room

PATH = Path("/data/consensus/records.log")
GENERATION = b"g" * 16
LEADER, ANNA, BERT = Peer(0), Peer(1), Peer(2)
KEYS = {LEADER: PublicKey(b"l" * 32), ANNA: PublicKey(b"a" * 32), BERT: PublicKey(b"b" * 32)}
Answer = Callable[[Input], Sequence[Effect]]


def status(view: int = 1) -> StatusMessage:
    """Some message, told apart from others by its view."""
    return StatusMessage(0, view, 0, 0)


def tell(site: Site, sender: PublicKey, message: Message) -> None:
    """A peer's message comes, of the size that it has on the wire."""
    site.driver.receive(sender, message, len(encode_message(message)))


class Script(Epochs):
    """Consensus that answers each input with what the test gave, and remembers the inputs."""

    epoch = Epoch(0)

    def __init__(self, answers: dict[Input, Sequence[Effect]]) -> None:
        self.answers = answers
        self.inputs: list[Input] = []

    def step(self, now_ms: int, event: Input) -> list[Effect]:
        self.inputs.append(event)
        return list(self.answers.get(event, ()))


class HandClock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.wall = START_MS + 5_000
        self.monotonic = 1_000

    def wall_ms(self) -> TimeMs:
        return TimeMs(self.wall)

    def monotonic_ms(self) -> int:
        return self.monotonic


class Site:
    """A driver on its feet. `done` is what the world saw, in order: syncs, messages, commits."""

    def __init__(self, room: Room | None = None, machine: Epochs | None = None, *, votes: bool = True):
        self.room = room or Room()
        self.clock = HandClock()
        self.done: list[Any] = []
        self.sets: list[ValidatorSet] = []
        self.asked: list[tuple[BlockId, Sequence[Peer]]] = []
        self.elsewhere: dict[BlockId, Block] = {}  # what peers would answer a fetch with
        self.answering = asyncio.Event()
        self.answering.set()
        self.disk = MemoryDisk()
        first = first_record(self.room.chain_id, VOTER.public, GENERATION, Epoch(0))
        Journal.create(self.disk, PATH, [Entry(RECORD, encode_record(first))])
        self.log = self.opened_log()
        self.disk.fault = self._on_disk
        self.bodies = Bodies()
        self.signer = Signer(self.room.chain_id, VOTER, GENERATION) if votes else None
        self.script = Script({})
        self.driver = Driver(
            lambda: machine or self.script, self.signer, self.log, self.room.executor, self.bodies, self,
            self.clock, self.on_commit, self.done.append,
        )  # fmt: skip

    def opened_log(self) -> ConsensusLog:
        """The log as a start reads it."""
        journal, entries = Journal.open(self.disk, PATH, on_failure=lambda failure: None)
        return ConsensusLog(journal, entries, self.room.disk.run)

    def _on_disk(self, operation: str, path: Path, data: bytes) -> None:
        if operation == "sync":
            self.done.append("sync")

    # --- Outlet

    def peer(self, public_key: PublicKey) -> Peer:
        return next(peer for peer, key in KEYS.items() if key == public_key)

    def begin_epoch(self, validators: ValidatorSet) -> None:
        self.sets.append(validators)

    def send(self, peer: Peer, message: Message) -> None:
        self.done.append((peer, message))

    def broadcast(self, message: Message) -> None:
        self.done.append(message)

    def report(self, peer: Peer, code: str, message: str) -> None:
        self.done.append((peer, code))

    def accuse(self, evidence: Proof) -> None:
        self.done.append(evidence)

    async def fetch_body(self, of: BlockId, sources: Sequence[Peer]) -> bool:
        self.asked.append((of, sources))
        await self.answering.wait()
        return of in self.elsewhere and self.bodies.offer(self.elsewhere[of])

    def tell_recovery(self, peer: Peer, recovery: bytes) -> None:
        self.done.append((peer, recovery))

    async def on_commit(self, of: BlockId) -> None:
        self.done.append(of)

    # --- what tests do

    @property
    def started(self) -> Started:
        head = self.room.executor.committed.header
        return Started(TimeMs(self.clock.wall), head, None, self.log.records)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The driver runs while the test does; what it raises, the test hears."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.driver.run(self.started))
            await turns()
            yield
            task.cancel()

    async def does(self, *effects: Effect) -> None:
        """The machine asks for these in one step, and all that can go on does."""
        self.tell(*effects)
        await turns()

    def tell(self, *effects: Effect) -> None:
        """The next input that the driver hears makes the machine ask for these."""
        mark = Connected(Peer(1_000 + len(self.script.answers)))
        self.script.answers[mark] = effects
        self.driver.feed(mark)

    @property
    def heard(self) -> list[Input]:
        """What the machine was told, without the start and the marks of `tell`."""
        return [
            each
            for each in self.script.inputs
            if each not in self.script.answers and not isinstance(each, Started)
        ]

    async def fails(self, *effects: Effect) -> BaseException:
        """What `run` ends with when the machine asks for these."""
        self.tell(*effects)
        with pytest.raises(BaseExceptionGroup) as caught:
            await self.driver.run(self.started)
        (inner,) = caught.value.exceptions
        return inner

    # --- values

    def vote(self, view: int) -> OwnVote:
        content = Vote(self.room.chain_id, 0, view, VoteKind.NULLIFY, None)
        return OwnVote(SignedVote(content, 0, sign_vote(VOTER, content)))

    def held(self, execution: Execution, view: int = 1) -> HeldProposal:
        content = Proposal(self.room.chain_id, 0, view, view - 1, execution.tip.id)
        signed = SignedProposal(content, 0, sign_proposal(VOTER, content))
        return HeldProposal(ProposalMessage(signed, execution.block.header, None, ()))

    def commit_of(self, execution: Execution, view: int = 1) -> Commit:
        identifier = execution.tip.id
        finalization = self.room.certificate(identifier, view)
        height = Height(execution.tip.header.height)
        return Commit(identifier, height, finalization, (finalization,))

    def build_on(self, parent: Execution | None = None, *, may_be_empty: bool = True) -> Build:
        tip = self.room.executor.committed if parent is None else parent.tip
        certificate = None if parent is None else self.room.certificate(tip.id, 1, VoteKind.NOTARIZE)
        return Build(Epoch(0), View(tip.header.height + 1), facts_of(tip.header), certificate, may_be_empty)


async def turns(count: int = 30) -> None:
    """Let every task that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def persist(*records: Record, bodies: tuple[BlockId, ...] = ()) -> Persist:
    return Persist(records, bodies)


class Timer:
    """A timer that goes off when the test says so."""

    def __init__(self, delay_seconds: float, call: Callable[[], None]) -> None:
        self.delay_seconds, self.call, self.is_cancelled = delay_seconds, call, False

    def cancel(self) -> None:
        self.is_cancelled = True


def timers_by_hand(monkeypatch: pytest.MonkeyPatch) -> list[Timer]:
    """The timers that are set from now on; none goes off by itself."""
    made: list[Timer] = []

    def call_later(delay_seconds: float, call: Callable[[], None]) -> Timer:
        made.append(Timer(delay_seconds, call))
        return made[-1]

    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later)
    return made


# --- the disk before the wire ---------------------------------------------------------


async def test_nothing_after_a_record_leaves_before_the_sync() -> None:
    """While the disk is slow, what comes before the record leaves, and nothing that comes after it."""
    site = Site()
    async with site.running():
        site.room.disk.free.clear()
        record = site.vote(1)
        await site.does(
            Send(ANNA, status(1)),
            persist(record),
            Broadcast(VotesMessage((record.signed,))),
            Report(BERT, "vote.wrong_view", "late"),
            WakeAt(0),
        )
        assert site.done == [(ANNA, status(1))]
        assert not any(isinstance(each, Tick) for each in site.heard)
        site.room.disk.free.set()
        await turns()
        assert site.done[1:] == ["sync", VotesMessage((record.signed,)), (BERT, "vote.wrong_view")]
    site.disk.crash()
    assert site.opened_log().records[1:] == (record,)


async def test_the_records_of_one_turn_share_one_sync() -> None:
    """Three steps that were waiting together: one sync, before the first of their messages."""
    site = Site()
    records = [site.vote(view) for view in (1, 2, 3)]
    for record in records:
        site.tell(persist(record), Broadcast(VotesMessage((record.signed,))))
    async with site.running():
        assert site.done == ["sync", *(VotesMessage((record.signed,)) for record in records)]
    site.disk.crash()
    assert site.opened_log().records[1:] == tuple(records)


async def test_what_waits_beyond_a_turn_has_a_sync_of_its_own() -> None:
    """A turn takes a bounded number of inputs, so that a flood delays no sync without end."""
    site = Site()
    site.tell(persist(site.vote(1)))
    for _ in range(TURN_INPUTS_MAX - 1):
        site.tell(Send(ANNA, status()))
    site.tell(persist(site.vote(2)))
    async with site.running():
        assert site.done == ["sync", *[(ANNA, status())] * (TURN_INPUTS_MAX - 1), "sync"]


async def test_the_bodies_that_a_record_names_are_in_its_sync() -> None:
    """A proposal and its block survive together, however many records name the block."""
    site = Site()
    site.room.executor.admit(site.room.transaction(1).raw)
    made = await site.room.build()
    site.bodies.put(made.block)
    async with site.running():
        held = site.held(made)
        await site.does(persist(held, bodies=(made.tip.id,)), persist(site.vote(2), bodies=(made.tip.id,)))
        assert site.done == ["sync"]
    site.disk.crash()
    again = site.opened_log()
    assert again.records[1:] == (held, site.vote(2))
    assert again.bodies == (made.block,)


async def test_a_body_that_is_not_at_hand_is_never_promised() -> None:
    """To be asked for it is a bug of ours, and stops the node before anything is written."""
    site = Site()
    failure = await site.fails(persist(site.vote(1), bodies=(BlockId(bytes(32)),)), Send(ANNA, status()))
    assert isinstance(failure, AssertionError)
    assert site.done == []


@pytest.mark.parametrize("operation", ["write", "sync"])
async def test_a_failing_disk_ends_the_run_and_nothing_that_followed_leaves(operation: str) -> None:
    """Not in this turn and in no other: whoever awaits `run` is told, and the loop is over."""
    site = Site()

    def fault(asked: str, path: Path, data: bytes) -> None:
        if asked == operation:
            raise OSError(errno.EIO, "planted")

    site.disk.fault = fault
    record = site.vote(1)
    site.tell(Send(ANNA, status(1)), persist(record), Broadcast(VotesMessage((record.signed,))))
    failure = await site.fails(Send(BERT, status(2)))
    assert isinstance(failure, StoreFailed)
    await site.does(Send(BERT, status(3)))
    assert site.done == [(ANNA, status(1))]


async def test_records_are_dropped_in_their_order() -> None:
    """What a `DropRecords` names is gone, and what was made durable after it stays."""
    site = Site()
    async with site.running():
        await site.does(persist(site.vote(1), site.vote(2)))
        await site.does(DropRecords(Epoch(0), View(2)), persist(site.vote(3)))
        assert site.log.records[1:] == (site.vote(2), site.vote(3))


# --- what comes in ---------------------------------------------------------------------


async def test_the_start_comes_before_what_peers_said_meanwhile() -> None:
    """The network is up while lost blocks are fetched, and still the machine's first input is the start."""
    site = Site()
    site.driver.connected(KEYS[ANNA])
    tell(site, KEYS[ANNA], status())
    async with site.running():
        assert isinstance(site.script.inputs[0], Started)
        assert site.heard == [Connected(ANNA), Received(ANNA, status())]


async def test_a_flood_of_one_peer_is_bounded_and_displaces_nobody() -> None:
    """Above its share a peer's own messages are lost, and never another's."""
    site = Site()
    for number in range(INPUTS_OF_PEER_MAX + 500):
        tell(site, KEYS[ANNA], status(number))
    tell(site, KEYS[BERT], status(1))
    async with site.running():
        await turns(50)
        heard = [each for each in site.heard if isinstance(each, Received)]
        assert [each.message for each in heard if each.peer == ANNA] == [
            status(number) for number in range(INPUTS_OF_PEER_MAX)
        ]
        assert [each.message for each in heard if each.peer == BERT] == [status(1)]
        tell(site, KEYS[ANNA], status(7))  # what was taken in makes room
        await turns()
        assert site.heard[-1] == Received(ANNA, status(7))


async def test_large_messages_of_one_peer_fill_no_memory_while_the_loop_stands_still() -> None:
    """A node that waits for its disk holds a few megabytes of a flood, and no less of the others'."""
    site = Site()
    signatures = tuple((index, bytes(64)) for index in range(128))
    large = CertificatesMessage(
        tuple(
            Certificate(Vote(bytes(32), 0, view, VoteKind.NULLIFY, None), signatures) for view in range(1, 17)
        )
    )
    size = len(encode_message(large))
    async with site.running():
        site.driver.pause()
        for _ in range(INPUTS_OF_PEER_MAX):
            tell(site, KEYS[ANNA], large)
        tell(site, KEYS[BERT], large)
        await turns()
        assert site.driver.waiting <= 1 + INPUT_BYTES_OF_PEER_MAX // size
        site.driver.resume()
        await turns(200)
        assert site.heard.count(Received(BERT, large)) == 1
        assert site.heard.count(Received(ANNA, large)) == INPUT_BYTES_OF_PEER_MAX // size
        tell(site, KEYS[ANNA], large)  # what was taken in makes room
        await turns()
        assert site.heard[-1] == Received(ANNA, large)


async def test_a_paused_driver_does_nothing_and_then_all_of_it() -> None:
    """Inputs wait: no record, message or timer while paused; everything, in order, afterwards."""
    site = Site()
    async with site.running():
        assert site.driver.is_voting is False  # quarantined until the machine has read its record
        site.driver.pause()
        record = site.vote(1)
        site.tell(persist(record), Broadcast(VotesMessage((record.signed,))))
        site.tell(Send(ANNA, status(1)), WakeAt(0))
        tell(site, KEYS[BERT], status(2))
        await turns()
        assert site.done == []
        assert site.heard == []
        site.driver.resume()
        await turns()
        assert site.done == ["sync", VotesMessage((record.signed,)), (ANNA, status(1))]
        assert site.heard == [Received(BERT, status(2)), Tick(site.clock.wall_ms())]


async def test_a_new_transaction_is_news_where_there_was_nothing_to_build() -> None:
    """The machine hears of changes only; after NothingToBuild each new transaction counts, once."""
    site = Site()
    site.room.executor.admit(site.room.transaction(1).raw)
    parent = await site.room.build()
    async with site.running():
        site.driver.transactions_pending(is_new=True)
        site.driver.transactions_pending(is_new=True)
        await site.does(site.build_on(parent, may_be_empty=False))
        assert site.heard == [TransactionsPending(True), NothingToBuild(Epoch(0), View(2))]
        site.driver.transactions_pending()
        await turns()
        assert len(site.heard) == 2
        for nonce in (2, 3):
            site.room.executor.admit(site.room.transaction(nonce).raw)
            site.driver.transactions_pending(is_new=True)
        await turns()
        assert site.heard[2:] == [TransactionsPending(True)]


# --- timers ----------------------------------------------------------------------------


async def test_each_wake_replaces_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """One timer at a time, by the monotonic clock; what it brings is the wall clock of its moment."""
    site = Site()
    async with site.running():
        timers = timers_by_hand(monkeypatch)
        await site.does(WakeAt(site.clock.monotonic + 250), WakeAt(site.clock.monotonic + 5_000))
        await site.does(WakeAt(site.clock.monotonic - 10))
        assert [timer.delay_seconds for timer in timers] == [0.25, 5.0, 0.0]
        assert [timer.is_cancelled for timer in timers] == [True, True, False]
        site.clock.wall += 7
        timers[-1].call()
        await turns()
        assert site.heard == [Tick(site.clock.wall_ms())]
        monkeypatch.undo()


async def test_no_timer_outlives_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops is not woken."""
    site = Site()
    async with site.running():
        timers = timers_by_hand(monkeypatch)
        await site.does(WakeAt(site.clock.monotonic + 250))
        monkeypatch.undo()
    assert [timer.is_cancelled for timer in timers] == [True]


# --- building ----------------------------------------------------------------------------


async def test_a_built_block_is_at_hand_before_the_machine_hears_of_it() -> None:
    """On the parent that was named, with its certificate, at the wall clock."""
    site = Site()
    site.room.executor.admit(site.room.transaction(1).raw)
    async with site.running():
        await site.does(site.build_on())
        (built,) = site.heard
        assert isinstance(built, Built)
        assert built.header is not None
        assert (built.view, built.header.time_ms) == (1, site.clock.wall)
        block = site.bodies.get(block_id(built.header))
        assert block is not None
        assert block.transactions == (site.room.transaction(1).raw,)


async def test_a_build_on_a_parent_that_lost_is_not_answered() -> None:
    """Another block became final meanwhile; the machine has moved on."""
    site, other = Site(), Room()
    loser = await site.room.build()
    winner = (await other.build(time_ms=START_MS + 1_234)).block
    final = await site.room.executor.check(winner)
    async with site.running():
        async with site.room.executor._running:  # another block is being run
            await site.does(site.build_on(loser))
            await site.room.commit(final)
        await turns()
        assert site.heard == []


# --- fetching ----------------------------------------------------------------------------


async def test_a_body_at_hand_is_not_asked_for() -> None:
    """The network is for what is missing."""
    site = Site()
    made = await site.room.build()
    site.bodies.put(made.block)
    async with site.running():
        await site.does(Fetch(made.tip.id, (ANNA,)))
        assert site.heard == [Fetched(made.block.header)]
        assert site.asked == []


async def test_a_body_that_does_not_come_is_not_answered() -> None:
    """The machine asks again; then it may come."""
    site = Site()
    made = await site.room.build()
    async with site.running():
        await site.does(Fetch(made.tip.id, (ANNA,)))
        assert site.heard == []
        site.elsewhere[made.tip.id] = made.block
        await site.does(Fetch(made.tip.id, (ANNA, BERT)))
        assert site.heard == [Fetched(made.block.header)]
        assert [list(sources) for _, sources in site.asked] == [[ANNA], [ANNA, BERT]]


async def test_a_fetch_under_way_takes_the_new_sources() -> None:
    """A block is looked for once, however often the machine asks: nobody is asked twice in one round."""
    site = Site()
    made = await site.room.build()
    site.answering.clear()
    async with site.running():
        await site.does(Fetch(made.tip.id, (ANNA,)))
        await site.does(Fetch(made.tip.id, (BERT, ANNA)), Fetch(made.tip.id, (BERT,)))
        assert site.asked == [(made.tip.id, [ANNA, BERT])]
        site.elsewhere[made.tip.id] = made.block
        site.answering.set()
        await turns()
        assert site.heard == [Fetched(made.block.header)]


async def test_fetches_are_bounded_and_hinder_no_check_and_no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bodies never come; what was above the limit is looked for when it is asked for again."""
    monkeypatch.setattr(driver_module, "FETCHES_MAX", 3)
    site = Site()
    made = await site.room.build()
    site.bodies.put(made.block)
    site.answering.clear()
    names = [BlockId(bytes([number]) * 32) for number in range(5)]
    async with site.running():
        await site.does(*(Fetch(name, (ANNA,)) for name in names))
        assert [of for of, _ in site.asked] == names[:3]
        await site.does(Check(made.tip.id), site.build_on())
        assert [type(each) for each in site.heard] == [Checked, Built]
        site.answering.set()
        await turns()
        await site.does(Fetch(names[3], (ANNA,)))
        assert [of for of, _ in site.asked] == names[:4]


async def test_the_machine_asks_again_for_a_fetch_that_found_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real machine: a body that was not looked for is fetched, checked and voted for later."""
    leader = Room()
    leader.executor.admit(leader.transaction(1).raw)
    made = await leader.build()
    site = Site(machine=machine_of(Room(), None), votes=False)
    site.elsewhere[made.tip.id] = made.block
    monkeypatch.setattr(driver_module, "FETCHES_MAX", 0)
    async with site.running():
        timers = timers_by_hand(monkeypatch)
        tell(site, KEYS[LEADER], site.held(made).message)
        finalization = leader.certificate(made.tip.id, 1, VoteKind.FINALIZE)
        tell(site, KEYS[LEADER], CertificatesMessage((finalization,)))
        await turns()
        assert site.asked == []
        assert site.room.height == 0
        monkeypatch.setattr(driver_module, "FETCHES_MAX", 1)
        site.clock.monotonic += 60_000
        timers[-1].call()
        await turns()
        assert site.room.height == 1
        assert [of for of, _ in site.asked] == [made.tip.id]


# --- checking ----------------------------------------------------------------------------


async def verdicts(site: Site, *identifiers: BlockId) -> list[Verdict]:
    """What the machine hears when it asks for checks of these."""
    before = len(site.heard)
    await site.does(*(Check(each) for each in identifiers))
    answers = site.heard[before:]
    assert all(isinstance(each, Checked) and each.wall_ms == site.clock.wall for each in answers)
    return [each.verdict for each in answers if isinstance(each, Checked)]


async def test_a_verdict_is_the_executors() -> None:
    """A good block is valid; one whose state root is wrong is invalid; a body that is missing is neither."""
    site, other = Site(), Room()
    other.executor.admit(other.transaction(1).raw)
    good = (await other.build()).block
    bad = msgspec.structs.replace(good, header=msgspec.structs.replace(good.header, state_root=bytes(32)))
    site.bodies.put(good)
    site.bodies.put(bad)
    async with site.running():
        assert await verdicts(site, block_id(good.header)) == [Verdict.VALID]
        assert await verdicts(site, block_id(bad.header)) == [Verdict.INVALID]
        assert await verdicts(site, BlockId(bytes(32))) == [Verdict.PENDING]


async def test_a_block_whose_parent_was_not_run_is_pending() -> None:
    """It may be valid: nobody can tell yet."""
    site, other = Site(), Room()
    child = await other.build((await other.build()).tip.id)
    site.bodies.put(child.block)
    async with site.running():
        assert await verdicts(site, child.tip.id) == [Verdict.PENDING]


async def test_a_check_that_takes_too_long_is_pending_and_never_invalid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slow machine must not condemn a block; later, with time enough, the same block is valid."""
    monkeypatch.setattr(pace_module, "SLICE_SECONDS", 0)
    site, other = Site(), Room()
    other.executor.admit(other.transaction(1).raw)
    made = await other.build()
    site.bodies.put(made.block)
    async with site.running():
        with monkeypatch.context() as hurry:
            hurry.setattr(driver_module, "CHECK_SECONDS", 0)
            assert await verdicts(site, made.tip.id) == [Verdict.PENDING]
        assert await verdicts(site, made.tip.id) == [Verdict.VALID]


async def test_a_check_of_a_block_that_lost_is_pending() -> None:
    """Its parent lost while it waited to be run: there is no verdict about it."""
    site, other = Site(), Room()
    loser = await other.build()
    child = await other.build(loser.tip.id)
    await site.room.executor.check(loser.block)
    winner = await site.room.executor.check((await Room().build(time_ms=START_MS + 1_234)).block)
    site.bodies.put(child.block)
    async with site.running():
        async with site.room.executor._running:
            await site.does(Check(child.tip.id))
            await site.room.commit(winner)
        await turns()
        assert site.heard == [Checked(child.tip.id, Verdict.PENDING, site.clock.wall_ms())]


async def test_a_block_is_checked_once_at_a_time() -> None:
    """To ask again while it runs is answered by the run that there is."""
    site = Site()
    made = (await Room().build()).block
    site.bodies.put(made)
    identifier = block_id(made.header)
    async with site.running():
        async with site.room.executor._running:  # another block is being run
            assert await verdicts(site, identifier, identifier) == []
        await turns()
        assert site.heard == [Checked(identifier, Verdict.VALID, site.clock.wall_ms())]


# --- committing ----------------------------------------------------------------------------


async def test_a_commit_is_durable_and_told_before_what_follows() -> None:
    """Block and state are written with what made the block final; its body and transactions are let go."""
    site = Site()
    site.room.executor.admit(site.room.transaction(1).raw)
    made = await site.room.build()
    site.bodies.put(made.block)
    async with site.running():
        site.driver.transactions_pending()
        site.room.disk.free.clear()
        commit = site.commit_of(made)
        await site.does(commit, Broadcast(status()))
        assert site.done == []
        site.room.disk.free.set()
        await turns()
        assert site.done == [made.tip.id, status()]
        assert (site.room.height, site.driver.final_view) == (1, 1)
        assert site.bodies.get(made.tip.id) is None
        assert site.heard == [TransactionsPending(True), TransactionsPending(False)]
    stored = site.room.stores.blocks.stored(Height(1))
    assert stored is not None
    assert stored.finalization == encode(commit.finalization)
    assert site.room.stores.blocks.settled.certificate(0, 1) == encode(commit.finalization)


async def test_a_descendants_finalization_is_not_taken_for_the_blocks_own() -> None:
    """It is kept as what covers the block, and the block's own stays empty."""
    site = Site()
    first = await site.room.build()
    second = await site.room.build(first.tip.id)
    async with site.running():
        finalization = site.room.certificate(second.tip.id, 2)
        await site.does(Commit(first.tip.id, Height(1), finalization, ()))
        assert site.driver.final_view == 2
    stored = site.room.stores.blocks.stored(Height(1))
    assert stored is not None
    assert stored.finalization == b""
    assert stored.covering == encode(finalization)


async def test_a_block_whose_run_had_to_make_room_is_run_again() -> None:
    """A final block is committed though its execution was given up."""
    site, other = Site(), Room()
    made = await other.build()
    site.bodies.put(made.block)
    async with site.running():
        await site.does(site.commit_of(made))
        assert site.room.executor.committed.id == made.tip.id
        assert site.done == [made.tip.id]


async def test_a_commit_of_a_committed_height_is_a_look_only() -> None:
    """Catching up was faster: nothing is written or told twice, and the final view does not go back."""
    site = Site()
    made = (await site.room.grow(2))[0]
    calls = site.room.disk.calls
    async with site.running():
        head = site.room.executor.committed
        site.driver.synced(Synced(head.header, site.room.certificate(head.id, 2)))
        await site.does(site.commit_of(made), Broadcast(status()))
        assert site.done == [status()]
        assert site.room.disk.calls == calls
        assert (site.room.height, site.driver.final_view) == (2, 2)


async def test_who_comes_second_tells_nobody() -> None:
    """Catching up writes the block while the driver waits: one write, and a report that is not ours."""
    site = Site()
    made = await site.room.build()
    site.bodies.put(made.block)
    async with site.running():
        site.room.disk.free.clear()
        catching_up = asyncio.create_task(site.room.commit(made))
        await turns()
        await site.does(site.commit_of(made), Broadcast(status()))
        site.room.disk.free.set()
        await turns()
        assert await catching_up
        assert site.done == [status()]
        assert site.room.disk.calls == 2


# --- the rest ----------------------------------------------------------------------------


async def test_a_halt_stops_the_node_with_its_code() -> None:
    """What precedes it happened, what follows does not."""
    site = Site()
    failure = await site.fails(
        Send(ANNA, status(1)), Halt("consensus.forked", "two blocks are final"), Send(ANNA, status(2))
    )
    assert isinstance(failure, NodeHalted)
    assert failure.code == "consensus.forked"
    assert str(failure) == "consensus.forked: two blocks are final"
    assert site.done == [(ANNA, status(1))]


@pytest.mark.parametrize("is_trusted", [False, True])
async def test_of_two_processes_with_one_key_the_quarantined_one_makes_way(is_trusted: bool) -> None:
    """N8: it stops before it could sign beside the other, paused or not; who signs goes on."""
    site = Site()
    assert site.signer is not None
    site.driver.doubled()  # before the record was read nothing is known
    records = site.log.records if is_trusted else ()
    site.signer.restore(records, (Epoch(0), View(0)))
    if is_trusted:
        async with site.running():
            site.driver.doubled()
            await site.does(Send(ANNA, status(1)))
        assert site.done[-1] == (ANNA, status(1))
        return
    site.driver.pause()
    site.driver.doubled()
    failure = await site.fails(Send(ANNA, status(1)))
    assert isinstance(failure, NodeHalted)
    assert failure.code == "signer.second_holder"
    assert (ANNA, status(1)) not in site.done


async def test_a_bug_in_what_runs_beside_the_loop_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exception of ours is lost in a task that nobody looks at."""
    site = Site()
    made = (await Room().build()).block
    site.bodies.put(made)

    async def broken(block: Block) -> Execution:
        raise ZeroDivisionError

    monkeypatch.setattr(site.room.executor, "check", broken)
    assert isinstance(await site.fails(Check(block_id(made.header))), ZeroDivisionError)


async def test_what_the_machine_only_tells_is_passed_on() -> None:
    """Where it is, that it is behind, who misbehaved; log lines change nothing else."""
    site = Site()
    behind = Behind(site.room.certificate(BlockId(bytes(32)), 9))
    votes = site.vote(1).signed, site.vote(2).signed
    async with site.running():
        await site.does(
            Entered(Epoch(0), View(7), 2),
            behind,
            Evidence(2, *votes),
            SignerState(is_signing=False, reason="signer.no_record"),
            OldEpoch(ANNA, Epoch(3)),
        )
        assert (site.driver.view, site.driver.leader) == (7, 2)
        assert site.done == [behind, evidence_of(*votes)]
        site.driver.connected(KEYS[BERT])
        await turns()
        assert site.heard == [Connected(BERT)]


# --- both together -------------------------------------------------------------------------


def machine_of(room: Room, signer: Signer | None) -> Epochs:
    """The real machine above a room's genesis."""
    tip = room.executor.committed
    return Epochs(room.chain_id, epoch_in_force(room.stores.blocks, tip), signer)


async def test_a_lone_validator_makes_a_transaction_final() -> None:
    """The real machine: built, promised, voted and committed, each vote synced before it leaves."""
    room = Room()
    signer = Signer(room.chain_id, VOTER, GENERATION)
    site = Site(room, machine_of(room, signer))
    site.driver._signer = signer
    async with site.running():
        assert site.driver.is_voting
        assert site.driver.quarantine_reason == ""
        made = room.transaction(1)
        room.executor.admit(made.raw)
        site.driver.transactions_pending(is_new=True)
        await turns(100)
        assert room.stores.blocks.place_of(made.id) == (1, 0)
        for index, each in enumerate(site.done):
            if isinstance(each, VotesMessage | ProposalMessage):
                assert "sync" in site.done[:index]
        site.disk.crash()
        kept = {record.signed for record in site.opened_log().records if isinstance(record, OwnVote)}
        left = [vote for each in site.done if isinstance(each, VotesMessage) for vote in each.votes]
        assert left
        floor = site.driver.final_view
        assert all(vote in kept for vote in left if vote.vote.view > floor)
        site.driver.pause()
        assert not site.driver.is_voting
    own = room.stores.blocks.finalization(Height(1))
    assert own is not None


def test_what_does_not_sign_says_so() -> None:
    """An observer votes never and is in no quarantine; a validator is, until its record was read."""
    observer, validator = Site(votes=False), Site()
    assert (observer.driver.is_voting, observer.driver.quarantine_reason) == (False, "")
    assert (validator.driver.is_voting, validator.driver.quarantine_reason) == (False, "signer.not_started")


# --- an epoch that operators give up ---------------------------------------------------------------


async def test_an_epoch_that_is_given_up_ends_with_all_that_was_begun_in_it() -> None:
    """K11: `run` returns, and runs again for the chain as it is then: what peers said meanwhile is heard by
    the new machine, what was asked for in the old epoch is answered to nobody."""
    site = Site()
    site.answering.clear()  # a fetch that never ends
    async with asyncio.timeout(5):
        running = asyncio.create_task(site.driver.run(site.started))
        await turns()
        await site.does(Entered(Epoch(0), View(7), 0), Fetch(BlockId(b"x" * 32), (ANNA,)))
        assert site.driver.view == 7
        site.driver.give_up()
        tell(site, KEYS[ANNA], status(3))
        site.driver.feed(Fetched(site.room.executor.committed.header))
        await running
    assert (site.driver.view, site.driver.leader, site.driver.final_view) == (0, -1, 0)
    site.script.inputs.clear()
    async with site.running():
        await turns()
        started, *others = site.script.inputs
        assert isinstance(started, Started)
        assert others == [Received(ANNA, status(3)), TransactionsPending(False)]


async def test_who_speaks_of_a_given_up_epoch_is_told_the_recovery() -> None:
    """K15: of that epoch, and of the one that was passed over."""
    site = Site()
    kept = b"\x92\x96 approved"
    site.room.stores.blocks.recovery = lambda ended: kept if ended == 3 else None  # type: ignore[method-assign]
    async with site.running():
        await site.does(OldEpoch(ANNA, Epoch(3)), OldEpoch(BERT, Epoch(4)))
    assert site.done[-2:] == [(ANNA, kept), (BERT, kept)]
