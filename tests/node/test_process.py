"""What the process of a node makes of exceptions that nobody waited for."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from node.process import on_unawaited


@pytest.mark.parametrize(
    ("problem", "is_told"),
    [(ConnectionResetError(), False), (BrokenPipeError(), False), (RuntimeError("a bug"), True)],
)
def test_unawaited(problem: Exception, is_told: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A connection that broke while its task was being cancelled is no error; anything else is logged."""

    async def forget() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(on_unawaited)
        loop.create_future().set_exception(problem)
        gc.collect()

    with caplog.at_level(logging.ERROR, logger="asyncio"):
        asyncio.run(forget())
    assert ("never retrieved" in caplog.text) is is_told
