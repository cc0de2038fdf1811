"""GS1 Digital Links on any domain to GS1 keys: a key somewhere in the path, then its qualifiers to the end.

The query string and fragment say nothing about which thing is meant. On a foreign domain a path that only
looks like a key (`/party/spring`) is nobody's mistake; on GS1's own it is. A key with a qualifier outside the
constrained form is no key here: without the qualifier two things would be one.

Source: GS1 Digital Link URI Syntax 1.3; the alphabetic short names are those of version 1.1.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias
from urllib.parse import unquote

from contracts.epcis.gs1_keys import Key, is_key, is_qualifier, is_sequence, key
from ledger.errors import LedgerError

Elements: TypeAlias = tuple[tuple[str, str], ...]  # AIs and their values

_WEB = re.compile(r"[hH][tT][tT][pP][sS]?://([^/?#]+)/([^?#]*)", re.DOTALL)
_GS1_HOST = re.compile(r"id\.gs1\.org", re.IGNORECASE | re.ASCII)
# Qualifiers that no canonical form has room for: which keys they may follow, and their form.
_UNCONSTRAINED: Final = {
    "7040": (("414", "417", "8004"), re.compile(r"[0-9][!-z]{2}[0-9A-Za-z_-]")),
    "8019": (("8017", "8018"), re.compile(r"[0-9]{1,10}")),
}
_SEGMENTS_MAX: Final = 8  # a key, its value, and at most three qualifiers with theirs
_SHORT_NAMES: Final = {
    "sscc": "00",
    "gtin": "01",
    "lot": "10",
    "ser": "21",
    "cpv": "22",
    "tpx": "235",
    "gdti": "253",
    "glnx": "254",
    "gcn": "255",
    "ginc": "401",
    "gsin": "402",
    "gln": "414",
    "party": "417",
    "grai": "8003",
    "giai": "8004",
    "itip": "8006",
    "cpid": "8010",
    "cpsn": "8011",
    "gmn": "8013",
    "gsrnp": "8017",
    "gsrn": "8018",
}


def link_key(text: str) -> Key | None:
    """The GS1 key that a web address names, or None where it names none.

    Raises:
        LedgerError: `identifier.check_digit` on any domain; `identifier.invalid` on id.gs1.org alone.
    """
    found = _found(text)
    return None if found is None else found[0]


def link_elements(text: str) -> Elements | None:
    """The key and the qualifiers in the path of a Digital Link, each with its value; None as `link_key`.

    Raises:
        LedgerError: as `link_key`.
    """
    found = _found(text)
    return None if found is None else found[1]


def is_gs1_host(text: str) -> bool:
    """Whether a web address is one of GS1's own, where nothing can look like a key by accident."""
    found = _WEB.match(text)
    return found is not None and _GS1_HOST.fullmatch(found[1]) is not None


# --- inside ---------------------------------------------------------------------------


def _found(text: str) -> tuple[Key, Elements] | None:
    found = _WEB.match(text)
    if found is None:
        return None
    segments = found[2].removesuffix("/").split("/")
    refusal = None
    for index in range(max(0, len(segments) - _SEGMENTS_MAX), len(segments) - 1):
        ai = _SHORT_NAMES.get(segments[index], segments[index])
        if not is_key(ai):
            continue
        try:
            return _from(ai, segments[index + 1 :])
        except LedgerError as problem:
            refusal = refusal or problem
    if refusal is not None and (refusal.code == "identifier.check_digit" or is_gs1_host(text)):
        raise refusal
    return None


def _from(ai: str, rest: list[str]) -> tuple[Key, Elements] | None:
    """The sound key whose value and qualifiers the rest of a path is; None if it has no canonical form."""
    value, *pairs = [unquote(segment, encoding="latin-1") if "%" in segment else segment for segment in rest]
    names = tuple(_SHORT_NAMES.get(name, name) for name in pairs[::2])
    if len(pairs) == 2 and names[0] in _UNCONSTRAINED:
        keys, form = _UNCONSTRAINED[names[0]]
        if ai in keys and form.fullmatch(pairs[1]):
            key(ai, value)
            return None
    if len(pairs) % 2 or not all(map(is_qualifier, names)) or not is_sequence(ai, names):
        raise LedgerError("identifier.invalid", f"what follows ({ai}) are not its qualifiers in their order")
    qualifiers = tuple(zip(names, pairs[1::2], strict=True))
    return key(ai, value, qualifiers), ((ai, value), *qualifiers)
