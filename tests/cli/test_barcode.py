"""Barcode: a clerk sees what a code holds, and one clear sentence where it is broken."""

from __future__ import annotations

import pytest

from cli.barcodes import answer, meaning
from cli.exit_code import ExitCode
from contracts.epcis.barcode import datum_of
from tests.cli.shell import shell

LOT = "(01)09521001001106(10)N-0504(17)261231(3103)000500(7007)260501260503"
LOT_URI = "https://id.gs1.org/01/09521001001106/10/N-0504"
PALLET = "]C100095210020000007015"
PALLET_URI = "https://id.gs1.org/00/095210020000007015"
CONTENTS = "0209521001001106\x1d3740\x1d10N-0504"


def test_what_a_code_holds_as_a_table() -> None:
    """The identifier, then every application identifier with its value and what it means."""
    said = shell("barcode", "parse", LOT)
    assert said.code == ExitCode.OK
    lines = [line.split() for line in said.out.splitlines()]
    assert ["lot", LOT_URI] in lines
    assert ["(10)", "batch", "or", "lot", "N-0504", "-"] in lines
    assert ["(17)", "expiry", "date", "261231", "2026-12-31"] in lines
    assert ["(3103)", "net", "weight", "000500", "0.500", "KGM"] in lines
    assert ["(7007)", "harvest", "date", "260501260503", "2026-05-01", "to", "2026-05-03"] in lines


def test_what_the_codes_of_an_item_hold_as_json() -> None:
    """One answer over all codes; partners on another code count."""
    alone = shell("barcode", "parse", CONTENTS, "--json").json
    assert alone["missing"] == [
        {"ai": "37", "title": "count of contained items", "needs": "(00) with (02) or (00) with (8026)"}
    ]
    both = shell("barcode", "parse", CONTENTS, PALLET, "--json").json
    assert (both["missing"], both["conflicts"]) == ([], [])
    assert both["codes"][1] == {
        "text": PALLET,
        "form": "element string",
        "identifiers": [{"id": PALLET_URI, "level": "container"}],
        "elements": [{"ai": "00", "title": "SSCC", "value": PALLET[-18:], "means": ""}],
    }
    assert both["codes"][0]["elements"][1]["means"] == "40"


def test_codes_that_cannot_be_on_one_item_are_told() -> None:
    """A trade item and the count of what a container holds."""
    said = shell("barcode", "parse", LOT, CONTENTS)
    assert said.code == ExitCode.OK
    assert "(01) GTIN cannot be on an item with (37)" in said.out
    assert "(37) count of contained items needs (00) with (02)" in said.out
    assert "\x1d" not in said.out.replace("\n", "")


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("(01)09521001001107",), "at character 18: (01) '09521001001107' fails GS1's check csum"),
        ((LOT, "(17)261331"), "code 2 of 2: at character 7: (17) '261331' fails"),
        (("Hello World!",), "no URI, GS1 element string"),
        (("",), "no URI, GS1 element string"),
    ],
)
def test_a_broken_code_is_told_with_its_place(texts: tuple[str, ...], words: str) -> None:
    """One sentence, which code and which character, and what to try."""
    said = shell("barcode", "parse", *texts, "--json")
    assert said.code == ExitCode.REJECTED
    assert said.error["code"] in ("identifier.invalid", "identifier.not_recognised")
    assert words in said.error["message"]
    assert said.error["try"]


@pytest.mark.parametrize(
    ("ai", "value", "words"),
    [
        ("17", "261200", "2026-12"),
        ("17", "760101", "2076-01-01"),
        ("17", "770101", "1977-01-01"),
        ("7003", "2605011430", "2026-05-01 14:30"),
        ("7007", "260501", "2026-05-01"),
        ("7011", "260501", "2026-05-01"),
        ("8008", "26050114", "2026-05-01 14:00"),
        ("8008", "260501143059", "2026-05-01 14:30:59"),
        ("7250", "19800229", "1980-02-29"),
        ("4324", "2605011430", "2026-05-01 14:30"),
        ("3300", "000012", "12 KGM"),
        ("3105", "123456", "1.23456 KGM"),
        ("30", "00012", "12"),
        ("3922", "01250", "12.50"),
        ("3932", "9781250", "12.50 in currency 978"),
        ("3942", "1250", "12.50 %"),
        ("4331", "000250-", "-2.50 °C"),
        ("4332", "003250", "32.50 °F"),
        ("10", "000250", ""),
    ],
)
def test_values_in_plain_words(ai: str, value: str, words: str) -> None:
    """Dates, times, weights, counts, prices and temperatures, seen from the year 2026."""
    assert meaning(datum_of(ai, value), 2026) == words


def test_the_century_moves_with_the_years() -> None:
    """Two digits of a year mean the one nearest to now."""
    assert [meaning(datum_of("17", "500101"), year) for year in (1999, 2000, 2026, 2099)] == [
        "1950-01-01",
        "2050-01-01",
        "2050-01-01",
        "2050-01-01",
    ]
    assert meaning(datum_of("17", "010101"), 1999) == "2001-01-01"


def test_record_and_item_take_the_codes_whole() -> None:
    """A code with dates and weights names the same thing as without; a broken one is refused."""
    said = shell("record", "commission", "--lot", LOT, "5KGM", "--at", "9521002000016", "--dry-run", "--json")
    assert said.json["quantityList"] == [{"epcClass": LOT_URI, "quantity": 5, "uom": "KGM"}]
    broken = shell("record", "commission", LOT.replace("(17)2612", "(17)2613"), "--dry-run", "--json")
    assert "at character 35: (17) '261331' fails" in broken.error["message"]
    assert answer([LOT], 2026)["codes"][0]["identifiers"] == [{"id": LOT_URI, "level": "lot"}]
