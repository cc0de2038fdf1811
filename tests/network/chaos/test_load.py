"""Clients: what they conclude from what nodes say, and from what they do not say."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ledger.transaction import decode_transaction
from ledger.types import ChainId
from network.chaos import load as clients
from network.chaos.history import History, Outcome
from network.chaos.load import Load, Target
from tests.contracts.chain import key_of

CHAIN = ChainId(b"c" * 32)
RECEIPT = {"status": "accepted", "code": ""}
FINAL = (202, {"receipt": RECEIPT, "height": 7, "index": 3})
PENDING = (202, {"receipt": None, "height": None, "index": None})
REFUSAL = (400, {"code": "transaction.expired"})
BUSY = (429, {"code": "requests.too_many"})
BROKEN = (500, {"code": "node.internal"})
Said = tuple[int, Any]


class FakeNode:
    """Answers each submission with the next of a list, the last one for ever; None hangs up in silence."""

    def __init__(self, answers: list[Said | None]) -> None:
        self.bodies: list[bytes] = []
        self._answers = list(answers)

    def next(self, body: bytes) -> Said | None:
        self.bodies.append(body)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@contextmanager
def serving(node: FakeNode, status: Said) -> Iterator[str]:
    """The URL of a fake node."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(status)

        def do_POST(self) -> None:
            self._answer(node.next(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, said: Said | None) -> None:
            if said is None:
                return
            data = json.dumps(said[1]).encode()
            self.send_response(said[0])
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


HEAD = (200, {"height": 50, "block_id": "b" * 64, "state_root": "s" * 64})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Said | None]], tuple[Any, FakeNode]]:
    """One transaction given to a fake node: what its client concludes, and the node."""
    monkeypatch.setattr(clients, "PAUSE_SECONDS", 0.001)

    def ask(answers: list[Said | None]) -> tuple[Any, FakeNode]:
        node, history = FakeNode(answers), History()
        with serving(node, HEAD) as url:
            load = Load((Target("node-0", url),), CHAIN, key_of("client"), history, 1)
            done = load.send_to("node-0", 0.3)
        assert history.operations == (done,)
        assert done.completed >= done.invoked
        assert {decode_transaction(each).id.hex() for each in node.bodies} == {done.id}
        return done, node

    return ask


Ask = Callable[[list[Said | None]], tuple[Any, FakeNode]]


def test_final(asked: Ask) -> None:
    """A receipt settles it: status, height and index are written down as told."""
    done, _ = asked([FINAL])
    assert (done.outcome, done.status, done.height, done.index) == (Outcome.FINAL, "accepted", 7, 3)


@pytest.mark.parametrize("first", [PENDING, BUSY, BROKEN, None])
def test_asks_again(asked: Ask, first: Said | None) -> None:
    """An answer that settles nothing, and none at all, make the client send the same bytes again."""
    done, node = asked([first, FINAL])
    assert done.outcome is Outcome.FINAL
    assert len(node.bodies) == 2
    assert node.bodies[0] == node.bodies[1]


def test_refused(asked: Ask) -> None:
    """A refusal by the only node that had it is one; its code is written down."""
    done, node = asked([REFUSAL])
    assert (done.outcome, done.status) == (Outcome.REFUSED, "transaction.expired")
    assert len(node.bodies) == 1


@pytest.mark.parametrize("first", [PENDING, None])
def test_refused_after_it_was_taken(asked: Ask, first: Said | None) -> None:
    """Once a node may have taken it, a refusal binds nobody: the outcome is unknown."""
    done, _ = asked([first, REFUSAL])
    assert (done.outcome, done.status) == (Outcome.UNKNOWN, "")


def test_patience_ends(asked: Ask) -> None:
    """A client that is told nothing in time knows nothing."""
    done, node = asked([PENDING])
    assert done.outcome is Outcome.UNKNOWN
    assert len(node.bodies) > 1


def test_look() -> None:
    """A head is written down as shown; a node that does not answer shows none."""
    history = History()
    with serving(FakeNode([FINAL]), HEAD) as url:
        target = Target("node-0", url)
        load = Load((target,), CHAIN, key_of("client"), history, 1)
        seen = load.look(target)
    assert seen is not None
    assert (seen.height, seen.block_id, seen.state_root) == (50, "b" * 64, "s" * 64)
    assert load.look(target) is None
    assert history.sightings == (seen,)


def test_clients() -> None:
    """Clients send different transactions until they are stopped, valid from the height that they saw."""
    node, history = FakeNode([FINAL]), History()
    with serving(node, HEAD) as url:
        load = Load((Target("node-0", url),), CHAIN, key_of("client"), history, random.random())
        load.start()
        while len(history.operations) < 3 * clients.CLIENTS:
            threading.Event().wait(0.01)
        load.stop()
    bodies = [decode_transaction(each).body for each in node.bodies]
    assert len({body.nonce for body in bodies}) == len(bodies) == len(history.operations)
    assert min(body.valid_until for body in bodies) == 50 + clients.VALID_BLOCKS
