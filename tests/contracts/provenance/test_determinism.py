"""The same events give the same state in every process, whatever its hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
from contracts.genesis import state_root
from contracts.provenance.trace import trace
from tests.contracts.provenance.story import PALLET, told
from hashlib import sha256
books = told()
print(state_root(books.state.values).hex(), sha256(repr(trace(books.state, PALLET)).encode()).hexdigest())
"""


def test_state_and_trace_do_not_depend_on_the_hash_seed() -> None:
    """The story ends in one state root and one trace under three values of PYTHONHASHSEED."""
    answers = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    ]
    assert len(answers[0].split()) == 2
    assert answers[0] == answers[1] == answers[2]
