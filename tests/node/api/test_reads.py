"""What /v1 tells of the chain, its members and its items; tags, heights and pages."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from contracts.epcis.event_hash import event_hash
from contracts.genesis import genesis_block
from ledger.block import Header, block_id, decode_block
from ledger.codec import encode
from ledger.genesis import Genesis
from ledger.readable import from_readable
from tests.contracts.chain import key_of
from tests.contracts.provenance.story import CASES, HARVEST, PACKED, PALLET, chapters
from tests.node.api.fakes import Running


async def get(site: Running, path: str, status: int = 200, **headers: str) -> Any:
    async with site.client.get(site.url(path), headers=headers) as answer:
        text = await answer.text()
        assert answer.status == status, text
        return json.loads(text, parse_float=Decimal)


async def test_status(told: Running) -> None:
    """Where the node stands, in the fields that clients rely on."""
    found = await get(told, "/v1/status")
    height, identifier = told.node.head()
    assert found["height"] == height == len(chapters())
    assert found["block_id"] == identifier.hex()
    assert found["chain_id"] == told.node.chain_id.hex()
    assert {"node", "role", "state_root", "epoch", "view", "lag_blocks", "peers", "version"} <= found.keys()


async def test_block_by_height_and_id(told: Running) -> None:
    """A block is the same by height and by id; its id is the hash of the header that is shown."""
    by_height = await get(told, "/v1/blocks/4")
    assert await get(told, f"/v1/blocks/{by_height['id']}") == by_height
    header = from_readable(by_height["header"], Header)
    assert block_id(header).hex() == by_height["id"]
    assert by_height["certificate"]["block_id"] == by_height["id"]
    assert by_height["certificate"]["signatures"][0]["node"] == "node-0"
    (transaction,) = by_height["transactions"]
    assert (transaction["contract"], transaction["status"]) == ("provenance", "accepted")
    assert len(transaction["events"]) == header.event_count == 2
    genesis = await get(told, "/v1/blocks/0")
    assert genesis["certificate"] is None
    assert genesis["id"] == block_id(genesis_block(told.node.genesis)[0]).hex()


async def test_block_as_bytes(told: Running) -> None:
    """`Accept` brings the canonical bytes, from which everything can be checked again."""
    headers = {"Accept": "application/vnd.farmgate.block"}
    async with told.client.get(told.url("/v1/blocks/3"), headers=headers) as answer:
        block = decode_block(await answer.read())
        assert answer.headers["Content-Type"] == "application/vnd.farmgate.block"
    record = told.node.block(block.header.height)  # type: ignore[arg-type]  # a plain number
    assert record is not None
    assert block == record.block


async def test_blocks_in_pages(told: Running) -> None:
    """Pages lead from the newest block to genesis, each block once."""
    heights: list[int] = []
    path: str | None = "/v1/blocks?limit=4"
    while path is not None:
        page = await get(told, path)
        heights += [block["height"] for block in page["blocks"]]
        path = page["next"]
    assert heights == list(range(len(chapters()), -1, -1))
    at = await get(told, "/v1/blocks?limit=2&at=3")
    assert [block["height"] for block in at["blocks"]] == [3, 2]
    assert at["next"].endswith("at=3")


async def test_validators_and_genesis(told: Running) -> None:
    """Who votes, and the document whose bytes the chain's id is the hash of."""
    found = await get(told, "/v1/validators?height=2")
    (voter,) = found["validators"]
    assert (voter["index"], voter["node"], voter["stake"]) == (0, "node-0", 1)
    assert (await get(told, "/v1/validators"))["height"] == len(chapters()) + 1
    genesis = await get(told, "/v1/genesis")
    assert genesis["bytes"] == encode(told.node.genesis).hex()
    assert from_readable(genesis["genesis"], Genesis) == told.node.genesis


async def test_members(told: Running) -> None:
    """Organisations in pages, their keys and sites, a key by itself, the nodes."""
    first = await get(told, "/v1/organisations?limit=2")
    rest = await get(told, first["next"])
    names = [each["id"] for each in first["organisations"] + rest["organisations"]]
    assert names[:4] == ["farm", "packer", "carrier", "center"]
    assert (await get(told, "/v1/organisations/packer"))["gs1_prefixes"] == ["952001"]
    keys = await get(told, "/v1/organisations/farm/keys")
    assert {each["label"] for each in keys["keys"]} == {"admin", "operator", "gateway"}
    sites = await get(told, "/v1/organisations/farm/sites")
    assert sites["sites"][0]["id"] == "https://id.gs1.org/414/9520000000011"
    key = await get(told, f"/v1/keys/{key_of('shop/operator').public.hex()}")
    assert (key["organisation"], key["roles"], key["revoked_height"]) == ("shop", ["operator"], 0)
    nodes = await get(told, "/v1/nodes")
    assert [(each["name"], each["is_connected"]) for each in nodes["nodes"]] == [("node-0", True)]


async def test_item_by_path_and_query(told: Running) -> None:
    """An item is the same in the path, as a query, and in every spelling of its identifier."""
    by_path = await get(told, f"/v1/items/{quote(CASES[0], safe='')}")
    assert await get(told, f"/v1/items?id={quote(CASES[0], safe='')}") == by_path
    assert await get(told, "/v1/items/urn:epc:id:sgtin:952001.0000008.C0") == by_path
    assert (by_path["kind"], by_path["status"], by_path["maker"]) == ("instance", "sold", "packer")
    lot = await get(told, f"/v1/items/{quote(PACKED, safe='')}")
    assert lot["totals"][0] == {
        "uom": "KGM", "produced": "195.25", "consumed": "0", "destroyed": "0", "sold": "0",
    }  # fmt: skip


async def test_history_in_pages(told: Running) -> None:
    """An item's events oldest first, each with the EPCIS event itself, its block and who captured it."""
    whole = await get(told, f"/v1/items/{quote(CASES[0], safe='')}/history?limit=100")
    assert whole["next"] is None
    assert whole["total"] == len(whole["lines"])
    assert [line["organisation"] for line in whole["lines"]][:2] == ["packer", "packer"]
    assert whole["lines"][0]["event"]["outputQuantityList"][0]["quantity"] == Decimal("195.25")
    assert "output" in whole["lines"][0]["parts"]
    lines: list[Any] = []
    path: str | None = f"/v1/items/{quote(CASES[0], safe='')}/history?limit=2"
    while path is not None:
        page = await get(told, path)
        lines += page["lines"]
        path = page["next"]
    assert lines == whole["lines"]
    early = await get(told, f"/v1/items/{quote(CASES[0], safe='')}/history?at=4")
    assert [line["place"]["height"] for line in early["lines"]] == [4, 4]


async def test_history_tells_the_cbv_event_hash(told: Running) -> None:
    """Each event comes with the hash that its reader finds in it, and that its capturer found before."""
    found = await get(told, f"/v1/items/{quote(CASES[0], safe='')}/history?limit=100")
    names = [line["cbv_event_hash"] for line in found["lines"]]
    assert names == [event_hash(line["event"]) for line in found["lines"]]
    captured = [event_hash(event) for _, events in chapters() for event in events]
    assert set(names) <= set(captured)
    assert len(set(names)) == len(names) > 3


async def test_trace_names_its_events(told: Running) -> None:
    """Up from a case to both harvests; each edge's event says who captured it and where it stands."""
    found = await get(told, f"/v1/items/{quote(CASES[0], safe='')}/trace?direction=up")
    assert set(HARVEST) <= {node["id"] for node in found["nodes"]}
    assert found["is_complete"]
    events = {tuple(event["place"].values()): event for event in found["events"]}
    for edge in found["edges"]:
        event = events[tuple(edge["place"].values())]
        assert event["organisation"] in ("packer", "center")
        assert event["event_time_ms"] == edge["event_time_ms"]
    shallow = await get(told, f"/v1/items/{quote(CASES[0], safe='')}/trace?direction=up&depth=1&nodes=2")
    assert not shallow["is_complete"]
    assert len(shallow["nodes"]) <= 2


async def test_contents(told: Running) -> None:
    """What a container holds now."""
    found = await get(told, f"/v1/items/{quote(PALLET, safe='')}/contents")
    assert (found["contents"], found["is_complete"]) == ([], True)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/blocks/99", 404, "block.unknown"),
        ("/v1/blocks/" + "0" * 64, 404, "block.unknown"),
        ("/v1/blocks/-1", 400, "parameter.invalid"),
        ("/v1/blocks/01", 400, "parameter.invalid"),
        ("/v1/blocks/1e3", 400, "parameter.invalid"),
        ("/v1/blocks/9007199254740992", 400, "parameter.invalid"),
        ("/v1/blocks/5?at=4", 404, "block.unknown"),
        ("/v1/blocks/5?at=99", 404, "at.in_future"),
        ("/v1/blocks?limit=0", 400, "parameter.invalid"),
        ("/v1/blocks?limti=1", 400, "parameter.unknown"),
        ("/v1/blocks?limit=1&limit=2", 400, "parameter.repeated"),
        ("/v1/validators?height=999", 404, "validators.unknown"),
        ("/v1/items/urn:x:nothing", 404, "item.unknown"),
        ("/v1/items/nothing", 400, "identifier.not_uri"),
        ("/v1/items", 400, "parameter.missing"),
        ("/v1/items/%00", 400, "parameter.invalid"),
        ("/v1/items/urn:x:a?at=3", 410, "at.not_kept"),
        ("/v1/items/urn:x:a/trace?direction=left", 400, "parameter.invalid"),
        ("/v1/items/urn:x:a/history?cursor=x", 400, "parameter.invalid"),
        ("/v1/keys/" + "ab" * 32, 404, "key.unknown"),
        ("/v1/organisations/nobody", 404, "organisation.unknown"),
        ("/v1/organisations/nobody/keys", 404, "organisation.unknown"),
        ("/v1/organisations/No%20Body", 400, "parameter.invalid"),
        ("/v1/../etc/passwd", 404, "route.unknown"),
        ("/v1/%2e%2e/%2e%2e/etc/passwd", 404, "route.unknown"),
        ("//v1/status", 404, "route.unknown"),
        ("/", 404, "route.unknown"),
    ],
)
async def test_reads_that_are_refused(told: Running, path: str, status: int, code: str) -> None:
    """What is not there, not kept or not readable has its code and status."""
    problem = await get(told, path, status)
    assert (problem["code"], problem["status"]) == (code, status)


async def test_answers_carry_height_and_tag(told: Running) -> None:
    """A client that has the answer gets 304, with the height; a new block brings a new answer."""
    async with told.client.get(told.url("/v1/status")) as answer:
        tag, height = answer.headers["ETag"], answer.headers["X-Ledger-Height"]
    async with told.client.get(told.url("/v1/status"), headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304
        assert await answer.read() == b""
        assert answer.headers["X-Ledger-Height"] == height
    await told.node.seal([])
    async with told.client.get(told.url("/v1/status"), headers={"If-None-Match": tag}) as answer:
        assert answer.status == 200
        assert int(answer.headers["X-Ledger-Height"]) == int(height) + 1
    async with told.client.get(told.url("/v1/status"), headers={"If-None-Match": '"'}) as answer:
        assert answer.status == 200
