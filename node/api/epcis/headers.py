"""What both sides of the EPCIS interface say of themselves in headers, and what is refused by them.

Source: EPCIS 2.0, section 12 (REST binding, headers).
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from contracts.provenance.capture import EVENTS_MAX
from ledger.errors import LedgerError
from node.api.accept import accepted
from node.api.chain import release

VERSION: Final = "2.0.0"
JSON: Final = "application/json"
LD_JSON: Final = "application/ld+json"
XML: Final = "application/xml"
TEXT_XML: Final = "text/xml"
DOCUMENTS: Final = (JSON, LD_JSON, XML, TEXT_XML)
CAPTURE_TRANSACTIONS_MAX: Final = 4  # of one document; each takes part of a block
CAPTURE_EVENTS_MAX: Final = CAPTURE_TRANSACTIONS_MAX * EVENTS_MAX
CAPTURE_BYTES_MAX: Final = 3 << 20  # parsing holds the event loop: 20 ms a MiB, 100 at worst

_ANSWERS: Final = {
    **dict.fromkeys((JSON, "*/*", "application/*"), JSON),
    LD_JSON: LD_JSON,
    **dict.fromkeys((XML, TEXT_XML, "text/*"), XML),
}
_VERSION = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,4}))?(?:\.([0-9]{1,4}))?")
_FORMATS: Final = frozenset({"No_Preference", "Never_Translates"})
_XML_FORMATS: Final = frozenset({"No_Preference", "Always_URN", "Never_Translates"})
_FORMATS_OTHER: Final = frozenset({"Always_GS1_Digital_Link", "Always_EPC_URN"})

SAID: Final = {
    "GS1-EPCIS-Version": VERSION,
    "GS1-CBV-Version": VERSION,
    "GS1-EPC-Format": "Never_Translates",
    "GS1-Vendor-Version": f"farmgate/{release()}",
}
SAID_OF_XML: Final = {"GS1-CBV-XML-Format": "Always_URN"}
SAID_OF_CAPTURE: Final = {
    "GS1-Capture-Error-Behaviour": "rollback",
    "GS1-EPCIS-Capture-Limit": str(CAPTURE_EVENTS_MAX),
    "GS1-EPCIS-Capture-File-Size-Limit": str(CAPTURE_BYTES_MAX),
}
SAID_TO_OPTIONS: Final = {
    **SAID,
    **SAID_OF_CAPTURE,
    **SAID_OF_XML,
    "GS1-EPCIS-Min": VERSION,
    "GS1-EPCIS-Max": VERSION,
    "GS1-CBV-Min": VERSION,
    "GS1-CBV-Max": VERSION,
}


def check_headers(request: web.Request) -> None:
    """Refuse a request that asks for what this node never does.

    Raises:
        LedgerError: `epcis.version_not_available`, `epcis.format_not_available`,
            `epcis.proceed_not_available`, `parameter.invalid`.
    """
    for name in ("EPCIS", "CBV"):
        _check_version(request, f"GS1-{name}-Min", is_least=True)
        _check_version(request, f"GS1-{name}-Max", is_least=False)
    wanted = request.headers.get("GS1-EPC-Format", "No_Preference")
    if wanted in _FORMATS_OTHER:
        raise LedgerError(
            "epcis.format_not_available", "events are answered as they were captured: Never_Translates"
        )
    if wanted not in _FORMATS:
        raise _invalid("GS1-EPC-Format", "a value that EPCIS 2.0 names")
    wanted = request.headers.get("GS1-CBV-XML-Format", "No_Preference")
    if wanted == "Always_Web_URI":
        raise LedgerError("epcis.format_not_available", "terms of the CBV are URNs in XML: Always_URN")
    if wanted not in _XML_FORMATS:
        raise _invalid("GS1-CBV-XML-Format", "a value that EPCIS 2.0 names")
    behaviour = request.headers.get("GS1-Capture-Error-Behaviour", "rollback")
    if behaviour == "proceed":
        raise LedgerError(
            "epcis.proceed_not_available", "a document is captured as a whole or not at all: rollback"
        )
    if behaviour != "rollback":
        raise _invalid("GS1-Capture-Error-Behaviour", "rollback or proceed")


def answer_type(request: web.Request) -> str:
    """The media type to answer in.

    Raises:
        LedgerError: `accept.not_available`.
    """
    for kind in accepted(request.headers.get("Accept", "*/*")):
        if kind in _ANSWERS:
            return _ANSWERS[kind]
    raise LedgerError("accept.not_available", f"answers are {JSON}, {LD_JSON} or {XML}")


def json_answer_type(request: web.Request) -> str:
    """The media type to answer in, of what has no form in XML.

    Raises:
        LedgerError: `accept.not_available`.
    """
    for kind in accepted(request.headers.get("Accept", "*/*")):
        if _ANSWERS.get(kind, XML) != XML:
            return _ANSWERS[kind]
    raise LedgerError("accept.not_available", f"answers here are {JSON} or {LD_JSON}")


def _check_version(request: web.Request, name: str, *, is_least: bool) -> None:
    text = request.headers.get(name)
    if text is None:
        return
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise _invalid(name, "a version such as 2.0.0")
    asked = tuple(int(part or 0) for part in found.groups())
    if asked > (2, 0, 0) if is_least else asked < (2, 0, 0):
        raise LedgerError("epcis.version_not_available", f"{name} {text}: this node speaks {VERSION}")


def _invalid(name: str, expected: str) -> LedgerError:
    return LedgerError("parameter.invalid", f"{name}: expected {expected}", f"/header/{name}")
