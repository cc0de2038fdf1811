"""What operators do to a validator's home, on real processes: who signs, who stays silent, and until when."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from network.testnet.network_file import NodeEntry
from network.testnet.testnet import node_command, node_environment
from node.founding import found_data
from node.genesis_file import read_genesis
from node.home import Home
from tests.e2e.cluster import Cluster, running, until
from tests.e2e.test_faults import SETTLED, started

pytestmark = pytest.mark.e2e

VICTIM = "node-3"
EXIT_SECONDS = 120


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One network for this module; each test leaves all four nodes running, voting and equal."""
    with running(tmp_path_factory.mktemp("signer") / "net") as found:
        yield found


def entry(cluster: Cluster) -> NodeEntry:
    return cluster.testnet.file().node(VICTIM)


def home(cluster: Cluster) -> Home:
    return Home(Path(entry(cluster).home))


def stop(cluster: Cluster, name: str = VICTIM) -> None:
    cluster.testnet.kill_node(name)


def start(cluster: Cluster, name: str = VICTIM) -> None:
    until(lambda: started(cluster, name), 20)


def finalize(cluster: Cluster, node: int = 0, count: int = 3) -> None:
    """A few blocks, whoever votes."""
    for _ in range(count):
        assert {each["status"] for each in cluster.send(node, 2)} <= SETTLED


def reason(cluster: Cluster) -> str:
    return str(cluster.status(3)["reason"])


def is_voting(cluster: Cluster) -> bool:
    return bool(cluster.status(3)["is_voting"])


def ledger_node(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A command of an operator."""
    return subprocess.run(
        [*node_command(), *map(str, arguments)],
        env=node_environment(os.environ),
        capture_output=True,
        text=True,
        timeout=EXIT_SECONDS,
        check=False,
    )


def votes_again(cluster: Cluster) -> None:
    """The network goes on without it; the quarantine ends by itself, and then its vote counts."""

    def is_out() -> bool:
        finalize(cluster, count=1)
        return is_voting(cluster)

    until(is_out, 60)
    cluster.wait_equal(range(4))
    stop(cluster, "node-2")  # now nothing becomes final without its vote
    finalize(cluster, node=3)
    start(cluster, "node-2")
    cluster.wait_equal(range(4))


def test_yesterdays_home_in_the_place_of_todays(cluster: Cluster, tmp_path: Path) -> None:
    """The folder is removed and a backup of it put there: another host generation, so quarantine."""
    finalize(cluster)
    stop(cluster)
    shutil.copytree(home(cluster).root, tmp_path / "backup")
    start(cluster)
    finalize(cluster)
    stop(cluster)
    shutil.rmtree(home(cluster).root)
    shutil.copytree(tmp_path / "backup", home(cluster).root)
    start(cluster)
    assert "signer.other_host" in reason(cluster)
    assert not is_voting(cluster)
    votes_again(cluster)


def test_yesterdays_files_over_todays(cluster: Cluster, tmp_path: Path) -> None:
    """As a backup tool restores in place: folders stay, log and stores fit together. The network tells."""
    finalize(cluster)
    cluster.wait_equal(range(4))
    stop(cluster)
    data = home(cluster).data
    parts = ("blocks", "state", "consensus")
    for part in parts:
        shutil.copytree(data / part, tmp_path / part)
    start(cluster)
    until(lambda: is_voting(cluster), 20)
    stop(cluster, "node-2")  # from here on every certificate holds its signature
    finalize(cluster)
    stop(cluster)
    for part in parts:
        for file in (data / part).iterdir():
            file.unlink()
        for file in (tmp_path / part).iterdir():
            shutil.copyfile(file, data / part / file.name)
    start(cluster)
    until(lambda: "signer.old_record" in reason(cluster), 30)
    assert not is_voting(cluster)
    start(cluster, "node-2")
    votes_again(cluster)


def test_a_deleted_record(cluster: Cluster) -> None:
    """No start without it, no new one made; after a repair the key is in quarantine until it is safe."""
    stop(cluster)
    home(cluster).consensus_log.unlink()
    refused = ledger_node("run", "--home", home(cluster).root)
    assert refused.returncode == 75
    assert str(home(cluster).consensus_log) in refused.stderr
    assert not home(cluster).consensus_log.exists()
    dry = ledger_node("repair", "--dry-run", "--home", home(cluster).root)
    assert (dry.returncode, home(cluster).consensus_log.exists()) == (0, False)
    assert ledger_node("repair", "--home", home(cluster).root).returncode == 0
    start(cluster)
    assert "signer.no_record" in reason(cluster)
    votes_again(cluster)


def test_the_record_of_another_node(cluster: Cluster) -> None:
    """Its floors and votes are another key's: nothing of it counts."""
    stop(cluster)
    stop(cluster, "node-2")
    other = Home(Path(cluster.testnet.file().node("node-2").home))
    shutil.copyfile(other.consensus_log, home(cluster).consensus_log)
    start(cluster, "node-2")
    start(cluster)
    assert "signer.other_key" in reason(cluster)
    votes_again(cluster)


@contextmanager
def beside(cluster: Cluster, copy: Path) -> Iterator[subprocess.Popen[str]]:
    """A second process, in a copy of the home, on other ports of this machine."""
    port = int(entry(cluster).p2p.rpartition(":")[2]) + 4_000
    ports = [f"127.0.0.1:{port + offset}" for offset in range(3)]
    command = [*node_command(), "run", "--home", str(copy)]
    for flag, address in zip(("--listen", "--admin", "--p2p"), ports, strict=True):
        command += [flag, address]
    with (copy.parent / "copy.log").open("w") as log:
        process = subprocess.Popen(
            command, env=node_environment(os.environ), stdout=log, stderr=subprocess.STDOUT, text=True
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def by_key(cluster: Cluster) -> list[int]:
    """The nodes by ascending key: of two connections that cross, the smaller key's survives (N1)."""
    keys = {peer["name"]: peer["public_key"] for node in (0, 1) for peer in cluster.status(node)["peers"]}
    return sorted(range(4), key=lambda index: keys[f"node-{index}"])


def test_a_copy_that_takes_the_originals_place(cluster: Cluster, tmp_path: Path) -> None:
    """The node with the smallest key: peers take the copy's connections for its own. The copy, in quarantine,
    notices the original by its signatures or by its connections, and ends with 78."""
    victim = by_key(cluster)[0]
    stop(cluster, f"node-{victim}")
    copy = tmp_path / "copy"
    original = Path(cluster.testnet.file().nodes[victim].home)
    shutil.copytree(original, copy)
    start(cluster, f"node-{victim}")
    until(lambda: cluster.status(victim)["is_voting"], 20)
    witness = (victim + 1) % 4
    with beside(cluster, copy) as process:
        end = time.monotonic() + EXIT_SECONDS
        while process.poll() is None and time.monotonic() < end:
            finalize(cluster, witness, count=1)
        assert process.poll() == 78, (tmp_path / "copy.log").read_text()[-2_000:]
    said = (tmp_path / "copy.log").read_text()
    assert "signer.second_holder" in said
    told = json.loads(ledger_node("doctor", "--home", copy, "--json").stdout)["sentence"]
    assert told.startswith("the node stopped itself: signer.second_holder")
    assert "ledger-node history reset" in told
    assert "is_signing=true" not in said, "it never signed"
    finalize(cluster, witness)
    until(lambda: cluster.status(victim)["is_voting"], 30)
    cluster.wait_equal(range(4), 60)


def test_a_copy_that_peers_refuse(cluster: Cluster, tmp_path: Path) -> None:
    """The node with the largest key: peers hold to the original. The copy hears little, and never signs."""
    victim = by_key(cluster)[-1]
    stop(cluster, f"node-{victim}")
    copy = tmp_path / "copy"
    shutil.copytree(Path(cluster.testnet.file().nodes[victim].home), copy)
    start(cluster, f"node-{victim}")
    until(lambda: cluster.status(victim)["is_voting"], 20)
    with beside(cluster, copy) as process:
        end = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < end:
            finalize(cluster, (victim + 1) % 4, count=1)
        assert process.poll() in (None, 78)
    assert "is_signing=true" not in (tmp_path / "copy.log").read_text()
    assert cluster.status(victim)["is_voting"]
    cluster.wait_equal(range(4), 60)


def test_a_validator_moves_to_a_new_home(cluster: Cluster, tmp_path: Path) -> None:
    """With its history it votes at once there, out of quarantine; the old home never signs again."""
    finalize(cluster)
    stop(cluster)
    old, file = tmp_path / "old", tmp_path / "history.json"
    exported = ledger_node("history", "export", file, "--home", home(cluster).root, "--json")
    assert exported.returncode == 0, exported.stderr
    assert json.loads(exported.stdout)["floor"]["view"] > 0
    place = home(cluster)
    place.root.rename(old)
    place.make()
    for part in ("keys", "tls"):
        shutil.copytree(old / part, place.root / part, dirs_exist_ok=True)
    for part in ("genesis.json", "node.toml"):
        shutil.copyfile(old / part, place.root / part)
    found_data(place, read_genesis(place.genesis), None)
    imported = ledger_node("history", "import", file, "--home", place.root, "--json")
    assert json.loads(imported.stdout)["quarantine"] == ""
    start(cluster)
    until(lambda: is_voting(cluster), 30)
    assert "signer." not in reason(cluster)
    votes_again(cluster)
    again = ledger_node("history", "import", file, "--home", old, "--json")
    assert again.returncode == 0, "its own history, back in the old home, is as new as all that it knows"
