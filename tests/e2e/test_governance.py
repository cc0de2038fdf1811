"""Validators that come, change weight, go and come back: by ballot, by commands, on processes under load."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, pairwise
from pathlib import Path

import pytest

from ledger.consensus.timeouts import ConsensusParameters
from ledger.genesis import Parameters
from network.testnet.plan import free_base_port
from tests.e2e.cluster import Cluster, running, until
from tests.e2e.console import Ended, farmgate
from tests.e2e.test_join import NAME, ORGANISATION, Joiner, wait_level

pytestmark = pytest.mark.e2e

LOG = logging.getLogger(__name__)
EPOCH_BLOCKS = 10
TURN_SECONDS = 120
GAP_MS_MAX = 5_000  # between two blocks under load: more than a leader that is missing costs
SETTLED = {"accepted", "flagged"}
VOTERS = ("green-valley-farm", "swift-haul")  # with the proposer, three of four seats


class Load:
    """Transactions without a pause to these nodes in turn, and what was reported final of them."""

    def __init__(self, cluster: Cluster, nodes: Sequence[int] = range(4)) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._stopping = threading.Event()
        self.reported: list[str] = []
        self.problems: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Send until the end of the block."""
        thread = threading.Thread(target=self._send)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(90)
        assert not thread.is_alive()
        assert not self.problems, self.problems[:3]

    def _send(self) -> None:
        for node in cycle(self._nodes):
            if self._stopping.is_set():
                return
            try:
                results = self._cluster.send(node, 5)
            except OSError as problem:
                self.problems.append(f"node-{node}: {problem}")
                return
            self.reported += [each["id"] for each in results if each["status"] in SETTLED]
            self.problems += [str(each) for each in results if each["status"] == "refused"]


class Person:
    """An organisation's admin at a shell."""

    def __init__(self, cluster: Cluster, organisation: str, home: Path) -> None:
        self._profile = cluster.testnet.file().profiles[organisation]
        self._home = home

    def __call__(self, *words: str) -> Ended:
        """Run a command with its profile, answering every question with yes."""
        return farmgate("--profile", self._profile, "--yes", "--json", *words, home=self._home)


def carry(cluster: Cluster, home: Path, opened: Ended) -> None:
    """Let two more organisations say yes to a ballot that was just opened."""
    assert opened.code == 0, opened.err
    number = str(opened.json["ballot"]["number"])
    said = None
    for organisation in VOTERS:
        said = Person(cluster, organisation, home)("gov", "vote", number, "yes")
        assert said.code == 0, said.err
    assert said is not None
    assert said.json["ballot"]["status"] == "enacted"


def stakes(cluster: Cluster) -> dict[str, int]:
    """The weights in force, by node."""
    found = cluster.get(0, "/v1/validators")
    return {each["node"]: each["stake"] for each in found["validators"]}


def wait_stake(cluster: Cluster, stake: int | None) -> None:
    """Wait until the newcomer has this weight (None: it is out of the set)."""
    until(lambda: stakes(cluster).get(NAME) == stake, TURN_SECONDS)


def signed_above(cluster: Cluster, height: int) -> bool:
    """Whether the newcomer signed a certificate of a block above a height."""
    top = int(cluster.status(0)["height"])
    for at in range(height + 1, top + 1):
        certificate = cluster.get(0, f"/v1/blocks/{at}")["certificate"] or {}
        if any(each["node"] == NAME for each in certificate.get("signatures", [])):
            return True
    return False


def wait_signing(cluster: Cluster, joiner: Joiner) -> None:
    """Wait until the newcomer says that it votes, and its signature stands in a certificate."""
    height = int(cluster.status(0)["height"])
    until(lambda: joiner.status()["is_voting"], TURN_SECONDS)
    until(lambda: signed_above(cluster, height), TURN_SECONDS)


def new_site(cluster: Cluster, folder: Path, admin: Person) -> tuple[Joiner, str]:
    """A node that follows, is registered and has asked to vote; its validator.json."""
    joiner = Joiner(folder / "late", free_base_port(1, start=20_000 + os.getpid() % 9_000))
    made = joiner.join(cluster.testnet.folder / "genesis.json", cluster.testnet.file().nodes[2].p2p)
    for command, file in zip(("org", "key"), made["registrations"], strict=True):
        words = (command, "node", "add") if command == "org" else (command, "add")
        said = admin(*words, file)
        assert said.code == 0, said.err
    with joiner.run():
        wait_level(cluster, joiner)
    code, asked = joiner.ask("key", "proof")
    assert (code, asked["is_new"]) == (0, True)
    return joiner, asked["registration"]


def check_chain(cluster: Cluster, reported: list[str], loaded: range) -> int:
    """No block is missing, nothing is lost or there twice; the longest pause (ms) at the `loaded` heights."""
    chains = [list(cluster.blocks(node)) for node in range(4)]
    height = min(map(len, chains))
    assert len({tuple(block["id"] for block in chain[:height]) for chain in chains}) == 1
    headers = [block["header"] for block in chains[0]]
    assert [header["height"] for header in headers] == list(range(1, len(headers) + 1))
    assert [header["epoch"] for header in headers] == [index // EPOCH_BLOCKS for index in range(len(headers))]
    seen = Counter(each["id"] for block in chains[0] for each in block["transactions"])
    assert set(reported) <= set(seen)
    assert max(seen.values()) == 1
    times = [header["time_ms"] for header in headers if header["height"] in loaded]
    return max(after - before for before, after in pairwise(times))


def test_a_validator_is_added_weighted_removed_and_rejoins_under_load(tmp_path: Path) -> None:
    """A site joins as an observer, asks to vote, and votes from a turn on; no turn leaves a gap."""
    home = tmp_path / "person"
    parameters = Parameters(consensus=ConsensusParameters(epoch_blocks=EPOCH_BLOCKS))
    with running(tmp_path / "net", parameters=parameters) as cluster:
        admin, load = Person(cluster, ORGANISATION, home), Load(cluster)
        joiner, request = new_site(cluster, tmp_path, admin)
        with joiner.run(), load.running():
            wait_level(cluster, joiner)
            until(lambda: load.reported, 30)
            begun = int(cluster.status(0)["height"])
            heavy = admin("validator", "add", request, "--units", "60")  # it has 100 of 400 already
            assert (heavy.code, "outlook.one_third" in heavy.err) == (5, True)
            shown = admin("validator", "preview", "--add", request, "--units", "50")
            assert shown.code == 0, shown.err
            assert shown.json["stages"][-1]["quorum_stake"] == 301
            carry(cluster, home, admin("validator", "add", request, "--units", "50"))
            wait_stake(cluster, 50)
            wait_signing(cluster, joiner)
            assert joiner.status()["role"] == "validator"
            carry(cluster, home, admin("validator", "weight", NAME, "20"))
            wait_stake(cluster, 20)
            carry(cluster, home, admin("validator", "remove", NAME))
            wait_stake(cluster, None)
            until(lambda: joiner.status()["role"] == "observer", 30)
            assert not joiner.status()["is_voting"]
            code, said = joiner.ask("doctor")
            assert (code, "its validator's key is not in the set" in said["sentence"]) == (0, True)
            carry(cluster, home, admin("validator", "add", request, "--units", "40"))
            wait_stake(cluster, 40)
            wait_signing(cluster, joiner)
            ended = int(cluster.status(0)["height"])
        cluster.wait_equal(range(4))
        assert len(load.reported) > 100
        pause_ms = check_chain(cluster, load.reported, range(begun, ended + 1))
        LOG.info("blocks=%d longest_pause_ms=%d", ended - begun, pause_ms)
        assert pause_ms <= GAP_MS_MAX


def test_a_change_that_would_stop_the_chain_is_refused_while_a_node_is_down(tmp_path: Path) -> None:
    """With one of four down the removal of another is refused; when it is back the ballot may open."""
    home = tmp_path / "person"
    with running(tmp_path / "net") as cluster:
        cluster.send(0, 3)
        admin = Person(cluster, ORGANISATION, home)
        cluster.testnet.kill_node("node-3")
        until(lambda: not _is_connected(cluster, "node-3"), 30)
        said = admin("validator", "remove", "node-2")
        assert said.code == 5
        assert "outlook.no_quorum" in said.err
        assert "not known to be up: node-3 (not connected)" in said.err
        assert cluster.get(0, "/v1/ballots")["ballots"] == []
        cluster.testnet.start_node("node-3")
        until(lambda: _is_connected(cluster, "node-3"), 30)
        opened = admin("validator", "remove", "node-2")
        assert opened.code == 0, opened.err
        assert opened.json["ballot"]["status"] == "open"


def _is_connected(cluster: Cluster, name: str) -> bool:
    return any(each["name"] == name and each["is_connected"] for each in cluster.get(1, "/v1/nodes")["nodes"])
