"""The drift alarm: one SHA-256 of schema and 64 values for every type that is kept or sent.

The values are drawn from the type's own annotations by a stream of hashes, so they are the same on every
machine, under every PYTHONHASHSEED and every version of Python. The schema is in the hash because two fields
of one type may change places, and a limit may move, without a byte of any drawn value being another.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, Final

import msgspec
from msgspec import inspect

import cli
import contracts
import ledger
import network
import node
from ledger.codec import Canonical, decode, encode
from ledger.merkle.log import Frontier
from node.p2p.messages import CompactProposal, NotFound, TransactionsRequest

VALUES: Final = 64
FLOORS: Final = (ledger, contracts, node, network, cli)
BYTES_MAX: Final = 1 << 20  # no drawn value comes near it
# How long a drawn item may be beyond the least that its type allows.
ROOM: Final = 67
ITEMS: Final = 4
WIDEST: Final = (-(2**63), 2**64 - 1)  # what MessagePack can hold
ALPHABETS: Final = {
    None: "abz AZ09-./:\x00ąż€𝄞",
    "^[a-z0-9][a-z0-9_.-]*\\Z": "abyz0189",
    "^[0-9]{4,12}\\Z": "0123456789",
}
LENGTHS: Final = {"^[0-9]{4,12}\\Z": (4, 12)}
# What a validator may count or keep as it likes: no other validator notices.
OWN_CHOICE: Final = ("ledger.consensus.", "ledger.mempool")

Type = inspect.Type
Fields = dict[str, Any]


class Dice:
    """Numbers from SHA-256 of a label and a counter: `random` may draw otherwise in another Python."""

    def __init__(self, label: str) -> None:
        self._label = label.encode()
        self._count = 0

    def bytes(self, length: int) -> bytes:
        """So many bytes."""
        made = b""
        while len(made) < length:
            self._count += 1
            made += hashlib.sha256(b"%s/%d" % (self._label, self._count)).digest()
        return made[:length]

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included; the few that come more often do no harm here."""
        return low + int.from_bytes(self.bytes(16), "big") % (high - low + 1)

    def number(self, low: int, high: int) -> int:
        """Either end, or of a random length: each length of MessagePack's integers comes up."""
        match self.between(0, 7):
            case 0:
                return low
            case 1:
                return high
            case _:
                start = min(max(low, 0), high)
                return self.between(start, min(high, start + (1 << self.between(1, 64))))


# Types that refuse most of what their fields would allow alone: each is bent to what it asks for.
BENT: Final[dict[type, Callable[[Fields], Fields]]] = {
    TransactionsRequest: lambda drawn: {**drawn, "places": tuple(sorted(set(drawn["places"])))},
    CompactProposal: lambda drawn: {**drawn, "hashes": _whole_ids(drawn["hashes"])},
    NotFound: lambda drawn: {**drawn, "ids": _whole_ids(drawn["ids"])},
    Frontier: lambda drawn: {**drawn, "size": (1 << len(drawn["peaks"])) - 1},
}


def _whole_ids(packed: bytes) -> bytes:
    return packed[: len(packed) // 32 * 32]


def drawn(kind: Type, dice: Dice) -> Any:
    """A value of this type, within its limits."""
    match kind:
        case inspect.StructType():
            fields = {field.name: drawn(field.type, dice) for field in kind.fields}
            return kind.cls(**BENT.get(kind.cls, lambda same: same)(fields))
        case inspect.IntType():
            return dice.number(*_range(kind))
        case inspect.BytesType():
            return dice.bytes(_length(kind, dice, ROOM))
        case inspect.StrType():
            assert kind.pattern in ALPHABETS, f"give the pattern {kind.pattern} an alphabet"
            letters = ALPHABETS[kind.pattern]
            length = (
                dice.between(*LENGTHS[kind.pattern]) if kind.pattern in LENGTHS else _length(kind, dice, ROOM)
            )
            return "".join(letters[dice.between(0, len(letters) - 1)] for _ in range(length))
        case inspect.VarTupleType():
            return tuple(drawn(kind.item_type, dice) for _ in range(_length(kind, dice, ITEMS)))
        case inspect.TupleType():
            return tuple(drawn(each, dice) for each in kind.item_types)
        case inspect.UnionType():
            return drawn(kind.types[dice.between(0, len(kind.types) - 1)], dice)
        case inspect.EnumType():
            members = list(kind.cls)
            return members[dice.between(0, len(members) - 1)]
        case inspect.BoolType():
            return dice.between(0, 1) == 1
        case inspect.NoneType():
            return None
        case _:
            raise AssertionError(f"{kind}: say here how a value of this type is drawn")


def _range(kind: inspect.IntType) -> tuple[int, int]:
    assert kind.multiple_of is None, "say here how a multiple is drawn"
    low, high = WIDEST
    if kind.gt is not None or kind.ge is not None:
        low = kind.gt + 1 if kind.gt is not None else kind.ge
    if kind.lt is not None or kind.le is not None:
        high = kind.lt - 1 if kind.lt is not None else kind.le
    return low, high


def _length(kind: inspect.BytesType | inspect.StrType | inspect.VarTupleType, dice: Dice, room: int) -> int:
    least = kind.min_length or 0
    most = least + room if kind.max_length is None else min(kind.max_length, least + room)
    return dice.between(least, most)


def schema(kind: Type) -> Any:
    """All that decides which bytes are read and written, as JSON: fields in order, types, tags, limits."""
    match kind:
        case inspect.StructType():
            fields = [[field.name, schema(field.type)] for field in kind.fields]
            return ["record", kind.tag, kind.array_like, kind.forbid_unknown_fields, fields]
        case inspect.VarTupleType():
            return ["tuple", kind.min_length, kind.max_length, schema(kind.item_type)]
        case inspect.TupleType():
            return ["tuple", [schema(each) for each in kind.item_types]]
        case inspect.UnionType():
            return ["one of", sorted((schema(each) for each in kind.types), key=repr)]
        case inspect.EnumType():
            return ["enumeration", [[member.name, member.value] for member in kind.cls]]
        case _:
            return [type(kind).__name__, {name: getattr(kind, name) for name in kind.__struct_fields__}]


def fingerprint(cls: type[msgspec.Struct]) -> str:
    """SHA-256 of a type's schema and of the encodings of its drawn values, as hex.

    Each value is read back, so that no limit is passed and no value has a second encoding. Nested types count
    with all that they are: a change in one is seen in whatever holds it.
    """
    kind = inspect.type_info(cls)
    dice = Dice("farmgate golden")  # the same for all: a type may be renamed or moved, and keeps its hash
    sha = hashlib.sha256(json.dumps(schema(kind)).encode())
    for _ in range(VALUES):
        value = drawn(kind, dice)
        data = encode(value)
        assert decode(data, cls, BYTES_MAX) == value, cls
        sha.update(b"%d:" % len(data) + data)
    return sha.hexdigest()


@cache
def modules() -> tuple[ModuleType, ...]:
    """Every module of the five floors, imported."""
    return tuple(
        importlib.import_module(found.name)
        for floor in FLOORS
        for found in pkgutil.walk_packages(floor.__path__, f"{floor.__name__}.")
        if not found.name.endswith("__main__")
    )


def types() -> dict[str, type[Canonical]]:
    """Every subclass of Canonical that the five floors define, by its full name."""
    names = {module.__name__ for module in modules()}
    return {
        f"{cls.__module__}.{cls.__qualname__}": cls for cls in _below(Canonical) if cls.__module__ in names
    }


def _below(cls: type[Canonical]) -> Iterator[type[Canonical]]:
    for each in cls.__subclasses__():
        yield each
        yield from _below(each)


def limits() -> dict[str, int]:
    """Every `*_MAX` that peers or validators must agree on: those of ledger and contracts, but for what is a
    node's own choice, and those that stand beside a type that is frozen here."""
    holders = {cls.__module__ for cls in types().values()}
    return {
        f"{module.__name__}.{name}": value
        for module in modules()
        if module.__name__ in holders or _is_shared(module.__name__)
        for name, value in vars(module).items()
        if name.endswith("_MAX")
        and isinstance(value, int)
        and name in vars(module).get("__annotations__", ())
    }


def _is_shared(module: str) -> bool:
    return module.startswith(("ledger.", "contracts.")) and not module.startswith(OWN_CHOICE)


def frozen_now() -> dict[str, dict[str, Any]]:
    """What tests/golden/types.json is to hold."""
    return {
        "limits": dict(sorted(limits().items())),
        "types": {name: fingerprint(cls) for name, cls in sorted(types().items())},
    }


def drift(frozen: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> list[str]:
    """What is not as it was frozen, a line each; nothing where all is."""
    lines = []
    for part in ("limits", "types"):
        before, after = frozen[part], now[part]
        lines += [f"{name} is gone" for name in sorted(before.keys() - after.keys())]
        lines += [f"{name} is not frozen" for name in sorted(after.keys() - before.keys())]
        lines += [
            f"{name} was {before[name]}, is {after[name]}"
            for name in sorted(before.keys() & after.keys())
            if before[name] != after[name]
        ]
    return lines
