"""Every parameter of the standard that says which events match: its name, how it is read, what it asks.

A fixed name stands in `FIXED`; a name with an open part, such as a unit or a type, in `FAMILIES`. What stands
in neither is no parameter.

Source: EPCIS 2.0, section 8.2.7.1 (SimpleEventQuery).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeAlias

from contracts.epcis.event import Action, Typed
from contracts.epcis.identifiers import is_uri
from contracts.epcis.instant import parse_time
from contracts.epcis.prefixes import expand
from contracts.epcis.problems import shown
from contracts.epcis.validate import KINDS
from contracts.epcis.vocabulary import Vocabulary, stored_term
from node.api.epcis.query import extensions, master
from node.api.epcis.query.extensions import COMPARED
from node.api.epcis.query.facts import Facts
from node.api.epcis.query.patterns import read_matcher, read_uri
from node.api.epcis.query.values import Value, each_of, invalid

Condition: TypeAlias = "Callable[[Facts], bool]"
Prefixes: TypeAlias = "Mapping[str, str]"
Read: TypeAlias = "Callable[[Value, Prefixes], Condition]"

_ACTIONS: Final = frozenset(action.value for action in Action)
_EPCIS: Final = "https://ref.gs1.org/epcis/"
_MEASUREMENT = re.compile(r"https?://(?:(?:www|ref)\.)?gs1\.org/voc/(?:MT-)?([A-Za-z]+)")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A parameter with a name of its own. `schema` is that of its value in a URL."""

    read: Read
    description: str
    schema: Mapping[str, Any]


# --- texts ------------------------------------------------------------------------


def _action(text: str) -> str:
    if text not in _ACTIONS:
        raise invalid(f"{shown(text)} is none of {', '.join(sorted(_ACTIONS))}")
    return text


def read_kind(text: str, prefixes: Prefixes) -> str:
    """A kind of event as JSON names it. The absolute URI of a kind that EPCIS lacks matches nothing."""
    full = expand(text, dict(prefixes)).removeprefix(_EPCIS)
    if full not in KINDS and not is_uri(full):
        raise invalid(f"{shown(text)} is none of {', '.join(KINDS)}")
    return full


def read_term(text: str, vocabulary: Vocabulary, prefixes: Prefixes) -> str:
    """A term in the form that events are stored with."""
    if not text:
        raise invalid("expected a term")
    return stored_term(text, vocabulary, dict(prefixes))


def measurement_type(text: str, prefixes: Prefixes) -> str:
    """The bare word of a measurement type of GS1, else the absolute identifier of another."""
    full = expand(text, dict(prefixes))
    found = _MEASUREMENT.fullmatch(full)
    return found.group(1) if found is not None else full


def _listed(read: Callable[[str, Prefixes], str], find: Callable[[Facts], Iterable[str | None]]) -> Read:
    """A list of texts: the event has one of them at a place."""

    def build(value: Value, prefixes: Prefixes) -> Condition:
        wanted = each_of(lambda text: read(text, prefixes))(value)
        return lambda facts: any(found in wanted for found in find(facts))

    return build


def _terms(vocabulary: Vocabulary, find: Callable[[Facts], Iterable[str | None]]) -> Read:
    return _listed(lambda text, prefixes: read_term(text, vocabulary, prefixes), find)


def _uris(find: Callable[[Facts], Iterable[str | None]]) -> Read:
    return _listed(lambda text, prefixes: read_uri(expand(text, dict(prefixes))), find)


def _as_is(find: Callable[[Facts], Iterable[str | None]]) -> Read:
    return _listed(lambda text, prefixes: text, find)


_CORRECTIVE: Final = _as_is(
    lambda facts: facts.event.error_declaration.corrective_event_ids if facts.event.error_declaration else ()
)
_REASON: Final = _terms(
    Vocabulary.ERROR_REASON,
    lambda facts: (facts.event.error_declaration.reason,) if facts.event.error_declaration else (),
)


# --- things and classes -------------------------------------------------------------

_THINGS: Final = ("epcs", "children", "inputs", "outputs", "parent")
_CLASSES: Final = ("quantities", "child_quantities", "input_quantities", "output_quantities")


def identifiers(facts: Facts, names: tuple[str, ...]) -> Iterable[str]:
    """The identifiers in these fields of an event: things, or classes of quantities."""
    for name in names:
        match getattr(facts.event, name):
            case str() as parent:
                yield parent
            case tuple() as listed:
                yield from (each if isinstance(each, str) else each.epc_class for each in listed)
            case _:
                pass


def _match(*names: str) -> Read:
    def build(value: Value, prefixes: Prefixes) -> Condition:
        matches = read_matcher(expand(text, dict(prefixes)) for text in value.texts())
        return lambda facts: matches(identifiers(facts, names))

    return build


# --- times and existence ------------------------------------------------------------


def _times(find: Callable[[Facts], Iterable[int]]) -> tuple[Read, Read]:
    """At or after, and before."""

    def at_least(value: Value, prefixes: Prefixes) -> Condition:
        start = value.instant()
        return lambda facts: any(found >= start for found in find(facts))

    def before(value: Value, prefixes: Prefixes) -> Condition:
        stop = value.instant()
        return lambda facts: any(found < stop for found in find(facts))

    return at_least, before


def _declared(facts: Facts) -> Iterable[int]:
    declared = facts.event.error_declaration
    return () if declared is None else (declared.declaration_time_ms,)


def _metadata_times(name: str) -> Callable[[Facts], Iterable[int]]:
    return lambda facts: (parse_time(each[name]) for each in facts.sensor_metadata() if name in each)


def _sensor_times(facts: Facts) -> Iterable[int]:
    yield from _metadata_times("time")(facts)
    yield from (parse_time(each["time"]) for each in facts.sensor_reports() if "time" in each)


def _exists(find: Callable[[Facts], bool]) -> Read:
    def build(value: Value, prefixes: Prefixes) -> Condition:
        wanted = value.flag()
        return lambda facts: find(facts) == wanted

    return build


# --- sensors ------------------------------------------------------------------------


def _reported(*names: str) -> Callable[[Facts], Iterable[str]]:
    return lambda facts: (
        report[name] for report in facts.sensor_reports() for name in names if name in report
    )


def _device(name: str) -> Read:
    """A URI that stands in the metadata of a sensor element or in a report."""

    def find(facts: Facts) -> Iterable[str]:
        for each in (*facts.sensor_metadata(), *facts.sensor_reports()):
            if name in each:
                yield read_uri(expand(each[name], dict(facts.bound)))

    return _uris(find)


def _report_uri(name: str) -> Read:
    find = _reported(name)
    return _uris(lambda facts: (read_uri(expand(text, dict(facts.bound))) for text in find(facts)))


def _measured(facts: Facts) -> Iterable[str]:
    return (measurement_type(text, facts.bound) for text in _reported("type")(facts))


def _boolean_value(value: Value, prefixes: Prefixes) -> Condition:
    wanted = value.booleans()
    return lambda facts: any(
        report["booleanValue"] in wanted for report in facts.sensor_reports() if "booleanValue" in report
    )


def _hexadecimal(text: str, prefixes: Prefixes) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]+", text):
        raise invalid(f"{shown(text)} holds something else than hexadecimal digits")
    return text.lower()


# --- the table ----------------------------------------------------------------------

_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_BOOLEAN: Final = {"type": "string", "enum": ["true", "false"]}


def _both(name: str, find: Callable[[Facts], Iterable[int]], what: str) -> dict[str, Fixed]:
    at_least, before = _times(find)
    return {
        f"GE_{name}": Fixed(at_least, f"{what} is this instant or a later one.", _TIME),
        f"LT_{name}": Fixed(before, f"{what} is earlier than this instant.", _TIME),
    }


def _texts(read: Read, description: str) -> Fixed:
    return Fixed(read, f"{description} Several are separated by `|`.", _TEXT)


FIXED: Final[Mapping[str, Fixed]] = {
    "eventType": _texts(_listed(read_kind, lambda facts: (facts.event.kind.value,)), "Kinds of event."),
    **_both("eventTime", lambda facts: (facts.event.event_time_ms,), "The event's time"),
    **_both("recordTime", lambda facts: (facts.record_time_ms,), "The time of the event's block"),
    "EQ_action": _texts(
        _listed(
            lambda text, prefixes: _action(text),
            lambda facts: (facts.event.action.value,) if facts.event.action else (),
        ),
        "Actions.",
    ),
    "EQ_bizStep": _texts(
        _terms(Vocabulary.BIZ_STEP, lambda facts: (facts.event.biz_step,)),
        "Business steps, in any CBV spelling.",
    ),
    "EQ_disposition": _texts(
        _terms(Vocabulary.DISPOSITION, lambda facts: (facts.event.disposition,)),
        "Dispositions, in any CBV spelling.",
    ),
    "EQ_persistentDisposition_set": _texts(
        _terms(Vocabulary.DISPOSITION, lambda facts: facts.event.persistent_set),
        "Persistent dispositions that the event sets.",
    ),
    "EQ_persistentDisposition_unset": _texts(
        _terms(Vocabulary.DISPOSITION, lambda facts: facts.event.persistent_unset),
        "Persistent dispositions that the event ends.",
    ),
    "EQ_readPoint": _texts(_uris(lambda facts: (facts.event.read_point,)), "Read points."),
    "EQ_bizLocation": _texts(_uris(lambda facts: (facts.event.biz_location,)), "Business locations."),
    "EQ_transformationID": _texts(
        _uris(lambda facts: (facts.event.transformation_id,)), "Transformations in parts."
    ),
    "MATCH_epc": _texts(_match("epcs", "children"), "In epcList or childEPCs: identifiers or patterns."),
    "MATCH_parentID": _texts(_match("parent"), "As parentID."),
    "MATCH_inputEPC": _texts(_match("inputs"), "In inputEPCList."),
    "MATCH_outputEPC": _texts(_match("outputs"), "In outputEPCList."),
    "MATCH_anyEPC": _texts(_match(*_THINGS), "Anywhere a thing is named."),
    "MATCH_epcClass": _texts(
        _match("quantities", "child_quantities"), "In quantityList or childQuantityList."
    ),
    "MATCH_inputEPCClass": _texts(_match("input_quantities"), "In inputQuantityList."),
    "MATCH_outputEPCClass": _texts(_match("output_quantities"), "In outputQuantityList."),
    "MATCH_anyEPCClass": _texts(_match(*_CLASSES), "Anywhere a quantity is named."),
    "EQ_eventID": _texts(_as_is(lambda facts: (facts.event_id,)), "Identifiers of events."),
    "EXISTS_errorDeclaration": Fixed(
        _exists(lambda facts: facts.event.error_declaration is not None),
        "Whether the event declares another erroneous.",
        _BOOLEAN,
    ),
    **_both("errorDeclarationTime", _declared, "The time of the error declaration"),
    **_both("errorDeclaration_Time", _declared, "The same, as the body schema spells it: the declaration"),
    "EQ_errorReason": _texts(_REASON, "Reasons of error declarations, in any CBV spelling."),
    "EQ_correctiveEventID": _texts(_CORRECTIVE, "Events that correct the one declared erroneous."),
    "EXISTS_sensorElementList": Fixed(
        _exists(lambda facts: facts.event.sensors > 0), "Whether the event has sensor data.", _BOOLEAN
    ),
    **_both("time", _sensor_times, "A time of the sensor data"),
    **_both("startTime", _metadata_times("startTime"), "A start of measuring"),
    **_both("endTime", _metadata_times("endTime"), "An end of measuring"),
    "EQ_type": _texts(_listed(measurement_type, _measured), "Types of measurement."),
    "EQ_deviceID": _texts(_device("deviceID"), "Devices."),
    "EQ_dataProcessingMethod": _texts(_device("dataProcessingMethod"), "How readings were processed."),
    "EQ_bizRules": _texts(_device("bizRules"), "Rules that readings were held to."),
    "EQ_microorganism": _texts(_report_uri("microorganism"), "Microorganisms."),
    "EQ_chemicalSubstance": _texts(_report_uri("chemicalSubstance"), "Chemical substances."),
    "EQ_uriValue": _texts(_report_uri("uriValue"), "Readings that are URIs."),
    "EQ_stringValue": _texts(_as_is(_reported("stringValue")), "Readings that are texts."),
    "EQ_booleanValue": Fixed(_boolean_value, "Readings that are true or false.", _TEXT),
    "EQ_hexBinaryValue": _texts(
        _listed(
            _hexadecimal,
            lambda facts: (each.lower() for each in _reported("hexBinaryValue")(facts)),
        ),
        "Readings that are hexadecimal digits.",
    ),
}


# --- names with an open part --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Family:
    """Parameters whose name says a part of the question. `build` answers None for no such parameter."""

    names: re.Pattern[str]
    build: Callable[[re.Match[str], Value, Prefixes], Condition | None]


def _compared(operator: str, value: Value) -> Callable[[Any], bool]:
    """Whether a number stands in a relation to the one given; for EQ, to one of those given."""
    if operator == "EQ":
        wanted = value.numbers()
        return lambda found: Decimal(found) in wanted
    compare, limit = COMPARED[operator], value.number()
    return lambda found: compare(found, limit)


def _within(name: re.Match[str], value: Value, prefixes: Prefixes) -> Condition:
    wanted = each_of(lambda text: read_uri(expand(text, dict(prefixes))))(value)
    if name["field"] == "readPoint":
        return lambda facts: master.lies_within(facts, facts.event.read_point, wanted)
    return lambda facts: master.lies_within(facts, facts.event.biz_location, wanted)


def _typed(name: re.Match[str], value: Value, prefixes: Prefixes) -> Condition:
    """A business transaction, source or destination of the type that the name says."""
    is_transaction = name["field"] == "bizTransaction"
    vocabulary = Vocabulary.BIZ_TRANSACTION_TYPE if is_transaction else Vocabulary.SOURCE_DESTINATION_TYPE
    kind = read_term(name["type"], vocabulary, prefixes)
    wanted = each_of(lambda text: read_uri(expand(text, dict(prefixes))))(value)

    def find(facts: Facts) -> tuple[Typed, ...]:
        match name["field"]:
            case "bizTransaction":
                return facts.event.biz_transactions
            case "source":
                return facts.event.sources
            case _:
                return facts.event.destinations

    return lambda facts: any(each.type == kind and each.id in wanted for each in find(facts))


def _quantity(name: re.Match[str], value: Value, prefixes: Prefixes) -> Condition:
    """A quantity in the unit that the name says, or in any where it says none."""
    test, uom = _compared(name["operator"], value), name["uom"]
    return lambda facts: any(
        each.quantity is not None and uom in (None, each.uom) and test(each.quantity)
        for each in facts.quantities()
    )


def _reading(name: re.Match[str], value: Value, prefixes: Prefixes) -> Condition:
    """A reading in the unit that the name says; a rank has none."""
    test, field, uom = _compared(name["operator"], value), name["value"] or "percRank", name["uom"]
    return lambda facts: any(
        field in report and (uom is None or report.get("uom") == uom) and test(report[field])
        for report in facts.sensor_reports()
    )


def _extension(name: re.Match[str], value: Value, prefixes: Prefixes) -> Condition:
    operator, inner, area, field = name.groups()
    place = extensions.Place(area or "", is_inner=inner is not None)
    return extensions.read_field(operator, place, extensions.read_name(field, prefixes), value)


_UOM: Final = r"(?P<uom>[A-Z0-9]{2,4})"
FAMILIES: Final = (
    Family(re.compile(r"WD_(?P<field>readPoint|bizLocation)"), _within),
    Family(re.compile(r"EQ_(?P<field>bizTransaction|source|destination)_(?P<type>\S+)"), _typed),
    Family(re.compile(rf"(?P<operator>EQ|GT|GE|LT|LE)_quantity(?:_{_UOM})?"), _quantity),
    Family(
        re.compile(
            r"(?P<operator>EQ|GT|GE|LT|LE)_"
            rf"(?:(?P<value>value|minValue|maxValue|meanValue|sDev|percValue)_{_UOM}|percRank)"
        ),
        _reading,
    ),
    Family(
        re.compile(r"HASATTR_(?P<field>\S+)"),
        lambda name, value, prefixes: master.read_has_attribute(name["field"], value, prefixes),
    ),
    Family(
        re.compile(r"EQ_?ATTR_(?P<field>\S+)"),
        lambda name, value, prefixes: master.read_equal_attribute(name["field"], value, prefixes),
    ),
    Family(extensions.family("EQ|GT|GE|LT|LE|EXISTS"), _extension),
)


def read_condition(name: str, value: Value, prefixes: Prefixes) -> Condition | None:
    """The condition that a parameter says; None where nobody knows the name.

    Raises:
        LedgerError: `parameter.invalid`, `query.too_complex`.
    """
    fixed = FIXED.get(name)
    if fixed is not None:
        return fixed.read(value, prefixes)
    for family in FAMILIES:
        found = family.names.fullmatch(name)
        if found is not None:
            return family.build(found, value, prefixes)
    return None
