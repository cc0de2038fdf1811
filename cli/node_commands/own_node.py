"""The running node of a home, asked at the address that its settings give."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, Final

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.node_commands.options import reachable, read_settings
from network.testnet.probe import ask
from node.home import Home

_LOCK_BYTES_MAX: Final = 64

PROBLEMS: Final = {  # why a peer is not connected, in words
    "peer.refused": "it refuses this node, which is not a member (yet, or any more)",
    "peer.unreachable": "nothing answers at its address",
    "peer.timeout": "nothing answers at its address in time",
    "peer.wrong_certificate": "another node, or no node, answers at its address",
    "peer.bad_address": "something else answers at its address",
    "peer.removed": "it is no member any more",
    "peer.banned": "it misbehaved and is kept away for a while",
    "peer.silent": "it fell silent",
    "peer.lost": "the connection was lost",
    "peer.stopping": "it was stopped",
    "handshake.wrong_chain": "it is on another chain",
    "handshake.wrong_genesis": "it began with another block 0",
    "handshake.unknown_node": "one of the two lists the other otherwise",
    "handshake.self": "its address leads back to this node",
}


def own_status(home: Path) -> dict[str, Any]:
    """What the running node of a home says of itself now.

    Raises:
        Failure: `home.missing`, `node.unreachable`. LedgerError: `config.*`.
    """
    url = f"http://{reachable(read_settings(home).api.listen)}"
    said = ask(url, "/v1/status")
    if said is not None and said[0] == 200 and isinstance(said[1], dict):
        return said[1]
    holder = lock_holder(Home(home))
    how = (
        "it does not run" if holder is None else f"process {holder} holds its home and does not answer there"
    )
    raise Failure(
        "node.unreachable",
        f"no answer from the node of {home} at {url}: {how}",
        advice=f"ledger-node doctor --home {home}",
        exit_code=ExitCode.UNREACHABLE,
    )


def lock_holder(home: Home) -> str | None:
    """The process that holds a home, "unknown" where it did not say which it is; None: nobody.

    Ask only where the node does not answer: for an instant the question itself is in the way of a node
    that starts.
    """
    try:
        descriptor = os.open(home.lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, _LOCK_BYTES_MAX, 0).decode("ascii", "replace").strip()
        return text or "unknown"
    finally:
        os.close(descriptor)
    return None


def problem_words(code: str) -> str:
    """Why a peer is not connected."""
    return PROBLEMS.get(code, code)
