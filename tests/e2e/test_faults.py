"""Faults on real processes, disks and sockets: what was reported final stays, and the chain goes on."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from tests.e2e.cluster import Cluster, running, until

pytestmark = pytest.mark.e2e

SETTLED = {"accepted", "flagged"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One network for this module; each test leaves all four nodes running and equal."""
    folder: Path = tmp_path_factory.mktemp("faults") / "net"
    with running(folder) as found:
        yield found


@pytest.mark.parametrize("victim", range(4))
def test_one_validator_killed(cluster: Cluster, victim: int) -> None:
    """kill -9 of any one validator: blocks go on, it returns and catches up by itself."""
    witness = (victim + 1) % 4
    cluster.testnet.kill_node(f"node-{victim}")
    for _ in range(3):
        assert {each["status"] for each in cluster.send(witness, 20)} <= SETTLED
    cluster.testnet.start_node(f"node-{victim}")
    height = cluster.wait_equal(range(4))
    assert height >= 3


def test_all_killed_at_once(cluster: Cluster) -> None:
    """kill -9 of all four under load: every transaction reported final is there once, roots equal."""
    reported = [
        each["id"] for node in range(4) for each in cluster.send(node, 50) if each["status"] in SETTLED
    ]
    cluster.send(0, 200, wait=0)  # in flight while everything dies
    for node in range(4):
        cluster.testnet.kill_node(f"node-{node}")
    for node in range(4):
        cluster.testnet.start_node(f"node-{node}")
    until(lambda: {each["status"] for each in cluster.send(0, 5)} <= SETTLED, 30)
    cluster.wait_equal(range(4))
    for node in range(4):
        seen = Counter(each["id"] for block in cluster.blocks(node) for each in block["transactions"])
        assert set(reported) <= set(seen)
        assert max(seen.values()) == 1


def test_paused_validator_rejoins(cluster: Cluster) -> None:
    """SIGSTOP of one while the others go on, then SIGCONT: it rejoins."""
    cluster.testnet.pause_node("node-2")
    try:
        for _ in range(6):
            assert {each["status"] for each in cluster.send(0, 20)} <= SETTLED
    finally:
        cluster.testnet.resume_node("node-2")
    cluster.wait_equal(range(4))


def test_two_of_four_stopped(cluster: Cluster) -> None:
    """Two of four stopped: nothing becomes final and reads still answer; back again, it goes on."""
    cluster.wait_equal(range(4))
    before = cluster.status(0)["height"]
    for node in (2, 3):
        cluster.testnet.kill_node(f"node-{node}")
    results = cluster.send(0, 5, wait=3)
    assert {each["status"] for each in results} == {"pending"}
    until(lambda: cluster.status(1)["reason"], 15)
    status = cluster.status(1)
    assert status["height"] == before
    assert "node-2" in status["reason"]
    assert "node-3" in status["reason"]
    for node in (2, 3):
        cluster.testnet.start_node(f"node-{node}")
    until(lambda: cluster.get(0, f"/v1/transactions/{results[0]['id']}")["status"] in SETTLED, 20)
    cluster.wait_equal(range(4))


def started(cluster: Cluster, node: str) -> bool:
    """Start a node whose ports the system may still hold for the process that was killed."""
    try:
        cluster.testnet.start_node(node)
    except LedgerError as refusal:
        if refusal.code != "testnet.port_taken":
            raise
        return False
    return True


def is_ready(cluster: Cluster, node: int) -> bool:
    """Whether a node says that it should be asked."""
    try:
        with urllib.request.urlopen(
            f"{cluster.testnet.file().nodes[node].admin}/readyz", timeout=10
        ) as answer:
            return bool(json.load(answer)["ready"])
    except urllib.error.HTTPError as refusal:
        if refusal.code != 503:
            raise
        return False


def test_a_validator_that_lost_its_last_blocks(cluster: Cluster) -> None:
    """The end of LevelDB's log is gone, the state is not: it fetches what it lost, and votes again."""
    home = Path(cluster.testnet.file().nodes[3].home)
    cluster.testnet.kill_node("node-3")
    until(lambda: started(cluster, "node-3"), 10)  # what came before lies in tables now
    cluster.wait_equal(range(4))
    for _ in range(3):
        assert {each["status"] for each in cluster.send(3, 5)} <= SETTLED
    height = cluster.wait_equal(range(4))
    cluster.testnet.kill_node("node-3")
    for log in (home / "data" / "blocks").glob("*.log"):
        os.truncate(log, 0)
    for node in range(3):
        cluster.testnet.kill_node(f"node-{node}")
    until(lambda: started(cluster, "node-3"), 10)
    status = cluster.status(3)  # while nobody is there to ask
    assert (status["lag_blocks"], status["is_voting"]) == (height - status["height"], False)
    assert f"blocks up to height {height} were lost" in status["reason"]
    assert not is_ready(cluster, 3)
    for node in range(3):
        until(lambda name=f"node-{node}": started(cluster, name), 10)  # type: ignore[misc]  # bound now
    until(lambda: is_ready(cluster, 3), 60)
    assert cluster.status(3)["height"] >= height
    cluster.wait_equal(range(4))
    assert [each.name for each in (home / "data").glob("state.*")] == ["state.damaged-1"]
    assert not (home / "data" / "blocks.lost").exists()
    cluster.testnet.kill_node("node-2")  # now nothing becomes final without its vote
    assert {each["status"] for each in cluster.send(3, 5)} <= SETTLED
    until(lambda: started(cluster, "node-2"), 10)
    cluster.wait_equal(range(4))
