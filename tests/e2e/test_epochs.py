"""Turns of epochs on real processes, disks and sockets: under load, slept through, and exactly at one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger.consensus.timeouts import ConsensusParameters
from ledger.errors import LedgerError
from ledger.genesis import Parameters
from node.failpoints import VARIABLE
from tests.e2e.cluster import Cluster, running, until

pytestmark = pytest.mark.e2e

EPOCH_BLOCKS = 5
SETTLED = {"accepted", "flagged"}
VICTIM = "node-2"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One network of short epochs for this module; each test leaves all four nodes running and equal."""
    folder: Path = tmp_path_factory.mktemp("epochs") / "net"
    parameters = Parameters(consensus=ConsensusParameters(epoch_blocks=EPOCH_BLOCKS))
    with running(folder, parameters=parameters) as found:
        yield found


def grow(cluster: Cluster, to_height: int, node: int = 0) -> list[str]:
    """Send transactions until the chain is so high; answers the ids of what was reported final."""
    reported = []
    while cluster.status(node)["height"] < to_height:
        results = cluster.send(node, 3)
        assert {each["status"] for each in results} <= SETTLED
        reported += [each["id"] for each in results]
    return reported


def check_chain(cluster: Cluster, reported: Sequence[str]) -> None:
    """Each block is of the epoch that its height says, on every node; nothing is lost or there twice."""
    for node in range(4):
        blocks = list(cluster.blocks(node))
        epochs = [block["header"]["epoch"] for block in blocks]
        assert epochs == [(height - 1) // EPOCH_BLOCKS for height in range(1, len(blocks) + 1)]
        seen = Counter(each["id"] for block in blocks for each in block["transactions"])
        assert set(reported) <= set(seen)
        assert max(seen.values()) == 1


def signers_above(cluster: Cluster, height: int) -> set[str]:
    """The nodes that signed certificates of blocks above a height."""
    return {
        signature["node"]
        for block in cluster.blocks(0)
        if block["header"]["height"] > height
        for signature in (block["certificate"] or {}).get("signatures", [])
    }


def is_down(cluster: Cluster, name: str) -> Callable[[], bool]:
    """Whether a node's process has ended."""

    def found() -> bool:
        try:
            cluster.testnet.pause_node(name)
        except LedgerError:
            return True
        cluster.testnet.resume_node(name)
        return False

    return found


def started_heights(cluster: Cluster, name: str) -> list[int]:
    """The heights at which a node found itself, by its log."""
    log = Path(cluster.testnet.file().node(name).log).read_text()
    return [int(found) for found in re.findall(r"\bstarted\b.*\bheight=(\d+)", log)]


def test_turns_under_load(cluster: Cluster) -> None:
    """Three turns and more while transactions come in: no gap, no loss, everyone in one epoch."""
    reported = grow(cluster, 3 * EPOCH_BLOCKS + 2)
    height = cluster.wait_equal(range(4))
    check_chain(cluster, reported)
    assert {cluster.status(node)["epoch"] for node in range(4)} == {height // EPOCH_BLOCKS}
    assert signers_above(cluster, EPOCH_BLOCKS) == {f"node-{node}" for node in range(4)}


def test_a_node_killed_over_turns_catches_up_epoch_by_epoch(cluster: Cluster) -> None:
    """Nobody speaks of its epoch any more when it comes back; then it signs in the one that it finds."""
    grow(cluster, cluster.status(0)["height"] + 1)
    cluster.wait_equal(range(4))
    cluster.testnet.kill_node(VICTIM)
    slept_at = cluster.status(0)["height"]
    reported = grow(cluster, slept_at + 3 * EPOCH_BLOCKS)
    cluster.testnet.start_node(VICTIM)
    height = cluster.wait_equal(range(4))
    assert height // EPOCH_BLOCKS - slept_at // EPOCH_BLOCKS >= 3
    until(lambda: cluster.status(2)["is_voting"], 30)
    grow(cluster, height + 2 * EPOCH_BLOCKS, node=2)
    cluster.wait_equal(range(4))
    check_chain(cluster, reported)
    assert VICTIM in signers_above(cluster, height)


def armed(cluster: Cluster, names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Nodes that will die when the next last block is durable and nobody was told; answers its height."""
    height = cluster.wait_equal(range(4))
    last = (height // EPOCH_BLOCKS + 1) * EPOCH_BLOCKS
    for name in names:
        cluster.testnet.kill_node(name)
        with monkeypatch.context() as patch:
            patch.setenv(VARIABLE, f"after-state-commit:{last - height}")
            cluster.testnet.start_node(name)
    cluster.wait_equal(range(4))
    return last


def test_a_node_that_dies_exactly_after_a_last_block_begins_the_next_epoch(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block that ends an epoch is its last durable step: it starts in the next one, and signs there."""
    last = armed(cluster, [VICTIM], monkeypatch)
    reported = grow(cluster, last + 1)
    until(is_down(cluster, VICTIM), 30)
    cluster.testnet.start_node(VICTIM)
    assert started_heights(cluster, VICTIM)[-1] == last
    height = cluster.wait_equal(range(4))
    until(lambda: cluster.status(2)["is_voting"], 30)
    grow(cluster, height + EPOCH_BLOCKS, node=2)
    cluster.wait_equal(range(4))
    check_chain(cluster, reported)
    assert VICTIM in signers_above(cluster, height)


def test_a_network_that_dies_exactly_at_a_turn_goes_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four end with the last block durable, before anybody is in the next epoch; nothing is lost."""
    names = [f"node-{node}" for node in range(4)]
    last = armed(cluster, names, monkeypatch)
    reported: list[str] = []

    def all_are_down() -> bool:
        """Send on, as long as there is somebody to send to."""
        if not is_down(cluster, names[0])():
            results: list[dict[str, Any]] = cluster.send(0, 3, wait=3)
            reported.extend(each["id"] for each in results if each["status"] in SETTLED)
        return all(is_down(cluster, name)() for name in names)

    until(all_are_down, 120)
    for name in names:
        cluster.testnet.start_node(name)
    assert [started_heights(cluster, name)[-1] for name in names] == [last] * 4
    reported += grow(cluster, last + 2)
    cluster.wait_equal(range(4))
    check_chain(cluster, reported)
