"""Instants as EPCIS writes them (RFC 3339 with a zone) to milliseconds since 1970 and back.

Written out in integers: no clock, no local zone, no float. A leap second (`:60`) and the hour 24 are refused,
as the date-time type of EPCIS has neither the one nor, in JSON, the other.

Source: RFC 3339; EPCIS 2.0 section 7.3.
"""

from __future__ import annotations

import re
from typing import Final

from ledger.errors import LedgerError
from ledger.types import TimeMs

FRACTION_DIGITS_MAX: Final = 12  # of a second: picoseconds; more is a malformed number, not precision
_INSTANT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    rf"(?:\.([0-9]{{1,{FRACTION_DIGITS_MAX}}}))?(?:[Zz]|([+-])([0-9]{{2}}):([0-9]{{2}}))"
)
_OFFSET = re.compile(r"[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00)")
_DAYS_BEFORE_MONTH: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_DAYS_IN_MONTH: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DAYS_TO_1970: Final = 719_162  # from 0001-01-01
_DAY_MS: Final = 86_400_000


def parse_time(text: str) -> TimeMs:
    """The instant as milliseconds since 1970, a finer fraction rounded half up.

    Raises:
        LedgerError: `epcis.bad_time` for a wrong form, no zone, or a day or hour that does not exist.
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        raise LedgerError(
            "epcis.bad_time", "not a date and time with a zone, such as 2026-05-04T09:30:00.000+02:00"
        )
    year, month, day, hour, minute, second = (int(part) for part in found.group(1, 2, 3, 4, 5, 6))
    fraction, sign, zone_hour, zone_minute = found.group(7, 8, 9, 10)
    if not (_is_day(year, month, day) and hour < 24 and minute < 60 and second < 60):
        raise LedgerError("epcis.bad_time", "no such day or time of day")
    zone_minutes = int(zone_hour) * 60 + int(zone_minute) if sign else 0
    if zone_minutes > 14 * 60 or (sign and int(zone_minute) > 59):
        raise LedgerError("epcis.bad_time", "no such time zone: at most 14:00 ahead or behind")
    local_minutes = hour * 60 + minute
    utc_minutes = local_minutes + zone_minutes if sign == "-" else local_minutes - zone_minutes
    return TimeMs(
        _day_number(year, month, day) * _DAY_MS + utc_minutes * 60_000 + second * 1_000 + _ms(fraction)
    )


def is_zone_offset(text: str) -> bool:
    """Whether the text is `+hh:mm` or `-hh:mm`, at most 14:00."""
    return _OFFSET.fullmatch(text) is not None


def write_time(time_ms: TimeMs) -> str:
    """The instant in UTC with milliseconds, such as `2026-05-04T07:30:00.000Z`. Years 1 to 9999."""
    days, rest = divmod(time_ms, _DAY_MS)
    year, month, day = _civil(days + _DAYS_TO_1970)
    seconds, ms = divmod(rest, 1_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"


def _ms(fraction: str | None) -> int:
    if not fraction:
        return 0
    digits = fraction.ljust(4, "0")
    return int(digits[:3]) + (digits[3] >= "5")


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _is_day(year: int, month: int, day: int) -> bool:
    if year < 1 or not 1 <= month <= 12:
        return False
    return 1 <= day <= _DAYS_IN_MONTH[month - 1] + (month == 2 and _is_leap(year))


def _day_number(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar carried back."""
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400
    days += _DAYS_BEFORE_MONTH[month - 1] + (month > 2 and _is_leap(year)) + day - 1
    return days - _DAYS_TO_1970


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day counted from 0001-01-01."""
    cycles, rest = divmod(days, 146_097)  # days of 400 years
    centuries = min(rest // 36_524, 3)
    rest -= centuries * 36_524
    fours, rest = divmod(rest, 1_461)
    years = min(rest // 365, 3)
    rest -= years * 365
    year = cycles * 400 + centuries * 100 + fours * 4 + years + 1
    month = 12
    while _DAYS_BEFORE_MONTH[month - 1] + (month > 2 and _is_leap(year)) > rest:
        month -= 1
    return year, month, rest - _DAYS_BEFORE_MONTH[month - 1] - (month > 2 and _is_leap(year)) + 1
