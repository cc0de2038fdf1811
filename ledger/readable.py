"""Records as people and JSON read them: field names, lowercase hex, lists; and back, by type.

The canonical encoding (`ledger.codec`) is what is hashed and signed. This is the other form of the
same value: `genesis.json`, REST answers, command output. Reading is strict: every field is there
and none besides, and a refusal points at the place with a JSON pointer (RFC 6901).

    record          object of its fields by name; where its type carries a tag, "type" holds the tag
    bytes           string of lowercase hex
    enum            its value
    tuple           list
    int, str, bool  as they are
    None            null
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from msgspec.inspect import (
    BoolType,
    BytesType,
    DictType,
    EnumType,
    IntType,
    NoneType,
    StrType,
    StructType,
    TupleType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from ledger.errors import LedgerError

Value = TypeVar("Value")

TAG_FIELD: Final = "type"
_SIMPLE: Final[dict[type[Type], type]] = {BoolType: bool, IntType: int, StrType: str, NoneType: type(None)}


def to_readable(value: Any) -> Any:
    """The JSON-able form of a value made of records, enums, tuples, bytes and the JSON kinds."""
    match value:
        case msgspec.Struct():
            tag = value.__struct_config__.tag
            fields = {name: to_readable(getattr(value, name)) for name in value.__struct_fields__}
            return fields if tag is None else {TAG_FIELD: tag, **fields}
        case Enum():
            return to_readable(value.value)
        case bytes():
            return value.hex()
        case tuple() | list():
            return [to_readable(each) for each in value]
        case dict():
            return {key: to_readable(each) for key, each in value.items()}
        case None | bool() | int() | str():
            return value
        case _:
            raise AssertionError(f"a {type(value).__name__} has no readable form")


def from_readable(data: Any, kind: type[Value]) -> Value:
    """The value of type `kind` whose readable form is `data`.

    Raises:
        LedgerError: `readable.missing_field`, `readable.unknown_field`, `readable.wrong_type`,
            `readable.wrong_value`; the pointer names the place.
    """
    shape = _shape(kind)
    plain = _plain(data, shape, "")
    try:
        return msgspec.convert(plain, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as problem:
        message, _, place = str(problem).partition(" - at `")
        raise LedgerError("readable.wrong_value", message, _pointer(plain, shape, _steps(place))) from None


_shape: Final[Callable[[Any], Type]] = cache(type_info)


def _plain(data: Any, shape: Type, pointer: str) -> Any:
    """The data with records as arrays and hex as bytes: what the canonical encoding is made of."""
    match shape:
        case StructType():
            return _plain_record(data, shape, pointer)
        case UnionType():
            return _plain(data, _chosen(data, shape, pointer), pointer)
        case VarTupleType():
            items = _expect(data, list, pointer)
            return tuple(_plain(each, shape.item_type, f"{pointer}/{i}") for i, each in enumerate(items))
        case TupleType():
            return _plain_tuple(data, shape, pointer)
        case DictType():
            entries = _expect(data, dict, pointer)
            return {
                key: _plain(each, shape.value_type, f"{pointer}/{_escaped(key)}")
                for key, each in entries.items()
            }
        case BytesType():
            return _unhexed(_expect(data, str, pointer), pointer)
        case EnumType():
            return _expect(data, type(next(iter(shape.cls)).value), pointer)
        case BoolType() | IntType() | StrType() | NoneType():
            return _expect(data, _SIMPLE[type(shape)], pointer)
        case _:
            raise AssertionError(f"{shape} has no readable form")


def _plain_tuple(data: Any, shape: TupleType, pointer: str) -> tuple[Any, ...]:
    items = _expect(data, list, pointer)
    if len(items) != len(shape.item_types):
        raise LedgerError(
            "readable.wrong_type", f"{len(items)} items, expected {len(shape.item_types)}", pointer
        )
    pairs = enumerate(zip(items, shape.item_types, strict=True))
    return tuple(_plain(each, inner, f"{pointer}/{index}") for index, (each, inner) in pairs)


def _plain_record(data: Any, shape: StructType, pointer: str) -> tuple[Any, ...]:
    given = dict(_expect(data, dict, pointer))
    plain: list[Any] = []
    if shape.tag is not None:
        if given.pop(TAG_FIELD, None) != shape.tag:
            raise LedgerError("readable.wrong_value", f"expected {shape.tag}", f"{pointer}/{TAG_FIELD}")
        plain.append(shape.tag)
    for field in shape.fields:
        if field.name not in given:
            raise LedgerError("readable.missing_field", f"{field.name} is missing", f"{pointer}/{field.name}")
        plain.append(_plain(given.pop(field.name), field.type, f"{pointer}/{field.name}"))
    for name in given:
        raise LedgerError(
            "readable.unknown_field", f"{name} is no field here", f"{pointer}/{_escaped(str(name))}"
        )
    return tuple(plain)


def _chosen(data: Any, shape: UnionType, pointer: str) -> Type:
    """The member of a union that the data can only be meant for."""
    members = shape.types
    if data is None and any(isinstance(each, NoneType) for each in members):
        return NoneType()
    others = [each for each in members if not isinstance(each, NoneType)]
    if len(others) == 1:
        return others[0]
    records = [each for each in others if isinstance(each, StructType)]
    if records and len(records) == len(others):
        tag = _expect(data, dict, pointer).get(TAG_FIELD)
        for record in records:
            if type(tag) is type(record.tag) and tag == record.tag:
                return record
        tags = ", ".join(str(record.tag) for record in records)
        raise LedgerError("readable.wrong_value", f"expected one of {tags}", f"{pointer}/{TAG_FIELD}")
    for each in others:
        if _SIMPLE.get(type(each)) is type(data):
            return each
    raise LedgerError("readable.wrong_type", f"a {_json_name(type(data))} is not allowed", pointer)


def _unhexed(text: str, pointer: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if data.hex() != text:  # capitals and spaces too are a second spelling
        raise LedgerError("readable.wrong_type", "not lowercase hex, two digits a byte", pointer)
    return data


def _expect(data: Any, wanted: type[Value], pointer: str) -> Value:
    """The data, which must be of exactly this type: JSON's true is no number."""
    if type(data) is not wanted:
        raise LedgerError(
            "readable.wrong_type", f"a {_json_name(type(data))}, expected a {_json_name(wanted)}", pointer
        )
    return data


def _json_name(kind: type) -> str:
    names = {dict: "object", list: "list", str: "string", int: "whole number", bool: "boolean"}
    return names.get(kind, "null" if kind is type(None) else "number with a fraction or exponent")


def _steps(place: str) -> list[str]:
    """The positions in a place as msgspec writes it: `$[0][2]`, where `[...]` is inside a map."""
    return [step.rstrip("]`") for step in place.split("[")[1:]]


def _pointer(plain: Any, shape: Type, steps: list[str]) -> str:
    """The JSON pointer of a place that is known by its position in the arrays."""
    pointer = ""
    for step in steps:
        if isinstance(shape, UnionType):
            shape = _member_of(plain, shape)
        if not step.isdigit():
            return pointer  # inside a map: the map itself is named
        position = int(step)
        match shape:
            case StructType():
                field = shape.fields[position - (shape.tag is not None)]
                pointer, shape = f"{pointer}/{field.name}", field.type
            case VarTupleType():
                pointer, shape = f"{pointer}/{position}", shape.item_type
            case TupleType():
                pointer, shape = f"{pointer}/{position}", shape.item_types[position]
            case _:
                return pointer
        plain = plain[position]
    return pointer


def _member_of(plain: Any, shape: UnionType) -> Type:
    """The member of a union that a place inside it must be in: the record of its tag, or the only other."""
    others = [each for each in shape.types if not isinstance(each, NoneType)]
    for each in others:
        if isinstance(each, StructType) and each.tag is not None and plain[0] == each.tag:
            return each
    return others[0]


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
