"""Signed transactions that are not known to be final: a file each, so that a crash loses none.

A transaction is written here, durably, before it is sent, and removed when its fate is known. Sending
it again is harmless: it is the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cli.exit_code import ExitCode
from cli.failure import Failure
from ledger.transaction import Transaction, decode_transaction
from ledger.types import TRANSACTION_BYTES_MAX
from node.store.disk import LocalDisk, replace_file

SUFFIX: Final = ".tx"
FILES_MAX: Final = 100_000
_NAME = re.compile(r"[0-9a-f]{64}\.tx")


class Outbox:
    """The folder of one profile's transactions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, transaction: Transaction) -> None:
        """Keep a transaction until `remove`; when this returns it survives a power cut.

        Raises:
            OSError
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(LocalDisk(), self._path(transaction.id.hex()), transaction.raw)

    def remove(self, transaction_id: str) -> bool:
        """Forget a transaction; answers whether it was here."""
        path = self._path(transaction_id)
        if not path.exists():
            return False
        path.unlink(missing_ok=True)
        return True

    def get(self, transaction_id: str) -> Transaction:
        """One transaction.

        Raises:
            Failure: `outbox.unknown`, `outbox.damaged`.
        """
        path = self._path(transaction_id)
        try:
            raw = path.read_bytes()[: TRANSACTION_BYTES_MAX + 1]
        except FileNotFoundError:
            raise Failure(
                "outbox.unknown",
                f"no transaction {transaction_id[:64]} waits in the outbox",
                advice="farmgate outbox list shows those that do",
            ) from None
        return _read(path, raw)

    def all(self) -> Iterator[Transaction]:
        """Every transaction, oldest first.

        Raises:
            Failure: `outbox.damaged`.
        """
        paths = [path for path in _entries(self._folder) if _NAME.fullmatch(path.name)]
        for path in sorted(paths, key=lambda each: (each.stat().st_mtime_ns, each.name)):
            yield _read(path, path.read_bytes())

    def _path(self, transaction_id: str) -> Path:
        if not _NAME.fullmatch(transaction_id + SUFFIX):
            raise Failure(
                "usage.not_an_id",
                f"{transaction_id[:80]!r} is no transaction id: 64 hex digits",
                exit_code=ExitCode.USAGE,
            )
        return self._folder / (transaction_id + SUFFIX)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())[:FILES_MAX] if folder.is_dir() else []


def _read(path: Path, raw: bytes) -> Transaction:
    from ledger.errors import LedgerError

    try:
        found = decode_transaction(raw)
    except LedgerError as problem:
        raise Failure(
            "outbox.damaged", f"{path}: {problem}", advice="move the file away; it was never sent like that"
        ) from None
    if found.id.hex() != path.stem:
        raise Failure("outbox.damaged", f"{path} holds transaction {found.id.hex()}")
    return found
