"""The two console scripts as a person's shell starts them: processes with exit codes and two streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
