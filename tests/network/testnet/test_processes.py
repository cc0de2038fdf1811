"""Processes are recognised by number and start, signalled only if they are ours, and ended for certain."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from network.testnet.plan import is_port_free
from network.testnet.processes import (
    RECORD_FILE,
    ProcessRecord,
    ProcessState,
    find_process,
    kill_process,
    send_signal,
    start_process,
    state_of,
    stop_processes,
)
from network.testnet.testnet import node_environment

WAITER = "import signal; print('ready', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True)\n"
    "while True: signal.pause()"
)

HALF_GONE = """
import ctypes, platform, socket, threading, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
threading.Thread(target=time.sleep, args=(600,)).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)  # this thread alone ends
"""


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], ProcessRecord]]:
    started: list[ProcessRecord] = []

    def begin(program: str) -> ProcessRecord:
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        record = start_process(tmp_path, (sys.executable, "-c", program), log, os.environ)
        started.append(record)
        until(lambda: "ready" in log.read_text())
        return record

    yield begin
    for record in started:
        kill_process(record)


def test_states(start: Callable[[str], ProcessRecord], tmp_path: Path) -> None:
    """A process runs, halts, goes on and ends, and each is seen by a program that did not start it."""
    record = start(WAITER)
    assert find_process(tmp_path) == record
    assert state_of(record) is ProcessState.RUNNING
    assert send_signal(record, signal.SIGSTOP)
    until(lambda: state_of(record) is ProcessState.PAUSED)
    assert send_signal(record, signal.SIGCONT)
    until(lambda: state_of(record) is ProcessState.RUNNING)
    kill_process(record)
    assert state_of(record) is ProcessState.STOPPED
    assert find_process(tmp_path) is None


def test_clean_stop(start: Callable[[str], ProcessRecord]) -> None:
    """A process that heeds SIGTERM is not killed, even where it was halted."""
    record = start(WAITER)
    send_signal(record, signal.SIGSTOP)
    assert stop_processes([record]) == []
    assert state_of(record) is ProcessState.STOPPED


def test_stubborn_process_is_killed(
    start: Callable[[str], ProcessRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that does not heed SIGTERM in time is killed, and named."""
    monkeypatch.setattr("network.testnet.processes.STOP_SECONDS", 0.3)
    record = start(STUBBORN)
    assert stop_processes([record]) == [record]
    assert state_of(record) is ProcessState.STOPPED


@pytest.mark.parametrize("changed", ["started", "boot_id"])
def test_a_number_that_was_given_to_another(
    start: Callable[[str], ProcessRecord], tmp_path: Path, changed: str
) -> None:
    """A process with the recorded number and another start, or of another boot, is never signalled."""
    record = start(WAITER)
    other = msgspec.structs.replace(record, **{changed: record.started + 1 if changed == "started" else "x"})
    (tmp_path / RECORD_FILE).write_bytes(msgspec.json.encode(other))
    assert find_process(tmp_path) is None
    assert not send_signal(other, signal.SIGKILL)
    assert stop_processes([other]) == []
    assert state_of(record) is ProcessState.RUNNING


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff"])
def test_damaged_record(tmp_path: Path, content: bytes) -> None:
    """A record that cannot be read stands for no process."""
    (tmp_path / RECORD_FILE).write_bytes(content)
    assert find_process(tmp_path) is None


def test_environment_of_a_node() -> None:
    """Faults reach a node; a setting that would bend every node the same way, and profiles, do not."""
    given = {
        "PATH": "/bin", "FARMGATE_FAILPOINT": "x", "FARMGATE_CLOCK_OFFSET_MS": "5",
        "FARMGATE_API_LISTEN": "0.0.0.0:1", "FARMGATE_PROFILE": "x",
    }  # fmt: skip
    kept = node_environment(given)
    assert {"PATH", "FARMGATE_FAILPOINT", "FARMGATE_CLOCK_OFFSET_MS"} <= set(kept)
    assert not {"FARMGATE_API_LISTEN", "FARMGATE_PROFILE"} & set(kept)


def test_a_process_whose_first_thread_has_ended_still_holds_its_ports(
    start: Callable[[str], ProcessRecord], tmp_path: Path
) -> None:
    """Killed threads end one after the other: it is stopped when the last one is gone, and its port free."""
    record = start(HALF_GONE)
    port = int((tmp_path / "log").read_text().split()[0])
    stat = Path(f"/proc/{record.pid}/stat")
    until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "Z")
    assert state_of(record) is ProcessState.RUNNING
    assert not is_port_free(port)
    kill_process(record)
    assert state_of(record) is ProcessState.STOPPED
    assert is_port_free(port)
