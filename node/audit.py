"""Two stopped nodes' histories side by side: where they part, and who signed for both.

It reads the block databases of two homes and writes nothing there: LevelDB can't be opened without
writing, so each is copied first and the copy is opened. The verdict is `ledger.accountability`'s.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.accountability import Fork, History, name_culprits
from ledger.block import Header
from ledger.codec import decode
from ledger.errors import LedgerError
from ledger.genesis import Genesis, chain_id
from ledger.recovery import EPOCHS_PASSED, decode_recovery, is_recovery, recovery_hash
from ledger.types import QUORUM_CERTIFICATE_BYTES_MAX, ChainId, Epoch, Height
from ledger.validators import ValidatorSet
from ledger.vote import Certificate
from node.genesis_file import read_genesis
from node.home import Home
from node.store.blocks import BlockStore
from node.store.failure import StoreCorrupted
from node.store.leveldb import LevelDatabase
from node.store.stores import BLOCKS_FOLDER

_LEVELDB_LOCK: Final = "LOCK"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Both hold the same blocks as far as the shorter one goes."""

    height: Height


def audit_homes(first: Home, second: Home) -> Agreement | Fork:
    """What two stopped nodes' blocks say about each other.

    Raises:
        LedgerError: `audit.*`, `home.in_use`, `home.missing`, `genesis.*`.
        StoreError: a block database does not open, or is damaged.
    """
    geneses = [read_genesis(home.genesis) for home in (first, second)]
    chains = [chain_id(genesis) for genesis in geneses]
    if chains[0] != chains[1]:
        raise LedgerError("audit.other_chain", f"chain {chains[0].hex()} there, {chains[1].hex()} here")
    with ExitStack() as opened:
        stores = [opened.enter_context(copied_blocks(home, chains[0])) for home in (first, second)]
        return audit_blocks(geneses[0], *stores)


@contextmanager
def copied_blocks(home: Home, chain: ChainId) -> Iterator[BlockStore]:
    """The blocks of a home that no process uses, from a copy that is thrown away.

    Raises:
        LedgerError: `home.in_use`, `home.missing`. StoreError.
    """
    with ExitStack() as opened:
        opened.enter_context(_unused(home))
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="farmgate-audit-")))
        copy = folder / BLOCKS_FOLDER
        shutil.copytree(home.data / BLOCKS_FOLDER, copy, ignore=shutil.ignore_patterns(_LEVELDB_LOCK))
        database = LevelDatabase(copy, create=False, on_failure=lambda failure: None)
        opened.enter_context(closing(database))
        yield BlockStore(database, chain)


@contextmanager
def _unused(home: Home) -> Iterator[None]:
    """Keep a node from starting in a home meanwhile; refuse where one runs. Nothing is written."""
    if not (home.data / BLOCKS_FOLDER).is_dir():
        raise LedgerError("home.missing", f"{home.data / BLOCKS_FOLDER} is not there")
    try:
        descriptor = os.open(home.lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:  # a copy of a home need not have it
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise LedgerError("home.in_use", f"a node runs in {home.root}: stop it first") from None
    try:
        yield
    finally:
        os.close(descriptor)


def audit_blocks(genesis: Genesis, first: BlockStore, second: BlockStore) -> Agreement | Fork:
    """The same over block stores that are open.

    Raises:
        LedgerError: `audit.*`. StoreCorrupted.
    """
    shorter = min(first.head[0], second.head[0])
    heights = range(shorter + 1)
    parting = bisect_left(
        heights, True, key=lambda height: first.id_at(Height(height)) != second.id_at(Height(height))
    )
    if parting == len(heights):
        return Agreement(Height(shorter))
    if parting == 0:
        raise LedgerError("audit.broken_history", "the histories differ in block 0, of one genesis")
    shared = Height(parting - 1)
    _check_not_recovered(first, second, Height(shared + 1))
    histories = [_history(blocks, shared) for blocks in (first, second)]
    epoch = Epoch(histories[0].headers[1].epoch)
    return name_culprits(chain_id(genesis), _validators(genesis, epoch, first, second), *histories)


def _check_not_recovered(first: BlockStore, second: BlockStore, parting: Height) -> None:
    """Refuse where one side left the epoch by a recovery that the other does not share: there no certificate
    proves who was wrong."""
    given_up = [_given_up(blocks, parting) for blocks in (first, second)]
    if given_up[0] != given_up[1]:
        raise LedgerError(
            "audit.recovered",
            f"they part at height {parting}, where operators gave an epoch up: compare the reports of its "
            "recovery with what each of them signed in the other history",
        )


def _given_up(blocks: BlockStore, height: Height) -> bytes | None:
    """The recovery on which the epoch of this block stands or ended, or None."""
    epoch = _header(blocks, height).epoch
    for ended in (epoch, epoch - EPOCHS_PASSED):
        data = blocks.recovery(Epoch(ended)) if ended >= 0 else None
        if data is not None:
            return recovery_hash(decode_recovery(data).recovery)
    return None


def _history(blocks: BlockStore, shared: Height) -> History:
    """One side, from the last shared block to the end of the epoch in which the sides part."""
    headers = [_header(blocks, shared), _header(blocks, shared + 1)]
    epoch = headers[1].epoch
    while headers[-1].height < blocks.head[0]:
        header = _header(blocks, headers[-1].height + 1)
        if header.epoch != epoch:
            break
        headers.append(header)
    found = [*blocks.settled.all_of(epoch)]
    for header in headers[1:]:
        stored = blocks.finalization(Height(header.height))
        is_own = stored is not None and stored[0] == header.height
        found += [stored[1]] if stored is not None and is_own and not is_recovery(stored[1]) else []
    return History(tuple(headers), tuple(_certificate(data) for data in found))


def _validators(genesis: Genesis, epoch: Epoch, *stores: BlockStore) -> ValidatorSet:
    if epoch == 0:
        return ValidatorSet(genesis.validators)
    for blocks in stores:
        found = blocks.settled.validators(epoch)
        if found is not None:
            return found
    raise LedgerError("audit.broken_history", f"neither history holds the validators of epoch {epoch}")


def _header(blocks: BlockStore, height: int) -> Header:
    header = blocks.header(Height(height))
    assert header is not None, "at or below the head"
    return header


def _certificate(data: bytes) -> Certificate:
    try:
        return decode(data, Certificate, QUORUM_CERTIFICATE_BYTES_MAX)
    except LedgerError as refusal:
        raise StoreCorrupted("data/blocks", "a certificate", str(refusal)) from None
