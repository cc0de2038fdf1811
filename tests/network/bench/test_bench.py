"""The benchmark measures what it says: real transactions, every stage, honest counts."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

import pytest

from contracts.runtime import CoreRules
from ledger.genesis import chain_id
from ledger.members import Key, Role
from ledger.receipt import Status
from ledger.transaction import verify_signature
from ledger.types import ChainId, Height
from network.bench.one_down import Course, Outcome, Record, Sample, figures_of, waited_views
from network.bench.processes import cpu_seconds, disk_bytes, peak_rss_mb
from network.bench.run import Tally, _count, percentile
from network.bench.stages import stage_times_us, verify_rate
from network.bench.workloads import BATCH_EVENTS, Workload, loads
from tests.contracts.chain import key_of, make_genesis

KEY = key_of("farm/operator")


@pytest.mark.parametrize("workload", list(Workload))
def test_workloads_are_real(workload: Workload) -> None:
    """Each transaction is signed, unlike the others, and one that the contracts take."""
    made = list(islice(loads(workload, ChainId(bytes(32)), Height(0), KEY, "run"), 6))
    assert len({load.transaction.id for load in made}) == 6
    sender = Key(KEY.public, "farm", "bench", (Role.OPERATOR,), 0, 0)
    for load in made:
        verify_signature(load.transaction)
        CoreRules().check(load.transaction, sender)
    if workload is Workload.BATCH:
        assert {load.events for load in made} == {BATCH_EVENTS}


def test_workloads_are_documented() -> None:
    """docs/reference/benchmarks.md has a row for each workload, and for nothing else."""
    page = Path(__file__).parents[3] / "docs" / "reference" / "benchmarks.md"
    rows = re.findall(r"^\| `([a-z-]+)` \| .* \| .* \|$", page.read_text("utf-8"), re.MULTILINE)
    assert set(rows) - {"healthy", "one_down", "settled"} == {each.value for each in Workload}


def test_stages_cover_the_pipeline() -> None:
    """Every stage is named and takes time; the transactions really run."""
    genesis = make_genesis()
    made = islice(loads(Workload.EPCIS, chain_id(genesis), Height(0), KEY, "run"), 20)
    raws = [load.transaction.raw for load in made]
    stages = stage_times_us(genesis, raws)
    assert list(stages) == ["decode", "verify", "execute", "store_in_memory"]
    assert min(stages.values()) > 0


def test_verify_rate_counts() -> None:
    """The rate of verifications is a positive number a second."""
    load = next(loads(Workload.TRANSFER, ChainId(bytes(32)), Height(0), KEY, "run"))
    assert verify_rate(load.transaction) > 0


def test_counts_are_honest() -> None:
    """What waits or was never answered is unknown, what was refused failed, only the rest is ok."""
    batch = list(islice(loads(Workload.TRANSFER, ChainId(bytes(32)), Height(0), KEY, "run"), 4))
    tally = Tally(sent=4)
    words = [Status.ACCEPTED.word, Status.REFUSED.word, "pending"]
    _count(tally, batch, [{"status": word} for word in words], 12.0)
    assert (tally.ok, tally.failed, tally.unknown, tally.latencies_ms) == (1, 1, 2, [12.0])


def testpercentiles() -> None:
    """A percentile is a measured value; of nothing it is zero."""
    assert percentile([], 99) == 0.0
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([float(each) for each in range(100)], 99) == 99.0


def test_process_figures() -> None:
    """This process has used time and memory; one that is gone counts nothing."""
    assert cpu_seconds([os.getpid()]) > 0
    assert peak_rss_mb([os.getpid()]) > 1
    assert cpu_seconds([2**22 + 1]) == 0
    assert disk_bytes([]) == 0


def sampled(held_seconds: float) -> list[Sample]:
    """Ten seconds of one validator's status: a view each 0.1 s, every fourth led by the dead one and held."""
    samples, now, height = [], 0.0, 0
    for view in range(100):
        is_dead = view % 4 == 3
        end = now + (held_seconds if is_dead else 0.1)
        height += not is_dead
        while now < end:
            samples.append(Sample(now, 0, view, "node-3" if is_dead else "node-0", height))
            now += 0.05
    return samples


def test_only_views_that_were_waited_for_count_as_such() -> None:
    """A dead leader's view that ends at once was skipped; one that others led is slow for other reasons."""
    assert waited_views(sampled(0.1), "node-3", 0.0) == []
    assert len(waited_views(sampled(1.0), "node-3", 0.0)) == 25
    assert waited_views(sampled(1.0), "node-1", 0.0) == []
    assert waited_views(sampled(1.0), "node-3", 1e9) == [], "before the kill nobody was dead"


def test_both_parts_of_one_down_are_told_and_the_start_is_not_hidden() -> None:
    """Slow answers around the kill are in `one_down`, not in `settled`; a view without a block counts."""
    outcomes = [Outcome(each / 10, 1000.0 if 100 <= each < 130 else 100.0, "accepted") for each in range(400)]
    outcomes.append(Outcome(35.0, 30_000.0, "pending"))
    samples = [Sample(each / 10, each // 300, each % 300, "node-0", each - each // 4) for each in range(400)]
    found = figures_of(Record(samples, outcomes), Course(0.0, 10.0, 11.0, 20.0, 40.0), "node-3", 4)
    assert found["p99_ratio"] == {"settled": 1.0, "with_settling": 10.0}
    assert (found["healthy"]["sent"], found["one_down"]["sent"], found["settled"]["sent"]) == (100, 301, 201)
    assert found["settled"]["ok"] == 200, "what is not final is not ok"
    assert found["healthy"]["views_without_block"] == 24
    assert found["one_down"]["views_without_block"] == 73, "the one at the turn of the epoch is not known"
    assert found["views_waited_for"] == 0
