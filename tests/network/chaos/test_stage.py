"""What a scenario may demand is demanded: of processes that end, live, speak and count heights."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError
from ledger.types import ChainId
from network.chaos import cluster as processes
from network.chaos import stage as demands
from network.chaos.cluster import Cluster
from network.chaos.crashes import LEADING_TRIES, die_at
from network.chaos.history import History, Operation, Outcome, now
from network.chaos.load import Load
from network.chaos.proxies import ProxyWire
from network.chaos.stage import VALIDATOR, Stage
from node.failpoints import FailPoint
from tests.contracts.chain import key_of

NODE = VALIDATOR
SUICIDE = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
Refused = Callable[[str, Callable[[], object]], str]


class FakeWire:
    """No links at all."""

    kind = "none"
    broken = 0

    def launcher(self, node: str) -> tuple[str, ...]:
        return ()

    def affected(self) -> int:
        return self.broken

    def heal(self) -> None:
        pass


class FakeCluster(Cluster):
    """Processes that run a line of Python instead of a node; heights are what the test says."""

    heights: list[int]

    def status(self, name: str) -> dict[str, Any] | None:
        height = self.heights.pop(0) if len(self.heights) > 1 else self.heights[0]
        return {"height": height, "state_root": "", "is_voting": False, "block_id": ""}


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage on which nothing runs yet."""
    monkeypatch.setattr(demands, "SETTLE_SECONDS", 0.01)
    plan = ProxyWire().plan(tmp_path, 4, 1, {})
    wire = FakeWire()
    cluster = FakeCluster(plan, wire)  # type: ignore[arg-type]  # what is not there is not used
    cluster.heights = [1]
    history = History()
    load = Load((), ChainId(b"c" * 32), key_of("client"), history, 1)
    made = Stage(cluster, wire, load, history, random.Random(1), 0.01, {})  # type: ignore[arg-type]  # as above
    yield made
    cluster.kill_all()


def run(stage: Stage, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Start the fake node as a process of this code."""
    monkeypatch.setattr(processes, "node_command", lambda: (sys.executable, "-c", code))
    stage.cluster.start(NODE)


def refused(code: str, demand: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as found:
        demand()
    assert found.value.code == code
    return found.value.message


def test_exit_code(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exit code other than the one expected is named, with the last lines."""
    run(stage, monkeypatch, "print('all is lost'); raise SystemExit(3)")
    message = refused("chaos.exit_code", lambda: stage.ends(NODE, 75))
    assert "with 3, expected 75" in message
    assert "all is lost" in message
    run(stage, monkeypatch, "raise SystemExit(75)")
    assert stage.ends(NODE, 75).code == 75


@pytest.mark.parametrize(("leaders", "deaths"), [([NODE], 1), (["node-1"] * 10 + [NODE], 3), (["node-1"], 6)])
def test_a_leader_dies_until_it_leads(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, leaders: list[str], deaths: int
) -> None:
    """It dies anew while the others see somebody else lead, and not for ever; anybody else dies once."""
    monkeypatch.setattr(processes, "node_command", lambda: (sys.executable, "-c", SUICIDE))
    shown = list(leaders)

    def status(name: str) -> dict[str, Any]:
        return {"leader": shown.pop(0) if len(shown) > 1 else shown[0]}

    monkeypatch.setattr(stage.cluster, "status", status)
    die_at(stage, FailPoint.AFTER_BLOCK_SAVE, NODE, is_leading=True)
    assert stage.faults == deaths
    assert ("never in a view that it led" in stage.notes[-1]) is (deaths == LEADING_TRIES)
    die_at(stage, FailPoint.AFTER_BLOCK_SAVE, NODE, is_leading=False)
    assert stage.faults == deaths + 1


def test_last_line(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has to be said is said in the last line that this process wrote."""
    code = "import sys; print('disk full: free space'); sys.exit(75)"
    run(stage, monkeypatch, code)
    stage.ends_saying(NODE, 75, "disk full", "free space")
    run(stage, monkeypatch, "import sys; print('oops'); sys.exit(75)")
    assert "'oops'" in refused("chaos.unclear", lambda: stage.ends_saying(NODE, 75, "disk full"))


def test_lives_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that must end and lives is told of; one that must live and ends is, too."""
    run(stage, monkeypatch, "input() if False else __import__('time').sleep(60)")
    refused("chaos.late", lambda: stage.ends(NODE, 0, seconds=0.1))
    stage.rest(0.01)
    stage.cluster.kill(NODE)
    run(stage, monkeypatch, "print('why'); raise SystemExit(9)")
    message = refused("chaos.ended", lambda: stage.rest(20.0))
    assert "code 9: why" in message


def test_stop(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop is clean, or it is told of: another code, or too late, and then it is gone all the same."""
    run(stage, monkeypatch, "__import__('time').sleep(60)")
    assert "-15" in refused("chaos.exit_code", lambda: stage.stop(NODE))
    deaf = "import signal,time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    run(stage, monkeypatch, deaf)
    while "deaf" not in stage.cluster.said(NODE):
        time.sleep(0.01)
    pid = stage.cluster.pid(NODE)
    refused("chaos.late", lambda: stage.stop(NODE, 0.1))
    assert not Path(f"/proc/{pid}").exists()


def test_kill(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process is counted as a fault, and its code is the signal's."""
    run(stage, monkeypatch, "__import__('time').sleep(60)")
    assert stage.cluster.kill(NODE).code == -signal.SIGKILL
    run(stage, monkeypatch, "__import__('time').sleep(60)")
    stage.kill(NODE)
    assert stage.faults == 1
    assert not stage.cluster.is_running(NODE)


def test_goes_on(stage: Stage) -> None:
    """Only what begins and ends after the demand counts as going on."""
    done = [Operation(str(index), NODE, now(), now(), Outcome.FINAL, "accepted", 1, 0) for index in range(9)]
    for each in done:
        stage.history.add(each)
    refused("chaos.late", lambda: stage.goes_on(seconds=0.1))

    def later() -> None:
        for index in range(demands.GOES_ON):
            stage.history.add(Operation(f"x{index}", NODE, now(), now(), Outcome.FINAL, "accepted", 1, 0))

    timer = threading.Timer(0.05, later)
    timer.start()
    stage.goes_on(seconds=20.0)
    timer.join()


def test_stands_still(stage: Stage) -> None:
    """A height that grows where nothing may become final is told of."""
    assert isinstance(stage.cluster, FakeCluster)
    stage.stands_still((NODE,), 0.01)
    stage.cluster.heights = [4, 5]
    assert "{'node-2': 4} to {'node-2': 5}" in refused(
        "chaos.moved", lambda: stage.stands_still((NODE,), 0.01)
    )


def test_catches_up(stage: Stage) -> None:
    """A node that stays below the height that another has is told of."""
    assert isinstance(stage.cluster, FakeCluster)
    stage.cluster.heights = [9, 9, 9, 9, 9, 8]
    refused("chaos.late", lambda: stage.catches_up(NODE, seconds=0.1))
    stage.cluster.heights = [9]
    stage.catches_up(NODE, seconds=20.0)


def test_votes(stage: Stage) -> None:
    """A validator that does not vote is told of."""
    refused("chaos.late", lambda: stage.votes(NODE, seconds=0.1))


def test_nobody_takes_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that takes a transaction and never says that it is final is told of."""
    unsure = Operation("x", NODE, 0.0, 0.0, Outcome.UNKNOWN)
    monkeypatch.setattr(stage.load, "send_to", lambda name, seconds: unsure, raising=False)
    assert NODE in refused("chaos.late", stage.each_takes_one)


def test_fault_that_met_nothing(stage: Stage) -> None:
    """Broken links at which nothing came by prove nothing, and are told of."""
    refused("chaos.unplayable", stage.mend_links)
    assert isinstance(stage.wire, FakeWire)
    stage.wire.broken = 5
    stage.mend_links()
    assert stage.affected == 5
    refused("chaos.unplayable", stage.mend_links)


@pytest.mark.parametrize(
    ("reason", "is_enough"), [("signer.other_host", True), ("signer.listening", False), ("", False)]
)
def test_quarantine(stage: Stage, monkeypatch: pytest.MonkeyPatch, reason: str, is_enough: bool) -> None:
    """A record that must not be trusted leads to a quarantine; that every start listens first is none."""
    line = f"event=signer is_signing=false reason={reason}"
    monkeypatch.setattr(stage.cluster, "wait_answers", lambda names, seconds: None)
    monkeypatch.setattr(Stage, "votes", lambda self, name: None)
    code = f"print({line!r}, flush=True); __import__('time').sleep(60)"
    monkeypatch.setattr(processes, "node_command", lambda: (sys.executable, "-c", code))

    def catches_up(self: Stage, name: str) -> None:
        while "event" not in self.cluster.said(name):
            time.sleep(0.01)

    monkeypatch.setattr(Stage, "catches_up", catches_up)
    if is_enough:
        stage.starts_in_quarantine(NODE)
        assert reason in stage.notes[-1]
    else:
        refused("chaos.votes", lambda: stage.starts_in_quarantine(NODE))
