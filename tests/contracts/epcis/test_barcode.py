from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.barcode import FNC1, lacking, parse_elements
from contracts.epcis.gs1_checks import CHARACTERS_82, check_digit
from contracts.epcis.gs1_elements import ELEMENTS, FIXED, conflict
from contracts.epcis.scan import SCAN_LENGTH_MAX, Form, parse_scan, read_scan
from ledger.errors import LedgerError

GTIN = "09521001001106"
SSCC = "095210020000007015"
DL = "https://id.gs1.org"
# Values of free text, none of which excludes another.
FREE = ("10", "240", "241", "251", "400", "403", "90", "91", "92", "7021")


def values_of(text: str) -> dict[str, str]:
    return {datum.ai: datum.value for datum in parse_elements(text)}


def refused(text: str) -> tuple[str, str]:
    with pytest.raises(LedgerError) as caught:
        read_scan(text)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        f"(01){GTIN}(17)261231(3103)000500(10)A-1(21)S7",
        f"01{GTIN}172612313103000500" + f"10A-1{FNC1}21S7",
        f"{FNC1}01{GTIN}17261231{FNC1}3103000500{FNC1}10A-1{FNC1}21S7{FNC1}",
        f"^01{GTIN}17261231310300050010A-1^21S7",
        *(
            f"]{mark}01{GTIN}17261231310300050010A-1{FNC1}21S7"
            for mark in ("C1", "e0", "e1", "d2", "Q3", "J1")
        ),
        f"]C1(01){GTIN}(17)261231(3103)000500(10)A-1(21)S7",
    ],
)
def test_one_code_in_every_spelling(text: str) -> None:
    """Brackets, FNC1 as GS or caret, leading or not, after a value that needs none, and symbology marks."""
    assert values_of(text) == {"01": GTIN, "17": "261231", "3103": "000500", "10": "A-1", "21": "S7"}
    assert parse_scan(text) == f"{DL}/01/{GTIN}/21/S7"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (f"01{GTIN}1", "not_recognised", "at character 17: no GS1 application identifier begins '1'"),
        (f"01{GTIN}18261231", "not_recognised", "at character 17: no GS1"),
        (
            f"]C101{GTIN}7045X",
            "not_recognised",
            "at character 20: no GS1 application identifier begins '7045X'",
        ),
        (f"(01){GTIN}(7045)X", "not_recognised", "at character 20: no GS1"),
        (f"(01){GTIN}(1)X", "not_recognised", "at character 19: no AI in brackets begins '(1)X'"),
        (
            f"01{GTIN}17261331",
            "invalid",
            "at character 21: (17) '261331' fails GS1's check yymmd0: ILLEGAL_MONTH",
        ),
        (f"01{GTIN}172612", "invalid", "at character 23: (17) ends after 4 characters, 6 were expected"),
        (f"(01){GTIN}(17)2612311", "invalid", "at character 29: (17) is longer than the 6 characters"),
        ("(01)09521001001107", "invalid", "at character 18: (01) '09521001001107' fails GS1's check csum"),
        (f"(01){GTIN}(10)A(B)", "not_recognised", "at character 24: no AI in brackets begins '(B)'"),
        (f"(01){GTIN}(10)A#B", "invalid", "at character 24: (10) takes characters of GS1's set of 82, '#'"),
        (f"(01){GTIN}(10)A\\(#", "invalid", "at character 26: (10) takes characters"),
        (f"(01){GTIN}(10)A(10)B", "invalid", "at character 24: (10) stands there twice"),
        (f"(01){GTIN}(37)40", "invalid", "at character 1: (01) cannot stand with (37)"),
        (f"(01){GTIN}(21)A(235)B", "invalid", "at character 19: (21) cannot stand with (235)"),
        (f"(01){GTIN}(422)999", "invalid", "at character 24: (422) '999' fails GS1's check iso3166"),
        (f"(01){GTIN}(423)056999", "invalid", "at character 27: (423) '999' fails GS1's check iso3166"),
        (
            "(00)095210020000007015(4331)000100x",
            "invalid",
            "at character 35: (4331) 'x' fails GS1's check hyphen",
        ),
        ("(8010)9521002ab(8011)7", "invalid", "at character 14: (8010) takes characters of GS1's set of 39"),
        (f"{FNC1}{FNC1}", "not_recognised", "at character 2: no GS1"),
        (FNC1, "not_recognised", "at character 2: nothing stands there"),
        ("]C1", "not_recognised", "at character 4: nothing stands there"),
        (f"(01){GTIN}(91)" + "x" * SCAN_LENGTH_MAX, "not_recognised", "at most 512"),
        ("3034257BF400B7800004CB2F", "not_recognised", "looks like the memory of a tag"),
        ("0x3034257BF400B7800004CB2F", "not_recognised", "no URI, GS1 element string"),
        (f"{DL}/01/{GTIN}?17=261331", "invalid", "at character 41: (17) '261331' fails"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, code: str, words: str) -> None:
    """The first fault, by the character at which it stands, counted from 1."""
    found = refused(text)
    assert found[0] == f"identifier.{code}"
    assert words in found[1]


def test_partners_are_judged_over_all_codes_of_an_item() -> None:
    """What a code lacks is no fault of it: another code on the item may have it."""
    contents = parse_elements(f"(02){GTIN}(37)40(10)A")
    pallet = parse_elements(f"(00){SSCC}")
    assert lacking(contents) == {"37": "(00) with (02) or (00) with (8026)"}
    assert lacking((*contents, *pallet)) == {}
    assert lacking(parse_elements("(10)A")) == {"10": "(01) or (02) or (03) or (8006) or (8026)"}


@pytest.mark.parametrize(
    ("text", "form", "uris", "data"),
    [
        (f"{DL}/01/{GTIN}/10/A?17=261231&3103=000500&x", Form.LINK, [f"{DL}/01/{GTIN}/10/A"],
         {"01": GTIN, "10": "A", "17": "261231", "3103": "000500"}),
        (f"https://farm.example/gtin/{GTIN[1:]}/lot/A%2F1?15=2&30=7#z", Form.LINK,
         [f"{DL}/01/{GTIN}/10/A%2F1"],
         {"01": GTIN, "10": "A/1", "30": "7"}),
        (f"{DL}/01/{GTIN}/10/A?10=B&17=261231&17=271231", Form.LINK, [f"{DL}/01/{GTIN}/10/A"],
         {"01": GTIN, "10": "A", "17": "261231"}),
        (f"]Q1{DL}/00/{SSCC}", Form.LINK, [f"{DL}/00/{SSCC}"], {"00": SSCC}),
        (f"{DL}/8018/952100200000067657/8019/7", Form.URI, [f"{DL}/8018/952100200000067657/8019/7"], {}),
        ("urn:epc:id:sscc:9521002.0000000701", Form.URN, [f"{DL}/00/{SSCC}"], {}),
        ("urn:gdst:farm.example:lot:7", Form.URI, ["urn:gdst:farm.example:lot:7"], {}),
        ("9521001001106", Form.RETAIL, [f"{DL}/01/{GTIN}"], {}),
        ("]E09521001001106", Form.RETAIL, [f"{DL}/01/{GTIN}"], {}),
        (f"]I1{GTIN}", Form.RETAIL, [f"{DL}/01/{GTIN}"], {}),
        (f"(02){GTIN}(37)40", Form.ELEMENTS, [], {"02": GTIN, "37": "40"}),
        (f"(01){GTIN}(00){SSCC}", Form.ELEMENTS, [f"{DL}/01/{GTIN}", f"{DL}/00/{SSCC}"],
         {"01": GTIN, "00": SSCC}),
        (f"(01){GTIN}(8200)https://a.example", Form.ELEMENTS, [f"{DL}/01/{GTIN}"],
         {"01": GTIN, "8200": "https://a.example"}),
    ],
)  # fmt: skip
def test_all_that_a_code_says(text: str, form: Form, uris: list[str], data: dict[str, str]) -> None:
    """Its form, every thing that it names, every value; a foreign link's own parameters are not ours."""
    found = read_scan(text)
    assert found.form is form
    assert [each.uri for each in found.identifiers] == uris
    assert [(datum.ai, datum.value) for datum in found.data] == list(data.items())


@st.composite
def codes(draw: st.DrawFn) -> dict[str, str]:
    """A GTIN with some free text beside it."""
    digits = draw(st.text(st.sampled_from("0123456789"), min_size=13, max_size=13))
    found = {"01": digits + check_digit(digits)}
    for ai in draw(st.lists(st.sampled_from(FREE), unique=True)):
        size = ELEMENTS[ai].length_max
        found[ai] = draw(st.text(st.sampled_from(CHARACTERS_82), min_size=1, max_size=size))
    return found


@given(codes(), st.data())
def test_reading_undoes_writing(code: dict[str, str], data: st.DataObject) -> None:
    """Brackets and FNC1 give back whatever was written in whatever order, each value where it stands."""
    order = data.draw(st.permutations(sorted(code)))
    bracketed = "".join(f"({ai})" + re.sub(r"\(", r"\\(", code[ai]) for ai in order)
    raw = "".join(ai + code[ai] + ("" if ai[:2] in FIXED else FNC1) for ai in order)
    for text in (bracketed, raw, FNC1 + raw, raw.rstrip(FNC1)):
        found = parse_elements(text)
        assert [(datum.ai, datum.value) for datum in found] == [(ai, code[ai]) for ai in order]
        for datum in found:
            assert "".join(text[place - 1] for place in datum.places[:-1]) == datum.value
            assert text[datum.at - 1 :].lstrip("(").startswith(datum.ai)


@given(codes(), st.data())
def test_every_other_check_digit_is_refused(code: dict[str, str], data: st.DataObject) -> None:
    """A GTIN with one other digit in any place is refused in every spelling."""
    gtin = code["01"]
    place = data.draw(st.integers(0, 13))
    wrong = data.draw(st.sampled_from("0123456789".replace(gtin[place], "")))
    broken = gtin[:place] + wrong + gtin[place + 1 :]
    for text in (f"(01){broken}", f"01{broken}", f"]d201{broken}", broken, f"{DL}/01/{broken}"):
        assert refused(text)[0] == "identifier.invalid"


_AIS = "|".join(sorted(ELEMENTS))


@given(
    st.text(max_size=80)
    | st.from_regex(rf"(\]C1|\^|\x1d)?(({_AIS})[0-9A-Za-z/%-]{{0,20}}[\x1d^]?){{1,5}}", fullmatch=True)
    | st.from_regex(rf"(\(({_AIS})\)[0-9A-Z\\(-]{{0,20}}){{1,5}}", fullmatch=True)
)
def test_hostile_codes_are_read_or_refused(text: str) -> None:
    """Nothing else comes out than a reading whose values are sound, or a refusal with a code."""
    with suppress(LedgerError):
        found = read_scan(text)
        for datum in found.data:
            assert 1 <= len(datum.value) <= ELEMENTS[datum.ai].length_max
            assert conflict(datum.ai, [each.ai for each in found.data]) is None or found.form is Form.LINK
