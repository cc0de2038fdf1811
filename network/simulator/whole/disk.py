"""One machine's disk: the consensus log in a simulated file system, blocks and state in ordered maps.

Three stages: what was written is in the cache, what was synced is durable, and of what is under way when
the machine dies chance decides how much has arrived. A batch of a database arrives whole or not at all;
of a log any prefix.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from contracts.genesis import genesis_block
from ledger.block import Block
from ledger.consensus.records import encode_record
from ledger.consensus.signer import first_record
from ledger.genesis import Genesis, chain_id
from ledger.types import Epoch, PublicKey
from network.simulator.whole.ageing import AgeingDatabase, Damage, Table, Unsynced
from node.assemble import Disk
from node.consensus_log import RECORD
from node.lost_blocks import MARK_FILE, LostBlocks, mark_at, write_mark
from node.store.database import Batch
from node.store.failure import StoreFailed
from node.store.journal import Journal
from node.store.journal import Record as Entry
from node.store.memory import MemoryDatabase
from node.store.memory_disk import MemoryDisk
from node.store.stores import Stores, fill_databases, stores_over

LOG: Final = Path("/data/consensus/records.log")
BLOCKS: Final = "/data/blocks"
STATE: Final = "/data/state"
MARK: Final = Path("/data") / MARK_FILE
TREE_DEPTH: Final = 4
OPERATIONS_MAX: Final = 6  # of one call that waits for the disk: the longest replaces a file
WRITES: Final = ("write", "sync", "create", "rename", "sync_folder")


class Trouble(Enum):
    """What a disk does to a write."""

    FULL = "disk full"  # part of it is taken, the rest has no room
    FAILED_WRITE = "failed write"
    FAILED_SYNC = "failed sync"  # nobody knows what is durable now


class Place(Enum):
    """What of a disk is in trouble."""

    ANYWHERE = ""
    LOG = str(LOG)
    BLOCKS = BLOCKS
    STATE = STATE


@dataclass(slots=True)
class Contents:
    """What lies on a disk, whoever looks at it. `unsynced`: since when syncs do nothing, and what for."""

    files: MemoryDisk = field(default_factory=MemoryDisk)
    blocks: Table = field(default_factory=lambda: Table("blocks"))
    state: Table = field(default_factory=lambda: Table("state"))
    log_bytes_known: int = 0  # what the last batch of the log knows to be durable below it
    unsynced: Unsynced | None = None
    has_lost_synced: bool = False

    def copied(self) -> Contents:
        """A backup: what would survive a power cut now."""
        return Contents(self.files.copied(), self.blocks.copied(), self.state.copied(), self.log_bytes_known)

    @property
    def damage(self) -> Damage | None:
        """What is damaged in the databases, if anything."""
        return self.blocks.damage or self.state.damage

    def stop_syncing(self) -> None:
        """From now on a power cut loses what is written, though its sync is answered."""
        self.unsynced = Unsynced(len(self.files.durable(LOG)))

    @property
    def unsynced_blocks(self) -> int:
        """Batches of blocks that a power cut would lose though their sync was answered."""
        return 0 if self.unsynced is None else len(self.unsynced.replaced["blocks"])

    def lose_unsynced(self, random: Random) -> bool:
        """The power is cut: of each store some of what was written last is gone. Whether anything is."""
        lie, self.unsynced = self.unsynced, None
        if lie is None:
            return False
        log_bytes = len(self.files.durable(LOG))
        kept = random.randint(min(lie.log_bytes, log_bytes), log_bytes)
        self.files.lose(LOG, kept)
        self.log_bytes_known = min(self.log_bytes_known, kept)
        lost = log_bytes - kept
        spared = random.choice((None, "blocks", "state", "state"))  # state above its blocks is what D9 is for
        for table in (self.blocks, self.state):
            replaced = lie.replaced[table.kind]
            count = 0 if table.kind == spared else random.randint(min(1, len(replaced)), len(replaced))
            table.undo(replaced, count)
            lost += count
        self.has_lost_synced = lost > 0
        return lost > 0


def founded(genesis: Genesis, validator: PublicKey | None, generation: bytes, salt: bytes) -> Contents:
    """The disk of a new node, as `node.founding` makes it. `salt`: of its log, 16 bytes."""
    chain = chain_id(genesis)
    contents = Contents()
    _fill(genesis, contents.blocks, contents.state)
    records = []
    if validator is not None:
        floor = first_record(chain, validator, generation, Epoch(0))
        records.append(Entry(RECORD, encode_record(floor)))
    Journal.create(contents.files, LOG, records, salt)
    return contents


def _fill(genesis: Genesis, blocks: Table, state: Table) -> None:
    header, writes = genesis_block(genesis)
    databases = MemoryDatabase(BLOCKS, blocks.entries), MemoryDatabase(STATE, state.entries)
    fill_databases(*databases, chain_id(genesis), Block(header, b"", ()), writes, tree_depth=TREE_DEPTH)


def begin_state_again(genesis: Genesis, contents: Contents) -> None:
    """Put the state of block 0 in the place of what is there."""
    contents.state = Table("state")
    _fill(genesis, Table("blocks"), contents.state)


class OpenDisk:
    """A disk in the hands of one process, until that dies.

    Args:
        on_failure: the process ends here, as `node.store.failure.exit_process` does.
        on_misuse: told of a write after a failed one.
    """

    def __init__(
        self,
        contents: Contents,
        random: Random,
        on_failure: Callable[[StoreFailed], None],
        on_misuse: Callable[[str], None],
    ) -> None:
        self.sync_ms_max = 2
        self.trouble: Trouble | None = None
        self.place = Place.ANYWHERE
        self.writes = 0
        self.has_lost_synced = False
        self._contents = contents
        self._random = random
        self._on_failure = on_failure
        self._on_misuse = on_misuse
        self._has_failed = False  # a write that the node was told of
        self._is_reported = False
        self._log_bytes: int | None = None  # what was durable when the batch under way was written
        self._dying_at: int | None = None  # the operation at which the machine dies; None: it lives
        self._waiting: deque[tuple[Callable[[], None], asyncio.Future[None]]] = deque()
        contents.files.fault = self._operate

    def opened(self, genesis: Genesis) -> Disk:
        """The disk as a node wants it.

        Raises:
            StoreError: what lies there can't be used.
        """
        stores, lost = self._whole(genesis)
        journal, entries = Journal.open(
            self._contents.files, LOG, on_failure=self._failed_write, random_bytes=self._random.randbytes
        )
        return Disk(stores, journal, entries, self.offload, lost)

    def _whole(self, genesis: Genesis) -> tuple[Stores, LostBlocks | None]:
        """The stores, and what is to be fetched first: `node.lost_blocks.open_whole`."""
        files = self._contents.files
        lost, stores = mark_at(files, MARK), self._stores(genesis)
        if stores.gap.refetch:
            if not self._contents.has_lost_synced:
                self._on_misuse("state above the blocks, and no sync has lied")
            lost = write_mark(files, MARK, stores.state.head)
            begin_state_again(genesis, self._contents)
            stores = self._stores(genesis)
        if lost is not None and lost.forget_if_regained(stores.blocks):
            lost = None
        return stores, lost

    def _stores(self, genesis: Genesis) -> Stores:
        blocks, state = (
            AgeingDatabase(
                path,
                table,
                before_write=partial(self._before_batch, path),
                on_failure=self._failed_write,
                on_batch=partial(self._note_replaced, table.kind),
            )
            for path, table in ((BLOCKS, self._contents.blocks), (STATE, self._contents.state))
        )
        return stores_over(blocks, state, chain_id(genesis), tree_depth=TREE_DEPTH)

    # --- the thread that waits for the disk ----------------------------------------------

    async def offload(self, call: Callable[[], None]) -> None:
        """Run a call after those before it, a while later; it goes on if nobody waits for it any more."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, done))
        if len(self._waiting) == 1:
            self._later()
        await done

    def _later(self) -> None:
        seconds = self._random.uniform(0.0001, self.sync_ms_max / 1000)
        asyncio.get_running_loop().call_later(seconds, self._run_first)

    def _run_first(self) -> None:
        if self._dying_at is not None:
            return
        call, done = self._waiting[0]
        try:
            call()
        except StoreFailed as failure:
            if not done.done():
                done.set_exception(failure)
        else:
            if not done.done():
                done.set_result(None)
        self._waiting.popleft()
        if self._waiting and self._dying_at is None:
            self._later()

    # --- what goes wrong --------------------------------------------------------------------

    def die(self, *, is_power_cut: bool) -> None:
        """The process ends: of the call under way some operations happen. A power cut empties the cache."""
        self._dying_at = self._random.randint(0, OPERATIONS_MAX)
        if self._waiting and not self._has_failed:
            with suppress(StoreFailed, OSError):
                self._waiting[0][0]()
        self._dying_at = 0
        self._contents.files.fault = None
        if is_power_cut:
            self._contents.files.crash(lambda size: self._random.randint(0, size))
            self.has_lost_synced = self._contents.lose_unsynced(self._random)

    def _operate(self, operation: str, path: Path, data: bytes) -> int | None:
        """Each operation on a file passes here: `node.store.memory_disk.Fault`."""
        if operation == "short":
            self._has_failed = True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if operation not in WRITES:
            return None
        self._step(operation)
        self._note_batch(operation, path)
        trouble = self._trouble_at(Place.LOG)
        if operation == "write" and trouble is Trouble.FULL:
            return len(data) // 2
        failing = {Trouble.FAILED_WRITE: "write", Trouble.FAILED_SYNC: "sync"}
        if trouble is not None and failing.get(trouble) == operation:
            self._has_failed = True
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return None

    def _note_batch(self, operation: str, path: Path) -> None:
        if operation == "write" and path == LOG:
            self._log_bytes = len(self._contents.files.durable(LOG))
        elif operation == "sync" and path == LOG and self._log_bytes is not None:
            self._contents.log_bytes_known, self._log_bytes = self._log_bytes, None

    def _trouble_at(self, place: Place) -> Trouble | None:
        return self.trouble if self.place in (Place.ANYWHERE, place) else None

    def _before_batch(self, path: str, batch: Batch) -> None:
        self._step("batch")
        trouble = self._trouble_at(Place(path))
        if trouble is not None:
            self._has_failed = True
            number = errno.ENOSPC if trouble is Trouble.FULL else errno.EIO
            raise OSError(number, os.strerror(number))

    def _note_replaced(self, kind: str, replaced: dict[bytes, bytes | None]) -> None:
        if self._contents.unsynced is not None:
            self._contents.unsynced.replaced[kind].append(replaced)

    def _step(self, operation: str) -> None:
        if self._dying_at is not None:
            if self._dying_at == 0:
                raise OSError(errno.EIO, "the machine has lost power")
            self._dying_at -= 1
            return
        if self._has_failed:
            self._on_misuse(f"{operation} after a failed write")
        self.writes += 1

    def _failed_write(self, failure: StoreFailed) -> None:
        if self._dying_at is None and not self._is_reported:
            self._is_reported = True
            self._on_failure(failure)
