"""What running processes use, from /proc: processor time, memory, and the size of their homes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system seconds of these processes since they began; one that ended counts nothing."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def peak_rss_mb(pids: Sequence[int]) -> float:
    """The largest resident set that any of them has had, in MiB."""
    peaks = [0]
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        peaks += [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    return round(max(peaks) / 1024, 1)


def disk_bytes(folders: Sequence[Path]) -> int:
    """The sum of the file sizes below these folders; a file that goes away meanwhile counts nothing."""
    total = 0
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in names:
                try:
                    total += (Path(path) / name).stat().st_size
                except FileNotFoundError:
                    continue
    return total
