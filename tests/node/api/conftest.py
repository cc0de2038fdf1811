"""A node with its listeners, for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.node.api.fakes import Running, running


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as found:
        yield found


@pytest_asyncio.fixture
async def told(site: Running) -> Running:
    """A node on which the whole story is final."""
    await site.node.tell()
    return site
