"""A disk in memory that forgets, when it crashes, what was not synced: for tests and the simulator.

Contents and names are durable apart, as POSIX has it: `File.sync` keeps what a file holds,
`sync_folder` keeps what it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node.store.disk import File

Fault = Callable[[str, Path, bytes], int | None]
"""Asked before each operation (its name, the path, the data of a write). Raises OSError to fail it; for a
write it may first answer how many bytes are still taken, and then it is asked again as "short"."""


@dataclass(slots=True)
class _Contents:
    """A file's bytes: those that a crash leaves, and those that a reader sees."""

    durable: bytes = b""
    current: bytes = b""


class MemoryDisk:
    """Files that survive `crash` as far as they were synced.

    Args:
        fault: fails chosen operations; None: nothing fails.
    """

    def __init__(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self._names: dict[Path, _Contents] = {}
        self._durable_names: dict[Path, _Contents] = {}

    def crash(self, keep: Callable[[int], int] = lambda unsynced_bytes: 0) -> None:
        """Lose what was not synced.

        Args:
            keep: how many bytes of a file's unsynced tail happen to have reached the disk.
        """
        for contents in self._durable_names.values():
            durable, current = contents.durable, contents.current
            if current[: len(durable)] == durable:
                tail = current[len(durable) :]
                contents.durable = durable + tail[: keep(len(tail))]
            contents.current = contents.durable
        self._names = dict(self._durable_names)

    def copied(self) -> MemoryDisk:
        """Another disk with the durable part of this one."""
        other = MemoryDisk()
        for path, contents in self._durable_names.items():
            other._durable_names[path] = _Contents(contents.durable, contents.durable)
        other._names = dict(other._durable_names)
        return other

    def durable(self, path: Path) -> bytes:
        """What of a file would survive a crash now."""
        contents = self._durable_names.get(path)
        return b"" if contents is None else contents.durable

    def damage(self, path: Path, offset: int) -> None:
        """Turn over one bit of a durable file, as a bad sector does."""
        contents = self._durable_names[path]
        changed = bytearray(contents.durable)
        changed[offset] ^= 1
        contents.durable = contents.current = bytes(changed)

    def lose(self, path: Path, size: int) -> None:
        """Keep a file's first `size` bytes: the syncs of what followed were answered, and did nothing."""
        contents = self._durable_names[path]
        contents.durable = contents.current = contents.durable[:size]

    def read(self, path: Path, bytes_max: int) -> bytes:
        """The whole file, at most `bytes_max` + 1 bytes of it."""
        self.ask("read", path)
        return self._contents(path).current[: bytes_max + 1]

    def create(self, path: Path) -> File:
        """A new file, or an old one emptied."""
        self.ask("create", path)
        contents = self._names.setdefault(path, _Contents())
        contents.current = b""
        return _MemoryFile(self, path, contents)

    def extend(self, path: Path, size: int) -> File:
        """An existing file, cut to its first `size` bytes."""
        self.ask("extend", path)
        contents = self._contents(path)
        contents.current = contents.current[:size]
        return _MemoryFile(self, path, contents)

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in another's place in one step."""
        self.ask("rename", target)
        self._names[target] = self._contents(source)
        del self._names[source]

    def remove(self, path: Path) -> None:
        """Remove a file, there or not."""
        self.ask("remove", path)
        self._names.pop(path, None)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        self.ask("sync_folder", folder)
        for names in (self._durable_names, self._names):
            for path in [each for each in names if each.parent == folder]:
                if path in self._names:
                    self._durable_names[path] = self._names[path]
                else:
                    del self._durable_names[path]

    def _contents(self, path: Path) -> _Contents:
        if path not in self._names:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return self._names[path]

    def ask(self, operation: str, path: Path, data: bytes = b"") -> int | None:
        """Let `fault` fail an operation; the number of bytes that a write still takes."""
        return None if self.fault is None else self.fault(operation, path, data)


class _MemoryFile:
    def __init__(self, disk: MemoryDisk, path: Path, contents: _Contents) -> None:
        self._disk = disk
        self._path = path
        self._contents = contents

    def write(self, data: bytes) -> None:
        taken = self._disk.ask("write", self._path, data)
        self._contents.current += data[:taken]
        if taken is not None:
            self._disk.ask("short", self._path, data)

    def sync(self) -> None:
        self._disk.ask("sync", self._path)
        self._contents.durable = self._contents.current

    def close(self) -> None:
        """Nothing to let go of."""
