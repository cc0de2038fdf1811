"""JSON from strangers into exact values, and the one text that a value has.

Canonical text: UTF-8, no white space, object keys sorted by code point, only `"`, `\\` and the control
characters below U+0020 escaped (short forms where JSON has them, else `\\u00xx`), integral numbers as plain
digits, other numbers as `to-scientific-string` of the reduced value (`26.2`, `0.5`, `1E-7`), so that `1`,
`1.0` and `10e-1` are one value with one text. No number is rounded and none passes through a double.

What it refuses, on every validator alike: bytes that are no UTF-8, a key given twice, a lone surrogate,
NaN and Infinity, nesting beyond DEPTH_MAX, numbers beyond NUMBER_DIGITS_MAX places on a side of the point.

Source: RFC 8259; General Decimal Arithmetic specification (to-scientific-string).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from ledger.errors import LedgerError

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | Decimal | bool | None"
JsonObject: TypeAlias = "dict[str, Json]"

DEPTH_MAX: Final = (
    32  # of arrays and objects; the deepest documents in use reach 12. Far below the interpreter's stack.
)
NUMBER_DIGITS_MAX: Final = 38  # on each side of the decimal point: more than any quantity or sensor needs
NUMBER_LITERAL_MAX: Final = 128  # characters of one number as written; bounds the work on trailing zeros
SHOWN_LENGTH_MAX: Final = 40  # characters of foreign text that a message repeats

_encoder = msgspec.json.Encoder(order="deterministic", decimal_format="number")
_NO_BRACKET: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class _FaultError(Exception):
    """What a hook of the scanner found wrong; the scanner knows no pointer, so a second pass finds it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse(data: bytes, bytes_max: int) -> Json:
    """The value that JSON text stands for: `int` where it is integral, else `Decimal` without trailing zeros.

    Raises:
        LedgerError: `json.too_large`, `json.malformed`, `json.too_deep`, `json.duplicate_key` or
            `json.number_out_of_range`; the last two carry a JSON pointer, the others name a byte offset.
    """
    if len(data) > bytes_max:
        raise LedgerError("json.too_large", f"{len(data)} bytes, at most {bytes_max} are allowed")
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        raise LedgerError("json.malformed", f"not UTF-8 at byte {problem.start}") from None
    if not text.strip():
        raise LedgerError("json.malformed", "nothing is there" if not text else "nothing but white space")
    _check_depth(data)
    try:
        value: Json = _scanner.decode(text)
    except json.JSONDecodeError as problem:
        offset = len(text[: problem.pos].encode())
        raise LedgerError("json.malformed", f"no JSON: {problem.msg} at byte {offset}") from None
    except _FaultError as fault:
        raise _located(fault, text) from None
    if "\\u" in text:
        _check_surrogates(value)
    return value


def canonical(value: Json) -> bytes:
    """The canonical text of a value as `parse` returns it."""
    return _encoder.encode(value)


def child(pointer: str, key: str | int) -> str:
    """The JSON pointer (RFC 6901) of a member or item below `pointer`."""
    if type(key) is str and ("~" in key or "/" in key):
        key = key.replace("~", "~0").replace("/", "~1")
    return f"{pointer}/{key}"


def _check_depth(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:
        return
    # Without a backslash every second piece between quotes is a string: six times as fast as the pattern.
    bare = _STRING.sub(b"", data) if b"\\" in data else b"".join(data.split(b'"')[::2])
    depth = 0
    for bracket in bare.translate(None, _NO_BRACKET):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_MAX:
            raise LedgerError("json.too_deep", f"nested deeper than {DEPTH_MAX} arrays and objects")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        key = _first_repeated(pairs)[:SHOWN_LENGTH_MAX]
        raise _FaultError("json.duplicate_key", f"the key {key!r} stands twice in one object")
    return members


def _first_repeated(pairs: list[tuple[str, Any]]) -> str:
    seen: dict[str, None] = {}
    for key, _ in pairs:
        if key in seen:
            return key
        seen[key] = None
    raise AssertionError("no key is repeated")


def _integer(literal: str) -> int:
    if len(literal) > NUMBER_DIGITS_MAX + literal.startswith("-"):
        raise _out_of_range(literal)
    return int(literal)


def _number(literal: str) -> int | Decimal:
    plain = len(literal) <= NUMBER_DIGITS_MAX and literal[-1] != "0"
    if plain and "e" not in literal and "E" not in literal:
        return Decimal(literal)
    if len(literal) > NUMBER_LITERAL_MAX:
        raise _out_of_range(literal)
    mantissa, _, power = literal.replace("E", "e").partition("e")
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    written = (whole + fraction).lstrip("0")
    digits = written.rstrip("0")
    if not digits:
        return 0
    scale = int(power or "0") - len(fraction) + len(written) - len(digits)
    if len(digits) + scale > NUMBER_DIGITS_MAX or -scale > NUMBER_DIGITS_MAX:
        raise _out_of_range(literal)
    sign = "-" if literal.startswith("-") else ""
    return int(f"{sign}{digits}{'0' * scale}") if scale >= 0 else Decimal(f"{sign}{digits}E{scale}")


def _out_of_range(literal: str) -> _FaultError:
    shown = literal if len(literal) <= SHOWN_LENGTH_MAX else literal[:SHOWN_LENGTH_MAX] + "..."
    limit = f"at most {NUMBER_DIGITS_MAX} digits on each side of the decimal point"
    return _FaultError("json.number_out_of_range", f"{shown} is out of range: {limit}")


def _constant(literal: str) -> Json:
    raise _FaultError("json.malformed", f"{literal} is no JSON number")


_scanner = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def _located(fault: _FaultError, text: str) -> LedgerError:
    """The error with its pointer: scan again, leaving the fault in its place, and look where it stands."""

    def marking(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def marked(found: Any) -> Any:
            try:
                return hook(found)
            except _FaultError as problem:
                return problem

        return marked

    marker = json.JSONDecoder(
        object_pairs_hook=marking(_object),
        parse_int=marking(_integer),
        parse_float=marking(_number),
        parse_constant=marking(_constant),
    )
    try:
        found = _find(marker.decode(text), "")
    except json.JSONDecodeError:
        found = None  # the text breaks off later on; the fault came first all the same
    if found is None:
        return LedgerError(fault.code, fault.message)
    pointer, first = found
    return LedgerError(first.code, first.message, pointer)


def _find(value: Any, pointer: str) -> tuple[str, _FaultError] | None:
    if isinstance(value, _FaultError):
        return pointer, value
    for key, item in _members(value):
        found = _find(item, child(pointer, key))
        if found is not None:
            return found
    return None


def _members(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _check_surrogates(value: Any, pointer: str = "") -> None:
    """Refuse half of a surrogate pair, which has no UTF-8. Depth is bounded: the text was checked before."""
    if isinstance(value, str) and not _is_encodable(value):
        raise LedgerError("json.malformed", "a string holds half of a surrogate pair", pointer)
    for key, item in _members(value):
        if isinstance(key, str) and not _is_encodable(key):
            raise LedgerError("json.malformed", "a key holds half of a surrogate pair", pointer)
        _check_surrogates(item, child(pointer, key))


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
