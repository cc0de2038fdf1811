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
from network.chaos.stage import LEADER, RECOVERY_SECONDS, VALIDATOR, Stage
from network.chaos.volumes import ImageVolume, MemoryVolume
from network.testnet.found import VOTE_BYTES_MIN
from node.home import Home
from node.store.failure import EXIT_STORE_FAILED

VOLUME_BYTES: Final = 48 << 20
GUARDED_BYTES: Final = VOTE_BYTES_MIN + (96 << 20)  # a disk that has room above the guard's limit
SYNCS_BEFORE: Final = 25  # of a node that starts: so it fails while the node takes part
SLOW_SYNC_MICROSECONDS: Final = 300_000


def blocks_of(home: Home) -> Path:
    """Where final blocks lie."""
    return home.data / "blocks"


def log_folder_of(home: Home) -> Path:
    """Where the consensus log lies."""
    return home.consensus_log.parent


def play_full(folder_of: Callable[[Home], Path], stage: Stage) -> None:
    """The disk fills up under a node: it ends at the first failed write, and starts when there is room."""
    stage.stop(VALIDATOR)
    with closing(MemoryVolume(folder_of(stage.home(VALIDATOR)), VOLUME_BYTES)) as volume:
        stage.start(VALIDATOR)
        stage.catches_up(VALIDATOR)
        stage.goes_on()
        volume.fill()
        stage.hurt("disk full")
        stage.ends_saying(VALIDATOR, EXIT_STORE_FAILED, "store_failed", "ENOSPC", "free space")
        stage.goes_on()
        volume.free()
        stage.start(VALIDATOR)
        stage.catches_up(VALIDATOR)
        stage.stop(VALIDATOR)
    stage.start(VALIDATOR)


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
_FULL_BLOCKS, _FULL_LOG = partial(play_full, blocks_of), partial(play_full, log_folder_of)
_SYNC_OF_LEADER, _SYNC_OF_VALIDATOR = partial(play_sync_fails, LEADER), partial(play_sync_fails, VALIDATOR)

SCENARIOS: Final = (
    Scenario("disks/full-blocks", "no space for blocks: code 75, then well", _FULL_BLOCKS, _MEMORY),
    Scenario("disks/full-log", "no space for the consensus log: code 75, then well", _FULL_LOG, _MEMORY),
    Scenario("disks/low-space", "the guard stops the vote before a disk is full", play_low_space, _MEMORY),
    Scenario("disks/read-only", "the leader's disk turns read-only: code 75", play_read_only, _LOOP),
    Scenario("disks/sync-leader", "one fsync of the leader fails: code 75", _SYNC_OF_LEADER, _STRACE),
    Scenario("disks/sync-validator", "one fsync of a validator fails: code 75", _SYNC_OF_VALIDATOR, _STRACE),
    Scenario("disks/slow", "syncs of the leader take 0.3 s longer: blocks go on", play_slow, _STRACE),
)
