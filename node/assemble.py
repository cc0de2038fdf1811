"""The one place where the parts of a node are joined, started and stopped.

Order of a start: settings, genesis, lock, keys, stores (and the blocks whose state is missing run
again), the signer's record, then the peer network, then consensus, then the interfaces. A stop goes
the other way, within five seconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from contracts.genesis import genesis_block
from contracts.runtime import CoreRules
from ledger.block import block_id
from ledger.consensus.events import Behind, Started
from ledger.consensus.machine import Consensus
from ledger.consensus.signer import Signer
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id
from ledger.members import Node, NodeRole, nodes_in_force
from ledger.mempool import Mempool
from ledger.transition import Tip
from ledger.types import BlockId, ChainId, Epoch, Height, TxId
from node import failpoints
from node.api.context import Api
from node.api.context import Settings as ApiSettings
from node.api.metrics import Metrics
from node.api.server import HttpInterfaces, Listen
from node.bodies import Bodies
from node.catch_up import CatchUp
from node.clock import VARIABLE as CLOCK_VARIABLE
from node.clock import SystemClock, clock_offset_ms
from node.config import load_config
from node.consensus_log import ConsensusLog
from node.driver import Driver, NodeHalted
from node.event_index import EventIndex
from node.exchange import Exchange, Roster
from node.executor import Executor
from node.founding import host_generation
from node.genesis_file import read_genesis
from node.home import Home, HomeLock, SpaceVerdict, judge_space, read_space
from node.keys import KeyName, read_key, read_seed
from node.logging import Form, configure, log, logger
from node.lost_blocks import open_whole
from node.network_metrics import NetworkCollector
from node.new_home import CERTIFICATE_FILE
from node.p2p.counters import Counters
from node.p2p.handshake import LocalNode
from node.p2p.identity import NodeIdentity, load_identity
from node.p2p.network import Network
from node.p2p.tls import Members
from node.p2p.websocket import WebSocketTransport
from node.resume import finalization_of_head, recover
from node.settings import Config, parse_address
from node.site import Site
from node.store.disk import LocalDisk
from node.store.failure import EXIT_STORE_FAILED, StoreError, StoreFailed, StoreMismatch
from node.store.journal import Journal
from node.store.offload import DiskThread
from node.store.stores import open_stores

LOG: Final = logger("node")
SPACE_SECONDS: Final = 5.0
FAILED_EXIT: Final = 1


def run_node(home: Path, overrides: Mapping[str, Any]) -> int:
    """Run the node of a home until it is told to stop; answers the process's exit code.

    Args:
        home: what `ledger-node init` or `join` made.
        overrides: settings by dotted key, as flags gave them.
    """
    try:
        import uvloop  # only a running node needs it

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(Home(home), overrides))
    except StoreError as problem:
        sys.stderr.write(f"ledger-node: {problem}{_next_step(problem, home)}\n")
        return FAILED_EXIT if isinstance(problem, StoreMismatch) else EXIT_STORE_FAILED
    except (LedgerError, NodeHalted, OSError) as problem:
        sys.stderr.write(f"ledger-node: {problem}\n")
        return FAILED_EXIT
    return 0


def _next_step(problem: StoreError, home: Path) -> str:
    """What to do about a store that does not open; a failed write has said it already."""
    if isinstance(problem, StoreMismatch | StoreFailed):
        return ""
    return f"; look at the disk, then run `ledger-node repair --home {home}`"


async def _run(home: Home, overrides: Mapping[str, Any]) -> None:
    config = load_config(home.settings, os.environ, overrides)
    configure(config.log.level, Form(config.log.form))
    genesis = read_genesis(home.genesis)
    failpoints.arm(os.environ.get(failpoints.VARIABLE, ""), is_test_network=genesis.is_test_network)
    with HomeLock(home):
        node = RunningNode(home, config, genesis)
        try:
            await node.run()
        finally:
            node.close()


class RunningNode:
    """Everything that one node consists of while it runs."""

    def __init__(self, home: Home, config: Config, genesis: Genesis) -> None:
        self._config = config
        self._home = home
        offset = clock_offset_ms(os.environ.get(CLOCK_VARIABLE, ""), is_test_network=genesis.is_test_network)
        self._clock = SystemClock(offset)
        self._disk = DiskThread()
        rules = CoreRules()
        opened = partial(
            open_stores,
            home.data,
            chain_id(genesis),
            sizes=config.level_sizes,
            value_cache_bytes=config.store.value_cache_bytes,
        )
        self._stores, self._lost = open_whole(home, genesis, opened)
        tip = recover(self._stores, genesis, rules)
        mempool = Mempool(config.mempool.transactions_max, config.mempool.bytes_max)
        self._executor = Executor(genesis, self._stores, rules, mempool, tip, self._disk.run)
        journal, entries = Journal.open(LocalDisk(), home.consensus_log)
        self._log = ConsensusLog(journal, entries, self._disk.run)
        identity = load_identity(
            read_seed(home.keys / KeyName.NODE.value), (home.tls / CERTIFICATE_FILE).read_bytes()
        )
        nodes = nodes_in_force(tip.world)
        own = _own_record(config, nodes, identity)
        signer = _signer(home, tip, self._executor.chain_id)
        gateway_file = home.keys / KeyName.GATEWAY.value
        gateway = read_key(home.keys, KeyName.GATEWAY) if gateway_file.exists() else None
        self._limits = config.space_limits(is_test_network=genesis.is_test_network)
        bodies = Bodies()
        for block in self._log.bodies:
            bodies.offer(block)
        roster = Roster(tip.validators, nodes)
        exchange = Exchange(self._executor, bodies, roster, self._clock)
        self._counters = Counters()
        base, _ = genesis_block(genesis)
        consensus = Consensus(
            self._executor.chain_id,
            Epoch(0),
            tip.validators,
            tip.parameters.consensus,
            base,
            signer,
        )
        self._driver = Driver(
            consensus,
            signer,
            self._log,
            self._executor,
            bodies,
            exchange,
            self._clock,
            self._on_commit,
            self._on_behind,
        )
        self._network = Network(
            LocalNode(identity, own.name, own.role, self._executor.chain_id, block_id(base)),
            WebSocketTransport(Members(identity, ()), *parse_address(config.p2p.listen), self._counters),
            exchange,
            nodes,
            config.peers,
            random.Random(),
            self._counters,
        )
        self._catch_up = CatchUp(
            self._executor,
            exchange.ask_page,
            exchange.page_sources,
            self._on_commit,
            self._driver.synced,
            exchange.found_finalization,
            exchange.refused_page,
        )
        exchange.join(self._network, self._driver, self._catch_up)
        self._exchange, self._roster = exchange, roster
        self.site = Site(own, self._executor, exchange, gateway)
        self._metrics = metrics = Metrics()
        metrics.registry.register(NetworkCollector(self._counters))
        settings = ApiSettings(
            hosts=config.api.hosts,
            is_read_open=config.api.is_read_open,
            requests_at_once_max=config.api.requests_at_once_max,
            connections_max=config.api.connections_max,
            connections_of_client_max=config.api.connections_of_client_max,
            requests_per_second=config.api.requests_per_second,
            requests_burst=config.api.requests_burst,
        )
        events = EventIndex(self._stores.state.index_scan)
        self._interfaces = HttpInterfaces(
            Api(self.site, events, home.root, metrics, settings, now_ms=self._clock.wall_ms)
        )

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; raises what made the node fail."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await self._interfaces.start(
            Listen(*parse_address(self._config.api.listen)), Listen(*parse_address(self._config.admin.listen))
        )
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
        work = [
            asyncio.create_task(coroutine, name=name)
            for name, coroutine in {
                "driver": self._take_part(),
                "intake": self._exchange.intake.run(),
                "gossip": self._exchange.run_gossip(),
                "catch-up": self._catch_up.run(),
                "network": self._network.wait(),
                "space": self._watch_space(),
                "stop": stopping.wait(),
            }.items()
        ]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except BaseExceptionGroup as group:
            LOG.critical("failed", exc_info=group)
            raise _first(group) from group
        finally:
            await self._stop(work)

    async def _stop(self, work: Sequence[asyncio.Task[Any]]) -> None:
        log(LOG, logging.INFO, "stopping", node=self.site.name)
        await self._interfaces.stop()
        await self._network.stop()
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    def close(self) -> None:
        """Let go of the files."""
        self._disk.close()
        self._log.close()
        self._stores.close()

    # --- joints -----------------------------------------------------------------

    async def _take_part(self) -> None:
        """Consensus, once the blocks are here that were final here before."""
        if self._lost is not None:
            await self._catch_up.regain(self._lost)
            self._lost.forget_if_regained(self._stores.blocks)
        await self._driver.run(self._started())

    def _started(self) -> Started:
        tip = self._executor.committed
        return Started(
            self._clock.wall_ms(), tip.header, finalization_of_head(self._stores), self._log.records
        )

    async def _on_commit(self, of: BlockId) -> None:
        tip = self._executor.committed
        receipts = self._stores.blocks.receipts(Height(tip.header.height)) or ()
        ids = [TxId(receipt.transaction_id) for receipt in receipts]
        self._exchange.gossip.forget(ids)
        self.site.committed(ids)
        self._metrics.observe_block(tip.header, self._clock.wall_ms())
        nodes = nodes_in_force(tip.world)
        self._roster.update(tip.validators, nodes)
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

    async def _watch_space(self) -> None:
        while True:
            self.site.space = judge_space(read_space(self._home.data), self._limits)
            if self.site.space is SpaceVerdict.STOP_VOTING:
                self._driver.pause()
            else:
                self._driver.resume()
            await asyncio.sleep(SPACE_SECONDS)


def _own_record(config: Config, nodes: Sequence[Node], identity: NodeIdentity) -> Node:
    """This node as the chain lists it, or, before its organisation has registered it, as it will be."""
    for node in nodes:
        if node.public_key == identity.public_key:
            return node
    return Node(
        public_key=identity.public_key,
        organisation="unregistered",
        name=config.name,
        role=NodeRole.OBSERVER,
        certificate=identity.certificate,
        addresses=(),
    )


def _signer(home: Home, tip: Tip, chain: ChainId) -> Signer | None:
    """The signer, where this home holds the key of a validator of the set."""
    if not (home.keys / KeyName.VALIDATOR.value).exists():
        return None
    key = read_key(home.keys, KeyName.VALIDATOR)
    if tip.validators.index_of(key.public) is None:
        return None
    return Signer(chain, key, host_generation(home))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain exception of a group: what a person should read."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner
