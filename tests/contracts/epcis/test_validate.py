from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.canonical_json import parse
from contracts.epcis.document import check_document
from contracts.epcis.event import Action, ErrorDeclaration, Flag, Kind, Quantity, Typed
from contracts.epcis.problems import FOUND_LENGTH_MAX, PROBLEMS_MAX, EpcisError
from contracts.epcis.validate import validate_event
from ledger.errors import LedgerError
from tests.contracts.epcis.samples import (
    BYTES_MAX,
    EXAMPLES,
    INVALID,
    captured_samples,
    fields_of,
    places,
    sample,
    spoil,
    values,
)

PALLET = "https://id.gs1.org/00/195210020000000778"
LEAST: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2026-05-04T18:00:00Z",
    "eventTimeZoneOffset": "+00:00",
    "action": "OBSERVE",
    "epcList": [PALLET],
}
SAMPLES = captured_samples()


def problems_of(event: Any, pointer: str = "") -> list[tuple[str, str]]:
    with pytest.raises(EpcisError) as caught:
        validate_event(event, (), pointer)
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


@pytest.mark.parametrize("name", list(INVALID))
def test_each_broken_sample_is_refused_at_its_field(name: str) -> None:
    """A document that breaks one rule is refused with that rule's code at the field, and with no other."""
    with pytest.raises(LedgerError) as caught:
        check_document((EXAMPLES / "invalid" / name).read_bytes())
    assert {"code": caught.value.code, "pointer": caught.value.pointer} == INVALID[name]
    if isinstance(caught.value, EpcisError):
        assert len(caught.value.problems) == 1


def test_all_problems_are_reported_in_order() -> None:
    """Not only the first: each wrong field of an event has its entry."""
    event = LEAST | {"action": "CREATE", "eventTime": "noon", "bizStep": 7, "colour": "red", "epcList": ["x"]}
    del event["eventTimeZoneOffset"]
    assert sorted(problems_of(event, "/e")) == [
        ("epcis.bad_time", "/e/eventTime"),
        ("epcis.bad_uri", "/e/epcList/0"),
        ("epcis.missing_field", "/e/eventTimeZoneOffset"),
        ("epcis.unknown_action", "/e/action"),
        ("epcis.unknown_field", "/e/colour"),
        ("epcis.wrong_type", "/e/bizStep"),
    ]


def test_the_list_of_problems_is_bounded() -> None:
    """A document of nothing but mistakes gives PROBLEMS_MAX of them, with messages of bounded size."""
    event = LEAST | {"epcList": ["no uri " + "x" * 10_000] * 5_000}
    with pytest.raises(EpcisError) as caught:
        validate_event(event)
    assert len(caught.value.problems) == PROBLEMS_MAX
    assert all(len(problem.message) < FOUND_LENGTH_MAX + 100 for problem in caught.value.problems)


@pytest.mark.parametrize("value", [None, True, 0, "ObjectEvent", [], [LEAST]])
def test_what_is_no_object_is_no_event(value: Any) -> None:
    """Anything but an object is refused as a whole."""
    assert problems_of(value, "/x") == [("epcis.wrong_type", "/x")]


def test_a_full_object_event_is_read() -> None:
    """Every field of an ObjectEvent stands in the view in its stored form."""
    captured = check_document(sample("object")).events[0]
    event = validate_event(fields_of(captured), captured.prefixes, "/e")
    digital_link = "https://id.gs1.org"
    assert (event.kind, event.action) == (Kind.OBJECT, Action.ADD)
    assert event.event_time_ms == 1_777_872_600_000
    assert event.event_time_zone_offset == "+02:00"
    assert event.event_id == "urn:uuid:0d5a1e2c-7b8f-4a61-8e59-3f9b2f5a1c01"
    assert event.epcs == (
        f"{digital_link}/01/19521002001010/21/case-1",
        f"{digital_link}/01/19521002001010/21/case-2",
    )
    assert event.quantities == (
        Quantity(f"{digital_link}/01/09521001000116/10/H-0504-7", Decimal("812.5"), "KGM"),
        Quantity(f"{digital_link}/01/09521002001013/10/P-0504", Decimal(96), None),
        Quantity(f"{digital_link}/01/09521002001013", None, None),
    )
    assert (event.biz_step, event.disposition) == ("commissioning", "active")
    assert (event.persistent_set, event.persistent_unset) == (
        ("completeness_verified",),
        ("completeness_inferred",),
    )
    assert event.read_point == f"{digital_link}/414/9521001000017/254/field-7"
    assert event.biz_location == f"{digital_link}/414/9521001000017"
    assert event.biz_transactions == (
        Typed("po", "urn:epcglobal:cbv:bt:9521004000007:PO-4711"),
        Typed("", "https://orders.farmgate.example/4711"),
    )
    assert event.sources[0] == Typed("owning_party", f"{digital_link}/417/9521001000000")
    assert event.destinations[1] == Typed("location", f"{digital_link}/414/9521002000016")
    assert event.error_declaration == ErrorDeclaration(
        1_777_960_800_000, "incorrect_data", ("urn:uuid:6f0c2f0e-5c3c-4f64-9d0e-0b2c7f5b1a99",)
    )
    assert (event.has_ilmd, event.sensors, event.flags) == (True, 1, ())
    assert (event.parent, event.children, event.inputs, event.outputs) == (None, (), (), ())


def test_the_other_kinds_are_read() -> None:
    """Parents and children, inputs and outputs of the kinds that have them."""
    events = {}
    for name in ("aggregation", "transaction", "transformation", "association"):
        captured = check_document(sample(name)).events[0]
        events[name] = validate_event(fields_of(captured), captured.prefixes)
    packed, linked, made, fixed = events.values()
    assert (packed.kind, packed.parent, len(packed.children), len(packed.child_quantities)) == (
        Kind.AGGREGATION, PALLET, 2, 1,
    )  # fmt: skip
    assert (linked.kind, linked.parent, linked.epcs, len(linked.biz_transactions)) == (
        Kind.TRANSACTION, PALLET, (PALLET,), 2,
    )  # fmt: skip
    assert (made.kind, made.action, made.biz_step) == (
        Kind.TRANSFORMATION, None, "https://ns.farmgate.example/farm/washing",
    )  # fmt: skip
    assert made.inputs == ("https://id.gs1.org/8003/09521001000031bin-9",)
    assert made.outputs == ("https://id.gs1.org/01/19521002001010/21/case-2",)
    assert [quantity.quantity for quantity in made.output_quantities] == [Decimal(3180), Decimal("5.25")]
    assert made.transformation_id == "https://id.gs1.org/253/9521002000085T-88"
    assert (fixed.kind, fixed.parent) == (Kind.ASSOCIATION, "https://id.gs1.org/414/9521002000016/254/dock-2")


def test_spellings_meet() -> None:
    """Events that differ in the spelling of CBV terms, or of an identifier, have one view."""
    for name, count in (("cbv-spellings", 4), ("identifier-spellings", 4)):
        document = check_document(sample(name))
        views = [validate_event(fields_of(event), event.prefixes) for event in document.events[:count]]
        assert views == [views[0]] * count
        assert not views[0].flags


def test_a_thing_named_twice_in_two_spellings_stands_once() -> None:
    """URN and link of one pallet are two strings of the list and one identifier of the view."""
    urn = "urn:epc:id:sscc:9521002.1000000077"
    assert validate_event(LEAST | {"epcList": [urn, PALLET]}).epcs == (PALLET,)


def test_a_broken_check_digit_is_flagged_with_its_place() -> None:
    """The identifier stays what it was, and the flag points at it."""
    wrong = PALLET[:-1] + "9"
    event = validate_event(LEAST | {"epcList": [PALLET, wrong], "readPoint": {"id": wrong}}, (), "/e")
    assert event.epcs == (PALLET, wrong)
    assert {*event.flags} == {
        Flag("identifier.check_digit", "/e/epcList/1"),
        Flag("identifier.check_digit", "/e/readPoint/id"),
    }


def test_prefixes_expand_identifiers_and_terms() -> None:
    """What the document binds holds, what the event binds wins, and too long an expansion is refused."""
    event = LEAST | {"epcList": ["farm:crate-1"], "disposition": "farm:washed"}
    farm = "https://ns.farmgate.example/farm/"
    read = validate_event(event, (("farm", farm),))
    assert (read.epcs, read.disposition) == ((farm + "crate-1",), farm + "washed")
    own = event | {"@context": {"farm": "urn:farm:"}}
    assert validate_event(own, (("farm", farm),)).epcs == ("urn:farm:crate-1",)
    with pytest.raises(LedgerError) as caught:
        validate_event(LEAST | {"epcList": ["farm:" + "x" * 500]}, (("farm", farm),), "/e")
    assert (caught.value.code, caught.value.pointer) == ("epcis.bad_uri", "/e/epcList/0")


def test_a_context_of_the_event_is_checked_too() -> None:
    """An unknown context in an event is refused where a name may need it, and an unsupported one always."""
    unknown = {"@context": "https://contexts.farmgate.example/fish.jsonld"}
    assert validate_event(LEAST | unknown)
    assert problems_of(LEAST | unknown | {"fish:species": "cod"}) == [("epcis.unknown_context", "/@context")]
    assert problems_of(LEAST | {"@context": {"@vocab": "urn:x:"}}) == [
        ("epcis.bad_context", "/@context/@vocab")
    ]


@pytest.mark.parametrize("name", ["colour", "farm:", ":farm", "farm:a b", "1:a", "", "é:a"])
def test_an_extension_has_a_prefix(name: str) -> None:
    """Fields that EPCIS does not define are named prefix:name or by an absolute URI."""
    assert problems_of(LEAST | {name: 1}) == [("epcis.unknown_field", f"/{name}")]
    assert validate_event(LEAST | {"farm:a": 1, "_x:y": 2, "https://ns.example/a/b": None})


@pytest.mark.parametrize(
    "path",
    """action bizStep disposition eventTime eventTimeZoneOffset eventID readPoint/id quantityList/0/uom
    quantityList/0/epcClass bizTransactionList/0/type sensorElementList/0/sensorReport/0/uom
    sensorElementList/0/sensorReport/1/hexBinaryValue sensorElementList/0/sensorReport/1/stringValue
    errorDeclaration/declarationTime persistentDisposition/set/0 certificationInfo/0""".split(),
)
@pytest.mark.parametrize("value", [7, True, None, [], {}])
def test_a_string_is_a_string(path: str, value: Any) -> None:
    """A number, truth value, null, list or object in the place of any kind of string is refused there."""
    fields = fields_of(check_document(sample("object")).events[0])
    steps = tuple(int(step) if step.isdigit() else step for step in path.split("/"))
    assert problems_of(spoil(fields, steps, value)) == [("epcis.wrong_type", f"/{path}")]


@pytest.mark.parametrize("value", ["7", True, None, [], {}])
def test_a_number_is_a_number(value: Any) -> None:
    """Nothing else stands for one, True least of all; and what is no list or object is none."""
    fields = fields_of(check_document(sample("object")).events[0])
    path = "sensorElementList/0/sensorReport/0/minValue"
    steps = ("sensorElementList", 0, "sensorReport", 0, "minValue")
    assert problems_of(spoil(fields, steps, value)) == [("epcis.wrong_type", f"/{path}")]
    assert problems_of(fields | {"ilmd": 1, "sourceList": {}, "bizLocation": []}) == [
        ("epcis.wrong_type", "/bizLocation"),
        ("epcis.wrong_type", "/ilmd"),
        ("epcis.wrong_type", "/sourceList"),
    ]


def test_master_data_says_whose_names_it_uses() -> None:
    """A name in `ilmd` has a prefix or is a URI; JSON-LD's own keywords have neither."""
    ilmd = {"material": "soil", "cbvmda:lotNumber": "7", "https://farm.example/field": "N", "@type": "x:y"}
    assert problems_of(LEAST | {"action": "ADD", "ilmd": ilmd}) == [("epcis.unknown_field", "/ilmd/material")]


def test_a_sensor_report_may_come_without_a_type() -> None:
    """GS1's schema demands it and its standard's own examples leave it out: accepted."""
    captured = check_document(sample("least")).events[4]
    assert validate_event(fields_of(captured)).sensors == 1


@given(st.sampled_from(SAMPLES), st.data())
def test_no_spoilt_event_raises_anything_but_a_ledger_error(captured: Any, data: st.DataObject) -> None:
    """Any value put in the place of any other gives an event or a LedgerError, and reads the same twice."""
    fields = fields_of(captured)
    path = data.draw(st.sampled_from(places(fields)))
    spoilt = spoil(fields, path, data.draw(values))
    with suppress(LedgerError):
        assert validate_event(spoilt, captured.prefixes) == validate_event(spoilt, captured.prefixes)


@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_the_order_of_fields_says_nothing(captured: Any, random: Any) -> None:
    """An event whose keys are shuffled has the same view."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            names = list(value)
            random.shuffle(names)
            return {name: shuffled(value[name]) for name in names}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    fields = fields_of(captured)
    assert validate_event(shuffled(fields), captured.prefixes) == validate_event(fields, captured.prefixes)


@pytest.mark.parametrize("value", [7, True, None, {}])
def test_certificates_are_named_by_uri(value: Any) -> None:
    """One URI or a list of them; nothing else."""
    assert problems_of(LEAST | {"certificationInfo": value}) == [("epcis.wrong_type", "/certificationInfo")]


def test_duplicates_in_lists_that_must_be_unique() -> None:
    """Lists of EPCs in object and transformation events, dispositions, and contexts."""
    assert problems_of(LEAST | {"epcList": [PALLET, "urn:x:1", PALLET]}) == [
        ("epcis.duplicate_item", "/epcList/2")
    ]
    twice = json.dumps(LEAST | {"persistentDisposition": {"set": ["active", "active"]}}).encode()
    assert problems_of(parse(twice, BYTES_MAX)) == [("epcis.duplicate_item", "/persistentDisposition/set/1")]
