"""`ledger-node doctor` on real processes: the one sentence, from a node that is well, stuck or down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, running, until
from tests.e2e.test_faults import SETTLED, started
from tests.e2e.test_signer import ledger_node

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One network for this module; each test but the last leaves all four nodes running and equal."""
    with running(tmp_path_factory.mktemp("doctor") / "net") as found:
        yield found


def home(cluster: Cluster, node: int) -> Path:
    return Path(cluster.testnet.file().nodes[node].home)


def sentence(cluster: Cluster, node: int, code: int = 1) -> str:
    """What the doctor says of a node."""
    answer = ledger_node("doctor", "--home", home(cluster, node), "--json")
    said = json.loads(answer.stdout)
    assert answer.returncode == code, said
    assert said["healthy"] is (code == 0)
    found: str = said["sentence"]
    assert "\n" not in found
    return found


def kill(cluster: Cluster, *nodes: int) -> None:
    for node in nodes:
        cluster.testnet.kill_node(f"node-{node}")


def start(cluster: Cluster, *nodes: int) -> None:
    for node in nodes:
        until(lambda name=f"node-{node}": started(cluster, name), 20)  # type: ignore[misc]  # bound now


def says(cluster: Cluster, node: int, *words: str) -> None:
    """The doctor comes to say all of this, within the time that a view may take."""
    until(lambda: all(each in sentence(cluster, node) for each in words), 60)


def test_an_idle_chain_is_well(cluster: Cluster) -> None:
    """Nothing to do: healthy, and it says why the height stands still."""
    assert {each["status"] for each in cluster.send(0, 3)} <= SETTLED
    cluster.wait_equal(range(4))
    for node in range(4):
        assert "nothing is wrong: no transaction waits" in sentence(cluster, node, code=0)


def test_a_node_that_is_down(cluster: Cluster) -> None:
    """Its own doctor says so; one of four missing stops nothing."""
    kill(cluster, 3)
    assert "the node does not run" in sentence(cluster, 3)
    until(lambda: "nothing is wrong" in sentence(cluster, 0, code=0), 30)
    start(cluster, 3)
    cluster.wait_equal(range(4))


def test_too_few_are_up(cluster: Cluster) -> None:
    """Who is missing and how much is needed, from each that is left; and from one that is alone."""
    kill(cluster, 2, 3)
    for node in (0, 1):
        says(cluster, node, "connected to", "units of stake", "missing: node-2", "node-3")
    kill(cluster, 1)
    says(cluster, 0, "missing: node-1", "node-2", "node-3")
    start(cluster, 1, 2, 3)
    cluster.wait_equal(range(4))


def test_a_paused_majority_is_here_and_silent(cluster: Cluster) -> None:
    """Processes that hold their connections and say nothing are named as silent, or as missing once they are
    cut off; either way by name."""
    for node in (2, 3):
        cluster.testnet.pause_node(f"node-{node}")
    try:
        cluster.send(0, 2, wait=0)
        says(cluster, 0, "no block can become final", "node-2", "node-3")
    finally:
        for node in (2, 3):
            cluster.testnet.resume_node(f"node-{node}")
    cluster.wait_equal(range(4), 60)


def test_more_than_a_third_in_quarantine(cluster: Cluster) -> None:
    """The chain stops, by design; a healthy node says who is silent, a quarantined one why it is, and both
    that no block can become final."""
    kill(cluster, 2, 3)
    for node in (2, 3):
        (home(cluster, node) / "data" / "consensus" / "records.log").unlink()
        assert ledger_node("repair", "--home", home(cluster, node)).returncode == 0
    start(cluster, 2, 3)
    cluster.send(0, 2, wait=0)
    says(cluster, 0, "units of stake vote", "here and silent: node-2", "node-3")
    says(cluster, 2, "this node does not vote", "signer.no_record", "and no block can become final")
