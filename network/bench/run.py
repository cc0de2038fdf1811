"""One benchmark run: load a network, wait until all is settled, say what happened.

A closed loop: a fixed number of senders each post a batch and wait for its receipts, so a slow
network is offered less and latencies stay honest. `burst` offers everything at once.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import aiohttp

from ledger.codec import encode
from ledger.crypto import KeyPair
from ledger.genesis import Genesis, chain_id
from ledger.types import Height
from network.bench.processes import cpu_seconds, disk_bytes, peak_rss_mb
from network.bench.stages import stage_times_us, verify_rate
from network.bench.workloads import Load, Workload, loads

SENDERS: Final = 24
BATCH: Final = 50
WAIT_SECONDS: Final = 30
SETTLED: Final = frozenset({"accepted", "flagged"})
STAGE_SAMPLE: Final = 2_000
MEDIA_TYPE: Final = "application/vnd.farmgate.tx-batch"


@dataclass(frozen=True, slots=True)
class Target:
    """A running network: addresses, processes and homes of its validators, and a key that may record.

    `kill_last` ends the last validator at once and answers its name; where the workload does that, the
    addresses are those of the others.
    """

    genesis: Genesis
    apis: Sequence[str]
    admins: Sequence[str]
    pids: Sequence[int]
    homes: Sequence[Path]
    key: KeyPair
    kill_last: Callable[[], str]


@dataclass(slots=True)
class Tally:
    """What came back."""

    sent: int = 0
    ok: int = 0
    failed: int = 0
    unknown: int = 0
    events: int = 0
    latencies_ms: list[float] = field(default_factory=list)


async def measure(target: Target, workload: Workload, seconds: float) -> dict[str, Any]:
    """Load the network for `seconds` and answer the figures as one JSON-able document."""
    async with aiohttp.ClientSession() as session:
        status = await _json(session, target.apis[0] + "/v1/status")
        height = Height(status["height"])
        made = loads(workload, chain_id(target.genesis), height, target.key, f"B{os.urandom(3).hex()}")
        prepared = list(islice(made, int(BATCH * SENDERS * max(4.0, seconds * 2))))
        wire_before = await _wire_bytes(session, target.admins)
        cpu_before, disk_before = cpu_seconds(target.pids), disk_bytes(target.homes)
        own_before = time.process_time()
        tally, elapsed = await _load(session, target, prepared, seconds, workload)
        own = time.process_time() - own_before
        cpu = cpu_seconds(target.pids) - cpu_before
        wire = await _wire_bytes(session, target.admins) - wire_before
        disk = disk_bytes(target.homes) - disk_before
    return _figures(target, workload, tally, elapsed, _Used(cpu, own, wire, disk), prepared)


@dataclass(frozen=True, slots=True)
class _Used:
    cpu: float
    own: float
    wire: int
    disk: int


async def _load(
    session: aiohttp.ClientSession,
    target: Target,
    prepared: Sequence[Load],
    seconds: float,
    workload: Workload,
) -> tuple[Tally, float]:
    tally = Tally()
    batches = iter([prepared[start : start + BATCH] for start in range(0, len(prepared), BATCH)])
    start = time.monotonic()
    until = start + seconds
    senders = SENDERS * 4 if workload is Workload.BURST else SENDERS
    async with asyncio.TaskGroup() as tasks:
        for number in range(senders):
            api = target.apis[number % len(target.apis)]
            tasks.create_task(_send(session, api, batches, until, tally))
    return tally, time.monotonic() - start


async def _send(
    session: aiohttp.ClientSession,
    api: str,
    batches: Iterator[Sequence[Load]],
    until: float,
    tally: Tally,
) -> None:
    for batch in batches:
        begun = time.monotonic()
        if begun >= until:
            return
        body = encode(tuple(load.transaction.raw for load in batch))
        headers = {"Content-Type": MEDIA_TYPE, "Prefer": f"wait={WAIT_SECONDS}"}
        tally.sent += len(batch)
        try:
            async with session.post(api + "/v1/transactions", data=body, headers=headers) as answer:
                results = (await answer.json()).get("results", [])
        except (aiohttp.ClientError, TimeoutError):
            tally.unknown += len(batch)
            continue
        _count(tally, batch, results, (time.monotonic() - begun) * 1000)


def _count(
    tally: Tally, batch: Sequence[Load], results: Sequence[Mapping[str, Any]], taken_ms: float
) -> None:
    for load, result in zip(batch, results, strict=False):
        if result["status"] in SETTLED:
            tally.ok += 1
            tally.events += load.events
            tally.latencies_ms.append(taken_ms)
        elif result["status"] == "pending":
            tally.unknown += 1
        else:
            tally.failed += 1
    tally.unknown += max(0, len(batch) - len(results))


def _figures(
    target: Target,
    workload: Workload,
    tally: Tally,
    elapsed: float,
    used: _Used,
    prepared: Sequence[Load],
) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0))
    rate = verify_rate(prepared[0].transaction)
    sample = [load.transaction.raw for load in prepared[:STAGE_SAMPLE]]
    finalized = tally.ok / elapsed
    bound = cores * rate / len(target.apis)
    count = max(1, tally.ok)
    stages = stage_times_us(target.genesis, sample)
    return {
        "workload": workload.value,
        "validators": len(target.genesis.validators),
        "cores": cores,
        "seconds": round(elapsed, 2),
        "sent": tally.sent,
        "ok": tally.ok,
        "failed": tally.failed,
        "unknown": tally.unknown,
        "finalized_tps": round(finalized, 1),
        "events_per_second": round(tally.events / elapsed, 1),
        "verify_rate_per_core": rate,
        "limit_fraction": round(finalized / bound, 3),
        "latency_ms": {f"p{each}": percentile(tally.latencies_ms, each) for each in (50, 95, 99)},
        "cpu_us_per_tx": {
            "total": round(used.cpu / count * 1e6, 1),
            "load_generator": round(used.own / count * 1e6, 1),
            "by_stage_of_one_validator": stages,
        },
        "disk_bytes_per_tx": round(used.disk / count),
        "wire_bytes_per_tx": round(used.wire / count),
        "peak_rss_mb": peak_rss_mb(target.pids),
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """The measured value below which so many percent of them lie; of nothing zero."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 1) if ordered else 0.0


async def _json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url) as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def _wire_bytes(session: aiohttp.ClientSession, admins: Sequence[str]) -> int:
    """Bytes that the nodes sent to each other so far; a node that is down counts nothing."""
    total = 0.0
    for admin in admins:
        try:
            async with session.get(admin + "/metrics") as answer:
                text = await answer.text()
        except aiohttp.ClientError:
            continue
        for line in text.splitlines():
            if line.startswith('farmgate_p2p_bytes_total{direction="out"}'):
                total += float(line.rpartition(" ")[2])
    return int(total)
