"""What people scan or type for a thing, to its canonical identifier.

Understood: EPC URNs, Digital Links and other absolute URIs; GS1 element strings with brackets
(`(01)09521141012345(10)LOT`) and without, as scanners send them, with or without a symbology identifier, FNC1
as the ASCII character GS; the bare digits of a retail or case bar code (8, 12, 13 or 14).

Every broken GS1 key is refused: the person is there to scan again.

Source: GS1 General Specifications sections 7.8 and 7.9; ISO/IEC 15424 (symbology identifiers).
"""

from __future__ import annotations

import re
from typing import Final

from contracts.epcis.gs1_checks import cset82
from contracts.epcis.gs1_keys import Key, in_order, is_key, key
from contracts.epcis.identifiers import canonical_id, is_uri
from ledger.errors import LedgerError

SCAN_LENGTH_MAX: Final = (
    512  # a Digital Link with every attribute; the longest element string has 90 characters
)

_GS: Final = "\x1d"  # FNC1 as scanners send it
_SYMBOLOGY = re.compile(r"\](?:C1|e[0-3]|d[1-6]|Q[0-6]|J[01])")
_BRACKETED = re.compile(r"\(([0-9]{2,4})\)((?:[^\\(]|\\.)*)", re.DOTALL)
_RETAIL = re.compile(r"[0-9]{8}|[0-9]{12,14}")
# How many digits an AI has, by its first two.
_AI_DIGITS: Final = {
    **dict.fromkeys("00 01 02 03 04 10 11 12 13 15 16 17 20 21 22 30 37".split(), 2),
    **dict.fromkeys("90 91 92 93 94 95 96 97 98 99".split(), 2),
    **dict.fromkeys("23 24 25 40 41 42 71".split(), 3),
    **dict.fromkeys("31 32 33 34 35 36 39 43 70 72 80 81 82".split(), 4),
}
# AIs whose value has one length, by their first two digits; all others end at FNC1 or the end of the string.
_VALUE_LENGTH: Final = {
    **dict.fromkeys("01 02 03".split(), 14),
    **dict.fromkeys("11 12 13 14 15 16 17 18 19".split(), 6),
    **dict.fromkeys("31 32 33 34 35 36".split(), 6),
    "00": 18,
    "04": 16,
    "20": 2,
    "41": 13,
}


def parse_scan(text: str) -> str:
    """The canonical identifier of what was scanned or typed; white space around it is dropped.

    Raises:
        LedgerError: `identifier.not_recognised` for what is none of the forms above, `identifier.invalid` for
            a GS1 key that breaks its rules.
    """
    text = text.strip(" \t\r\n")
    if len(text) > SCAN_LENGTH_MAX:
        raise LedgerError("identifier.not_recognised", f"{len(text)} characters, at most {SCAN_LENGTH_MAX}")
    try:
        return _parse(text)
    except LedgerError as problem:
        if problem.code == "identifier.check_digit":
            raise LedgerError("identifier.invalid", problem.message) from None
        raise


def _parse(text: str) -> str:
    if text.startswith("("):
        return _identified(_bracketed(text)).uri
    symbology = _SYMBOLOGY.match(text)
    if symbology is not None:
        rest = text[symbology.end() :]
        return canonical_id(rest) if is_uri(rest) else _identified(_elements(rest)).uri
    if _RETAIL.fullmatch(text):
        return key("01", text).uri
    if is_uri(text):
        return canonical_id(text)
    if text.startswith(_GS) or text[:2] in _AI_DIGITS:
        return _identified(_elements(text)).uri
    raise LedgerError(
        "identifier.not_recognised",
        f"{text[:40]!r} is no URI, GS1 element string such as (01)09521141012345(10)LOT, or GTIN",
    )


def _bracketed(text: str) -> dict[str, str]:
    """AIs and values of `(01)...(10)...`; a bracket inside a value is written `\\(`."""
    elements: dict[str, str] = {}
    place = 0
    for found in _BRACKETED.finditer(text):
        if found.start() != place:
            break
        place = found.end()
        _add(elements, found.group(1), re.sub(r"\\(.)", r"\1", found.group(2)))
    if place != len(text):
        raise LedgerError(
            "identifier.not_recognised", f"no bracketed AI at character {place} of {text[:40]!r}"
        )
    return elements


def _elements(text: str) -> dict[str, str]:
    """AIs and values of an element string as a scanner sends it."""
    elements: dict[str, str] = {}
    rest = text.removeprefix(_GS)
    while rest:
        ai = rest[: _AI_DIGITS.get(rest[:2], 0)]
        if not re.fullmatch(r"[0-9]{2,4}", ai):
            raise LedgerError(
                "identifier.not_recognised", f"no GS1 application identifier begins {rest[:20]!r}"
            )
        rest = rest[len(ai) :]
        length = _VALUE_LENGTH.get(ai[:2])
        value = rest.partition(_GS)[0] if length is None else rest[:length]
        rest = rest[len(value) :].removeprefix(_GS)
        _add(elements, ai, value)
    return elements


def _add(elements: dict[str, str], ai: str, value: str) -> None:
    if not value or cset82(value.replace("#", "-") if ai == "8010" else value) is not None:
        raise LedgerError("identifier.invalid", f"({ai}) is empty or holds characters that GS1 data may not")
    if elements.setdefault(ai, value) != value:
        raise LedgerError("identifier.invalid", f"({ai}) stands there twice with different values")


def _identified(elements: dict[str, str]) -> Key:
    """The one key among the elements, narrowed by its qualifiers; dates, weights and the like drop out."""
    keys = [ai for ai in elements if is_key(ai)]
    if len(keys) != 1:
        found = " and ".join(f"({ai})" for ai in keys) or "none"
        raise LedgerError("identifier.invalid", f"one GS1 key was expected among the elements, found {found}")
    ai = keys[0]
    qualifiers = in_order(ai, elements)
    if qualifiers is None:
        raise LedgerError("identifier.invalid", f"({ai}) has qualifiers that do not go together")
    return key(ai, elements[ai], qualifiers)
