"""What may stand in a path, a query or a header: one declaration for the check and the reference.

A value is read in one way only: no signs, no blanks, no second spelling of a number. Unknown and
repeated query parameters are refused by `node.api.routes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from ledger.errors import LedgerError
from ledger.types import HEIGHT_MAX, Height

Value_co = TypeVar("Value_co", covariant=True)

IDENTIFIER_LENGTH_MAX: Final = 2048  # of an item or event identifier, percent-decoded
NAME_LENGTH_MAX: Final = 64
CURSOR_LENGTH_MAX: Final = 512
WAIT_SECONDS_MAX: Final = 30
PAGE_MAX: Final = 100
PAGE_DEFAULT: Final = 30

_HEIGHT = re.compile(r"0|[1-9][0-9]{0,15}")
_HASH = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*(?:$|[,;])", re.IGNORECASE)

Read = Callable[[str], Value_co]


@dataclass(frozen=True, slots=True)
class Parameter(Generic[Value_co]):
    """One named value. `schema` is its JSON schema; `read` raises ValueError, saying what was expected."""

    name: str
    place: Literal["path", "query", "header"]
    read: Read[Value_co]
    schema: Mapping[str, Any]
    description: str

    def value(self, text: str) -> Value_co:
        """The value that `text` stands for.

        Raises:
            LedgerError: `parameter.invalid`, its pointer the place and name.
        """
        try:
            return self.read(text)
        except ValueError as problem:
            raise LedgerError(
                "parameter.invalid", f"{self.name}: {problem}", f"/{self.place}/{self.name}"
            ) from None


def read_height(text: str) -> Height:
    """A block height in decimal digits."""
    if not _HEIGHT.fullmatch(text) or int(text) > HEIGHT_MAX:
        raise ValueError(f"expected a height, 0 to {HEIGHT_MAX} in decimal digits")
    return Height(int(text))


def read_hash(text: str) -> bytes:
    """32 bytes as 64 lower-case hexadecimal digits."""
    if not _HASH.fullmatch(text):
        raise ValueError("expected 64 lower-case hexadecimal digits")
    return bytes.fromhex(text)


def read_height_or_hash(text: str) -> Height | bytes:
    """A height, or an id: 64 digits are always an id, for no height has so many."""
    return read_hash(text) if _HASH.fullmatch(text) else read_height(text)


def read_name(text: str) -> str:
    """A name of the ledger."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"expected 1 to {NAME_LENGTH_MAX} of a-z 0-9 . _ -, a letter or digit first")
    return text


def read_identifier(text: str) -> str:
    """An identifier of an item or event: printable text; what it names is for the contract to say."""
    if not 0 < len(text) <= IDENTIFIER_LENGTH_MAX:
        raise ValueError(f"expected 1 to {IDENTIFIER_LENGTH_MAX} characters, found {len(text)}")
    if not text.isprintable():
        raise ValueError("expected printable characters")
    return text


def whole_number(low: int, high: int) -> Read[int]:
    """A reader of whole numbers from `low` (0 or more) to `high`."""

    def read(text: str) -> int:
        if not _HEIGHT.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"expected {low} to {high}")
        return int(text)

    return read


def one_of(*words: str) -> Read[str]:
    """A reader of one of a few words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return text

    return read


HEIGHT_SCHEMA: Final = {"type": "integer", "minimum": 0, "maximum": HEIGHT_MAX}
HASH_SCHEMA: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
NAME_SCHEMA: Final = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"}
IDENTIFIER_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": IDENTIFIER_LENGTH_MAX}

AT: Final = Parameter(
    "at",
    "query",
    read_height,
    HEIGHT_SCHEMA,
    "Answer as of this height. State is kept for the last final block only: another height is refused with "
    "`at.not_kept`.",
)
LIMIT: Final = Parameter(
    "limit",
    "query",
    whole_number(1, PAGE_MAX),
    {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
    "How many entries a page holds at most.",
)


def wait_seconds(prefer: str | None) -> int | None:
    """The seconds in a `Prefer: wait=S` header, at most WAIT_SECONDS_MAX; None where there is no such wish.

    A preference may be ignored (RFC 7240), so what cannot be read is no error.
    """
    found = _WAIT.search(prefer) if prefer is not None else None
    return None if found is None else min(int(found[1]), WAIT_SECONDS_MAX)
