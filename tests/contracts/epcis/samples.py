"""The project's own sample documents, and strategies that make events and spoil them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from contracts.epcis.canonical_json import Json, canonical, parse
from contracts.epcis.captured import CapturedEvent
from contracts.epcis.document import split_document

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "epcis"
VALID = sorted((EXAMPLES / "valid").glob("*.json"))
INVALID: dict[str, dict[str, str]] = json.loads((EXAMPLES / "invalid" / "index.json").read_bytes())
BYTES_MAX = 1 << 20


def sample(name: str) -> bytes:
    """The bytes of a valid sample."""
    return (EXAMPLES / "valid" / f"{name}.json").read_bytes()


def captured_samples() -> list[CapturedEvent]:
    """Every event of every valid sample."""
    return [event for path in VALID for event in split_document(path.read_bytes()).events]


def fields_of(captured: CapturedEvent) -> dict[str, Any]:
    """A captured event's own JSON."""
    value: Any = parse(captured.body, BYTES_MAX)
    return value


def captured_of(fields: dict[str, Any], *prefixes: tuple[str, str]) -> CapturedEvent:
    """A captured event with these fields, canonical whatever they are."""
    return CapturedEvent(prefixes, canonical(fields))


text = st.text(st.characters(codec="utf-8"), max_size=12)
integers = st.integers(-(10**38) + 1, 10**38 - 1)


@st.composite
def decimals(draw: st.DrawFn) -> Decimal:
    """A number with a fraction, as the parser gives it: no trailing zero, places within the limits."""
    digits = draw(st.integers(1, 10**20).filter(lambda number: number % 10 != 0))
    places = draw(st.integers(1, 38))
    return Decimal((draw(st.integers(0, 1)), tuple(map(int, str(digits))), -places))


scalars = st.one_of(st.none(), st.booleans(), integers, decimals(), text)
values: st.SearchStrategy[Json] = st.recursive(
    scalars,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(text, below, max_size=4)),
    max_leaves=12,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of all members and items below a value, itself first."""
    below: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [path, *(place for key, item in below for place in places(item, (*path, key)))]


def spoil(value: Any, path: tuple[str | int, ...], item: Any) -> Any:
    """A copy of a value with what stands at `path` replaced."""
    if not path:
        return item
    key, *rest = path
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[key] = spoil(value[key], tuple(rest), item)
    return changed
