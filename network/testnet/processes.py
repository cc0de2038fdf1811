"""Processes that this program started, recognised again by a later one, and told to end, halt or go on.

A process is known by its number and the tick of its start, so that a number which the system gave to
somebody else meanwhile is never signalled. The record lies beside the node's home.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from node.store.disk import LocalDisk, replace_file

RECORD_FILE: Final = "process.json"
STOP_SECONDS: Final = 5.0  # what a node may take to stop cleanly
KILL_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.02


class ProcessState(Enum):
    """What a node's process does."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"


class ProcessRecord(msgspec.Struct, frozen=True):
    """Which process was started: `started` is in clock ticks since the machine's boot `boot_id`."""

    pid: int
    started: int
    boot_id: str


class _Seen(NamedTuple):
    letter: str
    threads: int
    started: int

    @property
    def has_ended(self) -> bool:
        """The first thread of a killed process is a zombie before the others are gone, and they still hold
        its ports and files."""
        return self.letter in "Xx" or (self.letter == "Z" and self.threads <= 1)


def start_process(
    folder: Path, command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> ProcessRecord:
    """Start a process in a session of its own that writes to `log`, and remember it in `folder`.

    `command` begins with the absolute path of the program.

    Raises:
        OSError
    """
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(  # our own interpreter and arguments, no shell
        command[0],
        list(command),
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), appending, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    seen = _look(pid)
    record = ProcessRecord(pid, seen.started if seen else 0, _boot_id())
    replace_file(LocalDisk(), folder / RECORD_FILE, msgspec.json.encode(record) + b"\n")
    return record


def find_process(folder: Path) -> ProcessRecord | None:
    """The process that was started for this folder and still lives."""
    try:
        record = msgspec.json.decode((folder / RECORD_FILE).read_bytes(), type=ProcessRecord)
    except (OSError, msgspec.MsgspecError):
        return None
    return None if state_of(record) is ProcessState.STOPPED else record


def state_of(record: ProcessRecord | None) -> ProcessState:
    """What a process does now."""
    if record is None or record.boot_id != _boot_id():
        return ProcessState.STOPPED
    _reap(record.pid)
    seen = _look(record.pid)
    if seen is None or seen.started != record.started or seen.has_ended:
        return ProcessState.STOPPED
    return ProcessState.PAUSED if seen.letter in "Tt" else ProcessState.RUNNING


def send_signal(record: ProcessRecord, number: signal.Signals) -> bool:
    """Signal a process if it is still the one that was started; answers whether it was."""
    if state_of(record) is ProcessState.STOPPED:
        return False
    try:
        os.kill(record.pid, number)
    except ProcessLookupError:
        return False
    return True


def stop_processes(records: Sequence[ProcessRecord]) -> list[ProcessRecord]:
    """Ask all to stop, wait, and kill those that did not; answers which were killed."""
    for record in records:
        if send_signal(record, signal.SIGTERM):
            send_signal(record, signal.SIGCONT)  # one that is halted hears SIGTERM only when it goes on
    left = _wait_gone(records, STOP_SECONDS)
    for record in left:
        send_signal(record, signal.SIGKILL)
    _wait_gone(left, KILL_SECONDS)
    return left


def kill_process(record: ProcessRecord) -> None:
    """End a process at once, as a power cut would."""
    send_signal(record, signal.SIGKILL)
    _wait_gone([record], KILL_SECONDS)


def _wait_gone(records: Sequence[ProcessRecord], seconds: float) -> list[ProcessRecord]:
    end = time.monotonic() + seconds
    left = list(records)
    while left:
        left = [record for record in left if state_of(record) is not ProcessState.STOPPED]
        if not left or time.monotonic() >= end:
            break
        time.sleep(POLL_SECONDS)
    return left


def _look(pid: int) -> _Seen | None:
    """State letter and start of a process, from the kernel's table."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return _Seen(fields[0], int(fields[17]), int(fields[19]))


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _reap(pid: int) -> None:
    """Take note of an ended child of ours; a process that is not our child is nobody's business here."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
