"""One EPCIS event in XML as its JSON form says the same. Whether the event is valid is asked of the JSON.

Source: EPCIS 2.0 section 9.5 with its XML schema 2.0; EPCIS 1.2 section 9.5 with its schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from contracts.epcis.canonical_json import DEPTH_MAX, Json, JsonObject, child
from contracts.epcis.event import Kind
from contracts.epcis.identifiers import is_uri
from contracts.epcis.problems import Problems, shown
from contracts.epcis.vocabulary import Vocabulary, stored_term
from ledger.errors import LedgerError
from node.epcis_xml.foreign import SPACE, Foreign, boolean_of, joined, kept_attributes, members, number_of
from node.epcis_xml.names import STANDARD, Names, unescaped
from node.epcis_xml.tree import XSI, Attribute, Element

NUMBERS: Final = ("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue")
TIMES: Final = ("time", "startTime", "endTime")
_TIMES_FIRST: Final = ("eventTime", "eventTimeZoneOffset")
_OF_DOCUMENTS: Final = ("schemaVersion", "creationDate")  # on a bare event: what its document would say
_MINUTES: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2})")
_MEASURED: Final = re.compile(r"(?:gs1:|https?://(?:ref\.)?gs1\.org/voc/)([A-Za-z_]+)")
_CERTIFICATION: Final = "certificationInfo"


class EventReader:
    """Reads events one after the other.

    Args:
        names: binds their prefixes.
        problems: where what can't be said in JSON is noted.
        version: of the standard, 1 or 2.
    """

    def __init__(self, names: Names, problems: Problems, version: int = 2) -> None:
        self._problems = problems
        self._version = version
        self.foreign = Foreign(names, problems, "")

    def read(self, element: Element, pointer: str, *, is_root: bool = False) -> JsonObject:
        """The event as JSON."""
        self.foreign.pointer = pointer
        event: JsonObject = {"type": element.name}
        self.add_attributes(event, element, pointer, _OF_DOCUMENTS if is_root else ())
        self._check_order(element, pointer)
        self.fill(event, element, pointer, _EVENT)
        _settle_certification(event)
        if self._version == 1:
            _keep_as_extensions(event)
        if _depth(event) > DEPTH_MAX:
            words = f"nested deeper than {DEPTH_MAX} arrays and objects as JSON"
            self._problems.add("json.too_deep", pointer, words)
        return event

    def fill(self, value: JsonObject, element: Element, pointer: str, fields: Mapping[str, _Field]) -> None:
        """Add what stands in an element: fields that EPCIS defines there, extensions, and what is unknown."""
        foreign: dict[str, list[Json]] = {}
        for each in members(element):
            if each.namespace in STANDARD:
                name = unescaped(each.name)
                self._add(value, name, each, child(pointer, name), fields.get(name, _unknown))
            else:
                self.foreign.gather(foreign, each)
        value |= joined(foreign)
        self.check_no_text(element, pointer)

    def _add(self, value: JsonObject, name: str, element: Element, at: str, field: _Field) -> None:
        held = value.setdefault(name, []) if isinstance(field, _Many) else value.get(name)
        if isinstance(field, _Many) and isinstance(held, list):
            held.append(field.read(self, element, f"{at}/{len(held)}"))
        elif name in value:
            words = f"<{element.name[:40]}> stands a second time at line {element.line}"
            self._problems.add("epcis.duplicate_field", at, words)
        elif element.attribute("nil", XSI) not in ("true", "1"):  # nil is how a schema says: not there
            assert not isinstance(field, _Many), "what repeats is in a list"
            value[name] = field(self, element, at)

    def _check_order(self, element: Element, pointer: str) -> None:
        names = [each.name for each in members(element) if each.namespace in STANDARD]
        if self._version == 1 or "action" not in names:
            return
        late = [name for name in _TIMES_FIRST if name in names[names.index("action") :]]
        if late:
            words = f"<action> at line {element.line} ff. stands before <{late[0]}>, which comes first"
            self._problems.add("epcis.wrong_order", f"{pointer}/action", words)

    def add_attributes(
        self, value: JsonObject, element: Element, pointer: str, ignored: Sequence[str] = ()
    ) -> None:
        """Add attributes with a namespace as extensions, and note others: EPCIS defines none there."""
        for attribute in kept_attributes(element):
            if attribute.namespace:
                value[self.foreign.key(attribute)] = self.foreign.curie(attribute.value, element)
            elif attribute.name not in ignored:
                self._no_attribute(element, attribute, pointer)

    def _no_attribute(self, element: Element, attribute: Attribute, pointer: str) -> None:
        words = f"<{element.name[:40]}> at line {element.line} has no attribute {shown(attribute.name)}"
        self._problems.add("epcis.unknown_field", child(pointer, attribute.name), words)

    def check_no_text(self, element: Element, pointer: str) -> None:
        """Note text between elements."""
        text = element.text.strip(SPACE)
        if text:
            words = f"text {shown(text)} at line {element.line} where elements were expected"
            self._problems.add("epcis.wrong_type", pointer, words)

    def check_leaf(self, element: Element, pointer: str, *attributes: str) -> None:
        """Note elements and unknown attributes where only text may stand."""
        if element.children:
            words = f"<{element.children[0].name[:40]}> in <{element.name}> at line {element.line}"
            self._problems.add("epcis.wrong_type", pointer, f"{words}, where only text was expected")
        for attribute in kept_attributes(element):
            if attribute.name not in attributes or attribute.namespace:
                self._no_attribute(element, attribute, pointer)

    def unexpected(self, element: Element, pointer: str, expected: str) -> None:
        """Note an element where another was expected."""
        words = f"<{element.name[:40]}> at line {element.line}, where <{expected}> was expected"
        self._problems.add("epcis.unknown_field", child(pointer, element.name), words)

    def number(self, text: str, pointer: str) -> Json:
        """The number that a text says, or the text, which the check of the event then refuses."""
        try:
            found = number_of(text.strip(SPACE))
        except LedgerError as problem:
            self._problems.add(problem.code, pointer, problem.message)
            return 0
        return text if found is None else found


_Read: TypeAlias = Callable[[EventReader, Element, str], Json]


@dataclass(frozen=True, slots=True)
class _Many:
    """A field whose element repeats, and is a list however often it stands there."""

    read: _Read


_Field: TypeAlias = "_Read | _Many"


def _unknown(reader: EventReader, element: Element, pointer: str) -> Json:
    return reader.foreign.content(element)


def _text(reader: EventReader, element: Element, pointer: str) -> Json:
    reader.check_leaf(element, pointer)
    return reader.foreign.curie(element.text.strip(SPACE), element)


def _time(reader: EventReader, element: Element, pointer: str) -> Json:
    reader.check_leaf(element, pointer)
    return _whole_time(element.text.strip(SPACE))


def _number(reader: EventReader, element: Element, pointer: str) -> Json:
    reader.check_leaf(element, pointer)
    return reader.number(element.text, pointer)


def _term(vocabulary: Vocabulary) -> _Read:
    def read(reader: EventReader, element: Element, pointer: str) -> Json:
        reader.check_leaf(element, pointer)
        return _word(reader.foreign.curie(element.text.strip(SPACE), element), vocabulary)

    return read


def _typed(name: str, vocabulary: Vocabulary) -> _Read:
    """`<source type="...">...</source>` and its like."""

    def read(reader: EventReader, element: Element, pointer: str) -> Json:
        reader.check_leaf(element, pointer, "type")
        value: JsonObject = {}
        kind = element.attribute("type")
        if kind is not None:
            value["type"] = _word(reader.foreign.curie(kind.strip(SPACE), element), vocabulary)
        return value | {name: reader.foreign.curie(element.text.strip(SPACE), element)}

    return read


def _list(name: str, item: _Read) -> _Read:
    def read(reader: EventReader, element: Element, pointer: str) -> Json:
        items: list[Json] = []
        for each in members(element):
            if each.name == name and each.namespace in STANDARD:
                items.append(item(reader, each, f"{pointer}/{len(items)}"))
            else:
                reader.unexpected(each, pointer, name)
        reader.check_no_text(element, pointer)
        return items

    return read


def _once(read_list: _Read) -> _Read:
    """A list whose items JSON has once each and XML as often as it likes: they are a set."""

    def read(reader: EventReader, element: Element, pointer: str) -> Json:
        items = read_list(reader, element, pointer)
        assert isinstance(items, list), "a list was read"
        return list(dict.fromkeys(item for item in items if isinstance(item, str)))

    return read


def _object(fields: Mapping[str, _Field]) -> _Read:
    def read(reader: EventReader, element: Element, pointer: str) -> Json:
        value: JsonObject = {}
        reader.add_attributes(value, element, pointer)
        reader.fill(value, element, pointer, fields)
        return value

    return read


def _ilmd(reader: EventReader, element: Element, pointer: str) -> Json:
    reader.check_no_text(element, pointer)
    return reader.foreign.object(element)


def _measured(reader: EventReader, element: Element, pointer: str) -> Json:
    """Sensor metadata and reports, whose fields are attributes."""
    value: JsonObject = {}
    for attribute in kept_attributes(element):
        key = reader.foreign.key(attribute)
        text = attribute.value if attribute.namespace else reader.foreign.curie(attribute.value, element)
        value[key] = text if attribute.namespace else _reading(reader, attribute, text, f"{pointer}/{key}")
    reader.fill(value, element, pointer, {})
    return value


def _reading(reader: EventReader, attribute: Attribute, text: str, pointer: str) -> Json:
    name = attribute.name
    if name == "stringValue":
        return attribute.value
    text = text.strip(SPACE)
    if name in NUMBERS:
        return reader.number(text, pointer)
    if name == "booleanValue":
        truth = boolean_of(text)
        return text if truth is None else truth
    if name in TIMES:
        return _whole_time(text)
    found = _MEASURED.fullmatch(text) if name == "type" else None
    return text if found is None else found.group(1)


def _word(text: str, vocabulary: Vocabulary) -> str:
    """A term of the CBV as its bare word, any other as it stands."""
    term = stored_term(text, vocabulary, {})
    return text if ":" in term else term


def _whole_time(text: str) -> str:
    """A time with its seconds, which ISO 8601 lets a writer leave out and JSON does not."""
    found = _MINUTES.fullmatch(text)
    return text if found is None else f"{found.group(1)}:00{found.group(2)}"


def _settle_certification(event: JsonObject) -> None:
    """One certificate is a URI, several are a list."""
    held = event.get(_CERTIFICATION)
    if isinstance(held, list) and len(held) == 1:
        event[_CERTIFICATION] = held[0]


def _keep_as_extensions(event: JsonObject) -> None:
    """What documents of version 1 have and the JSON form refuses, kept under GS1's full name for it.

    Version 1 has no certificationInfo, so any text may stand there, and ilmd stands beside any action.
    """
    held = event.get(_CERTIFICATION)
    listed = held if isinstance(held, list) else [held]
    if held is not None and not all(isinstance(each, str) and is_uri(each) for each in listed):
        event[f"epcis:{_CERTIFICATION}"] = event.pop(_CERTIFICATION)
    if (
        event["type"] == Kind.OBJECT.value
        and event.get("action") in ("OBSERVE", "DELETE")
        and "ilmd" in event
    ):
        event["epcis:ilmd"] = event.pop("ilmd")


def _depth(value: Json) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


_PLACE: Final = _object({"id": _text})
_EPCS: Final = _list("epc", _text)
_QUANTITIES: Final = _list("quantityElement", _object({"epcClass": _text, "quantity": _number, "uom": _text}))
_SENSOR: Final = _object({"sensorMetadata": _measured, "sensorReport": _Many(_measured)})
_DISPOSITIONS: Final = _Many(_term(Vocabulary.DISPOSITION))
_ERROR: Final = _object(
    {
        "declarationTime": _time,
        "reason": _term(Vocabulary.ERROR_REASON),
        "correctiveEventIDs": _list("correctiveEventID", _text),
    }
)
_EVENT: Final[Mapping[str, _Field]] = {
    "eventTime": _time,
    "recordTime": _time,
    **dict.fromkeys(("eventTimeZoneOffset", "eventID", "action", "parentID", "transformationID"), _text),
    _CERTIFICATION: _Many(_text),
    "errorDeclaration": _ERROR,
    "bizStep": _term(Vocabulary.BIZ_STEP),
    "disposition": _term(Vocabulary.DISPOSITION),
    "persistentDisposition": _object({"set": _DISPOSITIONS, "unset": _DISPOSITIONS}),
    **dict.fromkeys(("readPoint", "bizLocation"), _PLACE),
    "childEPCs": _EPCS,
    **dict.fromkeys(("epcList", "inputEPCList", "outputEPCList"), _once(_EPCS)),
    **dict.fromkeys(
        ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList"), _QUANTITIES
    ),
    "bizTransactionList": _list("bizTransaction", _typed("bizTransaction", Vocabulary.BIZ_TRANSACTION_TYPE)),
    "sourceList": _list("source", _typed("source", Vocabulary.SOURCE_DESTINATION_TYPE)),
    "destinationList": _list("destination", _typed("destination", Vocabulary.SOURCE_DESTINATION_TYPE)),
    "sensorElementList": _list("sensorElement", _SENSOR),
    "ilmd": _ilmd,
}
