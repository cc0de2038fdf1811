"""Events as XML: read again they are the same events, whatever JSON they came from."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.canonical_json import canonical, parse
from contracts.epcis.captured import CapturedEvent, read_captured
from contracts.epcis.document import Document, StoredEvent, check_document, restore_event
from contracts.epcis.envelope import Form
from contracts.epcis.event_hash import event_hash
from contracts.epcis.prefixes import GS1_PREFIXES
from contracts.epcis.problems import Problems
from ledger.types import TimeMs
from node.epcis_xml.reading import check_xml
from node.epcis_xml.writing import write_document, write_event, write_results
from node.pace import drained
from tests.contracts.epcis.samples import VALID, integers, text

SECONDS_MAX = 2.0  # of the processor; the usual is a tenth
NOW = TimeMs(1_750_000_000_000)
EVENT = {
    "type": "ObjectEvent",
    "eventTime": "2026-01-01T00:00:00Z",
    "eventTimeZoneOffset": "+00:00",
    "epcList": ["urn:x:y"],
    "action": "OBSERVE",
    "eventID": "urn:x:e",
}
_CBV = re.compile(
    r"(?:urn:epcglobal:cbv:(?:bizstep|disp|btt|sdt|er):|https://ref\.gs1\.org/cbv/[A-Za-z]+-)(\w+)"
)


def stored(document: Document) -> list[StoredEvent]:
    reads = [read_captured(event) for event in document.events]
    pairs = zip(document.events, reads, strict=True)
    return [StoredEvent(event, NOW, read.event_id) for event, read in pairs]


def written(document: Document) -> Document:
    """The document's events as XML, read again with every check."""
    return check_xml(drained(write_results(stored(document), NOW, "SimpleEventQuery")))


def meanings(document: Document) -> list[Any]:
    """The events with names expanded and terms in one spelling: what they mean, in JSON's words."""
    return [meaning(event) for event in stored(document)]


def meaning(event: StoredEvent) -> Any:
    fields: Any = restore_event(event)
    bound = GS1_PREFIXES | dict(event.captured.prefixes)
    context = fields.pop("@context")
    for entry in context if isinstance(context, list) else [context]:
        bound |= entry if isinstance(entry, dict) else {}
    return _expanded(fields, bound)


def _expanded(value: Any, bound: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_name(key, bound): _expanded(item, bound) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, bound) for item in value]
    return _name(value, bound) if isinstance(value, str) else value


def _name(word: str, bound: dict[str, str]) -> str:
    prefix, colon, rest = word.partition(":")
    full = bound[prefix] + rest if colon and prefix in bound else word
    found = _CBV.fullmatch(full)
    return full.removeprefix("https://gs1.org/voc/") if found is None else found.group(1)


def extended(**more: Any) -> CapturedEvent:
    return CapturedEvent((("x", "urn:x:"),), canonical(EVENT | more))


def returned(**more: Any) -> dict[str, Any]:
    """An event with these extensions, written and read again; the `@context` aside."""
    data = write_event(StoredEvent(extended(**more), NOW, "urn:x:e")).encode()
    (event,) = check_xml(data).events
    found = read_captured(event).fields
    return {name: value for name, value in found.items() if name not in ("@context", "recordTime")}


def hashes(document: Document) -> list[str]:
    """The CBV event hashes, which a partner computes of either form."""
    return [event_hash(read_captured(event).fields, event.prefixes) for event in document.events]


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_every_sample_returns(path: Path) -> None:
    """Each sample of the project means the same after JSON, XML and JSON."""
    document = check_document(path.read_bytes())
    assert meanings(written(document)) == meanings(document)
    assert hashes(written(document)) == hashes(document)


@pytest.mark.parametrize("folder", ["epcis/valid", "epcis-event-hash"])
def test_every_published_document_returns(shared_data: Path, folder: str) -> None:
    """So do the published JSON documents."""
    paths = [
        path for path in sorted((shared_data / folder).rglob("*.json*")) if path.parent.name != "queries"
    ]
    assert len(paths) > 10
    for path in paths:
        document = check_document(path.read_bytes())
        assert meanings(written(document)) == meanings(document), path.name
        assert hashes(written(document)) == hashes(document), path.name


def test_every_published_xml_document_returns(shared_data: Path) -> None:
    """And XML documents mean the same after XML, JSON and XML."""
    paths = [
        path for path in sorted((shared_data / "epcis/valid").rglob("*.xml")) if path.parent.name != "queries"
    ]
    assert len(paths) > 60
    for path in paths:
        document = check_xml(path.read_bytes())
        assert meanings(written(document)) == meanings(document), path.name
        assert hashes(written(document)) == hashes(document), path.name


@st.composite
def numbers(draw: st.DrawFn) -> Decimal:
    digits = draw(st.integers(1, 10**20).filter(lambda number: number % 10 != 0))
    return Decimal((draw(st.integers(0, 1)), tuple(map(int, str(digits))), -draw(st.integers(1, 38))))


characters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
strings = st.one_of(
    st.text(characters, max_size=12),
    st.sampled_from(
        [" ", "\n", "\t a", "a\r\nb", "]]>", "<&>\"'", "x:y", "ns:y", "farmgate:z", "urn:a", "\xa0"]
    ),
)
names = st.one_of(
    st.sampled_from(
        ["a", "x:a", "x:b", "@value", "@language", "@id", "extension", "x:_x0041_", "1", "x:1 2", ":"]
    ),
    st.text(characters, min_size=1, max_size=6),
)
leaves = st.one_of(st.none(), st.booleans(), integers, numbers(), strings)
values = st.recursive(
    leaves,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(names, below, max_size=4)),
    max_leaves=12,
)


@given(values)
def test_any_extension_returns_as_it_was(value: Any) -> None:
    """Numbers, null, lists of one and of lists, odd names and texts: an extension returns exactly."""
    assert returned(**{"x:ext": value}) == EVENT | {"x:ext": value}


owned = st.one_of(
    st.sampled_from(["x:a", "x:extension", "@value", "@id", "x:_x0041_", "x:a:b", "x:1"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1).map("x:".__add__),
)


@given(st.dictionaries(owned, values, max_size=4))
def test_any_ilmd_returns_as_it_was(value: dict[str, Any]) -> None:
    """So does ILMD, whose names belong to whoever defined them."""
    assert returned(action="ADD", ilmd=value) == EVENT | {"action": "ADD", "ilmd": value}


@given(text)
def test_text_that_xml_can_not_hold(value: str) -> None:
    """Whatever the text, what is written is XML; controls are told as U+FFFD and all else returns."""
    told = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", value)
    assert returned(**{"x:ext": value})["x:ext"] == told


def test_standard_fields_at_their_edges() -> None:
    """Empty lists, exact numbers and attributes with line ends return as they were."""
    more = {
        "epcList": [],
        "quantityList": [{"epcClass": "urn:x:c", "quantity": parse(b"1E-30", 9)}, {"epcClass": "urn:x:d"}],
        "bizTransactionList": [],
        "sourceList": [{"type": "https://t.example/mine", "source": "urn:x:s"}],
        "readPoint": {"id": "urn:x:p", "x:deep": [1]},
        "errorDeclaration": {"declarationTime": EVENT["eventTime"], "correctiveEventIDs": [], "x:who": None},
        "persistentDisposition": {"set": ["recalled", "https://d.example/x"]},
        "sensorElementList": [
            {
                "sensorMetadata": {"x:probe": 'a\n"b"\t<', "x:count": 7},
                "sensorReport": [
                    {"type": "Temperature", "value": parse(b"-0.5", 9), "booleanValue": False, "uom": " C "},
                    {"stringValue": " as it\n is "},
                ],
                "x:note": {},
            }
        ],
    }  # fmt: skip
    more["sensorElementList"][0]["sensorReport"][0]["uom"] = "CEL"  # type: ignore[index]  # of a literal
    assert returned(**more) == EVENT | more


def test_prefixes_that_xml_or_gs1_keep_for_themselves() -> None:
    """A prefix that begins with `xml`, one of GS1's bound to something else, and an address as a name."""
    context = [{"xml": "urn:a:"}, {"gs1": "urn:b:"}, {"farmgate": "urn:c:"}]
    fields = EVENT | {
        "@context": context,
        "xml:n": "1",
        "gs1:n": "2",
        "farmgate:n": 3,
        "https://d.example/e#f": "4",
        "urn:unbound:name": ["5"],
        "sensorElementList": [{"sensorReport": [{"type": "Temperature"}]}],
        "readPoint": {"id": "urn:x:y"},
    }
    captured = CapturedEvent((), canonical(fields))
    event = StoredEvent(captured, NOW, "urn:x:e")
    again = check_xml(write_event(event).encode())
    assert meanings(again) == [meaning(event)]


@pytest.mark.parametrize(
    "namespace",
    [
        "http://www.w3.org/XML/1998/namespace",
        "http://www.w3.org/2000/xmlns/",
        "http://www.w3.org/2001/XMLSchema-instance",
        "urn:epcglobal:epcis:xsd:2",
        "urn:epcglobal:epcis-query:xsd:2",
        "urn:farmgate:json",
    ],
)
def test_namespaces_that_would_break_or_bend_the_answer(namespace: str) -> None:
    """An extension in a namespace that XML, EPCIS or this writer keeps is told by its bare name."""
    sensor = [{"sensorReport": [{"r:type": "1", "type": "Mass"}], "r:nil": "true"}]
    more = {"r:action": "DELETE", "r:is": "list", "sensorElementList": sensor}
    fields = EVENT | more | {"@context": [{"r": namespace}]}
    data = write_event(StoredEvent(CapturedEvent((), canonical(fields)), NOW, "urn:x:e")).encode()
    found = read_captured(check_xml(data).events[0]).fields
    assert {name: found[name] for name in EVENT | more} == EVENT | more


def test_one_name_in_two_spellings() -> None:
    """Attributes may not repeat, so a name that is there twice is told by elements; both values return."""
    report = {"a:n": "1", "b:n": "2", "urn:x:n": "3", "type": "Mass"}
    context = [{"a": "urn:x:"}, {"b": "urn:x:"}]
    fields = EVENT | {"@context": context, "sensorElementList": [{"sensorReport": [report]}]}
    data = write_event(StoredEvent(CapturedEvent((), canonical(fields)), NOW, "urn:x:e")).encode()
    found = read_captured(check_xml(data).events[0]).fields
    assert found["sensorElementList"] == [{"sensorReport": [{"a:n": ["1", "2", "3"], "type": "Mass"}]}]


def test_many_names_cost_little() -> None:
    """Thousands of addresses as names, each of its own namespace, are written in a moment."""
    fields = EVENT | {f"urn:n{number}:x": 1 for number in range(6_000)}
    event = StoredEvent(CapturedEvent((), canonical(fields)), NOW, "urn:x:e")
    began = time.process_time()
    root = ElementTree.fromstring(write_event(event))
    assert len(root) == len(EVENT) + 6_000
    assert time.process_time() - began < SECONDS_MAX


def test_the_document_is_of_the_standard() -> None:
    """The envelope has the namespaces, versions and order that the schemas demand."""
    document = check_xml((VALID[0].parents[1] / "xml" / "harvest-1.2.xml").read_bytes())
    data = drained(write_document(stored(document), NOW))
    root = ElementTree.fromstring(data)
    assert root.tag == "{urn:epcglobal:epcis:xsd:2}EPCISDocument"
    assert root.attrib == {"schemaVersion": "2.0", "creationDate": "2025-06-15T15:06:40.000Z"}
    harvest, washing = root.findall("EPCISBody/EventList/*")
    assert [child.tag for child in harvest] == [
        "eventTime",
        "recordTime",
        "eventTimeZoneOffset",
        "eventID",
        "certificationInfo",
        "action",
        "bizStep",
        "disposition",
        "readPoint",
        "bizLocation",
        "bizTransactionList",
        "quantityList",
        "sensorElementList",
        "persistentDisposition",
        "ilmd",
        "{https://ns.farm.example/epcis/}crew",
    ]
    assert harvest.findtext("bizStep") == "urn:epcglobal:cbv:bizstep:commissioning"
    assert washing.findtext("errorDeclaration/reason") == "urn:epcglobal:cbv:er:incorrect_data"
    assert [each.get("type") for each in harvest.iter("sensorReport")] == ["gs1:Temperature", "farm:Gloss"]
    results = check_xml(drained(write_results(stored(document), NOW, "a<b")))
    assert (results.form, len(results.events)) == (Form.QUERY, 2)


def test_no_events_are_an_empty_list() -> None:
    """An empty page is a document too."""
    assert check_xml(drained(write_results([], NOW, "SimpleEventQuery"))).events == ()
    assert Problems().found == []
