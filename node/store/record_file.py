"""One small record in a file of its own, replaced as a whole: after a crash it is the old or the new one.

For what must be durable apart from every database, such as what a signer has promised.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final

from node.store.disk import Disk, replace_file
from node.store.failure import FailStop, OnFailure, StoreCorrupted, StoreError, exit_process

PAYLOAD_BYTES_MAX: Final = 1 << 20
_MAGIC: Final = b"FGREC1\r\n"
_FRAME_BYTES: Final = len(_MAGIC) + 4 + 4  # magic, length, CRC-32 of length and payload


class RecordFile:
    """The file, written by this process alone."""

    def __init__(self, disk: Disk, path: Path, *, on_failure: OnFailure = exit_process) -> None:
        self._disk = disk
        self._path = path
        self._stop = FailStop(path, on_failure)

    def read(self) -> bytes | None:
        """The record, or None where there is no file.

        Raises:
            StoreCorrupted, StoreError: `store.unreadable`.
        """
        self._stop.check()
        try:
            data = self._disk.read(self._path, _FRAME_BYTES + PAYLOAD_BYTES_MAX)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise StoreError("store.unreadable", self._path, str(problem)) from None
        magic, length, check = data[: len(_MAGIC)], data[len(_MAGIC) : 12], data[12:_FRAME_BYTES]
        payload = data[_FRAME_BYTES:]
        if (
            magic != _MAGIC
            or int.from_bytes(length, "big") != len(payload)
            or _check(length, payload) != check
        ):
            raise StoreCorrupted(self._path, "the record", "not what was written; it is not used")
        return payload

    def write(self, payload: bytes) -> None:
        """Replace the record: when this returns it survives a power cut.

        Raises:
            StoreFailed: only where the process was told not to end.
        """
        assert len(payload) <= PAYLOAD_BYTES_MAX
        self._stop.check()
        length = len(payload).to_bytes(4, "big")
        try:
            replace_file(self._disk, self._path, _MAGIC + length + _check(length, payload) + payload)
        except OSError as problem:
            raise self._stop.fail("replace", problem) from problem


def _check(length: bytes, payload: bytes) -> bytes:
    return zlib.crc32(payload, zlib.crc32(length)).to_bytes(4, "big")
