"""`farmgate testnet` on real processes: up, seen, hurt, healed and down, through the console script."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from network.testnet.testnet import Testnet
from tests.e2e.console import Terminal, farmgate, processes_of

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """One network for this module; each test leaves all five nodes running."""
    found = Terminal(tmp_path_factory.mktemp("testnet"))
    try:
        done = found.up("--observers", "1", "--json")
        assert done.code == 0, done.err
        yield found
    finally:
        if Testnet(found.folder).exists():
            Testnet(found.folder).stop()


def agree(states: dict[str, dict[str, Any]]) -> bool:
    return len({(each["height"], each["state_root"]) for each in states.values()}) == 1


def test_up(terminal: Terminal) -> None:
    """A detached network runs on; network.json has what scripts rely on, each pid that of its node."""
    document = terminal.file()
    assert len(document["chain_id"]) == 64
    assert [each["role"] for each in document["nodes"]] == ["validator"] * 4 + ["observer"]
    assert sorted(each["pid"] for each in document["nodes"]) == sorted(processes_of(terminal.folder))
    for each in document["nodes"]:
        assert Path(each["log"]).is_file()
    states = terminal.states()
    assert {each["state"] for each in states.values()} == {"running"}
    assert {each["peers"] for each in states.values()} == {4}
    assert set(states["node-0"]) >= {
        "name", "state", "height", "block_id", "state_root", "peers", "lag_blocks",
    }  # fmt: skip


def test_up_again(terminal: Terminal) -> None:
    """`up` on a running network starts nothing anew; another size or port is refused."""
    before = terminal.file()
    assert terminal.up("--observers", "1").code == 0
    assert terminal.file() == before
    done = terminal.up("--validators", "3", "--observers", "1", "--json")
    assert done.code == 9
    assert "testnet.another" in done.err


def test_capture_and_read_elsewhere(terminal: Terminal) -> None:
    """What one organisation captures through its node, another reads from its own, and from the observer."""
    document = str(EXAMPLES / "story" / "01-harvest.json")
    done = terminal.acting("green-valley-farm", "capture", document, "--json")
    assert done.code == 0, done.err
    assert [each["status"] for each in done.json["events"]] == ["accepted", "accepted"]
    terminal.until(agree)
    lot = "(01)09521001001106(10)N-0504"
    seen = terminal.acting("corner-market", "item", "show", lot, "--json")
    assert seen.json["maker"] == "green-valley-farm"
    observer = terminal.file()["nodes"][4]["api"]
    assert farmgate("--node", observer, "item", "show", lot, "--json", home=terminal.home).json == seen.json
    again = terminal.acting("green-valley-farm", "capture", document, "--json")
    assert {each["status"] for each in again.json["events"]} == {"duplicate"}
    assert again.json["events"][0]["first"]["transaction_id"] == done.json["events"][0]["transaction_id"]


def test_kill_and_start(terminal: Terminal) -> None:
    """A killed node is shown as stopped; the others go on; started again it catches up with a new pid."""
    old = terminal.file()["nodes"][3]["pid"]
    assert terminal.testnet("kill", "node-3").code == 0
    assert terminal.states()["node-3"]["state"] == "stopped"
    assert terminal.file()["nodes"][3]["pid"] is None
    words = ("record", "commission", "urn:farmgate:test:crate-1", "--json")
    done = terminal.acting("corner-market", *words)  # its own node is down: the next one takes it
    assert done.code == 0, done.err
    assert terminal.testnet("kill", "node-3").code == 9
    assert terminal.testnet("start", "node-3").code == 0
    assert terminal.file()["nodes"][3]["pid"] not in (None, old)
    terminal.until(agree)
    seen = terminal.acting("corner-market", "item", "show", "urn:farmgate:test:crate-1", "--json")
    assert seen.json["maker"] == "corner-market"


def test_killed_by_somebody_else(terminal: Terminal) -> None:
    """A node that died by another's hand is seen as stopped, and `start` starts it."""
    os.kill(terminal.file()["nodes"][2]["pid"], 9)
    terminal.until(lambda states: states["node-2"]["state"] == "stopped")
    done = terminal.testnet("start", "node-2", "--json")
    assert (done.code, done.json["pid"]) == (0, terminal.file()["nodes"][2]["pid"])
    terminal.until(agree)


def test_pause_and_resume(terminal: Terminal) -> None:
    """A paused node is shown as such and goes on when it is told."""
    assert terminal.testnet("pause", "node-1").code == 0
    terminal.until(lambda states: states["node-1"]["state"] == "paused")
    assert terminal.states()["node-1"]["height"] is None
    assert terminal.testnet("resume", "node-1").code == 0
    terminal.until(agree)


def test_two_stopped(terminal: Terminal) -> None:
    """With two of four down nothing becomes final: exit code 6, reads still answer; back again, it does."""
    for name in ("node-2", "node-3"):
        assert terminal.testnet("kill", name).code == 0
    words = ("record", "commission", "urn:farmgate:test:crate-2", "--timeout", "3", "--json")
    done = terminal.acting("green-valley-farm", *words)
    assert done.code == 6, done.err
    lot = terminal.acting("green-valley-farm", "org", "list", "--json")
    assert lot.code == 0
    waiting = terminal.acting("green-valley-farm", "outbox", "list", "--json").json["transactions"]
    assert len(waiting) == 1
    for name in ("node-2", "node-3"):
        assert terminal.testnet("start", name).code == 0
    done = terminal.acting("green-valley-farm", "tx", "wait", waiting[0]["id"], "--json")
    assert (done.code, done.json["status"]) == (0, "accepted")
    assert terminal.acting("green-valley-farm", "outbox", "list", "--json").json["transactions"] == []
    terminal.until(agree)


def test_logs(terminal: Terminal) -> None:
    """The last lines of a node's log are shown; an unknown node is exit code 3 with those that are."""
    assert "event=" in terminal.testnet("logs", "node-0", "-n", "5").out
    done = terminal.testnet("logs", "node-9", "--json")
    assert done.code == 3
    assert "node-0, node-1" in done.err


def test_restart_keeps_the_chain(terminal: Terminal) -> None:
    """`down` stops every process in seconds, `up` goes on with the same chain, `--fresh` makes another."""
    chain, heights = terminal.file()["chain_id"], terminal.states()["node-0"]["height"]
    began = time.monotonic()
    done = terminal.testnet("down", "--json")
    assert (done.code, done.json["killed"]) == (0, [])
    assert time.monotonic() - began < 10
    assert processes_of(terminal.folder) == []
    assert terminal.testnet("down").code == 0
    assert terminal.up("--observers", "1").code == 0
    assert terminal.file()["chain_id"] == chain
    assert terminal.states()["node-0"]["height"] >= heights
    assert terminal.up("--observers", "1", "--fresh").code == 0
    assert terminal.file()["chain_id"] != chain
    terminal.until(agree)
