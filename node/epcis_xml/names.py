"""Names between XML, where a namespace counts, and JSON, where `prefix:name` under a `@context` does.

A prefix is kept as the document wrote it wherever it can be. GS1's own prefixes are bound by GS1's
context and need no binding of ours. What an XML name can't hold is written as `_xHHHH_`.

Source: XML 1.0 section 2.3; Namespaces in XML 1.0; JSON-LD 1.1 section 4.1; ISO/IEC 9075-14 (names).
"""

from __future__ import annotations

import re
from typing import Final

from contracts.epcis.prefixes import GS1_PREFIXES, PREFIXES_MAX, is_prefix_pair

EPCIS: Final = "urn:epcglobal:epcis:xsd:2"
EPCIS_QUERY: Final = "urn:epcglobal:epcis-query:xsd:2"
EPCIS_1: Final = "urn:epcglobal:epcis:xsd:1"
EPCIS_QUERY_1: Final = "urn:epcglobal:epcis-query:xsd:1"
STANDARD: Final = ("", EPCIS, EPCIS_QUERY, EPCIS_1, EPCIS_QUERY_1)  # whose elements are fields of EPCIS

MDA: Final = "urn:epcglobal:cbv:mda"  # as XML has it; GS1's context ends it with a colon
_GS1: Final = {
    **{namespace: prefix for prefix, namespace in GS1_PREFIXES.items()},
    MDA: "cbvmda",
    "https://ref.gs1.org/voc/": "gs1",
    "http://gs1.org/voc/": "gs1",
    "https://ns.gs1.org/cbv/": "cbv",
}

# Letters that every edition of XML 1.0 has in names; what the fifth adds, many parsers refuse.
_START: Final = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff\u0391-\u03a1\u03a3-\u03ce\u0410-\u044f"
    "\u3041-\u3094\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
)
_LATER: Final = f"{_START}.0-9-"
_NAME: Final = re.compile(f"[{_START}][{_LATER}]*")
_NOT_FIRST: Final = re.compile(f"[^{_START}]")
_NOT_LATER: Final = re.compile(f"[^{_LATER}]|_(?=x[0-9A-F]{{4,6}}_)")
_ESCAPED: Final = re.compile(r"_x([0-9A-F]{4,6})_")


class Names:
    """The prefixes of the events of one document, and of the event being read."""

    def __init__(self) -> None:
        self.shared: dict[str, str] = {}
        self.own: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}
        self._namespaces: dict[str, str] = {}

    def next_event(self) -> None:
        """Begin another event: only what the document binds is kept."""
        self.own, self._prefixes, self._namespaces = {}, {}, {}

    def key(self, namespace: str, name: str, prefix: str) -> str | None:
        """`prefix:name` for an XML name; None where no `@context` can bind its namespace."""
        bound = self._prefix(namespace, prefix)
        return None if bound is None else f"{bound}:{unescaped(name)}"

    def value(self, text: str, namespace: str, prefix: str) -> str:
        """A text `prefix:rest` with its prefix bound, or written out where the event has another such."""
        bound = self._prefix(namespace, prefix)
        if bound == prefix:
            return text
        rest = text.removeprefix(f"{prefix}:")
        return namespace + rest if bound is None else f"{bound}:{rest}"

    def _prefix(self, namespace: str, wanted: str) -> str | None:
        known = _GS1.get(namespace) or self._prefixes.get(namespace)
        if known is not None:
            return known
        for prefix in (wanted, *(f"ns{number}" for number in range(1, PREFIXES_MAX + 1))):
            is_free = prefix not in self._namespaces and prefix not in GS1_PREFIXES
            if is_free and is_prefix_pair(prefix, namespace):
                self._bind(prefix, namespace)
                return prefix
        return None

    def _bind(self, prefix: str, namespace: str) -> None:
        self._prefixes[namespace] = prefix
        self._namespaces[prefix] = namespace
        if prefix not in self.shared and len(self.shared) < PREFIXES_MAX:
            self.shared[prefix] = namespace
        elif self.shared.get(prefix) != namespace:
            self.own[prefix] = namespace


def escaped(name: str) -> str:
    """A JSON name as an XML name without a colon."""
    if _NAME.fullmatch(name) and "_x" not in name:
        return name
    if not name:
        return "_"
    first = _NOT_FIRST.sub(_escape, name[:1])
    return (first + _NOT_LATER.sub(_escape, name[1:])) if first != "_" else _NOT_LATER.sub(_escape, name)


def unescaped(name: str) -> str:
    """The JSON name that an XML name stands for."""
    return _ESCAPED.sub(_unescape, name) if "_x" in name else name


def _unescape(found: re.Match[str]) -> str:
    code = int(found.group(1), 16)
    is_character = code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF
    return chr(code) if is_character else found.group()


def _escape(found: re.Match[str]) -> str:
    return f"_x{ord(found.group()):04X}_"
