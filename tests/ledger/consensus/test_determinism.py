"""The same inputs give the same effects, whatever the interpreter's hash seed."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

from tests.ledger.consensus.lockstep import Room

ROOT = Path(__file__).parents[3]
SCRIPT = "from tests.ledger.consensus.test_determinism import trace; print(trace(7))"


def trace(seed: int) -> str:
    """The hash of everything that seven machines did under loss and crashes."""
    chance = random.Random(seed)
    room = Room([4, 3, 2, 2, 1, 1, 1], observers=1).start()
    room.mute = lambda sender, receiver, message: chance.random() < 0.2
    for transaction in range(1, 12):
        for node in room.nodes:
            if node.is_up:
                node.submit(transaction)
        room.run(chance.randrange(1_500))
        node = chance.choice(room.nodes)
        if node.is_up:
            node.crash()
        else:
            node.start()
    digest = hashlib.sha256()
    for node in room.nodes:
        for effect in node.effects:
            digest.update(repr(effect).encode())
    assert max(room.heights()) > 0
    return digest.hexdigest()


def test_effects_do_not_depend_on_the_hash_seed() -> None:
    """Three interpreters with three PYTHONHASHSEEDs produce one trace hash."""
    traces = []
    for hash_seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        traces.append(done.stdout.strip())
    assert traces == [trace(7)] * 3
