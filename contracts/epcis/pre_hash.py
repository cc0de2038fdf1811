"""The pre-hash string of an event: its fields in one order, each thing in one spelling, nothing in between.

What goes in is a valid event as `canonical_json.parse` returns it and the prefixes in force. What comes out
depends on nothing else: not on the order of keys and lists, not on other events of the document, not on the
process. The string has no separators, so two events that somebody makes for the purpose may share one; that
is the standard's, and one reason why the hash names an event but never identifies it in the ledger.

Source: docs/spec/cbv-event-hash.md; CBV 2.0 section 8.9.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from contracts.epcis.canonical_json import Json, JsonObject
from contracts.epcis.hash_spelling import CBV, VOC, Spelling, instant_text, reading_text
from contracts.epcis.prefixes import GS1_PREFIXES, Prefixes, read_context
from contracts.epcis.problems import Problems

COMMENT: Final = f"{{{GS1_PREFIXES['rdfs']}}}comment"  # CH2: words about an event, no part of it
IGNORE_FIELDS: Final = "ignoreFields"
VALUE: Final = "@value"

_METADATA: Final = (
    *("time", "startTime", "endTime"),
    *("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules"),
)
_REPORT: Final = (
    *("type", "exception", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "time"),
    *("microorganism", "chemicalSubstance", "value", "component"),
    *("stringValue", "booleanValue", "hexBinaryValue", "uriValue"),
    *("minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue", "uom"),
    "coordinateReferenceSystem",
)
_QUANTITY: Final = ("epcClass", "quantity", "uom")
_TIMES: Final = frozenset({"eventTime", "time", "startTime", "endTime"})
_HEADS: Final = {  # CH8: what a bare word of a field stands for
    "bizStep": CBV + "BizStep-",
    "disposition": CBV + "Disp-",
    "set": CBV + "Disp-",
    "unset": CBV + "Disp-",
    "type": VOC,
    "exception": VOC,
    "component": CBV + "Comp-",
}
_TYPED: Final = {  # CH13: each of these lists, the name of its items, and what a bare type stands for
    "bizTransactionList": ("bizTransaction", CBV + "BTT-"),
    "sourceList": ("source", CBV + "SDT-"),
    "destinationList": ("destination", CBV + "SDT-"),
}


def pre_hash(event: JsonObject, prefixes: Prefixes = (), ignored: Iterable[str] = ()) -> str:
    """The pre-hash string of a valid event.

    Args:
        event: as `canonical_json.parse` returns it, its own `@context` included.
        prefixes: bound by the document around it.
        ignored: names, `{namespace}local`, of extensions that the document leaves out (`ignored_fields`).
    """
    writer = _Writer(_within(event, Spelling(dict(prefixes))), frozenset((COMMENT, *ignored)))
    return f"eventType={event['type']}{writer.in_order(event)}{writer.rest(event)}"


def ignored_fields(holder: JsonObject, bound: dict[str, str]) -> tuple[str, ...]:
    """CH3: the extensions that an `ignoreFields` of any namespace names here, as `{namespace}local`."""
    spelling = Spelling(bound)
    found: list[str] = []
    for name, value in holder.items():
        if ":" not in name or spelling.name(name).rpartition("}")[2] != IGNORE_FIELDS:
            continue
        named = value if isinstance(value, list | dict) else [value]
        found += [spelling.name(each) for each in named if isinstance(each, str) and ":" in each]
    return tuple(sorted(dict.fromkeys(found)))


class _Writer:
    """Writes parts of one event under one spelling; a nested `@context` makes another."""

    def __init__(self, spelling: Spelling, ignored: frozenset[str]) -> None:
        self.spelling = spelling
        self.ignored = ignored

    def in_order(self, event: JsonObject) -> str:
        """CH4: the fields that have a place in the order of the standard."""
        return "".join([write(self, name, event[name]) for name, write in _ORDER.items() if name in event])

    def rest(self, event: JsonObject) -> str:
        """CH4: the rest, sorted: typed lists, ILMD, sensor fields without a place, extensions."""
        parts = [self._typed(name, event[name]) for name in _TYPED if name in event]
        parts += [self._ilmd(event.get("ilmd", {})), self._misplaced(event.get("sensorElementList", ()))]
        parts += self._extensions(event)
        return "".join(sorted(parts))

    def value(self, name: str, value: Any) -> str:
        """CH5: `name=value`, or nothing where the value is empty."""
        if name in _TIMES:
            text = instant_text(value)
        elif name in _HEADS:
            text = self.spelling.term(value, _HEADS[name])
        else:
            text = self.spelling.scalar(value)
        if name == "stringValue":
            text = reading_text(text)
        return f"{name}={text}" if text else ""

    def values(self, name: str, value: Any) -> str:
        """One value or several, sorted, each under the same name."""
        return "".join(sorted([self.value(name, each) for each in _listed(value)]))

    def epcs(self, name: str, value: Any) -> str:
        """CH11: identifiers, sorted, the list's own name once before them."""
        return _under(name, self.values("epc", value))

    def quantities(self, name: str, value: Any) -> str:
        """CH11: quantity elements, sorted."""
        return _under(
            name, _sorted(_under("quantityElement", self.fields(each, _QUANTITY)) for each in value)
        )

    def place(self, name: str, value: Any) -> str:
        """A read point or business location: its id, then its extensions."""
        return _under(name, self.value("id", value["id"]) + _sorted(self._extensions(value)))

    def persistent(self, name: str, value: Any) -> str:
        """The dispositions that are set and unset from here on."""
        return _under(name, "".join([self.values(each, value.get(each, [])) for each in ("set", "unset")]))

    def sensors(self, name: str, value: Any) -> str:
        """CH14: sensor elements, sorted: metadata, reports, extensions."""
        return _under(name, _sorted(self._sensor(each) for each in value))

    def fields(self, holder: JsonObject, names: tuple[str, ...]) -> str:
        """The named fields of an object in this order, then its extensions."""
        found = [self.value(name, holder[name]) for name in names if name in holder]
        return "".join(found) + _sorted(self._extensions(holder))

    def _sensor(self, element: Any) -> str:
        metadata = _under("sensorMetadata", self.fields(element.get("sensorMetadata", {}), _METADATA))
        reports = _sorted(
            _under("sensorReport", self.fields(each, _REPORT)) for each in element["sensorReport"]
        )
        return _under("sensorElement", metadata + reports + _sorted(self._extensions(element)))

    def _misplaced(self, elements: Any) -> str:
        """CH14: business rules of single reports, for which the order of the standard has no place."""
        found = []
        for element in elements:
            rules = [self.value("bizRules", each.get("bizRules")) for each in element["sensorReport"]]
            found.append(_under("sensorElement", _sorted(_under("sensorReport", each) for each in rules)))
        return _under("sensorElementList", _sorted(found))

    def _typed(self, name: str, items: Any) -> str:
        """CH13: items with their type, which comes first."""
        item, head = _TYPED[name]
        found = []
        for each in items:
            kind = self.spelling.term(each.get("type", ""), head)
            found.append((f"type={kind}" if kind else "") + self.value(item, each[item]))
        return _under(name, _sorted(found))

    def _ilmd(self, value: Any) -> str:
        return _under("ilmd", self._object(value))

    def _extensions(self, holder: JsonObject) -> list[str]:
        """CH12: what an object of the standard holds beyond the standard's own fields."""
        return [part for name, value in holder.items() if ":" in name for part in self._member(name, value)]

    def _member(self, name: str, value: Json) -> list[str]:
        """CH12: `{namespace}local=value`; of a list, one such part an item."""
        key = self.spelling.name(name)
        if key in self.ignored:
            return []
        if isinstance(value, list):
            return [part for each in value for part in self._member(name, each)]
        if isinstance(value, dict):
            return [key + self._object(value)]
        return [key + self._own_text(value)]

    def _object(self, holder: JsonObject) -> str:
        """CH12: all that an object of anybody else's holds: its text, as in XML, then its members."""
        inner = _Writer(_within(holder, self.spelling), self.ignored)
        text, parts = "", []
        for name, value in holder.items():
            if name == VALUE and not isinstance(value, dict | list):
                text = inner._own_text(value)
            elif name != "@context":
                parts += inner._member(name, value)
        return text + _sorted(parts)

    def _own_text(self, value: Json) -> str:
        text = self.spelling.scalar(value)
        return f"={text}" if text else ""


_ORDER: Final[dict[str, Callable[[_Writer, str, Any], str]]] = {
    "eventTime": _Writer.value,
    "eventTimeZoneOffset": _Writer.value,
    "certificationInfo": _Writer.values,
    "epcList": _Writer.epcs,
    "parentID": _Writer.value,
    "inputEPCList": _Writer.epcs,
    "childEPCs": _Writer.epcs,
    "quantityList": _Writer.quantities,
    "childQuantityList": _Writer.quantities,
    "inputQuantityList": _Writer.quantities,
    "outputEPCList": _Writer.epcs,
    "outputQuantityList": _Writer.quantities,
    "action": _Writer.value,
    "transformationID": _Writer.value,
    "bizStep": _Writer.value,
    "disposition": _Writer.value,
    "persistentDisposition": _Writer.persistent,
    "readPoint": _Writer.place,
    "bizLocation": _Writer.place,
    "sensorElementList": _Writer.sensors,
}


def _within(holder: JsonObject, spelling: Spelling) -> Spelling:
    """The spelling inside an object, whose `@context` may bind prefixes anew."""
    if "@context" not in holder:
        return spelling
    bound, _ = read_context(holder["@context"], "", Problems())
    return Spelling(spelling.bound | bound)


def _under(name: str, content: str) -> str:
    """Content with the name of what holds it, or nothing where there is no content."""
    return name + content if content else ""


def _sorted(parts: Iterable[str]) -> str:
    """CH11: parts in the order of their UTF-8 bytes, which for text is that of its code points."""
    return "".join(sorted(parts))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
