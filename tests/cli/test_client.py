"""The REST client: typed answers, the next node where one fails, and no secret to a stranger."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from cli.answers import Status
from cli.client import Client, Refused, Unreachable
from cli.exit_code import ExitCode
from cli.failure import Failure

STATUS = {
    "chain_id": "ab" * 32, "node": "node-0", "role": "validator", "height": 7, "block_id": "cd" * 32,
    "state_root": "ef" * 32, "lag_blocks": 0, "peers": [], "version": "0.1.0", "of_a_later_release": 1,
}  # fmt: skip


@dataclass
class Door:
    """What a scripted server answers next, and what it was asked."""

    answers: list[tuple[int, bytes, dict[str, str]]]
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def door(*answers: tuple[int, Any] | tuple[int, Any, dict[str, str]]) -> Iterator[Door]:
    """A server on loopback that gives these answers in turn, the last one for ever."""
    prepared = []
    for each in answers:
        status, body, headers = (*each, {})[:3]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        prepared.append((status, data, headers))
    found = Door(prepared)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.asked.append((self.path, dict(self.headers), body))
            status, data, headers = found.answers.pop(0) if len(found.answers) > 1 else found.answers[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def closed_port() -> str:
    """A URL at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def slammer(answer: bytes = b"") -> Iterator[str]:
    """A server that reads the request, says `answer` and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))
    ending = threading.Event()
    listener.settimeout(0.05)

    def serve() -> None:
        while not ending.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                connection.recv(65_536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ending.set()
        thread.join()
        listener.close()


def test_typed_answer() -> None:
    """An answer becomes a value of its type; a field of a later release is passed over."""
    with door((200, STATUS, {"X-Ledger-Height": "7"})) as node:
        client = Client([node.url], 5)
        assert client.get("/v1/status", Status).height == 7
        assert client.height == 7
        client.close()


def test_next_node_where_one_is_down() -> None:
    """A node that refuses connections is passed over; the one that answered is asked first from then on."""
    down = closed_port()
    with door((200, STATUS)) as node:
        client = Client([down, node.url], 5)
        client.get("/v1/status", Status)
        assert client.node == node.url
        client.close()


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"]
)
def test_next_node_where_one_hangs_up(answer: bytes) -> None:
    """A node that hangs up, or does not speak HTTP, or stops half way is passed over too."""
    with slammer(answer) as bad, door((200, STATUS)) as node:
        client = Client([bad, node.url], 5)
        assert client.get("/v1/status", Status).node == "node-0"
        client.close()


def test_nobody_answers() -> None:
    """Where no node answers, the failure says which were tried, and that nothing was sent."""
    down = closed_port()
    with pytest.raises(Unreachable) as problem:
        Client([down], 5).get("/v1/status", Status)
    assert problem.value.exit_code is ExitCode.UNREACHABLE
    assert not problem.value.was_sent
    assert down in problem.value.advice


def test_a_request_that_may_have_arrived() -> None:
    """A node that hangs up after the request may have taken it: the failure says so."""
    with slammer() as bad, pytest.raises(Unreachable) as problem:
        Client([bad], 5).request("POST", "/v1/transactions", b"x")
    assert problem.value.was_sent


def test_silence_ends_at_the_deadline() -> None:
    """A node that takes the connection and says nothing is given up at the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unreachable) as problem:
            Client([url], 0.3).get("/v1/status", Status)
    assert "no answer in time" in problem.value.message


def test_refusal_is_told_with_its_code() -> None:
    """A problem document becomes a failure with its code, pointer, faults and exit code."""
    body = {
        "code": "epcis.missing_field", "detail": "action is missing", "pointer": "/action",
        "errors": [{"code": "epcis.missing_field", "detail": "action is missing", "pointer": "/action"}],
    }  # fmt: skip
    with door((400, body)) as node, pytest.raises(Refused) as problem:
        Client([node.url], 5).get("/v1/status", Status)
    refused = problem.value
    assert (refused.code, refused.pointer, refused.exit_code) == (
        "epcis.missing_field", "/action", ExitCode.REJECTED,
    )  # fmt: skip
    assert refused.faults[0].detail == "action is missing"


def test_refusal_does_not_ask_the_next_node() -> None:
    """A clear no is an answer: the next node is not asked."""
    with door((404, {"code": "item.unknown", "detail": "x"})) as first, door((200, STATUS)) as second:
        with pytest.raises(Refused):
            Client([first.url, second.url], 5).get("/v1/items?id=x", Status)
        assert not second.asked


def test_busy_node_is_asked_again() -> None:
    """429 with Retry-After is waited for, within the deadline."""
    busy = (429, {"code": "requests.too_many", "detail": "later"}, {"Retry-After": "0"})
    with door(busy, (200, STATUS)) as node:
        client = Client([node.url], 5)
        client.get("/v1/status", Status)
        assert len(node.asked) == 2
        client.close()


def test_no_error_document() -> None:
    """An error without a problem document is told by its HTTP status."""
    with door((500, b"<html>")) as node, pytest.raises(Refused) as problem:
        Client([node.url], 5).get("/v1/status", Status)
    assert problem.value.code == "http.500"


@pytest.mark.parametrize("body", [b"<html>", b'{"height": "seven"}', b"\xff", b""])
def test_answer_of_something_else(body: bytes) -> None:
    """What is no node's answer is told as such, not as a traceback."""
    with door((200, body)) as node, pytest.raises(Failure) as problem:
        Client([node.url], 5).get("/v1/status", Status)
    assert problem.value.code == "node.bad_answer"


def test_token_goes_to_its_own_site_alone() -> None:
    """A token is sent to the node whose site issued it; the node that is asked instead never sees it."""
    busy = (503, {"code": "node.stopping", "detail": "x"}, {"Retry-After": "60"})
    with door(busy) as own, door((200, STATUS)) as other:
        client = Client([own.url, other.url], 5, {own.url: "fgt_secret"})
        client.get("/v1/status", Status)
        assert own.asked[0][1]["Authorization"] == "Bearer fgt_secret"
        assert "Authorization" not in other.asked[0][1]
        client.close()


def test_kept_connection_that_was_closed() -> None:
    """A kept connection that the node has closed meanwhile is opened again without anybody noticing."""
    with door((200, STATUS, {"Connection": "close"})) as node:
        client = Client([node.url], 5)
        ask: Callable[[], Status] = lambda: client.get("/v1/status", Status)  # noqa: E731
        assert ask() == ask()
        client.close()
