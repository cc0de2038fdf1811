"""The stream: every block and event once and in order, from any place, however often it breaks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from contracts.epcis.event_hash import event_hash
from node.api.context import STREAMS_OF_CLIENT_MAX, Settings
from tests.contracts.provenance.story import chapters
from tests.node.api.fakes import FOLLOWERS_MAX, Running, running


class Entry(dict[str, Any]):
    """id, event and data of one entry."""


async def read(answer: aiohttp.ClientResponse, count: int) -> list[Entry]:
    """The next entries, comments left out."""
    found: list[Entry] = []
    fields = Entry()
    while len(found) < count:
        line = (await asyncio.wait_for(answer.content.readline(), 5)).decode().rstrip("\n")
        if line.startswith((":", "retry:")):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            fields["data"] = json.loads(fields["data"])
            found.append(fields)
            fields = Entry()
    return found


def stream(site: Running, query: str = "", **headers: str) -> Any:
    return site.client.get(site.url(f"/v1/stream{query}"), headers=headers)


TOTAL = len(chapters()) + sum(len(events) for _, events in chapters())


async def nobody_follows(site: Running) -> None:
    """A client that goes away is noticed without anything being sent."""
    await asyncio.wait_for(site.node.deserted.wait(), 5)


async def test_whole_chain(told: Running) -> None:
    """Each height is a block entry followed by its events, with ids that count from 0."""
    async with stream(told, "?from=1") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        found = await read(answer, TOTAL)
    expected = [
        (f"{height}-{index}", "event" if index else "block")
        for height, (_, events) in enumerate(chapters(), 1)
        for index in range(len(events) + 1)
    ]
    assert [(entry["id"], entry["event"]) for entry in found] == expected
    sent = [event for _, events in chapters() for event in events]
    told_of = [entry["data"]["event"] for entry in found if entry["event"] == "event"]
    assert [event["eventTime"] for event in told_of] == [event["eventTime"] for event in sent]
    names = [entry["data"]["cbv_event_hash"] for entry in found if entry["event"] == "event"]
    assert names == [event_hash(event) for event in sent]


async def test_resume_is_exact(told: Running) -> None:
    """Cut after any entry, Last-Event-ID brings exactly the rest, in the middle of a block too."""
    async with stream(told, "?from=1") as answer:
        whole = await read(answer, TOTAL)
    for cut in range(1, TOTAL):
        async with stream(told, "?from=1", **{"Last-Event-ID": whole[cut - 1]["id"]}) as answer:
            assert await read(answer, TOTAL - cut) == whole[cut:]
        await nobody_follows(told)


async def test_new_blocks_come_by_themselves(site: Running) -> None:
    """Without a place the stream begins with the next block."""
    async with stream(site) as answer:
        await site.node.seal([])
        await site.node.seal([])
        assert [entry["id"] for entry in await read(answer, 2)] == ["1-0", "2-0"]


async def test_silence_is_filled_with_comments(tmp_path: Path) -> None:
    """A stream without news says so, so that proxies and clients know that it lives."""
    async with running(tmp_path, Settings(stream_comment_seconds=0.01)) as site, stream(site) as answer:
        lines = [await answer.content.readline() for _ in range(5)]
    assert b": keep-alive\n" in lines


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("?from=3", {}, "stream.in_future"),
        ("?from=-1", {}, "parameter.invalid"),
        ("", {"Last-Event-ID": "nothing"}, "parameter.invalid"),
        ("", {"Last-Event-ID": "99-0"}, "stream.in_future"),
        ("", {"Last-Event-ID": "1-99999999999"}, "parameter.invalid"),
    ],
)
async def test_places_that_are_none(site: Running, query: str, headers: dict[str, str], code: str) -> None:
    """A place that is malformed or lies ahead is refused before anything is sent."""
    async with stream(site, query, **headers) as answer:
        assert answer.status == 400
        assert json.loads(await answer.text())["code"] == code


async def test_followers_are_bounded(site: Running) -> None:
    """One more than the node carries is 429 with a time to come back; a place that is left is free again."""
    opened = [await site.client.get(site.url("/v1/stream")) for _ in range(FOLLOWERS_MAX)]
    async with stream(site) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "1"
        assert json.loads(await answer.text())["code"] == "stream.too_many"
    for answer in opened:
        answer.close()
    await nobody_follows(site)
    async with stream(site) as answer:
        assert answer.status == 200


async def test_streams_of_one_client_are_bounded(site: Running) -> None:
    """The limit of one client is its own."""
    site.api.streams_of["127.0.0.1"] = STREAMS_OF_CLIENT_MAX
    async with stream(site) as answer:
        assert answer.status == 429


async def test_stopping_ends_streams(tmp_path: Path) -> None:
    """A node that stops ends its streams at once and is closed well within its time."""
    async with running(tmp_path) as site, stream(site) as answer:
        await answer.content.readline()
        async with asyncio.timeout(2):
            await site.http.stop()
        rest = await answer.content.read()
        assert b"keep-alive" not in rest
    assert site.node.followers == 0
