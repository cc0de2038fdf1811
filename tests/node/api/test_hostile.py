"""What strangers do to a listener: it refuses in its own words and holds nothing for ever."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.api import stream, transactions
from node.api.body import CHUNK_BYTES
from node.api.context import Settings
from node.api.epcis.headers import CAPTURE_BYTES_MAX
from node.api.guard import Buckets, host_name
from node.api.problems import DETAIL_LENGTH_MAX
from node.api.server import HEADER_BYTES_MAX, HEADERS_MAX
from node.api.tokens import Scope, new_token
from tests.contracts.chain import START_MS
from tests.node.api.fakes import FakeNode, Running, running

SOON = Settings(body_seconds=0.05, keep_alive_seconds=0.05, answer_seconds=0.2)


async def talk(site: Running, data: bytes, *, ends: bool = False) -> bytes:
    """Send bytes over a bare socket; all that comes until the node closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.http.public_port)
    try:
        writer.write(data)
        await writer.drain()
        if ends:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def request(line: str, *headers: str, body: bytes = b"", host: str = "localhost") -> bytes:
    head = "\r\n".join([line, f"Host: {host}", "Connection: close", *headers, "", ""])
    return head.encode("latin-1") + body


def problem(answer: bytes) -> tuple[int, dict[str, Any]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, answer[:500]
    found = json.loads(body)
    assert {"type", "title", "status", "code", "detail", "request_id"} <= found.keys()
    assert b"Traceback" not in answer
    return int(head.split()[1]), found


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), "request.malformed"),
        (b"GARBAGE\r\n\r\n", "request.malformed"),
        (b"GET /v1/status\r\n\r\n", "host.not_allowed"),
        (b"GET /v1/status HTTP/9.9\r\n\r\n", "request.malformed"),
        (request("GET /v1/" + "a" * 10_000 + " HTTP/1.1"), "request.malformed"),
        (
            request("GET /v1/status HTTP/1.1", "X-Long: " + "a" * (HEADER_BYTES_MAX + 100)),
            "request.malformed",
        ),
        (
            request("GET /v1/status HTTP/1.1", *[f"X-{n}: 1" for n in range(HEADERS_MAX + 5)]),
            "request.malformed",
        ),
        (request("GET /v1/status HTTP/1.1", "Bad Header: 1"), "request.malformed"),
        (request("POST /v1/transactions HTTP/1.1", "Content-Length: -5"), "request.malformed"),
        (request("POST /v1/transactions HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked"), ""),
    ],
    ids=range(10),
)
async def test_bytes_that_are_no_request(site: Running, data: bytes, code: str) -> None:
    """Bytes that are no HTTP are answered by problem+json, and the connection ends."""
    status, found = problem(await talk(site, data))
    assert 400 <= status < 500
    assert not code or found["code"] == code


async def test_broken_chunks(site: Running) -> None:
    """A body whose chunks are no chunks is refused."""
    head = request(
        "POST /v1/transactions HTTP/1.1", f"Content-Type: {transactions.ONE}", "Transfer-Encoding: chunked"
    )
    status, found = problem(await talk(site, head + b"zz\r\nabc\r\n"))
    assert status == 400
    assert found["code"] in ("body.malformed", "request.malformed")


async def test_body_that_trickles_is_cut(tmp_path: Path) -> None:
    """A body that does not arrive in time is 408; the place at the node is free again."""
    async with running(tmp_path, SOON) as site:
        head = request(
            "POST /v1/transactions HTTP/1.1", f"Content-Type: {transactions.ONE}", "Content-Length: 1000"
        )
        status, found = problem(await talk(site, head + b"a"))
        assert (status, found["code"]) == (408, "body.timed_out")


async def test_silent_and_slow_heads_are_cut(tmp_path: Path) -> None:
    """A connection that says nothing, or never ends its head, is closed."""
    async with running(tmp_path, SOON) as site:
        assert await talk(site, b"") == b""
        assert await talk(site, b"GET /v1/status HTTP/1.1\r\nHost: local") == b""


async def test_half_a_request_changes_nothing(site: Running) -> None:
    """A client that ends in the middle of its body leaves nothing behind."""
    head = request(
        "POST /v1/transactions HTTP/1.1", f"Content-Type: {transactions.ONE}", "Content-Length: 1000"
    )
    answer = await talk(site, head + b"abc", ends=True)
    assert answer == b"" or problem(answer)[0] == 400
    assert site.node.pending == {}


async def test_endless_body_is_cut_at_the_limit(site: Running) -> None:
    """A chunked body without end is refused as soon as it is over the limit, not when memory ends."""
    secret = new_token(site.home, "scanner", (Scope.CAPTURE,), START_MS)[1]
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += CHUNK_BYTES
            yield b" " * CHUNK_BYTES

    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {secret}"}
    try:
        async with site.client.post(site.url("/epcis/capture"), data=endless(), headers=headers) as answer:
            assert answer.status == 413
            assert json.loads(await answer.text())["code"] == "body.too_large"
    except ConnectionError:
        pass  # the node closed while the client still sent: that is a cut too
    assert sent < 20 * CAPTURE_BYTES_MAX


async def test_client_that_does_not_read_is_cut(tmp_path: Path) -> None:
    """A large answer that nobody takes is given up after its time."""
    node = FakeNode()
    async with running(tmp_path, SOON, node) as site:

        async def large(request: web.Request) -> web.StreamResponse:
            return web.Response(body=bytes(64 << 20))

        for listener in (site.http._public,):
            router = listener._runner.app.router
            router._frozen = False
            router.add_get("/v1/large", large)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.http.public_port, limit=1024)
        writer.write(request("GET /v1/large HTTP/1.1"))
        await writer.drain()
        await asyncio.wait_for(reader.readexactly(1024), 5)
        server = listener._runner.server
        assert server is not None
        async with asyncio.timeout(5):
            while server.connections:  # noqa: ASYNC110  # the server has no event for it
                await asyncio.sleep(0.01)
        writer.close()


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:1", True),
        ("[::1]:26600", True),
        ("node.example:80", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example#localhost", False),
        ("localhost:80@evil.example", False),
        ("", False),
    ],
)
async def test_only_known_names_are_served(tmp_path: Path, host: str, is_allowed: bool) -> None:
    """A page that rebinds its name to this address gets nothing: 421."""
    async with running(tmp_path, Settings(hosts=("node.example",))) as site:
        answer = await talk(site, request("GET /v1/status HTTP/1.1", host=host))
        if is_allowed:
            assert answer.startswith(b"HTTP/1.1 200")
        else:
            status, found = problem(answer)
            assert (status, found["code"]) in {(421, "host.not_allowed"), (400, "request.malformed")}


@given(st.text(max_size=60))
def test_host_names_are_never_guessed(text: str) -> None:
    """Whatever stands in a Host header, it is one of our names only where it is spelled as one."""
    found = host_name(text)
    if found == "localhost":
        name, _, port = text.strip().lower().partition(":")
        assert name == "localhost"
        assert not port or port.isdigit()


async def test_one_client_may_not_flood(tmp_path: Path) -> None:
    """Over its rate a client gets 429 with a time to come back, and is served again after it."""
    async with running(tmp_path, Settings(requests_per_second=1, requests_burst=3)) as site:
        statuses = []
        for _ in range(5):
            async with site.client.get(site.url("/v1/status")) as answer:
                statuses.append(answer.status)
                last = answer
        assert statuses == [200, 200, 200, 429, 429]
        assert last.headers["Retry-After"] == "1"


def test_buckets_fill_again_and_are_bounded() -> None:
    """Tokens flow back with time, clients do not share them, and the stalest client is forgotten."""
    now = 0.0
    buckets = Buckets(2.0, 4, 3, lambda: now)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0]
    assert buckets.take("a") == 0.5
    assert buckets.take("b") == 0
    now = 0.5
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0
    for client in "bcd":
        buckets.take(client)
    assert len(buckets._clients) == 3
    assert "a" not in buckets._clients


async def test_room_is_bounded(tmp_path: Path) -> None:
    """One request more than may be at work is 429; a place that is left is free again."""
    async with running(tmp_path, Settings(requests_at_once_max=1)) as site:
        site.node.seals_on_wait = False
        waiting = site.node.capture("farm/operator", {"type": "ObjectEvent"})
        headers = {"Content-Type": transactions.ONE, "Prefer": "wait=30"}
        slow = asyncio.create_task(
            site.client.post(site.url("/v1/transactions"), data=io.BytesIO(waiting.raw), headers=headers)
        )
        async with asyncio.timeout(5):
            while not site.node.pending:  # noqa: ASYNC110  # the fake has no event for it
                await asyncio.sleep(0)
        async with site.client.get(site.url("/v1/status")) as answer:
            assert answer.status == 429
            assert json.loads(await answer.text())["code"] == "requests.too_many_at_once"
        await site.node.seal()
        (await slow).close()
        async with site.client.get(site.url("/v1/status")) as answer:
            assert answer.status == 200


async def test_connections_are_bounded(tmp_path: Path) -> None:
    """A connection over the limit is closed at once and counted; one that ends makes room."""
    async with running(tmp_path, Settings(connections_of_client_max=2)) as site:
        held = [await asyncio.open_connection("127.0.0.1", site.http.public_port) for _ in range(2)]
        for _, writer in held:  # each is served, so it was taken
            writer.write(b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for reader, _ in held:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert await talk(site, request("GET /v1/status HTTP/1.1")) == b""
        text = site.api.metrics.exposition().decode()
        assert 'farmgate_http_connections_refused_total{limit="client",listener="public"} 1.0' in text
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while not (await talk(site, request("GET /v1/status HTTP/1.1"))).startswith(b"HTTP/1.1 200"):
                pass


async def test_a_bug_tells_nothing(site: Running, caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours is 500 with a code and an id under which the log, not the answer, has the rest."""

    def broken() -> None:
        raise RuntimeError("secret inside")

    site.node.status = broken  # type: ignore[assignment,method-assign]  # the planted fault
    async with site.client.get(site.url("/v1/status"), headers={"X-Request-Id": "abc-1"}) as answer:
        text = await answer.text()
        assert answer.status == 500
    found = json.loads(text)
    assert (found["code"], found["request_id"]) == ("node.internal", "abc-1")
    assert "secret inside" not in text
    assert any(getattr(record, "fields", {}).get("request_id") == "abc-1" for record in caplog.records)


async def test_every_answer_is_guarded(site: Running) -> None:
    """Answers good and bad say that they are no page, and which request they are of."""
    for path in ("/v1/status", "/v1/nothing", "/v1/blocks/x"):
        async with site.client.get(site.url(path), headers={"X-Request-Id": "bad id\x7f"[:6]}) as answer:
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert len(answer.headers["X-Request-Id"]) == 16
            assert answer.headers["Server"] == "farmgate"
            assert "Access-Control-Allow-Origin" not in answer.headers
    async with site.client.get(site.url("/v1/stream"), headers={"X-Request-Id": "r1"}) as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Request-Id"] == "r1"
    async with site.client.head(site.url("/v1/status")) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert "ETag" in answer.headers


async def test_wrong_method_says_which_are_right(site: Running) -> None:
    """405 with Allow."""
    async with site.client.delete(site.url("/v1/status")) as answer:
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]
        assert json.loads(await answer.text())["code"] == "route.method_not_allowed"


async def test_details_stay_short(site: Running) -> None:
    """A refusal never echoes more than a little of what came."""
    async with site.client.get(site.url("/v1/status?" + "a" * 7000 + "=1")) as answer:
        text = await answer.text()
        assert answer.status == 400
        assert len(text) < DETAIL_LENGTH_MAX + 1000


async def test_too_long_a_target(site: Running) -> None:
    """Beyond the limit of a path there is 414, before anything else is looked at."""
    async with site.client.get(site.url("/v1/items?id=" + "a" * 8000)) as answer:
        assert answer.status == 414
        assert json.loads(await answer.text())["code"] == "target.too_long"


BODIES = st.binary(max_size=300) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())
PATHS = st.sampled_from(["/v1/transactions", "/epcis/capture", "/epcis/events"])
TYPES = st.sampled_from(
    [transactions.ONE, transactions.BATCH, "application/json", "application/ld+json", "", "x"]
)


@given(st.lists(st.tuples(PATHS, TYPES, BODIES), min_size=20, max_size=20))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_is_a_fault(tmp_path: Path, requests: list[tuple[str, str, bytes]]) -> None:
    """Whatever bytes are posted under whatever type, the answer is a refusal with a code and never a 500."""

    async def post_all() -> None:
        async with running(tmp_path) as site:
            secret = new_token(site.home, "scanner", (Scope.CAPTURE,), START_MS)[1]
            for path, kind, body in requests:
                headers = {"Content-Type": kind, "Authorization": f"Bearer {secret}"}
                async with site.client.post(site.url(path), data=io.BytesIO(body), headers=headers) as answer:
                    text = await answer.text()
                    assert 400 <= answer.status < 500 or path == "/v1/transactions", text
                    assert answer.status < 500
                    assert json.loads(text)
            assert site.node.pending == {}

    asyncio.run(post_all())


SEGMENT = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.lists(st.tuples(SEGMENT, SEGMENT, SEGMENT), min_size=20, max_size=20))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_is_a_fault(tmp_path: Path, parts: list[tuple[str, str, str]]) -> None:
    """Whatever stands in paths and queries, the answer is never a 500."""
    from urllib.parse import quote

    routes = [path for path in _paths() if path != stream.PATH]

    async def get_all() -> None:
        async with running(tmp_path) as site:
            for number, (first, name, value) in enumerate(parts):
                path = routes[number * 7 % len(routes)]
                for parameter in ("id", "block", "public_key", "eventID", "captureID"):
                    path = path.replace("{" + parameter + "}", quote(first, safe="") or "x")
                target = f"{path}?{quote(name, safe='')}={quote(value, safe='')}"
                status = int((await talk(site, request(f"GET {target} HTTP/1.1"))).split()[1])
                assert status < 500 or status == 501, target

    asyncio.run(get_all())


def _paths() -> list[str]:
    from node.api.app import ROUTES

    return sorted({route.path for route in ROUTES if route.method == "GET"})
