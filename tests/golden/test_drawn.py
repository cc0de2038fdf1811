"""No type that is signed, hashed, stored or sent changes unseen: one hash a type, frozen in types.json."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import pytest
from msgspec import Meta

from ledger.codec import Canonical, encode
from tests.golden.drawn import VALUES, Dice, drawn, drift, fingerprint, frozen_now, types

FROZEN: Final[dict[str, dict[str, Any]]] = json.loads((Path(__file__).parent / "types.json").read_text())
ROOT: Final = Path(__file__).resolve().parents[2]


class Colour(IntEnum):
    """A choice."""

    RED = 1
    BLUE = 2


class MoreColours(IntEnum):
    """The same with one more."""

    RED = 1
    BLUE = 2
    GREEN = 3


class OtherColours(Enum):
    """The same names with other values."""

    RED = "red"
    BLUE = "blue"


class Inner(Canonical):
    """A record inside the record."""

    count: int


class LongerInner(Canonical):
    """The same with a field more."""

    count: int
    more: int


Small = Annotated[int, Meta(ge=0, le=100)]
Short = Annotated[bytes, Meta(max_length=200)]
Few = Annotated[tuple[Inner, ...], Meta(max_length=300)]
OneMore = Annotated[tuple[Inner, ...], Meta(max_length=301)]
LongerFew = Annotated[tuple[LongerInner, ...], Meta(max_length=300)]
FIELDS: Final[dict[str, Any]] = {
    "number": Small,
    "other": Small,
    "data": Short,
    "colour": Colour,
    "inner": Few,
    "text": str | None,
}


def record(fields: dict[str, Any], base: type = Canonical, tag: int | str | None = 7) -> type[msgspec.Struct]:
    """A record type with these fields in this order."""
    return msgspec.defstruct("Record", list(fields.items()), bases=(base,), frozen=True, tag=tag)


class AsMap(msgspec.Struct, frozen=True):
    """The parent of records that are not written as arrays."""


class Lenient(msgspec.Struct, frozen=True, array_like=True):
    """The parent of records that forgive fields they do not know."""


PLANTED: Final = {
    "a field added": record({**FIELDS, "more": bool}),
    "a field gone": record({name: kind for name, kind in FIELDS.items() if name != "text"}),
    "a field renamed": record({("what" if name == "text" else name): kind for name, kind in FIELDS.items()}),
    "two of one type in another order": record({"other": Small, "number": Small, **FIELDS}),
    "two of other types in another order": record({"data": Short, **FIELDS}),
    "retyped": record({**FIELDS, "data": str}),
    "made optional": record({**FIELDS, "data": Short | None}),
    "made a must": record({**FIELDS, "text": str}),
    "another tag": record(FIELDS, tag=8),
    "a tag of another type": record(FIELDS, tag="7"),
    "no tag": record(FIELDS, tag=None),
    "a higher limit of a number": record({**FIELDS, "number": Annotated[int, Meta(ge=0, le=101)]}),
    "a lower limit of a number": record({**FIELDS, "number": Annotated[int, Meta(ge=1, le=100)]}),
    "more bytes than are ever drawn": record({**FIELDS, "data": Annotated[bytes, Meta(max_length=201)]}),
    "more items than are ever drawn": record({**FIELDS, "inner": OneMore}),
    "a limit gone": record({**FIELDS, "inner": tuple[Inner, ...]}),
    "a choice more": record({**FIELDS, "colour": MoreColours}),
    "other values of a choice": record({**FIELDS, "colour": OtherColours}),
    "a field added inside": record({**FIELDS, "inner": LongerFew}),
    "a map": record(FIELDS, AsMap),
    "unknown fields forgiven": record(FIELDS, Lenient),
}  # fmt: skip


def test_no_type_has_drifted() -> None:
    """Every type and every limit is the frozen one; none is missing, none is new.

    If the change is meant, it is one of the protocol or of what is stored: docs/spec/encoding.md, "Drift".
    """
    assert drift(FROZEN, frozen_now()) == []


@pytest.mark.parametrize("change", sorted(PLANTED))
def test_a_planted_change_is_seen(change: str) -> None:
    """Each kind of change gives a type another hash."""
    assert fingerprint(PLANTED[change]) != fingerprint(record(FIELDS))


def test_a_new_name_alone_is_no_drift() -> None:
    """The hash is of the bytes: a type that is made again, under another name too, has the same one."""
    again = msgspec.defstruct("Renamed", list(FIELDS.items()), bases=(Canonical,), frozen=True, tag=7)
    assert fingerprint(again) == fingerprint(record(FIELDS))


def test_a_type_or_limit_that_is_new_or_gone_is_named() -> None:
    """What is only on one side is red, and so is a limit that moved."""
    now = {part: dict(content) for part, content in FROZEN.items()}
    now["types"]["ledger.vote.Planted"] = now["types"].pop("ledger.vote.Vote")
    now["limits"]["ledger.types.STAKE_MAX"] += 1
    assert drift(FROZEN, now) == [
        f"ledger.types.STAKE_MAX was {2**48}, is {2**48 + 1}",
        "ledger.vote.Vote is gone",
        "ledger.vote.Planted is not frozen",
    ]


def test_a_new_type_is_found() -> None:
    """A record that some module of the five floors defines is among those that must be frozen."""

    class Planted(Canonical):
        """A new record of the ledger."""

    assert not any(name.endswith("Planted") for name in types()), "what tests define is not the protocol's"
    Planted.__module__ = "ledger.vote"
    try:
        assert any(name.startswith("ledger.vote.") and name.endswith("Planted") for name in types())
    finally:
        Planted.__module__ = __name__


def test_values_differ_and_both_ends_of_a_limit_come_up() -> None:
    """The values reach the limits, take both sides of an option and each choice: not 64 times the same."""
    kind = msgspec.inspect.type_info(record(FIELDS))
    dice = Dice("farmgate golden")
    values: list[Any] = [drawn(kind, dice) for _ in range(VALUES)]
    assert len({encode(value) for value in values}) == VALUES
    assert {0, 100} <= {value.number for value in values}
    assert {type(value.text) for value in values} == {str, type(None)}
    assert {value.colour for value in values} == set(Colour)
    assert {len(value.inner) for value in values} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_hashes_do_not_depend_on_the_hash_seed(seed: str) -> None:
    """Another interpreter with another order of sets comes to the same hashes."""
    code = "from tests.golden.drawn import frozen_now; import json; print(json.dumps(frozen_now()))"
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    assert json.loads(made.stdout) == FROZEN
