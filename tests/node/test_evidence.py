"""What a node holds of who signed against the rules: verified, bounded, durable, passed on once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from ledger.crypto import key_pair
from ledger.epoch import EpochStart, begin_epoch
from ledger.errors import LedgerError
from ledger.evidence import ConflictingVotes, Evidence, encode_evidence, evidence_of
from ledger.genesis import Parameters, StakingParameters
from ledger.members import NodeRole, nodes_in_force
from ledger.state import Overlay
from ledger.types import ChainId, Epoch, PublicKey
from ledger.validators import Validator, ValidatorSet
from ledger.vote import SignedVote, Vote, VoteKind, sign_vote
from node.bodies import Bodies
from node.clock import SystemClock
from node.evidence import UNSAVED_MAX, EvidencePool
from node.exchange import Exchange, Roster
from node.p2p.conduct import Offence
from node.p2p.frames import Lane
from node.p2p.messages import Accusations, Message
from node.p2p.network import PeerInfo
from node.store.evidence import EvidenceStore
from node.store.failure import StoreCorrupted
from node.store.memory import MemoryDatabase
from tests.contracts.chain import MemoryState
from tests.node.room import VOTER, HeldDisk, Room

CHAIN = ChainId(b"c" * 32)
KEYS = [key_pair(bytes([number + 1]) * 32) for number in range(4)]
VALIDATORS = ValidatorSet(tuple(Validator(key.public, 1, f"node-{i}") for i, key in enumerate(KEYS)))
PARAMETERS = Parameters(staking=StakingParameters(evidence_epochs=2))


def world_of(epoch: int) -> MemoryState:
    """A state in an epoch, with the sets that it keeps."""
    state = MemoryState()
    for number in range(epoch + 1):
        overlay = Overlay(state)
        begin_epoch(overlay, EpochStart(number, number, number), VALIDATORS, PARAMETERS)
        state.commit(overlay)
    return state


def accuse(by: int = 1, *, epoch: int = 5, view: int = 3, block: bytes = b"a") -> Evidence:
    """Two notarize votes of one validator."""
    votes = [Vote(CHAIN, epoch, view, VoteKind.NOTARIZE, each * 32) for each in (block, b"z")]
    first, second = (SignedVote(vote, by, sign_vote(KEYS[by], vote)) for vote in votes)
    return evidence_of(first, second)


class Site:
    """A pool in a world that the test moves on."""

    def __init__(self, epoch: int = 5, database: MemoryDatabase | None = None) -> None:
        self.database = database or MemoryDatabase("data/blocks")
        self.world = world_of(epoch)
        self.disk = HeldDisk()
        self.told: list[Evidence] = []
        self.pool = EvidencePool(
            CHAIN, EvidenceStore(self.database), lambda: self.world, self.disk.run, self._tell
        )

    def _tell(self, kept: Sequence[Evidence]) -> None:
        stored = EvidenceStore(self.database).load()
        assert all(each in stored for each in kept), "passed on before it was durable"
        self.told += kept

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.pool.run())
        await turns()
        yield
        await turns()
        task.cancel()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def refusal_of(action: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as refusal:
        action()
    return refusal.value.code


async def test_evidence_is_kept_durable_and_passed_on_once() -> None:
    """EV11: what is new is written, then passed on; the same again, or another view of it, is neither."""
    site = Site()
    async with site.running():
        assert site.pool.take(accuse())
        assert not site.pool.take(accuse())
        assert not site.pool.take(accuse(view=9))
        assert site.pool.take(accuse(by=2))
    assert site.told == [accuse(), accuse(by=2)]
    assert site.pool.held() == (accuse(), accuse(by=2))
    assert Site(database=site.database.reopened()).pool.held() == site.pool.held()


async def test_nothing_is_passed_on_while_the_disk_is_slow() -> None:
    """EV11: peers hear of evidence when this node can't lose it any more."""
    site = Site()
    site.disk.free.clear()
    async with site.running():
        site.pool.take(accuse())
        await turns()
        assert site.told == []
        site.disk.free.set()
    assert site.told == [accuse()]


async def test_what_was_taken_last_survives_a_stop() -> None:
    """EV11: a node that halts on a fork has the evidence of it in the same breath; stopping writes it."""
    site = Site()
    site.pool.take(accuse())
    await site.pool.save()
    await site.pool.save()
    assert EvidenceStore(site.database).load() == (accuse(),)
    assert site.told == [accuse()]


async def test_false_evidence_is_refused_and_changes_nothing() -> None:
    """EV8: a signature that does not verify accuses nobody, and the slot stays free for the truth."""
    site = Site()
    true = accuse()
    forged = msgspec.structs.replace(true, second=msgspec.structs.replace(true.second, signature=bytes(64)))
    async with site.running():
        assert refusal_of(lambda: site.pool.take(forged)) == "vote.wrong_signature"
        assert site.pool.held() == ()
        assert site.pool.take(true)
    assert site.told == [true]


@pytest.mark.parametrize("epoch", [2, 6])
async def test_evidence_of_an_epoch_without_validators_is_passed_over(epoch: int) -> None:
    """EV10: too old or still to come is nobody's fault, and is not kept."""
    site = Site()
    async with site.running():
        assert not site.pool.take(accuse(epoch=epoch))
        assert site.pool.take(accuse(epoch=3))
        assert site.pool.take(accuse(epoch=4, by=2))
    assert len(site.pool.held()) == 2


async def test_evidence_goes_with_its_epoch() -> None:
    """EV10: when the state forgets the set, the evidence is forgotten on the disk too."""
    site = Site()
    async with site.running():
        site.pool.take(accuse(epoch=3))
        site.pool.take(accuse(epoch=5))
        await turns()
        site.world = world_of(6)
        site.pool.turned()
    assert site.pool.held() == (accuse(epoch=5),)
    assert EvidenceStore(site.database).load() == (accuse(epoch=5),)


async def test_a_start_forgets_what_became_too_old_while_it_was_away() -> None:
    """EV10: after a long rest the pool begins with what can still be reported."""
    before = Site()
    async with before.running():
        before.pool.take(accuse(epoch=3))
        before.pool.take(accuse(epoch=5))
    after = Site(epoch=7, database=before.database)
    async with after.running():
        await turns()
    assert after.pool.held() == (accuse(epoch=5),)


async def test_liars_fill_nothing() -> None:
    """EV9: one piece for a validator and epoch, whatever else it signs: so liars fill nothing."""
    site = Site()
    for view in range(1, 3 * UNSAVED_MAX):
        site.pool.take(accuse(view=view))
    assert len(site.pool.held()) == 1
    most = len(KEYS) * 3
    for epoch in (3, 4, 5):
        for by in range(len(KEYS)):
            site.pool.take(accuse(by=by, epoch=epoch))
    assert len(site.pool.held()) == most


def test_a_spoilt_record_is_named() -> None:
    """What the disk changed is refused at the start, not listed as proof."""
    for key, value in ((b"E" + bytes(10), b"\x01"), (b"E" + bytes(10), bytes(3))):
        database = MemoryDatabase("data/blocks", {key: value})
        with pytest.raises(StoreCorrupted):
            EvidenceStore(database).load()
    database = MemoryDatabase("data/blocks")
    EvidenceStore(database).write([accuse()], [])
    (value,) = database.entries.values()
    moved = MemoryDatabase("data/blocks", {b"E" + Epoch(9).to_bytes(8, "big") + bytes(2): value})
    with pytest.raises(StoreCorrupted, match="accuses somebody else"):
        EvidenceStore(moved).load()


# --- on the wire -----------------------------------------------------------------------


class Wire:
    """The network and the driver of an exchange: what it says, and of whom it complains."""

    def __init__(self) -> None:
        self.said: list[tuple[bytes | None, Message]] = []
        self.offences: list[tuple[bytes, Offence]] = []

    def send(self, peer_id: bytes, message: Message, lane: Lane) -> bool:
        self.said.append((peer_id, message))
        return True

    def broadcast(self, message: Message, lane: Lane, only_validators: bool = False) -> int:
        assert not only_validators, "observers hear of evidence too"
        self.said.append((None, message))
        return 1

    def report(self, peer_id: bytes, offence: Offence, count: int = 1) -> None:
        self.offences.append((peer_id, offence))

    def connected(self, peer: PublicKey) -> None:
        """The driver hears of a peer."""

    def held_certificates(self) -> tuple[()]:
        """The driver holds none."""
        return ()


class Ends:
    """An exchange over a real executor, between this wire and nobody."""

    def __init__(self) -> None:
        self.room, self.wire = Room(), Wire()
        executor = self.room.executor
        roster = Roster(executor.committed.validators, nodes_in_force(executor.committed.world))
        self.exchange = Exchange(executor, Bodies(), roster, SystemClock(), self.room.disk.run)
        self.exchange.join(self.wire, self.wire, None, None)  # type: ignore[arg-type]  # as much of them as is used

    def proof(self, view: int = 1) -> Evidence:
        votes = [Vote(self.room.chain_id, 0, view, VoteKind.FINALIZE, each * 32) for each in (b"a", b"b")]
        first, second = (SignedVote(vote, 0, sign_vote(VOTER, vote)) for vote in votes)
        return evidence_of(first, second)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.exchange.evidence.run())
        yield
        await turns()
        task.cancel()


ANNA = PublicKey(b"anna".ljust(32))


async def test_evidence_of_a_peer_is_verified_and_passed_on() -> None:
    """EV8, EV11: true evidence goes on to every peer, once, however often it comes."""
    ends = Ends()
    message = Accusations((encode_evidence(ends.proof()),))
    async with ends.running():
        ends.exchange.on_message(ANNA, message)
        ends.exchange.on_message(ANNA, message)
    assert ends.wire.said == [(None, message)]
    assert ends.wire.offences == []


async def test_false_evidence_is_an_offence_of_the_peer() -> None:
    """EV12: who sends what proves nothing is reported, and nothing goes on; rubbish is malformed."""
    ends = Ends()
    true = ends.proof()
    assert isinstance(true, ConflictingVotes)
    forged = ConflictingVotes(true.first, msgspec.structs.replace(true.second, signature=bytes(64)))
    same = ConflictingVotes(true.first, true.first)
    async with ends.running():
        for lie in (forged, same):
            ends.exchange.on_message(ANNA, Accusations((encode_evidence(lie), encode_evidence(true))))
        ends.exchange.on_message(ANNA, Accusations((b"rubbish",)))
    assert ends.wire.offences == [
        (ANNA, Offence.FALSE_EVIDENCE),
        (ANNA, Offence.FALSE_EVIDENCE),
        (ANNA, Offence.MALFORMED),
    ]
    assert ends.wire.said == []
    assert ends.exchange.evidence.held() == ()


async def test_a_peer_that_connects_is_told() -> None:
    """EV11: what this node's own consensus saw reaches a peer that was away."""
    ends = Ends()
    async with ends.running():
        ends.exchange.accuse(ends.proof())
        await turns()
        ends.exchange.on_connected(PeerInfo(ANNA, "anna", "farm", NodeRole.OBSERVER, "", True, 0.0, 0, 0))
    message = Accusations((encode_evidence(ends.proof()),))
    assert ends.wire.said == [(None, message), (ANNA, message)]
