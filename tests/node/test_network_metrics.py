"""The transport's counters reach Prometheus with their labels."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from node.network_metrics import NetworkCollector
from node.p2p.counters import Counters


def test_counters_are_exported() -> None:
    """Every counter that moved is in the exposition, by direction, kind, lane or code."""
    counters = Counters()
    counters.bytes_in, counters.bytes_out = 10, 20
    counters.messages_out["consensus"] = 3
    counters.dropped["gossip"] = 2
    counters.refused["peer.not_a_member"] = 1
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NetworkCollector(counters))
    text = generate_latest(registry).decode()
    assert 'farmgate_p2p_bytes_total{direction="in"} 10.0' in text
    assert 'farmgate_p2p_bytes_total{direction="out"} 20.0' in text
    assert 'farmgate_p2p_messages_total{direction="out",kind="consensus"} 3.0' in text
    assert 'farmgate_p2p_dropped_total{lane="gossip"} 2.0' in text
    assert 'farmgate_p2p_refused_total{code="peer.not_a_member"} 1.0' in text
