"""The two console scripts as a person's shell starts them: processes with exit codes and two streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from network.testnet.plan import free_base_port

BIN = Path(sys.executable).parent
SECONDS = 120


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(home: Path) -> dict[str, str]:
    """A person without settings of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FARMGATE_")}
    return kept | {"FARMGATE_HOME": str(home), "NO_COLOR": "1"}


def farmgate(*words: str, home: Path, seconds: float = SECONDS) -> Ended:
    """Run `farmgate` to its end."""
    done = subprocess.run(
        [str(BIN / "farmgate"), *words],
        capture_output=True, text=True, timeout=seconds, env=environment(home), cwd=home.parent, check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr)


def processes_of(folder: Path) -> list[int]:
    """The processes whose command line names this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"ledger-node" in words and str(folder).encode() in words:
                found.append(int(entry.name))
    return found


class Terminal:
    """A person's shell beside one network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "net"
        self.home = folder / "person"
        self.port = free_base_port(5, 29_000 + os.getpid() % 3_000)

    def testnet(self, *words: str) -> Ended:
        return farmgate("testnet", *words, "--dir", str(self.folder), home=self.home)

    def up(self, *words: str) -> Ended:
        return self.testnet("up", "--detach", "--base-port", str(self.port), *words)

    def acting(self, organisation: str, *words: str) -> Ended:
        return farmgate("--profile", f"{self.folder}/profiles/{organisation}.toml", *words, home=self.home)

    def states(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.testnet("status", "--json").json["nodes"]}

    def file(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "network.json").read_text())
        return found

    def until(self, holds: Callable[[dict[str, dict[str, Any]]], bool], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not holds(self.states()):
            assert time.monotonic() < end, self.states()
            time.sleep(0.2)
