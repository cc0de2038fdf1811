"""What goes wrong around whole nodes, in the words of a log: whom an incident hits, what it is, and for how
long."""

from __future__ import annotations

from typing import Final, assert_never

from network.simulator.whole.incidents import (
    BadDisk,
    Crash,
    Cut,
    DataLoss,
    Flap,
    Incident,
    SlowDisk,
    What,
    Worse,
    WrongClock,
    WrongData,
)
from network.simulator.whole.wire import Link, Quality

LINKS_SHOWN_MAX: Final = 12  # those of one site among seven; the rest are counted


def place_of(what: What) -> int | None:
    """The one site that an incident hits, if it is one."""
    match what:
        case SlowDisk(site) | BadDisk(site) | WrongClock(site) | WrongData(site) | Crash(sites=(site,)):
            return site
        case _:
            return None


def said(incident: Incident) -> str:
    """An incident that begins."""
    return f"incident until {incident.until_ms / 1000:.3f}: {_what(incident.what)}"


def _what(what: What) -> str:
    match what:
        case Cut(links, shape):
            return f"cut {shape}, {_links(links)}"
        case Worse(links, quality):
            return f"{_quality(quality)}, {_links(links)}"
        case Flap(links, every_ms):
            return f"connections reset every {every_ms} ms, {_links(links)}"
        case Crash(sites, death, point, passes):
            where = "" if point is None else f" at pass {passes} of {point.value}"
            return f"{death.value}{where}, {', '.join(f'n{each}' for each in sites)}"
        case SlowDisk(sync_ms_max=sync_ms_max):
            return f"slow disk, up to {sync_ms_max} ms a sync"
        case BadDisk(trouble=trouble, place=place):
            return f"{trouble.value}, {place.name.lower()}"
        case WrongClock(ahead_ms=ahead_ms, drift_ppm=drift_ppm):
            return f"clock {ahead_ms:+d} ms, drift {drift_ppm:+d} ppm"
        case WrongData(loss=loss, other=other):
            return f"{loss.value} of n{other}" if loss is DataLoss.FOREIGN else loss.value
        case _:
            assert_never(what)


def _quality(quality: Quality) -> str:
    return (
        f"{quality.delay_ms_min:g} to {quality.delay_ms_max:g} ms, {quality.loss} in 1000 lost, "
        f"{quality.bytes_per_second} bytes a second"
    )


def _links(links: tuple[Link, ...]) -> str:
    shown = " ".join(f"{sender}>{receiver}" for sender, receiver in links[:LINKS_SHOWN_MAX])
    more = len(links) - LINKS_SHOWN_MAX
    return shown + (f" and {more} more" if more > 0 else "")
