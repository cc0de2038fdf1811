"""The admin port: alive, ready or not and why, measured; and nothing of it on the public port."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from node import logging
from node.network_metrics import NetworkCollector
from node.p2p.counters import Counters
from node.service import PeerStatus
from tests.contracts.chain import START_MS
from tests.contracts.staking.stage import make_stage
from tests.node.api.fakes import FakeNode, Running, running

ROOT = Path(__file__).resolve().parents[3]


async def get(site: Running, path: str) -> tuple[int, Any]:
    async with site.client.get(site.admin(path)) as answer:
        return answer.status, json.loads(await answer.text())


@pytest.fixture
def _level() -> Iterator[None]:
    before = logging.level()
    yield
    logging.set_level(before)


async def test_alive(site: Running) -> None:
    """It answers."""
    assert await get(site, "/healthz") == (200, {"status": "ok"})


async def test_ready_means_caught_up_and_connected(tmp_path: Path) -> None:
    """Ready needs no lag and more than two thirds of the stake within reach; else 503 says why."""
    node = FakeNode(make_stage((1, 1, 1, 1)).genesis)

    def peers(*connected: int) -> tuple[PeerStatus, ...]:
        return tuple(PeerStatus(f"node-{n}", "validator", bytes(32), n in connected, "") for n in (1, 2, 3))

    async with running(tmp_path, node=node) as site:
        for connected, lag, status in (((), 0, 503), ((1,), 0, 503), ((1, 2), 0, 200), ((1, 2), 1, 503)):
            node.peers, node.lag_blocks = peers(*connected), lag
            found, answer = await get(site, "/readyz")
            assert (found, answer["ready"]) == (status, status == 200)
            assert bool(answer["reason"]) == (status == 503)
            assert answer["connected_stake"] == 1 + len(connected)


async def test_metrics_are_documented(told: Running) -> None:
    """Every family that is exposed stands in the reference with its kind, and none besides."""
    async with told.client.get(told.url("/v1/status")) as answer:
        assert answer.status == 200
    async with told.client.get(told.admin("/metrics")) as answer:
        text = await answer.text()
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text += generate_latest(_network_registry()).decode()
    exposed = set(re.findall(r"^# TYPE (farmgate_\w+) (\w+)$", text, re.MULTILINE))
    assert all(line.startswith(("#", "farmgate_")) for line in text.splitlines())
    page = (ROOT / "docs/reference/metrics.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `(farmgate_\w+)` \| (\w+) \|", page, re.MULTILINE))
    api = {(name, kind) for name, kind in exposed if not name.endswith("_created")}
    assert api == documented, sorted(api ^ documented)
    told.api.metrics.observe_block(told.node.stores.state.head.header, START_MS + 12_000)
    text = told.api.metrics.exposition().decode()
    assert "farmgate_blocks_total 1.0" in text
    assert 'farmgate_block_age_seconds_bucket{le="2.5"} 1.0' in text
    assert f"farmgate_height {told.node.head()[0]:.1f}" in text


def _network_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(NetworkCollector(Counters()))
    return registry


async def test_labels_are_bounded(site: Running) -> None:
    """Paths and methods that strangers choose become no labels."""
    for number in range(5):
        async with site.client.request("PROPFIND", site.url(f"/v1/made/up/{number}")) as answer:
            assert answer.status in (400, 404, 405)
    text = site.api.metrics.exposition().decode()
    assert "made/up" not in text
    assert "PROPFIND" not in text
    assert 'method="other",route="unknown"' in text


@pytest.mark.usefixtures("_level")
async def test_log_level_can_be_changed(site: Running) -> None:
    """PUT sets the level at once; what is no level is refused and changes nothing."""
    for body, status, code in (
        ({"level": "debug"}, 200, None),
        ({"level": "loud"}, 400, "loglevel.unknown"),
        ({"lvl": "debug"}, 400, "loglevel.malformed"),
        ([1], 400, "loglevel.malformed"),
    ):
        data = io.BytesIO(json.dumps(body).encode())
        headers = {"Content-Type": "application/json"}
        async with site.client.put(site.admin("/loglevel"), data=data, headers=headers) as answer:
            found = json.loads(await answer.text())
            assert (answer.status, found.get("code")) == (status, code)
    assert await get(site, "/loglevel") == (200, {"level": "debug"})


async def test_ports_are_apart(site: Running) -> None:
    """The public port serves no admin path, the admin port nothing of the chain."""
    for path in ("/healthz", "/readyz", "/metrics", "/loglevel"):
        async with site.client.get(site.url(path)) as answer:
            assert answer.status == 404
    for path in ("/v1/status", "/epcis/events"):
        assert (await get(site, path))[0] == 404


async def test_taken_port_is_a_clear_error(site: Running, tmp_path: Path) -> None:
    """A port that somebody has is named, and the other port is free again."""
    from ledger.errors import LedgerError
    from node.api.server import HttpInterfaces, Listen

    other = HttpInterfaces(site.api)
    with pytest.raises(LedgerError) as found:
        await other.start(Listen("127.0.0.1", 0), Listen("127.0.0.1", site.http.admin_port))
    assert found.value.code == "api.port_taken"
    assert str(site.http.admin_port) in found.value.message
