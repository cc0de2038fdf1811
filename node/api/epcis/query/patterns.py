"""What a MATCH parameter may name: an identifier in any spelling, or a pattern with `*` for what is open.

A pattern is an EPC pure identity pattern (`urn:epc:idpat:sgtin:0614141.*.*`), the URN of a lot with `*` for
the lot, or a Digital Link with `*` as a value (`https://id.gs1.org/01/09521141123454/21/*`). In a URN only
the last parts may be open, for a reference without its company prefix says nothing. A URN pattern of serials
matches each serial, and the class where one is named.

Source: EPC Tag Data Standard 2.1 section 8; EPCIS 2.0 section 8.2.7.1.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from contracts.epcis.digital_link import link_key
from contracts.epcis.gs1_keys import DOMAIN, encoded
from contracts.epcis.identifiers import is_uri, resolve
from contracts.epcis.problems import shown
from ledger.errors import LedgerError
from node.api.epcis.query.values import invalid

ANY: Final = "*"
_URN = re.compile(r"urn:epc:(idpat|class|id):([a-z]+):([^:]+)", re.IGNORECASE)
_LINK = re.compile(r"(https?://[^?#]*?)/([a-z0-9]+)/([^/?#]+)(?:/([a-z0-9]+)/([^/?#]+))?", re.IGNORECASE)
_COMPANY = re.compile(r"[0-9]{4,12}")
_PLAIN = re.compile(r"[^*]+")
_SEGMENT: Final = "[^/]+"


@dataclass(frozen=True, slots=True)
class Matcher:
    """Identifiers that match: those named, and those of the patterns."""

    uris: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]

    def __call__(self, found: Iterable[str]) -> bool:
        """Whether any of these canonical identifiers matches."""
        return any(
            uri in self.uris or any(pattern.fullmatch(uri) for pattern in self.patterns) for uri in found
        )


def read_matcher(texts: Iterable[str]) -> Matcher:
    """The matcher that a list of identifiers and patterns says.

    Raises:
        LedgerError: `parameter.invalid`.
    """
    uris: list[str] = []
    patterns: list[re.Pattern[str]] = []
    for text in texts:
        if ANY in text:
            patterns.append(re.compile(_pattern(text)))
        else:
            uris.append(read_uri(text))
        if ANY in text and is_uri(text):
            uris.append(resolve(text).uri)  # an event may name the pattern itself, as the name of a class
    return Matcher(frozenset(uris), tuple(patterns))


def read_uri(text: str) -> str:
    """The canonical form of an identifier, under which events are known."""
    try:
        return resolve(text).uri
    except LedgerError as problem:
        raise invalid(problem.message) from None


def _pattern(text: str) -> str:
    """The regular expression, over canonical identifiers, that a pattern stands for."""
    urn = _URN.fullmatch(text)
    if urn is not None:
        form, scheme, rest = urn.group(1).lower(), urn.group(2).lower(), urn.group(3)
        if form == "idpat" or (form, scheme) == ("class", "lgtin"):
            return _urn_pattern(scheme, rest.split("."))
        raise invalid(f"{shown(text)}: a pattern begins with urn:epc:idpat:")
    link = _LINK.fullmatch(text)
    if link is not None:
        return _link_pattern(text, link)
    raise invalid(f"{shown(text)} is neither an EPC pattern nor a Digital Link with * as a value")


# --- EPC pure identity patterns ---------------------------------------------------


def _urn_pattern(scheme: str, parts: list[str]) -> str:
    found = _SCHEMES.get(scheme)
    if found is None:
        return rf"urn:epc:id:{scheme}:" + r"\.".join(
            ".+" if part == ANY and index == len(parts) - 1 else _part(part, "[^.]+")
            for index, part in enumerate(parts)
        )
    count, build = found
    if len(parts) > count:  # only the last part, a serial, may hold dots
        parts = [*parts[: count - 1], ".".join(parts[count - 1 :])]
    if len(parts) != count:
        raise invalid(f"a pattern of {scheme} has {count} parts, {len(parts)} were found")
    first_open = parts.index(ANY) if ANY in parts else count
    if any(part != ANY for part in parts[first_open:]) or any(ANY in part for part in parts[:first_open]):
        raise invalid("* stands for a whole part, and only the last parts may be open")
    if first_open and not _COMPANY.fullmatch(parts[0]):
        raise invalid(f"{shown(parts[0])} is no company prefix")
    return rf"{re.escape(DOMAIN)}/{build(parts)}"


def _part(part: str, when_open: str) -> str:
    if part == ANY:
        return when_open
    if _PLAIN.fullmatch(part) is None:
        raise invalid("* stands for a whole part")
    return re.escape(part)


def _escaped(part: str) -> str:
    """A part as it stands in a canonical identifier."""
    return re.escape(encoded(unquote(part, encoding="latin-1")))


def _open(part: str, when_open: str = _SEGMENT) -> str:
    return when_open if part == ANY else _escaped(part)


def _number(company: str, reference: str, total: int, *, is_indicated: bool = False) -> str:
    """`total` digits of prefix and reference as a key has them: the indicator first, a check digit last."""
    if company == ANY:
        return f"[0-9]{{{total + 1}}}"
    rest = total - len(company)
    if reference == ANY:
        if is_indicated:
            return rf"[0-9]{company}[0-9]{{{rest - 1}}}[0-9]"
        return rf"{company}[0-9]{{{rest}}}[0-9]"
    if not reference.isascii() or (reference and not reference.isdigit()) or len(reference) != rest:
        raise invalid(f"{shown(reference)}: {rest} digits were expected after {company}")
    return rf"{reference[0]}{company}{reference[1:]}[0-9]" if is_indicated else rf"{company}{reference}[0-9]"


def _below(qualifier: str, part: str) -> str:
    """What follows a key: any value of the qualifier and none, or this one."""
    return rf"(?:/{qualifier}/{_SEGMENT})?" if part == ANY else rf"/{qualifier}/{_escaped(part)}"


def _item(qualifier: str) -> Callable[[list[str]], str]:
    return lambda parts: (
        f"01/{_number(parts[0], parts[1], 13, is_indicated=True)}{_below(qualifier, parts[2])}"
    )


def _lot(parts: list[str]) -> str:
    return f"01/{_number(parts[0], parts[1], 13, is_indicated=True)}/10/{_open(parts[2])}"


def _sscc(parts: list[str]) -> str:
    return f"00/{_number(parts[0], parts[1], 17, is_indicated=True)}"


def _place(parts: list[str]) -> str:
    below = "" if parts[2] == "0" else _below("254", parts[2])
    return f"414/{_number(parts[0], parts[1], 12)}{below}"


def _typed(ai: str, head: str = "") -> Callable[[list[str]], str]:
    return lambda parts: f"{ai}/{head}{_number(parts[0], parts[1], 12)}{_open(parts[2], '[^/]*')}"


def _counted(ai: str, total: int) -> Callable[[list[str]], str]:
    return lambda parts: f"{ai}/{_number(parts[0], parts[1], total)}"


def _of_company(ai: str) -> Callable[[list[str]], str]:
    def build(parts: list[str]) -> str:
        company = "" if parts[0] == ANY else parts[0]
        return f"{ai}/{company}{_open(parts[1])}"

    return build


def _part_number(parts: list[str]) -> str:
    company = "" if parts[0] == ANY else parts[0]
    return f"8010/{company}{_open(parts[1])}{_below('8011', parts[2])}"


def _piece(parts: list[str]) -> str:
    pieces = "".join(_open(part, "[0-9]{2}") for part in parts[2:4])
    return f"8006/{_number(parts[0], parts[1], 13, is_indicated=True)}{pieces}{_below('21', parts[4])}"


# By scheme: how many parts, and what makes the expression.
_SCHEMES: Final[dict[str, tuple[int, Callable[[list[str]], str]]]] = {
    "cpi": (3, _part_number),
    "gdti": (3, _typed("253")),
    "giai": (2, _of_company("8004")),
    "ginc": (2, _of_company("401")),
    "grai": (3, _typed("8003", "0")),
    "gsin": (2, _counted("402", 16)),
    "gsrn": (2, _counted("8018", 17)),
    "gsrnp": (2, _counted("8017", 17)),
    "itip": (5, _piece),
    "lgtin": (3, _lot),
    "pgln": (2, _counted("417", 12)),
    "sgcn": (3, _typed("255")),
    "sgln": (3, _place),
    "sgtin": (3, _item("21")),
    "sscc": (2, _sscc),
    "upui": (3, _item("235")),
}


# --- Digital Links ----------------------------------------------------------------


def _link_pattern(text: str, found: re.Match[str]) -> str:
    """`*` as the value of a key, of its qualifier, or of both."""
    _, ai, value, qualifier, part = found.groups()
    if ANY not in (value, part) or any(each and each != ANY and ANY in each for each in (value, part)):
        raise invalid(f"{shown(text)}: * stands for a whole value")
    ais = [_SHORT_NAMES.get(each.lower(), each) for each in (ai, qualifier) if each]
    if not all(each.isdigit() for each in ais):
        raise invalid(f"{shown(text)} is no Digital Link")
    head = _SEGMENT if value == ANY else _key_value(ais[0], value)
    below = "" if part is None else f"/{ais[1]}/{_open(part)}"
    return rf"{re.escape(DOMAIN)}/{ais[0]}/{head}{below}"


def _key_value(ai: str, value: str) -> str:
    """A key's value as the canonical form has it, a short GTIN padded."""
    try:
        key = link_key(f"{DOMAIN}/{ai}/{value}")
    except LedgerError as problem:
        raise invalid(problem.message) from None
    if key is None:
        raise invalid(f"({ai}) {shown(value)} is no GS1 key")
    return re.escape(key.uri.rpartition("/")[2])


_SHORT_NAMES: Final = {
    "sscc": "00", "gtin": "01", "lot": "10", "ser": "21", "tpx": "235", "gdti": "253", "glnx": "254",
    "gcn": "255", "ginc": "401", "gsin": "402", "gln": "414", "party": "417", "grai": "8003", "giai": "8004",
    "itip": "8006", "cpid": "8010", "cpsn": "8011", "gmn": "8013", "gsrnp": "8017", "gsrn": "8018",
}  # fmt: skip
