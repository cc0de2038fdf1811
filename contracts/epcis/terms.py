"""Whether the terms of an event are words that their vocabularies have.

Measurement types are left open: documents that are published as valid use words of older lists.

Source: CBV 2.0 section 7; EPCIS 2.0 section 7.3 and its JSON schema 2.0.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from contracts.epcis.problems import Problems, shown
from contracts.epcis.vocabulary import Vocabulary, is_term

_PLAIN: Final = {"bizStep": Vocabulary.BIZ_STEP, "disposition": Vocabulary.DISPOSITION}
_TYPED: Final = {
    "bizTransactionList": Vocabulary.BIZ_TRANSACTION_TYPE,
    "sourceList": Vocabulary.SOURCE_DESTINATION_TYPE,
    "destinationList": Vocabulary.SOURCE_DESTINATION_TYPE,
}
_NAMES: Final = {
    Vocabulary.BIZ_STEP: "business step",
    Vocabulary.DISPOSITION: "disposition",
    Vocabulary.BIZ_TRANSACTION_TYPE: "type of business transaction",
    Vocabulary.SOURCE_DESTINATION_TYPE: "type of source or destination",
    Vocabulary.ERROR_REASON: "reason of an error declaration",
    Vocabulary.COMPONENT: "component of a measurement",
}


def check_terms(event: dict[str, Any], bound: dict[str, str], pointer: str, problems: Problems) -> None:
    """Note every term that its vocabulary does not have. What has another form than a text is passed over."""
    for text, path, vocabulary in _terms(event):
        # An empty word is no term either, and was noted as such.
        if isinstance(text, str) and text and not is_term(text, vocabulary, bound):
            problems.add(
                "epcis.unknown_term",
                f"{pointer}/{path}",
                f"{shown(text)} is no {_NAMES[vocabulary]} of the CBV; a term of your own is an absolute URI",
            )


def _terms(event: dict[str, Any]) -> Iterator[tuple[Any, str, Vocabulary]]:
    for name, vocabulary in _PLAIN.items():
        yield event.get(name), name, vocabulary
    persistent = _object(event.get("persistentDisposition"))
    for name in ("set", "unset"):
        for index, text in enumerate(_items(persistent.get(name))):
            yield text, f"persistentDisposition/{name}/{index}", Vocabulary.DISPOSITION
    for name, vocabulary in _TYPED.items():
        for index, item in enumerate(_items(event.get(name))):
            yield _object(item).get("type"), f"{name}/{index}/type", vocabulary
    reason = _object(event.get("errorDeclaration")).get("reason")
    yield reason, "errorDeclaration/reason", Vocabulary.ERROR_REASON
    for index, element in enumerate(_items(event.get("sensorElementList"))):
        for place, report in enumerate(_items(_object(element).get("sensorReport"))):
            path = f"sensorElementList/{index}/sensorReport/{place}/component"
            yield _object(report).get("component"), path, Vocabulary.COMPONENT


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
