"""What a dead leader costs: finality with all validators, then with one killed, at one load in one run.

An open loop: transactions leave at fixed moments whatever became of those before, one by one, to the
validators that stay up. A latency counts from the moment a transaction was due, so that a stall is felt by
all that was due in it. What passes until the dead leader is skipped has figures of its own, and is in those
of `one_down` too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any, Final

import aiohttp

from ledger.genesis import chain_id
from ledger.transaction import Transaction
from ledger.types import Height
from network.bench.run import SETTLED, Target, percentile
from network.bench.workloads import Workload, loads

RATE_PER_SECOND: Final = 25
WARM_SECONDS: Final = 5  # first blocks, connections and caches of both sides
SETTLING_SECONDS: Final = 10  # three missed views of the dead leader, a second each, and the views between
LOST_VIEW_SECONDS: Final = (
    0.5  # a view that the dead leader held for so long was waited for; a skipped one is not
)
BEFORE_KILL_SECONDS: Final = (
    2  # what is due so shortly before may wait for the dead leader: it counts as after
)
SAMPLE_SECONDS: Final = 0.05
WAIT_SECONDS: Final = 30
MEDIA_TYPE: Final = "application/vnd.farmgate.tx"
UNKNOWN_STATUS: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Sample:
    """Where one validator stood at a moment of this process's clock."""

    at: float
    epoch: int
    view: int
    leader: str
    height: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One transaction: when it was due, how long it took, what it came to."""

    due: float
    taken_ms: float
    status: str


@dataclass(slots=True)
class Record:
    """All that was seen in a run."""

    samples: list[Sample] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Course:
    """The moments that part a run."""

    healthy_from: float
    healthy_until: float
    killed_at: float
    settled_from: float
    until: float


async def measure_one_down(target: Target, seconds: float) -> dict[str, Any]:
    """Load the network for `seconds` with all validators and again with one dead; answer the figures."""
    record = Record()
    start = time.monotonic()
    healthy_from = start + WARM_SECONDS
    killed_at = healthy_from + seconds + BEFORE_KILL_SECONDS
    settled_from = killed_at + SETTLING_SECONDS
    course = Course(healthy_from, healthy_from + seconds, killed_at, settled_from, settled_from + seconds)
    async with aiohttp.ClientSession() as session:
        watching = asyncio.create_task(_watch(session, target.apis[0], record))
        killing = asyncio.create_task(_kill_at(target, killed_at))
        try:
            await _load(session, target, course, record)
        finally:
            watching.cancel()
            killing.cancel()
            ended = await asyncio.gather(watching, killing, return_exceptions=True)
    if isinstance(ended[1], str):
        return figures_of(record, course, ended[1], len(target.genesis.validators))
    raise AssertionError(f"the validator was not killed: {ended[1]!r}")


async def _kill_at(target: Target, moment: float) -> str:
    await asyncio.sleep(moment - time.monotonic())
    return await asyncio.to_thread(target.kill_last)


async def _watch(session: aiohttp.ClientSession, api: str, record: Record) -> None:
    while True:
        async with session.get(api + "/v1/status") as answer:
            said = await answer.json()
        record.samples.append(
            Sample(time.monotonic(), said["epoch"], said["view"], said["leader"], said["height"])
        )
        await asyncio.sleep(SAMPLE_SECONDS)


async def _load(session: aiohttp.ClientSession, target: Target, course: Course, record: Record) -> None:
    """Send at every moment that is due, on time whatever the answers; return when all are there."""
    made = _transactions(target, record)
    begin = course.healthy_from - WARM_SECONDS
    async with asyncio.TaskGroup() as tasks:
        for number in range(int((course.until - begin) * RATE_PER_SECOND)):
            due = begin + number / RATE_PER_SECOND
            await asyncio.sleep(due - time.monotonic())
            api = target.apis[number % len(target.apis)]
            tasks.create_task(_send(session, api, next(made), due, record))


def _transactions(target: Target, record: Record) -> Iterator[Transaction]:
    """Fresh ones, a second's worth at a time: each stays valid for some hundred blocks only."""
    run = f"D{os.urandom(3).hex()}"
    for second in range(10**6):
        height = Height(record.samples[-1].height if record.samples else 0)
        made = loads(Workload.ONE_DOWN, chain_id(target.genesis), height, target.key, f"{run}-{second}-")
        yield from (load.transaction for load in islice(made, RATE_PER_SECOND))


async def _send(
    session: aiohttp.ClientSession, api: str, transaction: Transaction, due: float, record: Record
) -> None:
    headers = {"Content-Type": MEDIA_TYPE, "Prefer": f"wait={WAIT_SECONDS}"}
    try:
        async with session.post(api + "/v1/transactions", data=transaction.raw, headers=headers) as answer:
            status = (await answer.json()).get("status", UNKNOWN_STATUS)
    except (aiohttp.ClientError, TimeoutError):
        status = UNKNOWN_STATUS
    record.outcomes.append(Outcome(due, (time.monotonic() - due) * 1000, status))


# --- figures ------------------------------------------------------------------


def figures_of(record: Record, course: Course, dead: str, validators: int) -> dict[str, Any]:
    """Both phases and how they compare: `one_down` is what the kill touched, `settled` all but its start."""
    healthy = _phase(record, course.healthy_from, course.healthy_until)
    down = _phase(record, course.healthy_until, course.until)
    settled = _phase(record, course.settled_from, course.until)
    waited = waited_views(record.samples, dead, course.killed_at)
    return {
        "workload": Workload.ONE_DOWN.value,
        "validators": validators,
        "offered_tps": RATE_PER_SECOND,
        "finalized_tps": settled["finalized_tps"],
        "settling_seconds": SETTLING_SECONDS,
        "healthy": healthy,
        "one_down": down,
        "settled": settled,
        "views_waited_for": len(waited),
        "seconds_until_skipped": round(max(waited, default=course.killed_at) - course.killed_at, 2),
        "p99_ratio": {"settled": _ratio(settled, healthy), "with_settling": _ratio(down, healthy)},
    }


def _phase(record: Record, start: float, end: float) -> dict[str, Any]:
    outcomes = [each for each in record.outcomes if start <= each.due < end]
    final = [each.taken_ms for each in outcomes if each.status in SETTLED]
    samples = [each for each in record.samples if start <= each.at < end]
    views = sum(_passed(before, after) for before, after in pairwise(samples))
    blocks = samples[-1].height - samples[0].height if samples else 0
    return {
        "seconds": round(end - start, 1),
        "sent": len(outcomes),
        "ok": len(final),
        "finalized_tps": round(len(final) / (end - start), 1),
        "blocks": blocks,
        "views_without_block": max(0, views - blocks),
        "latency_ms": {
            **{f"p{each}": percentile(final, each) for each in (50, 95, 99)},
            "max": round(max(final, default=0.0), 1),
        },
    }


def _passed(before: Sample, after: Sample) -> int:
    """How many views lie between two samples; those at the end of an epoch that just turned are not known."""
    return after.view - before.view if after.epoch == before.epoch else after.view


def waited_views(samples: Sequence[Sample], dead: str, since: float) -> list[float]:
    """For each view in which everybody waited for the dead leader: when it was last seen."""
    seen: dict[tuple[int, int], tuple[float, float]] = {}
    for each in samples:
        if each.at >= since and each.leader == dead:
            first, _ = seen.get((each.epoch, each.view), (each.at, each.at))
            seen[each.epoch, each.view] = first, each.at
    return [last for first, last in seen.values() if last - first >= LOST_VIEW_SECONDS]


def _ratio(phase: dict[str, Any], healthy: dict[str, Any]) -> float:
    base: float = healthy["latency_ms"]["p99"]
    return round(phase["latency_ms"]["p99"] / base, 2) if base else 0.0
