"""Some nodes' consensus in one room: a fake driver each, one virtual clock, messages in order.

Small on purpose: no loss, delay or disk but what a test asks for. `network.simulator` is the
real laboratory; this one is for tests of single rules.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ledger.block import Header, block_id
from ledger.consensus.epochs import Epochs
from ledger.consensus.events import (
    FIRST_OBSERVER,
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
    decode_message,
    encode_message,
)
from ledger.consensus.records import decode_record, encode_record, record_position
from ledger.consensus.signer import Signer, first_record
from ledger.consensus.timeouts import ConsensusParameters
from ledger.crypto import KeyPair, key_pair
from ledger.epoch import EpochStart, is_last_block
from ledger.types import ZERO_HASH, BlockId, ChainId, Epoch, TimeMs
from ledger.validators import Validator, ValidatorSet
from ledger.vote import Certificate

CHAIN = ChainId(b"c" * 32)
EPOCH = Epoch(0)
GENERATION = b"g" * 16
WALL_MS = 1_700_000_000_000
LATENCY_MS = 10


def keys(count: int) -> list[KeyPair]:
    return [key_pair(bytes([index + 1]) * 32) for index in range(count)]


def validator_set(stakes: list[int]) -> ValidatorSet:
    return set_of(stakes)


def set_of(stakes: Sequence[int]) -> ValidatorSet:
    """The set of the keys with stake, by number of the key."""
    everybody = enumerate(zip(keys(len(stakes)), stakes, strict=True))
    return ValidatorSet(
        tuple(Validator(key.public, stake, f"node{number}") for number, (key, stake) in everybody if stake)
    )


def header_on(parent_id: bytes, height: int, time_ms: int, salt: int = 0, epoch: int = EPOCH) -> Header:
    """A block's header; `salt` tells siblings apart."""
    return Header(
        version=1,
        chain_id=CHAIN,
        height=height,
        epoch=epoch,
        parent_id=parent_id,
        time_ms=time_ms,
        transactions_root=salt.to_bytes(32, "big"),
        receipts_root=ZERO_HASH,
        events_root=ZERO_HASH,
        state_root=ZERO_HASH,
        history_root=ZERO_HASH,
        validators_hash=ZERO_HASH,
        next_validators_hash=ZERO_HASH,
        parameters_hash=ZERO_HASH,
        last_certificate_hash=ZERO_HASH,
        transaction_count=salt,
        event_count=0,
        protocol_version=1,
    )


BASE = header_on(ZERO_HASH, 0, WALL_MS - 1000)


@dataclass
class Disk:
    """What survives a crash: the log, bodies, and the committed blocks with what made them final."""

    records: list[bytes] = field(default_factory=list)
    bodies: dict[BlockId, Header] = field(default_factory=dict)
    committed: list[tuple[Header, Certificate | None]] = field(default_factory=lambda: [(BASE, None)])


class Node:
    """A fake driver around one node's consensus: everything is at hand at once, nothing is executed."""

    def __init__(self, room: Room, number: int, disk: Disk, *, is_observer: bool = False) -> None:
        self.room, self.number, self.disk = room, number, disk
        self.is_observer = is_observer
        self.is_up = False
        self.is_empty_mempool = True
        self.transactions: list[int] = []
        self.at_hand: dict[BlockId, Header] = {}
        self.effects: list[Effect] = []  # everything it ever did
        self.verdicts: Callable[[Header], Verdict] = lambda header: Verdict.VALID
        self.wake_ms: int | None = None

    def start(self) -> None:
        key = keys(self.number + 1)[self.number]
        self.signer = None if self.is_observer else Signer(CHAIN, key, GENERATION)
        self.machine = Epochs(CHAIN, self._begun(), self.signer)
        self.is_up, self.at_hand, self.wake_ms = True, dict(self.disk.bodies), None
        head, finalization = self.disk.committed[-1]
        records = tuple(decode_record(data) for data in self.disk.records)
        self.feed(Started(TimeMs(self.room.wall_ms), head, finalization, records))
        if self.transactions:
            self.feed(TransactionsPending(True))

    def _begun(self) -> EpochBegun:
        """The epoch of the children of the last committed block, by the rule that every node applies."""
        parameters, start, base = self.room.parameters, EpochStart(0, 0, BASE.time_ms), self.disk.committed[0]
        for header, final in self.disk.committed[1:]:
            assert header.epoch == start.epoch
            if is_last_block(start, header.height, header.time_ms, parameters):
                start, base = EpochStart(start.epoch + 1, header.height, header.time_ms), (header, final)
        return EpochBegun(Epoch(start.epoch), self.room.set_of(start.epoch), parameters, *base)

    def crash(self) -> None:
        self.is_up = False

    def peer(self, index: int) -> Peer:
        """The number by which this node knows another: by its place in the set, or an observer's."""
        place = self.room.set_of(self.machine.epoch).index_of(keys(index + 1)[index].public)
        return Peer(FIRST_OBSERVER + index) if place is None else Peer(place)

    def index(self, peer: int) -> int:
        """The node behind such a number."""
        return next(node.number for node in self.room.nodes if self.peer(node.number) == peer)

    def connected(self, other: Node) -> None:
        self.feed(Connected(self.peer(other.number)))

    @property
    def committed(self) -> list[BlockId]:
        return [block_id(header) for header, _ in self.disk.committed]

    def submit(self, transaction: int) -> None:
        """A transaction reaches this node's mempool."""
        self.transactions.append(transaction)
        self.feed(TransactionsPending(True))

    def feed(self, event: Input) -> list[Effect]:
        if not self.is_up:
            return []
        effects = self.machine.step(self.room.now_ms, event)
        self.effects.extend(effects)
        for effect in effects:
            self._perform(effect)
        return effects

    def of(self, kind: type[Effect]) -> list[Effect]:
        """The effects of one kind, in order."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Persist(records, bodies):
                self.disk.records.extend(encode_record(record) for record in records)
                self.disk.bodies.update({body: self.at_hand[body] for body in bodies})
            case DropRecords(epoch, view):
                kept = [
                    data
                    for data in self.disk.records
                    if record_position(decode_record(data)) >= (epoch, view)
                ]
                self.disk.records = kept
            case Send(peer, message):
                self.room.deliver(self.number, self.index(peer), message)
            case Broadcast(message):
                for other in self.room.nodes:
                    if other is not self:
                        self.room.deliver(self.number, other.number, message)
            case WakeAt(at_ms):
                assert at_ms > self.room.now_ms, "an alarm in the past would spin"
                self.wake_ms = at_ms
            case Build():
                self.room.later(0, self, lambda: self._build(effect))
            case Fetch(wanted, sources):
                self.room.later(0, self, lambda: self._fetch(wanted, sources))
            case Check(wanted):
                self.room.later(0, self, lambda: self._check(wanted))
            case Commit():
                self._commit(effect)
            case EpochEnded():
                self.feed(self._begun())
            case OldEpoch(peer, epoch):
                self._tell_what_ended(peer, epoch)
            case Behind(finalization):
                self.room.later(LATENCY_MS, self, lambda: self._sync(finalization))
            case _:
                pass

    def _build(self, build: Build) -> None:
        used = self._transactions_on(build.parent.block_id)
        fresh = [transaction for transaction in self.transactions if transaction not in used]
        if not fresh and not build.may_be_empty:
            self.feed(NothingToBuild(build.epoch, build.view))
            return
        time_ms = max(build.parent.time_ms + 1, self.room.wall_ms)
        salt = fresh[0] if fresh else 0
        header = header_on(build.parent.block_id, build.parent.height + 1, time_ms, salt, build.epoch)
        self.at_hand[block_id(header)] = header
        self.feed(Built(build.epoch, build.view, header))

    def _transactions_on(self, tip: BlockId) -> list[int]:
        used = [header.transaction_count for header, _ in self.disk.committed]
        while tip in self.at_hand and tip not in self.committed:
            used.append(self.at_hand[tip].transaction_count)
            tip = BlockId(self.at_hand[tip].parent_id)
        return used

    def _fetch(self, wanted: BlockId, sources: tuple[Peer, ...]) -> None:
        others = [self.room.nodes[self.index(peer)] for peer in sources]
        places = [self.at_hand, *(other.at_hand for other in others if other.is_up)]
        for place in places:
            if wanted in place:
                self.at_hand[wanted] = place[wanted]
                self.feed(Fetched(place[wanted]))
                return

    def _check(self, wanted: BlockId) -> None:
        self.feed(Checked(wanted, self.verdicts(self.at_hand[wanted]), TimeMs(self.room.wall_ms)))

    def _commit(self, commit: Commit) -> None:
        header = self.at_hand[commit.block_id]
        if header.height < len(self.disk.committed):
            return  # a sync was faster
        head, _ = self.disk.committed[-1]
        assert header.parent_id == block_id(head)
        assert commit.height == header.height == head.height + 1
        self.disk.committed.append((header, commit.finalization))
        self._forget(header)

    def _forget(self, header: Header) -> None:
        if header.transaction_count in self.transactions:
            self.transactions.remove(header.transaction_count)
            if not self.transactions:
                self.room.later(0, self, lambda: self.feed(TransactionsPending(bool(self.transactions))))

    def _tell_what_ended(self, peer: Peer, epoch: int) -> None:
        of_epoch = [final for header, final in self.disk.committed if header.epoch == epoch]
        if of_epoch and of_epoch[-1] is not None:
            message = CertificatesMessage((of_epoch[-1],))
            self.room.deliver(self.number, self.index(peer), message)

    def _sync(self, finalization: Certificate) -> None:
        for other in self.room.nodes:
            if other is self or not other.is_up:
                continue
            if finalization.block_id in other.committed:
                last = other.committed.index(BlockId(finalization.block_id or b""))
                for header, covering in other.disk.committed[len(self.disk.committed) : last + 1]:
                    self.at_hand[block_id(header)] = header
                    self.disk.committed.append((header, covering))
                    self._forget(header)
                head, _ = self.disk.committed[-1]
                if block_id(head) == finalization.block_id:
                    self.disk.committed[-1] = (head, finalization)
                    self.feed(Synced(head, finalization))
                return


class Room:
    """Nodes that share a clock. `mute(sender, receiver, message)` says which messages get lost."""

    def __init__(
        self, stakes: list[int], parameters: ConsensusParameters | None = None, observers: int = 0
    ) -> None:
        self.validators = validator_set(stakes)
        self.sets: list[ValidatorSet] = [self.validators]  # by epoch; the last one holds for ever
        self.parameters = parameters or ConsensusParameters()
        self.now_ms = 0
        self.mute: Callable[[int, int, Message], bool] = lambda sender, receiver, message: False
        self.sent: list[tuple[int, int, Message]] = []
        self.transactions_made = 0
        self._queue: list[tuple[int, int, Node, Callable[[], object]]] = []
        self._count = 0
        self.nodes = []
        for index in range(len(stakes) + observers):
            is_observer = index >= len(stakes)
            disk = Disk()
            if not is_observer:
                key = keys(index + 1)[index]
                disk.records.append(encode_record(first_record(CHAIN, key.public, GENERATION, EPOCH)))
            self.nodes.append(Node(self, index, disk, is_observer=is_observer))

    @property
    def wall_ms(self) -> int:
        return WALL_MS + self.now_ms

    def start(self) -> Room:
        for node in self.nodes:
            node.start()
        return self

    def set_of(self, epoch: int) -> ValidatorSet:
        return self.sets[min(epoch, len(self.sets) - 1)]

    def later(self, delay_ms: int, node: Node, action: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._count, node, action))

    def deliver(self, sender: int, receiver: int, message: Message) -> None:
        self.sent.append((sender, receiver, message))
        if self.mute(sender, receiver, message):
            return
        data = encode_message(message)
        node = self.nodes[receiver]
        body = (
            self.nodes[sender].at_hand.get(BlockId(message.signed.proposal.block_id))
            if isinstance(message, ProposalMessage)
            else None
        )

        def arrive() -> None:
            if body is not None and node.is_up:
                node.at_hand[block_id(body)] = body
            node.feed(Received(node.peer(sender), decode_message(data)))

        self.later(LATENCY_MS, node, arrive)

    def run(self, duration_ms: int, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass; stop early when `until` holds."""
        end_ms = self.now_ms + duration_ms
        while not until():
            alarms = [node.wake_ms for node in self.nodes if node.is_up and node.wake_ms is not None]
            times = [self._queue[0][0]] if self._queue else []
            next_ms = min([*alarms, *times], default=end_ms + 1)
            if next_ms > end_ms:
                self.now_ms = end_ms
                return
            self.now_ms = max(self.now_ms, next_ms)
            if times and times[0] <= self.now_ms:
                _, _, node, action = heapq.heappop(self._queue)
                if node.is_up:
                    action()
                continue
            for node in self.nodes:
                if node.is_up and node.wake_ms is not None and node.wake_ms <= self.now_ms:
                    node.wake_ms = None
                    node.feed(Tick(TimeMs(self.wall_ms)))

    def heights(self) -> list[int]:
        return [len(node.disk.committed) - 1 for node in self.nodes]

    def check_agreement(self) -> None:
        """No two nodes differ at any height, nobody halted, nobody was accused."""
        for node in self.nodes:
            assert not node.of(Halt), node.of(Halt)
            for other in self.nodes:
                for ours, theirs in zip(node.committed, other.committed, strict=False):
                    assert ours == theirs

    def check_quiet(self) -> None:
        """Among honest nodes nobody is reported or accused."""
        for node in self.nodes:
            assert not node.of(Report), node.of(Report)
            assert not node.of(Evidence), node.of(Evidence)
