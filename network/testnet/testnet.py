"""A local network as a whole: make it, start it, see how it does, take parts of it away, stop it.

Every operation reads what is so now (network.json, the processes) and ends with network.json current, so
that commands can follow each other from different programs. One of them works on a folder at a time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ledger.errors import LedgerError
from network.testnet.found import found_network
from network.testnet.network_file import (
    FILE_NAME,
    NetworkFile,
    NodeEntry,
    read_network_file,
    write_network_file,
)
from network.testnet.plan import Plan, check_port_free, check_ports_free
from network.testnet.probe import ask
from network.testnet.processes import (
    ProcessRecord,
    ProcessState,
    find_process,
    kill_process,
    send_signal,
    start_process,
    state_of,
    stop_processes,
)
from node.clock import VARIABLE as CLOCK_VARIABLE
from node.failpoints import VARIABLE as FAILPOINT_VARIABLE

READY_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05
LOG_TAIL_LINES: Final = 5
LOCK_FILE: Final = ".lock"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class NodeState:
    """How one node does. What only a running node can say is None otherwise; `peers` counts connections."""

    name: str
    state: ProcessState
    height: int | None = None
    block_id: str | None = None
    state_root: str | None = None
    peers: int | None = None
    lag_blocks: int | None = None
    reason: str = ""


class Testnet:
    """The network in one folder."""

    __test__ = False  # not a test class, whatever its name looks like

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    # --- as a whole -------------------------------------------------------------

    def exists(self) -> bool:
        """Whether there is a network in the folder."""
        return (self.folder / FILE_NAME).exists()

    def file(self) -> NetworkFile:
        """What network.json says.

        Raises:
            LedgerError: `testnet.missing`, `testnet.damaged`.
        """
        return read_network_file(self.folder)

    def create(self, plan: Plan) -> NetworkFile:
        """Make the homes and the genesis of a new network; nothing runs yet.

        Raises:
            LedgerError: `testnet.folder_in_use`, `testnet.port_taken`.
        """
        with self._alone():
            inside = {path.name for path in self.folder.iterdir()} - {LOCK_FILE}
            if inside:
                raise LedgerError(
                    "testnet.folder_in_use",
                    f"{self.folder} holds other files; name an empty folder or a new one with --dir",
                )
            check_ports_free(plan)
            try:
                return found_network(plan, time.time_ns() // 1_000_000)
            except BaseException:
                self._empty()
                raise

    def remove(self) -> None:
        """Stop the network and delete its folder's content. Does nothing where there is no network.

        Raises:
            LedgerError: `testnet.damaged`.
        """
        if not self.exists():
            return
        self.stop()
        with self._alone():
            self._empty()

    def start(self, report: Report = lambda line: None) -> NetworkFile:
        """Start every node that does not run, and wait until the network can agree on blocks.

        Raises:
            LedgerError: `testnet.port_taken`, `testnet.not_started` (with the end of the log).
        """
        started = [entry.name for entry in self.file().nodes if self._start(entry.name)]
        if started:
            report(f"started {', '.join(started)}")
        self.wait_ready()
        return self.file()

    def stop(self) -> list[str]:
        """Stop every node cleanly; those that took longer than five seconds are killed and named."""
        with self._alone():
            network = self.file()
            found = {entry.name: find_process(Path(entry.home)) for entry in network.nodes}
            running = {name: record for name, record in found.items() if record is not None}
            killed = stop_processes(list(running.values()))
            for name in found:
                network = network.with_pid(name, None)
            write_network_file(self.folder, network)
        return [name for name, record in running.items() if record in killed]

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when every running node answers and is connected to a quorum.

        Raises:
            LedgerError: `testnet.not_started` for a node that ended or said nothing in time.
        """
        end = time.monotonic() + seconds
        waiting = list(self.file().nodes)
        while waiting:
            waiting = [entry for entry in waiting if not self._is_ready(entry)]
            if waiting and time.monotonic() >= end:
                entry = waiting[0]
                said = ask(entry.admin, "/readyz")
                reason = said[1].get("reason", "") if said else "it does not answer"
                raise _not_started(entry, f"not ready after {seconds:.0f} s: {reason}")
            if waiting:
                time.sleep(POLL_SECONDS)

    def status(self) -> list[NodeState]:
        """How every node does, asked at the same time."""
        entries = self.file().nodes
        with ThreadPoolExecutor(max_workers=len(entries)) as pool:
            return list(pool.map(_node_state, entries))

    # --- one node ---------------------------------------------------------------

    def start_node(self, name: str) -> bool:
        """Start a node; answers False where it runs already.

        Raises:
            LedgerError: `testnet.unknown_node`, `testnet.not_started`.
        """
        self.file().node(name)
        if not self._start(name):
            return False
        entry = self.file().node(name)
        end = time.monotonic() + READY_SECONDS
        while ask(entry.admin, "/healthz") is None:
            self._check_alive(entry)
            if time.monotonic() >= end:
                raise _not_started(entry, f"it does not answer after {READY_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
        return True

    def kill_node(self, name: str) -> None:
        """End a node at once with SIGKILL.

        Raises:
            LedgerError: `testnet.unknown_node`, `testnet.not_running`.
        """
        with self._alone():
            record = self._running(name)
            kill_process(record)
            write_network_file(self.folder, self.file().with_pid(name, None))

    def pause_node(self, name: str) -> None:
        """Halt a node with SIGSTOP: it keeps its connections and says nothing.

        Raises:
            LedgerError: `testnet.unknown_node`, `testnet.not_running`.
        """
        send_signal(self._running(name), signal.SIGSTOP)

    def resume_node(self, name: str) -> None:
        """Let a halted node go on.

        Raises:
            LedgerError: `testnet.unknown_node`, `testnet.not_running`.
        """
        send_signal(self._running(name), signal.SIGCONT)

    # --- inside -----------------------------------------------------------------

    def _start(self, name: str) -> bool:
        with self._alone():
            network = self.file()
            entry = network.node(name)
            found = find_process(Path(entry.home))
            is_new = found is None
            record = found or self._spawn(entry)
            if is_new or entry.pid != record.pid:
                write_network_file(self.folder, network.with_pid(name, record.pid))
            return is_new

    def _spawn(self, entry: NodeEntry) -> ProcessRecord:
        home = Path(entry.home)
        for address in (
            urlsplit(entry.api).port,
            urlsplit(entry.admin).port,
            int(entry.p2p.rpartition(":")[2]),
        ):
            check_port_free(address or 0, entry.name)
        command = (*node_command(), "run", "--home", str(home))
        return start_process(home, command, Path(entry.log), node_environment(os.environ))

    def _running(self, name: str) -> ProcessRecord:
        entry = self.file().node(name)
        record = find_process(Path(entry.home))
        if record is None:
            raise LedgerError("testnet.not_running", f"{name} does not run; `farmgate testnet start {name}`")
        return record

    def _is_ready(self, entry: NodeEntry) -> bool:
        record = find_process(Path(entry.home))
        if state_of(record) is ProcessState.PAUSED:
            return True  # somebody wants it so
        self._check_alive(entry)
        said = ask(entry.admin, "/readyz")
        return said is not None and said[0] == 200

    def _check_alive(self, entry: NodeEntry) -> None:
        if find_process(Path(entry.home)) is None:
            raise _not_started(entry, "the process ended")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let two commands on one folder work one after the other."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _empty(self) -> None:
        """Delete what a network consists of, and nothing else."""
        (self.folder / FILE_NAME).unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path.is_dir() and (path.name == "profiles" or path.name.startswith("node-")):
                shutil.rmtree(path)
            elif path.name == "genesis.json":
                path.unlink()


def node_command() -> Sequence[str]:
    """How a node is started: the command `ledger-node` beside this Python, which is the same code."""
    installed = Path(sys.executable).parent / "ledger-node"
    found = str(installed) if installed.exists() else shutil.which("ledger-node")
    if found is None:
        raise LedgerError("testnet.no_command", "the command ledger-node is not installed beside this Python")
    return (found,)


def node_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for a node: a setting in FARMGATE_* meant for one would bend all, so only faults pass."""
    passed = (FAILPOINT_VARIABLE, CLOCK_VARIABLE)
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("FARMGATE_") or name in passed
    }
    return kept | {"PYTHONUNBUFFERED": "1"}


def _node_state(entry: NodeEntry) -> NodeState:
    state = state_of(find_process(Path(entry.home)))
    if state is not ProcessState.RUNNING:
        return NodeState(entry.name, state)
    said = ask(entry.api, "/v1/status")
    if said is None or said[0] != 200:
        return NodeState(entry.name, state, reason="it runs and does not answer")
    status: dict[str, Any] = said[1]
    return NodeState(
        name=entry.name,
        state=state,
        height=status["height"],
        block_id=status["block_id"],
        state_root=status["state_root"],
        peers=sum(1 for peer in status["peers"] if peer["connected"]),
        lag_blocks=status["lag_blocks"],
        reason=status.get("reason", ""),
    )


def _not_started(entry: NodeEntry, why: str) -> LedgerError:
    try:
        lines = Path(entry.log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    tail = "".join(f"\n    {line[:500]}" for line in lines[-LOG_TAIL_LINES:])
    return LedgerError("testnet.not_started", f"{entry.name}: {why}; the end of {entry.log}:{tail}")
