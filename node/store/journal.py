"""An append-only log of records that is read whole at the start and written again when most of it is dead.

It tells a torn tail from damage in the middle. A crash may leave the last, unsynced records in any
state: they were never promised to anyone, and are cut off. A record that was synced and comes back
wrong is damage: the log is refused and the place is named, because what follows may be a vote.

To tell them apart each record carries how much of the file was synced when it was written. A bad
place below the mark of any sound record after it is damage; any other is a torn tail.

File: header (magic 8 bytes, salt 16, CRC-32), then records:
    magic 4 | length 4 | synced 8 | kind 1 | CRC-32 of these | payload | CRC-32 of the payload
where each CRC-32 covers the salt and the record's offset too.
Numbers are big-endian. The salt is random for each file: bytes that a peer sent can't pass for a record.

Source: docs/spec/storage.md.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from node.store.disk import TEMPORARY_SUFFIX, Disk, File, replace_file
from node.store.failure import FailStop, OnFailure, StoreCorrupted, StoreLost, exit_process, not_opened

JOURNAL_BYTES_MAX: Final = 1 << 30  # it is read into memory; the owner rewrites it long before
RECORD_BYTES_MAX: Final = 16 << 20  # one block's body with room

_FILE_MAGIC: Final = b"FGLOG1\r\n"
_SALT_BYTES: Final = 16
_FILE_HEADER_BYTES: Final = len(_FILE_MAGIC) + _SALT_BYTES + 4
_RECORD_MAGIC: Final = b"\xf5\xa7\x1e\xc0"
_FIELDS: Final = struct.Struct(">IQB")  # length, synced, kind
_HEADER_BYTES: Final = len(_RECORD_MAGIC) + _FIELDS.size + 4
_FRAME_BYTES: Final = _HEADER_BYTES + 4

RandomBytes = Callable[[int], bytes]


class Record(NamedTuple):
    """One entry: what it is (0 to 255, the owner's own numbering) and its bytes."""

    kind: int
    payload: bytes


class _Found(NamedTuple):
    record: Record
    synced: int
    end: int


class Journal:
    """The log, open for appending by this process alone."""

    def __init__(
        self,
        disk: Disk,
        path: Path,
        on_failure: OnFailure,
        random_bytes: RandomBytes,
        salt: bytes,
        file: File,
        size: int,
    ) -> None:
        """Use `Journal.create` and `Journal.open`."""
        self._random_bytes = random_bytes
        self._disk = disk
        self._path = path
        self._stop = FailStop(path, on_failure)
        self._salt = salt
        self._file = file
        self._pending = bytearray()
        self._synced = size
        self._sizes = threading.Lock()  # one thread may append while another waits for the disk

    @staticmethod
    def create(disk: Disk, path: Path, records: Iterable[Record] = (), salt: bytes | None = None) -> None:
        """Make a durable log that holds these records.

        Raises:
            OSError
        """
        replace_file(disk, path, _whole(records, salt or os.urandom(_SALT_BYTES)))

    @classmethod
    def open(
        cls,
        disk: Disk,
        path: Path,
        *,
        on_failure: OnFailure = exit_process,
        random_bytes: RandomBytes = os.urandom,
    ) -> tuple[Journal, list[Record]]:
        """Read the log and open it for appending. What was read is durable, and a torn tail cut off, before
        this returns.

        Raises:
            StoreLost: there is no log. StoreCorrupted: the offset is named.
            StoreFailed: the disk is full, read-only, ...
            StoreError: `store.unreadable`.
        """
        try:
            data = disk.read(path, JOURNAL_BYTES_MAX)
        except FileNotFoundError:
            raise StoreLost(path, "the log is missing") from None
        except OSError as problem:
            raise not_opened(path, problem) from None
        salt, records, end = read_journal(path, data)
        try:
            disk.remove(_temporary(path))
            file = disk.extend(path, end)
            # What was read may lie in the cache only: a process that died after its write and before its
            # sync left it there. It counts as promised from now on, so it is made durable first.
            file.sync()
        except OSError as problem:
            raise not_opened(path, problem) from None
        return cls(disk, path, on_failure, random_bytes, salt, file, end), records

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def size_bytes(self) -> int:
        """What the file takes, appended and not yet synced records included."""
        return self._synced + len(self._pending)

    def append(self, kind: int, payload: bytes) -> None:
        """Add a record; it is written by the next `sync`."""
        self._stop.check()
        with self._sizes:
            self._pending += _frame(self._salt, self.size_bytes, self._synced, Record(kind, payload))

    def sync(self) -> None:
        """Make every record that was appended before durable: when this returns they survive a power cut.

        Raises:
            StoreFailed: only where the process was told not to end.
        """
        self._stop.check()
        with self._sizes:
            data = bytes(self._pending)
        if not data:
            return
        try:
            self._file.write(data)
            self._file.sync()
        except OSError as problem:
            raise self._stop.fail("append", problem) from problem
        with self._sizes:
            self._synced += len(data)
            del self._pending[: len(data)]

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the log by these records, durably. After a crash it is the old or the new one, whole.

        Records that were appended and not synced are gone: they belong among `records`.

        Raises:
            StoreFailed: only where the process was told not to end.
        """
        self._stop.check()
        salt = self._random_bytes(_SALT_BYTES)
        data = _whole(records, salt)
        try:
            replace_file(self._disk, self._path, data)
            self._file.close()
            self._file = self._disk.extend(self._path, len(data))
        except OSError as problem:
            raise self._stop.fail("rewrite", problem) from problem
        with self._sizes:
            self._salt, self._synced = salt, len(data)
            self._pending.clear()

    def close(self) -> None:
        """Let go of the file; what was not synced is dropped."""
        self._file.close()


def read_journal(path: Path, data: bytes) -> tuple[bytes, list[Record], int]:
    """The salt, the records and the end of the sound part of a log.

    Raises:
        StoreCorrupted: a record that was durable is damaged; its offset is named.
    """
    if len(data) > JOURNAL_BYTES_MAX:
        raise StoreCorrupted(
            path, f"offset {JOURNAL_BYTES_MAX}", "the log is larger than any that is written"
        )
    header, check = data[: _FILE_HEADER_BYTES - 4], data[_FILE_HEADER_BYTES - 4 : _FILE_HEADER_BYTES]
    # The header came with a rename after a sync, so it is never torn.
    if len(data) < _FILE_HEADER_BYTES or not header.startswith(_FILE_MAGIC) or _crc(header) != check:
        raise StoreCorrupted(path, "offset 0", "not the header of a log")
    salt = header[len(_FILE_MAGIC) :]
    records: list[Record] = []
    offset = _FILE_HEADER_BYTES
    while offset < len(data):
        found = _record_at(data, offset, salt)
        if found is None:
            _check_torn(path, data, offset, salt)
            break
        records.append(found.record)
        offset = found.end
    return salt, records, offset


def _check_torn(path: Path, data: bytes, offset: int, salt: bytes) -> None:
    """Refuse a bad place that a later record knows to have been synced."""
    place = data.find(_RECORD_MAGIC, offset + 1)
    while place >= 0:
        header = _header_at(data, place, salt)
        if header is not None and header[1] > offset:
            raise StoreCorrupted(path, f"offset {offset}", "a record that was synced is damaged")
        place = data.find(_RECORD_MAGIC, place + 1)


def _record_at(data: bytes, offset: int, salt: bytes) -> _Found | None:
    """The sound record at an offset, or None."""
    header = _header_at(data, offset, salt)
    if header is None:
        return None
    length, synced, kind = header
    start = offset + _HEADER_BYTES
    end = start + length + 4
    if length > RECORD_BYTES_MAX or end > len(data):
        return None
    payload = data[start : end - 4]
    if _crc(salt, offset.to_bytes(8, "big"), payload) != data[end - 4 : end]:
        return None
    return _Found(Record(kind, payload), synced, end)


def _header_at(data: bytes, offset: int, salt: bytes) -> tuple[int, int, int] | None:
    """Length, synced mark and kind of a record whose own header is sound, or None."""
    header = data[offset : offset + _HEADER_BYTES]
    if len(header) < _HEADER_BYTES or not header.startswith(_RECORD_MAGIC):
        return None
    if _crc(salt, offset.to_bytes(8, "big"), header[:-4]) != header[-4:]:
        return None
    length, synced, kind = _FIELDS.unpack(header[len(_RECORD_MAGIC) : -4])
    return length, synced, kind


def _frame(salt: bytes, offset: int, synced: int, record: Record) -> bytes:
    assert len(record.payload) <= RECORD_BYTES_MAX
    place = offset.to_bytes(8, "big")
    header = _RECORD_MAGIC + _FIELDS.pack(len(record.payload), synced, record.kind)
    return header + _crc(salt, place, header) + record.payload + _crc(salt, place, record.payload)


def _whole(records: Iterable[Record], salt: bytes) -> bytes:
    """A whole file. Each record's mark covers those before it: the file appears in one step, synced."""
    header = _FILE_MAGIC + salt
    data = bytearray(header + _crc(header))
    for record in records:
        data += _frame(salt, len(data), len(data), record)
    assert len(data) <= JOURNAL_BYTES_MAX
    return bytes(data)


def _crc(*parts: bytes) -> bytes:
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value.to_bytes(4, "big")


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + TEMPORARY_SUFFIX)
