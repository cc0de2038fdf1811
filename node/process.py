"""The process of one node: its home, this machine's clocks, disk and sockets, signals, and the interfaces.

Order of a start: settings, genesis, lock, stores, keys, the node's parts (`node.assemble`), then the
interfaces, the peer network and consensus. A stop goes the other way, within five seconds.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from ledger.block import Header
from ledger.consensus.signer import SECOND_HOLDER
from ledger.crypto import KeyPair
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id
from ledger.mempool import Mempool
from node import failpoints
from node.api.context import Api
from node.api.context import Settings as ApiSettings
from node.api.metrics import Metrics
from node.api.server import HttpInterfaces, Listen
from node.assemble import Disk, Keys, Options, RunningNode, World
from node.clock import VARIABLE as CLOCK_VARIABLE
from node.clock import SystemClock, clock_offset_ms
from node.config import load_config
from node.driver import NodeHalted
from node.event_index import EventIndex
from node.founding import host_generation
from node.genesis_file import read_genesis
from node.home import Home, HomeLock, SpaceVerdict, judge_space, read_space
from node.keys import KeyName, read_key, read_seed
from node.logging import Form, configure
from node.lost_blocks import open_whole
from node.network_metrics import NetworkCollector
from node.new_home import CERTIFICATE_FILE
from node.p2p.counters import Counters
from node.p2p.identity import load_identity
from node.p2p.tls import Members
from node.p2p.transport import Transport
from node.p2p.websocket import WebSocketTransport
from node.pace import Slices
from node.settings import Config, parse_address
from node.store.disk import LocalDisk
from node.store.failure import EXIT_STORE_FAILED, StoreError, StoreFailed, StoreMismatch, exit_process
from node.store.journal import Journal
from node.store.offload import DiskThread
from node.store.stores import open_stores

SPACE_SECONDS: Final = 5.0
FAILED_EXIT: Final = 1
KEY_IN_USE_EXIT: Final = 78
_TWO_HOMES: Final = (
    "; this home signs no more: find the other, stop one of the two for good, and in the one that stays "
    "run `ledger-node history reset`"
)


Through = Callable[[Transport], Transport]
"""What a harness puts between a node and its wire: faults that no honest process makes."""


def directly(transport: Transport) -> Transport:
    """Nothing stands between: how `ledger-node` runs."""
    return transport


def run_node(home: Path, overrides: Mapping[str, Any], through: Through = directly) -> int:
    """Run the node of a home until it is told to stop; answers the process's exit code.

    Args:
        home: what `ledger-node init` or `join` made.
        overrides: settings by dotted key, as flags gave them.
        through: no command gives another than `directly`.
    """
    try:
        import uvloop  # only a running node needs it

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(Home(home), overrides, through))
    except StoreError as problem:
        said = f"{problem}{_next_step(problem, home)}"
        _leave_word(Home(home), said)
        _say(said)
        return FAILED_EXIT if isinstance(problem, StoreMismatch) else EXIT_STORE_FAILED
    except (LedgerError, NodeHalted, OSError) as problem:
        is_twin = isinstance(problem, NodeHalted) and problem.code == SECOND_HOLDER
        said = f"{problem}{_TWO_HOMES if is_twin else ''}"
        if isinstance(problem, NodeHalted):
            _leave_word(Home(home), said)
        _say(said)
        return KEY_IN_USE_EXIT if is_twin else FAILED_EXIT
    return 0


def _say(why: str) -> None:
    """The last line. Where it can't be written, the log being on a full disk, the exit code still says it."""
    try:
        sys.stderr.write(f"ledger-node: {why}\n")
        sys.stderr.flush()
    except OSError:
        sys.stderr = io.StringIO()  # what is left in the other would make the exit code 120


def _leave_word(home: Home, why: str) -> None:
    """Tell who looks at the stopped node why it stopped; that it stopped matters more."""
    with suppress(OSError):
        home.halted.write_text(f"{why}\n", "utf-8")  # not synced: a disk that fails may let no sync return


def _end(home: Home, failure: StoreFailed) -> None:
    """What the first failed write of a store does."""
    _leave_word(home, str(failure))
    exit_process(failure)


def _next_step(problem: StoreError, home: Path) -> str:
    """What to do about a store that does not open; a failed write has said it already."""
    if isinstance(problem, StoreMismatch | StoreFailed):
        return ""
    return f"; look at the disk, then run `ledger-node repair --home {home}`"


async def _run(home: Home, overrides: Mapping[str, Any], through: Through) -> None:
    config = load_config(home.settings, os.environ, overrides)
    configure(config.log.level, Form(config.log.form))
    genesis = read_genesis(home.genesis)
    failpoints.arm(os.environ.get(failpoints.VARIABLE, ""), is_test_network=genesis.is_test_network)
    with HomeLock(home):
        home.halted.unlink(missing_ok=True)
        node = NodeProcess(home, config, genesis, through)
        try:
            await node.run()
        finally:
            node.close()


class NodeProcess:
    """A node with its home and its interfaces."""

    def __init__(self, home: Home, config: Config, genesis: Genesis, through: Through) -> None:
        self._home = home
        self._config = config
        self._limits = config.space_limits(is_test_network=genesis.is_test_network)
        offset = clock_offset_ms(os.environ.get(CLOCK_VARIABLE, ""), is_test_network=genesis.is_test_network)
        self._clock = SystemClock(offset)
        self._metrics = Metrics()
        self._thread = DiskThread()
        self._disk = _open_disk(home, config, genesis, self._thread)
        keys = _read_keys(home)
        counters = Counters()
        self._metrics.registry.register(NetworkCollector(counters))
        wire = WebSocketTransport(Members(keys.identity, ()), *parse_address(config.p2p.listen), counters)
        self._node = RunningNode(
            genesis,
            keys,
            self._disk,
            World(self._clock, Slices(), through(wire), counters),
            Options(
                config.name,
                config.peers,
                Mempool(config.mempool.transactions_max, config.mempool.bytes_max),
                self._on_block,
            ),
        )
        self._interfaces = HttpInterfaces(self._api())

    def _api(self) -> Api:
        api = self._config.api
        settings = ApiSettings(
            hosts=api.hosts,
            is_read_open=api.is_read_open,
            requests_at_once_max=api.requests_at_once_max,
            connections_max=api.connections_max,
            connections_of_client_max=api.connections_of_client_max,
            requests_per_second=api.requests_per_second,
            requests_burst=api.requests_burst,
        )
        events = EventIndex(self._node.stores.state.index_scan, self._node.stores.state.scan)
        return Api(
            self._node.site, events, self._home.root, self._metrics, settings, now_ms=self._clock.wall_ms
        )

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; raises what made the node fail."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(on_unawaited)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await self._interfaces.start(
            Listen(*parse_address(self._config.api.listen)), Listen(*parse_address(self._config.admin.listen))
        )
        await self._node.start()
        try:
            await self._node.run(space=self._watch_space(), stop=stopping.wait())
        finally:
            await self._interfaces.stop()
            await self._node.stop()

    def close(self) -> None:
        """Let go of the files."""
        self._thread.close()
        self._disk.close()

    def _on_block(self, header: Header) -> None:
        self._metrics.observe_block(header, self._clock.wall_ms())

    async def _watch_space(self) -> None:
        while True:
            self._node.site.space = judge_space(read_space(self._home.data), self._limits)
            if self._node.site.space is SpaceVerdict.STOP_VOTING:
                self._node.pause()
            else:
                self._node.resume()
            await asyncio.sleep(SPACE_SECONDS)


def on_unawaited(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Hear of an exception that nobody waited for. A line that broke while we hung up on it is no news."""
    if isinstance(context.get("exception"), ConnectionError):
        return
    loop.default_exception_handler(context)


def _open_disk(home: Home, config: Config, genesis: Genesis, thread: DiskThread) -> Disk:
    opened = partial(
        open_stores,
        home.data,
        chain_id(genesis),
        sizes=config.level_sizes,
        value_cache_bytes=config.store.value_cache_bytes,
        on_failure=partial(_end, home),
    )
    stores, lost = open_whole(home, genesis, opened)
    journal, entries = Journal.open(LocalDisk(), home.consensus_log, on_failure=partial(_end, home))
    return Disk(stores, journal, entries, thread.run, lost)


def _read_keys(home: Home) -> Keys:
    """The keys of a home; only a validator's and a gateway's may be missing."""

    def optional(name: KeyName) -> KeyPair | None:
        return read_key(home.keys, name) if (home.keys / name.value).exists() else None

    certificate = (home.tls / CERTIFICATE_FILE).read_bytes()
    return Keys(
        load_identity(read_seed(home.keys / KeyName.NODE.value), certificate),
        optional(KeyName.VALIDATOR),
        host_generation(home),
        optional(KeyName.GATEWAY),
    )
