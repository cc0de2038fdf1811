"""The values of query parameters: text in a URL, where `|` separates several; JSON in the body of a query.

Numbers are exact and written as JSON writes them. What cannot be read is refused, never guessed.

Source: EPCIS 2.0, section 8.2.7.1 and its query schema.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from contracts.epcis.canonical_json import Json, parse
from contracts.epcis.instant import parse_time
from contracts.epcis.problems import shown
from ledger.errors import LedgerError

VALUES_MAX: Final = 100  # in one list
VALUE_LENGTH_MAX: Final = 2048  # characters of one value; an identifier has 512 bytes at most
_NUMBER_LENGTH_MAX: Final = 128
_COUNT_MAX: Final = 10**9

Scalar: TypeAlias = "Decimal | int | str"


class Value:
    """One value as a request gave it."""

    __slots__ = ("given", "is_text")

    def __init__(self, given: Json, *, is_text: bool) -> None:
        """Take a value.

        Args:
            given: the text of a URL, or the JSON of a body.
            is_text: it came in a URL.
        """
        self.given = given
        self.is_text = is_text

    def items(self) -> list[Json]:
        """The alternatives of a list; one value alone is a list of one."""
        if self.is_text:
            assert isinstance(self.given, str), "a URL holds text"
            found: list[Json] = list(self.given.split("|"))
        else:
            found = self.given if isinstance(self.given, list) else [self.given]
        if not found:
            raise invalid("the list is empty")
        if len(found) > VALUES_MAX:
            raise LedgerError("query.too_complex", f"{len(found)} values, at most {VALUES_MAX} are allowed")
        return found

    def texts(self) -> list[str]:
        """The alternatives, each a text."""
        return [text(each) for each in self.items()]

    def numbers(self) -> frozenset[Decimal]:
        """The alternatives, each a number."""
        return frozenset(number(each) for each in self.items())

    def number(self) -> Decimal:
        """One number."""
        return number(self.given)

    def instant(self) -> int:
        """One instant, in milliseconds since 1970 UTC."""
        return instant(text(self.given))

    def text(self) -> str:
        """One text."""
        return text(self.given)

    def count(self) -> int:
        """One whole number from 1."""
        found = number(self.given)
        if found != int(found) or not 1 <= found <= _COUNT_MAX:
            raise invalid(f"expected a whole number from 1 to {_COUNT_MAX}")
        return int(found)

    def flag(self) -> bool:
        """Whether something is to exist. In a body the standard writes null or a number and means yes."""
        match self.given:
            case bool() as wanted:
                return wanted
            case "true" | "":
                return True
            case "false":
                return False
            case None | int():
                return True
            case _:
                raise invalid("expected true or false")

    def booleans(self) -> frozenset[bool]:
        """The alternatives, each true or false."""
        return frozenset(_boolean(each) for each in self.items())


def invalid(message: str) -> LedgerError:
    """A value that the parameter cannot have."""
    return LedgerError("parameter.invalid", message)


def text(given: Json) -> str:
    """A text of bearable length."""
    if not isinstance(given, str):
        raise invalid(f"{shown(given)} is no text")
    if len(given) > VALUE_LENGTH_MAX:
        raise invalid(f"{len(given)} characters, at most {VALUE_LENGTH_MAX} are read")
    return given


def number(given: Json) -> Decimal:
    """A number, exact."""
    found = given
    if isinstance(given, str):
        found = read_number(given)
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        raise invalid(f"{shown(given)} is no number")
    return Decimal(found)


def read_number(written: str) -> Decimal | None:
    """The number that a text is, spelled as in JSON; None for any other text."""
    if not written or written != written.strip():
        return None
    try:
        found = parse(written.encode(errors="replace"), _NUMBER_LENGTH_MAX)
    except LedgerError:
        return None
    return None if isinstance(found, bool) or not isinstance(found, int | Decimal) else Decimal(found)


def instant(written: str) -> int:
    """An instant in milliseconds since 1970 UTC."""
    try:
        return parse_time(written)
    except LedgerError as problem:
        raise invalid(f"{shown(written)}: {problem.message}") from None


def read_instant(written: str) -> int | None:
    """The instant that a text is; None for any other text."""
    try:
        return parse_time(written)
    except LedgerError:
        return None


def each_of(read: Callable[[str], str]) -> Callable[[Value], frozenset[str]]:
    """A reader of lists whose every text `read` takes."""
    return lambda value: frozenset(read(each) for each in value.texts())


def _boolean(given: Json) -> bool:
    if isinstance(given, bool):
        return given
    if given not in ("true", "false"):
        raise invalid("expected true or false")
    return given == "true"
