"""The predicate: each parameter of the standard with an event that matches and one that does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contracts.epcis.canonical_json import parse
from contracts.epcis.document import capture_event
from contracts.epcis.problems import EpcisError
from contracts.master_data import MasterKind
from ledger.errors import LedgerError
from node.api.epcis.query.facts import Facts, facts_of, no_master_data
from node.api.epcis.query.query import read_body_query, read_url_query
from tests.contracts.provenance.events import lot, unit

NS = "https://ns.example.com/epcis/"
PLACE = "https://id.gs1.org/414/9521141123454"
GTIN = "https://id.gs1.org/01/09521141012345"
UNIT = f"{GTIN}/21/2017"

FULL: dict[str, Any] = {
    "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld", {"ex": NS}],
    "type": "ObjectEvent",
    "action": "ADD",
    "eventTime": "2026-03-01T10:00:00Z",
    "eventTimeZoneOffset": "+00:00",
    "eventID": "urn:x:full",
    "bizStep": "commissioning",
    "disposition": "active",
    "persistentDisposition": {"set": ["recalled"], "unset": ["damaged"]},
    "readPoint": {"id": f"{PLACE}/254/dock", "ex:gate": "north"},
    "bizLocation": {"id": PLACE, "ex:row": {"ex:shelf": 7}},
    "epcList": [UNIT],
    "quantityList": [
        {"epcClass": f"{GTIN}/10/L1", "quantity": Decimal("12.5"), "uom": "KGM"},
        {"epcClass": GTIN, "quantity": 3},
    ],
    "bizTransactionList": [{"type": "po", "bizTransaction": "urn:x:po:1"}, {"bizTransaction": "urn:x:none"}],
    "sourceList": [{"type": "owning_party", "source": "urn:x:farm"}],
    "destinationList": [{"type": "possessing_party", "destination": "urn:x:shop"}],
    "errorDeclaration": {
        "declarationTime": "2026-03-02T00:00:00Z",
        "reason": "incorrect_data",
        "correctiveEventIDs": ["urn:x:better"],
        "ex:who": "clerk",
        "ex:how": {"ex:deep": "yes"},
    },
    "sensorElementList": [
        {
            "ex:batch": 4,
            "sensorMetadata": {
                "time": "2026-03-01T09:00:00Z",
                "startTime": "2026-03-01T08:00:00Z",
                "endTime": "2026-03-01T09:30:00Z",
                "deviceID": "urn:x:device",
                "dataProcessingMethod": "urn:x:method",
                "bizRules": "urn:x:rules",
                "ex:cal": "2026-01-01T00:00:00Z",
            },
            "sensorReport": [
                {
                    "type": "Temperature",
                    "value": Decimal("4.2"),
                    "minValue": 1,
                    "maxValue": 9,
                    "uom": "CEL",
                    "meanValue": 5,
                    "sDev": Decimal("0.1"),
                    "percRank": 50,
                    "percValue": 12,
                    "ex:note": "ok",
                },
                {
                    "type": "gs1:Count",
                    "microorganism": "urn:x:bug",
                    "chemicalSubstance": "urn:x:acid",
                    "stringValue": "SOME",
                    "booleanValue": True,
                    "hexBinaryValue": "f0A1",
                    "uriValue": "urn:x:u",
                },
            ],
        }
    ],
    "ilmd": {"ex:variety": "gala", "ex:size": {"ex:mm": [70, 75]}, "cbvmda:lotNumber": "007"},
    "ex:text": "hello",
    "ex:number": Decimal("1.5"),
    "ex:word": "20",
    "ex:at": "2026-03-01T11:00:00+01:00",
    "ex:list": ["a", "b"],
    "ex:deep": {"ex:inner": [{"ex:core": "c"}]},
    "ex:yes": True,
}
BARE: dict[str, Any] = {
    "type": "AggregationEvent",
    "action": "OBSERVE",
    "eventTime": "2025-01-01T00:00:00Z",
    "eventTimeZoneOffset": "+00:00",
    "parentID": "urn:x:pallet",
    "childEPCs": ["urn:x:child"],
}


def attributes(kind: MasterKind, item_id: str) -> Mapping[str, str]:
    """Master data of one place and one product."""
    if (kind, item_id) == (MasterKind.LOCATION, PLACE):
        return {"city": "Ghent", "containedInPlace": "urn:x:campus"}
    if (kind, item_id) == (MasterKind.PRODUCT, GTIN):
        return {"descriptionShort": "apples"}
    if (kind, item_id) == (MasterKind.PARTY, "urn:x:farm"):
        return {"name": "Farm"}
    return no_master_data(kind, item_id)


def facts(event: dict[str, Any], event_id: str = "urn:x:given", record_time_ms: int = 10**12) -> Facts:
    return facts_of(capture_event(event), event.get("eventID", event_id), record_time_ms, attributes)


def transformation() -> dict[str, Any]:
    return {
        "type": "TransformationEvent",
        "eventTime": "2026-05-01T00:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "transformationID": "urn:x:session",
        "inputEPCList": [unit("farm", "I")],
        "outputEPCList": [unit("farm", "O")],
        "inputQuantityList": [{"epcClass": lot("farm", "IN"), "quantity": 5, "uom": "KGM"}],
        "outputQuantityList": [{"epcClass": lot("farm", "OUT"), "quantity": 4, "uom": "KGM"}],
    }


MATCHING: list[tuple[str, str]] = [
    ("eventType", "AssociationEvent|ObjectEvent"),
    ("eventType", "epcis:ObjectEvent"),
    ("GE_eventTime", "2026-03-01T10:00:00Z"),
    ("LT_eventTime", "2026-03-01T10:00:00.001Z"),
    ("GE_recordTime", "2001-09-09T01:46:40Z"),
    ("LT_recordTime", "2001-09-09T01:46:41Z"),
    ("EQ_action", "DELETE|ADD"),
    ("EQ_bizStep", "urn:epcglobal:cbv:bizstep:commissioning"),
    ("EQ_disposition", "cbv:Disp-active"),
    ("EQ_persistentDisposition_set", "recalled"),
    ("EQ_persistentDisposition_unset", "https://ref.gs1.org/cbv/Disp-damaged"),
    ("EQ_readPoint", f"{PLACE}/254/dock"),
    ("EQ_bizLocation", "urn:epc:id:sgln:9521141.12345.0"),
    ("WD_readPoint", PLACE),
    ("WD_readPoint", "urn:x:campus"),
    ("WD_bizLocation", "urn:x:y|urn:x:campus"),
    ("WD_bizLocation", PLACE),
    ("EQ_bizTransaction_po", "urn:x:po:1"),
    ("EQ_bizTransaction_urn:epcglobal:cbv:btt:po", "urn:x:po:1"),
    ("EQ_source_owning_party", "urn:x:farm"),
    ("EQ_destination_cbv:SDT-possessing_party", "urn:x:shop"),
    ("MATCH_epc", UNIT),
    ("MATCH_epc", "urn:x:no|urn:epc:idpat:sgtin:9521141.*.*"),
    ("MATCH_anyEPC", "urn:epc:idpat:sgtin:*.*.*"),
    ("MATCH_epc", f"{GTIN}/21/*"),
    ("MATCH_anyEPC", "urn:epc:idpat:sgtin:9521141.001234.*"),
    ("MATCH_epc", "https://x.example/01/9521141012345/21/*"),
    ("MATCH_epcClass", f"{GTIN}/10/L1"),
    ("MATCH_epcClass", "urn:epc:class:lgtin:9521141.001234.*"),
    ("MATCH_epcClass", "urn:epc:idpat:sgtin:9521141.001234.*"),
    ("MATCH_anyEPCClass", f"{GTIN}/10/*"),
    ("MATCH_epcClass", "https://id.gs1.org/gtin/*/lot/L1"),
    ("MATCH_epcClass", "https://id.gs1.org/01/*"),
    ("EQ_quantity", "1|12.50"),
    ("GT_quantity", "12.4999"),
    ("GE_quantity", "12.5"),
    ("LT_quantity", "3.1"),
    ("LE_quantity", "3"),
    ("EQ_quantity_KGM", "1.25e1"),
    ("GE_quantity_KGM", "12.5"),
    ("EQ_eventID", "urn:x:other|urn:x:full"),
    ("EXISTS_errorDeclaration", "true"),
    ("GE_errorDeclarationTime", "2026-03-02T00:00:00Z"),
    ("LT_errorDeclaration_Time", "2026-03-03T00:00:00Z"),
    ("EQ_errorReason", "urn:epcglobal:cbv:er:incorrect_data"),
    ("EQ_correctiveEventID", "urn:x:better"),
    ("EXISTS_sensorElementList", ""),
    ("GE_time", "2026-03-01T09:00:00Z"),
    ("LT_time", "2026-03-01T09:01:00Z"),
    ("GE_startTime", "2026-03-01T08:00:00Z"),
    ("LT_endTime", "2026-03-01T09:31:00Z"),
    ("EQ_type", "Temperature"),
    ("EQ_type", "https://gs1.org/voc/Count"),
    ("EQ_deviceID", "urn:x:device"),
    ("EQ_dataProcessingMethod", "urn:x:method"),
    ("EQ_bizRules", "urn:x:rules"),
    ("EQ_microorganism", "urn:x:bug"),
    ("EQ_chemicalSubstance", "urn:x:acid"),
    ("EQ_stringValue", "SOME|NONE"),
    ("EQ_booleanValue", "true"),
    ("EQ_hexBinaryValue", "F0a1"),
    ("EQ_uriValue", "urn:x:u"),
    ("EQ_value_CEL", "4.20"),
    ("GE_value_CEL", "4.2"),
    ("LE_minValue_CEL", "1"),
    ("GT_maxValue_CEL", "8"),
    ("LT_meanValue_CEL", "5.1"),
    ("GE_sDev_CEL", "0.1"),
    ("EQ_percValue_CEL", "12"),
    ("EQ_percRank", "50"),
    ("EQ_ex:text", "bye|hello"),
    (f"EQ_{NS}text", "hello"),
    ("EQ_ex:number", "1.5"),
    ("GT_ex:number", "1.49"),
    ("EQ_ex:word", "20"),
    ("GE_ex:word", "19.5"),
    ("LT_ex:at", "2026-03-01T10:00:01Z"),
    ("EQ_ex:at", "2026-03-01T10:00:00Z"),
    ("EQ_ex:list", "b"),
    ("EXISTS_ex:deep", "true"),
    ("EQ_ex:yes", "true"),
    ("EXISTS_ex:absent", "false"),
    ("EXISTS_INNER_ex:core", "true"),
    ("EQ_INNER_ex:core", "c"),
    ("EQ_ILMD_ex:variety", "gala"),
    ("EXISTS_ILMD_ex:size", "true"),
    ("GE_INNER_ILMD_ex:mm", "75"),
    ("EQ_ILMD_cbvmda:lotNumber", "007"),
    ("EQ_ILMD_urn:epcglobal:cbv:mda:lotNumber", "007"),
    ("EQ_ERROR_DECLARATION_ex:who", "clerk"),
    ("EQ_INNER_ERROR_DECLARATION_ex:deep", "yes"),
    ("LE_SENSORELEMENT_ex:batch", "4"),
    ("LT_SENSORMETADATA_ex:cal", "2026-01-01T00:00:01Z"),
    ("EQ_SENSORREPORT_ex:note", "ok"),
    ("EQ_readPoint_ex:gate", "north"),
    ("EXISTS_bizLocation_ex:row", "true"),
    ("EQ_INNER_bizLocation_ex:shelf", "7"),
    ("HASATTR_bizLocation", "urn:epcglobal:cbv:mda#city"),
    ("EQATTR_bizLocation_city", "Ghent|Rome"),
    ("EQ_ATTR_bizLocation_cbvmda:city", "Ghent"),
    ("EQATTR_epcClass_descriptionShort", "apples"),
    ("HASATTR_epc", "descriptionShort"),
    ("EQATTR_source_name", "Farm"),
]
OTHER: list[tuple[str, str]] = [
    ("eventType", "TransactionEvent"),
    ("eventType", "https://x.example/OtherEvent"),
    ("GE_eventTime", "2026-03-01T10:00:00.001Z"),
    ("LT_eventTime", "2026-03-01T10:00:00Z"),
    ("GE_recordTime", "2001-09-09T01:46:40.001Z"),
    ("LT_recordTime", "2001-09-09T01:46:40Z"),
    ("EQ_action", "DELETE"),
    ("EQ_bizStep", "packing"),
    ("EQ_disposition", "recalled"),
    ("EQ_persistentDisposition_set", "damaged"),
    ("EQ_persistentDisposition_unset", "recalled"),
    ("EQ_readPoint", PLACE),
    ("EQ_bizLocation", f"{PLACE}/254/dock"),
    ("WD_readPoint", "urn:x:city"),
    ("WD_bizLocation", f"{PLACE}/254/dock"),
    ("EQ_bizTransaction_inv", "urn:x:po:1"),
    ("EQ_bizTransaction_po", "urn:x:none"),
    ("EQ_source_location", "urn:x:farm"),
    ("EQ_destination_possessing_party", "urn:x:farm"),
    ("MATCH_epc", GTIN),
    ("MATCH_epc", "urn:epc:idpat:sgtin:9521142.*.*"),
    ("MATCH_parentID", UNIT),
    ("MATCH_inputEPC", UNIT),
    ("MATCH_outputEPC", UNIT),
    ("MATCH_anyEPC", f"{GTIN}/10/*"),
    ("MATCH_epcClass", UNIT),
    ("MATCH_epcClass", "urn:epc:class:lgtin:9521141.001235.*"),
    ("MATCH_inputEPCClass", GTIN),
    ("MATCH_outputEPCClass", GTIN),
    ("MATCH_anyEPCClass", "urn:epc:idpat:sscc:9521141.*"),
    ("EQ_quantity", "12.51"),
    ("GT_quantity", "12.5"),
    ("LT_quantity", "3"),
    ("EQ_quantity_LBR", "12.5"),
    ("LE_quantity_KGM", "3"),
    ("EQ_eventID", "urn:x:given"),
    ("EXISTS_errorDeclaration", "false"),
    ("GE_errorDeclarationTime", "2026-03-02T00:00:00.001Z"),
    ("LT_errorDeclarationTime", "2026-03-02T00:00:00Z"),
    ("EQ_errorReason", "did_not_occur"),
    ("EQ_correctiveEventID", "urn:x:full"),
    ("EXISTS_sensorElementList", "false"),
    ("GE_time", "2026-03-01T09:00:01Z"),
    ("LT_startTime", "2026-03-01T08:00:00Z"),
    ("GE_endTime", "2026-03-01T10:00:00Z"),
    ("EQ_type", "Humidity"),
    ("EQ_deviceID", "urn:x:method"),
    ("EQ_bizRules", "urn:x:device"),
    ("EQ_dataProcessingMethod", "urn:x:device"),
    ("EQ_microorganism", "urn:x:acid"),
    ("EQ_chemicalSubstance", "urn:x:bug"),
    ("EQ_stringValue", "some"),
    ("EQ_booleanValue", "false"),
    ("EQ_hexBinaryValue", "f0"),
    ("EQ_uriValue", "urn:x:v"),
    ("GE_value_FAH", "4"),
    ("GT_value_CEL", "4.2"),
    ("LT_minValue_CEL", "1"),
    ("GT_maxValue_CEL", "9"),
    ("LE_percRank", "49"),
    ("EQ_sDev_CEL", "0.11"),
    ("EQ_ex:text", "Hello"),
    ("EQ_other:text", "hello"),
    ("GE_ex:text", "1"),
    ("EQ_ex:word", "20.0"),
    ("EQ_ex:core", "c"),
    ("EQ_INNER_ex:text", "hello"),
    ("EXISTS_ex:variety", "true"),
    ("EQ_ILMD_ex:mm", "70"),
    ("EQ_ILMD_cbvmda:lotNumber", "7"),
    ("GT_INNER_ILMD_ex:mm", "75"),
    ("EQ_ERROR_DECLARATION_ex:deep", "yes"),
    ("GT_SENSORELEMENT_ex:batch", "4"),
    ("EQ_SENSORELEMENT_ex:note", "ok"),
    ("EQ_bizLocation_ex:gate", "north"),
    ("EQ_readPoint_ex:row", "x"),
    ("EXISTS_INNER_readPoint_ex:gate", "true"),
    ("HASATTR_readPoint", "city"),
    ("HASATTR_bizStep", "city"),
    ("EQATTR_bizLocation_city", "Rome"),
    ("EQATTR_bizLocation_name", "Ghent"),
]


@pytest.mark.parametrize(("name", "text"), MATCHING)
def test_what_matches(name: str, text: str) -> None:
    """An event that has what a parameter asks for matches it, in every spelling of the value."""
    query = read_url_query([(name, text)], f"ex={NS}")
    assert query.matches(facts(FULL))


@pytest.mark.parametrize(("name", "text"), OTHER)
def test_what_does_not_match(name: str, text: str) -> None:
    """An event that differs in the one thing that a parameter asks for does not match it."""
    query = read_url_query([(name, text)], f"ex={NS}, other=https://other.example/")
    assert not query.matches(facts(FULL))


@pytest.mark.parametrize("name", sorted({name for name, text in MATCHING if text not in ("false",)}))
def test_an_event_without_the_field_does_not_match(name: str) -> None:
    """What an event does not have at all is nothing that any value could equal."""
    if name in ("EQ_action", "LT_eventTime", "GE_recordTime", "LT_recordTime"):
        return  # every event has these
    text = next(text for each, text in MATCHING if each == name and text != "false")
    assert not read_url_query([(name, text)], f"ex={NS}").matches(facts(BARE, event_id="urn:x:bare"))


def test_transformations_and_parents() -> None:
    """Inputs, outputs, sessions and parents are looked for where they stand."""
    event, bare = facts(transformation()), facts(BARE)
    for name, value in (
        ("MATCH_inputEPC", unit("farm", "I")), ("MATCH_outputEPC", unit("farm", "O")),
        ("MATCH_anyEPC", unit("farm", "O")), ("MATCH_inputEPCClass", lot("farm", "IN")),
        ("MATCH_outputEPCClass", lot("farm", "OUT")), ("MATCH_anyEPCClass", lot("farm", "IN")),
        ("EQ_transformationID", "urn:x:session"), ("EQ_quantity_KGM", "4"),
    ):  # fmt: skip
        assert read_url_query([(name, value)]).matches(event), name
        assert not read_url_query([(name, value + "0")]).matches(event), name
    assert not read_url_query([("MATCH_epc", unit("farm", "I"))]).matches(event)
    assert read_url_query([("MATCH_parentID", "urn:x:pallet")]).matches(bare)
    assert read_url_query([("MATCH_epc", "urn:x:child")]).matches(bare)


@pytest.mark.parametrize(
    ("pattern", "uri", "matches"),
    [
        ("urn:epc:idpat:sscc:9521141.*", "https://id.gs1.org/00/095211410000000014", True),
        ("urn:epc:idpat:sscc:952114.*", "https://id.gs1.org/00/095211510000000014", False),
        ("urn:epc:idpat:sgln:9521141.12345.*", f"{PLACE}/254/x", True),
        ("urn:epc:idpat:sgln:9521141.12345.*", PLACE, True),
        ("urn:epc:idpat:sgln:9521141.12346.*", PLACE, False),
        ("urn:epc:idpat:giai:9521141.*", "https://id.gs1.org/8004/9521141ABC", True),
        ("urn:epc:idpat:giai:95211410.*", "https://id.gs1.org/8004/9521141ABC", False),
        ("urn:epc:idpat:grai:9521141.12345.*", "https://id.gs1.org/8003/09521141123452S1", True),
        ("urn:epc:idpat:gid:95.*.*", "urn:epc:id:gid:95.7.8", True),
        ("urn:epc:idpat:gid:95.*.*", "urn:epc:id:gid:96.7.8", False),
        ("https://id.gs1.org/8004/*", "https://id.gs1.org/8004/9521141ABC", True),
        ("https://id.gs1.org/01/*/21/a%2Fb", f"{GTIN}/21/a%2Fb", True),
    ],
)
def test_patterns(pattern: str, uri: str, matches: bool) -> None:
    """A pattern matches the keys of its scheme under its company prefix, and no others."""
    event = facts(BARE | {"childEPCs": [uri]})
    assert read_url_query([("MATCH_epc", pattern)]).matches(event) is matches


HOSTILE: list[tuple[str, str, str]] = [
    ("MATCH_epc", "*", "parameter.invalid"),
    ("MATCH_epc", "urn:epc:idpat:sgtin:*.001234.1", "parameter.invalid"),
    ("MATCH_epc", "urn:epc:idpat:sgtin:9521141.*.5", "parameter.invalid"),
    ("MATCH_epc", "urn:epc:idpat:sgtin:9521141.00*", "parameter.invalid"),
    ("MATCH_epc", "urn:epc:idpat:sgtin:(a+)+$.*.*", "parameter.invalid"),
    ("MATCH_epc", "urn:epc:idpat:gid:(a+)+$.*b.*", "parameter.invalid"),
    ("MATCH_epc", "urn:epc:id:sgtin:9521141.001234.*", "parameter.invalid"),
    ("MATCH_epc", "https://id.gs1.org/01/0952*/21/1", "parameter.invalid"),
    ("MATCH_epc", "https://id.gs1.org/01/09521141012346/21/*", "parameter.invalid"),
    ("MATCH_epc", "no uri", "parameter.invalid"),
    ("EQ_quantity", "1|x", "parameter.invalid"),
    ("GE_quantity", "NaN", "parameter.invalid"),
    ("GE_quantity", "1e999999999", "parameter.invalid"),
    ("GE_quantity", "9" * 39, "parameter.invalid"),
    ("GE_quantity", " 1", "parameter.invalid"),
    ("GE_quantity", "", "parameter.invalid"),
    ("GE_quantity", "true", "parameter.invalid"),
    ("GE_quantity", "1|2", "parameter.invalid"),
    ("GE_eventTime", "2026-02-30T00:00:00Z", "parameter.invalid"),
    ("EXISTS_ex:a", "maybe", "parameter.invalid"),
    ("EQ_booleanValue", "1", "parameter.invalid"),
    ("EQ_hexBinaryValue", "xyz", "parameter.invalid"),
    ("GT_ex:a", "text", "parameter.invalid"),
    ("EQ_action", "add", "parameter.invalid"),
    ("EQ_bizStep", "", "parameter.invalid"),
    ("EQ_bizTransaction", "urn:x:1", "parameter.unknown"),
    ("EQ_value", "1", "parameter.unknown"),
    ("GE_value_cel", "1", "parameter.unknown"),
    ("EQ_nothing", "1", "parameter.unknown"),
    ("GE_eventDate", "2026-01-01T00:00:00Z", "parameter.unknown"),
    ("MATCH_epcs", UNIT, "parameter.unknown"),
    ("HASATTR_nothing", "a", "parameter.unknown"),
    ("EQATTR_bizLocation", "a", "parameter.unknown"),
    ("LE_eventTime", "2026-01-01T00:00:00Z", "parameter.unknown"),
    ("", "", "parameter.unknown"),
    ("EQ_eventID", "|".join(map(str, range(101))), "query.too_complex"),
    ("orderBy", "bizStep", "parameter.invalid"),
    ("orderDirection", "SIDEWAYS", "parameter.invalid"),
    ("eventCountLimit", "5", "parameter.invalid"),
    ("maxEventCount", "0", "parameter.invalid"),
    ("maxEventCount", "1.5", "parameter.invalid"),
    ("EQ_ex:text", "x" * 2049, "parameter.invalid"),
]


@pytest.mark.parametrize(("name", "text", "code"), HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_are_refused(name: str, text: str, code: str) -> None:
    """What is malformed, too long or nobody's name is refused, and the refusal names the parameter."""
    with pytest.raises(EpcisError) as refused:
        read_url_query([(name, text)])
    assert refused.value.code == code
    assert refused.value.pointer in (f"/query/{name}", f"/query/{name[:80]}")


def test_count_rules() -> None:
    """The two limits exclude one another, and the first events need an order to be the first of."""
    read_url_query([("orderBy", "eventTime"), ("eventCountLimit", "3")])
    read_url_query([("maxEventCount", "3")])
    with pytest.raises(EpcisError):
        read_url_query([("orderBy", "eventTime"), ("eventCountLimit", "3"), ("maxEventCount", "3")])


def body(text: str) -> Any:
    return parse(text.encode(), 1 << 16)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ('{"EQ_ex:number": 1.50, "@context": {"ex": "%s"}}', True),
        ('{"EQ_ex:word": 20.0, "@context": {"ex": "%s"}}', True),
        ('{"EQ_ex:word": ["20.0"], "@context": {"ex": "%s"}}', False),
        ('{"e:x": 1, "@context": {"ex": "%s"}}', None),
        ('{"EXISTS_errorDeclaration": null}', True),
        ('{"EXISTS_sensorElementList": 1}', True),
        ('{"EXISTS_errorDeclaration": false}', False),
        ('{"EQ_booleanValue": true}', True),
        ('{"GE_errorDeclaration_Time": "2026-03-02T00:00:00Z"}', True),
        ('{"EQ_quantity": [12.5, 1], "GE_value_CEL": 4.2, "EQ_eventID": ["urn:x:full"]}', True),
        ('{"EQ_bizStep": "commissioning"}', True),
        ('{"EQ_stringValue": ["a|b"]}', False),
        ('{"EQ_bizStep": []}', None),
        ('{"EQ_bizStep": [1]}', None),
        ('{"EQ_bizStep": {"a": 1}}', None),
        ('{"GE_quantity": true}', None),
        ('{"GE_quantity": [1]}', None),
        ('{"GE_eventTime": 5}', None),
        ('{"maxEventCount": "many"}', None),
        ('{"@context": 5}', None),
        ("[]", None),
        ("null", None),
    ],
)
def test_bodies(text: str, matches: bool | None) -> None:
    """A body says with JSON types what a URL says with text; None: it is refused."""
    given = body(text.replace("%s", NS))
    if matches is None:
        with pytest.raises(LedgerError):
            read_body_query(given)
    else:
        assert read_body_query(given).matches(facts(FULL)) is matches


def test_values_of_any_shape_are_compared() -> None:
    """Whatever an extension field holds, nested, wrapped or null, it matches or not and never fails."""
    shapes: list[Any] = [
        None, {}, [], [[]], {"@value": {"a": 1}}, {"@value": ["x", None, {"@id": "hello"}]},
        [True, [1, ["hello"]]],
        {"#text": {"#text": "hello"}}, {"ex:a": "hello"}, 1, "1",
    ]  # fmt: skip
    matching = [0] * len(shapes)
    for index, shape in enumerate(shapes):
        event = facts(BARE | {"ex:any": shape})
        matching[index] = read_url_query([("EQ_ex:any", "hello")]).matches(event)
        for name, text in (
            ("GT_ex:any", "0"),
            ("LE_ex:any", "2026-01-01T00:00:00Z"),
            ("EQATTR_ex:any_a", "x"),
        ):
            read_url_query([(name, text)]).matches(event)
        order = read_url_query([("orderBy", "ex:any")]).order
        assert order is not None
        order.key(event)
    assert [index for index, found in enumerate(matching) if found] == [5, 6, 7]


def test_all_problems_are_told() -> None:
    """Every parameter that is wrong is named at once."""
    with pytest.raises(EpcisError) as refused:
        read_url_query([("a", "1"), ("GE_eventTime", "x"), ("EQ_action", "ADD"), ("orderDirection", "UP")])
    assert [each.pointer for each in refused.value.problems] == [
        "/query/a", "/query/GE_eventTime", "/query/orderDirection",
    ]  # fmt: skip


def test_shared_queries(shared_data: Path) -> None:
    """Every sample query is read or refused as its folder says."""
    folder = "2.0-json-query/queries"
    valid = sorted((shared_data / "epcis/valid" / folder).glob("*.json"))
    invalid = sorted((shared_data / "epcis/invalid" / folder).glob("*.json"))
    assert valid
    assert invalid
    for path in valid:
        read_body_query(body(path.read_text("utf-8")))
    for path in invalid:
        with pytest.raises(EpcisError) as refused:
            read_body_query(body(path.read_text("utf-8")))
        named = {each.pointer.removeprefix("/query/") for each in refused.value.problems}
        assert named <= json.loads(path.read_bytes()).keys()
