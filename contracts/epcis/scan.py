"""What people scan or type for a thing, to its canonical identifier and whatever else the code says.

Understood: EPC URNs, Digital Links and other absolute URIs; GS1 element strings with brackets
(`(01)09521141012345(10)LOT`) and without, as scanners send them, with or without a symbology identifier
(`contracts.epcis.barcode`); the bare digits of a retail or case bar code (8, 12, 13 or 14).

Everything broken is refused with its place: the person is there to scan again.

Source: GS1 General Specifications sections 7.8 and 7.9; ISO/IEC 15424; GS1 Digital Link URI Syntax 1.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple
from urllib.parse import unquote

from contracts.epcis.barcode import (
    CARET,
    FNC1,
    SYMBOLOGY,
    Datum,
    check_datum,
    datum_of,
    parse_elements,
)
from contracts.epcis.digital_link import is_gs1_host, link_elements
from contracts.epcis.gs1_elements import AI_DIGITS, ELEMENTS
from contracts.epcis.gs1_keys import in_order, is_key, key
from contracts.epcis.identifiers import Identifier, canonical_id, is_uri, resolve
from ledger.errors import LedgerError

SCAN_LENGTH_MAX: Final = (
    512  # a Digital Link with every attribute; the longest element string has 90 characters
)

_RETAIL = re.compile(r"(?:\](?:E[034]|I1))?([0-9]{8}|[0-9]{12,14})")
_HEXADECIMAL = re.compile(r"(?:0[xX])?(?:[0-9A-Fa-f]{4}){4,32}")
_LETTER = re.compile(r"[A-Fa-f]")
_ATTRIBUTE = re.compile(r"(?<=[?&;])([0-9]{2,4})=([^&;]*)")


class Form(Enum):
    """How a scanned text says what it says."""

    ELEMENTS = "element string"
    LINK = "digital link"
    RETAIL = "bare number"
    URN = "EPC URN"
    URI = "other URI"


class Scan(NamedTuple):
    """What a scanned text says: the things that it names, and every AI with its value."""

    form: Form
    identifiers: tuple[Identifier, ...]
    data: tuple[Datum, ...] = ()


def parse_scan(text: str) -> str:
    """The canonical identifier of what was scanned or typed; white space around it is dropped.

    Raises:
        LedgerError: `identifier.not_recognised` for what is none of the forms above, `identifier.invalid` for
            a GS1 key that breaks its rules, and for a code that names nothing or several things.
    """
    found = read_scan(text)
    if len(found.identifiers) != 1:
        keys = " and ".join(f"({datum.ai})" for datum in found.data if is_key(datum.ai)) or "none"
        raise LedgerError("identifier.invalid", f"one GS1 key was expected among the elements, found {keys}")
    return found.identifiers[0].uri


def read_scan(text: str) -> Scan:
    """All that a scanned or typed text says; white space around it is dropped.

    Raises:
        LedgerError: as `parse_scan`, except that a code may name nothing or several things.
    """
    text = text.strip(" \t\r\n")
    if len(text) > SCAN_LENGTH_MAX:
        raise LedgerError("identifier.not_recognised", f"{len(text)} characters, at most {SCAN_LENGTH_MAX}")
    try:
        return _read(text)
    except LedgerError as problem:
        if problem.code == "identifier.check_digit":
            raise LedgerError("identifier.invalid", problem.message) from None
        raise


# --- inside ---------------------------------------------------------------------------


def _read(text: str) -> Scan:
    symbology = SYMBOLOGY.match(text)
    rest = text[symbology.end() :] if symbology else text
    retail = _RETAIL.fullmatch(text)
    if retail is not None:
        found = key("01", retail[1])
        return Scan(Form.RETAIL, (Identifier(found.uri, found.level),))
    if not rest.startswith("(") and is_uri(rest):
        return _uri(rest)
    if symbology is None and not text.startswith(("(", FNC1, CARET)) and text[:2] not in AI_DIGITS:
        raise LedgerError(
            "identifier.not_recognised",
            f"{text[:40]!r} is no URI, GS1 element string such as (01)09521141012345(10)LOT, or GTIN",
        )
    try:
        data = parse_elements(text)
    except LedgerError as problem:
        if _HEXADECIMAL.fullmatch(text) and _LETTER.search(text):
            raise LedgerError(
                "identifier.not_recognised",
                f"{text[:40]!r} looks like the memory of a tag in hexadecimal digits, which is to be decoded "
                f"before; as an element string it is broken {problem.message}",
            ) from None
        raise
    return Scan(Form.ELEMENTS, tuple(_things(data)), data)


def _things(data: tuple[Datum, ...]) -> Iterator[Identifier]:
    """Each key among the elements, narrowed by its qualifiers."""
    values = {datum.ai: datum.value for datum in data}
    for ai in filter(is_key, values):
        qualifiers = in_order(ai, values)
        if qualifiers is None:
            raise LedgerError("identifier.invalid", f"({ai}) has qualifiers that do not go together")
        found = key(ai, values[ai], qualifiers)
        yield Identifier(found.uri, found.level)


def _uri(text: str) -> Scan:
    found = resolve(canonical_id(text))
    if text[:4].lower() == "urn:":
        return Scan(Form.URN if found.uri != text else Form.URI, (found,))
    elements = link_elements(text)
    if elements is None:
        return Scan(Form.URI, (found,))
    path = tuple(datum_of(ai, _filled(ai, value)) for ai, value in elements)
    data: dict[str, Datum] = {}
    for datum in (*path, *_attributes(text, is_own=is_gs1_host(text))):
        data.setdefault(datum.ai, datum)  # the path goes before the query
    return Scan(Form.LINK, (found,), tuple(data.values()))


def _filled(ai: str, value: str) -> str:
    """A value as an element string has it: links may leave out the zeros before a GTIN."""
    return value.rjust(14, "0") if ai == "01" else value


def _attributes(text: str, *, is_own: bool) -> Iterator[Datum]:
    """The AIs in the query of a Digital Link that have a sound value.

    What else stands there is for the server, whose domain decides what a parameter means; on GS1's own it can
    mean the AI alone, so that there a broken value is refused.
    """
    begin = text.partition("#")[0].find("?") + 1
    for found in _ATTRIBUTE.finditer(text.partition("#")[0], begin) if begin else ():
        ai, value = found[1], unquote(found[2], encoding="latin-1")
        if ai not in ELEMENTS or not ELEMENTS[ai].is_attribute:
            continue
        datum = Datum(ai, value, found.start(1) + 1, (found.start(2) + 1,) * (len(value) + 1))
        try:
            check_datum(datum)
        except LedgerError:
            if is_own:
                raise
            continue
        yield datum
