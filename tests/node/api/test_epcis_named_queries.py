"""Named queries: kept durably and bounded, asked by name, made and removed by who holds a token."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ledger.errors import LedgerError
from node.api.epcis import named_queries
from node.api.epcis.named_queries import FILE_NAME, NamedQueries
from node.api.tokens import Scope, new_token
from node.store.disk import LocalDisk
from node.store.memory_disk import MemoryDisk
from tests.contracts.chain import START_MS
from tests.node.api.fakes import Running, running

SHIPPED = {"name": "shipped", "query": {"EQ_bizStep": ["shipping"], "eventType": ["ObjectEvent"]}}


def bearer(site: Running, *scopes: Scope) -> dict[str, str]:
    _, secret = new_token(site.home, "test", scopes or (Scope.READ,), START_MS)
    return {"Authorization": f"Bearer {secret}"}


async def post(site: Running, body: Any, headers: dict[str, str] | None) -> tuple[int, Any, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    async with site.client.post(site.url("/epcis/queries"), data=data, headers=sent) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if text else None, answer.headers.get("Location")


async def get(site: Running, path: str) -> tuple[int, Any, str | None]:
    async with site.client.get(site.url(path)) as answer:
        link = answer.headers.get("Link")
        return answer.status, json.loads(await answer.text()), link and link.split(">")[0][1:]


async def test_a_query_lives_from_post_to_delete(told: Running) -> None:
    """A query is made, listed, shown, asked, and gone after it was deleted."""
    token = bearer(told)
    assert await post(told, SHIPPED, token) == (201, None, "/epcis/queries/shipped")
    assert (await get(told, "/epcis/queries"))[1] == [SHIPPED]
    assert (await get(told, "/epcis/queries/shipped"))[1] == SHIPPED
    _, direct, _ = await get(told, "/epcis/events?EQ_bizStep=shipping&eventType=ObjectEvent&perPage=100")
    found: list[Any] = []
    following: str | None = "/epcis/queries/shipped/events?perPage=2"
    while following is not None:
        _, page, following = await get(told, following)
        assert page["epcisBody"]["queryResults"]["queryName"] == "shipped"
        found += page["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert found == direct["epcisBody"]["queryResults"]["resultsBody"]["eventList"] != []
    async with told.client.delete(told.url("/epcis/queries/shipped"), headers=token) as answer:
        assert answer.status == 204
    for path in ("/epcis/queries/shipped", "/epcis/queries/shipped/events"):
        status, problem, _ = await get(told, path)
        assert (status, problem["code"]) == (404, "query.unknown")
        assert problem["type"] == "epcisException:NoSuchNameException"
    async with told.client.delete(told.url("/epcis/queries/shipped"), headers=token) as answer:
        assert answer.status == 404


async def test_a_name_is_taken_once(told: Running) -> None:
    """A second query of a name is refused with 409 and leaves the first as it was."""
    token = bearer(told)
    await post(told, SHIPPED, token)
    for name in ("shipped", "SimpleEventQuery"):
        status, problem, _ = await post(told, {"name": name, "query": {}}, token)
        assert (status, problem["type"]) == (409, "epcisException:ResourceAlreadyExistsException")
    assert (await get(told, "/epcis/queries/shipped"))[1] == SHIPPED


async def test_changes_need_a_token(told: Running) -> None:
    """Nobody makes or removes a query without a token that may read, though reading is open."""
    await post(told, SHIPPED, bearer(told))
    for headers, status in (({}, 401), (bearer(told, Scope.CAPTURE), 403)):
        assert (await post(told, {"name": "other", "query": {}}, headers))[0] == status
        async with told.client.delete(told.url("/epcis/queries/shipped"), headers=headers) as answer:
            assert answer.status == status
    assert (await get(told, "/epcis/queries"))[1] == [SHIPPED]


BAD: list[tuple[bytes, str]] = [
    (b"", "json.malformed"), (b"[]", "parameter.invalid"), (b'{"name": "a"}', "parameter.invalid"),
    (b'{"name": "", "query": {}}', "parameter.invalid"), (b'{"name": 5, "query": {}}', "parameter.invalid"),
    (b'{"name": "a\\u0000", "query": {}}', "parameter.invalid"),
    (b'{"name": "a", "query": []}', "parameter.invalid"),
    (b'{"name": "a", "query": null}', "parameter.invalid"),
    (b'{"name": "a", "query": {"EQ_x": []}}', "parameter.unknown"),
    (b'{"name": "a", "query": {"GE_quantity": "x"}}', "parameter.invalid"),
    (b'{"name": "a", "query": {"perPage": 5}}', "parameter.unknown"),
    (b'{"name": "a", "query": {}, "dest": "x"}', "parameter.unknown"),
    (b'{"name": "a", "query": {"a": 1, "a": 2}}', "json.duplicate_key"),
    (b'{"name": "a", "query": ' + b"[" * 100 + b"]" * 100 + b"}", "json.too_deep"),
    (json.dumps({"name": "a", "query": {"EQ_eventID": ["x" * 200] * 60}}).encode(), "query.too_complex"),
    (b" " * (33 << 10), "body.too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code"), BAD, ids=range(len(BAD)))
async def test_bad_queries_are_not_kept(told: Running, body: bytes, code: str) -> None:
    """What is not understood as a whole is refused, and nothing is kept of it."""
    status, problem, _ = await post(told, body, bearer(told))
    assert (status // 100, problem["code"]) == (4, code)
    assert (await get(told, "/epcis/queries"))[1] == []


async def test_exact_numbers_and_odd_names_survive_a_restart(tmp_path: Path) -> None:
    """A node that starts again has every query, digit for digit, under any printable name."""
    name = "Ünï/code? #1"
    text = '{"name": %s, "query": {"GE_quantity": 0.10000000000000000001, "EXISTS_errorDeclaration": null}}'
    async with running(tmp_path) as site:
        status, _, location = await post(site, (text % json.dumps(name)).encode(), bearer(site))
        assert (status, location) == (201, f"/epcis/queries/{quote(name, safe='')}")
    async with running(tmp_path) as site, site.client.get(site.url(location)) as answer:
        found = json.loads(await answer.text(), parse_float=Decimal)
        assert found["query"]["GE_quantity"] == Decimal("0.10000000000000000001")
        assert found["name"] == name


async def test_lists_come_in_pages(told: Running) -> None:
    """Pages of queries hold each name once, in order."""
    token = bearer(told)
    for number in range(7):
        assert (await post(told, {"name": f"q{number}", "query": {}}, token))[0] == 201
    names: list[str] = []
    following: str | None = "/epcis/queries?perPage=3"
    while following is not None:
        _, page, following = await get(told, following)
        names += [each["name"] for each in page]
    assert names == [f"q{number}" for number in range(7)]


async def test_the_store_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site keeps so many queries and no more; many clients at once lose none."""
    monkeypatch.setattr(named_queries, "QUERIES_MAX", 5)
    store = NamedQueries(tmp_path, LocalDisk())
    done = await asyncio.gather(*(store.add(f"q{n}", {}) for n in range(8)), return_exceptions=True)
    refused = [each for each in done if isinstance(each, LedgerError)]
    assert [each.code for each in refused] == ["query.too_many"] * 3
    assert [each.name for each in NamedQueries(tmp_path, LocalDisk()).all()] == [f"q{n}" for n in range(5)]


async def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    """Where the disk refuses, the client is not told of success and the old queries stay in force."""
    store = NamedQueries(tmp_path, LocalDisk())
    await store.add("first", {})
    (tmp_path / (FILE_NAME + ".new")).mkdir()  # nothing can be written there
    with pytest.raises(OSError, match="new"):
        await store.add("second", {})
    assert [each.name for each in store.all()] == ["first"]
    assert [each.name for each in NamedQueries(tmp_path, LocalDisk()).all()] == ["first"]


async def test_what_was_told_survives_a_power_cut() -> None:
    """After a cut the file holds every query that a client was told of."""
    home, disk = Path("/home"), MemoryDisk()
    store = NamedQueries(home, disk)
    for number in range(3):
        await store.add(f"q{number}", {})
        disk.crash()
        assert len(NamedQueries(home, disk).all()) == number + 1


@pytest.mark.parametrize("data", [b"", b"{}", b'{"version":2,"queries":[]}', b"\xff", b"x" * 100])
async def test_a_damaged_file_is_told(told: Running, data: bytes) -> None:
    """A file that is not one of ours is never overwritten; the answer names it."""
    (told.home / FILE_NAME).write_bytes(data)
    status, problem, _ = await get(told, "/epcis/queries")
    assert (status, problem["code"]) == (500, "query.file_damaged")
    assert (await post(told, SHIPPED, bearer(told)))[0] == 500
    assert (told.home / FILE_NAME).read_bytes() == data
