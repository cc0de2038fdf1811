"""Which transaction goes to which peer: at most once, never back to where it came from. No sockets or clock.

Only ids are kept here; the bytes stay in the mempool and are looked up when a batch leaves. A client's
transaction is offered to every peer at once. One that a peer sent is offered only when it still waits after a
while: validators form a full mesh, so whoever had it first has sent it to all of them already.

Source: docs/spec/p2p.md, rules G1-G6.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from ledger.types import PublicKey, TxId

KNOWN_MAX: Final = 120_000  # ids whose holders are remembered: two full mempools, and what was just committed
OUTBOX_MAX: Final = 20_000  # ids that wait to be sent to one peer; a later `offer` brings what did not fit
PEERS_MAX: Final = 512
BATCH_COUNT: Final = 256
BATCH_BYTES: Final = 256 << 10  # a batch ends with the transaction that reaches this
FLUSH_MS: Final = 20

FindRaw = Callable[[TxId], bytes | None]


@dataclass(frozen=True, slots=True)
class Batch:
    """Transactions for one peer, as bytes, and their ids in the same order."""

    peer_id: PublicKey
    ids: tuple[TxId, ...]
    transactions: tuple[bytes, ...]


@dataclass(slots=True)
class PeerGossip:
    """What has passed between us and one peer, for metrics and scores."""

    sent: int = 0
    received: int = 0
    duplicates: int = 0  # it sent us the same transaction twice
    crossed: int = 0  # it sent us what we knew already from elsewhere: no fault of its own
    overflowed: int = 0  # its outbox was full


@dataclass(slots=True)
class _Peer:
    bit: int  # its mark in the sets of holders
    outbox: deque[TxId] = field(default_factory=deque)
    waiting_since_ms: int | None = None
    counts: PeerGossip = field(default_factory=PeerGossip)


class Gossip:
    """The ledger of what every peer holds, as far as we know.

    Holders of one transaction are a set of bits, one a peer. `_known` says who holds it or is about to get it
    from us, `_senders` who has sent it to us.
    """

    def __init__(self, known_max: int = KNOWN_MAX, outbox_max: int = OUTBOX_MAX) -> None:
        self._known_max = known_max
        self._outbox_max = outbox_max
        self._known: OrderedDict[TxId, int] = OrderedDict()
        self._senders: dict[TxId, int] = {}
        self._peers: dict[PublicKey, _Peer] = {}
        self._used_bits = 0

    def __len__(self) -> int:
        return len(self._known)

    # --- peers --------------------------------------------------------------

    def connected(self, peer_id: PublicKey) -> None:
        """A peer is there (again): nothing is known of what it holds."""
        self.disconnected(peer_id)
        taken = {peer.bit for peer in self._peers.values()}
        assert len(taken) < PEERS_MAX, "the network has a limit on connections"
        bit = next(1 << number for number in range(PEERS_MAX) if 1 << number not in taken)
        if bit & self._used_bits:
            for holders in (self._known, self._senders):
                for transaction_id, marks in holders.items():
                    holders[transaction_id] = marks & ~bit
        self._used_bits |= bit
        self._peers[peer_id] = _Peer(bit)

    def disconnected(self, peer_id: PublicKey) -> None:
        """A peer has gone, known or not."""
        self._peers.pop(peer_id, None)

    def counts(self, peer_id: PublicKey) -> PeerGossip | None:
        """What has passed between us and a connected peer."""
        peer = self._peers.get(peer_id)
        return None if peer is None else peer.counts

    # --- transactions -------------------------------------------------------

    def received(self, transaction_id: TxId, source: PublicKey) -> bool:
        """A peer has sent a transaction. False: the same peer had sent it before."""
        peer = self._peers.get(source)
        if peer is None:
            return True
        peer.counts.received += 1
        is_known = transaction_id in self._known
        self._mark(transaction_id, peer.bit)
        senders = self._senders.get(transaction_id, 0)
        self._senders[transaction_id] = senders | peer.bit
        if senders & peer.bit:
            peer.counts.duplicates += 1
            return False
        peer.counts.crossed += is_known
        return True

    def offer(self, transaction_ids: Iterable[TxId], now_ms: int, to: PublicKey | None = None) -> None:
        """Queue transactions for every peer (or one) that does not hold them."""
        peers = self._peers.values() if to is None else [self._peers[to]] if to in self._peers else []
        for transaction_id in transaction_ids:
            for peer in peers:
                if not self._known.get(transaction_id, 0) & peer.bit:
                    self._enqueue(peer, transaction_id, now_ms)

    def repeat(self, transaction_ids: Iterable[TxId], now_ms: int) -> None:
        """Queue for every peer what has waited so long that it may have been lost or dropped there."""
        for transaction_id in transaction_ids:
            self._known.pop(transaction_id, None)
            self.offer((transaction_id,), now_ms)

    def not_sent(self, batch: Batch) -> None:
        """The lane of a peer had no room for a batch: it stays unsent until it is offered again."""
        peer = self._peers.get(batch.peer_id)
        if peer is not None:
            peer.counts.sent -= len(batch.ids)
            for transaction_id in batch.ids:
                if transaction_id in self._known:
                    self._known[transaction_id] &= ~peer.bit

    def forget(self, transaction_ids: Iterable[TxId]) -> None:
        """These are committed or have expired: first to go when memory is short, known until then."""
        for transaction_id in transaction_ids:
            self._senders.pop(transaction_id, None)
            if transaction_id in self._known:
                self._known.move_to_end(transaction_id, last=False)

    # --- batches ------------------------------------------------------------

    def flush_at_ms(self) -> int | None:
        """When `flush` wants to be called, or None where nothing waits."""
        waiting = [
            peer.waiting_since_ms for peer in self._peers.values() if peer.waiting_since_ms is not None
        ]
        return min(waiting) + FLUSH_MS if waiting else None

    def flush(self, now_ms: int, find: FindRaw) -> list[Batch]:
        """The batches to send now: full ones, and whatever has waited for FLUSH_MS.

        `find` gives the bytes of a transaction, None where it waits no longer.
        """
        batches = []
        for peer_id, peer in self._peers.items():
            while peer.outbox and self._is_due(peer, now_ms):
                batch = self._take(peer_id, peer, find)
                if batch.ids:
                    batches.append(batch)
            if not peer.outbox:
                peer.waiting_since_ms = None
        return batches

    def _is_due(self, peer: _Peer, now_ms: int) -> bool:
        assert peer.waiting_since_ms is not None
        return len(peer.outbox) >= BATCH_COUNT or now_ms - peer.waiting_since_ms >= FLUSH_MS

    def _take(self, peer_id: PublicKey, peer: _Peer, find: FindRaw) -> Batch:
        ids: list[TxId] = []
        transactions: list[bytes] = []
        size = 0
        while peer.outbox and len(ids) < BATCH_COUNT and size < BATCH_BYTES:
            transaction_id = peer.outbox.popleft()
            raw = None if self._senders.get(transaction_id, 0) & peer.bit else find(transaction_id)
            if raw is not None:
                ids.append(transaction_id)
                transactions.append(raw)
                size += len(raw)
        peer.counts.sent += len(ids)
        return Batch(peer_id, tuple(ids), tuple(transactions))

    def _enqueue(self, peer: _Peer, transaction_id: TxId, now_ms: int) -> None:
        if len(peer.outbox) >= self._outbox_max:
            peer.counts.overflowed += 1
            return
        self._mark(transaction_id, peer.bit)
        peer.outbox.append(transaction_id)
        if peer.waiting_since_ms is None:
            peer.waiting_since_ms = now_ms

    def _mark(self, transaction_id: TxId, bit: int) -> None:
        self._known[transaction_id] = self._known.get(transaction_id, 0) | bit
        if len(self._known) > self._known_max:
            oldest, _ = self._known.popitem(last=False)
            self._senders.pop(oldest, None)
