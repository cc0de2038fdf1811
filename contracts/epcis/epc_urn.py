"""EPC URNs to GS1 keys. A URN sets the company prefix apart and has no check digit; a key, the reverse.

Source: GS1 EPC Tag Data Standard 2.1 sections 6 and 8; CBV 2.0 section 8.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from contracts.epcis.gs1_checks import check_digit
from contracts.epcis.gs1_keys import Key, key
from ledger.errors import LedgerError

_HEAD = re.compile(r"[uU][rR][nN]:[eE][pP][cC]:(id|class|idpat):([a-z]+):(.*)", re.DOTALL)
_TAG = re.compile(r"[uU][rR][nN]:[eE][pP][cC]:(?:raw|tag|pat):", re.DOTALL)
_COMPANY = re.compile(r"[0-9]{6,12}")
_DIGITS = re.compile(r"[0-9]*")
ANY: Final = "*"  # in a pattern: every serial of the class


def epc_key(text: str) -> Key | None:
    """The GS1 key of an EPC URN; None for other URIs, schemes without a key, and patterns wider than a class.

    Raises:
        LedgerError: `identifier.invalid` for a URN of a known scheme that breaks its rules, and for what the
            memory of a tag holds, which is no identifier before it is decoded.
    """
    found = _HEAD.fullmatch(text)
    if found is None:
        if _TAG.match(text):
            raise LedgerError(
                "identifier.invalid", f"{text[:40]!r} is what a tag's memory holds; urn:epc:id: was expected"
            )
        return None
    form, scheme, rest = found.groups()
    if form == "idpat":
        return _class_pattern(scheme, rest)
    expected = _SCHEMES.get((form, scheme))
    if expected is None:
        return None
    count, convert = expected
    return convert(*_parts(rest, count))


def _class_pattern(scheme: str, rest: str) -> Key | None:
    expected = _PATTERNS.get(scheme)
    if expected is None:
        return None
    count, convert = expected
    parts = _parts(rest, count)
    if parts[-1] != ANY or ANY in parts[:-1]:
        return None
    return convert(*parts[:-1])


def _parts(rest: str, count: int) -> list[str]:
    parts = rest.split(".", count - 1)
    if len(parts) != count:
        raise LedgerError(
            "identifier.invalid", f"{rest[:40]!r} has {len(parts)} parts, {count} were expected"
        )
    return parts


def _digits(company: str, reference: str, total: int) -> str:
    """Company prefix and reference together, which have `total` digits."""
    both = company + reference
    if _COMPANY.fullmatch(company) is None or _DIGITS.fullmatch(reference) is None or len(both) != total:
        raise LedgerError(
            "identifier.invalid",
            f"{company[:20]}.{reference[:20]}: a company prefix of 6 to 12 digits, {total} digits in all",
        )
    return both


def _checked(company: str, reference: str, total: int) -> str:
    digits = _digits(company, reference, total)
    return digits + check_digit(digits)


def _indicated(company: str, reference: str, total: int) -> str:
    """As `_checked`, of more than 12 digits, the first of the reference going before the company prefix."""
    _digits(company, reference, total)
    digits = reference[0] + company + reference[1:]
    return digits + check_digit(digits)


def _plain(text: str) -> str:
    return unquote(text, encoding="latin-1") if "%" in text else text


def _sgtin(company: str, item: str, serial: str) -> Key:
    return key("01", _indicated(company, item, 13), (("21", _plain(serial)),))


def _lgtin(company: str, item: str, lot: str) -> Key:
    return key("01", _indicated(company, item, 13), (("10", _plain(lot)),))


def _upui(company: str, item: str, tpx: str) -> Key:
    return key("01", _indicated(company, item, 13), (("235", _plain(tpx)),))


def _sscc(company: str, serial: str) -> Key:
    return key("00", _indicated(company, serial, 17))


def _sgln(company: str, location: str, extension: str) -> Key:
    return key("414", _checked(company, location, 12), (("254", _plain(extension)),))


def _itip(company: str, item: str, piece: str, total: str, serial: str) -> Key:
    return key("8006", _indicated(company, item, 13) + piece + total, (("21", _plain(serial)),))


def _cpi(company: str, reference: str, serial: str) -> Key:
    return key("8010", company + _plain(reference), (("8011", serial),))


def _with_serial(ai: str, head: str = "") -> Callable[..., Key]:
    def convert(company: str, reference: str, serial: str = "") -> Key:
        return key(ai, head + _checked(company, reference, 12) + _plain(serial))

    return convert


def _of_length(ai: str, total: int) -> Callable[..., Key]:
    return lambda company, reference: key(ai, _checked(company, reference, total))


def _of_company(ai: str) -> Callable[..., Key]:
    def convert(company: str, reference: str) -> Key:
        if _COMPANY.fullmatch(company) is None or not reference:
            raise LedgerError(
                "identifier.invalid",
                f"{company[:20]!r} is no company prefix of 6 to 12 digits, or no reference follows",
            )
        return key(ai, company + _plain(reference))

    return convert


# By form and scheme: how many parts, and what makes the key.
_SCHEMES: Final[dict[tuple[str, str], tuple[int, Callable[..., Key]]]] = {
    ("class", "lgtin"): (3, _lgtin),
    ("id", "cpi"): (3, _cpi),
    ("id", "gdti"): (3, _with_serial("253")),
    ("id", "giai"): (2, _of_company("8004")),
    ("id", "ginc"): (2, _of_company("401")),
    ("id", "grai"): (3, _with_serial("8003", "0")),
    ("id", "gsin"): (2, _of_length("402", 16)),
    ("id", "gsrn"): (2, _of_length("8018", 17)),
    ("id", "gsrnp"): (2, _of_length("8017", 17)),
    ("id", "itip"): (5, _itip),
    ("id", "pgln"): (2, _of_length("417", 12)),
    ("id", "sgcn"): (3, _with_serial("255")),
    ("id", "sgln"): (3, _sgln),
    ("id", "sgtin"): (3, _sgtin),
    ("id", "sscc"): (2, _sscc),
    ("id", "upui"): (3, _upui),
}
# Patterns for a whole class: how many parts, the last being `*`.
_PATTERNS: Final[dict[str, tuple[int, Callable[..., Key]]]] = {
    "cpi": (3, _of_company("8010")),
    "gdti": (3, _with_serial("253")),
    "grai": (3, _with_serial("8003", "0")),
    "itip": (
        5,
        lambda company, item, piece, total: key("8006", _indicated(company, item, 13) + piece + total),
    ),
    "sgcn": (3, _with_serial("255")),
    "sgtin": (3, lambda company, item: key("01", _indicated(company, item, 13))),
    "upui": (3, lambda company, item: key("01", _indicated(company, item, 13))),
}
