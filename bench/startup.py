"""How long commands and nodes take to start, beside what they cannot do without. Prints JSON.

    python bench/startup.py [--events 100000] [--runs 5]

`farmgate --help` is timed beside a bare `import click`, in turn; a node with so many events in store is
timed from the start of its process until its admin port answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from contracts.runtime import CoreRules
from ledger.codec import encode
from ledger.consensus.records import encode_record
from ledger.consensus.signer import first_record
from ledger.crypto import key_pair
from ledger.genesis import chain_id
from ledger.transition import execute
from ledger.types import Epoch, Height, TimeMs, View
from ledger.vote import Certificate, Vote, VoteKind, sign_vote
from network.bench.processes import disk_bytes
from network.bench.workloads import BATCH_EVENTS, Workload, loads
from network.testnet.plan import free_base_port, plan_network
from network.testnet.probe import ask
from network.testnet.testnet import Testnet
from node.consensus_log import RECORD
from node.event_index import entries_of
from node.founding import host_generation
from node.genesis_file import read_genesis
from node.home import Home
from node.keys import KeyName, read_key
from node.pace import drained
from node.resume import stored_tip
from node.store.disk import LocalDisk
from node.store.journal import Journal, Record
from node.store.stores import FinalizedBlock, open_stores

BLOCK_TRANSACTIONS = 250
POLL_SECONDS = 0.01


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    figures = {"help": _commands(chosen.runs)}
    with tempfile.TemporaryDirectory(prefix="farmgate-startup-") as folder:
        figures["node"] = _node(Path(folder) / "net", chosen.events, chosen.runs)
    print(json.dumps(figures, indent=2))


def _commands(runs: int) -> dict[str, float]:
    """Median milliseconds of `farmgate --help` and of `import click`, run in turn."""
    farmgate = [str(Path(sys.executable).with_name("farmgate")), "--help"]
    bare = [sys.executable, "-c", "import click"]
    times: dict[str, list[float]] = {"farmgate_help_ms": [], "import_click_ms": []}
    for _ in range(runs):
        for name, command in zip(times, (farmgate, bare), strict=True):
            before = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times[name].append((time.perf_counter() - before) * 1000)
    medians = {name: round(statistics.median(values), 1) for name, values in times.items()}
    return medians | {"ratio": round(medians["farmgate_help_ms"] / medians["import_click_ms"], 2)}


def _node(folder: Path, events: int, runs: int) -> dict[str, float]:
    """Median seconds from the start of a node's process until it answers, with `events` in store."""
    testnet = Testnet(folder)
    port = free_base_port(1, start=29_300)
    testnet.create(plan_network(folder, validators=1, observers=0, base_port=port))
    entry = testnet.file().nodes[0]
    home = Home(Path(entry.home))
    before = time.perf_counter()
    asyncio.run(_fill(home, Path(next(iter(testnet.file().profiles.values()))), events))
    filled = time.perf_counter() - before
    times = [_start(home, entry.admin) for _ in range(runs)]
    return {
        "events": events,
        "filled_in_s": round(filled, 1),
        "start_s_median": round(statistics.median(times), 2),
        "start_s_max": round(max(times), 2),
        "data_mb": round(disk_bytes([home.data]) / 1e6, 1),
    }


def _start(home: Home, admin: str) -> float:
    before = time.perf_counter()
    command = [str(Path(sys.executable).with_name("ledger-node")), "run", "--home", str(home.root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while ask(admin, "/healthz", 1.0) is None:
            assert process.poll() is None, "the node ended"
            time.sleep(POLL_SECONDS)
        return time.perf_counter() - before
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


async def _fill(home: Home, profile: Path, events: int) -> None:
    """Commit blocks to a one-validator home as its own consensus would, each under a real finalization."""
    genesis = read_genesis(home.genesis)
    chain = chain_id(genesis)
    stores = open_stores(home.data, chain)
    rules, voter = CoreRules(), read_key(home.keys, KeyName.VALIDATOR)
    sender = key_pair((profile.parent / "keys" / f"{profile.stem}.key").read_bytes())
    made = loads(Workload.BATCH, chain, Height(0), sender, os.urandom(3).hex())
    certificate = b""
    left = events // BATCH_EVENTS
    while left > 0:
        transactions = [each.transaction for each in islice(made, min(BLOCK_TRANSACTIONS, left))]
        left -= len(transactions)
        tip = stored_tip(stores)
        run = drained(execute(tip, TimeMs(tip.header.time_ms + 1), certificate, transactions, rules))
        vote = Vote(chain, 0, run.tip.header.height, VoteKind.FINALIZE, run.tip.id)
        certificate = encode(Certificate(vote, ((0, sign_vote(voter, vote)),)))
        index = entries_of(run.tip.header.height, run.tip.header.time_ms, run.transactions, run.receipts)
        await stores.commit(FinalizedBlock(run, certificate, b""), index)
    floor = first_record(chain, voter.public, host_generation(home), Epoch(0))
    raised = type(floor)(floor.chain_id, floor.public_key, floor.generation, 0, View(stores.blocks.head[0]))
    stores.close()
    home.consensus_log.unlink()
    records = [Record(RECORD, encode_record(each)) for each in (floor, raised)]
    Journal.create(LocalDisk(), home.consensus_log, records)


if __name__ == "__main__":
    main()
