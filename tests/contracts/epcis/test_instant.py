from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.instant import is_zone_offset, parse_time, write_time
from ledger.errors import LedgerError
from ledger.types import TimeMs

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.integers(-62_135_400_000_000, 253_402_200_000_000), zones)
def test_it_agrees_with_the_calendar(time_ms: int, zone: timezone) -> None:
    """Any instant of any year in any zone is what the standard library makes of it."""
    moment = (EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone)
    assert parse_time(moment.isoformat()) == time_ms
    assert write_time(TimeMs(time_ms)) == moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_written_times_read_back(time_ms: int) -> None:
    """parse_time(write_time(t)) == t for every millisecond of the years 1 to 9999."""
    assert parse_time(write_time(TimeMs(time_ms))) == time_ms


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01T01:00:00.000+01:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T00:00:00.0005Z", 1),
        ("1970-01-01T00:00:00.0004999Z", 0),
        ("1970-01-01T00:00:00.9996Z", 1000),
        ("1970-01-01T00:00:00.1Z", 100),
        ("2024-02-29T00:00:00-00:00", 1_709_164_800_000),
    ],
)
def test_known_instants(text: str, time_ms: int) -> None:
    """Fractions round half up, also into the next second."""
    assert parse_time(text) == time_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22-07-2026",
        "2026-05-04",
        "2026-05-04T09:30:00",
        "2026-05-04 09:30:00Z",
        "2026-05-04T09:30Z",
        "2026-5-4T09:30:00Z",
        "2026-05-04T09:30:00+0200",
        "2026-05-04T09:30:00+02",
        "2026-05-04T09:30:00.Z",
        "2026-05-04T09:30:00.1234567890123Z",
        "2026-05-04T09:30:00Z ",
        "2026-05-04T09:30:00Z\n",
        "2026-13-04T09:30:00Z",
        "2026-00-04T09:30:00Z",
        "2026-02-29T09:30:00Z",
        "1900-02-29T09:30:00Z",
        "2026-04-31T09:30:00Z",
        "2026-05-00T09:30:00Z",
        "0000-05-04T09:30:00Z",
        "2026-05-04T24:00:00Z",
        "2026-05-04T09:60:00Z",
        "2016-12-31T23:59:60Z",
        "2026-05-04T09:30:00+14:01",
        "2026-05-04T09:30:00+02:60",
        "２０２６-05-04T09:30:00Z",
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """A wrong form, a missing zone, and days and hours that do not exist."""
    with pytest.raises(LedgerError) as caught:
        parse_time(text)
    assert caught.value.code == "epcis.bad_time"


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(Z|[+-][0-9:]{5})"))
def test_no_text_raises_anything_but_a_ledger_error(text: str) -> None:
    """Whatever the text, the answer is an instant or a LedgerError."""
    with suppress(LedgerError):
        parse_time(text)


def test_zone_offsets() -> None:
    """Two digits each, at most 14:00."""
    assert all(map(is_zone_offset, ["+00:00", "-00:00", "+02:00", "-06:30", "+14:00", "-13:59"]))
    assert not any(
        map(is_zone_offset, ["", "Z", "02:00", "+2:00", "+0200", "+14:01", "+15:00", "+01:60", "+01:00\n"])
    )
