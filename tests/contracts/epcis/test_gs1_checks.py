from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis import gs1_checks, gs1_codes, gs1_coupons
from contracts.epcis.gs1_checks import CHARACTERS_82, Fault, check_digit, check_pair

CHECKS = gs1_checks.CHECKS | gs1_coupons.CHECKS
LINES = 1883
HEAD = "01234561234561111" + "0" + "123"  # a coupon without optional fields


def name_of(check: str, text: str) -> str:
    """The name of what a check finds wrong; "" where it finds nothing."""
    fault = CHECKS[check](text)
    return "" if fault is None else fault.name


def test_every_published_value_check(shared_data: Path) -> None:
    """Each published value passes the check that it was made for, or fails it for the named reason."""
    seen = 0
    with (shared_data / "gs1" / "value-checks.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            text = row["input"]
            value = text.encode().decode("unicode_escape") if "\\x" in text else text
            name = name_of(row["linter"].removeprefix("gs1_lint_"), value)
            assert (f"GS1_LINTER_{name}" if name else "") == row["error"], row
            assert (row["expected"] == "pass") is (not name), row
            seen += 1
    assert seen == LINES


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ("cset64", ("", "12", "12=", "1==", "Az09-_"),
         {"===": "INVALID_CSET64_PADDING", "123=": "INVALID_CSET64_PADDING",
          "a+b": "INVALID_CSET64_CHARACTER", "a=b": "INVALID_CSET64_CHARACTER"}),
        ("iso4217", ("036", "840", "978"), {"": "NOT_ISO4217", "000": "NOT_ISO4217", "0840": "NOT_ISO4217"}),
        ("iso3166", ("724",), {"1": "NOT_ISO3166", "891": "NOT_ISO3166"}),
        ("mediatype", ("01", "10", "80", "99"),
         dict.fromkeys(("", "1", "00", "11", "79", "100"), "INVALID_MEDIA_TYPE")),
        ("winding", ("0", "1", "9"), dict.fromkeys(("", "2", "00"), "INVALID_WINDING_DIRECTION")),
        ("iban", ("BE71096123456769", "GB98MIDL07009312345678", "MT90MALT011000012345MTLCAST001SABC"),
         {"": "IBAN_TOO_SHORT", "BE7": "IBAN_TOO_SHORT", "BE71096123": "IBAN_TOO_SHORT",
          "XX71096123456769": "ILLEGAL_IBAN_COUNTRY_CODE", "BE71096123456760": "INCORRECT_IBAN_CHECKSUM",
          "BE7109612345676x": "INVALID_IBAN_CHARACTER", "BE71" + "0" * 31: "IBAN_TOO_LONG"}),
        ("longitude", ("3600000000",),
         {"3600000001": "INVALID_LONGITUDE", "12345": "LONGITUDE_INVALID_LENGTH"}),
        ("latitude", ("0900000000",), {"x900000000": "NON_DIGIT_CHARACTER"}),
        ("csum", ("00",), {"": "TOO_SHORT_FOR_CHECK_DIGIT", "02345674": "INCORRECT_CHECK_DIGIT"}),
        ("csumalpha", ("22",), {"1" * 100: "TOO_LONG_FOR_CHECK_PAIR_IMPLEMENTATION"}),
        ("gcppos1", (), {"": "TOO_SHORT_FOR_GCP", "012": "TOO_SHORT_FOR_GCP", "012A": "INVALID_GCP_PREFIX"}),
        ("gcppos2", (), {"": "TOO_SHORT_FOR_GCP", "I": "TOO_SHORT_FOR_GCP", "I01A3": "INVALID_GCP_PREFIX"}),
        ("pcenc", ("", "100%25"), {"%": "INVALID_PERCENT_SEQUENCE", "%2": "INVALID_PERCENT_SEQUENCE"}),
        ("mi", ("59",), {"111": "MINUTE_TOO_LONG"}),
        ("ss", ("59",), {"60": "ILLEGAL_SECOND"}),
        ("hhmi", ("2359",), {"2400": "ILLEGAL_HOUR", "2360": "ILLEGAL_MINUTE"}),
        ("hh", ("23",), {"24": "ILLEGAL_HOUR"}),
        ("yymmdd", ("000229",), {"200100": "ILLEGAL_DAY", "2001011": "DATE_TOO_LONG"}),
        ("yyyymmdd", ("20000229",), {"19000229": "ILLEGAL_DAY", "21000229": "ILLEGAL_DAY"}),
        ("packagetype", ("8", "PX"), {"": "INVALID_PACKAGE_TYPE", "px": "INVALID_PACKAGE_TYPE"}),
    ],
)  # fmt: skip
def test_what_the_published_values_leave_out(check: str, good: tuple[str, ...], bad: dict[str, str]) -> None:
    """Checks and faults of which no published value is at hand."""
    assert {text: name_of(check, text) for text in good} == dict.fromkeys(good, "")
    assert {text: name_of(check, text) for text in bad} == bad


def test_a_fault_says_where() -> None:
    """The place is that of the first character that cannot stand, counted from 0."""
    assert gs1_checks.cset82("LOT #7") == Fault("INVALID_CSET82_CHARACTER", 3)
    assert gs1_checks.csum("9521002001018") == Fault("INCORRECT_CHECK_DIGIT", 12)
    assert gs1_checks.yymmdd("261301") == Fault("ILLEGAL_MONTH", 2)
    assert gs1_checks.hhmi("2360") == Fault("ILLEGAL_MINUTE", 2)
    assert gs1_checks.gcppos2("I01A3") == Fault("INVALID_GCP_PREFIX", 3)
    assert gs1_checks.posinseqslash("1/02") == Fault("ILLEGAL_ZERO_PREFIX", 2)
    assert gs1_coupons.couponcode(HEAD + "3261301") == Fault("COUPON_INVALID_EXIPIRATION_DATE", len(HEAD) + 1)


def test_company_prefixes_are_known_to_the_caller_alone() -> None:
    """Whoever has a list of prefixes can ask by it; without one no text is said to begin with a prefix."""
    is_listed = "9521001".__eq__
    assert gs1_checks.gcppos1("9521001", is_listed) is None
    assert gs1_checks.gcppos2("I9521001", is_listed) is None
    assert gs1_checks.gcppos2("I9521002", is_listed) == Fault("INVALID_GCP_PREFIX", 1)
    assert gs1_checks.gcppos1("9521001") == Fault(gs1_checks.UNKNOWN_COMPANY_PREFIXES)


def test_the_lists_of_codes_have_their_size() -> None:
    """As many countries and kinds of package as their keepers list, none of them twice."""
    assert len(gs1_codes.COUNTRY_LETTERS) == len(gs1_codes.COUNTRY_NUMBERS) == 249
    assert len(gs1_codes.PACKAGE_TYPES) == 431
    assert len(gs1_codes.MEDIA_TYPES) == 30


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "MISSING_GCP_VLI"),
        ("7", "INVALID_GCP_LENGTH"),
        ("1123456", "TRUNCATED_GCP"),
        ("012345612345", "TRUNCATED_OFFER_CODE"),
        ("0123456123456", "MISSING_SAVE_VALUE_VLI"),
        ("01234561234560", "INVALID_SAVE_VALUE_LENGTH"),
        ("0123456123456512", "TRUNCATED_SAVE_VALUE"),
        ("012345612345611", "MISSING_1ST_PURCHASE_REQUIREMENT_VLI"),
        ("0123456123456116", "INVALID_1ST_PURCHASE_REQUIREMENT_LENGTH"),
        ("0123456123456111", "TRUNCATED_1ST_PURCHASE_REQUIREMENT"),
        ("01234561234561111", "MISSING_1ST_PURCHASE_REQUIREMENT_CODE"),
        ("012345612345611115", "INVALID_1ST_PURCHASE_REQUIREMENT_CODE"),
        (HEAD[:-1], "TRUNCATED_1ST_PURCHASE_FAMILY_CODE"),
        (HEAD, ""),
        (HEAD + "7", "EXCESS_DATA"),
        (HEAD + "1", "MISSING_ADDITIONAL_PURCHASE_RULES_CODE"),
        (HEAD + "14", "INVALID_ADDITIONAL_PURCHASE_RULES_CODE"),
        (HEAD + "10" + "11" + "0" + "123", "MISSING_2ND_PURCHASE_GCP_VLI"),
        (HEAD + "10" + "11" + "0" + "123" + "7", "INVALID_2ND_PURCHASE_GCP_LENGTH"),
        (HEAD + "10" + "11" + "0" + "123" + "012345", "TRUNCATED_2ND_PURCHASE_GCP"),
        (HEAD + "10" + "11" + "0" + "123" + "9", ""),
        (HEAD + "2" + "11" + "0" + "123" + "0123456", ""),
        (HEAD + "2" + "11" + "5", "INVALID_3RD_PURCHASE_REQUIREMENT_CODE"),
        (HEAD + "3" + "2612", "TOO_SHORT_FOR_EXPIRATION_DATE"),
        (HEAD + "4" + "2612", "TOO_SHORT_FOR_START_DATE"),
        (HEAD + "4" + "261232", "INVALID_START_DATE"),
        (HEAD + "3" + "261231" + "4" + "261231", ""),
        (HEAD + "3" + "261230" + "4" + "261231", "EXPIRATION_BEFORE_START"),
        (HEAD + "5", "MISSING_SERIAL_NUMBER_VLI"),
        (HEAD + "5" + "9" + "1" * 14, "TRUNCATED_SERIAL_NUMBER"),
        (HEAD + "6" + "8", "INVALID_RETAILER_GCP_OR_GLN_LENGTH"),
        (HEAD + "6" + "7" + "9521001000017", ""),
        (HEAD + "93", "INVALID_SAVE_VALUE_CODE"),
        (HEAD + "903", "INVALID_SAVE_VALUE_APPLIES_TO_ITEM"),
        (HEAD + "900", "MISSING_STORE_COUPON_FLAG"),
        (HEAD + "9007", "MISSING_DONT_MULTIPLY_FLAG"),
        (HEAD + "90072", "INVALID_DONT_MULTIPLY_FLAG"),
        (HEAD + "90071", ""),
        (HEAD + "900719", "EXCESS_DATA"),
    ],
)
def test_coupons_are_read_field_by_field(text: str, name: str) -> None:
    """Each field has its form, and the optional ones come in their order."""
    assert name_of("couponcode", text) == (f"COUPON_{name}" if name else "")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a01234561234560123456", "NON_DIGIT_CHARACTER"),
        ("", "COUPON_MISSING_FORMAT_CODE"),
        ("2", "COUPON_INVALID_FORMAT_CODE"),
        ("0", "COUPON_MISSING_FUNDER_VLI"),
        ("07", "COUPON_INVALID_FUNDER_LENGTH"),
        ("0012345", "COUPON_TRUNCATED_FUNDER"),
        ("0012345612345", "COUPON_TRUNCATED_OFFER_CODE"),
        ("00123456123456", "COUPON_MISSING_SERIAL_NUMBER_VLI"),
        ("00123456123456012345", "COUPON_TRUNCATED_SERIAL_NUMBER"),
        ("101234561234560123456", ""),
        ("0012345612345601234567", "COUPON_EXCESS_DATA"),
    ],
)
def test_coupons_of_an_offer_file(text: str, name: str) -> None:
    """Format, funder, offer, serial number, and nothing behind it."""
    assert name_of("couponposoffer", text) == name


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)), st.integers(0, 99), st.integers(0, 99))
def test_days_are_those_of_the_calendar(day: date, month: int, number: int) -> None:
    """Every real day passes; any other month and day of its year pass only if the calendar has them."""
    assert gs1_checks.yyyymmdd(f"{day.year:04}{day.month:02}{day.day:02}") is None
    try:
        is_real = bool(date(day.year, month, number))
    except ValueError:
        is_real = False
    assert (gs1_checks.yyyymmdd(f"{day.year:04}{month:02}{number:02}") is None) is is_real


@given(st.text(st.sampled_from(CHARACTERS_82), max_size=88), st.data())
def test_a_check_pair_catches_any_single_wrong_character(text: str, data: st.DataObject) -> None:
    """Text with its pair passes; with one other character in any place it does not."""
    whole = text + str(check_pair(text))
    assert gs1_checks.csumalpha(whole) is None
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.sampled_from(CHARACTERS_82.replace(whole[place], "")))
    assert gs1_checks.csumalpha(whole[:place] + other + whole[place + 1 :]) is not None


@given(st.from_regex(r"[0-9]{1,30}", fullmatch=True))
def test_a_check_digit_catches_any_single_wrong_digit(digits: str) -> None:
    """A number with its digit passes; with one other digit in any place it does not."""
    whole = digits + check_digit(digits)
    assert gs1_checks.csum(whole) is None
    for place, right in enumerate(whole):
        for wrong in "0123456789".replace(right, ""):
            assert gs1_checks.csum(whole[:place] + wrong + whole[place + 1 :]) is not None


@given(
    st.text(max_size=40) | st.from_regex(r"[0-9%/=-]{0,40}", fullmatch=True), st.sampled_from(sorted(CHECKS))
)
def test_no_text_breaks_a_check(text: str, check: str) -> None:
    """Whatever the text, each check answers nothing or a fault that lies in the text or at its end."""
    fault = CHECKS[check](text)
    assert fault is None or 0 <= fault.at <= len(text)
