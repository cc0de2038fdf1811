"""The exchange: what this node says to its peers and what it does with what they say.

It sorts messages to consensus, intake, catch-up and answers, and turns proposals into compact ones.
It decides nothing about validity.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, assert_never

from ledger.block import Block, block_id, decode_block
from ledger.codec import encode
from ledger.consensus import messages as consensus
from ledger.consensus.events import FIRST_OBSERVER, Peer
from ledger.errors import LedgerError
from ledger.evidence import Evidence, decode_evidence, encode_evidence
from ledger.members import Node, nodes_in_force
from ledger.merkle.log import leaf_hash
from ledger.types import BlockId, Epoch, Hash, Height, PublicKey, TxId, View
from ledger.validators import ValidatorSet
from ledger.vote import Certificate
from node.allowance import Allowance
from node.answers import NO_PAGE, Answers
from node.bodies import ANSWER_SECONDS, ASSEMBLY_SECONDS, SOURCES_MAX, Bodies
from node.catch_up import ANSWER_SECONDS as PAGE_SECONDS
from node.catch_up import CatchUp, Page
from node.clock import Clock
from node.compact import Incoming
from node.driver import Driver
from node.evidence import EvidencePool
from node.executor import Executor
from node.intake import ASKED_FOR, Intake
from node.p2p.conduct import Offence
from node.p2p.frames import Lane
from node.p2p.gossip import Gossip
from node.p2p.messages import (
    ACCUSATIONS_MAX,
    Accusations,
    Blocks,
    BlocksRequest,
    Body,
    BodyRequest,
    CompactProposal,
    Consensus,
    Goodbye,
    Message,
    NotFound,
    RecoveryNotice,
    Settled,
    SettledRequest,
    Transactions,
    TransactionsRequest,
    pack_ids,
    unpack_ids,
)
from node.p2p.network import Network, PeerInfo
from node.recovering import Recovering
from node.store.stores import Offload

GOSSIP_TICK_SECONDS: Final = 0.02
ACCUSATIONS_TOLD_MAX: Final = 256  # to a peer that connects: the newest of what is held
REPEAT_SECONDS: Final = 5  # what still waits after so long is gossiped again


class Roster:
    """Which connection speaks for which validator; every other node gets a number of its own."""

    def __init__(self, validators: ValidatorSet, nodes: Sequence[Node]) -> None:
        self._observers: dict[PublicKey, Peer] = {}
        self._validators = validators
        self.update(nodes)

    def begin_epoch(self, validators: ValidatorSet) -> None:
        """Another set is in force; its nodes are among the members that are known."""
        self._validators = validators
        self.update(self._nodes)

    def update(self, nodes: Sequence[Node]) -> None:
        """Take the members in force."""
        self._nodes = tuple(nodes)
        by_name = {node.name: PublicKey(node.public_key) for node in nodes}
        self._keys = {
            Peer(index): by_name[validator.node]
            for index, validator in enumerate(self._validators.validators)
            if validator.node in by_name
        }
        self._peers = {key: peer for peer, key in self._keys.items()}
        self._keys |= {peer: key for key, peer in self._observers.items() if key not in self._peers}

    def peer(self, public_key: PublicKey) -> Peer:
        """The number by which consensus knows a node."""
        if public_key in self._peers:
            return self._peers[public_key]
        known = self._observers.get(public_key)
        if known is None:
            known = self._observers[public_key] = Peer(FIRST_OBSERVER + len(self._observers))
            self._keys[known] = public_key
        return known

    def key(self, peer: Peer) -> PublicKey | None:
        """The identity behind a number."""
        return self._keys.get(peer)


class Exchange:
    """Both ends of one node's peer traffic: `Events` of the network, `Outlet` of the driver."""

    def __init__(
        self, executor: Executor, bodies: Bodies, roster: Roster, clock: Clock, offload: Offload
    ) -> None:
        self._executor = executor
        self._bodies = bodies
        self._roster = roster
        self._clock = clock
        self._incoming = Incoming(bodies, executor.opened.raw)
        self._pages: dict[PublicKey, asyncio.Future[Page | None]] = {}
        self._settled: dict[PublicKey, asyncio.Future[Sequence[bytes]]] = {}
        self.gossip = Gossip()
        self._offered: deque[tuple[int, TxId]] = deque()  # when each was last offered, oldest first
        self.intake = Intake(executor, self._on_admitted, self._on_seen, self._on_invalid)
        self.evidence = EvidencePool(
            executor.chain_id,
            executor.stores.evidence,
            lambda: executor.committed.world,
            offload,
            self.tell_evidence,
        )
        self._doubled: dict[PublicKey, None] = {}  # members that talk to another process with this node's key
        self._network: Network | None = None
        self._driver: Driver | None = None
        self.catch_up: CatchUp | None = None
        self._recovering: Recovering | None = None
        self._answers: Answers | None = None

    def join(self, network: Network, driver: Driver, catch_up: CatchUp, recovering: Recovering) -> None:
        """Name the parts that were made after this one; called once, before anything runs."""
        self._network, self._driver = network, driver
        self.catch_up, self._recovering = catch_up, recovering
        blocks, allowance = self._executor.stores.blocks, Allowance(self._clock)
        self._answers = Answers(blocks, self._bodies, allowance, driver.held_certificates, network.send)

    @property
    def answers(self) -> Answers:
        """What answers requests, once joined."""
        assert self._answers is not None
        return self._answers

    @property
    def recovering(self) -> Recovering:
        """What takes in recoveries, once joined."""
        assert self._recovering is not None
        return self._recovering

    @property
    def network(self) -> Network:
        """The network, once joined."""
        assert self._network is not None
        return self._network

    @property
    def driver(self) -> Driver:
        """The driver, once joined."""
        assert self._driver is not None
        return self._driver

    def lag_blocks(self) -> int:
        """About how many final blocks are not here yet: lost ones, or the views between here and the aim."""
        if self.catch_up is not None and self.catch_up.regaining is not None:
            return self.catch_up.regaining - self._executor.committed.header.height
        aim = None if self.catch_up is None else self.catch_up.target_view
        return 0 if aim is None else max(1, aim - self.driver.final_view)

    # --- Outlet: what consensus sends ---------------------------------------

    def peer(self, public_key: PublicKey) -> Peer:
        """The number of a node in the epoch in force."""
        return self._roster.peer(public_key)

    def begin_epoch(self, validators: ValidatorSet) -> None:
        """From here on peers have the numbers of this set."""
        self._roster.begin_epoch(validators)

    def send(self, peer: Peer, message: consensus.Message) -> None:
        """Send one consensus message, if the peer is connected."""
        key = self._roster.key(peer)
        if key is not None:
            wrapped, lane = self._wrap(message)
            self.network.send(key, wrapped, lane)

    def broadcast(self, message: consensus.Message) -> None:
        """Send to every validator; proposals and certificates to observers too."""
        wrapped, lane = self._wrap(message)
        is_for_all = isinstance(message, consensus.ProposalMessage | consensus.CertificatesMessage)
        self.network.broadcast(wrapped, lane, only_validators=not is_for_all)

    def _wrap(self, message: consensus.Message) -> tuple[Message, Lane]:
        payload = consensus.encode_message(message)
        if not isinstance(message, consensus.ProposalMessage):
            return Consensus(payload), Lane.CONSENSUS
        identifier = BlockId(message.signed.proposal.block_id)
        block = self._bodies.get(identifier)
        if block is None:  # final and forgotten meanwhile; whoever lacks it asks
            return Consensus(payload), Lane.PROPOSAL
        hashes = pack_ids([leaf_hash(raw) for raw in block.transactions])
        return CompactProposal(payload, block.last_certificate, hashes), Lane.PROPOSAL

    def report(self, peer: Peer, code: str, message: str) -> None:
        """A peer sent what no correct peer sends."""
        key = self._roster.key(peer)
        if key is not None:
            self.network.report(key, Offence.INVALID)

    def tell_recovery(self, peer: Peer, recovery: bytes) -> None:
        """Tell a peer that speaks of an epoch which operators gave up."""
        key = self._roster.key(peer)
        if key is not None:
            self.answers.tell(key, RecoveryNotice(recovery), Lane.BULK, len(recovery))

    def heard_recovery(self, peer_id: PublicKey, data: bytes) -> None:
        """A peer, or a page of its, says that operators gave the epoch in force up."""
        try:
            self.recovering.hear(data)
        except LedgerError:
            self.network.report(peer_id, Offence.FALSE_EVIDENCE)

    def accuse(self, evidence: Evidence) -> None:
        """Consensus saw a validator sign against the rules."""
        self.evidence.take(evidence)

    async def fetch_body(self, of: BlockId, sources: Sequence[Peer]) -> bool:
        """Bring a body to hand: by the compact proposal on its way, then by asking the sources in turn."""
        stored = self._executor.stores.blocks.height_of(of)
        if stored is not None:
            block = self._executor.stores.blocks.block(stored)
            return block is not None and self._bodies.offer(block)
        if self._incoming.want(of) and await self._bodies.wait(of, ASSEMBLY_SECONDS):
            return True
        for peer in islice(sources, SOURCES_MAX):  # some may be added while it goes on
            key = self._roster.key(peer)
            if key is not None and self.network.send(key, BodyRequest(of), Lane.PROPOSAL):
                if await self._bodies.wait(of, ANSWER_SECONDS):
                    return True
        return self._bodies.get(of) is not None

    # --- catching up --------------------------------------------------------

    async def ask_page(self, peer: PublicKey, start: Height, blocks_max: int) -> Page | None:
        """A page of final blocks from one peer, or None."""
        if peer in self._pages or not self.network.send(peer, BlocksRequest(start, blocks_max), Lane.GOSSIP):
            return None
        answer: asyncio.Future[Page | None] = asyncio.get_running_loop().create_future()
        self._pages[peer] = answer
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._pages[peer]

    async def ask_settled(self, peer: PublicKey, epoch: Epoch, after: View, until: View) -> Sequence[bytes]:
        """A page of what a peer holds of the views above `after` up to `until`.

        Raises:
            TimeoutError: it is away, silent, or being asked already.
        """
        request = SettledRequest(epoch, after, until)
        if peer in self._settled or not self.network.send(peer, request, Lane.GOSSIP):
            raise TimeoutError
        answer: asyncio.Future[Sequence[bytes]] = asyncio.get_running_loop().create_future()
        self._settled[peer] = answer
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                return await answer
        finally:
            del self._settled[peer]

    def _answer_settled(self, peer: PublicKey, certificates: Sequence[bytes]) -> None:
        waiting = self._settled.get(peer)
        if waiting is None:
            self.network.report(peer, Offence.UNSOLICITED)
        elif not waiting.done():
            waiting.set_result(certificates)

    def page_sources(self) -> Sequence[PublicKey]:
        """The peers that may be asked for pages."""
        return [peer.peer_id for peer in self.network.peers()]

    def refused_page(self, peer: PublicKey, code: str) -> None:
        """A page did not hold what its certificate says."""
        self.network.report(peer, Offence.INVALID)

    def found_finalization(self, peer: PublicKey, finalization: Certificate) -> None:
        """A page showed a finalization above the aim: consensus shall know it first, and aim anew."""
        message = consensus.CertificatesMessage((finalization,))
        self.driver.receive(peer, message, len(encode(finalization)))

    def _answer_page(self, peer: PublicKey, page: Page | None) -> None:
        waiting = self._pages.get(peer)
        if waiting is None:
            self.network.report(peer, Offence.UNSOLICITED)
        elif not waiting.done():
            waiting.set_result(page)

    # --- Events: what the network tells ---------------------------------------

    def on_connected(self, peer: PeerInfo) -> None:
        """A peer is there (again)."""
        self.gossip.connected(peer.peer_id)
        self.gossip.offer(list(self._executor.mempool.ids()), self._clock.monotonic_ms(), to=peer.peer_id)
        for page in _pages(self.evidence.held()[-ACCUSATIONS_TOLD_MAX:]):
            self.network.send(peer.peer_id, page, Lane.GOSSIP)
        self.driver.connected(peer.peer_id)

    def on_disconnected(self, peer: PeerInfo, code: str) -> None:
        """A peer has gone."""
        self.gossip.disconnected(peer.peer_id)
        self._incoming.disconnected(peer.peer_id)

    def on_double(self, peer_id: PublicKey) -> None:
        """A peer talks to another process with this node's key. One may lie; more than a third of the stake
        does not."""
        self._doubled[peer_id] = None
        nodes = {node.public_key: node.name for node in nodes_in_force(self._executor.committed.world)}
        names = {nodes.get(key) for key in self._doubled}
        validators = self._executor.committed.validators
        if validators.is_blocking(sum(each.stake for each in validators.validators if each.node in names)):
            self.driver.doubled()

    def on_message(self, peer_id: PublicKey, message: Message) -> None:
        """Sort a message to who deals with it."""
        try:
            self._take(peer_id, message)
        except LedgerError:
            self.network.report(peer_id, Offence.MALFORMED)

    def _take(self, peer_id: PublicKey, message: Message) -> None:  # noqa: PLR0912  # one case a message
        match message:
            case Consensus():
                payload = message.payload
                self.driver.receive(peer_id, consensus.decode_message(payload), len(payload))
            case CompactProposal():
                self._take_proposal(peer_id, message)
            case Transactions():
                lacked, gossiped = self._incoming.add(message.transactions)
                self.intake.receive(peer_id, gossiped)
                self.intake.receive(ASKED_FOR, lacked)
            case TransactionsRequest() | BodyRequest() | BlocksRequest() | SettledRequest():
                self.answers.answer(peer_id, message)
            case Body():
                self._take_body(peer_id, decode_block(message.block))
            case Blocks():
                self._answer_page(peer_id, Page(message.blocks, message.link, message.finalization))
            case NotFound(ids=named):
                # One that names a block answers a request for its body or transactions, which asks others
                # by itself; it says nothing of the page that the same peer may owe.
                if named == NO_PAGE and peer_id in self._pages:
                    self._answer_page(peer_id, None)
            case Settled():
                self._answer_settled(peer_id, message.certificates)
            case Accusations():
                self._take_accusations(peer_id, message)
            case RecoveryNotice():
                self.heard_recovery(peer_id, message.recovery)
            case Goodbye():
                pass
            case _:
                assert_never(message)

    def _take_accusations(self, peer_id: PublicKey, message: Accusations) -> None:
        """Keep what is proved. A correct peer has verified what it passes on: a false proof is its fault."""
        for data in message.evidence:
            evidence = decode_evidence(data)
            try:
                self.evidence.take(evidence)
            except LedgerError:
                self.network.report(peer_id, Offence.FALSE_EVIDENCE)
                return

    def tell_evidence(self, held: Sequence[Evidence]) -> None:
        """Pass evidence on to every peer; each verifies it, and passes on what is new to it."""
        for page in _pages(held):
            self.network.broadcast(page, Lane.GOSSIP)

    def _take_proposal(self, peer_id: PublicKey, message: CompactProposal) -> None:
        inner = consensus.decode_message(message.payload)
        if not isinstance(inner, consensus.ProposalMessage):
            raise LedgerError("proposal.wrong_message", "a compact proposal holds another message")
        of = BlockId(inner.signed.proposal.block_id)
        if self._bodies.get(of) is None and block_id(inner.header) == of:
            hashes = [Hash(each) for each in unpack_ids(message.hashes)]
            missing = self._incoming.begin(peer_id, of, inner.header, message.last_certificate, hashes)
            if missing:
                self.network.send(peer_id, TransactionsRequest(of, missing), Lane.PROPOSAL)
        self.driver.receive(peer_id, inner, len(message.payload))

    def _take_body(self, peer_id: PublicKey, block: Block) -> None:
        if not self._incoming.is_wanted(block_id(block.header)):
            self.network.report(peer_id, Offence.UNSOLICITED)
        elif not self._incoming.take(block):
            self.network.report(peer_id, Offence.INVALID)

    # --- gossip ---------------------------------------------------------------

    async def run_gossip(self) -> None:
        """Send batches that are due, and repeat what waits too long; runs until cancelled."""
        while True:
            await asyncio.sleep(GOSSIP_TICK_SECONDS)
            now = self._clock.monotonic_ms()
            for batch in self.gossip.flush(now, self._executor.raw_transaction):
                if not self.network.send(batch.peer_id, Transactions(batch.transactions), Lane.GOSSIP):
                    self.gossip.not_sent(batch)
            self.gossip.repeat(self._waiting_long(now), now)

    def _waiting_long(self, now: int) -> list[TxId]:
        """What has waited for REPEAT_SECONDS since it came or was last repeated, and still waits."""
        late = []
        while self._offered and self._offered[0][0] <= now - REPEAT_SECONDS * 1000:
            _, transaction_id = self._offered.popleft()
            if transaction_id in self._executor.mempool:
                late.append(transaction_id)
        self._offered.extend((now, transaction_id) for transaction_id in late)
        return late

    def _on_admitted(self, transaction_id: TxId, from_peer: PublicKey | None) -> None:
        now = self._clock.monotonic_ms()
        self._offered.append((now, transaction_id))
        if from_peer is None:
            self.gossip.offer((transaction_id,), now)
        self.driver.transactions_pending(is_new=True)

    def _on_seen(self, transaction_id: TxId, peer: PublicKey) -> None:
        # A second copy is counted and forgiven: after a stall everybody repeats what still waits.
        self.gossip.received(transaction_id, peer)

    def _on_invalid(self, peer: PublicKey, code: str) -> None:
        self.network.report(peer, Offence.INVALID)


def _pages(held: Sequence[Evidence]) -> Iterator[Accusations]:
    """Evidence in messages of at most ACCUSATIONS_MAX."""
    for start in range(0, len(held), ACCUSATIONS_MAX):
        page = held[start : start + ACCUSATIONS_MAX]
        yield Accusations(tuple(encode_evidence(evidence) for evidence in page))
