"""GS1 keys back to EPC URNs, for readers that understand nothing else.

A URN sets the company prefix apart from what its owner numbers; a Digital Link does not say how long the
prefix is. The caller knows it of the prefixes that members registered (`contracts.authority.prefix_length`);
no list of all the world's prefixes is kept. Where the length is not known, or the key has no URN, there is no
answer, and whoever asked keeps the spelling that they have.

Source: GS1 EPC Tag Data Standard 2.1 sections 6 and 8; EPCIS 2.0 section 12.3 (GS1-EPC-Format).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import unquote

from contracts.epcis.gs1_keys import DOMAIN

PREFIX_DIGITS_MIN: Final = 6  # in a URN, where a shorter prefix takes digits of the reference to itself

_LINK = re.compile(rf"{re.escape(DOMAIN)}/([0-9]{{2,4}})/([^/?#]+)(?:/([0-9]{{2,4}})/([^/?#]+))?")
_ESCAPED = re.compile(r'["%&/<>?#]')  # what may not stand in a URN as it is

PrefixLength: TypeAlias = Callable[[str], int | None]


def to_urn(link: str, length_of: PrefixLength) -> str | None:
    """The EPC URN of a canonical link; None where it has none or the prefix is not known.

    Args:
        link: as `canonical_id` answers it.
        length_of: how many digits the company prefix has that these digits begin with.
    """
    found = _LINK.fullmatch(link)
    if found is None:
        return None
    ai, value, qualifier, part = found.groups()
    convert = _FORMS.get((ai, qualifier or ""))
    plain = unquote(value, encoding="latin-1")
    return None if convert is None else convert(plain, unquote(part or "", encoding="latin-1"), length_of)


# --- inside ---------------------------------------------------------------------------

_Form: TypeAlias = Callable[[str, str, PrefixLength], str | None]


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _divided(digits: str, length_of: PrefixLength) -> tuple[str, str] | None:
    """Company prefix and the rest."""
    known = length_of(digits)
    length = max(known or 0, PREFIX_DIGITS_MIN)
    return None if known is None or length > len(digits) else (digits[:length], digits[length:])


def _indicated(digits: str, length_of: PrefixLength) -> str | None:
    """`prefix.reference` of digits with an indicator before and a check digit behind."""
    parts = _divided(digits[1:-1], length_of)
    return None if parts is None else f"{parts[0]}.{digits[0]}{parts[1]}"


def _checked(digits: str, length_of: PrefixLength) -> str | None:
    """`prefix.reference` of digits with a check digit behind."""
    parts = _divided(digits[:-1], length_of)
    return None if parts is None else ".".join(parts)


def _trade_item(scheme: str, of: str = "id") -> _Form:
    def convert(value: str, part: str, length_of: PrefixLength) -> str | None:
        head = _indicated(value, length_of)
        return None if head is None else f"urn:epc:{of}:{scheme}:{head}.{_escaped(part) or '*'}"

    return convert


def _pieces(value: str, part: str, length_of: PrefixLength) -> str | None:
    head = _indicated(value[:14], length_of)
    of = "id" if part else "idpat"
    piece, total = value[14:16], value[16:]
    return None if head is None else f"urn:epc:{of}:itip:{head}.{piece}.{total}.{_escaped(part) or '*'}"


def _container(value: str, _: str, length_of: PrefixLength) -> str | None:
    head = _indicated(value, length_of)
    return None if head is None else f"urn:epc:id:sscc:{head}"


def _location(value: str, part: str, length_of: PrefixLength) -> str | None:
    head = _checked(value, length_of)
    return None if head is None else f"urn:epc:id:sgln:{head}.{_escaped(part) or '0'}"


def _numbered(scheme: str) -> _Form:
    def convert(value: str, _: str, length_of: PrefixLength) -> str | None:
        head = _checked(value, length_of)
        return None if head is None else f"urn:epc:id:{scheme}:{head}"

    return convert


def _with_serial(scheme: str, lead: int) -> _Form:
    """Of a type of 13 digits, after `lead` filling zeros, and a serial number if there is one."""

    def convert(value: str, _: str, length_of: PrefixLength) -> str | None:
        kind, serial = value[lead : lead + 13], value[lead + 13 :]
        head = _checked(kind, length_of)
        of = "id" if serial else "idpat"
        return None if head is None else f"urn:epc:{of}:{scheme}:{head}.{_escaped(serial) or '*'}"

    return convert


def _of_company(scheme: str) -> _Form:
    def convert(value: str, _: str, length_of: PrefixLength) -> str | None:
        parts = _divided(value, length_of)
        is_whole = parts is not None and parts[0].isdigit() and bool(parts[1])
        return f"urn:epc:id:{scheme}:{parts[0]}.{_escaped(parts[1])}" if parts and is_whole else None

    return convert


def _component(value: str, part: str, length_of: PrefixLength) -> str | None:
    parts = _divided(value, length_of)
    if parts is None or not parts[0].isdigit() or not parts[1]:
        return None
    return f"urn:epc:{'id' if part else 'idpat'}:cpi:{parts[0]}.{_escaped(parts[1])}.{part or '*'}"


# By key and finest qualifier. A GMN and a lot of pieces (8006 with 10) have no URN.
_FORMS: Final[dict[tuple[str, str], _Form]] = {
    ("00", ""): _container,
    ("01", ""): _trade_item("sgtin", "idpat"),
    ("01", "10"): _trade_item("lgtin", "class"),
    ("01", "21"): _trade_item("sgtin"),
    ("01", "235"): _trade_item("upui"),
    ("253", ""): _with_serial("gdti", 0),
    ("255", ""): _with_serial("sgcn", 0),
    ("401", ""): _of_company("ginc"),
    ("402", ""): _numbered("gsin"),
    ("414", ""): _location,
    ("414", "254"): _location,
    ("417", ""): _numbered("pgln"),
    ("8003", ""): _with_serial("grai", 1),
    ("8004", ""): _of_company("giai"),
    ("8006", ""): _pieces,
    ("8006", "21"): _pieces,
    ("8010", ""): _component,
    ("8010", "8011"): _component,
    ("8017", ""): _numbered("gsrnp"),
    ("8018", ""): _numbered("gsrn"),
}
