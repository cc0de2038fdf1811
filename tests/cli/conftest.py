"""A person's own folder for each test, no variable of the real one, and a node to talk to."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.logging import ROOT
from tests.cli.shell import Site, serving


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings, profiles and keys of nobody but this test."""
    for name in [
        name for name in os.environ if name.startswith("FARMGATE_") and name != "FARMGATE_SHARED_DATA"
    ]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NO_COLOR", raising=False)
    folder = tmp_path / "person"
    monkeypatch.setenv("FARMGATE_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def silent_node() -> None:
    """A node that an earlier test started in this process logs to a stream that is closed by now."""
    logging.getLogger(ROOT).handlers.clear()


@pytest.fixture(scope="session")
def told_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site on which the story of the contracts' tests is final; tests only read it."""
    with serving(tmp_path_factory.mktemp("told")) as site:
        site.do(site.node.tell())
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site of its own for a test that changes it."""
    with serving(tmp_path / "site-home") as found:
        yield found
