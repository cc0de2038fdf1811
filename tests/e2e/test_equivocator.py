"""Validators that sign against the rules, as real processes: caught, slashed, out for good, and nobody else.

The liar is `network.chaos.liar`: an ordinary node whose wire tells one lie by its key.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from ledger.consensus.timeouts import ConsensusParameters
from ledger.evidence import Offence
from ledger.genesis import Parameters, StakingParameters
from network.testnet.plan import STAKE
from network.testnet.testnet import node_command, node_environment
from tests.e2e.cluster import Cluster, running, until
from tests.e2e.console import farmgate
from tests.e2e.test_governance import Load, Person

pytestmark = pytest.mark.e2e

LOG = logging.getLogger(__name__)
# Evidence is reported within a few turns of five seconds (EV14), by the clock; so epochs go by the clock too.
EPOCH_MS = 15_000
EPOCHS_MAX = 2  # from the first lie until the liar is out of the set
TURN_SECONDS = 60
LIAR, OWNER = "node-3", "corner-market"
LIE = re.compile(r"event=lie offence=(\w+) epoch=(\d+) view=(\d+)")


def parameters(permille: int) -> Parameters:
    """Short epochs, and this penalty."""
    return Parameters(
        consensus=ConsensusParameters(epoch_ms=EPOCH_MS),
        staking=StakingParameters(equivocation_penalty_permille=permille),
    )


def log_of(cluster: Cluster, name: str) -> str:
    return Path(cluster.testnet.file().node(name).log).read_text()


def first_lie(cluster: Cluster, name: str) -> tuple[str, int]:
    """What the liar itself says of its first lie: the offence and its epoch."""
    found = until(lambda: LIE.search(log_of(cluster, name)), TURN_SECONDS)
    return found[1], int(found[2])


def validators(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get(0, "/v1/validators")
    return found


def wait_out(cluster: Cluster, liars: Mapping[str, Offence]) -> dict[str, Any]:
    """Wait for a set without the liars; the answer that shows it."""

    def found() -> dict[str, Any] | None:
        said = validators(cluster)
        return None if liars.keys() & {each["node"] for each in said["validators"]} else said

    shown: dict[str, Any] = until(found, TURN_SECONDS)
    return shown


def check_named(cluster: Cluster, home: Path, name: str, offence: Offence) -> None:
    """An honest node's `evidence list` and `show` name the liar and its offence."""
    asked = ("--node", cluster.apis[0], "--json", "evidence")
    listed = farmgate(*asked, "list", home=home)
    assert listed.code == 0, listed.err
    mine = [each for each in listed.json["evidence"] if each["node"] == name]
    assert {each["offence"] for each in mine} == {offence.value}
    shown = farmgate(*asked, "show", mine[0]["id"], home=home)
    assert shown.code == 0, shown.err  # it has verified the signatures itself
    assert (shown.json["node"], shown.json["offence"]) == (name, offence.value)
    assert mine[0]["is_reported"]


def is_slashed_as_chosen(cluster: Cluster, name: str, permille: int) -> bool:
    """Whether the penalty, rounded up, was burned once for each epoch of which evidence is in a block."""
    burned = sum(each["burned"] for each in validators(cluster)["slashed"] if each["node"] == name)
    units = STAKE
    for each in cluster.get(0, "/v1/evidence?limit=100")["evidence"]:
        if each["node"] == name and each["is_reported"]:
            units = units * (1000 - permille) // 1000
    return bool(0 < burned == STAKE - units)


def check_chain(cluster: Cluster, reported: list[str], nodes: int) -> None:
    """All nodes, the liars' own too, hold one chain; nothing that was reported final is lost or doubled."""
    height = cluster.wait_equal(range(nodes), 60)
    # A late report may add a block while one chain after the other is read.
    chains = [list(islice(cluster.blocks(node), height)) for node in range(nodes)]
    assert [len(chain) for chain in chains] == [height] * nodes
    assert len({tuple(block["id"] for block in chain) for chain in chains}) == 1
    seen = Counter(each["id"] for block in chains[0] for each in block["transactions"])
    assert reported
    assert set(reported) <= set(seen)
    assert max(seen.values()) == 1


def punish(cluster: Cluster, liars: Mapping[str, Offence], home: Path, permille: int) -> None:
    """Under load: each liar is named, slashed and out within two epochs of its first lie; nobody else is."""
    lies = {name: first_lie(cluster, name) for name in liars}
    out = wait_out(cluster, liars)
    heights = {each["node"]: each["height"] for each in out["slashed"]}
    assert heights.keys() == liars.keys()
    for name, offence in liars.items():
        said, epoch = lies[name]
        assert said == offence.value
        reported_in = cluster.get(0, f"/v1/blocks/{heights[name]}")["header"]["epoch"]
        assert out["epoch"] <= epoch + EPOCHS_MAX
        check_named(cluster, home, name, offence)
        until(partial(is_slashed_as_chosen, cluster, name, permille), TURN_SECONDS)
        LOG.info("%s %s lied=%d reported=%d out=%d", name, said, epoch, reported_in, out["epoch"])
    honest = {each["node"]: each for each in out["validators"]}
    assert honest.keys() == {entry.name for entry in cluster.testnet.file().nodes} - liars.keys()
    assert {each["stake"] for each in honest.values()} == {STAKE}
    assert {each["standing"]["status"] for each in honest.values()} == {"active"}


def goes_on(cluster: Cluster, load: Load) -> None:
    """More becomes final than there is."""
    height, count = int(cluster.status(0)["height"]), len(load.reported)
    until(lambda: int(cluster.status(0)["height"]) > height + 2 and len(load.reported) > count, TURN_SECONDS)


@pytest.mark.parametrize(
    "offences",
    [
        (Offence.TWO_NOTARIZE_VOTES, Offence.TWO_PROPOSALS),
        (Offence.NULLIFY_AND_FINALIZE, Offence.PROPOSAL_OUT_OF_TURN),
    ],
    ids=lambda offences: "-".join(each.value for each in offences),
)
def test_two_of_seven_lie(offences: tuple[Offence, ...], tmp_path: Path) -> None:
    """Just below a third of the stake lies, each in its own way; the penalty is all that they have."""
    liars = dict(zip(("node-5", "node-6"), offences, strict=True))
    with running(tmp_path / "net", 7, parameters=parameters(1000), liars=liars) as cluster:
        load = Load(cluster)
        with load.running():
            punish(cluster, liars, tmp_path / "person", 1000)
            goes_on(cluster, load)
        check_chain(cluster, load.reported, 7)


def test_two_proposals_shown_apart(tmp_path: Path) -> None:
    """Two are shown one proposal and the third another, so nobody was shown both: they find out (N7)."""
    liars = {LIAR: Offence.TWO_PROPOSALS}
    with running(tmp_path / "net", parameters=parameters(1000), liars=liars, is_apart=True) as cluster:
        load = Load(cluster, range(3))
        with load.running():
            punish(cluster, liars, tmp_path / "person", 1000)
            goes_on(cluster, load)
        check_chain(cluster, load.reported, 4)


def refused(cluster: Cluster, home: Path, code: str, *words: str) -> None:
    """A command of the liar's organisation is refused with this code."""
    said = Person(cluster, OWNER, home)("validator", *words)
    assert said.code != 0, said.out
    assert json.loads(said.err.splitlines()[-1])["error"]["code"] == code


def proof_of(cluster: Cluster) -> str:
    """The request to let the liar's old key vote, made on its host."""
    home = cluster.testnet.file().node(LIAR).home
    done = subprocess.run(
        [*node_command(), "key", "proof", "--home", home, "--organisation", OWNER, "--json"],
        env=node_environment(os.environ), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert not said["is_new"]
    return str(said["registration"])


@pytest.mark.parametrize(
    ("offence", "permille", "code"),
    [
        (Offence.TWO_FINALIZE_VOTES, 400, "validator.slashed"),  # what is left of its stake is on its way out
        (Offence.NOTARIZE_AND_FINALIZE, 1000, "validator.unknown"),  # nothing is left: it is off the roll
    ],
)
def test_a_liar_cannot_come_back(offence: Offence, permille: int, code: str, tmp_path: Path) -> None:
    """Its organisation tries every way, also with an honest process in its place: each is refused."""
    home, liars = tmp_path / "person", {LIAR: offence}
    with running(tmp_path / "net", parameters=parameters(permille), liars=liars) as cluster:
        load = Load(cluster, range(3))
        with load.running():
            punish(cluster, liars, home, permille)
            refused(cluster, home, code, "unjail", LIAR)
            cluster.testnet.kill_node(LIAR)
            request = proof_of(cluster)
            cluster.testnet.start_node(LIAR)
            for words in (("unjail", LIAR), ("bond", LIAR, "1"), ("weight", LIAR, "10")):
                refused(cluster, home, code, *words)
            refused(cluster, home, "validator.slashed", "add", request, "--units", "10")
            goes_on(cluster, load)
            assert not cluster.status(3)["is_voting"]
            known = validators(cluster)
        check_chain(cluster, load.reported, 4)
    stands = [each for each in known["others"] if each["node"] == LIAR]
    assert {(each["stake"], each["standing"]["next_stake"]) for each in stands} <= {(0, 0)}
    assert len(stands) == (code == "validator.slashed")
    assert LIAR not in {each["node"] for each in known["validators"]}
