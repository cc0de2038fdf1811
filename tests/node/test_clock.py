"""The node's clocks: one goes on, the other may be shifted on a test network."""

from __future__ import annotations

import time

import pytest

from ledger.errors import LedgerError
from node.clock import OFFSET_MS_MAX, SystemClock, clock_offset_ms


def test_the_wall_clock_is_the_machines_and_its_offset() -> None:
    """Milliseconds since 1970, shifted exactly by the offset, never before 1970."""
    before = time.time_ns() // 1_000_000
    plain, later = SystemClock().wall_ms(), SystemClock(3_600_000).wall_ms()
    after = time.time_ns() // 1_000_000
    assert before <= plain <= after
    assert before <= later - 3_600_000 <= after
    assert SystemClock(-(10**15)).wall_ms() == 0


def test_the_other_clock_never_goes_back_and_knows_no_offset() -> None:
    """Timers run by a clock that no setting and no time server can move."""
    clock, shifted = SystemClock(), SystemClock(10**9)
    readings = [clock.monotonic_ms(), shifted.monotonic_ms(), clock.monotonic_ms()]
    assert readings == sorted(readings)
    assert readings[-1] - readings[0] < 10**6


@pytest.mark.parametrize(
    ("setting", "offset"), [("", 0), ("0", 0), ("40000", 40_000), ("-40000", -40_000), ("+5", 5)]
)
def test_offsets_are_read(setting: str, offset: int) -> None:
    """A whole number of milliseconds, with a sign or without."""
    assert clock_offset_ms(setting, is_test_network=True) == offset


@pytest.mark.parametrize(
    "setting", ["x", "1.5", "1e3", " 1", "1\n", "--1", "²", "9" * 30, str(OFFSET_MS_MAX + 1)]
)
def test_wrong_offsets_are_refused(setting: str) -> None:
    """What is no offset is refused, not taken for none."""
    with pytest.raises(LedgerError) as caught:
        clock_offset_ms(setting, is_test_network=True)
    assert caught.value.code == "clock.offset"


def test_a_real_network_has_the_real_time() -> None:
    """On a chain that is no test network the setting is refused; none is none."""
    with pytest.raises(LedgerError) as caught:
        clock_offset_ms("1", is_test_network=False)
    assert caught.value.code == "clock.forbidden"
    assert clock_offset_ms("", is_test_network=False) == 0
