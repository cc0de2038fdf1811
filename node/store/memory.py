"""The `Database` interface in memory, for tests and the simulator. What `write` took is durable at once."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import islice

from node.store.database import Batch, Reader
from node.store.failure import FailStop, OnFailure, exit_process

BeforeWrite = Callable[[Batch], None]
"""Called before each batch is taken; an OSError that it raises is a failed write."""


class MemoryDatabase:
    """A dictionary with an order. The contents outlive `close`: opening again is a crash survived."""

    def __init__(
        self,
        path: str = "memory",
        entries: dict[bytes, bytes] | None = None,
        *,
        before_write: BeforeWrite | None = None,
        on_failure: OnFailure = exit_process,
    ) -> None:
        self.entries: dict[bytes, bytes] = {} if entries is None else entries
        self._path = path
        self._before_write = before_write
        self._stop = FailStop(path, on_failure)
        self._ordered: list[bytes] | None = None

    @property
    def path(self) -> str:
        """The name it was given."""
        return self._path

    def reopened(self, *, before_write: BeforeWrite | None = None) -> MemoryDatabase:
        """The same contents behind a new handle, as after a crash."""
        return MemoryDatabase(
            self._path, self.entries, before_write=before_write, on_failure=self._stop.on_failure
        )

    def snapshot(self) -> Reader:
        """A copy of what it holds now."""
        self._stop.check()
        return MemoryDatabase(self._path, dict(self.entries), on_failure=self._stop.on_failure)

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        self._stop.check()
        return self.entries.get(key)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < stop, as they were at the first one asked for."""
        self._stop.check()
        if self._ordered is None:
            self._ordered = sorted(self.entries)
        keys = self._ordered[bisect_left(self._ordered, start) : bisect_left(self._ordered, stop)]
        found = [(key, self.entries[key]) for key in islice(reversed(keys) if reverse else keys, limit)]
        yield from found

    def write(self, batch: Batch) -> None:
        """Take all changes."""
        self._stop.check()
        try:
            if self._before_write is not None:
                self._before_write(batch)
        except OSError as problem:
            raise self._stop.fail("write", problem) from problem
        for key, value in batch.items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value
        self._ordered = None

    def close(self) -> None:
        """Nothing to let go of."""
