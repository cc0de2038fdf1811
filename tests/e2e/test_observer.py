"""Observers on real processes: they follow the chain and serve reads, and do not vote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.cluster import running

pytestmark = pytest.mark.e2e

OBSERVER = 4


def test_observer_follows(tmp_path: Path) -> None:
    """An observer reaches the validators' height and root, also after it was away, and never votes."""
    with running(tmp_path / "net", observers=1) as cluster:
        sent = cluster.send(0, 20)
        cluster.wait_equal(range(5))
        cluster.testnet.kill_node("node-4")
        sent += [each for _ in range(3) for each in cluster.send(1, 20)]
        cluster.testnet.start_node("node-4")
        cluster.wait_equal(range(5))
        for each in sent:
            assert cluster.get(OBSERVER, f"/v1/transactions/{each['id']}")["status"] == each["status"]
        assert cluster.status(OBSERVER)["role"] == "observer"
        assert cluster.send(OBSERVER, 3)[0]["status"] in {"accepted", "flagged"}
        signers = {
            signature["validator"] if "validator" in signature else signature["node"]
            for block in cluster.blocks(0)
            for signature in (block["certificate"] or {}).get("signatures", [])
        }
        assert "node-4" not in signers
        assert signers
