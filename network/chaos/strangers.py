"""Connections of people who mean no good: noise on every port, and callers that hold a line."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.errors import LedgerError
from network.chaos.scenario import Scenario
from network.chaos.stage import Stage

CALLERS: Final = 6
CALL_SECONDS: Final = 2.0
NOISE_BYTES_MAX: Final = 64 << 10
LINES_OF_A_KIND: Final = 5
HELD_SECONDS: Final = 60.0  # within which a node has to hang up
TRICKLE_SECONDS: Final = 0.5
GROWTH_BYTES_MAX: Final = 256 << 20  # what a node's memory may grow by meanwhile, load included
_TLS_HELLO: Final = bytes.fromhex("160301020001000000") + b"\0" * 24
_OPENINGS: Final = (
    b"",
    _TLS_HELLO,
    b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 32_000,
    b"POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    b"\xff" * 1024,
)
_HEADER_BEGUN: Final = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-A: "
_BODY_BEGUN: Final = (
    b"POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/vnd.farmgate.tx\r\nContent-Length: 1000\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection that is held: where, what it began with, whether bytes trickle in."""

    address: str
    opening: bytes
    trickles: bool


def play_noise(stage: Stage) -> None:
    """Random bytes, half handshakes and impossible requests everywhere: nobody dies, stops or swells."""
    addresses = _addresses(stage)
    before = {name: _memory(stage.cluster.pid(name)) for name in stage.cluster.names}
    calls = _in_threads(lambda chance, stop: _make_noise(addresses, chance, stop), stage, stage.goes_on)
    stage.hurt(f"{calls} calls")
    _check_memory(stage, before)


def play_slow_callers(stage: Stage) -> None:
    """Lines that are held, silent or with a byte now and then: the node hangs up, and serves others."""
    lines = []
    for node in stage.cluster.plan.nodes[:2]:
        lines += [_Line(node.p2p, b"", False), _Line(node.p2p, _TLS_HELLO[:5], True)]
        lines += [_Line(node.api, b"", False), _Line(node.api, _HEADER_BEGUN, True)]
        lines += [_Line(node.api, _BODY_BEGUN, True), _Line(node.admin, _HEADER_BEGUN, True)]
    held = [(line, _held(line)) for line in lines for _ in range(LINES_OF_A_KIND)]
    stage.hurt(f"{len(held)} lines held")
    try:
        stage.goes_on()
        left = _wait_hung_up(held, HELD_SECONDS)
    finally:
        for _, connection in held:
            connection.close()
    if left:
        raise LedgerError(
            "chaos.held",
            f"{len(left)} of {len(held)} lines were still open after {HELD_SECONDS:.0f} s, "
            f"the first at {left[0].address}, begun with {left[0].opening[:40]!r}",
        )


def _addresses(stage: Stage) -> tuple[str, ...]:
    return tuple(each for node in stage.cluster.plan.nodes for each in (node.api, node.admin, node.p2p))


def _in_threads(
    call: Callable[[random.Random, threading.Event], int], stage: Stage, meanwhile: Callable[[], None]
) -> int:
    """Let callers call while `meanwhile` runs and as long as faults are held; how many calls there were."""
    stop = threading.Event()
    made: list[int] = []
    seeds = [stage.chance.random() for _ in range(CALLERS)]
    threads = [
        threading.Thread(target=lambda seed=seed: made.append(call(random.Random(seed), stop)))
        for seed in seeds
    ]
    for thread in threads:
        thread.start()
    try:
        meanwhile()
        stage.rest(stage.seconds)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return sum(made)


def _make_noise(addresses: Sequence[str], chance: random.Random, stop: threading.Event) -> int:
    calls = 0
    while not stop.is_set():
        with suppress(OSError), _connected(chance.choice(addresses)) as connection:
            connection.sendall(chance.choice(_OPENINGS))
            connection.sendall(chance.randbytes(chance.randrange(NOISE_BYTES_MAX)))
            connection.recv(1024)
        calls += 1
    return calls


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=CALL_SECONDS)


def _held(line: _Line) -> socket.socket:
    connection = _connected(line.address)
    with suppress(OSError):
        connection.sendall(line.opening)
    connection.setblocking(False)
    return connection


def _wait_hung_up(held: Sequence[tuple[_Line, socket.socket]], seconds: float) -> list[_Line]:
    """Trickle bytes until every line is closed from the other end or time is up; the lines that are left."""
    end = time.monotonic() + seconds
    left = list(held)
    while left and time.monotonic() < end:
        left = [(line, connection) for line, connection in left if not _is_hung_up(line, connection)]
        time.sleep(TRICKLE_SECONDS)
    return [line for line, _ in left]


def _is_hung_up(line: _Line, connection: socket.socket) -> bool:
    try:
        if line.trickles:
            connection.send(b"a")
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _memory(pid: int) -> int:
    """What a process holds in memory, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    return 0


def _check_memory(stage: Stage, before: dict[str, int]) -> None:
    for name, held in before.items():
        grown = _memory(stage.cluster.pid(name)) - held
        if grown > GROWTH_BYTES_MAX:
            raise LedgerError("chaos.memory", f"{name} grew by {grown >> 20} MiB")


SCENARIOS: Final = (
    Scenario("strangers/noise", "garbage on every port under load: blocks go on", play_noise),
    Scenario("strangers/slow", "lines held open on every port: hung up within a minute", play_slow_callers),
)
