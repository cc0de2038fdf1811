"""What a disk does to what it has taken: a stored bit turns over, or a sync that was answered was none.

Damage is of one stored value. Either the database's checksum notices it, as LevelDB's does, or (in memory,
on the way) nothing below the node does; then only in the tables that the node itself holds to a hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final

from network.simulator.whole.loop import LIFE, Life
from node.store.database import IDENTITY_KEY, Batch, Reader
from node.store.failure import OnFailure, StoreCorrupted
from node.store.memory import BeforeWrite, MemoryDatabase

# First bytes of keys. What a node holds to a hash (D5): blocks whenever they are read, the state at a start.
HASHED: Final = {"blocks": (b"H", b"B", b"R"), "state": (b"h", b"p")}
AT_START: Final = {"blocks": b"H", "state": b"p"}  # what every start reads
AT_START_SHARE: Final = 0.6


@dataclass(slots=True)
class Damage:
    """One bit of a stored value is not what was written. `reader`: the process that has read it last."""

    key: bytes
    bit: int
    is_noticed: bool  # by the database
    reads: int = 0
    reader: Life | None = None


def draw_damage(random: Random, table: Table) -> Damage:
    """A bit of a value in a database: often of one that a start reads, else of any."""
    kind, entries = table.kind, table.entries
    keys = sorted(key for key in entries if key != IDENTITY_KEY and entries[key])
    at_start = [key for key in keys if key.startswith(AT_START[kind])]
    # Of the headers a start reads the last one.
    chosen = at_start[-1:] if kind == "blocks" else at_start
    key = random.choice(chosen if chosen and random.random() < AT_START_SHARE else keys)
    is_noticed = not key.startswith(HASHED[kind]) or random.random() < 0.3
    return Damage(key, random.randrange(8 * len(entries[key])), is_noticed)


@dataclass(slots=True)
class Unsynced:
    """What was written since syncs are answered and do nothing: the log's durable bytes before, and what each
    batch of a database has replaced, oldest first."""

    log_bytes: int
    replaced: dict[str, list[dict[bytes, bytes | None]]] = field(
        default_factory=lambda: {"blocks": [], "state": []}
    )


@dataclass(slots=True)
class Table:
    """The entries of one database, and what is wrong with them."""

    kind: str
    entries: dict[bytes, bytes] = field(default_factory=dict)
    damage: Damage | None = None

    def copied(self) -> Table:
        """What was written, undamaged: a backup is read through the checksums."""
        return Table(self.kind, dict(self.entries))

    def undo(self, replaced: list[dict[bytes, bytes | None]], count: int) -> None:
        """Take the last batches back."""
        for _ in range(count):
            for key, value in replaced.pop().items():
                if value is None:
                    self.entries.pop(key, None)
                else:
                    self.entries[key] = value


class AgeingDatabase(MemoryDatabase):
    """A database over a table that may be damaged.

    Args:
        on_batch: told of what each batch replaces.
    """

    def __init__(
        self,
        path: str,
        table: Table,
        *,
        before_write: BeforeWrite | None = None,
        on_failure: OnFailure,
        on_batch: Callable[[dict[bytes, bytes | None]], None] = lambda replaced: None,
    ) -> None:
        super().__init__(path, table.entries, before_write=before_write, on_failure=on_failure)
        self._table = table
        self._on_batch = on_batch

    def get(self, key: bytes) -> bytes | None:
        """The value as it is read."""
        value = super().get(key)
        return None if value is None else self._as_read(key, value)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries as they are read."""
        for key, value in super().scan(start, stop, limit=limit, reverse=reverse):
            yield key, self._as_read(key, value)

    def snapshot(self) -> Reader:
        """What it holds now, with its damage."""
        self._stop.check()
        frozen = Table(self._table.kind, dict(self.entries), self._table.damage)
        return AgeingDatabase(self._path, frozen, on_failure=self._stop.on_failure)

    def write(self, batch: Batch) -> None:
        """Take all changes; what is written anew is whole."""
        replaced = {key: self.entries.get(key) for key in batch}
        super().write(batch)
        self._on_batch(replaced)
        if self._table.damage is not None and self._table.damage.key in batch:
            self._table.damage = None

    def _as_read(self, key: bytes, value: bytes) -> bytes:
        damage = self._table.damage
        if damage is None or damage.key != key:
            return value
        damage.reads += 1
        damage.reader = LIFE.get()
        if damage.is_noticed:
            raise StoreCorrupted(self._path, f"key {key.hex()}", "checksum mismatch")
        changed = bytearray(value)
        changed[damage.bit // 8] ^= 1 << damage.bit % 8
        return bytes(changed)
