"""The forms that fields of an event may have. Every check notes what is wrong at its pointer and goes on.

These are the demands of GS1's JSON schema for EPCIS 2.0, with its `format` words taken seriously: times are
real times with a zone, identifiers are absolute URIs. Which words a vocabulary holds is asked where prefixes
are known (`terms`).

Source: EPCIS 2.0 section 7.3 and its JSON schema 2.0.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from contracts.epcis.canonical_json import canonical, child
from contracts.epcis.identifiers import IDENTIFIER_BYTES_MAX, is_uri
from contracts.epcis.instant import is_zone_offset, parse_time
from contracts.epcis.problems import Problems, shown
from ledger.errors import LedgerError

Check: TypeAlias = Callable[[Any, str, Problems], None]

_EXCEPTIONS = ("ALARM_CONDITION", "ERROR_CONDITION")
_UOM = re.compile(r"[A-Z0-9]{2,3}")
_HEX = re.compile(r"[A-Fa-f0-9]+")
_EXTENSION = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*:[^\x00-\x20\x7f]+|_[A-Za-z0-9._-]*:[^\x00-\x20\x7f]+")


class Shape(NamedTuple):
    """What an object may hold: a check for each field, those it must have, whether others may extend it."""

    fields: Mapping[str, Check]
    required: tuple[str, ...] = ()
    is_extensible: bool = False


def is_extension(name: str) -> bool:
    """Whether a field's name is `prefix:name` or an absolute URI."""
    return _EXTENSION.fullmatch(name) is not None


def check_shape(value: Any, pointer: str, problems: Problems, shape: Shape) -> None:
    """Check an object: its fields, what it lacks, and what it may not hold."""
    if type(value) is not dict:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no object")
        return
    fields = shape.fields
    for name, item in value.items():
        check = fields.get(name)
        if check is not None:
            check(item, f"{pointer}/{name}", problems)
        elif not (shape.is_extensible and is_extension(name)):
            problems.add("epcis.unknown_field", child(pointer, name), _unknown(name, shape))
    for name in shape.required:
        if name not in value:
            problems.add("epcis.missing_field", f"{pointer}/{name}", f"{name} is missing")


def an_object(shape: Shape) -> Check:
    """A check for objects of one shape."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        check_shape(value, pointer, problems, shape)

    return check


def a_list(item: Check, *, filled: bool = False, unique: bool = False) -> Check:
    """A check for lists: of at least one item where `filled`, no two of them equal where `unique`."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if type(value) is not list:
            problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no list")
            return
        if filled and not value:
            problems.add("epcis.empty_list", pointer, "the list is empty, at least one item is needed")
        for index, part in enumerate(value):
            item(part, f"{pointer}/{index}", problems)
        if unique:
            _check_unique(value, pointer, problems)

    return check


def one_of(words: tuple[str, ...], code: str) -> Check:
    """A check for one of a few fixed words."""

    def check(value: Any, pointer: str, problems: Problems) -> None:
        if type(value) is not str:
            problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no string")
        elif value not in words:
            problems.add(code, pointer, f"{shown(value)} is none of {', '.join(words)}")

    return check


def a_string(value: Any, pointer: str, problems: Problems) -> None:
    """A string."""
    if type(value) is not str:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no string")


def a_term(value: Any, pointer: str, problems: Problems) -> None:
    """A word of a vocabulary: a string of bearable length that is not empty."""
    if type(value) is not str:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no string")
    elif not 0 < len(value) <= IDENTIFIER_BYTES_MAX or (":" in value and not is_uri(value)):
        problems.add("epcis.bad_term", pointer, f"{shown(value)} is neither a word nor an absolute URI")


def an_exception(value: Any, pointer: str, problems: Problems) -> None:
    """What a sensor reports instead of a value: one of two words, or a URI."""
    if type(value) is str and ":" not in value and value not in _EXCEPTIONS:
        problems.add(
            "epcis.unknown_term", pointer, f"{shown(value)} is none of {', '.join(_EXCEPTIONS)}, and no URI"
        )
    else:
        a_term(value, pointer, problems)


def a_number(value: Any, pointer: str, problems: Problems) -> None:
    """A JSON number."""
    if type(value) is not int and type(value) is not Decimal:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no number")


def a_boolean(value: Any, pointer: str, problems: Problems) -> None:
    """True or false."""
    if type(value) is not bool:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is neither true nor false")


def a_time(value: Any, pointer: str, problems: Problems) -> None:
    """A date and time with a zone."""
    if type(value) is not str:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no string")
        return
    try:
        parse_time(value)
    except LedgerError as problem:
        problems.add(problem.code, pointer, f"{shown(value)}: {problem.message}")


def a_zone_offset(value: Any, pointer: str, problems: Problems) -> None:
    """A zone such as `+02:00`."""
    if type(value) is not str:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no string")
    elif not is_zone_offset(value):
        problems.add(
            "epcis.bad_zone_offset", pointer, f"{shown(value)} is no offset such as +02:00 or -06:30"
        )


def a_uri(value: Any, pointer: str, problems: Problems) -> None:
    """An absolute URI."""
    if type(value) is not str:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no string")
    elif not is_uri(value):
        limit = f"of at most {IDENTIFIER_BYTES_MAX} bytes"
        problems.add("epcis.bad_uri", pointer, f"{shown(value)} is no absolute URI {limit}")


def a_uom(value: Any, pointer: str, problems: Problems) -> None:
    """A unit code of two or three capitals and digits."""
    if type(value) is not str:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no string")
    elif _UOM.fullmatch(value) is None:
        problems.add(
            "epcis.bad_uom", pointer, f"{shown(value)} is no unit code such as KGM: 2 or 3 of A-Z and 0-9"
        )


def a_hex(value: Any, pointer: str, problems: Problems) -> None:
    """Hexadecimal digits."""
    if type(value) is not str:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no string")
    elif _HEX.fullmatch(value) is None:
        problems.add("epcis.bad_hex", pointer, f"{shown(value)} holds something else than hexadecimal digits")


def a_certification(value: Any, pointer: str, problems: Problems) -> None:
    """The URI of a certificate, or a list of such URIs."""
    if type(value) is list:
        _URIS(value, pointer, problems)
    elif type(value) is str:
        a_uri(value, pointer, problems)
    else:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is neither a URI nor a list of URIs")


def a_context(value: Any, pointer: str, problems: Problems) -> None:
    """A `@context`, in which nothing stands twice. The rest is asked where prefixes are read."""
    if type(value) is list:
        _check_unique(value, pointer, problems)


def an_ilmd(value: Any, pointer: str, problems: Problems) -> None:
    """Instance and lot master data: an object whose names say whose they are."""
    if type(value) is not dict:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no object")
        return
    for name in value:
        if not is_extension(name) and not name.startswith("@"):
            problems.add(
                "epcis.unknown_field",
                child(pointer, name),
                f"{shown(name)} is not named prefix:name, as ilmd is",
            )


def _check_unique(items: list[Any], pointer: str, problems: Problems) -> None:
    seen: dict[bytes, None] = {}
    for index, item in enumerate(items):
        text = item.encode() if type(item) is str else b"\0" + canonical(item)
        if text in seen:
            problems.add(
                "epcis.duplicate_item", f"{pointer}/{index}", "the same item stands in the list twice"
            )
        seen[text] = None


def _unknown(name: str, shape: Shape) -> str:
    close = [known for known in shape.fields if known.lower() == name.lower()]
    hint = f"; {close[0]} was meant?" if close else ""
    if shape.is_extensible:
        return f"{shown(name)} is no field of this object, and an extension is named prefix:name{hint}"
    return f"{shown(name)} is no field of this object, which takes no extensions{hint}"


_URIS = a_list(a_uri)
QUANTITIES = a_list(
    an_object(Shape({"epcClass": a_uri, "quantity": a_number, "uom": a_uom}, required=("epcClass",)))
)
BIZ_TRANSACTION = an_object(Shape({"type": a_term, "bizTransaction": a_uri}, required=("bizTransaction",)))
SOURCES = a_list(an_object(Shape({"type": a_term, "source": a_uri}, required=("type", "source"))))
DESTINATIONS = a_list(
    an_object(Shape({"type": a_term, "destination": a_uri}, required=("type", "destination")))
)
PLACE = an_object(Shape({"id": a_uri}, required=("id",), is_extensible=True))
ERROR_DECLARATION = an_object(
    Shape(
        {"declarationTime": a_time, "reason": a_term, "correctiveEventIDs": _URIS},
        required=("declarationTime",),
        is_extensible=True,
    )
)
_TERMS = a_list(a_term, filled=True, unique=True)
_PERSISTENT = Shape({"set": _TERMS, "unset": _TERMS})


def a_persistent_disposition(value: Any, pointer: str, problems: Problems) -> None:
    """`set`, `unset` or both."""
    check_shape(value, pointer, problems, _PERSISTENT)
    if type(value) is dict and "set" not in value and "unset" not in value:
        problems.add("epcis.missing_field", f"{pointer}/set", "neither set nor unset is there")


_NUMBERS = ("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue")
_DEVICE = ("deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules")
_REPORT = Shape(
    {
        **dict.fromkeys(_NUMBERS, a_number),
        **dict.fromkeys(_DEVICE, a_uri),
        **dict.fromkeys(
            ("microorganism", "chemicalSubstance", "coordinateReferenceSystem", "uriValue"), a_uri
        ),
        **dict.fromkeys(("type", "component"), a_term),
        "exception": an_exception,
        "time": a_time,
        "uom": a_string,
        "stringValue": a_string,
        "booleanValue": a_boolean,
        "hexBinaryValue": a_hex,
    },
    is_extensible=True,  # `type` is not demanded: see docs/reference/epcis-errors.md
)
_METADATA = Shape(
    {**dict.fromkeys(("time", "startTime", "endTime"), a_time), **dict.fromkeys(_DEVICE, a_uri)},
    is_extensible=True,
)
SENSORS = a_list(
    an_object(
        Shape(
            {"sensorMetadata": an_object(_METADATA), "sensorReport": a_list(an_object(_REPORT), filled=True)},
            required=("sensorReport",),
            is_extensible=True,
        )
    )
)
