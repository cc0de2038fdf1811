"""EPCIS documents in XML, versions 2.0 and 1.2, as the JSON form of EPCIS 2.0 says the same.

Everything after the reading is the same as for JSON: the same checks, the same pointers, the same events.
docs/spec/epcis-xml.md says what becomes of each part of a document.

Source: EPCIS 2.0 sections 9.5 and 10 with its XML schemas 2.0; EPCIS 1.2 section 9.5 with its schema.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, TypeAlias, TypeVar

from contracts.epcis.canonical_json import Json, JsonObject
from contracts.epcis.document import Document, split_value
from contracts.epcis.envelope import Form
from contracts.epcis.prefixes import GS1_CONTEXT
from contracts.epcis.problems import Problems, shown
from contracts.epcis.validate import KINDS
from node.epcis_xml.event import EventReader
from node.epcis_xml.foreign import SPACE, VALUE, Foreign, joined, members
from node.epcis_xml.names import EPCIS, EPCIS_1, EPCIS_QUERY, EPCIS_QUERY_1, STANDARD, Names
from node.epcis_xml.tree import Element, parse_xml
from node.pace import drained

Result = TypeVar("Result")
Steps: TypeAlias = Generator[None, None, Result]

EVENT_NODES_MAX: Final = 1 << 15  # of one event, which is read in one step; 128 KiB of JSON hold no more
QUERY_NAME: Final = "SimpleEventQuery"  # of results that name no query, as many in use don't

_FORMS: Final = {
    (EPCIS, "EPCISDocument"): (Form.CAPTURE, 2),
    (EPCIS_1, "EPCISDocument"): (Form.CAPTURE, 1),
    (EPCIS_QUERY, "EPCISQueryDocument"): (Form.QUERY, 2),
    (EPCIS_QUERY_1, "EPCISQueryDocument"): (Form.QUERY, 1),
}


def split_xml(data: bytes) -> Steps[Document]:
    """As `contracts.epcis.document.split_document`, of XML, in steps between which others may work.

    Raises:
        LedgerError: `xml.*`.
        EpcisError: every problem of the translation and the envelope.
    """
    problems = Problems()
    value = yield from translate(data, problems)
    return _settled(None if value is None else split_value(value, problems, checks_events=False), problems)


def check_xml(data: bytes) -> Document:
    """As `contracts.epcis.document.check_document`, of XML.

    Raises:
        LedgerError: `xml.*`.
        EpcisError: every problem of translation, envelope and events.
    """
    problems = Problems()
    value = drained(translate(data, problems))
    return _settled(None if value is None else split_value(value, problems, checks_events=True), problems)


def is_xml(data: bytes) -> bool:
    """Whether the bytes begin as XML does, and JSON never."""
    head = data[:256]
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00<", b"<\x00")):
        return True
    return head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(b"<")


def translate(data: bytes, problems: Problems) -> Steps[JsonObject | None]:
    """The JSON form of an XML document or bare event, unchecked, in steps. None: it is no such document.

    Raises:
        LedgerError: `xml.*`.
    """
    root = yield from parse_xml(data)
    if root.name in KINDS and root.namespace in STANDARD:
        return _bare(root, problems)
    form, version = _FORMS.get((root.namespace, root.name), (None, 0))
    if form is None:
        name = f"{{{root.namespace}}}{root.name}" if root.namespace else root.name
        known = " or ".join(f"{{{namespace}}}{name}" for namespace, name in _FORMS)
        problems.add("epcis.not_a_document", "", f"{shown(name)} is no bare event and none of {known}")
        return None
    return (yield from _Envelope(problems, version).read(root, form))


def _settled(document: Document | None, problems: Problems) -> Document:
    problems.raise_any()
    assert document is not None, "what could not be cut was reported"
    return document


def _bare(root: Element, problems: Problems) -> JsonObject | None:
    if _is_too_large(root, "", problems):
        return None
    names = Names()
    event = EventReader(names, problems).read(root, "", is_root=True)
    bound: list[Json] = [{prefix: namespace} for prefix, namespace in names.shared.items()]
    event["@context"] = [GS1_CONTEXT, *bound]
    return event


class _Envelope:
    """Reads what stands around the events."""

    def __init__(self, problems: Problems, version: int) -> None:
        self._problems = problems
        self._version = version
        self._names = Names()
        self._events = EventReader(self._names, problems, version)

    def read(self, root: Element, form: Form) -> Steps[JsonObject]:
        value: JsonObject = {"@context": [], "type": form.value}
        self._read_version(root, value)
        created = root.attribute("creationDate")
        if created is not None:
            value["creationDate"] = created.strip(SPACE)
        header, body = _find(root, "EPCISHeader"), self._one(root, "EPCISBody", "/epcisBody")
        master_data = None if header is None else (yield from self._master_data(header))
        if master_data is not None:
            value["epcisHeader"] = {"epcisMasterData": master_data}
        value |= self._extensions(root, "")
        if body is not None:
            is_query = form is Form.QUERY
            value["epcisBody"] = yield from (
                self._query(body) if is_query else self._list_in(body, "/epcisBody")
            )
        bound: list[Json] = [{prefix: namespace} for prefix, namespace in self._names.shared.items()]
        value["@context"] = [GS1_CONTEXT, *bound]
        return value

    def _read_version(self, root: Element, value: JsonObject) -> None:
        """The schema version, told as 2.0 where it is the one of the namespace."""
        text = root.attribute("schemaVersion")
        if text is None:
            return
        text = text.strip(SPACE)
        value["schemaVersion"] = "2.0"
        if text.split(".")[0] != str(self._version):
            words = f"schema version {shown(text)}, {self._version}.x was expected by the root's namespace"
            self._problems.add("epcis.unknown_version", "/schemaVersion", words)

    def _one(self, element: Element, name: str, pointer: str) -> Element | None:
        """The only element of its name; a second one is noted, for its events would be lost."""
        found = _all(element, name)
        if len(found) > 1:
            words = f"<{name}> stands a second time at line {found[1].line}"
            self._problems.add("epcis.duplicate_field", pointer, words)
        return found[0] if found else None

    def _query(self, body: Element) -> Steps[JsonObject]:
        results = self._one(body, "QueryResults", "/epcisBody/queryResults")
        if results is None:
            found = ", ".join(f"<{child.name[:40]}>" for child in body.children[:3]) or "nothing"
            words = f"<QueryResults> was expected at line {body.line}, found {found}"
            self._problems.add("epcis.not_a_document", "/epcisBody/queryResults", words)
            return {"queryResults": {"queryName": QUERY_NAME, "resultsBody": {"eventList": []}}}
        pointer = "/epcisBody/queryResults"
        value: JsonObject = {"queryName": QUERY_NAME, **self._extensions(results, pointer)}
        for name in ("queryName", "subscriptionID"):
            element = _find(results, name)
            if element is not None:
                value[name] = element.text.strip(SPACE)
        inner = self._one(results, "resultsBody", f"{pointer}/resultsBody")
        if inner is not None:
            value["resultsBody"] = yield from self._list_in(inner, f"{pointer}/resultsBody")
        return {**self._extensions(body, "/epcisBody"), "queryResults": value}

    def _list_in(self, element: Element, pointer: str) -> Steps[JsonObject]:
        found = self._one(element, "EventList", f"{pointer}/eventList")
        value = self._extensions(element, pointer)
        if found is None:
            return value
        events: list[Json] = []
        for child in members(found):
            at = f"{pointer}/eventList/{len(events)}"
            events.append(self._event(child, at))
            yield
        return value | {"eventList": events}

    def _extensions(self, element: Element, pointer: str) -> JsonObject:
        """What a document says beside its events: some of it tells how to hash them."""
        read = Foreign(self._names, self._problems, pointer)
        held: dict[str, list[Json]] = {}
        for each in element.children:
            if each.namespace not in STANDARD:
                read.gather(held, each)
        return joined(held)

    def _event(self, element: Element, pointer: str) -> JsonObject:
        if element.namespace not in STANDARD:
            words = f"{shown(element.name)} at line {element.line} is of namespace {shown(element.namespace)}"
            self._problems.add("epcis.unknown_kind", f"{pointer}/type", f"{words}, which has no events")
        if _is_too_large(element, pointer, self._problems):
            return {"type": element.name}
        self._names.next_event()
        event = self._events.read(element, pointer)
        own: list[Json] = [{prefix: namespace} for prefix, namespace in self._names.own.items()]
        if own:
            event["@context"] = own
        return event

    def _master_data(self, header: Element) -> Steps[JsonObject | None]:
        found = next((each for each in members(header) if each.name == "EPCISMasterData"), None)
        listed = None if found is None else _find(found, "VocabularyList")
        if listed is None:
            return None
        read = Foreign(Names(), self._problems, "/epcisHeader/epcisMasterData")
        vocabularies: list[Json] = []
        for each in _all(listed, "Vocabulary"):
            vocabulary = yield from _vocabulary(each, read)
            vocabularies.append(vocabulary)
        return {"vocabularyList": vocabularies}


def _is_too_large(event: Element, pointer: str, problems: Problems) -> bool:
    waiting, nodes = [event], 0
    while waiting and nodes <= EVENT_NODES_MAX:
        found = waiting.pop()
        nodes += 1 + len(found.attributes)
        waiting += found.children
    if nodes > EVENT_NODES_MAX:
        words = f"the event at line {event.line} has more than {EVENT_NODES_MAX:,} elements and attributes"
        problems.add("epcis.event_too_large", pointer, words)
    return nodes > EVENT_NODES_MAX


def _vocabulary(element: Element, read: Foreign) -> Steps[JsonObject]:
    listed = _find(element, "VocabularyElementList")
    elements: list[Json] = []
    for each in [] if listed is None else _all(listed, "VocabularyElement"):
        elements.append(_vocabulary_element(each, read))
        yield
    return {"type": element.attribute("type") or "", "vocabularyElementList": elements}


def _vocabulary_element(element: Element, read: Foreign) -> JsonObject:
    value: JsonObject = {"id": element.attribute("id") or ""}
    attributes: list[Json] = [
        {"id": each.attribute("id") or "", "attribute": _attribute(each, read)}
        for each in _all(element, "attribute")
    ]
    if attributes:
        value["attributes"] = attributes
    children = _find(element, "children")
    if children is not None and children.children:
        value["children"] = [each.text.strip(SPACE) for each in _all(children, "id")]
    return value


def _attribute(element: Element, read: Foreign) -> Json:
    """The value of a master data attribute: mostly text, its own id being told beside it."""
    held = read.content(element)
    if not isinstance(held, dict):
        return held
    rest = {name: value for name, value in held.items() if name != "id"}
    return rest.get(VALUE, "") if not rest.keys() - {VALUE} else rest


def _all(element: Element, name: str) -> list[Element]:
    return [each for each in element.children if each.name == name and each.namespace in STANDARD]


def _find(element: Element, name: str) -> Element | None:
    return next(iter(_all(element, name)), None)
