"""The files that operators hand to each other for a recovery: one line of JSON, one spelling.

A reader takes exactly these fields and this spelling, and at most FILE_BYTES_MAX; signatures are verified
by who uses what a file says (`ledger.recovery`).

Source: docs/spec/recovery.md, rule K10.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, TypeVar

from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.readable import from_readable, to_readable
from ledger.recovery import Approval, Recovery, SignedReport
from ledger.types import RECOVERY_BYTES_MAX
from node.store.disk import LocalDisk, write_new_file

FORMATS: Final[dict[type[Canonical], str]] = {
    SignedReport: "farmgate-recovery-report",
    Recovery: "farmgate-recovery",
    Approval: "farmgate-recovery-approval",
}
VERSION: Final = 1
FILE_BYTES_MAX: Final = 4 * RECOVERY_BYTES_MAX  # hexadecimal, and the names of the fields

Content = TypeVar("Content", SignedReport, Recovery, Approval)


def file_text(content: SignedReport | Recovery | Approval) -> bytes:
    """The one file of a report, recovery or approval: sorted names, no spaces, a line end."""
    document = {"format": FORMATS[type(content)], "version": VERSION, "content": to_readable(content)}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def write_file(file: Path, content: SignedReport | Recovery | Approval) -> None:
    """A new file, durable, or none.

    Raises:
        LedgerError: `recovery.exists`. OSError
    """
    try:
        write_new_file(LocalDisk(), file, file_text(content))
    except FileExistsError:
        raise LedgerError("recovery.exists", f"{file} is there already; it is not overwritten") from None


def read_file(file: Path, kind: type[Content]) -> Content:
    """What a file of this kind holds.

    Raises:
        LedgerError: `recovery.too_large`, `recovery.malformed`, or a `readable.*` code. OSError
    """
    return parse_file(LocalDisk().read(file, FILE_BYTES_MAX + 1), kind)


def parse_file(data: bytes, kind: type[Content]) -> Content:
    """The same of a file's bytes."""
    if len(data) > FILE_BYTES_MAX:
        raise LedgerError("recovery.too_large", f"{len(data)} bytes, at most {FILE_BYTES_MAX} are read")
    try:
        document = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as problem:
        raise LedgerError("recovery.malformed", f"not JSON: {problem}"[:200]) from None
    if not isinstance(document, dict) or document.get("format") != FORMATS[kind]:
        raise LedgerError("recovery.malformed", f"not a {FORMATS[kind]}")
    if document.get("version") != VERSION:
        raise LedgerError(
            "recovery.malformed", f"version {document.get('version')!r}, expected {VERSION}"[:200]
        )
    content: Content = from_readable(document.get("content"), kind)
    if file_text(content) != data:
        raise LedgerError("recovery.malformed", "not written as such a file is: sorted names, no spaces")
    return content
