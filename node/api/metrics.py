"""What a node measures, for Prometheus: a registry of its own, base units, few and bounded labels.

Counters and histograms are written where things happen; what stands in the node's status is read
from it when Prometheus asks. docs/reference/metrics.md lists every family.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from ledger.block import Header
from node.service import NodeStatus

PREFIX: Final = "farmgate_"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_COUNTS: Final = (0, 1, 5, 10, 50, 100, 500, 1000, 2000, 5000)
_BYTES: Final = (256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20)

# Answers are labelled by the route's pattern, never by the path that came: a stranger cannot make labels.
UNKNOWN_ROUTE: Final = "unknown"


class Metrics:
    """The registry of one node, and what its interfaces count."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "farmgate_http_requests",
            "Requests answered, by listener, route pattern, method and status.",
            ("listener", "route", "method", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "farmgate_http_request_seconds",
            "Time from a request's headers to the end of its answer (streams excepted).",
            ("listener", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.requests_at_work = Gauge(
            "farmgate_http_requests_at_work",
            "Requests being answered now (streams excepted).",
            ("listener",),
            registry=self.registry,
        )
        self.connections_refused = Counter(
            "farmgate_http_connections_refused",
            "Connections closed at once, by the limit that they were over.",
            ("listener", "limit"),
            registry=self.registry,
        )
        self.streams = Gauge("farmgate_http_streams", "Event streams that are open.", registry=self.registry)
        self.transactions = Counter(
            "farmgate_transactions_submitted",
            "Transactions that clients sent, by the answer at the door.",
            ("status",),
            registry=self.registry,
        )
        self.transaction_bytes = Histogram(
            "farmgate_transaction_bytes",
            "Size of the transactions that clients sent.",
            buckets=_BYTES,
            registry=self.registry,
        )
        self.captured_events = Counter(
            "farmgate_captured_events",
            "EPCIS events that clients sent for this node to sign.",
            registry=self.registry,
        )

        self.blocks = Counter(
            "farmgate_blocks", "Blocks that became final here since the start.", registry=self.registry
        )
        self.block_transactions = Histogram(
            "farmgate_block_transactions",
            "Transactions in a final block.",
            buckets=_COUNTS,
            registry=self.registry,
        )
        self.block_events = Counter(
            "farmgate_block_events", "EPCIS events in final blocks since the start.", registry=self.registry
        )
        self.block_age_seconds = Histogram(
            "farmgate_block_age_seconds",
            "Time from a block's own time to its finality here, by this node's clock.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.loop_lag_seconds = Histogram(
            "farmgate_event_loop_lag_seconds",
            "How late the event loop woke a task that slept: what holds it delays votes.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        ProcessCollector(namespace="farmgate", registry=self.registry)

    def observe_block(self, header: Header, now_ms: int) -> None:
        """Count a block that has become final."""
        self.blocks.inc()
        self.block_transactions.observe(header.transaction_count)
        self.block_events.inc(header.event_count)
        self.block_age_seconds.observe(max(0, now_ms - header.time_ms) / 1000)

    def watch(self, status: Callable[[], NodeStatus], version: str) -> None:
        """Read the node's status whenever the metrics are asked for."""
        self.registry.register(_StatusCollector(status, version))

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class _StatusCollector(Collector):
    def __init__(self, status: Callable[[], NodeStatus], version: str) -> None:
        self._status = status
        self._version = version

    def describe(self) -> list[Metric]:
        return []  # known by what `collect` gives

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        yield InfoMetricFamily(
            "farmgate_node",
            "The node, its role, chain and release.",
            value={
                "node": status.node,
                "role": status.role,
                "chain_id": status.chain_id.hex(),
                "version": self._version,
            },
        )
        connected = sum(peer.connected for peer in status.peers)
        for name, text, value in (
            ("height", "Height of the last final block.", status.height),
            ("epoch", "Epoch of consensus.", status.epoch),
            ("view", "View of consensus.", status.view),
            ("lag_blocks", "Final blocks that are not here yet.", status.lag_blocks),
            ("pending_transactions", "Transactions that wait for a block.", status.pending_transactions),
            (
                "unsettled_views",
                "Views of the dispute period without a certificate here.",
                status.unsettled_views,
            ),
            ("peers", "Member nodes that this node knows.", len(status.peers)),
            ("peers_connected", "Member nodes that this node is connected to.", connected),
            ("is_voting", "1 where the node votes, else 0.", int(status.is_voting)),
            ("block_timestamp_seconds", "Time of the last final block, UTC.", status.time_ms / 1000),
        ):
            yield GaugeMetricFamily(PREFIX + name, text, value=value)
