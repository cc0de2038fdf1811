"""The REST client: typed answers, one deadline, and the next node where one is out of reach.

Every request here may be sent twice without harm: reads change nothing, and a transaction is one
transaction however often it comes. So whatever goes wrong on the way, the next node is asked.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import msgspec

from cli.answers import Problem
from cli.exit_code import ExitCode, exit_code_of
from cli.failure import Failure

ANSWER_BYTES_MAX: Final = 64 << 20
RETRY_SECONDS_MAX: Final = 5.0  # of a node's wish to be asked later
CONNECT_SECONDS_MAX: Final = 5.0
_BUSY: Final = frozenset({429, 502, 503, 504})

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a node, whatever its status."""

    node: str
    status: int
    body: bytes
    height: int | None


class Refused(Failure):
    """What a node answered with instead of what was asked for."""

    def __init__(self, problem: Problem, status: int, node: str) -> None:
        super().__init__(
            problem.code, problem.detail, problem.pointer, exit_code=exit_code_of(problem.code, status)
        )
        self.status = status
        self.node = node
        self.faults = problem.errors


class Unreachable(Failure):
    """No node answered. `was_sent`: one of them may have taken the request all the same."""

    def __init__(self, tried: Sequence[str], last: str, *, was_sent: bool) -> None:
        super().__init__(
            "node.unreachable",
            f"no node answered: {last}",
            advice=f"is one of {', '.join(tried)} running? `farmgate doctor` looks; --node URL asks another",
            exit_code=ExitCode.UNREACHABLE,
        )
        self.was_sent = was_sent


class Client:
    """Talks to the nodes of one profile, the first one first, then whichever answered last."""

    def __init__(
        self, nodes: Sequence[str], timeout_seconds: float, tokens: Mapping[str, str] | None = None
    ) -> None:
        """`tokens` by the URL of the node whose site issued them: no other node may see one."""
        self._connections: dict[str, http.client.HTTPConnection] = {}
        assert nodes, "a client needs a node to ask"
        self._nodes = list(nodes)
        self._timeout = timeout_seconds
        self._tokens = dict(tokens or {})
        self.height: int | None = None  # of the last answer

    @property
    def node(self) -> str:
        """The URL of the node that is asked first now."""
        return self._nodes[0]

    def get(self, path: str, kind: type[Value]) -> Value:
        """The answer to a GET as a value of this type.

        Raises:
            Refused, Unreachable; Failure: `node.bad_answer`.
        """
        return self._decoded(self.request("GET", path), kind)

    def get_json(self, path: str) -> Any:
        """The answer to a GET as plain JSON.

        Raises:
            As `get`.
        """
        return self._decoded(self.request("GET", path), Any)

    def post(
        self, path: str, body: bytes, media_type: str, kind: type[Value], wait_seconds: int = 0
    ) -> Value:
        """The answer to a POST; the node may take `wait_seconds` before it answers.

        Raises:
            As `get`.
        """
        headers = {"Content-Type": media_type}
        if wait_seconds:
            headers["Prefer"] = f"wait={wait_seconds}"
        return self._decoded(self.request("POST", path, body, headers), kind)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """The first good answer of any node.

        Raises:
            Refused: the node understood and would not. Unreachable: none answered in time.
        """
        deadline = time.monotonic() + self._timeout
        tried, last, was_sent = list(self._nodes), "", False
        refused: Refused | None = None
        for node in tried:
            try:
                reply = self._ask(
                    node, method, path, body, {**self._headers(node), **(headers or {})}, deadline
                )
            except (OSError, http.client.HTTPException) as problem:
                self._drop(node)
                was_sent = was_sent or not isinstance(problem, ConnectionRefusedError)
                last = f"{node}: {_words(problem)}"
                continue
            if reply.status < 400:
                self._prefer(node)
                return reply
            refused = Refused(_problem(reply), reply.status, node)
            if reply.status not in _BUSY:
                self._prefer(node)
                raise refused
        if refused is not None:
            raise refused
        raise Unreachable(tried, last, was_sent=was_sent)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections."""
        for node in list(self._connections):
            self._drop(node)

    def _ask(
        self,
        node: str,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Reply:
        """Ask one node; once more where a kept connection turns out to be closed, or the node is busy."""
        is_kept = node in self._connections
        try:
            reply = self._exchange(node, method, path, body, headers, deadline)
        except (ConnectionError, http.client.RemoteDisconnected, http.client.CannotSendRequest):
            if not is_kept:
                raise
            self._drop(node)
            reply = self._exchange(node, method, path, body, headers, deadline)
        return reply

    def _exchange(
        self,
        node: str,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Reply:
        connection = self._connection(node, deadline)
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        data = response.read(ANSWER_BYTES_MAX + 1)
        if len(data) > ANSWER_BYTES_MAX:
            raise http.client.HTTPException(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        if response.length:  # a read with a limit does not complain by itself
            raise http.client.IncompleteRead(data, response.length)
        found = response.headers.get("X-Ledger-Height", "")
        self.height = int(found) if found.isascii() and found.isdigit() else self.height
        if response.status in (429, 503):
            pause = response.headers.get("Retry-After", "1")
            seconds = min(float(pause) if pause.isdigit() else 1.0, RETRY_SECONDS_MAX)
            if time.monotonic() + seconds < deadline:
                time.sleep(seconds)
                return self._exchange(node, method, path, body, headers, deadline)
        return Reply(node, response.status, data, self.height)

    def _connection(self, node: str, deadline: float) -> http.client.HTTPConnection:
        left = max(0.05, deadline - time.monotonic())
        connection = self._connections.get(node)
        if connection is None:
            connection = _connection(urlsplit(node), min(left, CONNECT_SECONDS_MAX))
            connection.connect()
            self._connections[node] = connection
        if connection.sock is None:  # the node closed it after the last answer
            connection.timeout = min(left, CONNECT_SECONDS_MAX)
            connection.connect()
        assert connection.sock is not None
        connection.sock.settimeout(left)
        return connection

    def _drop(self, node: str) -> None:
        connection = self._connections.pop(node, None)
        if connection is not None:
            connection.close()

    def _prefer(self, node: str) -> None:
        self._nodes.remove(node)
        self._nodes.insert(0, node)

    def _headers(self, node: str) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "farmgate"}
        if node in self._tokens:
            headers["Authorization"] = f"Bearer {self._tokens[node]}"
        return headers

    def _decoded(self, reply: Reply, kind: type[Value]) -> Value:
        try:
            return msgspec.json.decode(reply.body, type=kind)
        except msgspec.MsgspecError as problem:
            raise Failure(
                "node.bad_answer",
                f"{reply.node} did not answer as a Farmgate node does: {problem}",
                advice="does the URL point at the node's public port?",
                exit_code=ExitCode.UNREACHABLE,
            ) from None


def _connection(url: SplitResult, seconds: float) -> http.client.HTTPConnection:
    host, port = url.hostname or "", url.port
    if url.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=seconds)


def _problem(reply: Reply) -> Problem:
    try:
        return msgspec.json.decode(reply.body, type=Problem)
    except msgspec.MsgspecError:
        words = http.client.responses.get(reply.status, "refused")
        return Problem(code=f"http.{reply.status}", detail=f"{reply.node} answered {reply.status} {words}")


def _words(problem: Exception) -> str:
    match problem:
        case ConnectionRefusedError():
            return "connection refused"
        case TimeoutError():
            return "no answer in time"
        case http.client.RemoteDisconnected():
            return "it closed the connection"
        case ssl.SSLError():
            return f"TLS: {problem.reason}"
        case OSError():
            return problem.strerror or str(problem)
        case _:
            return str(problem) or type(problem).__name__
