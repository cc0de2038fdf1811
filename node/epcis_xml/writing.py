"""Events as EPCIS 2.0 XML, in the order of its schema, so that reading them gives the same events.

Terms of the CBV are written as URNs, `Temperature` as `gs1:Temperature`. What JSON says and XML does not
(a number in an extension, a list of one, null) is marked by attributes of our own. Characters that XML 1.0
can't hold, all of them controls, become U+FFFD.

Source: EPCIS 2.0 section 9.5 and its XML schemas 2.0; XML 1.0 section 2.2.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Final

from contracts.epcis.canonical_json import JsonObject
from contracts.epcis.document import StoredEvent, restore_event
from contracts.epcis.envelope import Form
from contracts.epcis.instant import write_time
from contracts.epcis.prefixes import read_context
from contracts.epcis.problems import Problems
from contracts.epcis.vocabulary import Vocabulary
from ledger.types import TimeMs
from node.epcis_xml.markup import XML_HEAD, Markup, attribute_of
from node.epcis_xml.names import EPCIS, EPCIS_QUERY

_AFTER: Final = ("sourceList", "destinationList", "sensorElementList", "persistentDisposition", "ilmd")
_WHERE: Final = ("bizStep", "disposition", "readPoint", "bizLocation")
_FIRST: Final = (
    "eventTime",
    "recordTime",
    "eventTimeZoneOffset",
    "eventID",
    "errorDeclaration",
    "certificationInfo",
)
_ORDER: Final = {
    "ObjectEvent": ("epcList", "action", *_WHERE, "bizTransactionList", "quantityList"),
    "AggregationEvent": (
        "parentID",
        "childEPCs",
        "action",
        *_WHERE,
        "bizTransactionList",
        "childQuantityList",
    ),
    "TransactionEvent": ("bizTransactionList", "parentID", "epcList", "action", *_WHERE, "quantityList"),
    "TransformationEvent": (
        "inputEPCList",
        "inputQuantityList",
        "outputEPCList",
        "outputQuantityList",
        "transformationID",
        *_WHERE,
        "bizTransactionList",
    ),
    "AssociationEvent": (
        "parentID",
        "childEPCs",
        "childQuantityList",
        "action",
        *_WHERE,
        "bizTransactionList",
    ),
}
_EPC_LISTS: Final = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")
_TERMS: Final = {"bizStep": Vocabulary.BIZ_STEP, "disposition": Vocabulary.DISPOSITION}
_TYPED: Final = {
    "bizTransactionList": ("bizTransaction", Vocabulary.BIZ_TRANSACTION_TYPE),
    "sourceList": ("source", Vocabulary.SOURCE_DESTINATION_TYPE),
    "destinationList": ("destination", Vocabulary.SOURCE_DESTINATION_TYPE),
}


def write_results(
    events: Iterable[StoredEvent], created_ms: TimeMs, query_name: str
) -> Generator[None, None, bytes]:
    """An EPCISQueryDocument with these events in this order, in steps between which others may work."""
    named = f"<queryName>{Markup.text(query_name)}</queryName>"
    before = f"<EPCISBody><epcisq:QueryResults>{named}<resultsBody>"
    after = "</resultsBody></epcisq:QueryResults></EPCISBody>"
    return _write(events, created_ms, Form.QUERY, (before, after))


def write_document(events: Iterable[StoredEvent], created_ms: TimeMs) -> Generator[None, None, bytes]:
    """An EPCISDocument with these events in this order, in steps."""
    return _write(events, created_ms, Form.CAPTURE, ("<EPCISBody>", "</EPCISBody>"))


def _write(
    events: Iterable[StoredEvent], created_ms: TimeMs, form: Form, around: tuple[str, str]
) -> Generator[None, None, bytes]:
    prefix, namespace = ("epcisq", EPCIS_QUERY) if form is Form.QUERY else ("epcis", EPCIS)
    name = f"{prefix}:{form.value}"
    versions = f'schemaVersion="2.0" creationDate="{write_time(created_ms)}"'
    pieces = [XML_HEAD, f'<{name} xmlns:{prefix}="{namespace}" {versions}>{around[0]}<EventList>\n']
    for event in events:
        pieces.append(write_event(event) + "\n")
        yield
    pieces.append(f"</EventList>{around[1]}</{name}>\n")
    return "".join(pieces).encode()


def write_event(stored: StoredEvent) -> str:
    """One event as an element that stands alone: every prefix that it needs is bound on it."""
    event: dict[str, Any] = restore_event(stored)
    bound, _ = read_context(event.pop("@context", []), "", Problems())
    markup = Markup(dict(stored.captured.prefixes) | bound, stored.captured.body)
    return _Event(markup).write(event)


class _Event:
    """Writes the fields of one event."""

    def __init__(self, markup: Markup) -> None:
        self._markup = markup

    def write(self, event: dict[str, Any]) -> str:
        kind = event.pop("type")
        order = (*_FIRST, *_ORDER[kind], *_AFTER)
        inner = [self._field(name, event[name]) for name in order if name in event]
        inner += [self._markup.foreign(name, value) for name, value in event.items() if name not in order]
        return f"<{kind}{self._markup.declarations()}>{''.join(inner)}</{kind}>"

    def _field(self, name: str, value: Any) -> str:
        if name in _EPC_LISTS:
            return _element(name, "".join(_leaf("epc", each) for each in value))
        if name in _TERMS:
            return _leaf(name, _term(value, _TERMS[name]))
        if name in _TYPED:
            return _element(name, "".join(_typed(each, *_TYPED[name]) for each in value))
        if name.endswith("QuantityList") or name == "quantityList":
            return _element(name, "".join(self._quantity(each) for each in value))
        match name:
            case "readPoint" | "bizLocation":
                return self._open(name, value, {"id": _leaf("id", value["id"])})
            case "certificationInfo":
                listed = value if isinstance(value, list) else [value]
                return "".join(_leaf(name, each) for each in listed)
            case "errorDeclaration":
                return self._error(name, value)
            case "persistentDisposition":
                return _element(name, "".join(_dispositions(part, value) for part in ("unset", "set")))
            case "sensorElementList":
                return _element(name, "".join(self._sensor(each) for each in value))
            case "ilmd":
                return self._open(name, value, {})
            case _:
                return _leaf(name, value)

    def _open(self, name: str, value: dict[str, Any], known: dict[str, str]) -> str:
        """An object with fields that are written already and with extensions."""
        others = [self._markup.foreign(key, item) for key, item in value.items() if key not in known]
        return _element(name, "".join([*known.values(), *others]))

    def _error(self, name: str, value: dict[str, Any]) -> str:
        known = {"declarationTime": _leaf("declarationTime", value["declarationTime"])}
        if "reason" in value:
            known["reason"] = _leaf("reason", _term(value["reason"], Vocabulary.ERROR_REASON))
        ids = value.get("correctiveEventIDs")
        if ids is not None:
            listed = "".join(_leaf("correctiveEventID", each) for each in ids)
            known["correctiveEventIDs"] = _element("correctiveEventIDs", listed)
        return self._open(name, value, known)

    def _quantity(self, value: dict[str, Any]) -> str:
        fields = ("epcClass", "quantity", "uom")
        return _element("quantityElement", "".join(_leaf(key, value[key]) for key in fields if key in value))

    def _sensor(self, value: dict[str, Any]) -> str:
        known = {}
        if "sensorMetadata" in value:
            known["sensorMetadata"] = self._measured("sensorMetadata", value["sensorMetadata"])
        reports = [self._measured("sensorReport", each) for each in value["sensorReport"]]
        known["sensorReport"] = "".join(reports)
        return self._open("sensorElement", value, known)

    def _measured(self, name: str, value: dict[str, Any]) -> str:
        """Sensor metadata or a report: attributes, and elements for what is no text."""
        attributes = [
            attribute_of(key, self._reading(key, item)) for key, item in value.items() if ":" not in key
        ]
        others = {key: item for key, item in value.items() if ":" in key}
        names = {key: self._markup.name(key) for key, item in others.items() if isinstance(item, str)}
        if len({self._markup.expanded(name) for name in names.values()}) < len(names):
            names = {}  # two spellings of one name: as elements they may repeat
        attributes += [attribute_of(name, others[key]) for key, name in names.items()]
        inner = [self._markup.foreign(key, item) for key, item in others.items() if key not in names]
        return f"<{name}{''.join(attributes)}>{''.join(inner)}</{name}>"

    def _reading(self, key: str, item: Any) -> str:
        if key in ("type", "exception"):
            return self._markup.gs1_word(item)
        if key == "component":
            return self._markup.cbv_word(item)
        return Markup.scalar(item)


def _element(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>" if inner else f"<{name}/>"


def _leaf(name: str, value: Any) -> str:
    return f"<{name}>{Markup.text(Markup.scalar(value))}</{name}>"


def _dispositions(part: str, value: JsonObject) -> str:
    words = value.get(part, [])
    assert isinstance(words, list), "checked before it was recorded"
    return "".join(_leaf(part, _term(str(word), Vocabulary.DISPOSITION)) for word in words)


def _typed(value: dict[str, str], name: str, vocabulary: Vocabulary) -> str:
    kind = attribute_of("type", _term(value["type"], vocabulary)) if "type" in value else ""
    return f"<{name}{kind}>{Markup.text(value[name])}</{name}>"


def _term(word: str, vocabulary: Vocabulary) -> str:
    return f"urn:epcglobal:cbv:{vocabulary.value[0]}:{word}" if Markup.is_word(word) else word
