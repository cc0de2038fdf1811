"""Secret seeds on the disk: 32 bytes each, readable by the node's user and by nobody else, never overwritten.

A file that others could have read or written is refused: a key that leaked is worse than a node that
does not start.
"""

from __future__ import annotations

import os
import stat
from enum import Enum
from pathlib import Path
from typing import Final

from ledger.crypto import KeyPair, key_pair
from ledger.errors import LedgerError
from node.home import FOLDER_MODE
from node.store.disk import TEMPORARY_SUFFIX, LocalDisk

SEED_BYTES: Final = 32
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeyName(Enum):
    """The keys of a node, by what they are for. The value is the file's name in `keys/`."""

    NODE = "node.key"  # the node's identity: connections and its certificate
    VALIDATOR = "validator.key"  # votes; only a validator has one
    GATEWAY = "gateway.key"  # signs for clients of the site, in the name of the organisation


def read_key(folder: Path, name: KeyName) -> KeyPair:
    """The key in a file.

    Raises:
        LedgerError: `key_file.missing`, `key_file.permissions`, `key_file.owner`, `key_file.not_a_file`,
            `key_file.malformed`, `key_file.unreadable`; the message names the path, never the content.
    """
    return key_pair(read_seed(folder / name.value))


def read_seed(path: Path) -> bytes:
    """The 32 secret bytes in a file, if nobody else could have read or changed them.

    Raises:
        LedgerError: as `read_key`.
    """
    _check_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise LedgerError("key_file.missing", f"{path} is not there") from None
    except OSError as problem:
        if path.is_symlink():
            raise LedgerError("key_file.not_a_file", f"{path} is a link, expected the file itself") from None
        raise LedgerError("key_file.unreadable", f"{path}: {problem.strerror}") from None
    try:
        _check_private(path, os.fstat(descriptor), is_folder=False)
        seed = os.read(descriptor, SEED_BYTES + 1)
    except OSError as problem:
        raise LedgerError("key_file.unreadable", f"{path}: {problem.strerror}") from None
    finally:
        os.close(descriptor)
    if len(seed) != SEED_BYTES:
        raise LedgerError("key_file.malformed", f"{path} does not hold exactly {SEED_BYTES} bytes")
    return seed


def create_key(folder: Path, name: KeyName, seed: bytes | None = None) -> KeyPair:
    """Make a key (of `seed`, or of fresh random bytes), write its file durably, and answer it.

    Raises:
        LedgerError: `key_file.exists`; nothing is changed then. `key_file.permissions`, `key_file.owner`.
        OSError: the file could not be written; it is not there then.
    """
    seed = os.urandom(SEED_BYTES) if seed is None else seed
    write_seed(folder / name.value, seed)
    return key_pair(seed)


def write_seed(path: Path, seed: bytes) -> None:
    """Write a new key file: whole and durable, or not there.

    Raises:
        LedgerError, OSError: as `create_key`.
    """
    assert len(seed) == SEED_BYTES
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    _check_folder(path.parent)
    disk = LocalDisk()
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}{TEMPORARY_SUFFIX}")
    try:
        file = disk.create(temporary)
        try:
            file.write(seed)
            file.sync()
        finally:
            file.close()
        os.link(temporary, path)  # unlike a rename it refuses to replace what is there
    except FileExistsError:
        raise LedgerError("key_file.exists", f"{path} is there already; a key is never overwritten") from None
    finally:
        disk.remove(temporary)
    disk.sync_folder(path.parent)


def _check_folder(folder: Path) -> None:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        raise LedgerError("key_file.missing", f"{folder} is not there") from None
    except OSError as problem:
        raise LedgerError("key_file.unreadable", f"{folder}: {problem.strerror}") from None
    _check_private(folder, found, is_folder=True)


def _check_private(path: Path, found: os.stat_result, *, is_folder: bool) -> None:
    """Refuse a file or folder that is of another kind, of another user, or open to others."""
    if not (stat.S_ISDIR if is_folder else stat.S_ISREG)(found.st_mode):
        expected = "a folder" if is_folder else "a regular file"
        raise LedgerError("key_file.not_a_file", f"{path} is not {expected}")
    if found.st_uid != os.geteuid():
        raise LedgerError(
            "key_file.owner", f"{path} belongs to user {found.st_uid}, the node runs as user {os.geteuid()}"
        )
    if found.st_mode & _OTHERS:
        wanted = "700" if is_folder else "600"
        raise LedgerError(
            "key_file.permissions",
            f"{path} has mode {stat.S_IMODE(found.st_mode):o}, open to others: chmod {wanted} {path}",
        )
