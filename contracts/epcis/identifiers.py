"""One canonical identifier for each thing, whatever spelling it arrives in.

GS1 keys, as EPC URN or Digital Link on any domain, become the constrained Digital Link on id.gs1.org. Any
other absolute URI is an identifier as it stands. In an event, a GS1 key that is broken (a wrong check
digit, a bad length) also stays the URI that it was, marked with a flag: the event says what was read, and
refusing it would lose that. Where a person types or scans, the same key is refused.

Source: CBV 2.0 section 8; RFC 3986.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from contracts.epcis.digital_link import link_key
from contracts.epcis.epc_urn import epc_key
from contracts.epcis.gs1_keys import Key, Level
from ledger.errors import LedgerError

IDENTIFIER_BYTES_MAX: Final = 512  # UTF-8; leaves room in a state key
_CACHED: Final = 1 << 14  # places, classes and parties come again and again; about 6 MB at most

# RFC 3986's scheme, then anything but controls, spaces and the characters that a URI may never hold.
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f-\xa0<>\"{}|\\^`\u2028\u2029]+")


class Identifier(msgspec.Struct, frozen=True):
    """A resolved identifier.

    Args:
        uri: the canonical form.
        level: what it names.
        flag: "" or what is wrong with a GS1 key that was left as it was: `identifier.check_digit`,
            `identifier.invalid`.
    """

    uri: str
    level: Level
    flag: str = ""


def is_uri(text: str) -> bool:
    """Whether the text is an absolute URI (or IRI) of bearable length."""
    return len(text) <= IDENTIFIER_BYTES_MAX and _ABSOLUTE.fullmatch(text) is not None and _fits(text)


@lru_cache(maxsize=_CACHED)
def resolve(text: str) -> Identifier:
    """The identifier that a URI in an event stands for. Never refuses a URI; see `Identifier.flag`.

    Raises:
        LedgerError: `identifier.not_uri`.
    """
    try:
        found = _gs1_key(text)
    except LedgerError as problem:
        if problem.code == "identifier.not_uri":
            raise
        return Identifier(text, Level.OTHER, problem.code)
    return Identifier(text, Level.OTHER) if found is None else Identifier(found.uri, found.level)


def canonical_id(text: str) -> str:
    """The canonical form of an absolute URI.

    Raises:
        LedgerError: `identifier.not_uri`, or `identifier.invalid` for a GS1 key that breaks its rules.
    """
    try:
        found = _gs1_key(text)
    except LedgerError as problem:
        if problem.code == "identifier.check_digit":
            raise LedgerError("identifier.invalid", problem.message) from None
        raise
    return text if found is None else found.uri


def _gs1_key(text: str) -> Key | None:
    if not is_uri(text):
        raise LedgerError(
            "identifier.not_uri", f"{text[:40]!r} is no absolute URI of at most {IDENTIFIER_BYTES_MAX} bytes"
        )
    return epc_key(text) if text[:4].lower() == "urn:" else link_key(text)


def _fits(text: str) -> bool:
    return text.isascii() or len(text.encode(errors="replace")) <= IDENTIFIER_BYTES_MAX
