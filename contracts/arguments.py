"""The arguments of a method as bytes, and a pointer to the field when they are malformed.

The pointer goes into a receipt and is hashed there, so it must not depend on the words of any
library: the field is found again by asking of each part alone whether its type accepts it.
"""

from __future__ import annotations

import typing
from enum import Enum
from typing import Any, Final, TypeVar

import msgspec

from ledger.codec import Canonical, decode, encode, kind_name
from ledger.errors import LedgerError
from ledger.types import ARGUMENTS_BYTES_MAX

Record = TypeVar("Record", bound=Canonical)

POINTER_DEPTH_MAX: Final = 8  # records inside records; the deepest arguments have three levels


def encode_arguments(arguments: Canonical) -> bytes:
    """The bytes that stand in a transaction's `arguments`."""
    return encode(arguments)


def decode_arguments(data: bytes, kind: type[Record]) -> Record:
    """The argument record in `data`.

    Raises:
        LedgerError: `arguments.malformed`, its pointer the first field that does not fit, by name:
            `/events/3/body`; "" where the whole is no such record or not canonical.
    """
    try:
        return decode(data, kind, ARGUMENTS_BYTES_MAX)
    except LedgerError as problem:
        if problem.code == "encoding.malformed":
            raise LedgerError("arguments.malformed", problem.message, _pointer(data, kind)) from None
        raise LedgerError("arguments.malformed", problem.message) from None


def _pointer(data: bytes, kind: type[Canonical]) -> str:
    try:
        value = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return ""
    return _first_misfit(value, kind, "", 0)


def _first_misfit(value: Any, kind: Any, pointer: str, depth: int) -> str:
    if depth < POINTER_DEPTH_MAX and isinstance(value, list):
        for name, item, item_kind in _parts(value, kind):
            if not _fits(item, item_kind):
                return _first_misfit(item, item_kind, f"{pointer}/{name}", depth + 1)
    return pointer


def _parts(value: list[Any], kind: Any) -> list[tuple[str, Any, Any]]:
    """The items of an array with their names and types; none where their number says it all."""
    kind = _without_limits(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = kind.__struct_fields__
        return [(name, item, hints[name]) for name, item in zip(fields, value, strict=False)]
    if typing.get_origin(kind) is tuple:
        item_kind = typing.get_args(kind)[0]
        return [(str(index), item, item_kind) for index, item in enumerate(value)]
    return []


def _without_limits(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.msgpack.decode(msgspec.msgpack.encode(value), type=kind)
    except (msgspec.MsgspecError, LedgerError, UnicodeDecodeError):
        return False
    return True


class Field(typing.NamedTuple):
    """One field of an argument record, for people: its name and its type in words."""

    name: str
    type: str


def fields(kind: type[Canonical]) -> tuple[Field, ...]:
    """The fields of an argument record in the order in which they are encoded."""
    hints = typing.get_type_hints(kind)
    return tuple(Field(name, _words(hints[name])) for name in kind.__struct_fields__)


def _words(kind: Any) -> str:
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) is tuple:
        if arguments[-1] is Ellipsis:
            return f"list of {_words(arguments[0])}"
        return f"({', '.join(_words(each) for each in arguments)})"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " | ".join(str(each.value) for each in kind)
    if arguments:
        return " or ".join(_words(each) for each in arguments)
    return "nothing" if kind is type(None) else kind_name(kind)
