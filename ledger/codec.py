"""The one encoding of everything that is signed, hashed, stored or sent.

MessagePack arrays, shortest form, maps in key order: one value has exactly one
encoding. Decoding accepts nothing else: a longer integer, an unsorted map, a
missing or extra field or a trailing byte is refused, so that two nodes can
never disagree about what a hash covers.

Source: docs/spec/encoding.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar, dataclass_transform

import msgspec

from ledger.errors import LedgerError

Value = TypeVar("Value")


@dataclass_transform(frozen_default=True)  # so that the type checker knows subclasses are frozen too
class Canonical(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record whose encoding is the array of its fields in the order they are written."""


_encoder = msgspec.msgpack.Encoder(order="deterministic")


_decoder: Final[Callable[[Any], msgspec.msgpack.Decoder[Any]]] = cache(msgspec.msgpack.Decoder)


def encode(value: Any) -> bytes:
    """The canonical bytes of a value made of records, tuples, ints, strings, bytes, booleans and None."""
    return _encoder.encode(value)


def decode(data: bytes, kind: type[Value], bytes_max: int) -> Value:
    """The value of type `kind` whose canonical encoding is `data`.

    Raises:
        LedgerError: `encoding.too_large`, `encoding.malformed` (not MessagePack, or not
            this type) or `encoding.non_canonical` (a second spelling of a value).
    """
    if len(data) > bytes_max:
        raise LedgerError("encoding.too_large", f"{len(data)} bytes, at most {bytes_max} are allowed")
    try:
        value: Value = _decoder(kind).decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as problem:
        raise LedgerError("encoding.malformed", f"not a {kind_name(kind)}: {problem}") from None
    if _encoder.encode(value) != data:
        raise LedgerError("encoding.non_canonical", f"not the canonical encoding of this {kind_name(kind)}")
    return value


def kind_name(kind: object) -> str:
    """A type's name for messages."""
    return getattr(kind, "__name__", str(kind))
