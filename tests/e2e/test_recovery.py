"""Operators bring back, by commands, a chain of which more than a third of the stake lost its records."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from node.founding import found_data
from node.genesis_file import read_genesis
from node.home import Home
from tests.e2e.cluster import Cluster, running, until
from tests.e2e.test_faults import SETTLED, started
from tests.e2e.test_signer import ledger_node

pytestmark = pytest.mark.e2e

VALIDATORS, OBSERVER = range(4), 4
LOST = (2, 3)
REPORT = (0, 1, 2)  # whoever does not is on holiday


def home(cluster: Cluster, node: int) -> Home:
    return Home(Path(cluster.testnet.file().nodes[node].home))


def stop(cluster: Cluster, *nodes: int) -> None:
    for node in nodes:
        cluster.testnet.kill_node(f"node-{node}")


def start(cluster: Cluster, *nodes: int) -> None:
    for node in nodes:
        until(lambda name=f"node-{node}": started(cluster, name), 20)


def answer(cluster: Cluster, node: int, *arguments: str | Path) -> Any:
    """What a command on one home answers."""
    done = ledger_node("recovery", *arguments, "--home", home(cluster, node).root, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def send(cluster: Cluster, node: int, count: int = 5) -> list[str]:
    """Transactions that a node acknowledged as final."""
    sent = cluster.send(node, count)
    assert {each["status"] for each in sent} <= SETTLED
    return [each["id"] for each in sent]


def lose_record(cluster: Cluster, node: int) -> None:
    home(cluster, node).consensus_log.unlink()
    assert ledger_node("repair", "--home", home(cluster, node).root).returncode == 0


def join_anew(cluster: Cluster, node: int) -> None:
    """The home as `join` made it: nothing of the chain but its genesis."""
    place = home(cluster, node)
    place.data.rename(place.root / "before")
    found_data(place, read_genesis(place.genesis), None)


def all_vote(cluster: Cluster, nodes: Iterable[int] = VALIDATORS) -> bool:
    return all(cluster.status(node)["is_voting"] for node in nodes)


def doctor(cluster: Cluster, node: int) -> str:
    return ledger_node("doctor", "--home", home(cluster, node).root).stdout


def test_a_stuck_chain_goes_on(tmp_path: Path) -> None:
    """Two of four records are lost: the chain stands still, the commands bring it back, nothing that was
    acknowledged is lost, every validator signs again (who did not report, after a few blocks), and who comes
    late or restarts crosses the recovery."""
    with running(tmp_path / "net", observers=1) as cluster:
        acknowledged = send(cluster, 0) + send(cluster, 1)
        height = cluster.wait_equal(range(5))
        cluster.send(0, 50, wait=0)  # nobody is told what became of these
        stop(cluster, *range(5))
        for node in LOST:
            lose_record(cluster, node)
        join_anew(cluster, OBSERVER)
        start(cluster, *VALIDATORS)
        until(lambda: "signer.no_record" in cluster.status(2)["reason"], 20)
        assert cluster.send(0, 1, wait=3)[0]["status"] == "pending"
        until(lambda: "docs/how-to/recover-a-stuck-chain.md" in doctor(cluster, 0), 30)
        stop(cluster, *VALIDATORS)

        reports = [tmp_path / f"report-{node}.json" for node in REPORT]
        whole = [answer(cluster, node, "report", reports[node])["whole"] for node in REPORT]
        assert whole == [True, True, False]
        recovery = tmp_path / "recovery.json"
        made = answer(cluster, 0, "make", recovery, *reports)
        sorts = [made[each] for each in ("whole", "lost", "silent")]
        assert sorts == [["node-0", "node-1"], ["node-2"], ["node-3"]]
        assert answer(cluster, 3, "show", recovery)["block"] == made["block"]
        approvals = [tmp_path / f"approval-{node}.json" for node in REPORT]
        for node, file in zip(REPORT, approvals, strict=True):
            answer(cluster, node, "approve", recovery, file)
        few = ledger_node("recovery", "begin", recovery, *approvals[:2], "--home", home(cluster, 0).root)
        assert few.returncode == 5, few.stdout + few.stderr
        begun = answer(cluster, 0, "begin", recovery, *approvals)
        assert begun["begins"] == made["ended"] + 2

        start(cluster, *VALIDATORS)  # all others are told of it
        until(lambda: all_vote(cluster, REPORT), 60)
        until(lambda: "signer.no_record" in cluster.status(3)["reason"], 30)  # it has not reported

        def is_out() -> bool:
            acknowledged.extend(send(cluster, 0, count=1))
            return bool(cluster.status(3)["is_voting"])

        until(is_out, 60)
        acknowledged += send(cluster, 3) + send(cluster, 1)
        assert cluster.wait_equal(VALIDATORS) > height
        start(cluster, OBSERVER)
        cluster.wait_equal(range(5), 60)
        for identifier in acknowledged:
            for node in range(5):
                assert cluster.get(node, f"/v1/transactions/{identifier}")["status"] in SETTLED
        assert [each["header"]["epoch"] for each in cluster.blocks(OBSERVER)][-1] == made["ended"] + 2

        stop(cluster, *range(5))
        start(cluster, *range(5))
        until(lambda: all_vote(cluster), 60)
        stop(cluster, 0)  # from here on nothing becomes final without the two that had lost their records
        send(cluster, 2)
        start(cluster, 0)
        cluster.wait_equal(range(5), 60)
