"""A disk that keeps what was synced, and of the rest whatever a crash leaves.

Two stages: `write` puts a batch into the cache, `sync` makes it durable. A crash in between keeps
a seeded part: of the log a prefix of the batch, of a commit all or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Disk:
    """What one node finds when it starts again."""

    committed: list[Committed]
    records: list[Record] = field(default_factory=list)
    bodies: dict[BlockId, Block] = field(default_factory=dict)
    _cached: Batch | None = None

    @property
    def head(self) -> Committed:
        """The last committed block."""
        return self.committed[-1]

    def write(self, batch: Batch) -> None:
        """Hand a batch to the cache; nothing of it is safe yet."""
        assert self._cached is None, "one write at a time"
        self._cached = batch

    def sync(self) -> None:
        """Make the cached batch durable."""
        assert self._cached is not None
        self._keep(self._cached)
        self._cached = None

    def crash(self, random: Random) -> bool:
        """Lose what was not synced, but for a seeded part. Whether anything was lost."""
        batch, self._cached = self._cached, None
        if batch is None:
            return False
        kept = random.randint(0, len(batch.records))
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
