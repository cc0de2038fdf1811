"""The two programs as a shell would call them, in this process, and a node behind a real port."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.entry import run
from cli.main import farmgate
from cli.node_main import ledger_node
from ledger.crypto import KeyPair
from network.profile import Profile, profile_text
from node.api.context import Settings
from node.keys import write_seed
from tests.contracts.chain import key_of
from tests.node.api.fakes import FakeNode, Running, running

PROGRAMS: dict[str, click.Group] = {"farmgate": farmgate, "ledger-node": ledger_node}


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The JSON error on the last line of standard error."""
        last = self.err.strip().splitlines()[-1]
        assert last.startswith("{"), self.err
        return json.loads(last)["error"]


def shell(*words: str, program: str = "farmgate") -> Said:
    """Run a command line; nothing that it does may escape as an exception."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(PROGRAMS[program], program, words)
    return Said(int(code), out.getvalue(), err.getvalue())


class Site:
    """A node with real rules behind a real port, in a thread of its own. See `tests.node.api.fakes`."""

    def __init__(self, folder: Path, node: FakeNode | None = None) -> None:
        self.folder = folder
        self.node = node or FakeNode()
        self.loop = asyncio.new_event_loop()
        self.url = ""

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine where the node runs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def profile(self, organisation: str, key: str = "", **fields: Any) -> str:
        """The path of a new profile for an organisation of the story and one of its keys (`farm/admin`)."""
        name = key or f"{organisation}/operator"
        seed_path = self.folder / "keys" / f"{name.replace('/', '-')}.key"
        if not seed_path.exists():
            write_seed(seed_path, seed_of(key_of(name)))
        made = {
            "nodes": (self.url,),
            "chain_id": self.node.chain_id.hex(),
            "organisation": organisation,
            "key_file": str(seed_path),
        } | fields
        path = self.folder / f"{name.replace('/', '-')}.toml"
        path.write_text(profile_text(Profile(**made)))
        return str(path)


def seed_of(key: KeyPair) -> bytes:
    """The seed is the first half of libsodium's secret key."""
    return key.secret[:32]


@contextmanager
def serving(folder: Path, node: FakeNode | None = None) -> Iterator[Site]:
    """A site whose node, or this one, answers until the end of the block."""
    site = Site(folder, node)
    started, stopping = threading.Event(), asyncio.Event()

    async def serve() -> None:
        found: Running
        async with running(folder, Settings(), site.node) as found:
            site.url = f"http://127.0.0.1:{found.http.public_port}"
            started.set()
            await stopping.wait()

    thread = threading.Thread(target=lambda: site.loop.run_until_complete(serve()))
    thread.start()
    try:
        assert started.wait(20), "the node did not start"
        yield site
    finally:
        site.loop.call_soon_threadsafe(stopping.set)
        thread.join(20)
        site.loop.close()
