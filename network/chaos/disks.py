"""Disks that fail while a node writes: full, read-only, with a sync that fails, or with slow ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from network.chaos.cluster import Start, until
from network.chaos.sandbox import Need
from network.chaos.scenario import Scenario
from network.chaos.stage import LEADER, OBSERVER, RECOVERY_SECONDS, VALIDATOR, Stage
from network.chaos.volumes import ImageVolume, MemoryVolume
from network.testnet.found import VOTE_BYTES_MIN
from node.home import Home
from node.store.failure import EXIT_STORE_FAILED
from node.store.stores import BLOCKS_FOLDER, STATE_FOLDER

VOLUME_BYTES: Final = 48 << 20
GUARDED_BYTES: Final = VOTE_BYTES_MIN + (96 << 20)  # a disk that has room above the guard's limit
STARTS_WHEN_FULL: Final = 2
SYNCS_BEFORE: Final = 25  # of a node that starts: so it fails while the node takes part
SLOW_SYNC_MICROSECONDS: Final = 300_000


def blocks_of(home: Home) -> Path:
    """Where final blocks lie."""
    return home.data / BLOCKS_FOLDER


def log_folder_of(home: Home) -> Path:
    """Where the consensus log lies."""
    return home.consensus_log.parent


def state_of(home: Home) -> Path:
    """Where the state lies."""
    return home.data / STATE_FOLDER


def data_of(home: Home) -> Path:
    """Where all of it lies."""
    return home.data


def play_full(
    name: str, stage: Stage, folder_of: Callable[[Home], Path], volume_bytes: int = VOLUME_BYTES
) -> None:
    """The disk fills up under a node: it ends at the first failed write; a supervisor that starts it again at
    once finds the same; and with room again it starts."""
    stage.stop(name)
    with closing(MemoryVolume(folder_of(stage.home(name)), volume_bytes)) as volume:
        stage.start(name)
        stage.catches_up(name)
        stage.goes_on()
        volume.fill()
        stage.hurt("disk full")
        stage.ends_saying(name, EXIT_STORE_FAILED, "store_failed", "ENOSPC", "free space")
        stage.goes_on()
        for _ in range(STARTS_WHEN_FULL):
            stage.cluster.start(name)
            stage.ends_saying(name, EXIT_STORE_FAILED, "ENOSPC", "free space")
        volume.free()
        stage.start(name)
        stage.catches_up(name)
        stage.stop(name)
    stage.start(name)


def play_read_only(stage: Stage) -> None:
    """The file system of the consensus log turns read-only: the node ends, and starts when it is mended."""
    stage.stop(LEADER)
    with closing(ImageVolume(log_folder_of(stage.home(LEADER)))) as volume:
        stage.start(LEADER)
        stage.catches_up(LEADER)
        stage.goes_on()
        volume.turn_read_only()
        stage.hurt("read-only")
        stage.ends_saying(LEADER, EXIT_STORE_FAILED, "store_failed", "then start the node again")
        stage.goes_on()
        volume.mend()
        stage.start(LEADER)
        stage.catches_up(LEADER)
        stage.stop(LEADER)
    stage.start(LEADER)


def play_sync_fails(name: str, stage: Stage) -> None:
    """One fsync fails with EIO: what was written may be there or not, so the node ends and reads what is."""
    syncs = SYNCS_BEFORE + stage.chance.randint(0, SYNCS_BEFORE)
    stage.stop(name)
    stage.cluster.start(name, Start(prefix=_traced(f"error=EIO:when={syncs}")))
    stage.ends_saying(name, EXIT_STORE_FAILED, "store_failed", "EIO", "check the disk")
    stage.hurt(f"sync {syncs} failed")
    stage.goes_on()
    stage.start(name)
    stage.catches_up(name)


def play_slow(stage: Stage) -> None:
    """Every sync of the leader takes 0.3 s longer: slower, and it goes on."""
    stage.restart(LEADER, Start(prefix=_traced(f"delay_enter={SLOW_SYNC_MICROSECONDS}")))
    stage.hurt("slow syncs")
    stage.goes_on()
    stage.rest(stage.seconds)
    stage.kill(LEADER)
    stage.start(LEADER)


def play_low_space(stage: Stage) -> None:
    """Before the disk is full, the guard stops the vote and not the reads; with room again, it votes."""
    stage.stop(VALIDATOR)
    stage.keep_log(VALIDATOR)
    with closing(MemoryVolume(stage.home(VALIDATOR).data, GUARDED_BYTES)) as volume:
        stage.start(VALIDATOR)
        stage.votes(VALIDATOR)  # the folder is another one now, so it was quarantined for a while
        volume.fill(VOTE_BYTES_MIN // 2)
        stage.hurt("little space")

        def is_silent() -> bool:
            status = stage.cluster.status(VALIDATOR)
            return status is not None and not status["is_voting"]

        until(is_silent, RECOVERY_SECONDS, f"{VALIDATOR} went on voting")
        stage.goes_on()
        volume.free()
        stage.votes(VALIDATOR)
        stage.stop(VALIDATOR)
        stage.keep_log(VALIDATOR)
    stage.start(VALIDATOR)


def _traced(injection: str) -> tuple[str, ...]:
    """Under a tracer that lets syncs fail or wait; it goes by itself, so that the node stays our child."""
    calls = "fsync,fdatasync"
    words = f"-D -f -qq --seccomp-bpf -o /dev/null -e trace={calls} -e inject={calls}:{injection}"
    return ("strace", *words.split())


_MEMORY, _LOOP, _STRACE = (Need.TMPFS,), (Need.LOOP,), (Need.STRACE,)
_FULL_BLOCKS = partial(play_full, VALIDATOR, folder_of=blocks_of)
_FULL_LOG = partial(play_full, VALIDATOR, folder_of=log_folder_of)
_FULL_STATE = partial(play_full, VALIDATOR, folder_of=state_of)
# All at once, faster than the guard looks; of an observer, because a validator's folder is no other one's.
_FULL_DATA = partial(play_full, OBSERVER, folder_of=data_of, volume_bytes=GUARDED_BYTES)
_SYNC_OF_LEADER, _SYNC_OF_VALIDATOR = partial(play_sync_fails, LEADER), partial(play_sync_fails, VALIDATOR)

SCENARIOS: Final = (
    Scenario("disks/full-blocks", "no space for blocks: code 75, then well", _FULL_BLOCKS, _MEMORY),
    Scenario("disks/full-log", "no space for the consensus log: code 75, then well", _FULL_LOG, _MEMORY),
    Scenario("disks/full-state", "no space for the state: code 75, then well", _FULL_STATE, _MEMORY),
    Scenario("disks/full-data", "a volume that holds all is full: code 75, then well", _FULL_DATA, _MEMORY),
    Scenario("disks/low-space", "the guard stops the vote before a disk is full", play_low_space, _MEMORY),
    Scenario("disks/read-only", "the leader's disk turns read-only: code 75", play_read_only, _LOOP),
    Scenario("disks/sync-leader", "one fsync of the leader fails: code 75", _SYNC_OF_LEADER, _STRACE),
    Scenario("disks/sync-validator", "one fsync of a validator fails: code 75", _SYNC_OF_VALIDATOR, _STRACE),
    Scenario("disks/slow", "syncs of the leader take 0.3 s longer: blocks go on", play_slow, _STRACE),
)
