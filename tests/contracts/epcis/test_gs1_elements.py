from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from contracts.epcis import gs1_checks, gs1_coupons
from contracts.epcis.gs1_elements import (
    AI_DIGITS,
    ELEMENTS,
    FIXED,
    Element,
    Part,
    conflict,
    does_match,
    missing,
)
from contracts.epcis.gs1_keys import is_key, is_qualifier, is_sequence

_LINE = re.compile(r"(?P<ais>\d{2,4}(?:-\d{2,4})?) +(?P<flags>[*?]*) +(?P<rest>[NXYZ][^#]*?) *(?:#.*)?")
_PART = re.compile(r"(\[?)([NXYZ])(\.\.)?(\d+)\]?((?:,\w+)*)")


def read_part(text: str) -> Part:
    found = _PART.fullmatch(text)
    assert found is not None, text
    optional, kind, varies, most, checks = found.groups()
    least = 1 if varies else int(most)
    return Part(kind, least, int(most), tuple(checks.split(",")[1:]), bool(optional))


def read_line(line: str) -> list[tuple[Element, str]]:
    """The elements of a line of the dictionary, without titles and units, and the line's flags."""
    found = _LINE.fullmatch(line.strip())
    assert found is not None, line
    words = found["rest"].split()
    of = {"req": (), "ex": ()} | {
        name: tuple(value.split(","))
        for name, equals, value in (word.partition("=") for word in words)
        if equals and name != "dlpkey"
    }
    keys = [word for word in words if word.startswith("dlpkey")]
    sequences = (
        tuple(tuple(each.split(",")) for each in keys[0].partition("=")[2].split("|") if each)
        if keys
        else None
    )
    parts = tuple(read_part(word) for word in words if _PART.fullmatch(word))
    assert len(parts) + sum("=" in word or word == "dlpkey" for word in words) == len(words), line
    first, _, last = found["ais"].rpartition("-")
    return [
        (
            Element(
                f"{number:0{len(last)}}", "", parts, tuple(tuple(group.split("+")) for group in of["req"]),
                of["ex"], sequences, "?" in found["flags"],
            ),
            found["flags"],
        )
        for number in range(int(first or last), int(last) + 1)
    ]  # fmt: skip


def lines_of(shared_data: Path) -> list[str]:
    text = (shared_data / "gs1" / "gs1-syntax-dictionary.txt").read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_the_table_is_the_dictionary_line_by_line(shared_data: Path) -> None:
    """Parts, checks, partners, keys and qualifiers of every AI are the published ones; no AI is more."""
    seen = []
    for line in lines_of(shared_data):
        for published, _ in read_line(line):
            ours = ELEMENTS[published.ai]
            assert ours._replace(title="", unit="") == published, line
            seen.append(published.ai)
    assert seen == sorted(seen)
    assert sorted(ELEMENTS) == seen
    assert len(lines_of(shared_data)) == 224


def test_values_that_end_by_themselves_are_those_of_the_dictionary(shared_data: Path) -> None:
    """The flag for no separator is there if, and only if, the first two digits fix the length."""
    for line in lines_of(shared_data):
        for published, flags in read_line(line):
            length = FIXED.get(published.ai[:2])
            assert ("*" in flags) is (length is not None), line
            assert length in (None, published.length_max), line


def test_the_table_is_sound() -> None:
    """AIs are told apart by two digits, only last parts vary, optional ones come last, every check exists."""
    checks = gs1_checks.CHECKS | gs1_coupons.CHECKS
    for ai, element in ELEMENTS.items():
        assert AI_DIGITS[ai[:2]] == len(ai)
        assert element.title
        assert all(part.least == part.most for part in element.parts[:-1])
        assert all(after.is_optional or not before.is_optional for before, after in pairwise(element.parts))
        assert all(name in checks for part in element.parts for name in part.checks)
        partners = [each for group in element.needs for each in group] + [*element.excludes]
        for pattern in (*partners, *(each for sequence in element.sequences or () for each in sequence)):
            assert any(does_match(pattern, other) for other in ELEMENTS), (ai, pattern)
    assert {ai[:3]: each.unit for ai, each in ELEMENTS.items() if ai[:3] in ("310", "330", "320")} == {
        "310": "KGM",
        "330": "KGM",
        "320": "LBR",
    }


def test_identifiers_agree_with_the_table() -> None:
    """The keys that name things, the qualifiers that narrow them and their order are those of the table.

    Left out are a payment slip (415), which names nothing, and qualifiers without room in a canonical form.
    """
    for ai, element in ELEMENTS.items():
        assert is_key(ai) is (element.sequences is not None and ai != "415")
        for sequence in element.sequences or ():
            narrows = all(map(is_qualifier, sequence))
            assert narrows is (not {"7040", "8019", "8020"} & {*sequence})
            assert is_sequence(ai, sequence) is narrows
            assert not narrows or len(sequence) < 2 or not is_sequence(ai, sequence[::-1])


@pytest.mark.parametrize(
    ("ai", "present", "groups", "other"),
    [
        ("10", ("10",), 5, None),
        ("10", ("10", "01"), 0, None),
        ("37", ("37", "00"), 2, None),
        ("37", ("37", "00", "02"), 0, None),
        ("01", ("01", "37"), 0, "37"),
        ("3103", ("3103", "01", "3102"), 0, "3102"),
        ("3103", ("3103", "01"), 0, None),
        ("3922", ("3922", "01", "3103"), 0, None),
        ("3922", ("3922", "01"), 5, None),
        ("8041", ("8041", "01", "21"), 1, None),
    ],
)
def test_partners(ai: str, present: tuple[str, ...], groups: int, other: str | None) -> None:
    """What an AI lacks, and what it cannot stand beside; an AI does not exclude itself."""
    assert len(missing(ai, present)) == groups
    assert conflict(ai, present) == other
