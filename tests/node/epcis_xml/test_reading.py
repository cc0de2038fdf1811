"""What EPCIS in XML says is what its JSON form says: field by field, with pointers into the JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.epcis.canonical_json import DEPTH_MAX, canonical, parse
from contracts.epcis.captured import read_captured
from contracts.epcis.document import Document, check_document
from contracts.epcis.envelope import Form
from contracts.epcis.problems import EpcisError, Problems
from ledger.errors import LedgerError
from node.epcis_xml.reading import EVENT_NODES_MAX, check_xml, is_xml, split_xml, translate
from node.pace import drained

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "epcis" / "xml"
HEAD = (
    '<epcis:EPCISDocument xmlns:epcis="urn:epcglobal:epcis:xsd:2" schemaVersion="2.0" '
    'creationDate="2026-01-01T00:00:00Z"'
)
TIMES = "<eventTime>2026-01-01T00:00:00Z</eventTime><eventTimeZoneOffset>+00:00</eventTimeZoneOffset>"
EPCS = "<epcList><epc>urn:epc:id:sgtin:9521141.012345.1</epc></epcList>"
AT = "/epcisBody/eventList/0"


def document(*events: str, attributes: str = "") -> bytes:
    """A document of version 2.0 around events."""
    body = f"<EPCISBody><EventList>{''.join(events)}</EventList></EPCISBody>"
    return f"{HEAD} {attributes}>{body}</epcis:EPCISDocument>".encode()


def seen(inner: str = "", attributes: str = "") -> str:
    """An ObjectEvent with more in it."""
    return f"<ObjectEvent {attributes}>{TIMES}{EPCS}<action>OBSERVE</action>{inner}</ObjectEvent>"


def event_of(data: bytes) -> dict[str, Any]:
    """The JSON of the first event of a sound document."""
    captured = check_xml(data).events[0]
    return read_captured(captured).fields


def extended(inner: str) -> Any:
    """What an element `x:a` with this inside becomes."""
    return event_of(document(seen(f"<x:a xmlns:x='urn:x:'>{inner}</x:a>")))["x:a"]


def problems_of(data: bytes) -> list[tuple[str, str]]:
    with pytest.raises(EpcisError) as caught:
        check_xml(data)
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


def test_what_a_document_says_of_hashing() -> None:
    """Extensions beside the events come along: fields that hashes leave out are known."""
    ignored = "<x:ignoreFields xmlns:x='urn:x:' xmlns:y='urn:y:'><y:note/><y:row/></x:ignoreFields>"
    data = document(seen("<y:note xmlns:y='urn:y:'>1</y:note>"))
    for place in (b"<EPCISBody>", b"<EventList>"):
        found = check_xml(data.replace(place, ignored.encode() + place))
        assert found.ignored == ("{urn:y:}note", "{urn:y:}row")


def test_versions_1_2_and_2_0_say_the_same_events() -> None:
    """One harvest in both versions: equal events with equal identities, whatever wraps their parts."""
    new = check_xml((EXAMPLES / "harvest-2.0.xml").read_bytes())
    old = check_xml((EXAMPLES / "harvest-1.2.xml").read_bytes())
    reads = [[read_captured(event) for event in document.events] for document in (new, old)]
    assert [read.fields for read in reads[0]] == [read.fields for read in reads[1]]
    assert [read.identity for read in reads[0]] == [read.identity for read in reads[1]]
    assert (new.form, old.form) == (Form.CAPTURE, Form.CAPTURE)


def test_an_event_in_full() -> None:
    """Each part of the sample stands in the JSON where the standard has it."""
    event = event_of((EXAMPLES / "harvest-2.0.xml").read_bytes())
    assert (event["bizStep"], event["disposition"]) == ("commissioning", "active")
    assert event["readPoint"] == {"id": "urn:epc:id:sgln:9521141.00001.7", "farm:row": "12"}
    assert event["bizTransactionList"] == [
        {"type": "prodorder", "bizTransaction": "https://farm.example/orders/42"},
        {"bizTransaction": "https://farm.example/notes/7"},
    ]
    assert [each.get("quantity") for each in event["quantityList"]] == [parse(b"812.5", 99), None]
    (sensor,) = event["sensorElementList"]
    assert sensor["sensorMetadata"]["farm:probe"] == "core"
    assert [report["type"] for report in sensor["sensorReport"]] == ["Temperature", "farm:Gloss"]
    assert sensor["sensorReport"][1]["booleanValue"] is True
    assert sensor["farm:note"] == "cooled within the hour"
    assert event["persistentDisposition"] == {"set": ["completeness_verified"]}
    assert event["ilmd"] == {
        "cbvmda:lotNumber": "L1",
        "farm:field": {"farm:hectares": "2.5", "farm:name": ["spring", "brook"]},
    }
    assert event["farm:crew"] == {"size": "4", "@value": "north"}
    assert event["certificationInfo"] == "https://certs.example/organic/17"


def test_master_data_is_what_json_says() -> None:
    """The header's master data has the form that the JSON header has; the rest of a header is dropped."""
    found = check_xml((EXAMPLES / "harvest-1.2.xml").read_bytes()).master_data
    assert found is not None
    assert parse(found, 9_999) == {
        "vocabularyList": [
            {
                "type": "urn:epcglobal:epcis:vtype:BusinessLocation",
                "vocabularyElementList": [
                    {
                        "id": "urn:epc:id:sgln:9521141.00001.0",
                        "attributes": [{"id": "urn:epcglobal:cbv:mda:name", "attribute": "Spring field"}],
                        "children": ["urn:epc:id:sgln:9521141.00001.7"],
                    }
                ],
            }
        ]
    }


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", ""),
        ("  text \n", "text"),
        ("<![CDATA[<b>]]>", "<b>"),
        ("t<!-- c -->wo", "two"),
        ("<b/>", {"b": ""}),
        ("<b>1</b><b>2</b><c>3</c><b/>", {"b": ["1", "2", ""], "c": "3"}),
        ("<x:b y='1'>2</x:b>", {"x:b": {"y": "1", "@value": "2"}}),
        ("one<b>2</b>", {"b": "2", "@value": "one"}),
        ("<b xml:lang='de'>eins</b>", {"b": {"@language": "de", "@value": "eins"}}),
        ("<b xml:space='preserve'> s </b>", {"b": " s "}),
        (
            "<b xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:type='int' >10</b>",
            {"b": "10"},
        ),
        ("<b xmlns:j='urn:farmgate:json' j:is='number'>+007.50</b>", {"b": parse(b"7.5", 9)}),
        ("<b xmlns:j='urn:farmgate:json' j:is='number'>INF</b>", {"b": "INF"}),
        (f"<b xmlns:j='urn:farmgate:json' j:is='number'>{'9' * 50}</b>", {"b": "9" * 50}),
        ("<b xmlns:j='urn:farmgate:json' j:is='boolean'>false</b>", {"b": False}),
        ("<b xmlns:j='urn:farmgate:json' j:is='null'/>", {"b": None}),
        ("<b xmlns:j='urn:farmgate:json' j:is='object'/>", {"b": {}}),
        ("<b xmlns:j='urn:farmgate:json' j:is='list'/>", {"b": []}),
        ("<b xmlns:j='urn:farmgate:json' j:in='list'>1</b>", {"b": ["1"]}),
        ("<b xmlns:j='urn:farmgate:json' j:is='list'><c>1</c><d/></b>", {"b": ["1", ""]}),
        ("<b_x0020_c>1</b_x0020_c>", {"b c": "1"}),
        ("<b_xD800_/><b_xFFFFFF_/>", {"b_xD800_": "", "b_xFFFFFF_": ""}),
        ("<epcis:quantity xmlns:epcis='urn:epcglobal:epcis:xsd:2'>1</epcis:quantity>", {"quantity": "1"}),
    ],
)
def test_extensions_are_kept(inner: str, expected: Any) -> None:
    """Text stays text, what repeats is a list, attributes are members, and a mark tells what else it was."""
    assert extended(inner) == expected


def test_prefixes_stand_in_the_context() -> None:
    """A prefix bound at any level is bound for the event, and only what an event mentions goes with it."""
    first = seen("<a:n>1</a:n>", "xmlns:a='urn:a:' xmlns:unused='urn:u:'")
    second = seen("<b:n xmlns:b='urn:b:'><c:m>b:word</c:m></b:n>")
    found = check_xml(document(first, second, attributes="xmlns:c='urn:c:'"))
    assert [event.prefixes for event in found.events] == [
        (("a", "urn:a:"),),
        (("b", "urn:b:"), ("c", "urn:c:")),
    ]


def test_one_prefix_with_two_meanings() -> None:
    """Between events the later one binds its own; within an event the second gets another prefix."""
    first = seen("<a:n xmlns:a='urn:a:'>1</a:n>")
    second = seen("<a:n xmlns:a='urn:b:'>1</a:n><a:m xmlns:a='urn:c:'>2</a:m>")
    found = check_xml(document(first, second))
    assert found.events[0].prefixes == (("a", "urn:a:"),)
    event = read_captured(found.events[1]).fields
    assert event["@context"] == [{"a": "urn:b:"}]
    assert (event["a:n"], event["ns1:m"]) == ("1", "2")
    assert dict(found.events[1].prefixes) == {"ns1": "urn:c:"}


def test_words_with_prefixes_keep_their_meaning() -> None:
    """A `prefix:word` in a field is bound as at its place, and written out where its prefix is taken."""
    inner = "<bizStep xmlns:s='urn:s:'>s:wash</bizStep><disposition xmlns:s='urn:t:'>s:wet</disposition>"
    event = event_of(document(seen(inner)))
    assert (event["bizStep"], event["disposition"]) == ("s:wash", "ns1:wet")


@pytest.mark.parametrize("namespace", ["http", "relative/address", ""])
def test_namespaces_that_no_context_binds(namespace: str) -> None:
    """An extension whose namespace is no absolute address is refused by name; without one it is unknown."""
    element = f"<x:a xmlns:x='{namespace}'/>" if namespace else "<a xmlns=''/>"
    code = "epcis.bad_context" if namespace else "epcis.unknown_field"
    assert problems_of(document(seen(element)))[0] == (code, f"{AT}/a")


def test_default_and_odd_prefixes_get_a_plain_one() -> None:
    """An extension without a prefix, or with one that JSON-LD can't bind, gets one that it can."""
    inner = "<a xmlns='urn:d:'/><é:b xmlns:é='urn:e:'/><urn:c xmlns:urn='urn:f:'/><cbv:d xmlns:cbv='urn:g:'/>"
    event = event_of(document(seen(inner)))
    assert [name for name in event if name.startswith("ns")] == ["ns1:a", "ns2:b", "ns3:c", "ns4:d"]


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("urn:epcglobal:cbv:bizstep:packing", "packing"),
        ("https://ref.gs1.org/cbv/BizStep-packing", "packing"),
        ("cbv:BizStep-packing", "packing"),
        (" packing\n", "packing"),
        ("urn:example:bizstep:packing", "urn:example:bizstep:packing"),
        ("cbv:my_own_step", "cbv:my_own_step"),
        ("https://steps.example/x", "https://steps.example/x"),
    ],
)
def test_terms_of_the_cbv_are_bare_words(text: str, term: str) -> None:
    """All four spellings of a CBV term become its word, and no other term is touched."""
    assert event_of(document(seen(f"<bizStep>{text}</bizStep>")))["bizStep"] == term


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("150", "150"),
        ("+7", "7"),
        ("-0", "0"),
        ("007.50", "7.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1E3", "1000"),
    ],
)
def test_numbers_of_xml_schema(text: str, number: str) -> None:
    """Every spelling that XML Schema has is the exact number."""
    quantity = f"<quantityElement><epcClass>urn:x:c</epcClass><quantity> {text} </quantity></quantityElement>"
    event = event_of(document(seen(f"<quantityList>{quantity}</quantityList>")))
    assert event["quantityList"][0]["quantity"] == parse(number.encode(), 99)


@pytest.mark.parametrize("text", ["", "INF", "NaN", "-", ".", "1,5", "0x1", "１", "1e", "e5"])
def test_what_is_no_number_is_refused(text: str) -> None:
    """A quantity that is no number is named; infinity is none."""
    quantity = f"<quantityElement><epcClass>urn:x:c</epcClass><quantity>{text}</quantity></quantityElement>"
    found = problems_of(document(seen(f"<quantityList>{quantity}</quantityList>")))
    assert found == [("epcis.wrong_type", f"{AT}/quantityList/0/quantity")]


@pytest.mark.parametrize("text", ["9" * 39, "1E999", "1E-999", "0" * 200 + "1"])
def test_numbers_beyond_reason_are_refused(text: str) -> None:
    """No number costs more than its limit."""
    report = f"<sensorElement><sensorReport type='gs1:Mass' value='{text}'/></sensorElement>"
    found = problems_of(document(seen(f"<sensorElementList>{report}</sensorElementList>")))
    assert found[0] == (
        "json.number_out_of_range",
        f"{AT}/sensorElementList/0/sensorReport/0/value",
    )


def test_nil_is_absent() -> None:
    """A quantity that is nil is one that is not given."""
    nil = "<quantity xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='true'/>"
    inner = (
        f"<quantityList><quantityElement><epcClass>urn:x:c</epcClass>{nil}</quantityElement></quantityList>"
    )
    assert event_of(document(seen(inner)))["quantityList"] == [{"epcClass": "urn:x:c"}]


def test_an_epc_that_stands_twice_stands_once() -> None:
    """A list of EPCs is a set; XML lets one repeat and JSON does not."""
    event = (
        f"<ObjectEvent>{TIMES}{EPCS.replace('</epcList>', '')}{EPCS[9:]}<action>ADD</action></ObjectEvent>"
    )
    assert len(event_of(document(event))["epcList"]) == 1


def test_certificates() -> None:
    """One certificate is a URI, several are a list."""
    one = "<certificationInfo>https://c.example/1</certificationInfo>"
    assert event_of(document(seen(one)))["certificationInfo"] == "https://c.example/1"
    two = one + one.replace("/1", "/2", 1).replace("example/1", "example/2")
    assert event_of(document(seen(two)))["certificationInfo"] == [
        "https://c.example/1",
        "https://c.example/2",
    ]


def test_what_only_version_1_allows_is_an_extension() -> None:
    """Text as a certificate and ILMD of an observation come with 1.2 documents; they are kept, not lost."""
    inner = (
        "<extension><ilmd><x:a xmlns:x='urn:x:'>1</x:a></ilmd></extension>"
        "<certificationInfo>yes</certificationInfo>"
    )
    new = document(seen(inner))
    old = new.replace(b"xsd:2", b"xsd:1").replace(b'"2.0"', b'"1.2"')
    event = event_of(old)
    assert (event["epcis:certificationInfo"], event["epcis:ilmd"]) == ("yes", {"x:a": "1"})
    assert problems_of(new) == [
        ("epcis.bad_uri", f"{AT}/certificationInfo"),
        ("epcis.ilmd_not_allowed", f"{AT}/ilmd"),
    ]


@pytest.mark.parametrize(
    ("inner", "code", "pointer"),
    [
        ("<madeUp>1</madeUp>", "epcis.unknown_field", "/madeUp"),
        ("<action>ADD</action>", "epcis.duplicate_field", "/action"),
        ("<extension><action>ADD</action></extension>", "epcis.duplicate_field", "/action"),
        ("<type>x</type>", "epcis.duplicate_field", "/type"),
        ("stray", "epcis.wrong_type", ""),
        ("<bizStep><b/>packing</bizStep>", "epcis.wrong_type", "/bizStep"),
        ("<bizStep a='1'>packing</bizStep>", "epcis.unknown_field", "/bizStep/a"),
        ("<bizStep/>", "epcis.bad_term", "/bizStep"),
        ("<bizStep>urn:epcglobal:cbv:bizstep:transforming</bizStep>", "epcis.unknown_term", "/bizStep"),
        ("<bizStep>urn:epcglobal:cbv:disp:active</bizStep>", "epcis.unknown_term", "/bizStep"),
        ("<readPoint/>", "epcis.missing_field", "/readPoint/id"),
        ("<readPoint>urn:x:y</readPoint>", "epcis.wrong_type", "/readPoint"),
        (
            "<sourceList><destination>urn:x:y</destination></sourceList>",
            "epcis.unknown_field",
            "/sourceList/destination",
        ),
        ("<sourceList><source>urn:x:y</source></sourceList>", "epcis.missing_field", "/sourceList/0/type"),
        (
            "<sensorElementList><sensorElement/></sensorElementList>",
            "epcis.missing_field",
            "/sensorElementList/0/sensorReport",
        ),
        ("<errorDeclaration/>", "epcis.missing_field", "/errorDeclaration/declarationTime"),
        ("<eventID>no uri</eventID>", "epcis.bad_uri", "/eventID"),
        ("<childEPCs/>", "epcis.unknown_field", "/childEPCs"),
        ("<readPoint id='urn:x:y'/>", "epcis.unknown_field", "/readPoint/id"),
    ],
)
def test_faults_are_named_by_pointer(inner: str, code: str, pointer: str) -> None:
    """What is wrong with an event is found where its JSON form has it."""
    assert (code, AT + pointer) in problems_of(document(seen(inner)))


def test_attributes_are_no_fields() -> None:
    """EPCIS defines no attributes on an event: without a namespace one is unknown, with one it extends."""
    event = seen("<x:b>1</x:b>", "xmlns:x='urn:x:' x:a='2'")
    assert (event_of(document(event))["x:a"], event_of(document(event))["x:b"]) == ("2", "1")
    for name in ("type", "eventID", "schemaVersion"):
        assert (problems_of(document(seen(attributes=f"{name}='urn:x:y'")))) == [
            ("epcis.unknown_field", f"{AT}/{name}")
        ]


@pytest.mark.parametrize(("name", "pointer"), [("EPCISBody", ""), ("EventList", "/eventList")])
def test_no_events_are_lost_in_a_second_list(name: str, pointer: str) -> None:
    """A second body or list is refused, not passed over."""
    data = document(seen())
    part = data[data.index(f"<{name}>".encode()) : data.index(f"</{name}>".encode()) + len(name) + 3]
    assert problems_of(data.replace(part, part + part)) == [("epcis.duplicate_field", f"/epcisBody{pointer}")]


def test_results_of_version_1_are_read() -> None:
    """A query document of 1.2, its EPCIS elements with or without a prefix."""
    data = (
        "<q:EPCISQueryDocument xmlns:q='urn:epcglobal:epcis-query:xsd:1' schemaVersion='1' creationDate='"
        "2026-01-01T00:00:00Z'><EPCISBody><q:QueryResults><queryName>mine</queryName><resultsBody><EventList>"
        f"{seen()}<extension>{seen()}</extension></EventList></resultsBody></q:QueryResults></EPCISBody>"
        "</q:EPCISQueryDocument>"
    )
    found = check_xml(data.encode())
    assert (found.form, len(found.events)) == (Form.QUERY, 2)
    assert found.pointers[1] == "/epcisBody/queryResults/resultsBody/eventList/1"


def test_times_come_before_the_action() -> None:
    """EPCIS 2.0 has the times first; that much of the order is held to, and none of it for 1.2."""
    event = f"<ObjectEvent><action>ADD</action>{TIMES}{EPCS}</ObjectEvent>"
    assert problems_of(document(event)) == [("epcis.wrong_order", f"{AT}/action")]
    assert problems_of(event.encode()) == [("epcis.wrong_order", "/action")]
    old = document(event).replace(b"xsd:2", b"xsd:1").replace(b'"2.0"', b'"1.2"')
    assert event_of(old)["action"] == "ADD"


@pytest.mark.parametrize(
    ("data", "code", "pointer"),
    [
        (b"<a/>", "epcis.not_a_document", ""),
        (b"<EPCISDocument schemaVersion='2.0'/>", "epcis.not_a_document", ""),
        (b"<EPCISDocument xmlns='urn:other'/>", "epcis.not_a_document", ""),
        (b"<ObjectEvent xmlns='urn:other'/>", "epcis.not_a_document", ""),
        (document(seen()).replace(b'"2.0"', b'"1.2"'), "epcis.unknown_version", "/schemaVersion"),
        (document(seen()).replace(b"xsd:2", b"xsd:1"), "epcis.unknown_version", "/schemaVersion"),
        (document(seen()).replace(b"EPCISBody", b"Body"), "epcis.missing_field", "/epcisBody"),
        (document(seen()).replace(b"EventList", b"List"), "epcis.missing_field", "/epcisBody/eventList"),
        (document("<QuantityEvent/>"), "epcis.unknown_kind", f"{AT}/type"),
        (document("<x:ObjectEvent xmlns:x='urn:x'/>"), "epcis.unknown_kind", f"{AT}/type"),
        (
            b"<q:EPCISQueryDocument xmlns:q='urn:epcglobal:epcis-query:xsd:2' schemaVersion='2.0'>"
            b"<EPCISBody><q:Poll/></EPCISBody></q:EPCISQueryDocument>",
            "epcis.not_a_document",
            "/epcisBody/queryResults",
        ),
    ],
)
def test_other_documents_are_refused(data: bytes, code: str, pointer: str) -> None:
    """A wrong root, namespace, version or body is named."""
    assert problems_of(data)[0] == (code, pointer)


def test_a_nest_beyond_what_json_holds_is_refused() -> None:
    """Elements that repeat are lists of objects, so half the depth of elements may be too deep as JSON."""
    levels = DEPTH_MAX // 2
    nest = "<b/><b>" * levels + "</b>" * levels
    data = document(seen(f"<x:a xmlns:x='urn:x:'>{nest}</x:a>"))
    assert problems_of(data) == [("json.too_deep", AT)]


def test_the_envelope_is_cut_without_its_events_checked() -> None:
    """A gateway cuts first and checks each event later, as with JSON."""
    found = drained(split_xml(document(seen("<madeUp/>"), seen())))
    assert (len(found.events), found.pointers) == (2, (AT, "/epcisBody/eventList/1"))


def test_a_bare_event_is_read() -> None:
    """An event without a document, in EPCIS's namespace or none; what a document would say is dropped."""
    data = seen("<x:a>1</x:a>", "schemaVersion='2.0' creationDate='x' xmlns:x='urn:x:'").encode()
    found = check_xml(data)
    assert (found.form, found.pointers) == (Form.BARE, ("",))
    assert read_captured(found.events[0]).fields["x:a"] == "1"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"<a/>", True),
        (b"\xef\xbb\xbf \r\n<a/>", True),
        ("<a/>".encode("utf-16"), True),
        ("<a/>".encode("utf-16-be"), True),
        (b"{}", False),
        (b"", False),
        (b"\xef\xbb\xbf{}", False),
    ],
)
def test_content_tells_the_form(data: bytes, expected: bool) -> None:
    """XML begins with `<`, JSON never does, whatever a file is called."""
    assert is_xml(data) is expected


def test_an_event_of_too_many_parts_is_refused_unread() -> None:
    """One event is read in one step, so what it holds is counted first; the next one is read all the same."""
    event = seen(f"<x:a xmlns:x='urn:x:'>{'<b/>' * EVENT_NODES_MAX}</x:a>")
    with pytest.raises(EpcisError) as caught:
        drained(split_xml(document(event, seen("stray"))))
    assert [(problem.code, problem.pointer) for problem in caught.value.problems] == [
        ("epcis.event_too_large", AT),
        ("epcis.wrong_type", "/epcisBody/eventList/1"),
    ]


def test_too_many_events_are_refused() -> None:
    """The limit of events is that of JSON documents."""
    with pytest.raises(LedgerError) as caught:
        drained(split_xml(document("<ObjectEvent/>" * 5_001)))
    assert caught.value.code == "epcis.too_many_events"


def test_json_and_xml_of_one_event_are_one_event() -> None:
    """The JSON that a translation gives is itself a document with the same events."""
    data = (EXAMPLES / "harvest-2.0.xml").read_bytes()
    value = drained(translate(data, Problems()))
    assert value is not None
    again: Document = check_document(canonical(value))
    assert again.events == check_xml(data).events
