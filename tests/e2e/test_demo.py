"""The demo: one command, a story on four validators, its trace, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli.story import read_story
from network.testnet.plan import free_base_port
from tests.e2e.console import BIN, environment, farmgate, processes_of

pytestmark = pytest.mark.e2e


@pytest.fixture
def port() -> str:
    """A base port of this test run's own."""
    return str(free_base_port(4, 29_000 + os.getpid() % 3_000))


def test_demo_once(tmp_path: Path, port: str) -> None:
    """`farmgate demo --once` prints trace, heights, signers, URLs and next commands, stops and exits 0."""
    done = farmgate("demo", "--once", "--base-port", port, home=tmp_path / "person")
    assert done.code == 0, done.err
    for step in read_story().steps:
        assert step.says in done.out
    assert "made from 500 KGM (01)09521001001106(10)N-0504" in done.out
    assert "made from 300 KGM (01)09521001001106(10)S-0504" in done.out
    for organisation in ("green-valley-farm", "fresh-pack", "swift-haul", "corner-market"):
        assert organisation in done.out
    assert "height" in done.out
    assert f"http://127.0.0.1:{int(port) + 30}/v1/items/trace?id=" in done.out
    next_commands = done.out.partition("Next, in another terminal:")[2].strip().splitlines()
    assert len([line for line in next_commands if line.strip().startswith("farmgate ")]) == 3
    assert "flagged" not in done.out
    assert "Traceback" not in done.err


def test_demo_as_json_in_a_folder(tmp_path: Path, port: str) -> None:
    """--json is one document: every event accepted, one state on four nodes; --dir keeps the network."""
    folder = tmp_path / "kept"
    words = ("demo", "--once", "--json", "--base-port", port, "--dir", str(folder))
    done = farmgate(*words, home=tmp_path / "person")
    assert done.code == 0, done.err
    said = done.json
    statuses = [event["status"] for step in said["steps"] for event in step["events"]]
    assert statuses == ["accepted"] * 14
    assert len({(node["height"], node["state_root"]) for node in said["nodes"]}) == 1
    assert {line["organisation"] for line in said["journey"]} == {
        step.organisation for step in read_story().steps
    }
    assert processes_of(folder) == []
    again = farmgate(*words, home=tmp_path / "person")
    assert again.code == 0, again.err
    assert {event["status"] for step in again.json["steps"] for event in step["events"]} == {"duplicate"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_is_stopped(tmp_path: Path, port: str, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM stop the network at once: no process and no temporary folder is left."""
    folder = tmp_path / "net"
    out = tmp_path / "out"
    with out.open("wb") as stream:
        running = subprocess.Popen(
            [str(BIN / "farmgate"), "demo", "--base-port", port, "--dir", str(folder)],
            stdout=stream, stderr=subprocess.STDOUT, env=environment(tmp_path / "person"),
        )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while b"Ctrl-C stops it" not in out.read_bytes():
            assert running.poll() is None, out.read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(processes_of(folder)) == 4
        running.send_signal(number)
        assert running.wait(20) == 0
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
    assert processes_of(folder) == []


def test_taken_port(tmp_path: Path, port: str) -> None:
    """A taken port is a clear error with exit code 9, and nothing is started."""
    import socket

    with socket.create_server(("127.0.0.1", int(port) + 21)):
        done = farmgate("demo", "--once", "--base-port", port, "--json", home=tmp_path / "person")
    assert done.code == 9
    assert f"port {int(port) + 21} of node-2 is taken" in done.err
