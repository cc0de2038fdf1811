"""Whether JSON is a valid EPCIS event, and if so the event that it says.

All of an event is checked and all that is wrong is reported; the typed view is built only of an event in
which nothing is.

Source: EPCIS 2.0 sections 7.3 and 7.4 and its JSON schema 2.0.0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from contracts.epcis import shapes
from contracts.epcis.canonical_json import Json
from contracts.epcis.event import Action, Event, Kind
from contracts.epcis.prefixes import Prefixes, check_unknown_contexts, read_context
from contracts.epcis.problems import Problems, shown
from contracts.epcis.shapes import Shape, a_list, a_term, a_time, a_uri, check_shape
from contracts.epcis.terms import check_terms
from contracts.epcis.view import view

KINDS: Final = {kind.value: kind for kind in Kind}

_action = shapes.one_of(tuple(action.value for action in Action), "epcis.unknown_action")
_uris = a_list(a_uri)
_unique_uris = a_list(a_uri, unique=True)

_COMMON: Final = {
    "@context": shapes.a_context,
    "type": shapes.a_string,
    "eventTime": a_time,
    "recordTime": a_time,
    "eventTimeZoneOffset": shapes.a_zone_offset,
    "eventID": a_uri,
    "certificationInfo": shapes.a_certification,
    "errorDeclaration": shapes.ERROR_DECLARATION,
    "bizStep": a_term,
    "disposition": a_term,
    "persistentDisposition": shapes.a_persistent_disposition,
    "readPoint": shapes.PLACE,
    "bizLocation": shapes.PLACE,
    "bizTransactionList": a_list(shapes.BIZ_TRANSACTION),
    "sourceList": shapes.SOURCES,
    "destinationList": shapes.DESTINATIONS,
    "sensorElementList": shapes.SENSORS,
}
_TIMES: Final = ("eventTime", "eventTimeZoneOffset")
_CHILDREN: Final = {"parentID": a_uri, "childEPCs": _uris, "childQuantityList": shapes.QUANTITIES}
_TRANSFORMED: Final = {
    "inputEPCList": _unique_uris,
    "inputQuantityList": shapes.QUANTITIES,
    "outputEPCList": _unique_uris,
    "outputQuantityList": shapes.QUANTITIES,
    "transformationID": a_uri,
}


def _shape(fields: dict[str, shapes.Check], *required: str) -> Shape:
    return Shape(_COMMON | fields, (*_TIMES, *required), is_extensible=True)


_SHAPES: Final = {
    Kind.OBJECT: _shape(
        {
            "action": _action,
            "epcList": _unique_uris,
            "quantityList": shapes.QUANTITIES,
            "ilmd": shapes.an_ilmd,
        },
        "action",
    ),
    Kind.AGGREGATION: _shape({"action": _action, **_CHILDREN}, "action"),
    Kind.TRANSACTION: _shape(
        {
            "action": _action,
            "parentID": a_uri,
            "epcList": _uris,
            "quantityList": shapes.QUANTITIES,
            "bizTransactionList": a_list(shapes.BIZ_TRANSACTION, filled=True),
        },
        "action",
        "bizTransactionList",
    ),
    Kind.TRANSFORMATION: _shape({**_TRANSFORMED, "ilmd": shapes.an_ilmd}),
    Kind.ASSOCIATION: _shape({"action": _action, **_CHILDREN}, "action", "parentID"),
}


def validate_event(value: Json, prefixes: Prefixes = (), pointer: str = "") -> Event:
    """The event that a JSON value says.

    Args:
        value: as `canonical_json.parse` returns it.
        prefixes: bound by the document around the event; the event's own `@context` adds to them.
        pointer: where the event stands in its document; the pointers of problems begin with it.

    Raises:
        EpcisError: every problem found; docs/reference/epcis-errors.md lists the codes.
    """
    problems = Problems()
    kind, bound = check_event(value, prefixes, pointer, problems)
    problems.raise_any()
    assert kind is not None, "an event without problems has a kind"
    assert isinstance(value, dict), "and is an object"
    return view(value, kind, bound, pointer)


def check_event(
    value: Json, prefixes: Prefixes, pointer: str, problems: Problems
) -> tuple[Kind | None, dict[str, str]]:
    """Note every problem of an event; its kind, None where it has none, and the prefixes in force in it."""
    bound = dict(prefixes)
    if not isinstance(value, dict):
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no event")
        return None, bound
    if "@context" in value:
        own, unknown = read_context(value["@context"], f"{pointer}/@context", problems)
        bound |= own
        check_unknown_contexts(unknown, value, bound, problems)
    kind = _kind(value, pointer, problems)
    if kind is not None:
        check_shape(value, pointer, problems, _SHAPES[kind])
        check_terms(value, bound, pointer, problems)
        _RULES[kind](value, pointer, problems)
    return kind, bound


def _kind(event: dict[str, Any], pointer: str, problems: Problems) -> Kind | None:
    name = event.get("type")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        if "type" not in event:
            problems.add("epcis.missing_field", f"{pointer}/type", "type is missing")
        else:
            problems.add(
                "epcis.unknown_kind", f"{pointer}/type", f"{shown(name)} is none of {', '.join(KINDS)}"
            )
    return kind


def _check_object(event: dict[str, Any], pointer: str, problems: Problems) -> None:
    named = "epcList" in event or _has(event, "quantityList")
    if not named and not (_has(event, "sensorElementList") and "readPoint" in event):
        problems.add(
            "epcis.nothing_named",
            pointer,
            "an ObjectEvent needs epcList, quantityList, or sensorElementList with readPoint",
        )
    if "ilmd" in event and event.get("action") in ("OBSERVE", "DELETE"):
        problems.add("epcis.ilmd_not_allowed", f"{pointer}/ilmd", "ilmd goes with action ADD only")


def _check_aggregation(event: dict[str, Any], pointer: str, problems: Problems) -> None:
    if "parentID" not in event and event.get("action") in ("ADD", "DELETE"):
        problems.add(
            "epcis.missing_field", f"{pointer}/parentID", "parentID is missing; OBSERVE alone needs none"
        )
    _check_children(event, pointer, problems)


def _check_children(event: dict[str, Any], pointer: str, problems: Problems) -> None:
    if (
        event.get("action") != "DELETE"
        and not _has(event, "childEPCs")
        and not _has(event, "childQuantityList")
    ):
        problems.add(
            "epcis.nothing_named",
            pointer,
            "childEPCs or childQuantityList is needed; DELETE alone goes without",
        )


def _check_transaction(event: dict[str, Any], pointer: str, problems: Problems) -> None:
    if event.get("action") != "DELETE" and "epcList" not in event and not _has(event, "quantityList"):
        problems.add(
            "epcis.nothing_named", pointer, "epcList or quantityList is needed; DELETE alone goes without"
        )


def _check_transformation(event: dict[str, Any], pointer: str, problems: Problems) -> None:
    has_input = _has(event, "inputEPCList") or _has(event, "inputQuantityList")
    has_output = _has(event, "outputEPCList") or _has(event, "outputQuantityList")
    if not (has_input and has_output) and not ("transformationID" in event and (has_input or has_output)):
        problems.add(
            "epcis.nothing_named",
            pointer,
            "a TransformationEvent needs inputs and outputs, or transformationID with either of them",
        )


def _has(event: dict[str, Any], name: str) -> bool:
    """Whether a list is there and not empty. Its form is checked elsewhere."""
    return bool(event.get(name))


_RULES: Final[dict[Kind, Callable[[dict[str, Any], str, Problems], None]]] = {
    Kind.OBJECT: _check_object,
    Kind.AGGREGATION: _check_aggregation,
    Kind.TRANSACTION: _check_transaction,
    Kind.TRANSFORMATION: _check_transformation,
    Kind.ASSOCIATION: _check_children,
}
