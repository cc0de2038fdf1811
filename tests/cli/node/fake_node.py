"""A node's public port that answers what a test wants, on a thread of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def status_of(**changes: Any) -> dict[str, Any]:
    """A node that is well: two validators connected, nothing waits."""
    peers = [
        {"name": f"v{number}", "role": "validator", "public_key": f"{number:02}" * 32, "connected": True}
        | {"problem": ""}
        for number in (1, 2)
    ]
    said = {
        "chain_id": "c0" * 32,
        "network": "produce",
        "node": "v0",
        "organisation": "org-0",
        "role": "validator",
        "height": 7,
        "block_id": "b0" * 32,
        "state_root": "50" * 32,
        "time_ms": 1_700_000_000_000,
        "epoch": 0,
        "view": 9,
        "leader": "v1",
        "lag_blocks": 0,
        "pending_transactions": 0,
        "unsettled_views": 0,
        "peers": peers,
        "is_voting": True,
        "reason": "",
        "version": "0.1.0",
    }
    assert changes.keys() <= said.keys()
    return said | changes


def away(problem: str) -> list[dict[str, Any]]:
    """The peers of such a node, none of them connected."""
    peers: list[dict[str, Any]] = status_of()["peers"]
    return [peer | {"connected": False, "problem": problem} for peer in peers]


@contextmanager
def answering(said: dict[str, Any] | Callable[[], dict[str, Any]]) -> Iterator[str]:
    """Serve /v1/status, the same each time or what `said` then gives; the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = said() if callable(said) else said
            body = json.dumps(status if self.path == "/v1/status" else {}).encode()
            self.send_response(200 if self.path == "/v1/status" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
