"""Ballots, seats, parameters and previews over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.governance.changes import Change, ChangeParameters, GrantUnits, RemoveSeat, RemoveValidator
from contracts.governance.settings import Setting
from contracts.governance.voting import Propose, Vote
from ledger.codec import Canonical, encode
from ledger.readable import to_readable
from node.service import PeerStatus
from tests.contracts.chain import DAY_MS, START_MS, key_of
from tests.contracts.governance.council import admission, make_council
from tests.contracts.staking.stage import make_stage, voter
from tests.node.api.fakes import FakeNode, Running, running


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Running]:
    """A node of a chain with four validators, connected to all but node-2; five organisations have seats."""
    node = FakeNode(make_stage().genesis)
    node.peers = tuple(
        PeerStatus(f"node-{number}", "validator", key_of(f"node-{number}").public, number != 2, "")
        for number in range(1, 4)
    )
    async with running(tmp_path, node=node) as site:
        yield site


async def get(site: Running, path: str, status: int = 200) -> dict[str, Any]:
    async with site.client.get(site.url(path)) as answer:
        found: dict[str, Any] = await answer.json()
        assert answer.status == status, found
        return found


async def call(site: Running, organisation: str, method: str, arguments: Canonical) -> None:
    """One call of the contract in a block of its own."""
    sent = site.node.sign(f"{organisation}/admin", "governance", method, arguments)
    (receipt,) = (await site.node.seal([sent])).receipts
    assert receipt.code == ""


async def propose(site: Running, change: Change, organisation: str = "farm") -> None:
    closes_ms = site.node.status().time_ms + DAY_MS
    await call(site, organisation, "propose", Propose(change, closes_ms, "because"))


async def test_a_ballot_from_proposal_to_end(site: Running) -> None:
    """Who said what, how many are needed, and what came of it."""
    await propose(site, GrantUnits("shop", 7))
    opened = await get(site, "/v1/ballots/1")
    assert opened == {
        "number": 1,
        "proposer": "farm",
        "reason": "because",
        "change": {"type": "grant_units", "organisation": "shop", "units": 7},
        "status": "open",
        "yes": ["farm"],
        "no": [],
        "seats": 5,
        "needed": 4,
        "opened_height": 1,
        "closes_ms": START_MS + DAY_MS,
        "settled_height": None,
        "code": "",
        "pointer": "",
    }
    for organisation in ("packer", "carrier", "center"):
        await call(site, organisation, "vote", Vote(1, True))
    ended = await get(site, "/v1/ballots/1")
    assert (ended["status"], ended["settled_height"]) == ("enacted", 4)


async def test_a_failed_ballot_says_why(site: Running) -> None:
    """The code is that of the refusal."""
    for organisation in ("farm", "packer"):
        await propose(site, RemoveValidator(voter(3).public), organisation)
    for number in (1, 2):
        for organisation in ("farm", "packer", "carrier", "center", "shop"):
            sent = site.node.sign(f"{organisation}/admin", "governance", "vote", Vote(number, True))
            await site.node.seal([sent])
    found = await get(site, "/v1/ballots/2")
    assert (found["status"], found["code"], found["pointer"]) == (
        "failed",
        "validator.removed",
        "/public_key",
    )


async def test_a_ballot_is_over_for_readers_at_its_close(site: Running) -> None:
    """Whether or not its record says so already."""
    closes_ms = site.node.status().time_ms + 2000
    await call(site, "farm", "propose", Propose(GrantUnits("shop", 7), closes_ms, ""))
    assert (await get(site, "/v1/ballots/1"))["status"] == "open"
    await site.node.seal()
    assert (await get(site, "/v1/ballots/1"))["status"] == "expired"


async def test_pages_of_ballots(site: Running) -> None:
    """The newest first, each once, to the end."""
    for organisation in ("farm", "packer", "shop"):
        await propose(site, GrantUnits("shop", 7), organisation)
    first = await get(site, "/v1/ballots?limit=2")
    assert [each["number"] for each in first["ballots"]] == [3, 2]
    second = await get(site, first["next"])
    assert ([each["number"] for each in second["ballots"]], second["next"]) == ([1], None)
    assert (await get(site, "/v1/ballots?before=1"))["ballots"] == []


async def test_no_ballots_yet(site: Running) -> None:
    """A list that is empty, and a number that nobody has proposed."""
    assert await get(site, "/v1/ballots") == {"ballots": [], "next": None}
    assert (await get(site, "/v1/ballots/1", 404))["code"] == "ballot.unknown"
    for bad in ("0", "-1", "01", "one", str(2**53)):
        assert (await get(site, f"/v1/ballots/{bad}", 400))["code"] == "parameter.invalid"


async def test_seats_now_and_after_the_turn(site: Running) -> None:
    """What was decided shows before it is in force."""
    await propose(site, RemoveSeat("shop"))
    for organisation in ("packer", "carrier", "center"):
        await call(site, organisation, "vote", Vote(1, True))
    found = await get(site, "/v1/seats")
    assert found["seats"] == ["carrier", "center", "farm", "packer", "shop"]
    assert (found["needed"], found["next"]) == (4, ["carrier", "center", "farm", "packer"])


async def test_parameters_now_and_after_the_turn(site: Running) -> None:
    """Those in force, and those that were chosen, null where none were."""
    now = to_readable(site.node.genesis.parameters)
    assert await get(site, "/v1/parameters") == {"epoch": 0, "parameters": now, "next": None}
    await propose(site, ChangeParameters((Setting("staking.jail_epochs", 9),)))
    for organisation in ("packer", "carrier", "center"):
        await call(site, organisation, "vote", Vote(1, True))
    chosen = (await get(site, "/v1/parameters"))["next"]
    assert chosen["staking"]["jail_epochs"] == 9
    assert chosen["consensus"] == now["consensus"]


# --- previews -------------------------------------------------------------------------------------------


async def test_a_preview_of_a_removal_that_would_stop_the_chain(site: Running) -> None:
    """node-2 is not connected: without node-3 as well there is no quorum, and the answer says so."""
    change = encode(RemoveValidator(voter(3).public)).hex()
    found = await get(site, f"/v1/validators/preview?change={change}")
    assert found["change"] == {"type": "remove_validator", "public_key": voter(3).public.hex()}
    now, then = found["stages"]
    assert (now["total_stake"], now["quorum_stake"], now["up_stake"], now["failures"]) == (400, 267, 300, 1)
    assert (then["turns"], then["total_stake"], then["quorum_stake"], then["up_stake"]) == (1, 300, 201, 200)
    assert (then["failures"], then["needed"]) == (0, ["node-0", "node-1", "node-2"])
    assert then["organisations"][0] == {"organisation": "carrier", "stake": 100}
    assert [each["is_up"] for each in found["validators"]] == [True, True, False, True]
    assert [(each["code"], each["turns"], each["is_warning"]) for each in found["dangers"]] == [
        ("outlook.no_quorum", 1, False),
        ("outlook.no_failure", 1, True),
    ]
    assert found["is_complete"]


async def test_a_preview_without_a_change_shows_where_the_chain_is_heading(site: Running) -> None:
    """Nothing decided: the set in force alone, and no danger."""
    found = await get(site, "/v1/validators/preview")
    assert (found["change"], len(found["stages"]), found["dangers"]) == (None, 1, [])


async def test_who_signs_too_little_is_not_known_to_be_up(site: Running) -> None:
    """Connected, but in none of the certificates of this epoch: as if it were down."""
    for _ in range(6):
        await site.node.seal()  # with certificates of node-0 alone
    found = await get(site, "/v1/validators/preview")
    by_node = {each["node"]: each for each in found["validators"]}
    assert [by_node[f"node-{number}"]["is_up"] for number in range(4)] == [True, False, False, False]
    assert (by_node["node-0"]["signed"], by_node["node-1"]["signed"]) == (5, 0)
    assert (by_node["node-1"]["certificates"], by_node["node-1"]["is_connected"]) == (5, True)


async def test_a_preview_of_a_newcomer(site: Running) -> None:
    """It is up when its node is connected: it can't have signed."""
    change = encode(admission(make_council(), 14, 100)).hex()
    found = await get(site, f"/v1/validators/preview?change={change}")
    newcomer = found["validators"][-1]
    assert (newcomer["node"], newcomer["organisation"], newcomer["is_up"]) == ("node-14", "shop", False)
    site.node.peers = (*site.node.peers, PeerStatus("node-14", "observer", bytes(32), True, ""))
    found = await get(site, f"/v1/validators/preview?change={change}")
    assert found["validators"][-1]["is_up"]


async def test_a_change_that_would_be_refused_is_refused(site: Running) -> None:
    """With the code and the pointer that the chain would answer with."""
    change = encode(RemoveValidator(voter(14).public)).hex()
    found = await get(site, f"/v1/validators/preview?change={change}", 404)
    assert (found["code"], found["pointer"]) == ("validator.unknown", "/public_key")


@pytest.mark.parametrize(
    "change",
    ["", "zz", "C0", "c0", "93", "92a8616464", encode(["add_seat", "x", 1]).hex(), "00" * 3500],
)
async def test_what_is_no_change(site: Running, change: str) -> None:
    """Not hex, not canonical, of no kind, too long: the parameter is to blame."""
    found = await get(site, f"/v1/validators/preview?change={change}", 400)
    assert found["code"] == "parameter.invalid"
