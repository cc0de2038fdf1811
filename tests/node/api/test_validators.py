"""Who votes, over REST: the set now with how each stands, the set then, and who was slashed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.staking.bonding import UnbondUnits
from contracts.staking.reporting import Report
from ledger.consensus.timeouts import ConsensusParameters
from ledger.evidence import decode_evidence, evidence_id
from ledger.genesis import Parameters
from tests.contracts.staking.stage import STAKING, double_vote, make_stage, voter
from tests.node.api.fakes import FakeNode, Running, running

EPOCH_BLOCKS = 6


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Running]:
    """A node of a chain with four validators; only the first of them signs certificates."""
    consensus = ConsensusParameters(epoch_blocks=EPOCH_BLOCKS)
    document = msgspec.structs.replace(
        make_stage().genesis, parameters=Parameters(consensus=consensus, staking=STAKING)
    )
    async with running(tmp_path, node=FakeNode(document)) as site:
        yield site


async def validators(site: Running, query: str = "") -> dict[str, Any]:
    async with site.client.get(site.url(f"/v1/validators{query}")) as answer:
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


async def test_the_set_in_force_and_its_quorum(site: Running) -> None:
    """Epoch, stakes, and the least stake that makes a certificate."""
    await site.node.seal()
    found = await validators(site)
    assert (found["height"], found["epoch"], found["certificates"]) == (2, 0, 0)
    assert (found["total_stake"], found["quorum_stake"]) == (400, 267)
    assert [each["node"] for each in found["validators"]] == [f"node-{number}" for number in range(4)]
    assert found["validators"][3] == {
        "index": 3,
        "node": "node-3",
        "public_key": voter(3).public.hex(),
        "stake": 100,
        "standing": {
            "organisation": "center",
            "status": "active",
            "next_stake": 100,
            "bonded": 100,
            "leaving": 0,
            "unbonding": [],
            "signed": 0,
            "absences": 0,
            "jailed_until": None,
        },
    }
    assert (found["others"], found["slashed"]) == ([], [])


async def test_what_the_next_turn_will_do_is_shown_before_it(site: Running) -> None:
    """A validator that leaves and one that lied, before the turn and after it."""
    node = site.node
    evidence = double_vote(node.chain_id, voter(2), 0, make_stage().voters)
    await node.seal(
        [
            node.sign("packer/admin", "staking", "unbond", UnbondUnits(voter(1).public, 30)),
            node.sign("shop/operator", "staking", "report", Report(evidence)),
        ]
    )
    found = await validators(site)
    standings = {each["node"]: each["standing"] for each in found["validators"]}
    assert [standings[f"node-{number}"]["status"] for number in range(4)] == [
        "active", "active", "slashed", "active",
    ]  # fmt: skip
    assert [standings[f"node-{number}"]["next_stake"] for number in range(4)] == [100, 70, 0, 100]
    assert (standings["node-1"]["bonded"], standings["node-1"]["leaving"]) == (70, 30)
    assert found["slashed"] == [
        {
            "public_key": voter(2).public.hex(),
            "node": "node-2",
            "evidence": evidence_id(decode_evidence(evidence)).hex(),
            "height": 1,
            "burned": 100,
        }
    ]
    while node.head()[0] < EPOCH_BLOCKS:
        await node.seal()
    found = await validators(site)
    assert (found["epoch"], found["total_stake"], found["quorum_stake"]) == (1, 270, 181)
    assert [(each["index"], each["node"]) for each in found["validators"]] == [
        (0, "node-0"), (1, "node-1"), (2, "node-3"),
    ]  # fmt: skip
    assert found["validators"][1]["standing"]["unbonding"] == [{"release_epoch": 4, "units": 30}]
    assert [each["node"] for each in found["slashed"]] == ["node-2"]


async def test_attendance_is_counted_as_the_epoch_goes(site: Running) -> None:
    """Certificates of this epoch, how many each signed, and who was sent to jail for them."""
    node = site.node
    for _ in range(4):
        await node.seal()
    found = await validators(site)
    assert found["certificates"] == 3
    assert [each["standing"]["signed"] for each in found["validators"]] == [3, 0, 0, 0]
    while node.head()[0] < 2 * EPOCH_BLOCKS:
        await node.seal()
    found = await validators(site)
    (jailed,) = found["others"]
    assert (jailed["index"], jailed["stake"]) == (None, 0)
    assert (jailed["standing"]["status"], jailed["standing"]["jailed_until"]) == ("jailed", 5)
    assert {each["standing"]["absences"] for each in found["validators"]} == {0, 2}


async def test_the_set_of_a_final_block_as_long_as_it_is_kept(site: Running) -> None:
    """Its own epoch's set, without what is true only now; then it is unknown."""
    node = site.node
    await node.seal([node.sign("packer/admin", "staking", "unbond", UnbondUnits(voter(1).public, 30))])
    while node.head()[0] < EPOCH_BLOCKS + 1:
        await node.seal()
    for height, epoch, total in ((0, 0, 400), (1, 0, 400), (6, 0, 400), (7, 1, 370), (8, 1, 370)):
        found = await validators(site, f"?height={height}")
        assert (found["height"], found["epoch"], found["total_stake"]) == (height, epoch, total)
    then = await validators(site, "?height=6")
    assert then["certificates"] is None
    assert all(each["standing"] is None for each in then["validators"])
    while node.head()[0] < 3 * EPOCH_BLOCKS:
        await node.seal()
    for height in (6, 99):
        async with site.client.get(site.url(f"/v1/validators?height={height}")) as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "validators.unknown")
