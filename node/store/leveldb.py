"""LevelDB behind the `Database` interface, held to the rules under which it keeps its promises.

Every check is on and every read verifies checksums; nothing is created where something was; the
first failed write ends the process, because LevelDB takes further writes after it and loses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import plyvel

from node.store.database import Batch, Reader
from node.store.failure import (
    FailStop,
    OnFailure,
    StoreCorrupted,
    StoreError,
    StoreLost,
    exit_process,
    not_opened,
)

WRITE_BUFFER_BYTES: Final = 16 << 20  # larger ones stall for longer when they are merged
BLOOM_BITS: Final = 10  # a key, so that one absent key in a hundred costs a read
CACHE_BYTES: Final = 32 << 20
OPEN_FILES_MAX: Final = 512  # of this database; the process needs as many and its sockets besides


@dataclass(frozen=True, slots=True)
class LevelSizes:
    """What one database may take: cache of decoded blocks (bytes), open files."""

    cache_bytes: int = CACHE_BYTES
    open_files_max: int = OPEN_FILES_MAX


DEFAULT_SIZES: Final = LevelSizes()


class _LevelReader:
    """Reads from an open LevelDB, or from a snapshot of one."""

    def __init__(self, path: Path, source: Any, stop: FailStop) -> None:
        self._path = path
        self._db = source
        self._stop = stop

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        self._stop.check()
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True)
        except plyvel.Error as problem:
            raise StoreCorrupted(self._path, f"key {_shown(key)}", str(problem)) from None
        return value

    def scan(
        self, start: bytes, stop: bytes, *, limit: int | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < stop, in key order or from the end, as of the first one asked for."""
        self._stop.check()
        last = start
        try:
            with self._db.iterator(  # making it reads too: it looks up `start`
                start=start, stop=stop, reverse=reverse, verify_checksums=True, fill_cache=limit is not None
            ) as iterator:
                for key, value in islice(iterator, limit):
                    last = key
                    yield key, value
        except plyvel.Error as problem:
            raise StoreCorrupted(self._path, f"near key {_shown(last)}", str(problem)) from None

    def close(self) -> None:
        """Let go of it."""
        self._db.close()


class LevelDatabase(_LevelReader):
    """One LevelDB folder, open in this process alone: the caller holds the home's lock."""

    def __init__(
        self,
        path: Path,
        *,
        create: bool,
        sizes: LevelSizes = DEFAULT_SIZES,
        on_failure: OnFailure = exit_process,
    ) -> None:
        """Open what is there, or with `create` make what must not be there.

        Raises:
            StoreLost: the files that say what the database holds are gone.
            StoreCorrupted: they are damaged.
            StoreFailed: the disk is full, read-only, ...
            StoreError: `store.exists` (create), `store.unreadable`.
        """
        if create and _has_files(path):
            raise StoreError("store.exists", path, "a database is here already; it is not made anew")
        if not create:
            _check_present(path)
        try:
            source = plyvel.DB(
                str(path),
                create_if_missing=create,
                error_if_exists=create,
                paranoid_checks=True,
                write_buffer_size=WRITE_BUFFER_BYTES,
                max_open_files=sizes.open_files_max,
                lru_cache_size=sizes.cache_bytes,
                bloom_filter_bits=BLOOM_BITS,
            )
        except plyvel.CorruptionError as problem:
            raise StoreCorrupted(path, "at open", f"{problem}") from None
        except plyvel.Error as problem:
            raise not_opened(path, problem) from None
        super().__init__(path, source, FailStop(path, on_failure))

    @property
    def path(self) -> str:
        """The folder."""
        return str(self._path)

    def snapshot(self) -> Reader:
        """What it holds now, whatever is written later; to be closed."""
        self._stop.check()
        return _LevelReader(self._path, self._db.snapshot(), self._stop)

    def write(self, batch: Batch) -> None:
        """Make all changes durable together, or end the process."""
        self._stop.check()
        try:
            changes = self._db.write_batch(sync=True)
            for key, value in batch.items():
                if value is None:
                    changes.delete(key)
                else:
                    changes.put(key, value)
            changes.write()
        except (plyvel.Error, OSError) as problem:
            raise self._stop.fail("write", problem) from problem

    def size_bytes(self) -> int:
        """What the folder takes on the disk now."""
        return sum(file.stat().st_size for file in self._path.iterdir() if file.is_file())


def repair(path: Path) -> None:
    """Let LevelDB save what it can of a damaged folder; what it saves must then be checked against the chain.

    Raises:
        StoreFailed: the disk is full, read-only, ...
        StoreError: `store.unreadable`.
    """
    try:
        plyvel.repair_db(str(path), paranoid_checks=True)
    except plyvel.Error as problem:
        raise not_opened(path, problem) from None


def _has_files(path: Path) -> bool:
    return path.is_dir() and any(path.iterdir())


def _check_present(path: Path) -> None:
    """Refuse a folder that LevelDB would open as an empty database, or not at all."""
    current = path / "CURRENT"
    try:
        named = current.read_text("ascii").strip()
    except FileNotFoundError:
        raise StoreLost(path, "CURRENT is missing") from None
    except OSError as problem:
        raise not_opened(current, problem) from None
    except UnicodeDecodeError as problem:
        raise StoreCorrupted(path, "CURRENT", str(problem)) from None
    if not named.startswith("MANIFEST-") or "/" in named:
        raise StoreCorrupted(path, "CURRENT", "it names no manifest")
    if not (path / named).is_file():
        raise StoreLost(path, f"{named} is missing")


def _shown(key: bytes) -> str:
    """A key for messages: its first bytes in hex."""
    return key[:64].hex() + ("..." if len(key) > 64 else "")
