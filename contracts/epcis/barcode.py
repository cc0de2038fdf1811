"""GS1 element strings, as scanners send them or as people read them under a code, to AIs and their values.

With brackets: `(01)09521141012345(10)LOT`, where a bracket inside a value has a backslash before it.
Without: FNC1 is the ASCII character GS, or a caret in a text that begins with one. Whatever is wrong is
refused with its place, counted from 1 as people count.

Source: GS1 General Specifications section 7.8; ISO/IEC 15424 (symbology identifiers).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from contracts.epcis import gs1_checks, gs1_coupons
from contracts.epcis.gs1_elements import AI_DIGITS, ELEMENTS, FIXED, Element, Part, conflict, missing
from ledger.errors import LedgerError

FNC1: Final = "\x1d"  # as scanners send it
CARET: Final = "^"  # as people and test sheets write it; no value can hold one
SYMBOLOGY: Final = re.compile(r"\](?:C1|e[0-3]|d[1-6]|Q[0-6]|J[01])")

_CHECKS: Final = gs1_checks.CHECKS | gs1_coupons.CHECKS
_KINDS: Final = {
    "N": (gs1_checks.csetnumeric, "digits"),
    "X": (gs1_checks.cset82, "characters of GS1's set of 82"),
    "Y": (gs1_checks.cset39, "characters of GS1's set of 39"),
    "Z": (gs1_checks.cset64, "base64 as in links"),
}
_BRACKET = re.compile(r"\(([0-9]{2,4})\)")


class Datum(NamedTuple):
    """An AI and its value.

    Args:
        at: where the AI begins in the text, counted from 1.
        places: where each character of the value stands, counted likewise, and the one behind it.
    """

    ai: str
    value: str
    at: int
    places: tuple[int, ...]


def parse_elements(text: str) -> tuple[Datum, ...]:
    """What an element string holds, in its order, an AI that stands there again left out.

    Raises:
        LedgerError: `identifier.not_recognised` where no known AI begins; `identifier.invalid` for a value
            that its AI may not have, two values of one AI, and AIs that exclude each other.
    """
    symbology = SYMBOLOGY.match(text)
    start = symbology.end() if symbology else 0
    cut = _with_brackets(text, start) if text.startswith("(", start) else _without(text, start)
    found: dict[str, Datum] = {}
    for datum in cut:
        check_datum(datum)
        first = found.setdefault(datum.ai, datum)
        if first.value != datum.value:
            raise LedgerError(
                "identifier.invalid",
                f"at character {datum.at}: ({datum.ai}) stands there twice with different values",
            )
    check_exclusions(found.values())
    return tuple(found.values())


def datum_of(ai: str, value: str, at: int = 1) -> Datum:
    """A value that stands in one piece behind its AI."""
    begin = at + len(ai)
    return Datum(ai, value, at, tuple(range(begin, begin + len(value) + 1)))


def check_datum(datum: Datum) -> None:
    """Refuse a value that its AI may not have.

    Raises:
        LedgerError: `identifier.invalid`, with the place.
    """
    rest, done = datum.value, 0
    for part in ELEMENTS[datum.ai].parts:
        if not rest and part.is_optional:
            break
        piece = rest[: part.most]
        _check_piece(datum, part, piece, done)
        rest, done = rest[len(piece) :], done + len(piece)
    if rest:
        raise _refusal(datum, done, f"is longer than the {done} characters that it may have")


def check_exclusions(data: Iterable[Datum]) -> None:
    """Refuse AIs that may not be on the same item.

    Raises:
        LedgerError: `identifier.invalid`.
    """
    found = {datum.ai: datum for datum in data}
    for datum in found.values():
        other = conflict(datum.ai, found)
        if other is not None:
            raise LedgerError(
                "identifier.invalid", f"at character {datum.at}: ({datum.ai}) cannot stand with ({other})"
            )


def lacking(data: Iterable[Datum]) -> dict[str, str]:
    """Of all that one item carries, the AIs without a partner that they need, and which that would be."""
    present = dict.fromkeys(datum.ai for datum in data)
    needs = {ai: missing(ai, present) for ai in present}
    return {ai: " or ".join(_spoken(group) for group in groups) for ai, groups in needs.items() if groups}


# --- inside ---------------------------------------------------------------------------


def _spoken(group: tuple[str, ...]) -> str:
    return " with ".join(f"({ai})" for ai in group)


def _refusal(datum: Datum, place: int, why: str) -> LedgerError:
    return LedgerError("identifier.invalid", f"at character {datum.places[place]}: ({datum.ai}) {why}")


def _check_piece(datum: Datum, part: Part, piece: str, done: int) -> None:
    is_of_kind, words = _KINDS[part.kind]
    fault = is_of_kind(piece)
    if fault is not None:
        at = done + fault.at
        raise _refusal(datum, at, f"takes {words}, {datum.value[at : at + 1]!r} was found")
    if len(piece) < part.least:
        wanted = part.least if part.least == part.most else f"{part.least} to {part.most}"
        raise _refusal(
            datum, done + len(piece), f"ends after {len(piece)} characters, {wanted} were expected"
        )
    for name in part.checks:
        fault = _CHECKS[name](piece)
        if fault is not None and fault.name != gs1_checks.UNKNOWN_COMPANY_PREFIXES:
            raise _refusal(datum, done + fault.at, f"{piece[:40]!r} fails GS1's check {name}: {fault.name}")


def _element(text: str, ai: str, at: int) -> Element:
    element = ELEMENTS.get(ai)
    if element is None:
        raise LedgerError(
            "identifier.not_recognised",
            f"at character {at + 1}: no GS1 application identifier begins {text[at : at + 12]!r}",
        )
    return element


def _with_brackets(text: str, start: int) -> Iterator[Datum]:
    place = start
    while place < len(text):
        head = _BRACKET.match(text, place)
        if head is None:
            raise LedgerError(
                "identifier.not_recognised",
                f"at character {place + 1}: no AI in brackets begins {text[place : place + 12]!r}",
            )
        _element(text, head[1], place + 1)
        places, at = [], head.end()
        while at < len(text) and text[at] != "(":
            at += text[at] == "\\" and at + 1 < len(text)
            places.append(at)
            at += 1
        value = "".join([text[each] for each in places])
        yield Datum(head[1], value, place + 1, tuple(each + 1 for each in (*places, at)))
        place = at


def _without(text: str, start: int) -> Iterator[Datum]:
    if text.startswith(CARET, start):
        text = text.replace(CARET, FNC1)
    place = start + text.startswith(FNC1, start)
    if place >= len(text):
        raise LedgerError("identifier.not_recognised", f"at character {place + 1}: nothing stands there")
    while place < len(text):
        ai = text[place : place + AI_DIGITS.get(text[place : place + 2], 2)]
        _element(text, ai, place)
        begin = place + len(ai)
        length = FIXED.get(ai[:2])
        end = text.find(FNC1, begin) if length is None else begin + length
        end = len(text) if end < 0 else min(end, len(text))
        yield datum_of(ai, text[begin:end], place + 1)
        place = end + text.startswith(FNC1, end)
