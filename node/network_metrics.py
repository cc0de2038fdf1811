"""The transport's counters in the form that Prometheus reads. Labels are closed sets of our own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from node.p2p.counters import Counters


class NetworkCollector(Collector):
    """Reads the counters of one node's transport whenever the metrics are asked for."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def describe(self) -> list[Metric]:
        """Nothing: the families are known by what `collect` gives."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every counter as it stands now."""
        counters = self._counters
        traffic = CounterMetricFamily(
            "farmgate_p2p_bytes", "Bytes of frames to and from peers.", labels=("direction",)
        )
        traffic.add_metric(("in",), counters.bytes_in)
        traffic.add_metric(("out",), counters.bytes_out)
        yield traffic
        messages = CounterMetricFamily(
            "farmgate_p2p_messages", "Messages to and from peers, by kind.", labels=("direction", "kind")
        )
        for direction, counted in (("in", counters.messages_in), ("out", counters.messages_out)):
            for kind in sorted(counted):
                messages.add_metric((direction, kind), counted[kind])
        yield messages
        yield _by("lane", "farmgate_p2p_dropped", "Messages dropped: a full lane.", counters.dropped)
        yield _by("code", "farmgate_p2p_refused", "Connections refused before they began.", counters.refused)
        yield _by("code", "farmgate_p2p_ended", "Connections that ended.", counters.ended)
        yield _by("code", "farmgate_p2p_malformed", "Frames of no known form.", counters.malformed)
        yield _by("offence", "farmgate_p2p_offences", "What peers did wrong.", counters.offences)
        yield CounterMetricFamily("farmgate_p2p_dials", "Connections tried.", value=counters.dials)
        yield CounterMetricFamily("farmgate_p2p_connected", "Connections made.", value=counters.connected)


def _by(label: str, name: str, text: str, counted: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=(label,))
    for word in sorted(counted):
        family.add_metric((word,), counted[word])
    return family
