"""The one place where the parts of a node are joined, started and stopped.

Whatever a node knows of the world is handed in: stores and journal that are open, keys, a clock, a wire,
the disk's waiting room, chance. `node.process` hands in this machine's, the simulator its own, so both
run the same node. Here nothing opens a file or a socket.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.genesis import genesis_block
from contracts.runtime import CoreRules
from ledger.block import Header, block_id
from ledger.consensus.epochs import Epochs
from ledger.consensus.events import Behind, Started
from ledger.consensus.signer import Signer
from ledger.crypto import KeyPair
from ledger.genesis import Genesis, chain_id
from ledger.members import Node, NodeRole, nodes_in_force
from ledger.mempool import Mempool
from ledger.types import BlockId, Height, TxId
from node.bodies import Bodies
from node.catch_up import CatchUp
from node.clock import Clock
from node.consensus_log import ConsensusLog
from node.driver import Driver, OnStep, ignore_steps
from node.epochs import epoch_in_force
from node.exchange import Exchange, Roster
from node.executor import Executor
from node.justify import Justifier
from node.logging import log, logger
from node.lost_blocks import LostBlocks
from node.p2p.counters import Counters
from node.p2p.handshake import LocalNode
from node.p2p.identity import NodeIdentity
from node.p2p.network import Network
from node.p2p.transport import Transport
from node.pace import Pace
from node.recovering import Recovering
from node.reporting import Reporter
from node.resume import finalization_of_head, recover
from node.site import Site
from node.store.journal import Journal
from node.store.journal import Record as Entry
from node.store.stores import Offload, Stores

LOG: Final = logger("node")


@dataclass(frozen=True, slots=True)
class Keys:
    """What a node is known by. `generation`: 16 bytes of its host, see `Signer`."""

    identity: NodeIdentity
    validator: KeyPair | None  # None: it has no key that votes
    generation: bytes
    gateway: KeyPair | None


@dataclass(frozen=True, slots=True)
class Disk:
    """What a node has stored, open. `offload` waits for the disk elsewhere than in the event loop.

    `lost`: blocks that were final here and have to be fetched again before the node takes part.
    """

    stores: Stores
    journal: Journal
    entries: Sequence[Entry]  # what the journal held when it was opened
    offload: Offload
    lost: LostBlocks | None = None

    def close(self) -> None:
        """Let go of the files."""
        self.journal.close()
        self.stores.close()


@dataclass(frozen=True, slots=True)
class World:
    """What else is around a node: time, the wire, and chance."""

    clock: Clock
    pace: Pace
    transport: Transport
    counters: Counters
    random: random.Random = field(default_factory=random.SystemRandom)


def _ignore(header: Header) -> None:
    """Nobody is told of blocks."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator chose. `name` counts until the chain knows the node by one."""

    name: str
    peers: tuple[str, ...] = ()
    mempool: Mempool = field(default_factory=Mempool)
    on_block: Callable[[Header], None] = _ignore
    on_step: OnStep = ignore_steps


class RunningNode:
    """Everything that one node consists of while it runs."""

    def __init__(self, genesis: Genesis, keys: Keys, disk: Disk, world: World, options: Options) -> None:
        """Join the parts; blocks whose state is missing are run again."""
        self._clock, self._on_block = world.clock, options.on_block
        self.stores, self._lost = disk.stores, disk.lost
        rules = CoreRules()
        tip = recover(disk.stores, rules)
        chain = chain_id(genesis)
        self._executor = Executor(genesis, disk.stores, rules, options.mempool, tip, disk.offload, world.pace)
        self._log = ConsensusLog(disk.journal, disk.entries, disk.offload)
        nodes = nodes_in_force(tip.world)
        own = _own_record(options.name, nodes, keys.identity)
        # A key outside of the set keeps its record too: its stake may come, or come back, at any turn.
        signer = None if keys.validator is None else Signer(chain, keys.validator, keys.generation)
        self._bodies = bodies = Bodies()
        for block in self._log.bodies:
            bodies.offer(block)
        self._roster = Roster(tip.validators, nodes)
        self._exchange = exchange = Exchange(self._executor, bodies, self._roster, world.clock, disk.offload)
        base, _ = genesis_block(genesis)
        self._driver = Driver(
            lambda: Epochs(chain, epoch_in_force(disk.stores.blocks, self._executor.committed), signer),
            signer,
            self._log,
            self._executor,
            bodies,
            exchange,
            world.clock,
            self._on_commit,
            self._on_behind,
            options.on_step,
        )
        self._network = Network(
            LocalNode(keys.identity, own.name, chain, block_id(base)),
            world.transport,
            exchange,
            nodes,
            options.peers,
            world.random,
            world.counters,
        )
        self._justifier = Justifier(
            self._executor,
            exchange.ask_settled,
            exchange.page_sources,
            self._driver.held_certificates,
            world.clock.wall_ms,
            disk.offload,
            exchange.refused_page,
        )
        self._catch_up = CatchUp(
            self._executor,
            exchange.ask_page,
            exchange.page_sources,
            self._on_commit,
            self._driver.synced,
            exchange.found_finalization,
            exchange.refused_page,
            exchange.heard_recovery,
            self._justifier,
        )
        self._recovering = Recovering(
            self._executor,
            signer,
            self._log,
            bodies,
            self._catch_up,
            exchange.fetch_body,
            lambda: [exchange.peer(key) for key in exchange.page_sources()],
            self._driver.give_up,
            disk.offload,
        )
        exchange.join(self._network, self._driver, self._catch_up, self._recovering)
        self.site = Site(own, self._executor, exchange, keys.gateway)
        self._reporter = Reporter(
            exchange.evidence.held,
            lambda: self._executor.committed,
            keys.gateway,
            lambda: self.site.name,
            exchange.intake.submit,
            exchange.tell_evidence,
            world.clock,
            world.random,
        )
        self._work: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        """Listen and dial. Raises OSError where the address is taken."""
        await self._network.start()
        tip = self._executor.committed
        log(
            LOG,
            logging.INFO,
            "started",
            node=self.site.name,
            height=tip.header.height,
            chain=tip.header.chain_id.hex(),
        )

    async def run(self, **beside: Coroutine[Any, Any, Any]) -> None:
        """Run until one of `beside` ends; raises what made the node fail."""
        work = {
            "driver": self._take_part(),
            "intake": self._exchange.intake.run(),
            "gossip": self._exchange.run_gossip(),
            "evidence": self._exchange.evidence.run(),
            "reports": self._reporter.run(),
            "catch-up": self._catch_up.run(),
            "justify": self._justifier.run(),
            "network": self._network.wait(),
            **beside,
        }
        self._work = [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]
        try:
            await asyncio.wait(self._work, return_when=asyncio.FIRST_COMPLETED)
            for task in self._work:
                if task.done():
                    task.result()
        except BaseExceptionGroup as group:
            LOG.critical("failed", exc_info=group)
            raise _first(group) from group

    async def stop(self) -> None:
        """End everything, within a few seconds; raises what made the network fail, if it did."""
        log(LOG, logging.INFO, "stopping", node=self.site.name)
        await self._network.stop()
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self._exchange.evidence.save()

    # --- whether it takes part ----------------------------------------------------

    def pause(self) -> None:
        """Stop taking part in consensus; reads go on."""
        self._driver.pause()

    def resume(self) -> None:
        """Take part again."""
        self._driver.resume()

    def held(self) -> dict[str, int]:
        """How many things wait or are kept in memory, by kind: each is bounded where it lives."""
        return {
            "inputs": self._driver.waiting,
            "transactions": self._exchange.intake.waiting,
            "mempool": self.site.status().pending_transactions,
            "records": len(self._log.records),
            "bodies": len(self._bodies),
            "executions": self._executor.unfinalized,
        }

    # --- joints -----------------------------------------------------------------

    async def _take_part(self) -> None:
        """Consensus, once the blocks are here that were final here before."""
        if self._lost is not None:
            await self._catch_up.regain(self._lost)
            self._lost.forget_if_regained(self.stores.blocks)
        while True:
            while self._recovering.begin_kept():
                await self._recovering.complete()
            await self._driver.run(self._started())  # until operators give the epoch up

    def _started(self) -> Started:
        tip = self._executor.committed
        return Started(
            self._clock.wall_ms(), tip.header, finalization_of_head(self.stores), self._log.records
        )

    async def _on_commit(self, of: BlockId) -> None:
        tip = self._executor.committed
        receipts = self.stores.blocks.receipts(Height(tip.header.height)) or ()
        ids = [TxId(receipt.transaction_id) for receipt in receipts]
        self._exchange.gossip.forget(ids)
        self.site.committed(ids)
        self._exchange.evidence.turned()
        self._on_block(tip.header)
        nodes = nodes_in_force(tip.world)
        self._roster.update(nodes)
        self._network.allow(nodes)
        log(
            LOG,
            logging.INFO,
            "block",
            height=tip.header.height,
            transactions=tip.header.transaction_count,
            events=tip.header.event_count,
            state_root=tip.header.state_root.hex(),
        )

    def _on_behind(self, behind: Behind) -> None:
        self._catch_up.aim(behind)


def _own_record(name: str, nodes: Sequence[Node], identity: NodeIdentity) -> Node:
    """This node as the chain lists it, or, before its organisation has registered it, as it will be."""
    for node in nodes:
        if node.public_key == identity.public_key:
            return node
    return Node(
        public_key=identity.public_key,
        organisation="unregistered",
        name=name,
        role=NodeRole.OBSERVER,
        certificate=identity.certificate,
        addresses=(),
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain exception of a group: what a person should read."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner
