"""What an event costs the provenance contract: time to execute, and keys written to the state tree.

Prints one JSON document.

    python bench/provenance.py [--rounds 200]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contracts.provenance.trace import trace
from tests.contracts.provenance.events import (
    Books,
    Json,
    amount,
    captured,
    commission,
    lot,
    objects,
    pack,
    receive,
    ship,
    sscc,
    transform,
    unit,
    unpack,
)

ROUNDS = 5


def cases(number: int) -> dict[str, list[tuple[str, str, Json]]]:
    """Typical events of one round, in an order in which none is flagged: (label, organisation, event)."""
    base = number * 10_000
    units = [unit("packer", f"{number}-{index}") for index in range(20)]
    case_lot, made, pallet = lot("farm", f"H{number}"), lot("packer", f"P{number}"), sscc("packer", number)
    quantity, output = [amount(case_lot, 100)], [amount(made, 90)]
    return {
        "lot": [
            ("commission a lot", "farm", commission(base, q=quantity)),
            ("ship a lot", "farm", ship(base + 1, q=quantity, to="packer")),
            ("receive a lot", "packer", receive(base + 2, q=quantity)),
            ("transform a lot", "packer", transform(base + 3, iq=quantity, oq=output)),
        ],
        "pallet": [
            ("commission 20 units", "packer", commission(base + 4, *units)),
            ("pack 20 units", "packer", pack(base + 5, pallet, *units)),
            ("ship a pallet", "packer", ship(base + 6, pallet, to="center")),
            ("observe a pallet", "carrier", objects("OBSERVE", base + 7, pallet, bizStep="transporting")),
            ("receive a pallet", "center", receive(base + 8, pallet)),
            ("unpack 20 units", "center", unpack(base + 9, pallet)),
            ("observe a unit", "center", objects("OBSERVE", base + 10, units[0], bizStep="storing")),
        ],
    }


def measured(books: Books, numbers: Iterator[int], rounds: int) -> dict[str, dict[str, Any]]:
    """Median time of each kind of event, one a capture, and the keys that it writes."""
    times: dict[str, list[float]] = {}
    writes: dict[str, int] = {}
    for _ in range(rounds):
        for events in cases(next(numbers)).values():
            for label, organisation, event in events:
                arguments = captured(event)
                start = perf_counter()
                books.send(f"{organisation}/operator", "provenance", "capture", arguments)
                times.setdefault(label, []).append(perf_counter() - start)
                writes[label] = books.last_writes
    return {
        label: {"us": round(median(found) * 1e6), "writes": writes[label]} for label, found in times.items()
    }


def large_pallet(books: Books, size: int = 5_000) -> dict[str, Any]:
    """Pack and unpack a pallet of many units, in captures of 1,000."""
    units = [unit("packer", f"big-{index}", 3) for index in range(size)]
    pallet = sscc("packer", 9_999_999)
    found: dict[str, Any] = {"units": size}
    for offset in range(0, size, 1_000):
        books.clean("packer", commission(10**7, *units[offset : offset + 1_000]))
    start, writes = perf_counter(), 0
    for offset in range(0, size, 1_000):
        books.clean("packer", pack(10**7 + 1 + offset, pallet, *units[offset : offset + 1_000]))
        writes += books.last_writes
    found["pack"] = {"seconds": round(perf_counter() - start, 3), "writes": writes}
    for label, event in (
        ("ship", ship(10**7 + size + 2, pallet, to="center")),
        ("unpack", unpack(10**7 + size + 3, pallet)),
    ):
        start = perf_counter()
        books.clean("packer", event) if label == "ship" else books.flagged("packer", event)
        found[label] = {"seconds": round(perf_counter() - start, 3), "writes": books.last_writes}
    start = perf_counter()
    graph = trace(books.state, pallet, nodes_max=size)
    assert graph is not None
    found["trace"] = {"seconds": round(perf_counter() - start, 3), "nodes": len(graph.nodes)}
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    books, numbers = Books(), count(1)
    books.time_ms += 10**12  # block time far enough ahead of every event
    measured(books, numbers, 20)
    runs = [measured(books, numbers, rounds) for _ in range(ROUNDS)]
    report = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "medians_of": ROUNDS,
        "note": "us: decode, validate, execute and sign one transaction of one event, state in a dictionary",
        "events": {
            label: {"us": median(run[label]["us"] for run in runs), "writes": runs[-1][label]["writes"]}
            for label in runs[0]
        },
        "pallet": large_pallet(books),
    }
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
