"""Fields that EPCIS does not define: where they may stand, what they are called, how their values compare.

A name is `prefix:local`. A prefix that the query binds (or GS1 does) means its namespace, whatever the event
calls it; one that nobody binds is compared as it is spelled. A name may also be the absolute URI itself.

Source: EPCIS 2.0, section 8.2.7.1, EQ_fieldname and its kin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from contracts.epcis.canonical_json import Json
from contracts.epcis.prefixes import expand
from node.api.epcis.query.facts import Facts, listed
from node.api.epcis.query.values import Value, invalid, number, read_instant, read_number, text

AREAS: Final = (
    "ILMD", "ERROR_DECLARATION", "SENSORELEMENT", "SENSORMETADATA", "SENSORREPORT", "readPoint",
    "bizLocation",
)  # fmt: skip
_VALUE_MEMBERS: Final = ("@value", "@id", "#text")  # of an object that wraps one value


@dataclass(frozen=True, slots=True)
class FieldName:
    """The name of a field: `full` its expansions, empty where the prefix is nobody's."""

    text: str
    full: tuple[str, ...]

    def is_called(self, key: str, bound: Mapping[str, str]) -> bool:
        """Whether a key of an event, in which these prefixes are bound, is this name."""
        if not self.full:
            return key == self.text
        return expand(key, dict(bound)) in self.full


def read_name(called: str, prefixes: Mapping[str, str]) -> FieldName:
    """A name as a query spells it; `namespace#local` joins the two as they are and without the `#`."""
    full = expand(called, dict(prefixes))
    if full == called and "://" not in called and not called.lower().startswith("urn:"):
        return FieldName(called, ())
    namespace, hash_sign, local = full.rpartition("#")
    return FieldName(called, (full, namespace + local) if hash_sign else (full,))


@dataclass(frozen=True, slots=True)
class Place:
    """Where fields are looked for: directly in an area of the event ("": the event itself), or deeper."""

    area: str
    is_inner: bool

    def find(self, facts: Facts, name: FieldName) -> Iterator[Any]:
        """The values of every field of this name at this place."""
        for parent in _AREA[self.area](facts.fields):
            for key, value in parent.items():
                if not self.is_inner:
                    if name.is_called(key, facts.bound):
                        yield value
                elif ":" in key or self.area == "ILMD":
                    yield from _inside(value, name, facts.bound)


def _inside(value: Any, name: FieldName, bound: Mapping[str, str]) -> Iterator[Any]:
    """Fields of this name at any depth below a value; the parser bounds the depth."""
    if isinstance(value, list):
        for each in value:
            yield from _inside(each, name, bound)
    elif isinstance(value, dict):
        for key, below in value.items():
            if name.is_called(key, bound):
                yield below
            yield from _inside(below, name, bound)


def _objects(*values: Any) -> list[dict[str, Any]]:
    return [each for each in values if isinstance(each, dict)]


def _reports(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [report for each in listed(fields.get("sensorElementList")) for report in each["sensorReport"]]


_AREA: Final[Mapping[str, Callable[[Mapping[str, Any]], list[dict[str, Any]]]]] = {
    "": lambda fields: [dict(fields)],
    "ILMD": lambda fields: _objects(fields.get("ilmd")),
    "ERROR_DECLARATION": lambda fields: _objects(fields.get("errorDeclaration")),
    "SENSORELEMENT": lambda fields: listed(fields.get("sensorElementList")),
    "SENSORMETADATA": lambda fields: _objects(
        *(each.get("sensorMetadata") for each in listed(fields.get("sensorElementList")))
    ),
    "SENSORREPORT": _reports,
    "readPoint": lambda fields: _objects(fields.get("readPoint")),
    "bizLocation": lambda fields: _objects(fields.get("bizLocation")),
}


# --- comparing --------------------------------------------------------------------


def scalars(value: Any) -> Iterator[Any]:
    """The plain values in a field: those of a list, or the one that an object wraps."""
    if isinstance(value, list):
        for each in value:
            yield from scalars(each)
    elif isinstance(value, dict):
        for name in _VALUE_MEMBERS:
            if name in value:
                yield from scalars(value[name])
    elif value is not None:
        yield value


def read_equal(value: Value) -> Callable[[Any], bool]:
    """Whether a plain value equals one of those given.

    Texts equal texts to the letter, numbers those of the same worth, instants each other in any zone. A text
    that looks like a number is a text ("007" is no 7), unless the query gave a number.
    """
    given = value.items()
    texts = frozenset(text(each) for each in given if isinstance(each, str))
    typed = frozenset(number(each) for each in given if isinstance(each, int | Decimal) and each is not True)
    numbers = typed | frozenset(found for each in texts if (found := read_number(each)) is not None)
    instants = frozenset(at for each in texts if (at := read_instant(each)) is not None)
    if any(not isinstance(each, str | int | Decimal) or isinstance(each, bool) for each in given):
        raise invalid("expected texts or numbers")

    def is_equal(found: Any) -> bool:
        if isinstance(found, bool):
            return str(found).lower() in texts
        if isinstance(found, int | Decimal):
            return found in numbers
        if found in texts:
            return True
        return (bool(instants) and read_instant(found) in instants) or (
            bool(typed) and read_number(found) in typed
        )

    return is_equal


COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "GT": lambda found, given: found > given,
    "GE": lambda found, given: found >= given,
    "LT": lambda found, given: found < given,
    "LE": lambda found, given: found <= given,
}


def read_compared(operator: str, value: Value) -> Callable[[Any], bool]:
    """Whether a plain value stands in this relation to the number or instant given. Others never do."""
    compare = COMPARED[operator]
    given: Json = value.given
    bound = read_number(given) if isinstance(given, str) else None
    if isinstance(given, str) and bound is None:
        start = read_instant(given)
        if start is None:
            raise invalid("expected a number, or a time with its zone")
        return lambda found: (
            isinstance(found, str)
            and (instant := read_instant(found)) is not None
            and compare(instant, start)
        )
    limit = number(given)

    def is_related(found: Any) -> bool:
        measured = read_number(found) if isinstance(found, str) else found
        if isinstance(measured, bool) or not isinstance(measured, int | Decimal):
            return False
        return compare(measured, limit)

    return is_related


def read_field(operator: str, place: Place, name: FieldName, value: Value) -> Callable[[Facts], bool]:
    """The condition that an extension parameter says."""
    if operator == "EXISTS":
        wanted = value.flag()
        return lambda facts: wanted == any(each not in (None, "", [], {}) for each in place.find(facts, name))
    test = read_equal(value) if operator == "EQ" else read_compared(operator, value)
    return lambda facts: any(test(plain) for found in place.find(facts, name) for plain in scalars(found))


def family(operators: str) -> re.Pattern[str]:
    """The names of extension parameters with one of these operators, `|` between them."""
    areas = "|".join(AREAS)
    return re.compile(rf"({operators})_(INNER_)?(?:({areas})_)?([^\s:]+:[^\s]+)")
