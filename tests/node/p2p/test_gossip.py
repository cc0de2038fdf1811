"""Gossip: at most once to a peer, never back, in batches, in bounded memory."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.types import PublicKey, TxId
from node.p2p.gossip import BATCH_BYTES, BATCH_COUNT, FLUSH_MS, Gossip

PEERS = [PublicKey(bytes([number]) * 32) for number in range(4)]
IDS = [TxId(number.to_bytes(32, "big")) for number in range(1000)]


def raw(transaction_id: TxId) -> bytes:
    return b"raw " + transaction_id


def gossip(peers: int = 3, **limits: int) -> Gossip:
    ledger = Gossip(**limits)
    for peer in PEERS[:peers]:
        ledger.connected(peer)
    return ledger


def sent(ledger: Gossip, now_ms: int) -> dict[PublicKey, list[TxId]]:
    found: dict[PublicKey, list[TxId]] = {}
    for batch in ledger.flush(now_ms, raw):
        assert batch.transactions == tuple(raw(each) for each in batch.ids)
        found.setdefault(batch.peer_id, []).extend(batch.ids)
    return found


def test_a_client_s_transaction_goes_to_every_peer_after_a_moment() -> None:
    """It waits for company, no longer than FLUSH_MS, and goes once."""
    ledger = gossip()
    assert ledger.flush_at_ms() is None
    ledger.offer(IDS[:1], 100)
    ledger.offer(IDS[1:2], 110)
    assert ledger.flush_at_ms() == 100 + FLUSH_MS
    assert sent(ledger, 100 + FLUSH_MS - 1) == {}
    assert sent(ledger, 100 + FLUSH_MS) == dict.fromkeys(PEERS[:3], IDS[:2])
    assert ledger.flush_at_ms() is None
    ledger.offer(IDS[:2], 200)
    assert sent(ledger, 300) == {}


def test_a_peer_s_transaction_never_goes_back() -> None:
    """It is passed on when it is offered, to everybody but those who sent it."""
    ledger = gossip()
    assert ledger.received(IDS[0], PEERS[0])
    assert ledger.flush_at_ms() is None
    ledger.offer(IDS[:1], 0)
    assert sent(ledger, FLUSH_MS) == {PEERS[1]: IDS[:1], PEERS[2]: IDS[:1]}


def test_what_comes_while_it_waits_to_be_sent_is_not_sent_back() -> None:
    """The peer was faster than our batch."""
    ledger = gossip(2)
    ledger.offer(IDS[:1], 0)
    assert ledger.received(IDS[0], PEERS[0])
    assert sent(ledger, FLUSH_MS) == {PEERS[1]: IDS[:1]}
    counts = ledger.counts(PEERS[0])
    assert counts is not None
    assert (counts.crossed, counts.duplicates) == (1, 0)


def test_a_full_batch_leaves_at_once() -> None:
    """A burst is not held back for the clock; the rest of it waits its turn."""
    ledger = gossip(1)
    ledger.offer(IDS[: BATCH_COUNT + 5], 0)
    assert sent(ledger, 0) == {PEERS[0]: IDS[:BATCH_COUNT]}
    assert sent(ledger, FLUSH_MS) == {PEERS[0]: IDS[BATCH_COUNT : BATCH_COUNT + 5]}


def test_bytes_end_a_batch_too() -> None:
    """Large transactions travel in smaller company."""
    ledger = gossip(1)
    ledger.offer(IDS[:5], 0)
    batches = ledger.flush(FLUSH_MS, lambda _: bytes(BATCH_BYTES // 2))
    assert [len(batch.ids) for batch in batches] == [2, 2, 1]


def test_what_waits_no_longer_is_not_sent() -> None:
    """Committed meanwhile: there is nothing to look up."""
    ledger = gossip(1)
    ledger.offer(IDS[:3], 0)
    batches = ledger.flush(FLUSH_MS, lambda each: None if each == IDS[1] else raw(each))
    assert [batch.ids for batch in batches] == [(IDS[0], IDS[2])]
    ledger.offer([IDS[9]], 0)
    assert ledger.flush(FLUSH_MS, lambda _: None) == []


def test_the_same_peer_twice_is_a_duplicate_and_two_peers_are_not() -> None:
    """Only a repetition is a peer's own fault."""
    ledger = gossip()
    assert ledger.received(IDS[0], PEERS[0])
    assert ledger.received(IDS[0], PEERS[1])
    assert not ledger.received(IDS[0], PEERS[0])
    first, second = ledger.counts(PEERS[0]), ledger.counts(PEERS[1])
    assert first is not None
    assert second is not None
    assert (first.received, first.duplicates, first.crossed) == (2, 1, 0)
    assert (second.received, second.duplicates, second.crossed) == (1, 0, 1)


def test_a_batch_that_found_no_room_can_be_offered_again() -> None:
    """What a full lane refused is not lost for that peer."""
    ledger = gossip(2)
    ledger.offer(IDS[:2], 0)
    refused = next(batch for batch in ledger.flush(FLUSH_MS, raw) if batch.peer_id == PEERS[0])
    ledger.not_sent(refused)
    ledger.offer(IDS[:2], 100)
    assert sent(ledger, 100 + FLUSH_MS) == {PEERS[0]: IDS[:2]}


def test_repeat_sends_again_what_may_have_been_lost() -> None:
    """At most once between two repeats, which the driver asks for when a transaction waits too long."""
    ledger = gossip(2)
    ledger.offer(IDS[:1], 0)
    sent(ledger, FLUSH_MS)
    ledger.repeat(IDS[:1], 1000)
    assert sent(ledger, 1000 + FLUSH_MS) == dict.fromkeys(PEERS[:2], IDS[:1])


def test_a_peer_that_comes_back_is_offered_what_still_waits() -> None:
    """A restarted peer has lost its mempool: nothing is known of it, and others hear nothing twice."""
    ledger = gossip(2)
    ledger.offer(IDS[:2], 0)
    sent(ledger, FLUSH_MS)
    ledger.disconnected(PEERS[0])
    assert ledger.counts(PEERS[0]) is None
    ledger.connected(PEERS[0])
    ledger.offer(IDS[:2], 100, to=PEERS[0])
    assert sent(ledger, 200) == {PEERS[0]: IDS[:2]}
    ledger.offer(IDS[:2], 300, to=PEERS[3])  # not connected: nothing happens
    assert sent(ledger, 400) == {}


def test_a_full_outbox_drops_and_a_later_offer_brings_the_rest() -> None:
    """A peer that takes nothing holds a bounded list of ids."""
    ledger = gossip(1, outbox_max=2)
    ledger.offer(IDS[:5], 0)
    assert sent(ledger, FLUSH_MS) == {PEERS[0]: IDS[:2]}
    counts = ledger.counts(PEERS[0])
    assert counts is not None
    assert counts.overflowed == 3
    ledger.offer(IDS[:5], 100)
    assert sent(ledger, 100 + FLUSH_MS) == {PEERS[0]: IDS[2:4]}


def test_memory_is_bounded_and_what_is_committed_goes_first() -> None:
    """The oldest ids are forgotten, committed ones before those that wait."""
    ledger = gossip(1, known_max=3)
    ledger.offer(IDS[:3], 0)
    sent(ledger, FLUSH_MS)
    ledger.forget([IDS[2]])
    ledger.offer([IDS[3]], 100)
    assert len(ledger) == 3
    ledger.offer(IDS[:2], 200)
    assert sent(ledger, 300) == {PEERS[0]: [IDS[3]]}


@settings(max_examples=60, stateful_step_count=40)
class Gossiping(RuleBasedStateMachine):
    """Any order of events: what leaves is counted against the promise."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Gossip(known_max=1000)
        self.now = 0
        self.up: set[PublicKey] = set()
        self.sent: Counter[tuple[PublicKey, TxId]] = Counter()
        self.came: set[tuple[PublicKey, TxId]] = set()

    def _flush(self) -> None:
        for batch in self.ledger.flush(self.now, raw):
            assert batch.peer_id in self.up
            assert 0 < len(batch.ids) <= BATCH_COUNT
            for each in batch.ids:
                self.sent[batch.peer_id, each] += 1
                assert (batch.peer_id, each) not in self.came, "sent back to where it came from"

    @rule(peer=st.sampled_from(PEERS))
    def connect(self, peer: PublicKey) -> None:
        self.ledger.connected(peer)
        self.up.add(peer)
        self._forget(peer)

    @rule(peer=st.sampled_from(PEERS))
    def disconnect(self, peer: PublicKey) -> None:
        self.ledger.disconnected(peer)
        self.up.discard(peer)
        self._forget(peer)

    def _forget(self, peer: PublicKey) -> None:
        self.came = {pair for pair in self.came if pair[0] != peer}
        for pair in [pair for pair in self.sent if pair[0] == peer]:
            del self.sent[pair]

    @rule(ids=st.lists(st.sampled_from(IDS[:8]), max_size=6))
    def offer(self, ids: list[TxId]) -> None:
        self.ledger.offer(ids, self.now)

    @rule(peer=st.sampled_from(PEERS), each=st.sampled_from(IDS[:8]))
    def receive(self, peer: PublicKey, each: TxId) -> None:
        if peer in self.up:
            assert self.ledger.received(each, peer) is ((peer, each) not in self.came)
            self.came.add((peer, each))

    @rule(wait=st.integers(0, 30))
    def tick(self, wait: int) -> None:
        self.now += wait
        self._flush()

    @invariant()
    def at_most_once(self) -> None:
        assert all(count == 1 for count in self.sent.values())


TestGossiping = Gossiping.TestCase


@given(st.lists(st.tuples(st.sampled_from(PEERS), st.sampled_from(IDS[:50]), st.booleans()), max_size=200))
def test_memory_stays_within_its_limits_whatever_comes(steps: list[tuple[PublicKey, TxId, bool]]) -> None:
    """Ids remembered, their senders and outboxes are all bounded."""
    ledger = gossip(4, known_max=10, outbox_max=5)
    for peer, each, is_received in steps:
        if is_received:
            ledger.received(each, peer)
        else:
            ledger.offer([each], 0)
        assert len(ledger) <= 10
        assert set(ledger._senders) <= set(ledger._known)
        assert all(len(each.outbox) <= 5 for each in ledger._peers.values())
