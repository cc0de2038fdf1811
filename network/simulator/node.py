"""One simulated node: a driver around the real consensus machine.

It performs effects in order and waits at each `Persist` and `Commit` for the disk; a crash in
between loses what was not synced and everything that was to follow. Nothing of it survives but
the disk. Building, checking, fetching and syncing take time and may come to nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from typing import Final, Protocol, assert_never

from ledger.block import Block, Header, block_id
from ledger.codec import encode
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
    EpochBegun,
    EpochEnded,
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
from ledger.consensus.messages import CertificatesMessage, Message, ProposalMessage
from ledger.consensus.records import OwnVote
from ledger.errors import LedgerError
from ledger.types import BlockId, ChainId, Epoch, TimeMs
from ledger.vote import Certificate, VoteKind, verify_certificate
from network.simulator.chain import WALL_START_MS, Chain, governing, is_body_of
from network.simulator.disk import Batch, Committed, Disk, DiskFailure, Remains
from network.simulator.mail import BodyReply, BodyRequest, ChainReply, ChainRequest, Gossip, Mail, Statement
from network.simulator.roll import Roll
from network.simulator.scheduler import Scheduler

GENERATION: Final = b"simulated host.."  # where a disk was first written
WORK_MS_MAX: Final = 3  # building or checking a block takes up to this
FETCH_TIMEOUT_MS: Final = 300  # then the next source is asked
GOSSIP_MS: Final = 2_000  # how often waiting transactions are passed on again
GOSSIP_MAX: Final = 16
CHAIN_REPLY_MAX: Final = 500  # blocks of one answer


class CrashPoint(Enum):
    """Where the next write to the disk kills the node."""

    NOW = "now"
    BEFORE_SYNC = "before sync"
    AFTER_SYNC = "after sync"
    BEFORE_COMMIT = "before commit"
    AFTER_FIRST_SEND = "after first send"
    TORN = "torn write"  # a part of the batch at most, never all of it
    LOST = "lost write"  # nothing of the batch
    AFTER_VOTE = "after vote"  # a vote of its own is durable and has not left
    AFTER_NULLIFY = "after nullify"  # and it is to nullify


BEFORE_SYNC_POINTS: Final = (
    CrashPoint.BEFORE_SYNC,
    CrashPoint.BEFORE_COMMIT,
    CrashPoint.TORN,
    CrashPoint.LOST,
)
AFTER_SYNC_POINTS: Final = (CrashPoint.AFTER_SYNC, CrashPoint.AFTER_VOTE, CrashPoint.AFTER_NULLIFY)


def is_at(point: CrashPoint, batch: Batch) -> bool:
    """Whether a write is the one at which a node is doomed to die."""
    votes = [record.signed.vote.kind for record in batch.records if isinstance(record, OwnVote)]
    match point:
        case CrashPoint.BEFORE_COMMIT:
            return bool(batch.commits)
        case CrashPoint.TORN | CrashPoint.LOST:
            return bool(batch.records)
        case CrashPoint.AFTER_VOTE:
            return bool(votes)
        case CrashPoint.AFTER_NULLIFY:
            return VoteKind.NULLIFY in votes
        case _:
            return True


class Audience(Protocol):
    """Who learns what a node does: the oracle of an honest node, nobody of a lying one."""

    def started(self, index: int, disk: Disk) -> None:
        """A node starts from this disk."""

    def restored(self, index: int, disk: Disk) -> None:
        """A dead node got another disk: what it signed may not be in the record any more."""

    def persisted(self, index: int, effect: Persist) -> None:
        """Records became durable."""

    def said(self, index: int, message: Message, now_ms: int) -> None:
        """A message is about to leave."""

    def committed(self, index: int, entry: Committed) -> None:
        """A block became final and durable."""

    def built(self, index: int, block: Header) -> None:
        """A node built a block, and so found it valid."""

    def executed(self, index: int, block: Header) -> None:
        """A node found a block valid."""

    def entered(self, index: int, epoch: int, view: int) -> None:
        """A node moved to a view."""

    def noticed(self, index: int, effect: Report | Evidence | Halt) -> None:
        """A node accuses somebody, or stops itself."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all nodes of a run share. `carry` brings mail from a place to a validator, `stepped` learns of
    every step of a machine."""

    scheduler: Scheduler
    roll: Roll
    make_machine: Callable[[int, bytes, EpochBegun], Epochs]
    carry: Callable[[int, int, Mail], None]
    crashed: Callable[[int, CrashPoint, bool], None]
    stepped: Callable[[int, Input, Sequence[Effect]], None]
    nodes: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A node said something, or (None) can be reached again. Its number is asked for when its turn comes."""

    sender: int
    message: Message | None


class SimulatedNode:
    """A validator with a disk. `index` is its place in the set and its name to its peers; `place` is where
    it is plugged in, its own even where two nodes run with one key. `generation` names its host."""

    def __init__(
        self,
        surroundings: Surroundings,
        index: int,
        disk: Disk,
        random: Random,
        audience: Audience,
        place: int | None = None,
    ) -> None:
        self.index, self.disk = index, disk
        self.place = index if place is None else place
        self.generation = GENERATION
        self.chain = Chain(disk)
        self.machine: Epochs | None = None
        self.wall_ahead_ms = 0
        self.sync_ms_max = 2
        self.doom: CrashPoint | None = None
        self._around = surroundings
        self._random = random
        self._audience = audience
        self._life = 0
        self._is_writing = False
        self._inputs: deque[Input | Heard] = deque()
        self._effects: deque[Effect] = deque()
        self._wake = 0
        self._fetches: dict[BlockId, deque[int]] = {}
        self._sync_turn = 0
        self._sync: Certificate | None = None
        self._is_doomed_to_send = False

    # --- life and death -----------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self.machine is not None

    @property
    def life(self) -> int:
        """How often the process has died."""
        return self._life

    @property
    def height(self) -> int:
        """Of the last committed block."""
        return self.disk.head.block.header.height

    @property
    def wall_ms(self) -> TimeMs:
        """What this node's clock shows, in milliseconds since 1970."""
        return TimeMs(WALL_START_MS + self._around.scheduler.now_ms + self.wall_ahead_ms)

    def start(self) -> None:
        """Start the process from its disk."""
        assert not self.is_up
        self._audience.started(self.index, self.disk)
        self.chain = Chain(self.disk)
        self.machine = self._around.make_machine(self.index, self.generation, self._epoch_in_force())
        head = self.disk.head
        self.feed(Started(self.wall_ms, head.block.header, head.finalization, tuple(self.disk.records)))
        self._later(self._random.randint(1, GOSSIP_MS), self._gossip_again)

    def crash(self, point: CrashPoint = CrashPoint.NOW) -> None:
        """Kill the process; the disk keeps what it kept."""
        self._life += 1
        self.machine, self.doom = None, None
        self._is_writing = self._is_doomed_to_send = False
        self._inputs.clear()
        self._effects.clear()
        self._fetches.clear()
        self._sync = None
        remains = {CrashPoint.TORN: Remains.PART, CrashPoint.LOST: Remains.NOTHING}.get(point, Remains.ANY)
        is_torn = self.disk.crash(self._random, remains)
        self._around.crashed(self.place, point, is_torn)

    def swap_disk(self, disk: Disk, generation: bytes) -> None:
        """Put another disk into the dead node, as an operator may; and say so."""
        assert not self.is_up
        self.disk, self.generation = disk, generation
        self._audience.restored(self.index, disk)

    def _later(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Do something later, unless this process is dead by then."""
        life = self._life

        def act() -> None:
            if life == self._life:
                action()

        self._around.scheduler.later(delay_ms, act)

    # --- inputs and effects ---------------------------------------------------------------

    def feed(self, event: Input | Heard) -> None:
        """Queue an input; it is taken when the disk is not busy."""
        if self.machine is None:
            return
        self._inputs.append(event)
        self._turn()

    def _turn(self) -> None:
        life = self._life
        while life == self._life and not self._is_writing:
            if self._effects:
                self._perform(self._effects.popleft())
            elif self._inputs:
                assert self.machine is not None
                event = self._named(self._inputs.popleft())
                effects = self.machine.step(self._around.scheduler.now_ms, event)
                self._around.stepped(self.place, event, effects)
                self._effects.extend(effects)
            else:
                return

    def _named(self, event: Input | Heard) -> Input:
        if not isinstance(event, Heard):
            return event
        peer = self.peer(event.sender)
        return Connected(peer) if event.message is None else Received(peer, event.message)

    # --- epochs ---------------------------------------------------------------------------

    @property
    def epoch(self) -> Epoch:
        """The epoch in force."""
        assert self.machine is not None
        return self.machine.epoch

    def peer(self, node: int) -> Peer:
        """The number of a node in the epoch in force."""
        return self._around.roll.peer(self.epoch, node)

    def node(self, peer: int) -> int:
        """The node behind a number."""
        return self._around.roll.node(self.epoch, peer)

    def _epoch_in_force(self) -> EpochBegun:
        """What the last committed block decided for its children."""
        start, parameters = governing(self.disk.head.block.header)
        base = self.disk.committed[start.base_height]
        return EpochBegun(
            Epoch(start.epoch),
            self._around.roll.validators(start.epoch),
            parameters,
            base.block.header,
            base.finalization,
        )

    def epoch_ended(self) -> None:
        """The last block of the epoch is committed: the next input begins another."""
        self._inputs.appendleft(self._epoch_in_force())

    def _tell_what_ended(self, peer: Peer, epoch: Epoch) -> None:
        entries = [entry for entry in self.disk.committed if entry.block.header.epoch == epoch]
        if entries and entries[-1].finalization is not None:
            self.say(self.node(peer), CertificatesMessage((entries[-1].finalization,)))

    def _accuse(self, effect: Report | Evidence | Halt) -> None:
        """Name nodes to the audience: indices are of one epoch."""
        match effect:
            case Report(peer=peer):
                effect = replace(effect, peer=Peer(self.node(peer)))
            case Evidence(validator=validator):
                effect = replace(effect, validator=self.node(validator))
            case Halt():
                pass
        self._audience.noticed(self.index, effect)

    def _perform(self, effect: Effect) -> None:  # noqa: PLR0912  # one case an effect
        match effect:
            case Persist():
                self._persist(effect)
            case Commit():
                self._commit(effect)
            case DropRecords(epoch, view):
                self.disk.drop_records(epoch, view)
            case Send(peer, message):
                self.say(self.node(peer), message)
            case Broadcast(message):
                for receiver in range(self._around.nodes):
                    if receiver != self.index and self.is_up:
                        self.say(receiver, message)
            case WakeAt(at_ms):
                self._wake_at(at_ms)
            case Report() | Evidence() | Halt():
                self._accuse(effect)
            case Entered(epoch=epoch, view=view):
                self._audience.entered(self.index, epoch, view)
            case EpochEnded():
                self.epoch_ended()
            case OldEpoch(peer, epoch):
                self._tell_what_ended(peer, epoch)
            case SignerState():
                pass
            case _:
                self._begin_work(effect)

    def _begin_work(self, effect: Build | Fetch | Check | Behind) -> None:
        match effect:
            case Build():
                self._later(self._random.randint(0, WORK_MS_MAX), lambda: self._build(effect))
            case Fetch(wanted, sources):
                nodes = tuple(self.node(source) for source in sources)
                self._later(0, lambda: self._fetch(wanted, nodes))
            case Check(wanted):
                self._later(self._random.randint(0, WORK_MS_MAX), lambda: self._check(wanted))
            case Behind(finalization):
                self._later(0, lambda: self._ask_for_chain(finalization))
            case _:
                assert_never(effect)

    def _wake_at(self, at_ms: int) -> None:
        scheduler = self._around.scheduler
        self._wake += 1
        wake = self._wake

        def tick() -> None:
            if wake == self._wake:
                self.feed(Tick(self.wall_ms))

        self._later(max(0, at_ms - scheduler.now_ms), tick)

    # --- the disk -------------------------------------------------------------------------------

    def _persist(self, effect: Persist) -> None:
        bodies = tuple((each, self.chain.at_hand[each]) for each in effect.bodies)
        self._write(
            Batch(records=effect.records, bodies=bodies),
            lambda: self._audience.persisted(self.index, effect),
        )

    def _commit(self, effect: Commit) -> None:
        body = self.chain.at_hand.get(effect.block_id)
        if effect.height <= self.height:
            return  # a sync was faster
        assert body is not None, "asked to commit a block that is not at hand"
        self._commit_all((Committed(effect.block_id, body, effect.finalization),), lambda: None)

    def _commit_all(self, entries: tuple[Committed, ...], then: Callable[[], None]) -> None:
        def synced() -> None:
            for entry in entries:
                self._audience.committed(self.index, entry)
                self.chain.committed(entry.block)
            if not self.chain.waiting:
                self._inputs.append(TransactionsPending(False))
            then()

        self._write(Batch(commits=entries), synced)

    def _write(self, batch: Batch, then: Callable[[], None]) -> None:
        """Write, wait for the sync, go on; a doomed node dies on the way."""
        try:
            self.disk.write(batch)
        except DiskFailure:
            self.crash()  # the first write that fails ends the process
            return
        doom = self.doom if self.doom is not None and is_at(self.doom, batch) else None
        if doom in BEFORE_SYNC_POINTS:
            self.crash(doom)
            return
        self._is_writing = True

        def synced() -> None:
            self._is_writing = False
            self.disk.sync()
            then()
            if doom in AFTER_SYNC_POINTS:
                self.crash(doom)
                return
            self._is_doomed_to_send = doom is CrashPoint.AFTER_FIRST_SEND
            self._turn()

        self._later(self._random.randint(0, self.sync_ms_max), synced)

    # --- the wire ---------------------------------------------------------------------------------

    def say(self, receiver: int, message: Message) -> None:
        """Send a consensus message; a proposal's body goes along."""
        self._audience.said(self.index, message, self._around.scheduler.now_ms)
        self.post(receiver, self.statement(message))
        if self._is_doomed_to_send:
            self.crash()

    def statement(self, message: Message) -> Statement:
        """A message as it goes onto the wire."""
        body = None
        if isinstance(message, ProposalMessage):
            body = self.chain.body(BlockId(message.signed.proposal.block_id))
        return Statement(message, body)

    def post(self, receiver: int, mail: Mail) -> None:
        """Give mail to the wire."""
        if receiver < self._around.nodes:
            self._around.carry(self.place, receiver, mail)

    def deliver(self, sender: int, mail: Mail) -> None:
        """Mail arrived."""
        if not self.is_up:
            return
        match mail:
            case Statement(message, body):
                if body is not None and is_body_of(body):
                    self.chain.keep(body)
                self.feed(Heard(sender, message))
            case BodyRequest(wanted):
                body = self.chain.body(wanted)
                if body is not None:
                    self.post(sender, BodyReply(body))
            case BodyReply(body):
                identifier = block_id(body.header)
                if is_body_of(body) and self._fetches.pop(identifier, None) is not None:
                    self.chain.keep(body)
                    self.feed(Fetched(body.header))
            case ChainRequest(after_height, finalization):
                self._answer_chain(sender, after_height, finalization)
            case ChainReply(blocks, finalization):
                self._take_chain(blocks, finalization)
            case Gossip(transactions):
                self.admit(transactions)
            case _:
                assert_never(mail)

    def connected(self, peer: int) -> None:
        """A link works again."""
        self.feed(Heard(peer, None))

    # --- transactions -------------------------------------------------------------------------------

    def submit(self, transaction: bytes) -> None:
        """A client hands in a transaction; it is passed on at once."""
        self.admit((transaction,))
        self._gossip()

    def admit(self, transactions: tuple[bytes, ...]) -> None:
        """Queue transactions and tell the machine."""
        if self.chain.admit(transactions):
            self.feed(TransactionsPending(True))

    def _gossip(self) -> None:
        waiting = tuple(self.chain.waiting)[:GOSSIP_MAX]
        if waiting and self.is_up:
            for receiver in range(self._around.nodes):
                if receiver != self.index:
                    self.post(receiver, Gossip(waiting))

    def _gossip_again(self) -> None:
        self._gossip()
        self._later(GOSSIP_MS, self._gossip_again)

    # --- building, checking, fetching ---------------------------------------------------------------

    def _build(self, effect: Build) -> None:
        certificate = b"" if effect.parent_certificate is None else encode(effect.parent_certificate)
        block = self.chain.build(effect.parent.block_id, self.wall_ms, certificate)
        if block is None:
            return  # it lost against a block that became final meanwhile
        if not block.transactions and not effect.may_be_empty:
            self.feed(NothingToBuild(effect.epoch, effect.view))
        else:
            self._audience.built(self.index, block.header)
            self.feed(Built(effect.epoch, effect.view, block.header))

    def _check(self, wanted: BlockId) -> None:
        body = self.chain.at_hand.get(wanted)
        is_valid = None if body is None else self.chain.is_valid(body)
        verdict = {True: Verdict.VALID, False: Verdict.INVALID, None: Verdict.PENDING}[is_valid]
        if is_valid and body is not None:
            self._audience.executed(self.index, body.header)
        self.feed(Checked(wanted, verdict, self.wall_ms))

    def _fetch(self, wanted: BlockId, sources: tuple[int, ...]) -> None:
        body = self.chain.body(wanted)
        if body is not None:
            self.chain.keep(body)
            self.feed(Fetched(body.header))
        elif wanted in self._fetches:
            self._fetches[wanted].extend(each for each in sources if each not in self._fetches[wanted])
        else:
            self._fetches[wanted] = deque(sources)
            self._ask_next(wanted)

    def _ask_next(self, wanted: BlockId) -> None:
        sources = self._fetches.get(wanted)
        if sources is None:
            return  # it came
        body = self.chain.body(wanted)
        if body is not None:  # it came beside a proposal
            del self._fetches[wanted]
            self.feed(Fetched(body.header))
        elif sources:
            self.post(sources.popleft(), BodyRequest(wanted))
            self._later(FETCH_TIMEOUT_MS, lambda: self._ask_next(wanted))
        else:
            del self._fetches[wanted]  # one round; the machine asks again

    # --- catching up by certificates -----------------------------------------------------------------

    def _ask_for_chain(self, finalization: Certificate) -> None:
        """Ask one peer after the other, a different one each time that the machine says `Behind`."""
        self._sync = finalization
        self._sync_turn += 1
        offset = 1 + self._sync_turn % (self._around.nodes - 1)
        self.post((self.index + offset) % self._around.nodes, ChainRequest(self.height, finalization))

    def _answer_chain(self, sender: int, after_height: int, finalization: Certificate) -> None:
        wanted = self.disk.committed[after_height + 1 : after_height + 1 + CHAIN_REPLY_MAX]
        last = next((at for at, each in enumerate(wanted) if each.block_id == finalization.block_id), None)
        if last is not None:
            blocks = tuple(each.block for each in wanted[: last + 1])
            self.post(sender, ChainReply(blocks, finalization))

    def _take_chain(self, blocks: tuple[Block, ...], finalization: Certificate) -> None:
        """Commit what hangs together from our head to the block of a finalization that we asked about."""
        if self._sync is None or finalization.vote != self._sync.vote or self._is_writing or self._effects:
            return  # a retry will come when the disk is free
        head, voters = self.disk.head, self._around.roll.validators(self.epoch)
        try:
            certificate = finalization.vote
            verify_certificate(finalization, ChainId(head.block.header.chain_id), self.epoch, voters)
        except LedgerError:
            return
        entries = []
        parent = head.block_id
        for body in blocks:
            if body.header.height <= self.height:
                continue
            if body.header.parent_id != parent or not is_body_of(body):
                return
            parent = self.chain.keep(body)
            entries.append(Committed(parent, body, finalization))
        if not entries or parent != certificate.block_id:
            return
        self._sync = None
        synced = Synced(entries[-1].block.header, finalization)
        # The machine learns it before what came meanwhile: it signs in no epoch that its own store has ended.
        self._commit_all(tuple(entries), lambda: self._inputs.appendleft(synced))
