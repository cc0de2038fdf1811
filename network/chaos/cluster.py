"""The node processes of one network: started where the wire wants them, ended as a scenario wants, watched.

A process is a child of this one, so its exit code is known; one that ends without being asked to is noticed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any, Final

from ledger.errors import LedgerError
from ledger.evidence import Offence
from ledger.genesis import Genesis
from network.chaos.wire import Wire
from network.testnet.found import found_network
from network.testnet.plan import Plan, PlannedNode
from network.testnet.probe import ask
from network.testnet.testnet import node_command, node_environment
from node.clock import VARIABLE as CLOCK_VARIABLE
from node.failpoints import VARIABLE as FAILPOINT_VARIABLE
from node.genesis_file import read_genesis
from node.home import Home

POLL_SECONDS: Final = 0.1  # what is asked costs the nodes time, too
END_SECONDS: Final = 20.0  # how long a killed process may take to be gone
LOG_BYTES_MAX: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Start:
    """How a node is started.

    prefix: a command that starts the node's own command, such as a tracer.
    lie: what its key signs against the rules in this process.
    """

    failpoint: str = ""
    clock_offset_ms: int = 0
    prefix: tuple[str, ...] = ()
    lie: Offence | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended: exit code (negative: the signal), and what it wrote since it was started."""

    node: str
    code: int
    said: str


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    log_offset: int


class Cluster:
    """All nodes of one network and what is done to them."""

    def __init__(self, plan: Plan, wire: Wire) -> None:
        self.plan = plan
        self.wire = wire
        self.nodes = {node.name: node for node in plan.nodes}
        self._running: dict[str, _Running] = {}

    @classmethod
    def found(cls, plan: Plan, wire: Wire) -> Cluster:
        """Make the homes of a new network; nothing runs yet."""
        found_network(plan, time.time_ns() // 1_000_000)
        return cls(plan, wire)

    @property
    def names(self) -> tuple[str, ...]:
        """All nodes, validators first."""
        return tuple(self.nodes)

    @property
    def genesis(self) -> Genesis:
        """What the network began with."""
        return read_genesis(self.plan.folder / "genesis.json")

    @property
    def running(self) -> tuple[str, ...]:
        """Nodes that were started and not ended by us, also if they ended by themselves meanwhile."""
        return tuple(name for name in self.nodes if name in self._running)

    def home(self, name: str) -> Home:
        """The home of a node."""
        return Home(self.nodes[name].home)

    # --- processes ----------------------------------------------------------------

    def start(self, name: str, how: Start | None = None) -> None:
        """Start a node; it need not be ready when this returns."""
        assert name not in self._running, f"{name} was started already"
        how = how or Start()
        node = self.nodes[name]
        run = (
            liar_command(node.home, how.lie)
            if how.lie
            else (*node_command(), "run", "--home", str(node.home))
        )
        command = (*self.wire.launcher(name), *how.prefix, *run)
        environment = node_environment({key: os.environ[key] for key in os.environ if "FARMGATE" not in key})
        if how.failpoint:
            environment[FAILPOINT_VARIABLE] = how.failpoint
        if how.clock_offset_ms:
            environment[CLOCK_VARIABLE] = str(how.clock_offset_ms)
        path = self.log_path(name)
        offset = path.stat().st_size if path.exists() else 0
        with path.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  # our own command
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        self._running[name] = _Running(process, offset)

    def start_second(self, name: str, seconds: float) -> Ended:
        """Start another process on the home of a node that runs, and wait for its end.

        Raises:
            LedgerError: `chaos.late`; it is killed then.
        """
        command = (*self.wire.launcher(name), *node_command(), "run", "--home", str(self.nodes[name].home))
        try:
            done = subprocess.run(  # noqa: S603  # our own command
                command, capture_output=True, text=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            raise LedgerError("chaos.late", f"a second {name} did not end in {seconds:.0f} s") from None
        return Ended(name, done.returncode, done.stderr)

    def wait_answers(self, names: Sequence[str], seconds: float) -> None:
        """Wait until these nodes answer on their admin port.

        Raises:
            LedgerError: `chaos.late`, or `chaos.ended` where one ends instead.
        """

        def answering() -> bool:
            self.check_alive()
            return all(ask(f"http://{self.nodes[name].admin}", "/healthz") is not None for name in names)

        until(answering, seconds, f"{', '.join(names)} did not answer")

    def send_signal(self, name: str, number: Signals) -> None:
        """Send a signal to a node that is its own business, such as SIGSTOP."""
        self._running[name].process.send_signal(number)

    def kill(self, name: str) -> Ended:
        """End a node at once, as a power cut would."""
        return self._end(name, Signals.SIGKILL, END_SECONDS)

    def stop(self, name: str, seconds: float) -> Ended:
        """Ask a node to stop, and wait.

        Raises:
            LedgerError: `chaos.late`; it is killed then.
        """
        return self._end(name, Signals.SIGTERM, seconds)

    def wait_ended(self, name: str, seconds: float) -> Ended:
        """Wait until a node ends by itself.

        Raises:
            LedgerError: `chaos.late`; it goes on then.
        """
        running = self._running[name]
        until(lambda: running.process.poll() is not None, seconds, f"{name} did not end by itself")
        del self._running[name]
        return Ended(name, running.process.returncode, self._said(name, running.log_offset))

    def check_alive(self) -> None:
        """Refuse a process that ended without being asked to.

        Raises:
            LedgerError: `chaos.ended`.
        """
        for name, running in list(self._running.items()):
            code = running.process.poll()
            if code is not None:
                del self._running[name]
                lines = self._said(name, running.log_offset).strip().splitlines()[-5:]
                raise LedgerError(
                    "chaos.ended", f"{name} ended by itself with code {code}: " + " | ".join(lines)
                )

    def is_running(self, name: str) -> bool:
        """Whether a node that was started still lives."""
        return name in self._running and self._running[name].process.poll() is None

    def pid(self, name: str) -> int:
        """The process of a running node."""
        return self._running[name].process.pid

    def kill_all(self) -> None:
        """End whatever runs, at once."""
        for name in list(self._running):
            self.kill(name)

    def _end(self, name: str, number: Signals, seconds: float) -> Ended:
        running = self._running.pop(name)
        running.process.send_signal(number)
        try:
            running.process.wait(seconds)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait(END_SECONDS)
            raise LedgerError("chaos.late", f"{name} did not end within {seconds:.0f} s") from None
        return Ended(name, running.process.returncode, self._said(name, running.log_offset))

    # --- what they say ------------------------------------------------------------

    def status(self, name: str) -> dict[str, Any] | None:
        """What a node says of itself, or None where it does not answer."""
        said = ask(f"http://{self.nodes[name].api}", "/v1/status")
        return said[1] if said is not None and said[0] == 200 else None

    def log_path(self, name: str) -> Path:
        """What a node writes. It lies beside the home: a home may be on a disk that is full."""
        return self.plan.folder / f"{name}.log"

    def said(self, name: str) -> str:
        """All that the running process of a node wrote."""
        return self._said(name, self._running[name].log_offset)

    def log(self, name: str) -> str:
        """All that a node ever wrote."""
        return self._said(name, 0)

    def _said(self, name: str, offset: int) -> str:
        with self.log_path(name).open("rb") as file:
            file.seek(offset)
            return file.read(LOG_BYTES_MAX).decode("utf-8", "replace")


def until(holds: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Poll until something holds.

    Raises:
        LedgerError: `chaos.late`.
    """
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= end:
            raise LedgerError("chaos.late", f"{otherwise} within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def liar_command(home: Path, lie: Offence, *, is_apart: bool = False) -> tuple[str, ...]:
    """How a validator is started that lies, apart: to each half of the others another statement."""
    command = (sys.executable, "-m", "network.chaos.liar", "--home", str(home), "--lie", lie.value)
    return (*command, "--apart") if is_apart else command


def is_validator(node: PlannedNode) -> bool:
    """Whether a node has stake."""
    return node.role.value == "validator"
