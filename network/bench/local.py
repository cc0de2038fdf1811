"""A throw-away local network for one benchmark run."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger.crypto import key_pair
from network.bench.run import Target
from network.bench.workloads import Workload
from network.testnet.plan import free_base_port, plan_network
from network.testnet.testnet import Testnet
from node.genesis_file import read_genesis
from node.home import Home
from node.keys import read_seed

BASE_PORT: Final = 29_600


@contextmanager
def local_target(validators: int, workload: Workload) -> Iterator[Target]:
    """Validators in a temporary folder, ready for load; stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="farmgate-bench-") as folder:
        testnet = Testnet(Path(folder) / "net")
        port = free_base_port(validators, start=BASE_PORT)
        testnet.create(plan_network(testnet.folder, validators=validators, observers=0, base_port=port))
        testnet.start()
        try:
            yield _target(testnet, workload)
        finally:
            testnet.stop()


def _target(testnet: Testnet, workload: Workload) -> Target:
    file = testnet.file()
    running, last = list(file.nodes), file.nodes[-1].name
    if workload is Workload.ONE_DOWN:
        del running[-1]
    profile = Path(next(iter(file.profiles.values())))
    settings = tomllib.loads(profile.read_text(encoding="utf-8"))

    def kill_last() -> str:
        testnet.kill_node(last)
        return last

    return Target(
        genesis=read_genesis(Home(Path(running[0].home)).genesis),
        apis=[entry.api for entry in running],
        admins=[entry.admin for entry in running],
        pids=[entry.pid for entry in running if entry.pid is not None],
        homes=[Path(entry.home) for entry in running],
        key=key_pair(read_seed(profile.parent / settings["key_file"])),
        kill_last=kill_last,
    )
