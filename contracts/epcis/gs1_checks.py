"""The checks that GS1 names for the parts of a value: each says what is wrong and where, or nothing.

A check looks at content alone; how long a part may be is asked where the part is cut out of its value. The
names of checks and faults are GS1's, so that what is refused here can be looked up there.

Source: GS1 General Specifications sections 3 and 7; GS1 Barcode Syntax Resource (names of checks and faults).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from contracts.epcis import gs1_codes


class Fault(NamedTuple):
    """What is wrong with a text, by GS1's name for it, and at which character, counted from 0."""

    name: str
    at: int = 0


Check: TypeAlias = Callable[[str], Fault | None]

CHARACTERS_82: Final = "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
COMPANY_PREFIX_DIGITS_MIN: Final = 4
UNKNOWN_COMPANY_PREFIXES: Final = "GCP_DATASOURCE_OFFLINE"
_CHARACTERS_32: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # of a check character pair
# The weights of check characters, from the last character on: as many as a value can have characters.
_PRIMES: Final = tuple(n for n in range(2, 510) if all(n % divisor for divisor in range(2, n)))
_DAYS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NON_DIGIT = re.compile(r"[^0-9]")
_NOT_82 = re.compile(f"[^{re.escape(CHARACTERS_82)}]")
_NOT_39 = re.compile(r"[^#/0-9A-Z-]")
_NOT_64 = re.compile(r"[^0-9A-Za-z_-]")
_NOT_INDEX = re.compile(r"[^0-9A-Za-z_-]")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SEQUENCE = re.compile(r"([0-9]+)/([0-9]+)")
_NOT_IBAN = re.compile(r"[^0-9A-Z]")
_IBAN_LENGTHS: Final = range(11, 35)


def check_digit(digits: str) -> str:
    """The modulo 10 check digit that follows these digits (weights 3, 1, 3... from the right)."""
    total = 3 * sum(map(int, digits[::-2])) + sum(map(int, digits[-2::-2]))
    return str(-total % 10)


def check_pair(text: str) -> str | None:
    """The two check characters that follow alphanumeric text (GMN); None where a character has no value."""
    total = 0
    for weight, character in zip(_PRIMES, reversed(text), strict=False):
        place = CHARACTERS_82.find(character)
        if place < 0:
            return None
        total += weight * place
    total %= 1021
    return _CHARACTERS_32[total >> 5] + _CHARACTERS_32[total & 31] if len(text) <= len(_PRIMES) else None


def csetnumeric(text: str) -> Fault | None:
    """Digits."""
    return _first(_NON_DIGIT, text, "NON_DIGIT_CHARACTER")


def cset82(text: str) -> Fault | None:
    """The characters of lots, serial numbers and most other text."""
    return _first(_NOT_82, text, "INVALID_CSET82_CHARACTER")


def cset39(text: str) -> Fault | None:
    """The characters of component and part identifiers."""
    return _first(_NOT_39, text, "INVALID_CSET39_CHARACTER")


def cset64(text: str) -> Fault | None:
    """Base64 as it may stand in a link, with or without padding; GS1 pads to a multiple of three."""
    bare = text.rstrip("=")
    pads = len(text) - len(bare)
    if pads > 2 or (pads and len(text) % 3):
        return Fault("INVALID_CSET64_PADDING", len(bare))
    return _first(_NOT_64, bare, "INVALID_CSET64_CHARACTER")


def csum(text: str) -> Fault | None:
    """Digits of which the last is the check digit of the others."""
    if not text:
        return Fault("TOO_SHORT_FOR_CHECK_DIGIT")
    if (fault := csetnumeric(text)) is not None:
        return fault
    return None if text[-1] == check_digit(text[:-1]) else Fault("INCORRECT_CHECK_DIGIT", len(text) - 1)


def csumalpha(text: str) -> Fault | None:
    """Text of which the last two are the check characters of the others."""
    if len(text) < 2:
        return Fault("TOO_SHORT_FOR_CHECK_PAIR")
    if len(text) - 2 > len(_PRIMES):
        return Fault("TOO_LONG_FOR_CHECK_PAIR_IMPLEMENTATION")
    if (fault := cset82(text[:-2])) is not None:
        return fault
    return None if text[-2:] == check_pair(text[:-2]) else Fault("INCORRECT_CHECK_PAIR", len(text) - 2)


def gcppos1(text: str, is_listed: Callable[[str], bool] | None = None) -> Fault | None:
    """Begins with a company prefix. Which prefixes there are only the caller can know.

    Args:
        is_listed: whether a text begins with an assigned prefix. Without it no text passes: what has the
            form of a prefix is answered UNKNOWN_COMPANY_PREFIXES.
    """
    if len(text) < COMPANY_PREFIX_DIGITS_MIN:
        return Fault("TOO_SHORT_FOR_GCP")
    if (found := _NON_DIGIT.search(text, 0, COMPANY_PREFIX_DIGITS_MIN)) is not None:
        return Fault("INVALID_GCP_PREFIX", found.start())
    if is_listed is None:
        return Fault(UNKNOWN_COMPANY_PREFIXES)
    return None if is_listed(text) else Fault("INVALID_GCP_PREFIX")


def gcppos2(text: str, is_listed: Callable[[str], bool] | None = None) -> Fault | None:
    """Begins with a company prefix after its first character."""
    return _moved(gcppos1(text[1:], is_listed), 1) if len(text) > 1 else Fault("TOO_SHORT_FOR_GCP")


def hasnondigit(text: str) -> Fault | None:
    """Anything but digits alone."""
    return None if _NON_DIGIT.search(text) else Fault("REQUIRES_NON_DIGIT_CHARACTER")


def hyphen(text: str) -> Fault | None:
    """Nothing but hyphens: the sign of a temperature below zero."""
    return Fault("NOT_HYPHEN") if text.strip("-") else None


def zero(text: str) -> Fault | None:
    """Nothing but zeros."""
    return Fault("NOT_ZERO") if text.strip("0") else None


def nonzero(text: str) -> Fault | None:
    """A number above zero."""
    if (fault := csetnumeric(text)) is not None:
        return fault
    return None if text.strip("0") else Fault("ILLEGAL_ZERO_VALUE")


def nozeroprefix(text: str) -> Fault | None:
    """A number that does not begin with 0."""
    if (fault := csetnumeric(text)) is not None:
        return fault
    return Fault("ILLEGAL_ZERO_PREFIX") if text.startswith("0") else None


def yesno(text: str) -> Fault | None:
    """0 for no or 1 for yes."""
    return None if text in ("0", "1") else Fault("NOT_ZERO_OR_ONE")


def winding(text: str) -> Fault | None:
    """How a roll is wound: 0 face out, 1 face in, 9 undefined."""
    return None if text in ("0", "1", "9") else Fault("INVALID_WINDING_DIRECTION")


def iso5218(text: str) -> Fault | None:
    """A biological sex: 0 not known, 1 male, 2 female, 9 not applicable."""
    return None if text in ("0", "1", "2", "9") else Fault("INVALID_BIOLOGICAL_SEX_CODE")


def iso3166(text: str) -> Fault | None:
    """The three digits of a country."""
    return None if text in gs1_codes.COUNTRY_NUMBERS else Fault("NOT_ISO3166")


def iso3166999(text: str) -> Fault | None:
    """The three digits of a country, or 999 for several."""
    is_known = text == "999" or text in gs1_codes.COUNTRY_NUMBERS
    return None if is_known else Fault("NOT_ISO3166_OR_999")


def iso3166alpha2(text: str) -> Fault | None:
    """The two letters of a country."""
    return None if text in gs1_codes.COUNTRY_LETTERS else Fault("NOT_ISO3166_ALPHA2")


def iso4217(text: str) -> Fault | None:
    """The three digits of a currency."""
    return None if text in gs1_codes.CURRENCY_NUMBERS else Fault("NOT_ISO4217")


def packagetype(text: str) -> Fault | None:
    """The code of a kind of package."""
    return None if text in gs1_codes.PACKAGE_TYPES else Fault("INVALID_PACKAGE_TYPE")


def mediatype(text: str) -> Fault | None:
    """The code of a medium that carries data."""
    return None if text in gs1_codes.MEDIA_TYPES else Fault("INVALID_MEDIA_TYPE")


def importeridx(text: str) -> Fault | None:
    """The one character that tells the importers of a tobacco product apart."""
    if len(text) != 1:
        return Fault("IMPORTER_IDX_MUST_BE_ONE_CHARACTER")
    return _first(_NOT_INDEX, text, "INVALID_IMPORT_IDX_CHARACTER")


def iban(text: str) -> Fault | None:
    """An account number: a country's letters, two check digits, and what the country puts behind them."""
    if len(text) < 4:
        return Fault("IBAN_TOO_SHORT")
    if iso3166alpha2(text[:2]) is not None:
        return Fault("ILLEGAL_IBAN_COUNTRY_CODE")
    if len(text) >= _IBAN_LENGTHS.stop:
        return Fault("IBAN_TOO_LONG")
    if len(text) < _IBAN_LENGTHS.start:
        return Fault("IBAN_TOO_SHORT")
    if (fault := _first(_NOT_IBAN, text, "INVALID_IBAN_CHARACTER")) is not None:
        return fault
    number = "".join(str(int(character, 36)) for character in text[4:] + text[:4])
    return None if int(number) % 97 == 1 else Fault("INCORRECT_IBAN_CHECKSUM", 2)


def latitude(text: str) -> Fault | None:
    """Ten digits: 90 degrees more than the latitude, in ten millionths of a degree."""
    return _within(text, "LATITUDE", 1_800_000_000)


def longitude(text: str) -> Fault | None:
    """Ten digits: degrees east from 0 to 360, in ten millionths of a degree."""
    return _within(text, "LONGITUDE", 3_600_000_000)


def pcenc(text: str) -> Fault | None:
    """Every percent sign begins a percent-encoded byte."""
    return _first(_BAD_PERCENT, text, "INVALID_PERCENT_SEQUENCE")


def pieceoftotal(text: str) -> Fault | None:
    """A piece's number, from 1, and in as many digits how many pieces there are, which is not less."""
    half, odd = divmod(len(text), 2)
    if odd or not half:
        return Fault("INVALID_LENGTH_FOR_PIECE_OF_TOTAL")
    if (fault := csetnumeric(text)) is not None:
        return fault
    piece, total = text[:half], text[half:]
    if not piece.strip("0"):
        return Fault("ZERO_PIECE_NUMBER")
    if not total.strip("0"):
        return Fault("ZERO_TOTAL_PIECES", half)
    return Fault("PIECE_NUMBER_EXCEEDS_TOTAL") if piece > total else None


def posinseqslash(text: str) -> Fault | None:
    """A position and the end of its sequence, as `2/3`."""
    found = _SEQUENCE.fullmatch(text)
    if found is None:
        return Fault("POSITION_IN_SEQUENCE_MALFORMED")
    for number in (1, 2):
        if found[number].startswith("0"):
            return Fault("ILLEGAL_ZERO_PREFIX", found.start(number))
    position, end = found.groups()
    return Fault("POSITION_EXCEEDS_END") if (len(position), position) > (len(end), end) else None


def yyyymmdd(text: str) -> Fault | None:
    """A day of the calendar."""
    return _date(text, 8, is_day_needed=True)


def yyyymmd0(text: str) -> Fault | None:
    """A day of the calendar, or 00 in its place for an unspecified day of the month."""
    return _date(text, 8, is_day_needed=False)


def yymmdd(text: str) -> Fault | None:
    """A day of the calendar, its year given by the last two digits."""
    return _date(text, 6, is_day_needed=True)


def yymmd0(text: str) -> Fault | None:
    """As `yymmdd`, with 00 for an unspecified day of the month."""
    return _date(text, 6, is_day_needed=False)


def hh(text: str) -> Fault | None:
    """An hour."""
    return _clock(text, "HOUR", 23)


def mi(text: str) -> Fault | None:
    """A minute."""
    return _clock(text, "MINUTE", 59)


def ss(text: str) -> Fault | None:
    """A second."""
    return _clock(text, "SECOND", 59)


def hhmi(text: str) -> Fault | None:
    """An hour and a minute of it."""
    if len(text) != 4:
        return Fault(f"HOUR_WITH_MINUTE_TOO_{'SHORT' if len(text) < 4 else 'LONG'}")
    return csetnumeric(text) or hh(text[:2]) or _moved(mi(text[2:]), 2)


CHECKS: Final[dict[str, Check]] = {
    each.__name__: each
    for each in (
        csetnumeric,
        cset39,
        cset64,
        cset82,
        csum,
        csumalpha,
        gcppos1,
        gcppos2,
        hasnondigit,
        hh,
        hhmi,
        hyphen,
        iban,
        importeridx,
        iso3166,
        iso3166999,
        iso3166alpha2,
        iso4217,
        iso5218,
        latitude,
        longitude,
        mediatype,
        mi,
        nonzero,
        nozeroprefix,
        packagetype,
        pcenc,
        pieceoftotal,
        posinseqslash,
        ss,
        winding,
        yesno,
        yymmd0,
        yymmdd,
        yyyymmd0,
        yyyymmdd,
        zero,
    )
}


# --- inside ---------------------------------------------------------------------------


def _first(unwanted: re.Pattern[str], text: str, name: str) -> Fault | None:
    found = unwanted.search(text)
    return None if found is None else Fault(name, found.start())


def _moved(fault: Fault | None, by: int) -> Fault | None:
    """A fault of a part of a text, as one of the whole."""
    return None if fault is None else Fault(fault.name, fault.at + by)


def _within(text: str, what: str, most: int) -> Fault | None:
    if len(text) != 10:
        return Fault(f"{what}_INVALID_LENGTH")
    if (fault := csetnumeric(text)) is not None:
        return fault
    return Fault(f"INVALID_{what}") if int(text) > most else None


def _clock(text: str, what: str, most: int) -> Fault | None:
    if len(text) != 2:
        return Fault(f"{what}_TOO_{'SHORT' if len(text) < 2 else 'LONG'}")
    if (fault := csetnumeric(text)) is not None:
        return fault
    return Fault(f"ILLEGAL_{what}") if int(text) > most else None


def _date(text: str, length: int, *, is_day_needed: bool) -> Fault | None:
    if len(text) != length:
        return Fault(f"DATE_TOO_{'SHORT' if len(text) < length else 'LONG'}")
    if (fault := csetnumeric(text)) is not None:
        return fault
    year, month, day = int(text[:-4]), int(text[-4:-2]), int(text[-2:])
    if not 1 <= month <= 12:
        return Fault("ILLEGAL_MONTH", length - 4)
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0 or length == 6)  # 00 is 2000
    last = _DAYS[month - 1] - (month == 2 and not is_leap)
    return None if is_day_needed <= day <= last else Fault("ILLEGAL_DAY", length - 2)
