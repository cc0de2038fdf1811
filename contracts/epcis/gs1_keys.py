"""GS1 identification keys: what a value of each may hold, its check digit, and its constrained Digital Link.

A key is an application identifier (AI) with a value; a qualifier narrows it (lot, serial, GLN extension).
Only the finest qualifier stands in the canonical form, and only the keys that the CBV lets stand for things,
classes, places and parties are here: what is not here stays the URI that it was.

Source: GS1 General Specifications sections 3 and 7.9; GS1 Digital Link URI Syntax 1.3; CBV 2.0 section 8.
"""

from __future__ import annotations

import re
from enum import Enum
from itertools import pairwise
from typing import Final, NamedTuple
from urllib.parse import quote

from contracts.epcis.gs1_checks import check_digit, csumalpha, pieceoftotal
from ledger.errors import LedgerError


class Level(Enum):
    """What kind of thing an identifier names."""

    INSTANCE = "instance"  # one serialised thing or document
    LOT = "lot"  # a batch of a class
    CLASS = "class"  # a trade item, asset type, document type
    CONTAINER = "container"  # a logistic unit (SSCC)
    LOCATION = "location"
    PARTY = "party"
    OTHER = "other"  # shipments, consignments, and whatever GS1 does not define


class _Format(NamedTuple):
    """What the value of an AI may be: its form, and how many leading digits end in a check digit."""

    form: re.Pattern[str]
    checked_digits: int = 0


DOMAIN: Final = "https://id.gs1.org"
_X: Final = r"[!\"%&'()*+,./0-9:;<=>?A-Z_a-z-]"  # character set 82
_Y: Final = r"[#/0-9A-Z-]"  # character set 39
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")


def _format(form: str, checked_digits: int = 0) -> _Format:
    return _Format(re.compile(form), checked_digits)


# A company prefix has at least four digits, and it opens every key that may hold letters.
_KEYS: Final = {
    "00": _format(r"[0-9]{18}", 18),
    "01": _format(r"[0-9]{14}", 14),
    "253": _format(rf"[0-9]{{13}}{_X}{{0,17}}", 13),
    "255": _format(r"[0-9]{13,25}", 13),
    "401": _format(rf"[0-9]{{4}}{_X}{{0,26}}"),
    "402": _format(r"[0-9]{17}", 17),
    "414": _format(r"[0-9]{13}", 13),
    "417": _format(r"[0-9]{13}", 13),
    "8003": _format(rf"0[0-9]{{13}}{_X}{{0,16}}", 14),
    "8004": _format(rf"[0-9]{{4}}{_X}{{0,26}}"),
    "8006": _format(r"[0-9]{18}", 14),
    "8010": _format(rf"[0-9]{{4}}{_Y}{{0,26}}"),
    "8013": _format(rf"[0-9]{{4}}{_X}{{2,21}}"),
    "8017": _format(r"[0-9]{18}", 18),
    "8018": _format(r"[0-9]{18}", 18),
}
_QUALIFIERS: Final = {
    "10": _format(rf"{_X}{{1,20}}"),
    "21": _format(rf"{_X}{{1,20}}"),
    "22": _format(rf"{_X}{{1,20}}"),
    "235": _format(rf"{_X}{{1,28}}"),
    "254": _format(rf"{_X}{{1,20}}"),
    "8011": _format(r"[1-9][0-9]{0,11}"),
}
# The qualifiers that may follow a key, in this order, each at most once; the last one present is the finest.
_SEQUENCES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "01": (("22", "10", "21"), ("235",)),
    "414": (("254",),),
    "8006": (("22", "10", "21"),),
    "8010": (("8011",),),
}
_QUALIFIED: Final = {"10": Level.LOT, "21": Level.INSTANCE, "235": Level.INSTANCE, "8011": Level.INSTANCE}
_PLAIN: Final = {
    "00": Level.CONTAINER,
    "01": Level.CLASS,
    "401": Level.OTHER,
    "402": Level.OTHER,
    "414": Level.LOCATION,
    "417": Level.PARTY,
    "8004": Level.INSTANCE,
    "8006": Level.CLASS,
    "8010": Level.CLASS,
    "8013": Level.CLASS,
    "8017": Level.PARTY,
    "8018": Level.PARTY,
}
_SERIAL_AFTER: Final = {"253": 13, "255": 13, "8003": 14}  # digits of the type, before an optional serial


class Key(NamedTuple):
    """A GS1 key in its canonical form."""

    uri: str
    level: Level


def is_key(ai: str) -> bool:
    """Whether an AI is an identification key that can stand alone."""
    return ai in _KEYS


def is_qualifier(ai: str) -> bool:
    """Whether an AI may narrow a key."""
    return ai in _QUALIFIERS


def is_sequence(ai: str, qualifiers: tuple[str, ...]) -> bool:
    """Whether these qualifiers, in this order, may follow the key `ai`."""
    if not qualifiers:
        return True
    for sequence in _SEQUENCES.get(ai, ()):
        places = [sequence.index(name) if name in sequence else -1 for name in qualifiers]
        if places[0] >= 0 and all(before < after for before, after in pairwise(places)):
            return True
    return False


def in_order(ai: str, elements: dict[str, str]) -> tuple[tuple[str, str], ...] | None:
    """The qualifiers of a key among the elements, in link order; None where they do not go together."""
    sequences = _SEQUENCES.get(ai, ())
    present = [name for sequence in sequences for name in sequence if name in elements]
    for sequence in sequences:
        if all(name in sequence for name in present):
            return tuple((name, elements[name]) for name in present)
    return None if present else ()


def key(ai: str, value: str, qualifiers: tuple[tuple[str, str], ...] = ()) -> Key:
    """The canonical form of a key, its qualifiers being in order (`is_sequence`).

    Raises:
        LedgerError: `identifier.invalid` for a wrong length or character, `identifier.check_digit`.
    """
    value = _padded(value) if ai == "01" else value
    check_value(ai, value, _KEYS[ai])
    for name, part in qualifiers:
        check_value(name, part, _QUALIFIERS[name])
    finest = next((pair for pair in reversed(qualifiers) if pair[0] != "22"), None)
    head = f"{DOMAIN}/{ai}/{encoded(value)}"
    if finest is None or finest == ("254", "0"):
        return Key(head, _plain_level(ai, value))
    name, part = finest
    return Key(f"{head}/{name}/{encoded(part)}", _QUALIFIED.get(name, Level.LOCATION))


def check_value(ai: str, value: str, expected: _Format) -> None:
    """Refuse a value that the AI may not have.

    Raises:
        LedgerError: `identifier.invalid` or `identifier.check_digit`.
    """
    if expected.form.fullmatch(value) is None:
        raise LedgerError(
            "identifier.invalid", f"{value[:40]!r} has the wrong length or characters for ({ai})"
        )
    digits = value[: expected.checked_digits]
    if digits and digits[-1] != check_digit(digits[:-1]):
        wanted = check_digit(digits[:-1])
        raise LedgerError(
            "identifier.check_digit", f"({ai}) {digits} ends in {digits[-1]}, its check digit is {wanted}"
        )
    if ai == "8006" and pieceoftotal(value[14:]) is not None:
        raise LedgerError("identifier.invalid", f"({ai}) {value[14:]} is no piece number of a total")
    if ai == "8013" and csumalpha(value) is not None:
        raise LedgerError(
            "identifier.check_digit", f"({ai}) the check characters of {value[:-2]} are not {value[-2:]}"
        )


def encoded(value: str) -> str:
    """A value as a path segment: everything but RFC 3986's unreserved characters percent-encoded."""
    return value if _UNRESERVED.fullmatch(value) else quote(value, safe="")


def _padded(value: str) -> str:
    """A GTIN-8, -12 or -13 as the GTIN-14 that it is."""
    return value.rjust(14, "0") if len(value) in (8, 12, 13) else value


def _plain_level(ai: str, value: str) -> Level:
    type_digits = _SERIAL_AFTER.get(ai)
    if type_digits is None:
        return _PLAIN[ai]
    return Level.INSTANCE if len(value) > type_digits else Level.CLASS
