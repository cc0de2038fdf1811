"""What the handlers share: the node, its settings, and the limits that are counted across requests."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from ledger.types import TxId
from node.api.epcis.named_queries import NamedQueries
from node.api.metrics import Metrics
from node.api.tokens import Scope, TokenKeeper
from node.event_index import EventIndex
from node.service import Service
from node.store.disk import LocalDisk

BODY_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 30.0
KEEP_ALIVE_SECONDS: Final = 10.0
STREAM_COMMENT_SECONDS: Final = 15.0
REQUESTS_AT_ONCE_MAX: Final = 256
CONNECTIONS_MAX: Final = 1024
CONNECTIONS_OF_CLIENT_MAX: Final = 256  # one site's gateway may front many scanners
REQUESTS_PER_SECOND: Final = 1000  # of one client; a batch is one request
REQUESTS_BURST: Final = 2000
CLIENTS_MAX: Final = 4096  # remembered buckets; the one unused longest goes first
STREAMS_OF_CLIENT_MAX: Final = 64
CAPTURES_REMEMBERED: Final = 10_000
WAITS_MAX: Final = 512  # requests that wait for finality at once


@dataclass(frozen=True, slots=True)
class Settings:
    """What a site may set. Times are seconds; `hosts` are further names by which clients may call."""

    hosts: tuple[str, ...] = ()
    is_read_open: bool = True  # reading needs no token; the listener is on loopback unless configured
    body_seconds: float = BODY_SECONDS
    answer_seconds: float = ANSWER_SECONDS
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    stream_comment_seconds: float = STREAM_COMMENT_SECONDS
    requests_at_once_max: int = REQUESTS_AT_ONCE_MAX
    connections_max: int = CONNECTIONS_MAX
    connections_of_client_max: int = CONNECTIONS_OF_CLIENT_MAX
    requests_per_second: float = REQUESTS_PER_SECOND
    requests_burst: int = REQUESTS_BURST


class Signed(NamedTuple):
    """When this node signed a capture, and the last height at which it may stand in a block."""

    time_ms: int
    valid_until: int


@dataclass(slots=True)
class Api:
    """The shared part of the public listener.

    `home` holds the site's tokens and queries; `now_ms` is the wall clock.
    """

    service: Service
    events: EventIndex
    home: Path
    metrics: Metrics
    settings: Settings = field(default_factory=Settings)
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    monotonic: Callable[[], float] = time.monotonic
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: TokenKeeper = field(init=False)
    queries: NamedQueries = field(init=False)
    streams_of: dict[str, int] = field(default_factory=dict)
    captures: OrderedDict[TxId, Signed] = field(default_factory=OrderedDict)
    tracing: asyncio.Lock = field(default_factory=asyncio.Lock)
    waits: int = 0

    def __post_init__(self) -> None:
        self.tokens = TokenKeeper(self.home)
        self.queries = NamedQueries(self.home, LocalDisk())

    def remember_capture(self, transaction_id: TxId, valid_until: int) -> None:
        """Note that this node signed a capture now; the oldest are forgotten, the chain knows the rest."""
        self.captures[transaction_id] = Signed(self.now_ms(), valid_until)
        while len(self.captures) > CAPTURES_REMEMBERED:
            self.captures.popitem(last=False)

    def authorise(self, authorization: str | None, scope: Scope) -> None:
        """Refuse a request whose token does not allow `scope`; reading may be left open by the site.

        Raises:
            LedgerError: `token.*`.
        """
        if scope is Scope.READ and self.settings.is_read_open:
            return
        self.tokens.check(authorization, scope, self.now_ms())
