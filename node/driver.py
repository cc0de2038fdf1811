"""The driver: gives consensus real time, disk and peers.

One loop feeds inputs to `Epochs.step` and performs the effects in order. The records of
all steps of one turn share one sync; nothing that follows them leaves before it. What takes
longer (building, checking, fetching, catching up) runs beside the loop and answers with an
input of its own. At the end of an epoch the turn ends too, so that what is said before it and after it
goes out under the numbers that the peers have in either.

Source: docs/spec/consensus.md, "Driver contract".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, assert_never

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
from ledger.consensus.messages import CertificatesMessage, Message
from ledger.consensus.signer import Signer
from ledger.errors import LedgerError
from ledger.evidence import Evidence as Proof
from ledger.evidence import evidence_of
from ledger.types import BlockId, Epoch, PublicKey
from ledger.validators import ValidatorSet
from ledger.vote import Certificate
from node.bodies import Bodies
from node.clock import Clock
from node.consensus_log import ConsensusLog
from node.diagnosis import Looked, look
from node.epochs import epoch_in_force, what_ended
from node.executor import Executor, Superseded
from node.inbox import Heard, Inbox
from node.logging import log, logger

LOG: Final = logger("driver")

TURN_INPUTS_MAX: Final = 256  # inputs that share one sync
CHECK_SECONDS: Final = 60.0  # a check that takes longer is answered "pending", never "invalid"
FETCHES_MAX: Final = 256  # blocks whose bodies are looked for; the machine asks again for what is above


class NodeHalted(Exception):
    """This node disagrees with what a quorum made final; it must stop and say so."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Outlet(Protocol):
    """What the driver asks of the network."""

    def peer(self, public_key: PublicKey) -> Peer:
        """The number of a node in the epoch in force."""

    def begin_epoch(self, validators: ValidatorSet) -> None:
        """From here on peers have the numbers of this set."""

    def send(self, peer: Peer, message: Message) -> None:
        """Send one consensus message, if the peer is connected."""

    def broadcast(self, message: Message) -> None:
        """Send to every validator, and to observers what they may follow."""

    def report(self, peer: Peer, code: str, message: str) -> None:
        """A peer misbehaved."""

    def tell_recovery(self, peer: Peer, recovery: bytes) -> None:
        """Tell a peer that speaks of an epoch which operators gave up."""

    def accuse(self, evidence: Proof) -> None:
        """A validator signed against the rules, and this proves it."""

    async def fetch_body(self, of: BlockId, sources: Sequence[Peer]) -> bool:
        """Bring a body to hand by asking the sources in turn, also those added meanwhile; whether it came."""


OnStep = Callable[[Epochs, Input, Sequence[Effect]], None]
"""Told of each step of consensus when it is taken: what came in, and the effects before any is performed."""


def ignore_steps(consensus: Epochs, event: Input, effects: Sequence[Effect]) -> None:
    """Nobody is told of steps."""


class _EpochGivenUp(Exception):
    """Operators gave the epoch in force up; what was begun in it need not end."""


class Driver:
    """The running consensus of one node. `consensus` makes it for the chain as it is when `run` begins."""

    def __init__(
        self,
        consensus: Callable[[], Epochs],
        signer: Signer | None,
        consensus_log: ConsensusLog,
        executor: Executor,
        bodies: Bodies,
        outlet: Outlet,
        clock: Clock,
        on_commit: Callable[[BlockId], Awaitable[None]],
        on_behind: Callable[[Behind], None],
        on_step: OnStep = ignore_steps,
    ) -> None:
        self._make_consensus = consensus
        self._consensus: Epochs | None = None
        self._log = consensus_log
        self._executor = executor
        self._bodies = bodies
        self._outlet = outlet
        self._clock = clock
        self._on_commit = on_commit
        self._on_behind = on_behind
        self._on_step = on_step
        self._inputs = Inbox()
        self._ready = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._fetching: dict[BlockId, list[Peer]] = {}  # and whom the fetch asks, in this order
        self._checking: dict[BlockId, None] = {}
        self._pending: bool | None = None
        self._found_nothing = False
        self._has_double = False
        self._is_given_up = False
        self._refused = ""  # why the last invalid block was: what a node that halts can say
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._signer = signer
        self.epoch = Epoch(0)
        self.view = 0
        self.leader = -1
        self.final_view = 0

    @property
    def quarantine_reason(self) -> str:
        """Why this validator does not sign though it has a key; empty where it does, or has none."""
        return "" if self._signer is None else self._signer.quarantine_reason

    @property
    def not_signing(self) -> str:
        """Why this validator with a key signs nothing now, listening after a start too; or empty."""
        if self._signer is None:
            return ""
        return self._signer.quarantine_reason or ("signer.listening" if self._signer.is_listening else "")

    def looked(self) -> Looked | None:
        """What consensus tells of the view in force; nothing before it runs."""
        return None if self._consensus is None else look(self._consensus.state)

    @property
    def is_voting(self) -> bool:
        """Whether this node signs: it has stake in the epoch in force, and a record to trust."""
        if self._signer is None or not self._signer.may_sign or self._consensus is None:
            return False
        return self._consensus.state.me is not None and self._allowed.is_set()

    @property
    def waiting(self) -> int:
        """How many inputs the machine has not seen yet."""
        return len(self._inputs)

    def held_certificates(self) -> Sequence[Certificate]:
        """What consensus holds above the last committed view of its epoch; nothing before it runs."""
        if self._consensus is None:
            return ()
        state = self._consensus.state
        return state.certificates.above(state.blocks.committed_view)

    def pause(self) -> None:
        """Stop taking part, before the disk is full; reads go on."""
        self._allowed.clear()

    def resume(self) -> None:
        """Take part again."""
        self._allowed.set()

    def doubled(self) -> None:
        """Another process is connected with this node's key. Who is in quarantine makes way, and never signs
        beside it; who signs goes on, until it sees the other sign (Q9)."""
        if self._signer is not None and self._signer.is_restored and self._signer.is_quarantined:
            self._has_double = True
            self._allowed.set()
            self._ready.set()

    # --- what comes in ------------------------------------------------------

    def receive(self, sender: PublicKey, message: Message, size_bytes: int) -> None:
        """Queue a peer's message, which took so many bytes; above the peer's share it is lost."""
        self._hear(Heard(sender, message, size_bytes))

    def connected(self, sender: PublicKey) -> None:
        """A peer is connected (again)."""
        self._hear(Heard(sender, None, 0))

    def synced(self, answer: Synced) -> None:
        """Blocks were committed by catching up."""
        if answer.finalization.vote.epoch == self.epoch:
            self.final_view = answer.finalization.view
        self.feed(answer)

    def transactions_pending(self, *, is_new: bool = False) -> None:
        """Look again whether transactions wait; the machine hears of changes only.

        Where it was told that there is nothing to build, a new transaction is news again.
        """
        pending = len(self._executor.mempool) > 0
        is_news = is_new and self._found_nothing
        if pending is not self._pending or is_news:
            self._pending = pending
            self._found_nothing = self._found_nothing and not is_news
            self.feed(TransactionsPending(pending))

    def feed(self, item: Input) -> None:
        """Queue an input of our own."""
        self._inputs.put(item)
        self._ready.set()

    def _hear(self, heard: Heard) -> None:
        if self._inputs.hear(heard):
            self._ready.set()

    # --- the loop -----------------------------------------------------------

    def give_up(self) -> None:
        """End `run`: operators gave the epoch in force up."""
        self._is_given_up = True
        self._ready.set()

    async def run(self, started: Started) -> None:
        """Run until cancelled, until the machine halts (NodeHalted), or until the epoch is given up.

        It may be run again then: it goes on as the chain is by that time.
        """
        try:
            await self._run(started)
        except* _EpochGivenUp:
            self._is_given_up = False
        self._inputs.keep_heard()
        self._pending, self._found_nothing = None, False
        self.view, self.leader, self.final_view = 0, -1, 0
        self.transactions_pending()

    async def _run(self, started: Started) -> None:
        self._consensus = self._make_consensus()
        self.epoch = self._consensus.epoch
        self._outlet.begin_epoch(self._executor.committed.validators)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._inputs.put_first(started)  # before what peers said meanwhile
            self._ready.set()
            try:
                while True:
                    await self._ready.wait()
                    await self._allowed.wait()
                    if self._is_given_up:
                        raise _EpochGivenUp
                    if self._has_double:
                        raise NodeHalted(
                            "signer.second_holder", "another process is connected with this node's key"
                        )
                    await self._perform(self._turn())
            finally:
                if self._timer is not None:
                    self._timer.cancel()

    def _turn(self) -> list[Effect]:
        assert self._consensus is not None, "made when it began to run"
        effects: list[Effect] = []
        for _ in range(min(len(self._inputs), TURN_INPUTS_MAX)):
            event = self._named(self._inputs.take())
            made = self._consensus.step(self._clock.monotonic_ms(), event)
            self._on_step(self._consensus, event, made)
            effects.extend(made)
            if made and isinstance(made[-1], EpochEnded):
                break
        if not self._inputs:
            self._ready.clear()
        return effects

    def _named(self, item: Input | Heard) -> Input:
        if not isinstance(item, Heard):
            return item
        peer = self._outlet.peer(item.sender)
        return Connected(peer) if item.message is None else Received(peer, item.message)

    async def _perform(self, effects: list[Effect]) -> None:
        """Perform effects in order; all records of the turn are synced at the first Persist."""
        synced = False
        for effect in effects:
            match effect:
                case Persist():
                    if not synced:
                        await self._persist([each for each in effects if isinstance(each, Persist)])
                        synced = True
                case Commit():
                    await self._commit(effect)
                case DropRecords():
                    await self._log.drop(effect.epoch, effect.view)
                case EpochEnded():
                    self._begin_epoch(effect)
                case _:
                    self._dispatch(effect)

    def _begin_epoch(self, ended: EpochEnded) -> None:
        """What the last block decided is in force from the next input on."""
        begun = epoch_in_force(self._executor.stores.blocks, self._executor.committed)
        assert self._executor.committed.id == ended.base_id, "nothing stands above a last block yet"
        self._outlet.begin_epoch(begun.validators)
        self.epoch, self.view, self.leader, self.final_view = begun.epoch, 0, -1, 0
        self._inputs.put_first(begun)
        self._ready.set()
        log(LOG, logging.INFO, "epoch", epoch=begun.epoch, validators=len(begun.validators))

    async def _persist(self, persists: list[Persist]) -> None:
        records = [record for each in persists for record in each.records]
        bodies = []
        for identifier in dict.fromkeys(body for each in persists for body in each.bodies):
            block = self._bodies.get(identifier)
            assert block is not None, "asked to persist a body that is not at hand"
            bodies.append(block)
        await self._log.append(records, bodies)

    def _dispatch(self, effect: Effect) -> None:  # noqa: PLR0912  # one case an effect
        match effect:
            case Send():
                self._outlet.send(effect.peer, effect.message)
            case Broadcast():
                self._outlet.broadcast(effect.message)
            case WakeAt():
                self._wake_at(effect.at_ms)
            case Build():
                self._start(self._build(effect))
            case Fetch():
                self._start_fetch(effect)
            case Check():
                self._start(self._check(effect.block_id))
            case Behind():
                self._on_behind(effect)
            case Entered():
                self.view, self.leader = effect.view, effect.leader
            case Report():
                self._outlet.report(effect.peer, effect.code, effect.message)
            case Evidence():
                self._outlet.accuse(evidence_of(effect.first, effect.second))
            case SignerState():
                log(LOG, logging.INFO, "signer", is_signing=effect.is_signing, reason=effect.reason)
            case OldEpoch():
                found = what_ended(self._executor.stores.blocks, effect.epoch)
                if isinstance(found, bytes):
                    self._outlet.tell_recovery(effect.peer, found)
                elif found is not None:
                    self._outlet.send(effect.peer, CertificatesMessage((found,)))
            case Halt():
                why = f"; {self._refused}" if effect.code == "consensus.diverged" and self._refused else ""
                raise NodeHalted(effect.code, effect.message + why)
            case Persist() | Commit() | DropRecords() | EpochEnded():
                raise AssertionError("performed in order by _perform")
            case _:
                assert_never(effect)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._tasks is not None, "effects are performed by run alone"
        self._tasks.create_task(work)

    def _start_fetch(self, effect: Fetch) -> None:
        """Look for a body, or let the fetch that looks for it already ask the new sources too."""
        sources = self._fetching.get(effect.block_id)
        if sources is not None:
            sources.extend(each for each in effect.sources if each not in sources)
        elif len(self._fetching) < FETCHES_MAX:
            self._fetching[effect.block_id] = list(effect.sources)
            self._start(self._fetch(effect.block_id))

    def _wake_at(self, at_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = max(0, at_ms - self._clock.monotonic_ms()) / 1000
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self.feed(Tick(self._clock.wall_ms()))

    # --- what takes longer --------------------------------------------------

    async def _build(self, effect: Build) -> None:
        certificate = b"" if effect.parent_certificate is None else encode(effect.parent_certificate)
        try:
            execution = await self._executor.build(
                effect.parent.block_id,
                self._clock.wall_ms(),
                certificate,
                may_be_empty=effect.may_be_empty,
            )
        except Superseded:
            return  # the parent lost against a block that became final meanwhile
        if execution is None:
            self._found_nothing = True
            self.feed(NothingToBuild(effect.epoch, effect.view))
            return
        self._bodies.put(execution.block)
        self.feed(Built(effect.epoch, effect.view, execution.block.header))

    async def _fetch(self, identifier: BlockId) -> None:
        block = self._bodies.get(identifier)
        try:
            if block is None and await self._outlet.fetch_body(identifier, self._fetching[identifier]):
                block = self._bodies.get(identifier)
        finally:
            del self._fetching[identifier]
        if block is not None:
            self.feed(Fetched(block.header))

    async def _check(self, identifier: BlockId) -> None:
        if identifier in self._checking:
            return
        self._checking[identifier] = None
        verdict = Verdict.PENDING
        try:
            block = self._bodies.get(identifier)
            if block is not None and self._executor.tip(BlockId(block.header.parent_id)) is not None:
                async with asyncio.timeout(CHECK_SECONDS):
                    await self._executor.check(block)
                verdict = Verdict.VALID
        except LedgerError as refusal:
            log(LOG, logging.WARNING, "block invalid", block_id=identifier.hex(), reason=str(refusal))
            verdict, self._refused = Verdict.INVALID, str(refusal)
        except Superseded:
            log(LOG, logging.INFO, "block superseded", block_id=identifier.hex())
        except TimeoutError:
            log(LOG, logging.WARNING, "block check took too long", block_id=identifier.hex())
        finally:
            del self._checking[identifier]
        self.feed(Checked(identifier, verdict, self._clock.wall_ms()))

    async def _commit(self, effect: Commit) -> None:
        if effect.height > self._executor.committed.header.height:
            if self._executor.execution(effect.block_id) is None:  # it had to make room; run it again
                block = self._bodies.get(effect.block_id)
                assert block is not None, "asked to commit a block that is not at hand"
                with suppress(Superseded):  # catching up has committed it meanwhile
                    await self._executor.check(block)
            is_new = await self._executor.commit(effect.block_id, effect.finalization, effect.settled)
            if is_new:
                await self._on_commit(effect.block_id)
        self.final_view = max(self.final_view, effect.finalization.view)
        self._bodies.drop(effect.block_id)
        self.transactions_pending()
