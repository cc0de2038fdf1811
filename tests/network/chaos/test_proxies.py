"""Relays between nodes: they pass bytes on, and cut, break and narrow links as they are told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from network.chaos import proxies
from network.chaos.proxies import ProxyWire
from network.testnet.plan import HOST, Plan

SECONDS = 20.0
SILENCE_SECONDS = 0.3
PIECES_MAX = 1000  # by chance alone, one in 10**22 of them comes this far


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[tuple[ProxyWire, Plan]]:
    """Relays between two places, of which node-1 is a socket of this test."""
    made = ProxyWire(seed=1)
    plan = made.plan(tmp_path, 2, 0, {})
    made.open()
    try:
        yield made, plan
    finally:
        made.close()


@pytest.fixture
def listener(wire: tuple[ProxyWire, Plan]) -> Iterator[socket.socket]:
    """Where node-1 would listen."""
    host, _, port = wire[1].nodes[1].p2p.rpartition(":")
    with socket.create_server((host, int(port))) as server:
        server.settimeout(SECONDS)
        yield server


def dialled(plan: Plan) -> socket.socket:
    """What node-0 gets when it dials node-1."""
    host, _, port = plan.doors["node-0", "node-1"].rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=SECONDS)
    connection.settimeout(SECONDS)
    return connection


def received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := connection.recv(size - len(data))):
        data += piece
    return data


def is_silent(connection: socket.socket) -> bool:
    connection.settimeout(SILENCE_SECONDS)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    finally:
        connection.settimeout(SECONDS)
    return False


def test_plan(tmp_path: Path) -> None:
    """Every pair has a door of its own, with stakes as wished and no port used twice."""
    plan = ProxyWire().plan(tmp_path, 4, 1, {"node-0": 130})
    assert len(plan.doors) == len(set(plan.doors.values())) == 5 * 4
    own = {address for node in plan.nodes for address in (node.api, node.admin, node.p2p)}
    assert own.isdisjoint(plan.doors.values())
    assert [node.stake for node in plan.nodes] == [130, 100, 100, 100, 100]
    assert all(address.startswith(f"{HOST}:") for address in plan.doors.values())


def test_passes_on(wire: tuple[ProxyWire, Plan], listener: socket.socket) -> None:
    """Bytes go both ways, and the end of one side is the end of the other."""
    with dialled(wire[1]) as near:
        far, _ = listener.accept()
        with far:
            far.settimeout(SECONDS)
            near.sendall(b"question" * 10_000)
            assert received(far, 80_000) == b"question" * 10_000
            far.sendall(b"answer")
            assert received(near, 6) == b"answer"
        assert near.recv(1) == b""


def test_cut_one_way(wire: tuple[ProxyWire, Plan], listener: socket.socket) -> None:
    """What is cut stays away one way only, and comes when the link is healed."""
    with dialled(wire[1]) as near, listener.accept()[0] as far:
        far.settimeout(SECONDS)
        wire[0].cut("node-0", "node-1")
        far.sendall(b"b")
        assert received(near, 1) == b"b"
        near.sendall(b"a")
        assert is_silent(far)
        wire[0].heal()
        assert received(far, 1) == b"a"


def test_dial_across_a_cut(wire: tuple[ProxyWire, Plan], listener: socket.socket) -> None:
    """Who dials across a cut gets no answer, until it is healed."""
    wire[0].cut("node-0", "node-1")
    with dialled(wire[1]) as near:
        near.sendall(b"a")
        listener.settimeout(SILENCE_SECONDS)
        with pytest.raises(TimeoutError):
            listener.accept()
        wire[0].heal()
        listener.settimeout(SECONDS)
        with listener.accept()[0] as far:
            far.settimeout(SECONDS)
            assert received(far, 1) == b"a"


def test_loss(wire: tuple[ProxyWire, Plan], listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everything is lost, pieces still come whole and in order, until one breaks the connection."""
    monkeypatch.setattr(proxies, "RESENT_SECONDS", 0.001)
    wire[0].lose(("node-0",), 1000)
    with dialled(wire[1]) as near, listener.accept()[0] as far:
        far.settimeout(SECONDS)
        came = 0
        with suppress(ConnectionError):
            while came < PIECES_MAX:
                near.sendall(bytes([came % 256]))
                data = far.recv(1)
                if not data:
                    break
                assert data == bytes([came % 256])
                came += 1
        assert came < PIECES_MAX
    assert wire[0].affected() == came + 1


def test_nothing_listens(wire: tuple[ProxyWire, Plan]) -> None:
    """A node that is down is one whose connections break."""
    with dialled(wire[1]) as near, suppress(ConnectionResetError):
        assert near.recv(1) == b""


def test_close_with_lines_open(tmp_path: Path) -> None:
    """Relays end with connections open, and leave no thread behind."""
    made = ProxyWire()
    plan = made.plan(tmp_path, 2, 0, {})
    made.open()
    made.cut("node-0", "node-1")
    with dialled(plan):
        made.close()
    assert all(thread.name != "relays" for thread in threading.enumerate())
