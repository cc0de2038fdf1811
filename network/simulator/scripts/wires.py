"""Trials of the wire: who hears whom, how late, and how often."""

from __future__ import annotations

from typing import Final

from network.simulator.faults import Clog, Cut, Flap, Leak, Storm
from network.simulator.scripts.course import NEAR, Course, Link, Stage, apart, course, during
from network.simulator.wire import Weather

# One-way milliseconds between six sites on four continents, of the order that public clouds report: round
# trips of 24 to 300 ms, and 2 ms within a site.
SITES_MS: Final = (
    (1, 12, 45, 102, 82, 148),
    (12, 1, 36, 92, 88, 135),
    (45, 36, 1, 58, 112, 100),
    (102, 92, 58, 1, 150, 150),
    (82, 88, 112, 150, 1, 46),
    (148, 135, 100, 150, 46, 1),
)


def isolate_each(stage: Stage) -> Course:
    """One after the other hears nobody and is heard by nobody, then comes back."""
    incidents = []
    for turn, place in enumerate(stage.shuffled()[:4]):
        at_ms = 500 + turn * 3_000
        incidents.append(during(at_ms, at_ms + 2_500, apart((place,), stage.others(place))))
    return course(*incidents)


def false_pages(stage: Stage) -> Course:
    """Two are away, one after the other, for more views than they may fetch block by block; then a peer that
    lies about blocks is among those they ask."""
    first, second, *_ = stage.shuffled()
    away = ((first, 500, 22_000), (second, 24_000, 46_000))
    return course(*(during(at, until, apart((place,), stage.others(place))) for place, at, until in away))


def halves(stage: Stage) -> Course:
    """Two halves; neither has a quorum where stakes are equal."""
    places = stage.random.sample(stage.every, stage.places)
    middle = stage.places // 2
    return course(during(800, 9_000, apart(tuple(places[:middle]), tuple(places[middle:]))))


def ring(stage: Stage) -> Course:
    """Each hears only its neighbours on a ring: everyone sees a majority, and each another one."""
    order = stage.random.sample(stage.every, stage.places)
    reach = max(1, (stage.places - 1) // 3)
    links: list[Link] = []
    for at, place in enumerate(order):
        near = {order[(at + step) % stage.places] for step in range(-reach, reach + 1)}
        links.extend((place, other) for other in stage.every if other not in near)
    return course(during(500, 12_000, Cut(tuple(links))))


def one_way_loss(stage: Stage) -> Course:
    """Some links lose most of what they carry in one direction and nothing in the other."""
    pairs = [(a, b) for a in stage.every for b in stage.every if a < b]
    chosen = stage.random.sample(pairs, len(pairs) // 2)
    links = tuple((a, b) if stage.random.random() < 0.5 else (b, a) for a, b in chosen)
    return course(during(300, 12_000, Leak(links, 850)))


def flapping(stage: Stage) -> Course:
    """All links of two nodes go up and down, now slower, now faster than a timer."""
    incidents = []
    for place in stage.shuffled()[:2]:
        links = tuple(pair for other in stage.others(place) for pair in ((place, other), (other, place)))
        period_ms = stage.random.choice((150, 400, 1_100))
        incidents.append(during(300, 12_000, Flap(links, period_ms)))
    return course(*incidents)


def rough(stage: Stage) -> Course:
    """Thirty percent of the mail is lost, half of the rest comes twice, and all of it in any order."""
    return course(during(200, 14_000, Storm(Weather(1, 400, loss=300, duplication=500))))


def clogged(stage: Stage) -> Course:
    """What some links should carry comes seconds later, all at once."""
    incidents = []
    for turn, place in enumerate(stage.shuffled()[:3]):
        links = tuple(pair for other in stage.others(place) for pair in ((place, other), (other, place)))
        at_ms = 500 + turn * 3_000
        incidents.append(during(at_ms, at_ms + stage.random.choice((1_500, 4_000)), Clog(links)))
    return course(*incidents)


def wide_area(stage: Stage) -> Course:
    """Sites on four continents, some loss, and a site that is cut off for a while."""
    order = stage.random.sample(range(len(SITES_MS)), len(SITES_MS))
    site = [order[place % len(order)] for place in stage.every]
    distances = tuple(tuple(SITES_MS[site[a]][site[b]] for b in stage.every) for a in stage.every)
    away = stage.random.choice(stage.honest)
    storm = Weather(NEAR.delay_ms_min, NEAR.delay_ms_max, loss=30, duplication=20)
    incidents = (
        during(500, 12_000, Storm(storm)),
        during(4_000, 7_000, apart((away,), stage.others(away))),
    )
    return Course(incidents, 12_200, distances=distances)
