"""What the transport counts, for metrics and tests: plain numbers that the transport itself never reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Totals since the node started. The keys are kinds of message, lanes and codes: closed sets."""

    messages_in: Counter[str] = field(default_factory=Counter)  # by kind
    messages_out: Counter[str] = field(default_factory=Counter)  # by kind, when queued
    bytes_in: int = 0  # frames as they came out of TLS
    bytes_out: int = 0
    dropped: Counter[str] = field(default_factory=Counter)  # by lane: the queue of a peer was full
    refused: Counter[str] = field(
        default_factory=Counter
    )  # connections that ended before they began, by code
    ended: Counter[str] = field(default_factory=Counter)  # connections that were up, by code
    malformed: Counter[str] = field(default_factory=Counter)  # frames and messages, by code
    dials: int = 0
    connected: int = 0
    offences: Counter[str] = field(default_factory=Counter)  # by offence
