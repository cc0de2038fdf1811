"""The exchange: proposals travel as hashes, and hostile members delay nobody's.

Two real executors with a wire between them that the test holds: what one node sent is delivered
when the test says so, and a third member may say anything in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha512
from typing import cast

import msgspec
import nacl.bindings as sodium
import pytest

import node.exchange as exchange_module
from ledger.codec import encode
from ledger.consensus import messages as consensus
from ledger.consensus.events import Peer
from ledger.crypto import Tag
from ledger.errors import LedgerError
from ledger.members import Node, NodeRole, nodes_in_force
from ledger.merkle.log import leaf_hash
from ledger.transaction import SignedBody, Transaction
from ledger.transition import Execution
from ledger.types import HASH_BYTES, Epoch, Height, PublicKey, TimeMs, View
from ledger.validators import Validator, ValidatorSet
from ledger.vote import Certificate, Proposal, SignedProposal, sign_proposal
from node.allowance import ANSWER_BYTES_MIN, DRAW_BYTES_BURST
from node.answers import NO_PAGE
from node.bodies import BODIES_MAX, Bodies
from node.catch_up import CatchUp
from node.driver import Driver
from node.exchange import Exchange, Roster
from node.p2p.conduct import Offence
from node.p2p.frames import Lane
from node.p2p.messages import (
    BATCH_TRANSACTIONS_MAX,
    BlocksRequest,
    Body,
    BodyRequest,
    CompactProposal,
    Consensus,
    Message,
    NotFound,
    RecoveryNotice,
    Settled,
    SettledRequest,
    Transactions,
    TransactionsRequest,
    decode_message,
    encode_message,
    pack_ids,
)
from node.p2p.network import Network, PeerInfo
from node.recovering import Recovering
from node.store.blocks import BlockStore
from node.store.settled import SettledViews
from tests.contracts.chain import key_of
from tests.node.room import VOTER, Room

LEADER, FOLLOWER, MALLORY = (PublicKey(key_of(name).public) for name in ("node-0", "node-1", "node-2"))
NAMES = {LEADER: "node-0", FOLLOWER: "node-1", MALLORY: "node-2"}
ROSTER_NODES = [
    Node(key, "farm", name, NodeRole.VALIDATOR, b"certificate", ()) for key, name in NAMES.items()
]
VALIDATORS = ValidatorSet(tuple(Validator(key_of(f"vote/{name}").public, 1, name) for name in NAMES.values()))
LEADER_PEER = Peer(0)


class Wire:
    """A node's network: what it sends lies here until the test delivers it."""

    def __init__(self) -> None:
        self.sent: list[tuple[PublicKey, Message]] = []
        self.broadcasts: list[tuple[Message, bool]] = []
        self.reports: list[tuple[PublicKey, Offence]] = []

    def send(self, peer: PublicKey, message: Message, lane: Lane) -> bool:
        self.sent.append((peer, message))
        return True

    def broadcast(self, message: Message, lane: Lane, only_validators: bool = False) -> int:
        self.broadcasts.append((message, only_validators))
        return 2

    def report(self, peer: PublicKey, offence: Offence) -> None:
        self.reports.append((peer, offence))


class Machine:
    """The driver's ear."""

    def __init__(self) -> None:
        self.heard: list[tuple[PublicKey, consensus.Message]] = []
        self.held: list[Certificate] = []
        self.doubles = 0

    def doubled(self) -> None:
        self.doubles += 1

    def held_certificates(self) -> tuple[Certificate, ...]:
        return tuple(self.held)

    def receive(self, peer: PublicKey, message: consensus.Message, size_bytes: int) -> None:
        assert size_bytes > 0
        self.heard.append((peer, message))


class Member:
    """One node's exchange over a real executor."""

    def __init__(self, own: PublicKey) -> None:
        self.own, self.room, self.wire, self.machine = own, Room(), Wire(), Machine()
        self.bodies = Bodies()
        roster = Roster(VALIDATORS, ROSTER_NODES)
        self.clock = StandingClock()
        self.exchange = Exchange(self.room.executor, self.bodies, roster, self.clock, self.room.disk.run)
        self.recoveries: list[bytes] = []
        self.exchange.join(
            cast(Network, self.wire), cast(Driver, self.machine), cast(CatchUp, None), cast(Recovering, self)
        )

    def hear(self, recovery: bytes) -> None:
        """What takes recoveries in: one that is empty is not valid."""
        if not recovery:
            raise LedgerError("recovery.wrong_signature", "not approved")
        self.recoveries.append(recovery)

    def hears(self, sender: PublicKey, message: Message) -> None:
        self.exchange.on_message(sender, message)

    def takes_from(self, other: Member) -> None:
        """Deliver what the other has for this node."""
        mine = [message for to, message in other.wire.sent if to == self.own]
        other.wire.sent = [(to, message) for to, message in other.wire.sent if to != self.own]
        for message in mine:
            self.hears(other.own, message)

    def asked_of(self, peer: PublicKey) -> list[Message]:
        return [message for to, message in self.wire.sent if to == peer]


class StandingClock:
    """Time passes when the test says so."""

    def __init__(self) -> None:
        self.now_ms = 0

    def wall_ms(self) -> TimeMs:
        return TimeMs(0)

    def monotonic_ms(self) -> int:
        return self.now_ms


def proposal_of(execution: Execution, view: int = 1) -> consensus.ProposalMessage:
    content = Proposal(execution.tip.header.chain_id, 0, view, view - 1, execution.tip.id)
    return consensus.ProposalMessage(
        SignedProposal(content, 0, sign_proposal(VOTER, content)), execution.block.header, None, ()
    )


async def proposing(*transactions: Transaction) -> tuple[Member, Execution, CompactProposal]:
    """A leader, its block of these transactions, and what it broadcasts."""
    leader = Member(LEADER)
    for each in transactions:
        leader.room.executor.admit(each.raw)
    made = await leader.room.build()
    leader.bodies.put(made.block)
    leader.exchange.broadcast(proposal_of(made))
    ((compact, only_validators),) = leader.wire.broadcasts
    assert isinstance(compact, CompactProposal)
    assert not only_validators
    return leader, made, compact


def some(count: int = 3, room: Room | None = None) -> list[Transaction]:
    return [(room or Room()).transaction(nonce) for nonce in range(count)]


def forged(transaction: Transaction) -> bytes:
    """A known body under a signature that is none."""
    return encode(SignedBody(transaction.body, bytes(64)))


def signed_again(transaction: Transaction) -> bytes:
    """The same body under another signature that is valid: a key's holder can make any number."""
    seed = key_of("farm/operator").secret[:32]
    secret = sodium.crypto_core_ed25519_scalar_reduce(clamped(sha512(seed).digest()[:32]) + bytes(32))
    nonce = sodium.crypto_core_ed25519_scalar_reduce(b"another nonce".ljust(64, b"\0"))
    point = sodium.crypto_scalarmult_ed25519_base_noclamp(nonce)
    message = Tag.TRANSACTION.value + b"\0" + encode(transaction.body)
    challenge = sodium.crypto_core_ed25519_scalar_reduce(
        sha512(point + transaction.body.sender + message).digest()
    )
    scalar = sodium.crypto_core_ed25519_scalar_add(
        nonce, sodium.crypto_core_ed25519_scalar_mul(challenge, secret)
    )
    return encode(SignedBody(transaction.body, point + scalar))


def clamped(half: bytes) -> bytes:
    """RFC 8032, section 5.1.5."""
    return bytes([half[0] & 248]) + half[1:31] + bytes([half[31] & 127 | 64])


async def turns(count: int = 20) -> None:
    """Let every task that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


# --- the way of a proposal -----------------------------------------------------------------


async def test_a_proposal_of_known_transactions_needs_no_question() -> None:
    """All are here: the body is at hand when consensus asks for it, and nothing was sent."""
    transactions = some()
    _, made, compact = await proposing(*transactions)
    follower = Member(FOLLOWER)
    for each in transactions:
        follower.room.executor.admit(each.raw)
    follower.hears(LEADER, compact)
    assert await follower.exchange.fetch_body(made.tip.id, (LEADER_PEER,))
    assert follower.bodies.get(made.tip.id) == made.block
    assert follower.wire.sent == []
    assert follower.machine.heard == [(LEADER, proposal_of(made))]


async def test_the_proposer_is_asked_for_what_is_missing_and_answers_with_the_blocks_bytes() -> None:
    """By their places; even after the block is final and its transactions have left the mempool."""
    transactions = some()
    leader, made, compact = await proposing(*transactions)
    follower = Member(FOLLOWER)
    follower.room.executor.admit(transactions[1].raw)
    place = made.block.transactions.index(transactions[1].raw)
    follower.hears(LEADER, compact)
    missing = tuple(each for each in range(3) if each != place)
    assert follower.wire.sent == [(LEADER, TransactionsRequest(made.tip.id, missing))]
    fetching = asyncio.create_task(follower.exchange.fetch_body(made.tip.id, (LEADER_PEER,)))
    await turns()
    await leader.room.commit(made)
    leader.bodies.drop(made.tip.id)
    leader.takes_from(follower)
    follower.takes_from(leader)
    assert await fetching
    assert follower.bodies.get(made.tip.id) == made.block
    assert follower.exchange.intake.waiting == 2  # they may be admitted too, should the block come to nothing


async def test_a_proposal_that_is_said_again_asks_for_nothing_that_is_here() -> None:
    """Its body is at hand, so nothing of it is kept or asked for; consensus hears it again."""
    _, made, compact = await proposing(*some())
    follower = Member(FOLLOWER)
    follower.bodies.put(made.block)
    follower.hears(LEADER, compact)
    assert follower.wire.sent == []
    assert follower.machine.heard == [(LEADER, proposal_of(made))]


async def test_a_block_built_by_another_is_named_by_its_body() -> None:
    """A node that did not run it names the same hashes."""
    _, made, compact = await proposing(*some())
    other = Member(FOLLOWER)
    other.bodies.put(made.block)
    other.exchange.send(Peer(2), proposal_of(made))
    assert other.asked_of(MALLORY) == [compact]


async def test_a_proposal_whose_body_is_gone_travels_alone() -> None:
    """Whoever lacks it asks for it."""
    _, made, _ = await proposing(*some())
    other = Member(FOLLOWER)
    other.exchange.broadcast(proposal_of(made))
    assert other.wire.broadcasts == [(Consensus(consensus.encode_message(proposal_of(made))), False)]


# --- hostile members -----------------------------------------------------------------------


@pytest.mark.parametrize("copy", [forged, signed_again], ids=["wrong signatures", "valid signatures"])
async def test_copies_under_other_signatures_do_not_delay_a_proposal(
    copy: Callable[[Transaction], bytes],
) -> None:
    """A member answers first, with the same bodies signed otherwise: the proposer's bytes are what counts.

    No whole body is asked for, and nobody waits for a time-out.
    """
    transactions = some()
    leader, made, compact = await proposing(*transactions)
    follower = Member(FOLLOWER)
    follower.hears(LEADER, compact)
    fetching = asyncio.create_task(follower.exchange.fetch_body(made.tip.id, (LEADER_PEER,)))
    await turns()
    follower.hears(MALLORY, Transactions(tuple(copy(each) for each in transactions)))
    leader.takes_from(follower)
    follower.takes_from(leader)
    await turns()
    assert fetching.done()
    assert await fetching
    assert follower.bodies.get(made.tip.id) == made.block
    assert follower.wire.sent == []


async def test_a_second_valid_signature_in_our_mempool_is_not_put_into_the_block() -> None:
    """The leader was given one copy and we another: ours is left out, and the leader's asked for at once."""
    known, twofold = some(2)
    leader, made, compact = await proposing(known, twofold)
    follower = Member(FOLLOWER)
    follower.room.executor.admit(known.raw)
    other, _, is_new = follower.room.executor.admit(signed_again(twofold))
    assert (other.id, is_new) == (twofold.id, True)
    place = made.block.transactions.index(twofold.raw)
    follower.hears(LEADER, compact)
    assert follower.wire.sent == [(LEADER, TransactionsRequest(made.tip.id, (place,)))]
    leader.takes_from(follower)
    follower.takes_from(leader)
    assert await follower.exchange.fetch_body(made.tip.id, (LEADER_PEER,))
    assert follower.bodies.get(made.tip.id) == made.block
    assert (await follower.room.executor.check(made.block)).tip.id == made.tip.id


async def test_wrong_signatures_are_the_senders_fault() -> None:
    """What no block waits for goes through the door, where it is refused and scored."""
    _, _, compact = await proposing(*some())
    follower = Member(FOLLOWER)
    follower.hears(LEADER, compact)
    follower.hears(MALLORY, Transactions((forged(Room().transaction(77)), b"garbage")))
    running = asyncio.create_task(follower.exchange.intake.run())
    await turns()
    running.cancel()
    assert follower.wire.reports == [(MALLORY, Offence.INVALID)] * 2


async def test_whoever_names_the_block_first_and_answers_nothing_delays_nobody() -> None:
    """The proposer is asked too, as soon as it speaks."""
    leader, made, compact = await proposing(*some())
    follower = Member(FOLLOWER)
    follower.hears(MALLORY, compact)
    follower.hears(LEADER, compact)
    request = TransactionsRequest(made.tip.id, (0, 1, 2))
    assert follower.wire.sent == [(MALLORY, request), (LEADER, request)]
    leader.takes_from(follower)
    follower.takes_from(leader)
    assert await follower.exchange.fetch_body(made.tip.id, (LEADER_PEER,))


async def test_a_list_that_the_header_does_not_commit_to_ends_the_connection() -> None:
    """No correct node makes one; the true list is taken afterwards."""
    leader, made, compact = await proposing(*some())
    follower = Member(FOLLOWER)
    hashes = [leaf_hash(forged(each)) for each in made.transactions]
    follower.hears(MALLORY, msgspec.structs.replace(compact, hashes=pack_ids(hashes)))
    assert follower.wire.reports == [(MALLORY, Offence.MALFORMED)]
    assert follower.machine.heard == []
    follower.hears(LEADER, compact)
    leader.takes_from(follower)
    follower.takes_from(leader)
    assert await follower.exchange.fetch_body(made.tip.id, (LEADER_PEER,))


async def test_another_blocks_header_does_not_take_the_proposals_place() -> None:
    """It is consensus that blames for it; the true proposal is put together as if nothing had been said."""
    leader, made, compact = await proposing(*some())
    empty = await leader.room.build(time_ms=2_000_000_000_000)
    lie = msgspec.structs.replace(proposal_of(made), header=empty.block.header)
    follower = Member(FOLLOWER)
    follower.hears(MALLORY, msgspec.structs.replace(compact, payload=consensus.encode_message(lie)))
    assert follower.wire.sent == []
    assert follower.machine.heard == [(MALLORY, lie)]
    follower.hears(LEADER, compact)
    leader.takes_from(follower)
    follower.takes_from(leader)
    assert await follower.exchange.fetch_body(made.tip.id, (LEADER_PEER,))


async def test_bodies_that_nobody_asked_for_push_none_out() -> None:
    """A flood of them is scored, and what a vote is about to rest on stays at hand."""
    _, made, _ = await proposing(*some())
    follower = Member(FOLLOWER)
    follower.bodies.put(made.block)
    for number in range(BODIES_MAX + 1):
        header = msgspec.structs.replace(made.block.header, time_ms=number)
        follower.hears(MALLORY, Body(encode(msgspec.structs.replace(made.block, header=header))))
    assert follower.bodies.get(made.tip.id) is made.block
    assert follower.wire.reports == [(MALLORY, Offence.UNSOLICITED)] * (BODIES_MAX + 1)


async def test_no_place_beyond_the_block_and_no_block_that_is_not_here() -> None:
    """The one is what no correct node asks for; the other is answered."""
    leader, made, _ = await proposing(*some())
    leader.hears(MALLORY, TransactionsRequest(made.tip.id, (0, 3)))
    assert leader.wire.reports == [(MALLORY, Offence.MALFORMED)]
    assert leader.wire.sent == []
    leader.hears(FOLLOWER, TransactionsRequest(bytes(32), (0,)))
    assert leader.wire.sent == [(FOLLOWER, NotFound(bytes(32)))]


async def test_answers_come_in_batches_within_the_messages_limits() -> None:
    """By number and by bytes; no transaction is left out and none sent twice."""
    leader, made, _ = await proposing(*some())
    many = tuple(b"%d" % number for number in range(BATCH_TRANSACTIONS_MAX + 1))
    large = tuple(bytes([number]) * 1_000_000 for number in range(5))
    for raws in (many, large):
        block = msgspec.structs.replace(made.block, transactions=raws)
        leader.bodies.drop(made.tip.id)
        leader.bodies.put(block)
        leader.wire.sent.clear()
        leader.hears(FOLLOWER, TransactionsRequest(made.tip.id, tuple(range(len(raws)))))
        batches = [message for message in leader.asked_of(FOLLOWER) if isinstance(message, Transactions)]
        assert tuple(raw for batch in batches for raw in batch.transactions) == raws
        assert len(batches) > 1
        assert [decode_message(encode_message(batch)) for batch in batches] == batches


# --- how much one peer may draw ----------------------------------------------------------------


async def flooded(request: Message) -> tuple[Member, list[Message]]:
    """A node with a final block, and what it answers to a peer that asks ten thousand times at once."""
    member = Member(LEADER)
    await member.room.grow(1)
    for _ in range(10_000):
        member.hears(MALLORY, request)
    return member, member.asked_of(MALLORY)


@pytest.mark.parametrize("kind", ["page", "body", "transactions", "certificates", "unknown"])
async def test_a_flood_of_requests_costs_a_bounded_number_of_answers(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C5: above its share a peer is told that nothing is here, and no store is looked into for it; everybody
    else is answered, and so is that peer when time has passed."""
    final = (await Member(LEADER).room.grow(1))[0].tip.id
    request: Message = {
        "page": BlocksRequest(1, 64),
        "body": BodyRequest(final),
        "transactions": TransactionsRequest(final, (0,)),
        "certificates": SettledRequest(Epoch(0), View(0), View(1)),
        "unknown": BodyRequest(bytes(32)),
    }[kind]
    looks = 0
    for store, name in ((BlockStore, "finalized_page"), (BlockStore, "height_of"), (SettledViews, "page")):
        original = getattr(store, name)

        def counted(*arguments: object, original: Callable[..., object] = original) -> object:
            nonlocal looks
            looks += 1
            return original(*arguments)

        monkeypatch.setattr(store, name, counted)
    member, answers = await flooded(request)
    before = looks
    assert before <= DRAW_BYTES_BURST // ANSWER_BYTES_MIN + 10
    assert len(answers) == 10_000
    if kind in ("page", "body", "transactions"):  # of the others nothing is stored
        assert answers[0] != answers[-1]
    assert answers[-1] in (NotFound(final), NotFound(NO_PAGE), NotFound(bytes(32)), Settled(()))
    member.hears(FOLLOWER, request)
    assert member.asked_of(FOLLOWER) == answers[:1]
    member.exchange.on_disconnected(
        PeerInfo(MALLORY, "node-2", "farm", NodeRole.VALIDATOR, "127.0.0.1:1", True, 0.0, 0, 0), "peer.lost"
    )
    member.hears(MALLORY, request)
    assert looks == before + 1, "to connect anew pays nothing back"
    member.clock.now_ms += 1_000
    member.hears(MALLORY, request)
    assert member.asked_of(MALLORY)[-1] == answers[0]


async def test_a_large_answer_is_charged_by_its_size() -> None:
    """C5: a share of a few large bodies, paid back by time alone."""
    leader, made, _ = await proposing(*some())
    large = tuple(bytes([number]) * 1_000_000 for number in range(8))
    leader.bodies.drop(made.tip.id)
    leader.bodies.put(msgspec.structs.replace(made.block, transactions=large))
    for _ in range(100):
        leader.hears(MALLORY, BodyRequest(made.tip.id))
    bodies = [message for message in leader.asked_of(MALLORY) if isinstance(message, Body)]
    assert sum(len(body.block) for body in bodies) < DRAW_BYTES_BURST + len(bodies[0].block)
    leader.clock.now_ms += 10_000
    leader.hears(MALLORY, BodyRequest(made.tip.id))
    assert leader.asked_of(MALLORY)[-1] == bodies[0]


# --- whole bodies --------------------------------------------------------------------------


async def test_a_body_is_asked_of_one_source_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no proposal brings it; a wrong one is blamed and the next source asked."""
    monkeypatch.setattr(exchange_module, "ANSWER_SECONDS", 0)
    leader, made, _ = await proposing(*some())
    follower = Member(FOLLOWER)
    assert not await follower.exchange.fetch_body(made.tip.id, (LEADER_PEER, Peer(2)))
    request = BodyRequest(made.tip.id)
    assert follower.wire.sent == [(LEADER, request), (MALLORY, request)]
    wrong = msgspec.structs.replace(made.block, transactions=())
    follower.hears(MALLORY, Body(encode(wrong)))
    assert follower.wire.reports == [(MALLORY, Offence.INVALID)]
    leader.takes_from(follower)
    follower.takes_from(leader)  # late, and still welcome
    assert await follower.exchange.fetch_body(made.tip.id, ())
    assert follower.bodies.get(made.tip.id) == made.block


async def test_a_stored_block_is_read_and_asked_of_nobody() -> None:
    """Catching up has committed it meanwhile."""
    member = Member(FOLLOWER)
    (made,) = await member.room.grow(1)
    assert await member.exchange.fetch_body(made.tip.id, (LEADER_PEER,))
    assert member.bodies.get(made.tip.id) == made.block
    assert member.wire.sent == []


async def test_a_peer_that_leaves_takes_its_unfinished_proposals_along() -> None:
    """They are put together again when it comes back and says so."""
    _, made, compact = await proposing(*some())
    follower = Member(FOLLOWER)
    follower.hears(LEADER, compact)
    info = PeerInfo(LEADER, "node-0", "farm", NodeRole.VALIDATOR, "127.0.0.1:1", True, 0.0, 0, 0)
    follower.exchange.on_disconnected(info, "peer.lost")
    follower.hears(MALLORY, Transactions(made.block.transactions))
    assert follower.exchange.intake.waiting == 3


async def test_a_missing_body_says_nothing_of_the_page_that_the_same_peer_owes() -> None:
    """A peer without one block may well have the next page; only the answer without a block ends the wait."""
    member = Member(FOLLOWER)
    waiting = asyncio.create_task(member.exchange.ask_page(LEADER, Height(1), 8))
    await asyncio.sleep(0)
    assert member.asked_of(LEADER) == [BlocksRequest(1, 8)]
    member.hears(LEADER, NotFound(b"b" * HASH_BYTES))
    await asyncio.sleep(0)
    assert not waiting.done()
    member.hears(LEADER, NotFound(NO_PAGE))
    assert await waiting is None


def test_a_double_is_believed_of_more_than_a_third_of_the_stake() -> None:
    """N8: a peer without stake, or one that is no member, may lie about a second process, but in vain."""
    member = Member(FOLLOWER)
    world = member.room.executor.committed.world
    (validator,) = [node for node in nodes_in_force(world) if node.name == "node-0"]
    for liar in (MALLORY, PublicKey(b"?" * 32), *(PublicKey(n.public_key) for n in nodes_in_force(world))):
        if liar != validator.public_key:
            member.exchange.on_double(liar)
    assert member.machine.doubles == 0
    member.exchange.on_double(PublicKey(validator.public_key))
    assert member.machine.doubles == 1


# --- recoveries ----------------------------------------------------------------------------------


def test_a_recovery_is_told_and_taken_and_a_false_one_is_the_senders_fault() -> None:
    """K15: it goes to who speaks of the ended epoch, at that peer's cost, and is verified by who hears it."""
    leader, follower = Member(LEADER), Member(FOLLOWER)
    peer = leader.exchange.peer(FOLLOWER)
    leader.exchange.tell_recovery(peer, b"approved")
    assert leader.asked_of(FOLLOWER) == [RecoveryNotice(b"approved")]
    follower.takes_from(leader)
    assert (follower.recoveries, follower.wire.reports) == ([b"approved"], [])
    follower.hears(MALLORY, RecoveryNotice(b""))
    assert follower.wire.reports == [(MALLORY, Offence.FALSE_EVIDENCE)]


def test_a_peer_draws_recoveries_within_its_share() -> None:
    """C5, K15: a flood of questions costs a bounded number of answers."""
    member = Member(LEADER)
    peer = member.exchange.peer(MALLORY)
    for _ in range(10_000):
        member.exchange.tell_recovery(peer, bytes(1 << 20))
    assert 0 < len(member.asked_of(MALLORY)) <= DRAW_BYTES_BURST // (1 << 20) + 1
