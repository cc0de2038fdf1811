"""What a client wants to read, in the order in which it wants it.

Source: RFC 9110 section 12.5.1.
"""

from __future__ import annotations

import re
from typing import Final

CHOICES_MAX: Final = 32  # of one header; the rest of a longer one is not looked at

_XML: Final = ("application/xml", "text/xml", "application/problem+xml")
_JSON: Final = ("application/json", "application/ld+json", "application/problem+json")
_KNOWN: Final = (*_XML, *_JSON, "application/*", "*/*")
_QUALITY: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def accepted(header: str) -> list[str]:
    """The media types that an Accept header names, best first; those with q=0 are not accepted."""
    ranked: list[tuple[int, int, str]] = []
    for choice in header.lower().split(",")[:CHOICES_MAX]:
        kind, *parameters = (part.strip() for part in choice.split(";"))
        found = next(filter(None, map(_QUALITY.fullmatch, parameters)), None)
        thousandths = 1000 if found is None else int(found.group(1).replace(".", "").ljust(4, "0"))
        if kind and thousandths:
            ranked.append((-thousandths, len(ranked), kind))
    return [kind for _, _, kind in sorted(ranked)]


def prefers_xml(header: str) -> bool:
    """Whether a client that is told of a refusal would rather read it in XML than in JSON."""
    return next((kind in _XML for kind in accepted(header) if kind in _KNOWN), False)
