"""A query, read once: what an event has to be, in which order events come, and how many.

Every parameter holds; none is ever ignored. All that is wrong with a query is told at once, each problem
naming its parameter. Beside the predicate a query keeps what an index can use: exact values and times.

Source: EPCIS 2.0, section 8.2.7.1 (SimpleEventQuery).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.epcis.canonical_json import Json, child
from contracts.epcis.prefixes import GS1_PREFIXES, is_prefix_pair, read_context
from contracts.epcis.problems import Problems
from contracts.epcis.vocabulary import Vocabulary
from ledger.errors import LedgerError
from node.api.epcis.query.extensions import FieldName, Place, read_name, scalars
from node.api.epcis.query.facts import Facts
from node.api.epcis.query.parameters import FIXED, Condition, Prefixes, read_condition, read_kind, read_term
from node.api.epcis.query.patterns import ANY, read_uri
from node.api.epcis.query.values import Value, invalid, read_instant, read_number

PARAMETERS_MAX: Final = 64
PER_PAGE_MAX: Final = 100
PER_PAGE_DEFAULT: Final = 30
NAME_SHOWN_MAX: Final = 80

EVENT_TIME: Final = "eventTime"
RECORD_TIME: Final = "recordTime"
RESULT: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "orderBy": ("`eventTime`, `recordTime` or an extension field.", {"type": "string"}),
    "orderDirection": (
        "`DESC` (default) or `ASC`; with orderBy.",
        {"type": "string", "enum": ["ASC", "DESC"]},
    ),
    "eventCountLimit": ("The first so many, in the order of orderBy.", {"type": "integer", "minimum": 1}),
    "maxEventCount": ("Refuse the query where more events match.", {"type": "integer", "minimum": 1}),
}
BY_ITEM: Final = tuple(name for name in FIXED if name.startswith("MATCH_"))  # found by an item's history
_INDEXED: Final[Mapping[str, Callable[[str, Prefixes], str]]] = {
    "eventType": read_kind,
    "EQ_eventID": lambda text, prefixes: text,
    "EQ_bizStep": lambda text, prefixes: read_term(text, Vocabulary.BIZ_STEP, prefixes),
    "EQ_disposition": lambda text, prefixes: read_term(text, Vocabulary.DISPOSITION, prefixes),
    "EQ_readPoint": lambda text, prefixes: read_uri(text),
    "EQ_bizLocation": lambda text, prefixes: read_uri(text),
    **dict.fromkeys(BY_ITEM, lambda text, prefixes: read_uri(text)),
}


@dataclass(frozen=True, slots=True)
class Order:
    """By what events are sorted: one of the two times, or an extension field."""

    by: str
    field: FieldName | None
    is_ascending: bool

    def key(self, facts: Facts) -> tuple[int, Any] | None:
        """What a sort by the extension field compares: numbers, then times, then texts; None: no value."""
        assert self.field is not None, "the times are the index's to sort by"
        for value in Place("", is_inner=False).find(facts, self.field):
            for plain in scalars(value):
                if isinstance(plain, str):
                    number, instant = read_number(plain), read_instant(plain)
                    if number is not None:
                        return 0, number
                    return (1, instant) if instant is not None else (2, plain)
                return 0, plain
        return None


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was understood as a whole.

    Args:
        conditions: all of them hold for an event that matches.
        exact: values of parameters that an index can look up, by the parameter's name; one of them is met.
        times: bounds in milliseconds since 1970 UTC by parameter (GE_eventTime and so on).
        order: None for the order of recording.
        count_limit: the first so many, and no more.
        count_max: refuse the query where more match.
    """

    conditions: tuple[Condition, ...] = ()
    exact: Mapping[str, frozenset[str]] = field(default_factory=dict)
    times: Mapping[str, int] = field(default_factory=dict)
    order: Order | None = None
    count_limit: int | None = None
    count_max: int | None = None

    def matches(self, facts: Facts) -> bool:
        """Whether an event is what every parameter asks for."""
        return all(holds(facts) for holds in self.conditions)

    def may_match(self, kind: str, event_time_ms: int, record_time_ms: int) -> bool:
        """Whether an event of this kind and these times can match; it need not be read where it can't."""
        if kind not in self.exact.get("eventType", (kind,)):
            return False
        return all(
            (found >= self.times.get(f"GE_{name}", found)) and found < self.times.get(f"LT_{name}", found + 1)
            for name, found in ((EVENT_TIME, event_time_ms), (RECORD_TIME, record_time_ms))
        )


def read_url_query(parameters: Iterable[tuple[str, str]], extensions: str = "") -> Query:
    """The query that URL parameters say; those of paging are not among them.

    Args:
        parameters: names and texts.
        extensions: the header `GS1-Extensions`, which binds prefixes: `prefix=namespace`, comma between.

    Raises:
        EpcisError: every problem: `parameter.unknown`, `parameter.invalid`, `query.too_complex`.
    """
    given = [(name, Value(text, is_text=True)) for name, text in parameters]
    return _read(given, _header_prefixes(extensions))


def read_body_query(body: Json) -> Query:
    """The query that a JSON object says, as POST /queries carries it.

    Raises:
        EpcisError: every problem: `parameter.unknown`, `parameter.invalid`, `query.too_complex`, and
            `epcis.bad_context` for its `@context`.
    """
    if not isinstance(body, dict):
        raise LedgerError("parameter.invalid", "a query is an object of parameters", "/query")
    problems = Problems()
    prefixes, _ = read_context(body.get("@context", []), "/query/@context", problems)
    problems.raise_any()
    given = [(name, Value(each, is_text=False)) for name, each in body.items() if name != "@context"]
    return _read(given, prefixes)


def _header_prefixes(header: str) -> Prefixes:
    found = {}
    for pair in header.split(",")[:PARAMETERS_MAX]:
        prefix, equals, namespace = pair.strip().partition("=")
        if equals and is_prefix_pair(prefix, namespace):
            found[prefix] = namespace
    return found


def _read(given: list[tuple[str, Value]], prefixes: Prefixes) -> Query:
    problems = Problems()
    if len(given) > PARAMETERS_MAX:
        raise LedgerError(
            "query.too_complex", f"{len(given)} parameters, at most {PARAMETERS_MAX} are allowed"
        )
    conditions: list[Condition] = []
    for name, value in given:
        if name in RESULT:
            continue
        try:
            condition = read_condition(name, value, prefixes)
        except LedgerError as problem:
            _add(problems, name, problem)
            continue
        if condition is None:
            _add(problems, name, LedgerError("parameter.unknown", "no query parameter is called so"))
        else:
            conditions.append(condition)
    values = dict(given)
    result = _read_result(values, prefixes, problems)
    problems.raise_any()
    times = {
        f"{side}_{name}": values[f"{side}_{name}"].instant()
        for side in ("GE", "LT")
        for name in (EVENT_TIME, RECORD_TIME)
        if f"{side}_{name}" in values
    }
    return Query(tuple(conditions), _exact(values, prefixes), times, *result)


def _exact(values: Mapping[str, Value], prefixes: Prefixes) -> dict[str, frozenset[str]]:
    found = {}
    for name, read in _INDEXED.items():
        texts = values[name].texts() if name in values else ()
        if texts and not any(ANY in text and name in BY_ITEM for text in texts):
            expanded = [_expanded(text, name, prefixes) for text in texts]
            found[name] = frozenset(read(text, prefixes) for text in expanded)
    return found


def _expanded(text: str, name: str, prefixes: Prefixes) -> str:
    """An identifier may be written with a prefix; an eventID is compared as it is."""
    prefix, colon, local = text.partition(":")
    namespace = prefixes.get(prefix) or GS1_PREFIXES.get(prefix)
    if name == "EQ_eventID" or not colon or namespace is None or local.startswith("//"):
        return text
    return namespace + local


def _read_result(
    values: Mapping[str, Value], prefixes: Prefixes, problems: Problems
) -> tuple[Order | None, int | None, int | None]:
    found: dict[str, Any] = {}
    readers: dict[str, Callable[[Value], Any]] = {
        "orderBy": lambda value: _order_by(value.text(), prefixes),
        "orderDirection": lambda value: _direction(value.text()),
        "eventCountLimit": Value.count,
        "maxEventCount": Value.count,
    }
    for name, read in readers.items():
        if name in values:
            try:
                found[name] = read(values[name])
            except LedgerError as problem:
                _add(problems, name, problem)
    if "eventCountLimit" in values and "maxEventCount" in values:
        _add(problems, "maxEventCount", invalid("eventCountLimit and maxEventCount exclude one another"))
    if "eventCountLimit" in values and "orderBy" not in values:
        _add(problems, "eventCountLimit", invalid("orderBy has to say which events are the first"))
    order = None
    if "orderBy" in found:
        by, name_of_field = found["orderBy"]
        order = Order(by, name_of_field, found.get("orderDirection", "DESC") == "ASC")
    return order, found.get("eventCountLimit"), found.get("maxEventCount")


def _order_by(text: str, prefixes: Prefixes) -> tuple[str, FieldName | None]:
    if text in (EVENT_TIME, RECORD_TIME):
        return text, None
    if ":" not in text:
        raise invalid("expected eventTime, recordTime or an extension field (prefix:name)")
    return text, read_name(text, prefixes)


def _direction(text: str) -> str:
    if text not in ("ASC", "DESC"):
        raise invalid("expected ASC or DESC")
    return text


def _add(problems: Problems, name: str, problem: LedgerError) -> None:
    shown = name[:NAME_SHOWN_MAX]
    problems.add(problem.code, child("/query", shown), f"{shown}: {problem.message}")
