"""What the state tree costs: a block of random updates, its commit, a proof, the scan at start. Prints JSON.

    python bench/state_tree.py [--case LEAVES:DEPTH ...] [--batch 1000] [--rounds 30] [--parents 3]

Pages lie in a dictionary, so a store's read (about 10 us a page from LevelDB) is not in the figures.
The last lines of each case are the machine's own: what the hashes alone would take.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ledger.codec import encode
from ledger.merkle.multiproof import join_proofs, verify_all
from ledger.merkle.pages import bucket_of, encode_page
from ledger.merkle.proof import verify_membership
from ledger.merkle.tree import StateTree, TreeUpdate

CASES = ("100000:16", "1000000:20")


class Pages:
    """A node's pages, in memory."""

    def __init__(self, leaves: int, depth: int) -> None:
        rows = sorted((path(number), value(number)) for number in range(leaves))
        self.stored = {
            bucket: encode_page(group)
            for bucket, group in groupby(rows, lambda row: bucket_of(row[0], depth))
        }

    def page(self, bucket: int) -> bytes | None:
        """The stored page of a bucket."""
        return self.stored.get(bucket)

    def write(self, update: TreeUpdate) -> None:
        """Take over a committed update."""
        self.stored.update(update.pages)


def path(number: int) -> bytes:
    """The path of key `number`."""
    return sha256(b"key %d" % number).digest()


def value(number: int) -> bytes:
    """A value hash."""
    return sha256(b"value %d" % number).digest()


def batches(leaves: int, size: int, seed: int) -> Iterator[dict[bytes, bytes | None]]:
    """Endless batches of updates of keys that exist."""
    source = random.Random(seed)
    while True:
        yield {path(source.randrange(leaves)): source.randbytes(32) for _ in range(size)}


def new_keys(leaves: int, size: int) -> Iterator[dict[bytes, bytes | None]]:
    """Endless batches of keys that are not there yet."""
    first = leaves
    while True:
        yield {path(first + step): value(first + step) for step in range(size)}
        first += size


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Microseconds and the answer."""
    start = time.perf_counter()
    answer = call()
    return (time.perf_counter() - start) * 1e6, answer


def spread(samples: list[float], each: int) -> dict[str, float]:
    """Median, best and worst of a list of microseconds, per key."""
    return {
        "p50": round(statistics.median(samples) / each, 2),
        "min": round(min(samples) / each, 2),
        "max": round(max(samples) / each, 2),
    }


def blocks(
    tree: StateTree, pages: Pages, source: Iterator[dict[bytes, bytes | None]], size: int, rounds: int
) -> dict[str, Any]:
    """Preview and commit one block after another."""
    previews, commits, page_bytes, nodes = [], [], 0, 0
    for _ in range(rounds):
        changes = next(source)
        took, update = timed(lambda changes=changes: tree.preview(changes))
        previews.append(took)
        commits.append(timed(lambda update=update: tree.commit(update))[0])
        pages.write(update)
        page_bytes += sum(len(page) for page in update.pages.values())
        nodes += len(update.top)
    return {
        "preview_us_per_key": spread(previews, size),
        "commit_us_per_key": spread(commits, size),
        "top_nodes_per_key": round(nodes / rounds / size, 2),
        "page_bytes_per_key": round(page_bytes / rounds / size, 1),
    }


def stacked(
    tree: StateTree, source: Iterator[dict[bytes, bytes | None]], size: int, parents: int, rounds: int
) -> dict[str, float]:
    """Preview one block on ancestors that are not committed."""
    updates: list[TreeUpdate] = []
    for _ in range(parents):
        updates.append(tree.preview(next(source), updates))
    waiting = [next(source) for _ in range(rounds)]
    samples = [timed(lambda changes=changes: tree.preview(changes, updates))[0] for changes in waiting]
    return spread(samples, size)


def proofs(tree: StateTree, leaves: int, rounds: int) -> dict[str, Any]:
    """Make and check proofs of membership."""
    source = random.Random(2)
    makes, checks, siblings = [], [], []
    for _ in range(rounds):
        where = path(source.randrange(leaves))
        held = tree.value_hash(where)
        assert held is not None
        took, proof = timed(lambda where=where: tree.prove(where))
        makes.append(took)
        siblings.append(len(proof.siblings))
        checks.append(
            timed(
                lambda where=where, held=held, proof=proof: verify_membership(tree.root, where, held, proof)
            )[0]
        )
    return {
        "prove_us": spread(makes, 1),
        "verify_us": spread(checks, 1),
        "siblings": {"mean": round(statistics.mean(siblings), 1), "max": max(siblings)},
    }


def multiproofs(tree: StateTree, leaves: int) -> dict[str, Any]:
    """Bytes and microseconds a path of one proof about many."""
    source, figures = random.Random(3), {}
    for count in (1, 10, 100, 1000):
        singles = {
            where: tree.prove(where) for where in (path(source.randrange(leaves)) for _ in range(count))
        }
        claims = {where: tree.value_hash(where) for where in singles}
        proof = join_proofs(singles)
        took, _ = timed(lambda claims=claims, proof=proof: verify_all(tree.root, claims, proof))
        figures[str(count)] = {
            "bytes_per_path": round(len(encode(proof)) / len(singles)),
            "alone_bytes_per_path": round(
                sum(len(encode(single)) for single in singles.values()) / len(singles)
            ),
            "verify_us_per_path": round(took / len(singles), 1),
        }
    return figures


def hash_ns() -> float:
    """Nanoseconds of one node hash, call included: the floor under every figure."""
    left, right = bytes(32), bytes(32)
    took, _ = timed(lambda: [sha256(b"\x01" + left + right).digest() for _ in range(100_000)])
    return round(took / 100, 0)


def measure(leaves: int, depth: int, batch: int, rounds: int, parents: int) -> dict[str, Any]:
    """All figures of one size."""
    pages = Pages(leaves, depth)
    scan_us, tree = timed(lambda: StateTree(depth, pages, pages.stored.items()))
    updates = batches(leaves, batch, seed=1)
    return {
        "leaves": leaves,
        "depth": depth,
        "leaves_per_page": round(leaves / (1 << depth), 2),
        "batch": batch,
        "rounds": rounds,
        "scan_s": round(scan_us / 1e6, 2),
        "update": blocks(tree, pages, updates, batch, rounds),
        "insert": blocks(tree, pages, new_keys(leaves, batch), batch, rounds),
        f"update_preview_on_{parents}_parents_us_per_key": stacked(tree, updates, batch, parents, rounds),
        "proof": proofs(tree, leaves, 2000),
        "multiproof_by_paths": multiproofs(tree, leaves),
        "node_hash_ns": hash_ns(),
    }


def main() -> None:
    """Measure each case and print one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--case", action="append", metavar="LEAVES:DEPTH", help=f"default: {' and '.join(CASES)}"
    )
    parser.add_argument("--batch", type=int, default=1000, help="changes a block")
    parser.add_argument("--rounds", type=int, default=30, help="blocks a figure")
    parser.add_argument("--parents", type=int, default=3, help="uncommitted ancestors of a stacked preview")
    options = parser.parse_args()
    cases = [
        measure(*map(int, case.split(":")), options.batch, options.rounds, options.parents)
        for case in options.case or CASES
    ]
    print(json.dumps({"python": platform.python_version(), "cases": cases}, indent=2))


if __name__ == "__main__":
    main()
