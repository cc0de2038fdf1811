"""What the benchmark sends: real signed captures, made before the clock starts.

Every transaction is different and every event valid, so that nodes do all the work that they do
for a site: decode, verify, execute, commit to state, store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from contracts.epcis.document import capture_event
from contracts.provenance.capture import CONTRACT, CaptureArguments
from ledger.codec import encode
from ledger.crypto import KeyPair
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.types import ChainId, Height

METHOD = "capture"
VALID_BLOCKS = 500
BATCH_EVENTS = 20


class Workload(Enum):
    """Which kind of traffic."""

    TRANSFER = "transfer"  # one short shipping event a transaction
    EPCIS = "epcis"  # one event of the size that sites send (about 600 bytes)
    BATCH = "batch"  # twenty events under one signature
    MIXED = "mixed"  # the three in turn
    BURST = "burst"  # `epcis`, everything sent as fast as the door takes it
    ONE_DOWN = "one-down"  # `epcis`, one by one at a fixed rate, then the same with one validator killed


@dataclass(frozen=True, slots=True)
class Load:
    """A transaction and how many events it records."""

    transaction: Transaction
    events: int


def loads(workload: Workload, chain_id: ChainId, height: Height, key: KeyPair, run: str) -> Iterator[Load]:
    """Endless transactions of a workload; `run` makes the items of one run unlike those of any other."""
    makers = {
        Workload.TRANSFER: (_short,),
        Workload.BATCH: (_batch,),
        Workload.MIXED: (_short, _usual, _batch),
    }.get(workload, (_usual,))
    number = 0
    while True:
        events = makers[number % len(makers)](run, number)
        arguments = CaptureArguments(tuple(capture_event(event) for event in events))
        body = TransactionBody(
            chain_id, key.public, os.urandom(16), height + VALID_BLOCKS, CONTRACT, METHOD, encode(arguments)
        )
        yield Load(sign_transaction(body, key), len(events))
        number += 1


Maker = Callable[[str, int], list[dict[str, Any]]]


def _short(run: str, number: int) -> list[dict[str, Any]]:
    return [
        {
            "type": "ObjectEvent",
            "eventTime": "2026-06-01T08:00:00Z",
            "eventTimeZoneOffset": "+00:00",
            "action": "OBSERVE",
            "bizStep": "shipping",
            "epcList": [f"https://id.gs1.org/01/09521141012345/21/{run}{number}"],
        }
    ]


def _usual(run: str, number: int) -> list[dict[str, Any]]:
    return [_event(run, number)]


def _batch(run: str, number: int) -> list[dict[str, Any]]:
    return [_event(run, number * BATCH_EVENTS + each) for each in range(BATCH_EVENTS)]


def _event(run: str, number: int) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "eventTime": "2026-06-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "disposition": "active",
        "readPoint": {"id": "https://id.gs1.org/414/9521141000016"},
        "bizLocation": {"id": "https://id.gs1.org/414/9521141000016"},
        "quantityList": [
            {
                "epcClass": f"https://id.gs1.org/01/09521141012345/10/{run}{number}",
                "quantity": 200,
                "uom": "KGM",
            }
        ],
        "bizTransactionList": [{"type": "po", "bizTransaction": f"urn:example:po:{number}"}],
    }
