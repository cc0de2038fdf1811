"""The query language of EPCIS 2.0, as far as this node answers it.

A parameter that the standard has and this node does not answer is refused by another code than one
that nobody knows, and neither is ever ignored: a query that is answered was understood as a whole.

Source: EPCIS 2.0, section 8.2.7.1 (SimpleEventQuery).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from contracts.epcis.event import Action, Event, Kind
from contracts.epcis.identifiers import resolve
from contracts.epcis.instant import parse_time
from contracts.epcis.vocabulary import Vocabulary, stored_term
from ledger.errors import LedgerError

VALUES_MAX: Final = 100  # in one list
PER_PAGE_MAX: Final = 100
PER_PAGE_DEFAULT: Final = 30

Values: TypeAlias = "frozenset[str]"

_KINDS: Final = frozenset(kind.value for kind in Kind)
_ACTIONS: Final = frozenset(action.value for action in Action)

# What the standard names beyond what is answered here.
_STANDARD = re.compile(
    r"(GE|LT)_(startTime|endTime|time|errorDeclarationTime)"
    r"|EQ_persistentDisposition_(set|unset)|WD_(readPoint|bizLocation)"
    r"|EQ_(bizTransaction|source|destination)_.+"
    r"|(EQ|GT|GE|LT|LE)_quantity(_.+)?"
    r"|EQ_(errorReason|correctiveEventID)"
    r"|EXISTS_sensorElementList"
    r"|EQ_(type|deviceID|dataProcessingMethod|microorganism|chemicalSubstance|bizRules|stringValue|booleanValue"
    r"|hexBinaryValue|uriValue)|(EQ|GE|GT|LE|LT)_(value|minValue|maxValue|meanValue|sDev|percValue)_.+"
    r"|(EQ|GE|GT|LE|LT)_percRank"
    r"|(EQ|GT|GE|LT|LE|EXISTS)_((INNER_|ILMD_|INNER_ILMD_|ERROR_DECLARATION_|SENSORELEMENT_|SENSORMETADATA_"
    r"|SENSORREPORT_|readPoint_|bizLocation_|INNER_ERROR_DECLARATION_|INNER_SENSORELEMENT_|INNER_SENSORREPORT_)?"
    r"[A-Za-z0-9_.-]+:.+)"
    r"|(HASATTR|EQATTR|EQ_ATTR)_.+"
    r"|orderBy|orderDirection|eventCountLimit|maxEventCount"
)


def _ids(event: Event, *names: str) -> set[str]:
    """The identifiers in these fields of an event: things, or classes of quantities."""
    found: set[str] = set()
    for name in names:
        match getattr(event, name):
            case str() as parent:
                found.add(parent)
            case tuple() as listed:
                found.update(each if isinstance(each, str) else each.epc_class for each in listed)
            case _:
                pass
    return found


_THINGS: Final = ("epcs", "children", "inputs", "outputs", "parent")
_CLASSES: Final = ("quantities", "child_quantities", "input_quantities", "output_quantities")


def _identifier(text: str) -> str:
    """The canonical form that events are stored under."""
    if "*" in text:
        raise LedgerError("query.not_supported", "patterns are not answered; name the identifier itself")
    return resolve(text).uri


def _bizstep(text: str) -> str:
    return stored_term(text, Vocabulary.BIZ_STEP, {})


def _disposition(text: str) -> str:
    return stored_term(text, Vocabulary.DISPOSITION, {})


def _action(text: str) -> str:
    if text not in _ACTIONS:
        raise LedgerError("parameter.invalid", f"{text[:40]!r} is none of {', '.join(sorted(_ACTIONS))}")
    return text


def _kind(text: str) -> str:
    if text not in _KINDS:
        raise LedgerError("parameter.invalid", f"{text[:40]!r} is none of {', '.join(sorted(_KINDS))}")
    return text


def _boolean(text: str) -> str:
    if text not in {"true", "false"}:
        raise LedgerError("parameter.invalid", "expected true or false")
    return text


def _same(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Filter:
    """One list parameter: how a value is read, and whether an event matches any of them."""

    read: Callable[[str], str]
    matches: Callable[[Event, Values], bool]
    description: str


def _named(*names: str) -> Callable[[Event, Values], bool]:
    return lambda event, values: not values.isdisjoint(_ids(event, *names))


def _is(read: Callable[[Event], str | None]) -> Callable[[Event, Values], bool]:
    return lambda event, values: read(event) in values


FILTERS: Final[Mapping[str, Filter]] = {
    "eventType": Filter(_kind, _is(lambda event: event.kind.value), "Kinds of event."),
    "EQ_eventID": Filter(_same, _is(lambda event: event.event_id), "Identifiers of events."),
    "EQ_action": Filter(
        _action, _is(lambda event: None if event.action is None else event.action.value), "Actions."
    ),
    "EQ_bizStep": Filter(_bizstep, _is(lambda event: event.biz_step), "Business steps, in any CBV spelling."),
    "EQ_disposition": Filter(
        _disposition, _is(lambda event: event.disposition), "Dispositions, in any CBV spelling."
    ),
    "EQ_readPoint": Filter(_identifier, _is(lambda event: event.read_point), "Read points."),
    "EQ_bizLocation": Filter(_identifier, _is(lambda event: event.biz_location), "Business locations."),
    "EQ_transformationID": Filter(
        _identifier, _is(lambda event: event.transformation_id), "Transformations in parts."
    ),
    "MATCH_epc": Filter(_identifier, _named("epcs", "children"), "In epcList or childEPCs."),
    "MATCH_parentID": Filter(_identifier, _named("parent"), "As parentID."),
    "MATCH_inputEPC": Filter(_identifier, _named("inputs"), "In inputEPCList."),
    "MATCH_outputEPC": Filter(_identifier, _named("outputs"), "In outputEPCList."),
    "MATCH_anyEPC": Filter(_identifier, _named(*_THINGS), "Anywhere a thing is named."),
    "MATCH_epcClass": Filter(
        _identifier, _named("quantities", "child_quantities"), "In quantityList or childQuantityList."
    ),
    "MATCH_inputEPCClass": Filter(_identifier, _named("input_quantities"), "In inputQuantityList."),
    "MATCH_outputEPCClass": Filter(_identifier, _named("output_quantities"), "In outputQuantityList."),
    "MATCH_anyEPCClass": Filter(_identifier, _named(*_CLASSES), "Anywhere a quantity is named."),
    "EXISTS_errorDeclaration": Filter(
        _boolean,
        lambda event, values: ("true" if event.error_declaration else "false") in values,
        "Whether the event declares another erroneous.",
    ),
}
TIMES: Final = ("GE_eventTime", "LT_eventTime", "GE_recordTime", "LT_recordTime")
BY_ITEM: Final = tuple(name for name in FILTERS if name.startswith("MATCH_"))  # found by an item's history


@dataclass(frozen=True, slots=True)
class Query:
    """A query: filters that all hold, and times in milliseconds since 1970 UTC."""

    filters: Mapping[str, Values]
    times: Mapping[str, int]

    def is_in_time(self, event_time_ms: int, record_time_ms: int) -> bool:
        """Whether the two times of an event are in every range that was asked for."""
        return all(
            (found >= self.times.get(f"GE_{name}", found)) and found < self.times.get(f"LT_{name}", found + 1)
            for name, found in (("eventTime", event_time_ms), ("recordTime", record_time_ms))
        )

    def is_of_kind(self, kind: str) -> bool:
        """Whether the kind of event is one that was asked for."""
        return kind in self.filters.get("eventType", frozenset((kind,)))

    def matches(self, event: Event, event_id: str) -> bool:
        """Whether an event matches every filter. `event_id` is the ledger's where the client gave none."""
        for name, values in self.filters.items():
            if name == "EQ_eventID":
                if event_id not in values:
                    return False
            elif not FILTERS[name].matches(event, values):
                return False
        return True


def read_query(parameters: Iterable[tuple[str, str]]) -> Query:
    """The query that URL parameters say; those of paging are not among them.

    Raises:
        LedgerError: `parameter.unknown`, `parameter.invalid`, `query.not_supported`, `query.too_complex`.
    """
    filters: dict[str, Values] = {}
    times: dict[str, int] = {}
    for name, text in parameters:
        if name in FILTERS:
            filters[name] = _read_list(name, text)
        elif name in TIMES:
            times[name] = _read_time(name, text)
        elif _STANDARD.fullmatch(name):
            raise LedgerError(
                "query.not_supported",
                f"{name[:80]} is in the standard; this node does not answer it",
                _at(name),
            )
        else:
            raise LedgerError("parameter.unknown", f"no query parameter is called {name[:80]}", _at(name))
    return Query(filters, times)


def _read_list(name: str, text: str) -> Values:
    values = text.split("|")
    if len(values) > VALUES_MAX:
        raise LedgerError(
            "query.too_complex", f"{len(values)} values, at most {VALUES_MAX} are allowed", _at(name)
        )
    try:
        return frozenset(FILTERS[name].read(value) for value in values)
    except LedgerError as problem:
        code = problem.code if problem.code.startswith("query.") else "parameter.invalid"
        raise LedgerError(code, f"{name}: {problem.message}", _at(name)) from None


def _read_time(name: str, text: str) -> int:
    try:
        return parse_time(text)
    except LedgerError as problem:
        raise LedgerError("parameter.invalid", f"{name}: {problem.message}", _at(name)) from None


def _at(name: str) -> str:
    return "/query/" + name[:80].replace("~", "~0").replace("/", "~1")
