"""The node against its own description: requests made up from openapi.json get the answers it describes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from node.api import transactions
from node.api.app import ROUTES
from node.api.openapi import document
from node.api.tokens import Scope, new_token
from tests.contracts.chain import START_MS
from tests.node.api.fakes import running

SCHEMA = schemathesis.openapi.from_dict(
    document([route for route in ROUTES if not route.is_long], "node", "1")  # a stream has no end to wait for
)


@schemathesis.serializer(transactions.ONE, transactions.BATCH)
def _bytes(context: Any, value: Any) -> bytes:
    """The body as it is: a description cannot make up a signed transaction, so this is noise."""
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode()


CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a node on which the story is told, in a thread of its own, and a token of it."""
    home: Path = tmp_path_factory.mktemp("home")
    started = threading.Event()
    found: list[str] = []
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        async with running(home) as site:
            await site.node.tell()
            found.append(site.url(""))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(20)
    yield found[0], new_token(home, "fuzz", (Scope.CAPTURE,), START_MS)[1]
    loop, stop = loops[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)


@SCHEMA.parametrize()
@settings(
    max_examples=5,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case: schemathesis.Case, base: tuple[str, str]) -> None:
    """No request that the description allows, or nearly does, is answered by a fault or by another shape."""
    url, token = base
    response = case.call(base_url=url, headers={"Authorization": f"Bearer {token}"})
    if response.status_code == 501:  # the standard's word for a query that is understood and not answered
        return
    case.validate_response(response, checks=CHECKS)
