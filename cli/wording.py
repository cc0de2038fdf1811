"""How identifiers, times and steps are written for people."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from cli.output import printable

_LINK = re.compile(r"https://id\.gs1\.org((?:/[0-9]{2,4}/[^/]+)+)")
_STEERING = re.compile(r"[(\\]")  # what has a meaning of its own inside a bracketed string
_LARGEST_MS: Final = 253_402_300_799_000  # the end of the year 9999
_PART_WORDS: Final = {
    "input": "used up",
    "output": "made",
    "container": "packing",
    "packed": "packed",
    "unpacked": "unpacked",
}


def short_id(uri: str) -> str:
    """A GS1 Digital Link as its label shows it, `(01)...(10)...`; anything else as it is.

    What comes out can be typed in again: a bracket in a value is written `\\(`.
    """
    found = _LINK.fullmatch(uri)
    if found is None:
        return printable(uri)
    parts = found[1].split("/")[1:]
    values = [_STEERING.sub(r"\\\g<0>", unquote(value)) for value in parts[1::2]]
    return printable("".join(f"({ai}){value}" for ai, value in zip(parts[::2], values, strict=True)))


def instant(time_ms: int) -> str:
    """Milliseconds since 1970 as date and time in UTC, to the minute; "-" for one that is out of reach."""
    if not 0 <= time_ms <= _LARGEST_MS:
        return "-"
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%MZ}"


def event_time(event: dict[str, Any]) -> str:
    """When an event happened, to the minute, in the time of its place."""
    text = str(event.get("eventTime", ""))
    return printable(f"{text[:10]} {text[11:16]}")


def step_words(event: dict[str, Any]) -> str:
    """What happened, in a word or two."""
    step = str(event.get("bizStep", ""))
    kind = str(event.get("type", "")).removesuffix("Event").lower()
    word = re.split(r"[/:-]", step)[-1] if step else kind
    return printable(word.replace("_", " "))


def place_of(event: dict[str, Any]) -> str:
    """The identifier of the place of an event: where it was read, else where the goods are afterwards."""
    for name in ("readPoint", "bizLocation"):
        place = event.get(name)
        if isinstance(place, dict) and isinstance(place.get("id"), str):
            return str(place["id"])
    return ""


def part_words(parts: tuple[str, ...]) -> str:
    """What an item is to an event."""
    return ", ".join(_PART_WORDS.get(part, part) for part in parts)


def counted(number: int, noun: str) -> str:
    """A number and its noun: `1 event`, `3 events`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def short_hash(text: str) -> str:
    """The beginning of a hash, enough to compare by eye."""
    return text[:16] + "…" if len(text) > 16 else text
