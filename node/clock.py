"""The node's two clocks: the wall clock, for block times, and a clock that only goes forward, for timers.

Everything that asks for the time asks a `Clock`. `FARMGATE_CLOCK_OFFSET_MS` shifts the wall clock, on a
chain whose genesis says that it is a test network.
"""

from __future__ import annotations

import re
import time
from typing import Final, Protocol

from ledger.errors import LedgerError
from ledger.types import TimeMs

VARIABLE: Final = "FARMGATE_CLOCK_OFFSET_MS"
OFFSET_MS_MAX: Final = 10 * 365 * 86_400_000  # ten years: what a test wants, and no overflow anywhere


class Clock(Protocol):
    """Time, in integer milliseconds."""

    def wall_ms(self) -> TimeMs:
        """Milliseconds since 1970-01-01T00:00:00Z. May jump, backwards too."""

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment. Never goes back."""


class SystemClock:
    """This machine's clocks, the wall clock shifted by `offset_ms`."""

    def __init__(self, offset_ms: int = 0) -> None:
        self._offset_ms = offset_ms

    def wall_ms(self) -> TimeMs:
        """Milliseconds since 1970-01-01T00:00:00Z, never before that moment."""
        return TimeMs(max(0, time.time_ns() // 1_000_000 + self._offset_ms))

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment."""
        return time.monotonic_ns() // 1_000_000


def clock_offset_ms(setting: str, *, is_test_network: bool) -> int:
    """The offset that the environment asks for; none where the setting is empty.

    Raises:
        LedgerError: `clock.forbidden` (not a test network), `clock.offset`.
    """
    if not setting:
        return 0
    if not is_test_network:
        raise LedgerError(
            "clock.forbidden", f"{VARIABLE} is set, and this chain's genesis is no test network's"
        )
    if not re.fullmatch(r"[+-]?[0-9]{1,15}", setting, re.ASCII) or abs(int(setting)) > OFFSET_MS_MAX:
        raise LedgerError(
            "clock.offset",
            f"{setting!r} is no number of milliseconds from -{OFFSET_MS_MAX} to {OFFSET_MS_MAX}",
        )
    return int(setting)
