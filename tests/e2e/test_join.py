"""A node told to join later, with only the genesis and a peer's address, through the two console scripts."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contracts.organisations import CONTRACT, AddKey, AddNode, RemoveNode
from ledger.codec import Canonical, encode
from ledger.crypto import KeyPair, key_pair
from ledger.transaction import TransactionBody, sign_transaction
from network.testnet.plan import free_base_port
from network.testnet.processes import ProcessRecord, start_process, stop_processes
from network.testnet.testnet import node_command, node_environment
from node.keys import read_seed
from node.registration import KeyRegistration, NodeRegistration, read_registration
from tests.e2e.cluster import TX, Cluster, running, until

pytestmark = pytest.mark.e2e

ORGANISATION = "fresh-pack"
NAME = "late-one"


class Joiner:
    """A home made by `ledger-node join`, and the process that runs it."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.api = f"http://127.0.0.1:{port}"
        self._listens = [
            *("--listen", f"127.0.0.1:{port}"),
            *("--admin", f"127.0.0.1:{port + 1}"),
            *("--p2p", f"127.0.0.1:{port + 2}"),
        ]

    def join(self, genesis: Path, peer: str) -> dict[str, Any]:
        """Make the home; what the command said."""
        who = ("--name", NAME, "--organisation", ORGANISATION)
        return self.ask("join", "--genesis", str(genesis), "--peer", peer, *who, *self._listens)[1]

    def ask(self, command: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of a command of `ledger-node` on this home."""
        line = [*node_command(), command, "--home", str(self.home), *arguments, "--json"]
        done = subprocess.run(
            line, check=False, capture_output=True, text=True, timeout=60, env=node_environment(os.environ)
        )
        return done.returncode, json.loads(done.stdout or done.stderr)

    def status(self) -> dict[str, Any]:
        """What the running node says of itself."""
        with urllib.request.urlopen(self.api + "/v1/status", timeout=30) as answer:
            said: dict[str, Any] = json.load(answer)
        return said

    @contextmanager
    def run(self) -> Iterator[ProcessRecord]:
        """The node as a process, ended afterwards."""
        command = (*node_command(), "run", "--home", str(self.home))
        log = self.home / "node.log"
        record = start_process(self.home, command, log, node_environment(os.environ))
        try:
            until(self.status, 30)
            yield record
        finally:
            killed = stop_processes([record])
        assert not killed, "it took longer than five seconds to stop"


def admin_of(cluster: Cluster, organisation: str) -> KeyPair:
    """The key in the profile of an organisation."""
    profile = Path(cluster.testnet.file().profiles[organisation])
    settings = tomllib.loads(profile.read_text())
    return key_pair(read_seed(profile.parent / settings["key_file"]))


def call(cluster: Cluster, key: KeyPair, method: str, arguments: Canonical) -> dict[str, Any]:
    """Send a signed call to `organisations` and wait until it is final."""
    body = TransactionBody(
        chain_id=cluster.chain_id,
        sender=key.public,
        nonce=os.urandom(16),
        valid_until=cluster.status(0)["height"] + 300,
        contract=CONTRACT,
        method=method,
        arguments=encode(arguments),
    )
    _, answer = cluster.post(0, sign_transaction(body, key).raw, TX, wait=30)
    said: dict[str, Any] = answer
    return said


def wait_level(cluster: Cluster, joiner: Joiner, nodes: Sequence[int] = range(4)) -> int:
    """Wait until the joined node and the validators stand at one height with one root; the height."""

    def stands() -> tuple[int] | None:
        seen = [joiner.status(), *(cluster.status(node) for node in nodes)]
        alike = {(each["height"], each["state_root"], each["block_id"]) for each in seen}
        return (int(seen[0]["height"]),) if len(alike) == 1 else None

    return int(until(stands, 30)[0])


def test_a_site_joins_and_leaves(tmp_path: Path) -> None:
    """Refused before it is registered, it catches up by itself afterwards, and is cut off once removed."""
    with running(tmp_path / "net") as cluster:
        for _ in range(3):
            cluster.send(0, 10)
        network = cluster.testnet.file()
        joiner = Joiner(tmp_path / "late", free_base_port(1, start=20_000 + os.getpid() % 9_000))
        made = joiner.join(tmp_path / "net" / "genesis.json", network.nodes[2].p2p)
        registration = read_registration(Path(made["registrations"][0]), NodeRegistration)
        key = admin_of(cluster, ORGANISATION)
        with joiner.run():
            _stranger(joiner)
            add = AddNode(
                registration.public_key,
                registration.name,
                registration.certificate,
                registration.addresses,
                registration.proof or b"",
            )
            assert call(cluster, key, "add_node", add)["status"] == "accepted"
            request = read_registration(Path(made["registrations"][1]), KeyRegistration)
            gateway = AddKey(request.public_key, request.label, request.roles, request.proof)
            assert call(cluster, key, "add_key", gateway)["status"] == "accepted"
            first = wait_level(cluster, joiner)
            assert all(each["status"] in {"accepted", "flagged"} for each in cluster.send(1, 10))
            assert wait_level(cluster, joiner) > first
            _member(joiner)
            removed = call(cluster, key, "remove_node", RemoveNode(registration.public_key))
            assert removed["status"] == "accepted"
            _cut_off(cluster, joiner, int(removed["height"]))


def _stranger(joiner: Joiner) -> None:
    """Status and doctor say that peers refuse it."""
    until(lambda: joiner.status()["reason"] == "peers refuse this node: not a member (yet)", 20)
    assert joiner.status()["height"] == 0
    code, said = joiner.ask("status")
    assert (code, said["reason"]) == (0, "peers refuse this node: not a member (yet)")
    code, said = joiner.ask("doctor")
    assert (code, said["healthy"]) == (1, False)
    assert said["sentence"].startswith("peers refuse this node: it is not a member")


def _member(joiner: Joiner) -> None:
    """It knows who it is, what it does not do, and that all is well."""
    status = joiner.status()
    assert (status["node"], status["role"], status["is_voting"]) == (NAME, "observer", False)
    assert status["organisation"] == ORGANISATION
    code, said = joiner.ask("peers")
    assert code == 0
    assert {each["name"] for each in said["peers"]} == {f"node-{number}" for number in range(4)}
    until(lambda: joiner.ask("doctor")[0] == 0, 20)


def _cut_off(cluster: Cluster, joiner: Joiner, height: int) -> None:
    """Nobody talks to it within a few blocks of its removal, and the network goes on without it."""
    until(lambda: not any(peer["connected"] for peer in joiner.status()["peers"]), 20)
    for _ in range(5):
        cluster.send(3, 5)
    assert cluster.wait_equal(range(4)) >= height + 5
    assert joiner.status()["height"] <= height + 3
    until(lambda: "refuse" in joiner.status()["reason"], 20)
