"""What `ledger-node doctor` says of states that were brought about: links, clocks, disks, stores."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from ledger.consensus.timeouts import ConsensusParameters
from ledger.crypto import key_pair
from ledger.genesis import Parameters, StakingParameters, chain_id
from network.chaos.cluster import Cluster, Start
from network.chaos.damage import flip
from network.chaos.history import History
from network.chaos.load import Load
from network.chaos.proxies import ProxyWire
from network.chaos.stage import Stage, targets_of
from network.chaos.wire import part
from network.testnet.members import ORGANISATIONS
from network.testnet.testnet import node_command, node_environment
from node.clock import VARIABLE as CLOCK_VARIABLE
from node.founding import found_data
from node.genesis_file import read_genesis, write_genesis
from node.keys import KeyName, read_key, read_seed
from node.store.failure import EXIT_STORE_FAILED

pytestmark = pytest.mark.e2e

ANNA, BERT, CARL, DORA, EYE = (f"node-{index}" for index in range(5))  # the last is an observer
LATE_MS, EARLY_MS = -40_000, 40_000
SAYS_SECONDS = 60.0
FILE_BLOCKS = 40  # of 512 bytes: what a node may write into one file
SLOW_KILOBITS = 250
MISSED_BLOCKS = 300
PATIENT = Parameters(staking=StakingParameters(attendance_min_permille=0))
STRICT = Parameters(
    consensus=ConsensusParameters(epoch_blocks=20), staking=StakingParameters(absence_epochs=1)
)


@contextmanager
def played(folder: Path, parameters: Parameters) -> Iterator[Stage]:
    """Four validators and an observer behind relays, under load."""
    wire = ProxyWire(1)
    plan = replace(wire.plan(folder, 4, 1, {}), parameters=parameters)
    wire.open()
    cluster, history = Cluster.found(plan, wire), History()
    key = key_pair(read_seed(folder / "profiles" / "keys" / f"{ORGANISATIONS[0].id}.key"))
    load = Load(targets_of(cluster), chain_id(cluster.genesis), key, history, 1)
    stage = Stage(cluster, wire, load, history, random.Random(1), 1, {})
    try:
        stage.start_many(cluster.names)
        load.start()
        stage.goes_on()
        yield stage
    finally:
        load.stop()
        cluster.kill_all()
        wire.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One network for this module; each test leaves it whole."""
    with played(tmp_path_factory.mktemp("states") / "net", PATIENT) as made:
        yield made


def sentence(stage: Stage, name: str, offset_ms: int = 0) -> tuple[int, str]:
    """Exit code and sentence of the doctor on a node's host, whose clock may be wrong."""
    clock = {CLOCK_VARIABLE: str(offset_ms)} if offset_ms else {}
    done = subprocess.run(
        [*node_command(), "doctor", "--home", str(stage.home(name).root), "--json"],
        env=node_environment(os.environ) | clock,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = json.loads(done.stdout)
    assert said["healthy"] is (done.returncode == 0)
    assert "\n" not in said["sentence"]
    return done.returncode, said["sentence"]


def says(stage: Stage, name: str, *words: str, code: int = 1, offset_ms: int = 0) -> str:
    """The doctor comes to say all of this; what it says then."""
    end = time.monotonic() + SAYS_SECONDS
    while True:
        found, said = sentence(stage, name, offset_ms)
        if found == code and all(word in said for word in words):
            return said
        assert time.monotonic() < end, f"{found}: {said}"


def is_well(stage: Stage, *names: str) -> None:
    """They catch up, vote, and their doctors say that nothing is wrong."""
    stage.catches_up(*names)
    stage.votes(*(name for name in names if name in stage.validators))
    for name in names:
        says(stage, name, "nothing is wrong", code=0)


def test_a_partition_from_both_sides(stage: Stage) -> None:
    """One alone names all others; those who go on are well; two and two name each other."""
    part(stage.wire, ((ANNA, BERT, CARL, EYE), (DORA,)))
    says(stage, DORA, "connected to 100 of 400 units of stake, 267 are needed", ANNA, BERT, CARL)
    says(stage, ANNA, "nothing is wrong: this node takes part and the chain advances", code=0)
    stage.wire.heal()
    is_well(stage, DORA)
    part(stage.wire, ((ANNA, BERT, EYE), (CARL, DORA)))
    for name in (ANNA, EYE):
        says(
            stage,
            name,
            "no block can become final: connected to 200 of 400",
            f"missing: {CARL} (100), {DORA}",
        )
    says(stage, DORA, "no block can become final: connected to 200 of 400", f"missing: {ANNA} (100), {BERT}")
    stage.wire.heal()
    stage.goes_on()
    is_well(stage, CARL, EYE)


def test_a_wrong_clock(stage: Stage) -> None:
    """The host whose clock is wrong is told so, early or late, and the others are told whose block waits."""
    stage.restart(ANNA, Start(clock_offset_ms=LATE_MS))
    stage.goes_on()
    said = says(stage, ANNA, "this host's clock is at least", "s late: set it by NTP", offset_ms=LATE_MS)
    assert re.search(r"least (3\d|40)\.\d s late", said)
    stage.restart(ANNA, Start(clock_offset_ms=EARLY_MS))
    stage.goes_on()
    says(stage, ANNA, "this host's clock is at least", "s early: set it by NTP", offset_ms=EARLY_MS)
    says(stage, BERT, f"the block that {ANNA} proposes is", "ahead of this host's clock", "set it by NTP")
    stage.restart(ANNA)
    is_well(stage, ANNA)


def test_a_disk_without_room(stage: Stage) -> None:
    """Below the guard's limit the running node does not vote, and the stopped one is no better."""
    settings = stage.home(DORA).settings
    kept = settings.read_text()
    stage.stop(DORA)
    settings.write_text(re.sub(r"vote_bytes_min = \d+", f"vote_bytes_min = {1 << 50}", kept))
    says(stage, DORA, "the node does not run, and its disk is nearly full", "free space at")
    stage.start(DORA)
    says(stage, DORA, "the disk is nearly full, so this node does not vote: free space at")
    settings.write_text(kept)
    stage.restart(DORA)
    is_well(stage, DORA)


def test_a_failed_write(stage: Stage) -> None:
    """What the first failed write said is there when the process is gone, and what to do about it."""
    stage.stop(EYE)
    limited = ("sh", "-c", f'ulimit -f {FILE_BLOCKS}; exec "$@"', "limited")
    stage.cluster.start(EYE, Start(prefix=limited))
    stage.ends(EYE, EXIT_STORE_FAILED)
    says(
        stage,
        EYE,
        "the node stopped itself: store.failed in",
        "EFBIG",
        "ulimit -f",
        "then start the node again",
    )
    stage.start(EYE)
    is_well(stage, EYE)


def test_a_damaged_store(stage: Stage) -> None:
    """Refused at the start: which file, where, and the command; in quarantine after that, which ends."""
    stage.stop(DORA)
    flip(stage.home(DORA).consensus_log)
    says(stage, DORA, "the node does not run: ledger-node run")
    stage.refuses_to_open(DORA, "store.corrupted")
    says(
        stage, DORA, "the node stopped itself: store.corrupted", "records.log", "offset", "ledger-node repair"
    )
    stage.repair(DORA)
    stage.start(DORA)
    is_well(stage, DORA)


def test_another_genesis(stage: Stage) -> None:
    """Over data of this chain it is refused; with data of its own its peers are on another chain."""
    home, genesis = stage.home(DORA), stage.home(DORA).genesis.read_bytes()
    other = msgspec.structs.replace(read_genesis(home.genesis), network="another")
    stage.stop(DORA)
    home.genesis.unlink()
    write_genesis(home.genesis, other)
    stage.cluster.start(DORA)
    stage.ends(DORA, 1)
    says(stage, DORA, "the node stopped itself: genesis.mismatch", "the data belongs to chain")
    shutil.move(home.data, home.root / "kept")
    found_data(home, other, read_key(home.keys, KeyName.VALIDATOR).public)
    stage.start(DORA)
    says(stage, DORA, "no peer is on this node's chain", "compare its genesis.json")
    stage.stop(DORA)
    home.genesis.write_bytes(genesis)
    shutil.rmtree(home.data)
    shutil.move(home.root / "kept", home.data)
    stage.start(DORA)
    is_well(stage, DORA)


def test_behind_and_catching_up(stage: Stage) -> None:
    """Blocks come in over narrow lines: no fault, and how long it takes."""
    stage.kill(DORA)
    stage.goes_on(MISSED_BLOCKS, 120.0)
    for name in (ANNA, BERT, CARL, EYE):
        stage.wire.slow(name, SLOW_KILOBITS)
    stage.start(DORA)
    says(stage, DORA, "this node is behind and catching up", "blocks are left", code=0)
    stage.wire.heal()
    is_well(stage, DORA)


def test_a_jailed_validator(tmp_path: Path) -> None:
    """Absent for an epoch where that is enough: from when on its organisation may ask, and with what."""
    with played(tmp_path / "net", STRICT) as stage:
        stage.kill(DORA)
        stage.goes_on(100, 120.0)
        stage.start(DORA)
        says(stage, DORA, "is jailed: from epoch", "farmgate validator unjail")
