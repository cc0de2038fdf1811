"""The CBV event hash: published vectors, rules of docs/spec/cbv-event-hash.md, what it never depends on."""

from __future__ import annotations

import copy
import hashlib
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.canonical_json import DEPTH_MAX, NUMBER_DIGITS_MAX, canonical, parse
from contracts.epcis.captured import EVENT_BYTES_MAX, parse_body
from contracts.epcis.document import Document, check_document
from contracts.epcis.event_hash import event_hash, named_hash
from contracts.epcis.hash_spelling import reading_text
from contracts.epcis.pre_hash import ignored_fields, pre_hash
from contracts.epcis.prefixes import NAMESPACE_LENGTH_MAX
from contracts.epcis.validate import validate_event
from node.epcis_xml.reading import check_xml

ROOT: Final = Path(__file__).resolve().parents[3]
Sample: TypeAlias = dict[str, Any]

# One reader for each form that vectors are published in.
READERS: Final[dict[str, Callable[[bytes], Document]]] = {".jsonld": check_document, ".xml": check_xml}
FORMS: Final = (".jsonld", ".xml")
PAIRS: Final = (  # in both forms, which share one file of hashes
    "CertificationInfoAndSensorReportWithCRS",
    "ReferenceEventHashAlgorithm2",
    "epcisDocWithXMLstartTagAndErrorDeclaration",
)
NO_PRE_HASHES: Final = ("epcisDocHavingEventWithComment",)
# Published pre-hash strings that do not have the published hash: their files are garbled.
GARBLED: Final = (("epcisDocWithAllGS1Keys", 0), ("epcisDocWithDefaultSchemaInContext", 1))
EVENTS_IN: Final = {".jsonld": 13, ".xml": 18}

PREFIXES: Final = (("ex", "https://example.org/ns#"), ("shop", "https://shop.example/voc/"))
EVENT: Final[Sample] = {
    "type": "ObjectEvent",
    "eventTime": "2026-03-01T08:00:00.0005+02:00",
    "eventTimeZoneOffset": "+02:00",
    "certificationInfo": ["https://cert.example/2", "https://cert.example/1"],
    "epcList": ["urn:epc:id:sgtin:9521141.012345.A1", "urn:epc:id:sscc:9521141.0000000017"],
    "quantityList": [
        {"epcClass": "urn:epc:class:lgtin:9521141.012345.L-7", "quantity": 12, "uom": "KGM"},
        {"epcClass": "urn:epc:idpat:sgtin:9521141.012345.*", "quantity": 3},
    ],
    "action": "ADD",
    "bizStep": "commissioning",
    "disposition": "active",
    "persistentDisposition": {"set": ["recalled", "damaged"], "unset": ["expired"]},
    "readPoint": {"id": "urn:epc:id:sgln:9521141.01234.gate", "ex:door": "north"},
    "bizLocation": {"id": "urn:epc:id:sgln:9521141.01234.0", "ex:aisle": "7"},
    "bizTransactionList": [
        {"type": "po", "bizTransaction": "https://shop.example/po/2"},
        {"bizTransaction": "https://shop.example/po/1"},
    ],
    "sourceList": [
        {"type": "owning_party", "source": "urn:epc:id:pgln:9521141.01234"},
        {"type": "location", "source": "urn:epc:id:sgln:9521141.01234.0"},
    ],
    "destinationList": [{"type": "possessing_party", "destination": "urn:epc:id:pgln:9521141.01235"}],
    "sensorElementList": [
        {
            "sensorMetadata": {
                "time": "2026-03-01T06:00:00Z",
                "deviceID": "urn:epc:id:giai:9521141.9",
                "ex:battery": Decimal("0.5"),
            },
            "sensorReport": [
                {"type": "Temperature", "value": 4, "uom": "CEL", "component": "x", "ex:probe": "a"},
                {"type": "Temperature", "exception": "ALARM_CONDITION", "booleanValue": True},
            ],
            "ex:rack": {"ex:row": "1", "ex:slot": "2"},
        },
        {"sensorReport": [{"type": "Humidity", "value": 70, "bizRules": "https://shop.example/rule/1"}]},
    ],
    "ilmd": {"cbvmda:lotNumber": "L-7", "ex:harvest": {"ex:field": "F3", "ex:crew": ["b", "a"]}},
    "shop:note": "dew",
    "ex:tags": ["x", {"ex:deep": [1, True]}],
}


def hashes_of(document: Document) -> list[tuple[str, str]]:
    texts = [pre_hash(parse_body(each), each.prefixes, document.ignored) for each in document.events]
    return [(text, named_hash(text)) for text in texts]


def published(folder: Path, form: str) -> Iterator[tuple[str, list[tuple[str, str]], list[str], list[str]]]:
    """Each document of a form with what we make of it, and its published hashes and pre-hash strings."""
    for path in sorted(folder.glob(f"*{form}")):
        found = hashes_of(READERS[form](path.read_bytes()))
        hashes = path.with_suffix(".hashes").read_text("utf-8").split()
        strings = path.with_suffix(".prehashes")
        lines = strings.read_text("utf-8").split("\n") if strings.exists() else []
        yield path.stem, found, hashes, [line for line in lines if line]


def hash_of(**changes: Any) -> str:
    return event_hash({name: each for name, each in (EVENT | changes).items() if each is not None}, PREFIXES)


def text_of(event: Sample, *, prefixes: tuple[tuple[str, str], ...] = PREFIXES) -> str:
    """The pre-hash string of the smallest event with these fields, without its three first ones."""
    whole: Sample = {
        "type": "ObjectEvent",
        "eventTime": "2026-03-01T08:00:00Z",
        "eventTimeZoneOffset": "+00:00",
    }
    head = "eventType=ObjectEventeventTime=2026-03-01T08:00:00.000ZeventTimeZoneOffset=+00:00"
    found = pre_hash(whole | event, prefixes)
    assert found.startswith(head)
    return found.removeprefix(head)


def report_text(report: Sample) -> str:
    text = text_of({"sensorElementList": [{"sensorReport": [report]}]})
    return text.removeprefix("sensorElementListsensorElementsensorReport")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in members:
        if isinstance(item, dict | list):
            yield from leaves(item, (*path, key))
        else:
            yield (*path, key), item


def without_or_with(event: Sample, path: tuple[Any, ...], value: Any) -> Sample:
    """A copy in which a leaf is another value, or gone where the value is None."""
    changed: Any = copy.deepcopy(event)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return changed  # type: ignore[no-any-return]  # a copy of an event is an event


def shuffled(value: Any, chance: random.Random) -> Any:
    """The same value with the keys of every object and the items of every list in another order."""
    if isinstance(value, dict):
        names = list(value)
        chance.shuffle(names)
        return {name: shuffled(value[name], chance) for name in names}
    if isinstance(value, list):
        items = [shuffled(each, chance) for each in value]
        chance.shuffle(items)
        return items
    return value


def test_every_rule_is_cited() -> None:
    """The rules that the specification numbers are those that tests here name."""
    page = (ROOT / "docs/spec/cbv-event-hash.md").read_text("utf-8")
    stated = re.findall(r"^(?:\| |\*\*)(CH\d+)\b", page, re.MULTILINE)
    cited = re.findall(r"\bCH\d+\b", Path(__file__).read_text("utf-8"))
    assert sorted(stated) == sorted({*stated}) == sorted({*cited})


@pytest.mark.parametrize("form", sorted(READERS))
def test_published_hashes(shared_data: Path, form: str) -> None:
    """CH1: every event of every published document has the published hash."""
    events = 0
    for stem, found, hashes, _ in published(shared_data / "epcis-event-hash", form):
        assert [name for _, name in found] == hashes, stem
        events += len(found)
    assert events == EVENTS_IN[form]


@pytest.mark.parametrize("form", sorted(READERS))
def test_published_pre_hash_strings(shared_data: Path, form: str) -> None:
    """CH1: so are the pre-hash strings, but where the published one is not what the published hash is of."""
    for stem, found, hashes, strings in published(shared_data / "epcis-event-hash", form):
        assert len(strings) == (0 if stem in NO_PRE_HASHES else len(found)), stem
        for index, string in enumerate(strings):
            if (stem, index) in GARBLED:
                assert named_hash(string) != hashes[index], stem
            else:
                assert found[index][0] == string, stem


def test_which_vectors_are_in_both_forms(shared_data: Path) -> None:
    """CH1: three documents are published as JSON and as XML, with one list of hashes for both."""
    stems = [{path.stem for path in (shared_data / "epcis-event-hash").glob(f"*{form}")} for form in FORMS]
    assert sorted(stems[0] & stems[1]) == sorted(PAIRS)


def test_the_sample_is_a_valid_event() -> None:
    """What the tests below vary is an event that the ledger accepts."""
    validate_event(EVENT, PREFIXES)


def test_the_whole_string_in_its_order() -> None:
    """CH4, CH5, CH11 to CH14: an event with all kinds of fields, written out by hand."""
    assert pre_hash(EVENT, PREFIXES) == (
        "eventType=ObjectEvent"
        "eventTime=2026-03-01T06:00:00.001Z"
        "eventTimeZoneOffset=+02:00"
        "certificationInfo=https://cert.example/1"
        "certificationInfo=https://cert.example/2"
        "epcListepc=https://id.gs1.org/00/095211410000000175epc=https://id.gs1.org/01/09521141123454/21/A1"
        "quantityList"
        "quantityElementepcClass=https://id.gs1.org/01/09521141123454/10/L-7quantity=12uom=KGM"
        "quantityElementepcClass=https://id.gs1.org/01/09521141123454quantity=3"
        "action=ADD"
        "bizStep=https://ref.gs1.org/cbv/BizStep-commissioning"
        "disposition=https://ref.gs1.org/cbv/Disp-active"
        "persistentDispositionset=https://ref.gs1.org/cbv/Disp-damagedset=https://ref.gs1.org/cbv/Disp-recalled"
        "unset=https://ref.gs1.org/cbv/Disp-expired"
        "readPointid=https://id.gs1.org/414/9521141012345/254/gate{https://example.org/ns#}door=north"
        "bizLocationid=https://id.gs1.org/414/9521141012345{https://example.org/ns#}aisle=7"
        "sensorElementList"
        "sensorElementsensorMetadatatime=2026-03-01T06:00:00.000Z"
        "deviceID=https://id.gs1.org/8004/95211419{https://example.org/ns#}battery=0.5"
        "sensorReporttype=https://gs1.org/voc/Temperatureexception=https://gs1.org/voc/ALARM_CONDITION"
        "booleanValue=true"
        "sensorReporttype=https://gs1.org/voc/Temperaturevalue=4component=https://ref.gs1.org/cbv/Comp-x"
        "uom=CEL{https://example.org/ns#}probe=a"
        "{https://example.org/ns#}rack{https://example.org/ns#}row=1{https://example.org/ns#}slot=2"
        "sensorElementsensorReporttype=https://gs1.org/voc/Humidityvalue=70"
        "bizTransactionListbizTransaction=https://shop.example/po/1"
        "type=https://ref.gs1.org/cbv/BTT-pobizTransaction=https://shop.example/po/2"
        "destinationListtype=https://ref.gs1.org/cbv/SDT-possessing_party"
        "destination=https://id.gs1.org/417/9521141012352"
        "ilmd{https://example.org/ns#}harvest{https://example.org/ns#}crew=a{https://example.org/ns#}crew=b"
        "{https://example.org/ns#}field=F3{urn:epcglobal:cbv:mda}lotNumber=L-7"
        "sensorElementListsensorElementsensorReportbizRules=https://shop.example/rule/1"
        "sourceListtype=https://ref.gs1.org/cbv/SDT-locationsource=https://id.gs1.org/414/9521141012345"
        "type=https://ref.gs1.org/cbv/SDT-owning_partysource=https://id.gs1.org/417/9521141012345"
        "{https://example.org/ns#}tags=x"
        "{https://example.org/ns#}tags{https://example.org/ns#}deep=1{https://example.org/ns#}deep=true"
        "{https://shop.example/voc/}note=dew"
    )


@given(st.randoms(use_true_random=False))
def test_order_says_nothing(chance: random.Random) -> None:
    """CH11: the hash is one, however the keys of all objects and the items of all lists are ordered."""
    assert event_hash(shuffled(EVENT, chance), tuple(sorted(PREFIXES))) == hash_of()


foreign = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(("ex:a", "ex:b", "shop:a", "plain", "@value")), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(foreign, st.randoms(use_true_random=False))
def test_order_says_nothing_in_foreign_data(value: Any, chance: random.Random) -> None:
    """CH11, CH12: nor does it in whatever JSON an extension and ILMD hold."""
    expected = hash_of(ilmd={"ex:x": value}, **{"ex:y": value})
    assert hash_of(ilmd={"ex:x": shuffled(value, chance)}, **{"ex:y": shuffled(value, chance)}) == expected


def test_every_valid_document_has_hashes(shared_data: Path) -> None:
    """CH1, CH11: each event of the valid documents has a hash, one in all orders of keys and lists."""
    chance = random.Random(16)
    events = 0
    valid = shared_data / "epcis" / "valid"
    paths = [*valid.glob("2.0-json-capture/**/*.json"), *valid.glob("2.0-json-query/**/*.json")]
    for path in sorted(each for each in paths if each.parent.name != "queries"):
        for each in check_document(path.read_bytes()).events:
            event = parse_body(each)
            expected = event_hash(event, each.prefixes)
            own = event.pop("@context", [])
            again = shuffled(event, chance) | {"@context": own}
            assert event_hash(again, each.prefixes) == expected, path.name
            events += 1
    assert events == 101


def test_the_name_of_a_prefix_says_nothing() -> None:
    """CH12: the same namespaces under other prefixes are the same event."""
    renamed = parse(canonical(EVENT).replace(b'"ex:', b'"zz:').replace(b'"shop:', b'"a:'), EVENT_BYTES_MAX)
    assert isinstance(renamed, dict)
    prefixes = (("a", dict(PREFIXES)["shop"]), ("zz", dict(PREFIXES)["ex"]))
    assert event_hash(renamed, prefixes) == hash_of()


@given(st.permutations(range(3)))
def test_what_was_hashed_before_says_nothing(order: list[int]) -> None:
    """No name or prefix of one event is remembered for another, in whatever order they come."""
    asked = [
        ({"ex:a": "1"}, (("ex", "https://one.example/"),)),
        ({"ex:a": "1"}, (("ex", "https://two.example/"),)),
        ({"ex:a": "1"}, ()),
    ]
    expected = ["{https://one.example/}a=1", "{https://two.example/}a=1", "{ex:}a=1"]
    for index in order:
        event, prefixes = asked[index]
        assert text_of(event, prefixes=prefixes) == expected[index]


def test_the_process_says_nothing() -> None:
    """Another process, with whatever seed of string hashes, finds the same."""
    words = "import sys; from contracts.epcis.canonical_json import parse; "
    words += "from contracts.epcis.event_hash import event_hash as f; "
    words += "e, p = parse(sys.stdin.buffer.read(), 10_000); print(f(e, tuple(map(tuple, p))))"
    for seed in ("0", "1", "4711"):
        answer = subprocess.run(
            [sys.executable, "-c", words],
            input=canonical([EVENT, [list(pair) for pair in PREFIXES]]),
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            cwd=ROOT,
        )
        assert answer.stdout.decode().strip() == hash_of()


def test_every_change_of_a_field_that_counts_changes_the_hash() -> None:
    """Each value changed, each value gone and each key renamed: another hash every time."""
    seen = {hash_of(): "the event"}
    tried = 0
    for path, value in leaves(EVENT):
        match value:
            case bool():
                other: Any = not value
            case str() if path[-1] in ("eventTime", "time"):
                other = value.replace("03-01", "03-02")
            case str() if path == ("type",):
                other = "TransactionEvent"
            case str():
                other = value + "9"
            case _:
                other = value + 1
        versions = [without_or_with(EVENT, path, other)]
        if path[-1] not in ("type", "eventTime", "id", "source", "destination", "bizTransaction"):
            versions.append(without_or_with(EVENT, path, None))
        for version in versions:
            found = event_hash(version, PREFIXES)
            assert found not in seen, (path, seen.get(found))
            seen[found] = str(path)
            tried += 1
    assert tried > 90


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("eventID", "urn:uuid:374d95fc-9457-4a51-bd6a-0bba133845a8"),
        ("recordTime", "2026-03-02T00:00:00Z"),
        ("errorDeclaration", {"declarationTime": "2026-03-02T00:00:00Z", "ex:why": "typo"}),
        ("rdfs:comment", "as told on the telephone"),
        ("http://www.w3.org/2000/01/rdf-schema#comment", "the same name in full"),
        ("@context", [{"other": "https://other.example/"}]),
        ("epcList", [*EVENT["epcList"]]),
    ],
)
def test_what_is_no_part_of_an_event(name: str, value: Any) -> None:
    """CH2: identity, record time, comments and declarations of error: one has the hash of its event."""
    assert hash_of(**{name: value}) == hash_of()


def test_a_comment_is_none_whatever_its_prefix() -> None:
    """CH2: a comment is known by its namespace, at every level; a `comment` of anybody else's counts."""
    rdfs = (("r", "http://www.w3.org/2000/01/rdf-schema#"), ("rdfs", "https://not.example/"))
    assert text_of({"r:comment": "x", "r:label": {"r:comment": "y"}}, prefixes=rdfs) == (
        "{http://www.w3.org/2000/01/rdf-schema#}label"
    )
    assert text_of({"rdfs:comment": "x"}, prefixes=rdfs) == "{https://not.example/}comment=x"


def test_documents_name_what_they_leave_out() -> None:
    """CH3: extensions in an `ignoreFields` drop out by their full name; fields of the standard never do."""
    holder: Sample = {"my:ignoreFields": ["ex:tags", "bizStep", 7], "ex:dontignoreFields": ["shop:note"]}
    bound = {
        "my": "https://my.example/",
        "ex": "https://example.org/ns#",
        "shop": "https://shop.example/voc/",
    }
    ignored = ignored_fields(holder, bound)
    assert ignored == ("{https://example.org/ns#}tags",)
    slim = {name: value for name, value in EVENT.items() if name != "ex:tags"}
    assert event_hash(EVENT, PREFIXES, ignored) == event_hash(slim, PREFIXES)
    assert ignored_fields({"my:ignoreFields": {"ex:tags": ""}}, bound) == ignored
    assert ignored_fields({"my:ignoreFields": "ex:tags"}, bound) == ignored
    assert ignored_fields({"ignoreFields": ["ex:tags"], "my:ignoreFields": None}, bound) == ()


def test_a_document_is_asked_on_the_way_to_its_events() -> None:
    """CH3: an `ignoreFields` stands beside the events or above them."""
    context: list[Any] = ["https://ref.gs1.org/standards/epcis/epcis-context.jsonld", dict(PREFIXES)]
    head: Sample = {"@context": context, "schemaVersion": "2.0", "creationDate": "2026-03-01T08:00:00Z"}
    leaving = {"ex:ignoreFields": ["ex:tags"]}
    body: Sample = {"eventList": [EVENT]}
    captures = [
        head | leaving | {"type": "EPCISDocument", "epcisBody": body},
        head | {"type": "EPCISDocument", "epcisBody": body | leaving},
    ]
    results = {"queryName": "q", "resultsBody": body, **leaving}
    captures.append(head | {"type": "EPCISQueryDocument", "epcisBody": {"queryResults": results}})
    for capture in captures:
        document = check_document(canonical(capture))
        assert hashes_of(document)[0][1] == hash_of(**{"ex:tags": None})


def test_empty_values_and_white_space() -> None:
    """CH5: white space at the ends drops out, and so does whatever is empty, its name included."""
    empty: Sample = {
        "epcList": [],
        "quantityList": [],
        "sensorElementList": [],
        "ilmd": {},
        "bizTransactionList": [],
    }
    assert text_of(empty) == ""
    assert text_of({"ex:a": " \t two words\r\n"}) == "{https://example.org/ns#}a=two words"
    assert text_of({"ex:a": "\u00a0x"}) == "{https://example.org/ns#}a=\u00a0x"
    assert report_text({"stringValue": "  ", "uom": " CEL "}) == "uom=CEL"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00.000Z"),
        ("2026-03-01T08:00:00.1+00:00", "2026-03-01T08:00:00.100Z"),
        ("2026-03-01T08:00:00.0004999Z", "2026-03-01T08:00:00.000Z"),
        ("2026-03-01T08:00:00.0005Z", "2026-03-01T08:00:00.001Z"),
        ("2026-03-01T08:00:00.0015Z", "2026-03-01T08:00:00.002Z"),
        ("2026-02-28T23:59:59.9995Z", "2026-03-01T00:00:00.000Z"),
        ("2025-12-31T23:59:59.999999-14:00", "2026-01-01T14:00:00.000Z"),
        ("2024-03-01T00:30:00+01:00", "2024-02-29T23:30:00.000Z"),
    ],
)
def test_instants(written: str, expected: str) -> None:
    """CH6: UTC with milliseconds, a finer fraction rounded half up, over the end of a day or year too."""
    assert f"eventTime={expected}event" in pre_hash(EVENT | {"eventTime": written})
    for name in ("time", "startTime", "endTime"):
        metadata = {"sensorElementList": [{"sensorMetadata": {name: written}, "sensorReport": [{}]}]}
        assert text_of(metadata) == f"sensorElementListsensorElementsensorMetadata{name}={expected}"
    assert report_text({"time": written}) == f"time={expected}"


def test_only_fields_of_the_standard_are_instants() -> None:
    """CH6: a time in an extension is the text that it is."""
    assert text_of({"ex:packedTime": "2026-03-01T08:00:00+02:00"}).endswith("=2026-03-01T08:00:00+02:00")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ("10e-1", "1"),
        ("-0.0", "0"),
        ("26.20", "26.2"),
        ("1E-7", "0.0000001"),
        ("1e20", "100000000000000000000"),
        ("0.1", "0.1"),
        ("12345678901234567890", "12345678901234567890"),
        ("12345678901234567168", "12345678901234567168"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("9" * NUMBER_DIGITS_MAX, "9" * NUMBER_DIGITS_MAX),
        ("-2.50", "-2.5"),
    ],
)
def test_numbers_are_exact(written: str, expected: str) -> None:
    """CH7: plain digits, no exponent, no zero at the end of a fraction, and never a double in between."""
    value = parse(f'{{"ex:a": {written}}}'.encode(), 100)
    assert isinstance(value, dict)
    assert text_of(value) == f"{{https://example.org/ns#}}a={expected}"
    assert report_text({"value": value["ex:a"]}) == f"value={expected}"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("23.0", "23"),
        ("0.50", "0.5"),
        ("-0.0", "0"),
        ("007", "007"),
        ("01.50", "01.50"),
        ("1.", "1."),
        (".5", ".5"),
        ("1e3", "1e3"),
        ("+5.0", "+5.0"),
        ("inf", "inf"),
        ("nan", "nan"),
        ("1E400", "1E400"),
        ("1_000", "1_000"),
        ("\u0661.\u0660", "\u0661.\u0660"),
        ("12345678901234567890", "12345678901234567890"),
    ],
)
def test_text_that_looks_like_a_number(written: str, expected: str) -> None:
    """CH7: XML has no types, so a plain decimal fraction in text loses its zeros; all other text stays."""
    assert text_of({"ex:a": written}) == f"{{https://example.org/ns#}}a={expected}"
    assert text_of({"ilmd": {"ex:a": written}}) == f"ilmd{{https://example.org/ns#}}a={expected}"


SPELLINGS: Final = (
    "{word}",
    "urn:epcglobal:cbv:{urn}:{word}",
    "https://ref.gs1.org/cbv/{head}{word}",
    "cbv:{head}{word}",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    ("urn", "head", "word", "make"),
    [
        ("bizstep", "BizStep-", "shipping", lambda word: {"bizStep": word}),
        ("disp", "Disp-", "in_transit", lambda word: {"disposition": word}),
        ("disp", "Disp-", "recalled", lambda word: {"persistentDisposition": {"unset": [word]}}),
        (
            "btt",
            "BTT-",
            "po",
            lambda word: {"bizTransactionList": [{"type": word, "bizTransaction": "urn:x:1"}]},
        ),
        ("sdt", "SDT-", "location", lambda word: {"sourceList": [{"type": word, "source": "urn:x:1"}]}),
        (
            "sdt",
            "SDT-",
            "location",
            lambda word: {"destinationList": [{"type": word, "destination": "urn:x:1"}]},
        ),
    ],
)
def test_a_term_is_one_in_all_its_spellings(
    spelling: str, urn: str, head: str, word: str, make: Callable[[str], Sample]
) -> None:
    """CH8: bare word, CBV URN, web address and CURIE all become the web address."""
    text = text_of(make(spelling.format(urn=urn, head=head, word=word)))
    assert f"=https://ref.gs1.org/cbv/{head}{word}" in text
    assert text == text_of(make(word))


def test_words_of_sensors() -> None:
    """CH8: measurement types and exceptions are of GS1's web vocabulary, components of the CBV."""
    bare = report_text({"type": "Angle", "exception": "ERROR_CONDITION", "component": "latitude"})
    assert bare == (
        "type=https://gs1.org/voc/Angleexception=https://gs1.org/voc/ERROR_CONDITION"
        "component=https://ref.gs1.org/cbv/Comp-latitude"
    )
    curies = {"type": "gs1:Angle", "exception": "gs1:ERROR_CONDITION", "component": "cbv:Comp-latitude"}
    assert report_text(curies) == bare
    for head in ("https://gs1.org/voc/", "https://ref.gs1.org/voc/"):
        assert report_text(curies | {"type": f"{head}Angle"}) == bare


def test_a_word_is_expanded_by_its_field_alone() -> None:
    """CH8: the same letters in an extension are no term, whatever stands elsewhere in the event."""
    text = text_of({"bizStep": "shipping", "ex:a": "shipping", "ex:b": "urn:epcglobal:cbv:bt:1:2"})
    assert text.endswith(
        "{https://example.org/ns#}a=shipping{https://example.org/ns#}b=urn:epcglobal:cbv:bt:1:2"
    )
    assert text_of({"bizStep": "https://shop.example/steps/shipping"}) == (
        "bizStep=https://shop.example/steps/shipping"
    )


def test_curies() -> None:
    """CH9: those of GS1's vocabularies are written out, by whichever prefix; those of others stay."""
    assert report_text({"type": "ex:Ripeness"}) == "type=ex:Ripeness"
    event: Sample = {
        "ex:a": "gs1:Fish",
        "ex:b": "epcis:ObjectEvent",
        "ex:c": "gs1: see there",
        "ex:d": "g:X",
    }
    found = text_of(event, prefixes=(("ex", "https://e.example/"), ("g", "https://gs1.org/voc/")))
    assert found == (
        "{https://e.example/}a=https://gs1.org/voc/Fish{https://e.example/}b=https://ref.gs1.org/epcis/ObjectEvent"
        "{https://e.example/}c=gs1: see there{https://e.example/}d=https://gs1.org/voc/X"
    )
    mine = (("gs1", "https://mine.example/"),)
    assert report_text({"type": "gs1:Fish"}) == "type=https://gs1.org/voc/Fish"
    assert text_of({"bizStep": "gs1:Fish"}, prefixes=mine) == "bizStep=gs1:Fish"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("urn:epc:id:sgtin:9521141.012345.a'b;c=d", "01/09521141123454/21/a'b;c=d"),
        ("https://shop.example/01/09521141123454/21/a%27b%3bc%3Dd", "01/09521141123454/21/a'b;c=d"),
        ("urn:epc:id:sgtin:9521141.012345.a%2fb!c*", "01/09521141123454/21/a%2Fb%21c%2A"),
        ("https://shop.example/gtin/9521141123454/lot/L/ser/S?exp=261231", "01/09521141123454/21/S"),
        ("https://shop.example/01/9521141123454/22/V2", "01/09521141123454"),
        ("https://shop.example/shelf/414/9521141012345/254/0", "414/9521141012345"),
    ],
)
def test_identifiers(written: str, expected: str) -> None:
    """CH10: constrained Digital Links; an apostrophe, semicolon and equals sign stay bare."""
    assert text_of({"epcList": [written]}) == f"epcListepc=https://id.gs1.org/{expected}"
    assert text_of({"ex:a": written}) == f"{{https://example.org/ns#}}a=https://id.gs1.org/{expected}"


@pytest.mark.parametrize(
    "written",
    [
        "urn:epc:id:gid:95100000.12345.400",
        "urn:epc:id:sgtin:9521141.12345.1",
        "https://shop.example/01/09521141123455/21/S",
        "https://shop.example/8013/1987654Ad4X4bL5ttr2310c2K",
        "https://id.gs1.org/01/09521141123455/21/it%27s",
        "https://shop.example/it%27s",
        "geo:47.506694,11.104301",
        "did:web:shop.example",
    ],
)
def test_identifiers_that_stay(written: str) -> None:
    """CH10: what is no GS1 key of the standard's list, or a broken one, is the URI that it was."""
    assert text_of({"epcList": [written]}) == f"epcListepc={written}"


def test_lists_are_sorted_by_their_bytes() -> None:
    """CH11: by UTF-8, after everything in an item is written out, and doubles stay."""
    items = ["urn:x:b", "urn:x:B", "urn:x:\u00e9", "urn:x:a", "urn:x:\U0001f34e", "urn:x:\uff0e", "urn:x:a"]
    expected = sorted((f"epc={each}" for each in items), key=str.encode)
    assert text_of({"childEPCs": items}) == "childEPCs" + "".join(expected)


def test_every_list_of_things() -> None:
    """CH4, CH11: the lists and ids of the other kinds of event, in the order of the standard."""
    one = [{"epcClass": "urn:x:c"}]
    event: Sample = {
        "transformationID": "urn:x:t",
        "outputQuantityList": one,
        "outputEPCList": ["urn:x:1"],
        "inputQuantityList": one,
        "childQuantityList": one,
        "childEPCs": ["urn:x:1"],
        "inputEPCList": ["urn:x:1"],
        "parentID": "urn:x:p",
        "epcList": ["urn:x:1"],
        "action": "OBSERVE",
    }
    assert text_of(event) == (
        "epcListepc=urn:x:1parentID=urn:x:pinputEPCListepc=urn:x:1childEPCsepc=urn:x:1"
        "childQuantityListquantityElementepcClass=urn:x:cinputQuantityListquantityElementepcClass=urn:x:c"
        "outputEPCListepc=urn:x:1outputQuantityListquantityElementepcClass=urn:x:caction=OBSERVE"
        "transformationID=urn:x:t"
    )


def test_names_of_extensions() -> None:
    """CH12: the namespace as it was bound, with or without `/` or `#` at its end, or cut off an address."""
    bound = (("a", "https://a.example/x"), ("b", "https://b.example/x/"), ("c", "https://c.example/x#"))
    event: Sample = {
        "a:f": 1,
        "b:f": 2,
        "c:f": 3,
        "https://c.example/x#f": 4,
        "urn:d:e:f": 5,
        "cbvmda:f": 6,
    }
    assert text_of(event, prefixes=bound) == (
        "{https://a.example/x}f=1{https://b.example/x/}f=2{https://c.example/x#}f=3{https://c.example/x#}f=4"
        "{urn:d:e:}f=5{urn:epcglobal:cbv:mda}f=6"
    )
    for namespace in ("urn:epcglobal:cbv:mda", "urn:epcglobal:cbv:mda:"):
        assert text_of({"m:f": 1}, prefixes=(("m", namespace),)) == "{urn:epcglobal:cbv:mda}f=1"


def test_two_prefixes_of_one_namespace_are_one() -> None:
    """CH12: the name of a prefix says nothing."""
    assert text_of({"a:f": "1"}, prefixes=(("a", "https://x.example/"),)) == text_of(
        {"b:f": "1"}, prefixes=(("b", "https://x.example/"),)
    )


def test_prefixes_bound_again_further_down() -> None:
    """CH12: the `@context` of an event, and of an object in an extension, counts from there down only."""
    event: Sample = {
        "@context": [{"ex": "https://event.example/"}],
        "ex:f": {"@context": {"ex": "https://inner.example/"}, "ex:g": "1"},
        "ex:h": "2",
    }
    assert text_of(event) == (
        "{https://event.example/}f{https://inner.example/}g=1{https://event.example/}h=2"
    )


def test_nested_extensions() -> None:
    """CH12: objects in lists in objects, each sorted; plain names stay plain; the empty keep their name."""
    event: Sample = {
        "ex:a": [{"ex:c": "2", "ex:b": ["y", "x", []]}, "text", None],
        "ex:d": {"quantity": Decimal("2.5"), "epcClass": "urn:x:c", "type": "t"},
        "ex:e": {},
        "ex:f": "",
        "ex:g": [],
    }
    n = "{https://example.org/ns#}"
    assert text_of(event) == (
        f"{n}a{n}a=text{n}a{n}b=x{n}b=y{n}c=2{n}depcClass=urn:x:cquantity=2.5type=t{n}e{n}f"
    )


def test_text_beside_attributes() -> None:
    """CH12: what XML says as text of an element with attributes; the language as XML has it."""
    n = "{https://example.org/ns#}"
    event: Sample = {
        "ex:a": {"@value": " 1.50", "ex:unit": "kg"},
        "ex:b": {"@value": "", "@language": "de"},
    }
    assert text_of(event) == f"{n}a=1.5{n}unit=kg{n}b{{http://www.w3.org/XML/1998/namespace}}lang=de"
    assert text_of({"ex:a": {"@value": ["2", "1"]}}) == f"{n}a@value=1@value=2"


def test_extensions_stand_at_the_end_of_what_they_extend() -> None:
    """CH12: in places, metadata, reports and elements alike, and where nothing else stands beside them."""
    n = "{https://example.org/ns#}"
    element: Sample = {"sensorMetadata": {"ex:m": "1"}, "sensorReport": [{"ex:r": "2"}], "ex:e": "3"}
    assert text_of({"readPoint": {"ex:p": "0", "id": "urn:x:1"}, "sensorElementList": [element]}) == (
        f"readPointid=urn:x:1{n}p=0sensorElementListsensorElementsensorMetadata{n}m=1sensorReport{n}r=2{n}e=3"
    )


def test_a_transaction_without_type() -> None:
    """CH13: the type stands first; without one the item is its id alone."""
    event: Sample = {
        "bizTransactionList": [{"bizTransaction": "urn:x:2"}, {"bizTransaction": "urn:x:1", "type": "inv"}]
    }
    assert text_of(event) == (
        "bizTransactionListbizTransaction=urn:x:2type=https://ref.gs1.org/cbv/BTT-invbizTransaction=urn:x:1"
    )


def test_a_report_with_every_field() -> None:
    """CH14: the order of a report's fields."""
    names = (
        "type exception deviceID deviceMetadata rawData dataProcessingMethod time microorganism "
        "chemicalSubstance value component stringValue booleanValue hexBinaryValue uriValue minValue "
        "maxValue meanValue sDev percRank percValue uom coordinateReferenceSystem"
    ).split()
    special = {"time": "2026-03-01T08:00:00.000Z", "type": "urn:x:type"}
    report: Sample = {name: special.get(name, f"urn:x:{name}") for name in reversed(names)}
    assert report_text(report) == "".join(f"{name}={report[name]}" for name in names)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("111100001111000011110000", "111100001111000003641344"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", "9007199254740992"),
        ("9007199254740995", "9007199254740996"),
        ("9" * 308, None),
        ("1" + "0" * 309, "1" + "0" * 309),
        ("0111100001111000011110000", "0111100001111000011110000"),
        ("11110000111100001111000x", "11110000111100001111000x"),
        ("26.0", "26"),
    ],
)
def test_a_reading_of_digits_alone(written: str, expected: str | None) -> None:
    """CH15: as published, the nearest number of 53 bits, in `stringValue` and nowhere else."""
    wanted = str(int(float(written))) if expected is None else expected
    assert report_text({"stringValue": written}) == f"stringValue={wanted}"


@given(st.integers(0, 10**40))
def test_a_reading_is_the_nearest_double(whole: int) -> None:
    """CH15: the integer arithmetic agrees with the machine's own doubles."""
    text = str(whole)
    assert reading_text(text) == str(int(float(text)))


def test_the_name_of_a_hash() -> None:
    """CH16: an RFC 6920 name with the digest in lower-case hexadecimal and the version of the CBV."""
    digest = hashlib.sha256("\u00e9".encode()).hexdigest()
    assert named_hash("\u00e9") == f"ni:///sha-256;{digest}?ver=CBV2.0"


def test_a_hostile_event_is_hashed_in_bounds() -> None:
    """The largest string that one event can make is soon written out: long namespaces, deep nesting."""
    namespace = "https://x.example/" + "n" * (NAMESPACE_LENGTH_MAX - 18)
    deep: Any = {f"a:{index}": 1 for index in range(EVENT_BYTES_MAX // 12)}
    for _ in range(DEPTH_MAX - 3):
        deep = {"a:b": deep}
    text = text_of({"a:b": deep}, prefixes=(("a", namespace),))
    assert len(text) < NAMESPACE_LENGTH_MAX * EVENT_BYTES_MAX // 8
