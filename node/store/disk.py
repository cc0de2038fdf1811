"""The few things that logs and small files ask of a file system, so that tests can make each of them fail.

Two implementations: `LocalDisk` here, `node.store.memory_disk` for tests and the simulator.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, Protocol

FILE_MODE: Final = 0o600
TEMPORARY_SUFFIX: Final = ".new"


class File(Protocol):
    """A file that is being appended to."""

    def write(self, data: bytes) -> None:
        """Append all of it, not yet durable (OSError: any part of it may have been written)."""

    def sync(self) -> None:
        """Make durable what was written (OSError: nobody knows what is durable now)."""

    def close(self) -> None:
        """Let go of the file; makes nothing durable."""


class Disk(Protocol):
    """Files by path. Every method may raise OSError."""

    def read(self, path: Path, bytes_max: int) -> bytes:
        """The whole file, at most `bytes_max` + 1 bytes of it, so that a larger one shows."""

    def create(self, path: Path) -> File:
        """A new file, or an old one emptied; its name is durable only after `sync_folder`."""

    def extend(self, path: Path, size: int) -> File:
        """An existing file, cut to its first `size` bytes."""

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in another's place in one step; durable only after `sync_folder`."""

    def remove(self, path: Path) -> None:
        """Remove a file, there or not."""

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""


class LocalDisk:
    """The file system of this machine."""

    def read(self, path: Path, bytes_max: int) -> bytes:
        """The whole file, at most `bytes_max` + 1 bytes of it."""
        with path.open("rb") as file:
            return file.read(bytes_max + 1)

    def create(self, path: Path) -> File:
        """A new file, or an old one emptied."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        return _LocalFile(os.open(path, flags, FILE_MODE))

    def extend(self, path: Path, size: int) -> File:
        """An existing file, cut to its first `size` bytes."""
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.ftruncate(descriptor, size)
        except OSError:
            os.close(descriptor)
            raise
        return _LocalFile(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in another's place in one step."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file, there or not."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _LocalFile:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:  # a short write is no error: the next one tells why
            rest = rest[os.write(self._descriptor, rest) :]

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def replace_file(disk: Disk, path: Path, data: bytes) -> None:
    """Make `data` the durable content of `path`. After a crash it is the old or the new content, whole.

    Raises:
        OSError: the old content is still in place, or the new one is and may not be durable.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    file = disk.create(temporary)
    try:
        file.write(data)
        file.sync()
    finally:
        file.close()
    disk.rename(temporary, path)
    disk.sync_folder(path.parent)


def write_new_file(disk: Disk, path: Path, data: bytes) -> None:
    """A new file, whole and durable, or none.

    Raises:
        FileExistsError: something has this name already; it is left as it is. OSError
    """
    making = path.with_name(path.name + ".new")
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(making, path)  # refuses to replace what is there
    finally:
        making.unlink()
    disk.sync_folder(path.absolute().parent)
