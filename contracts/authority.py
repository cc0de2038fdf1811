"""Whose is it: from a GS1 identifier, a place or a party to the organisation that answers for it.

GS1 company prefixes are free of overlaps: no assigned prefix begins with another one. A canonical
identifier does not say how long its prefix is, so every possible length is looked up.
"""

from __future__ import annotations

import re
from typing import Final

from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.members import NAMESPACE, SITES
from ledger.state import Overlay, StateView, Table
from ledger.types import Counter, Name

PREFIX_DIGITS: Final = range(4, 13)  # lengths that a company prefix may have


class PrefixOwner(Canonical):
    """The organisation to which a GS1 company prefix is assigned."""

    organisation: Name


class PrefixStem(Canonical):
    """How many assigned prefixes begin with these digits and go on."""

    assigned: Counter


PREFIX_OWNERS: Final = Table(NAMESPACE, b"prefix", PrefixOwner)  # key: the digits
PREFIX_STEMS: Final = Table(NAMESPACE, b"prefix-stem", PrefixStem)  # key: the leading digits

# Where a key's company prefix begins: after an indicator, extension or filler digit, or at once.
_PREFIX_OFFSET: Final = {
    "00": 1,
    "01": 1,
    "253": 0,
    "255": 0,
    "401": 0,
    "402": 0,
    "414": 0,
    "417": 0,
    "8003": 1,
    "8004": 0,
    "8006": 1,
    "8010": 0,
    "8013": 0,
    "8017": 0,
    "8018": 0,
}
_KEY = re.compile(r"https://id\.gs1\.org/([0-9]{2,4})/([0-9]+)")
_PLACE_OR_PARTY = re.compile(r"https://id\.gs1\.org/41[47]/([0-9]{13})(?:/.*)?")


def assign(state: Overlay, organisation: str, prefix: str) -> None:
    """Give a prefix to an organisation.

    Raises:
        LedgerError: `prefix.taken`: it, a part of it or a prefix that begins with it is assigned.
    """
    held = prefix_owner(state, prefix)
    if held is not None or PREFIX_STEMS.get(state, prefix.encode()) is not None:
        raise LedgerError("prefix.taken", f"{prefix} overlaps a prefix that {held or 'somebody'} holds")
    PREFIX_OWNERS.put(state, prefix.encode(), PrefixOwner(organisation))
    for length in range(PREFIX_DIGITS.start, len(prefix)):
        stem = prefix[:length].encode()
        known = PREFIX_STEMS.get(state, stem)
        PREFIX_STEMS.put(state, stem, PrefixStem(known.assigned + 1 if known else 1))


def prefix_owner(state: StateView, digits: str) -> str | None:
    """The organisation whose prefix these digits begin with."""
    found = _assigned(state, digits)
    return None if found is None else found[1]


def prefix_length(state: StateView, digits: str) -> int | None:
    """How many digits the company prefix has that these digits begin with; None if nobody holds it."""
    found = _assigned(state, digits)
    return None if found is None else found[0]


def _assigned(state: StateView, digits: str) -> tuple[int, str] | None:
    for length in PREFIX_DIGITS:
        if length > len(digits):
            return None
        owner = PREFIX_OWNERS.get(state, digits[:length].encode())
        if owner is not None:
            return length, owner.organisation
    return None


def gs1_digits(uri: str) -> str | None:
    """The digits of a canonical GS1 key from its company prefix on; None for any other identifier."""
    found = _KEY.match(uri)
    offset = _PREFIX_OFFSET.get(found[1]) if found else None
    return None if found is None or offset is None else found[2][offset:]


def organisation_of_place(state: StateView, uri: str) -> str | None:
    """Who runs a place: whoever registered it, or the GLN that it is a part of; else the prefix decides."""
    gln = _PLACE_OR_PARTY.fullmatch(uri)
    whole = (uri, f"https://id.gs1.org/414/{gln[1]}") if gln else (uri,)
    for site_id in dict.fromkeys(whole):
        site = SITES.get(state, site_id.encode())
        if site is not None:
            return site.organisation
    return prefix_owner(state, gln[1]) if gln else None


def organisation_of_party(state: StateView, uri: str) -> str | None:
    """Which member a party is: by its site of the same GLN, or by the prefix of its GLN."""
    return organisation_of_place(state, uri)
