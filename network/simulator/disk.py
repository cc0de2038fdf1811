"""A disk that keeps what was synced, and of the rest whatever a crash leaves.

Two stages: `write` puts a batch into the cache, `sync` makes it durable. A crash in between keeps
a seeded part: of the log a prefix of the batch, of a commit all or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from random import Random

from ledger.block import Block, block_id
from ledger.consensus.records import Record, record_position
from ledger.types import BlockId
from ledger.vote import Certificate


@dataclass(frozen=True, slots=True)
class Committed:
    """A final block and the finalization that made it so, its own or a descendant's (None: the base)."""

    block_id: BlockId
    block: Block
    finalization: Certificate | None


@dataclass(frozen=True, slots=True)
class Batch:
    """One write: either records with bodies, or final blocks."""

    records: tuple[Record, ...] = ()
    bodies: tuple[tuple[BlockId, Block], ...] = ()
    commits: tuple[Committed, ...] = ()


class DiskFailure(Exception):
    """A write was refused."""


class Remains(Enum):
    """What a crash may leave of an unsynced batch."""

    ANY = "any"
    PART = "part"  # never all of it
    NOTHING = "nothing"


@dataclass(slots=True)
class Disk:
    """What one node finds when it starts again. `refusals_left` writes are refused; `is_readable`: its
    log makes sense."""

    committed: list[Committed]
    records: list[Record] = field(default_factory=list)
    bodies: dict[BlockId, Block] = field(default_factory=dict)
    refusals_left: int = 0
    refused: int = 0
    is_readable: bool = True
    _cached: Batch | None = None

    def copy(self) -> Disk:
        """Everything that is durable on it."""
        return Disk(list(self.committed), list(self.records), dict(self.bodies))

    @property
    def head(self) -> Committed:
        """The last committed block."""
        return self.committed[-1]

    def write(self, batch: Batch) -> None:
        """Hand a batch to the cache; nothing of it is safe yet.

        Raises:
            DiskFailure: the disk takes no more.
        """
        assert self._cached is None, "one write at a time"
        if self.refusals_left:
            self.refusals_left -= 1
            self.refused += 1
            raise DiskFailure
        self._cached = batch

    def sync(self) -> None:
        """Make the cached batch durable."""
        assert self._cached is not None
        self._keep(self._cached)
        self._cached = None

    def crash(self, random: Random, remains: Remains = Remains.ANY) -> bool:
        """Lose what was not synced, but for a seeded part. Whether anything was lost."""
        batch, self._cached = self._cached, None
        if batch is None:
            return False
        if remains is Remains.NOTHING:
            return True
        kept = random.randint(0, max(0, len(batch.records) - (remains is Remains.PART)))
        bodies = batch.bodies if kept or random.random() < 0.5 else ()
        commits = batch.commits if random.random() < 0.25 else ()
        self._keep(Batch(batch.records[:kept], bodies, commits))
        return kept < len(batch.records) or len(commits) < len(batch.commits)

    def drop_records(self, epoch: int, view: int) -> None:
        """Forget the records below a place, and the bodies that history has overtaken."""
        self.records = [record for record in self.records if record_position(record) >= (epoch, view)]
        height = self.head.block.header.height
        for old in [key for key, body in self.bodies.items() if body.header.height <= height]:
            del self.bodies[old]

    def _keep(self, batch: Batch) -> None:
        self.bodies.update(batch.bodies)
        self.records.extend(batch.records)
        self.committed.extend(batch.commits)


def base_of(block: Block) -> Committed:
    """The block that a chain begins with."""
    return Committed(block_id(block.header), block, None)
