"""A folder's network: made only where nothing else is, removed without touching what is not its own."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from network.testnet.plan import Plan, free_base_port, plan_network
from network.testnet.processes import ProcessState
from network.testnet.testnet import Testnet


def plan(folder: Path) -> Plan:
    return plan_network(folder, validators=1, observers=0, base_port=free_base_port(1, 34_000))


def test_made_once(tmp_path: Path) -> None:
    """A folder holds one network; a second one is refused and the first stays."""
    network = Testnet(tmp_path / "net")
    assert not network.exists()
    first = network.create(plan(tmp_path / "net"))
    with pytest.raises(LedgerError) as problem:
        network.create(plan(tmp_path / "net"))
    assert problem.value.code == "testnet.folder_in_use"
    assert network.file() == first


def test_a_strangers_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder with other files is refused, and none of them is touched."""
    (tmp_path / "thesis.txt").write_text("years of work")
    network = Testnet(tmp_path)
    with pytest.raises(LedgerError) as problem:
        network.create(plan(tmp_path))
    assert problem.value.code == "testnet.folder_in_use"
    network.remove()
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_removed_with_nothing_else(tmp_path: Path) -> None:
    """Removing a network deletes what it consists of, and a file that was added stays."""
    network = Testnet(tmp_path / "net")
    network.create(plan(tmp_path / "net"))
    (tmp_path / "net" / "notes.txt").write_text("mine")
    network.remove()
    left = sorted(path.name for path in (tmp_path / "net").iterdir())
    assert left == [".lock", "notes.txt"]
    network.remove()


def test_taken_port_makes_nothing(tmp_path: Path) -> None:
    """Where a port is taken, nothing is made."""
    made = plan(tmp_path / "net")
    taken = socket.create_server(("127.0.0.1", made.nodes[0].base_port))
    with taken, pytest.raises(LedgerError) as problem:
        Testnet(tmp_path / "net").create(made)
    assert problem.value.code == "testnet.port_taken"
    assert not (tmp_path / "net" / "node-0").exists()


def test_half_made_network_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where making fails half way, the folder is empty again, so that the next try can succeed."""

    def fail(made: Plan, time_ms: int) -> None:
        (made.folder / "node-0").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("network.testnet.testnet.found_network", fail)
    with pytest.raises(OSError, match="No space"):
        Testnet(tmp_path / "net").create(plan(tmp_path / "net"))
    assert [path.name for path in (tmp_path / "net").iterdir()] == [".lock"]


def test_nothing_runs(tmp_path: Path) -> None:
    """A network that was not started is shown as stopped; stopping it is harmless, signals are refused."""
    network = Testnet(tmp_path / "net")
    network.create(plan(tmp_path / "net"))
    (state,) = network.status()
    assert (state.state, state.height, state.peers) == (ProcessState.STOPPED, None, None)
    assert network.stop() == []
    for act in (network.kill_node, network.pause_node, network.resume_node):
        with pytest.raises(LedgerError) as problem:
            act("node-0")
        assert problem.value.code == "testnet.not_running"
        with pytest.raises(LedgerError) as problem:
            act("node-7")
        assert problem.value.code == "testnet.unknown_node"


def test_node_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node whose process ends is told with the end of its log."""
    network = Testnet(tmp_path / "net")
    network.create(plan(tmp_path / "net"))
    script = tmp_path / "broken"
    script.write_text("#!/bin/sh\necho the disk is made of cheese\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr("network.testnet.testnet.node_command", lambda: (str(script),))
    with pytest.raises(LedgerError) as problem:
        network.start()
    assert problem.value.code == "testnet.not_started"
    assert "made of cheese" in problem.value.message
