"""Trials of repair: outages that leave everyone with other certificates, and then the wire is whole."""

from __future__ import annotations

from typing import Final

from network.simulator.faults import Cut, Sift
from network.simulator.scripts.course import Course, Stage, apart, course, during
from network.simulator.sieve import Content, Mute

CERTIFICATES: Final = (Content.NOTARIZATION, Content.NULLIFICATION, Content.FINALIZATION)
MINUTE_MS: Final = 60_000


def split_certificates(stage: Stage) -> Course:
    """One node alone hears the votes to notarize, another alone those to nullify; no certificate travels."""
    first, second, *_ = stage.shuffled()
    at_ms, until_ms = 1_500 + stage.random.randint(0, 1_000), 12_000
    return course(
        during(at_ms, until_ms, Sift("lost notarize", Mute((Content.NOTARIZE,), (first,)))),
        during(at_ms, until_ms, Sift("lost nullify", Mute((Content.NULLIFY,), (second,)))),
        during(at_ms, until_ms, Sift("lost certificate", Mute(CERTIFICATES))),
        during(at_ms, until_ms, Sift("lost finalize", Mute((Content.FINALIZE,)))),
    )


def lone_holder(stage: Stage) -> Course:
    """One node alone holds a notarization, is away while the others repair themselves, and comes back."""
    holder, *_ = stage.shuffled()
    at_ms, cut_ms = 1_500 + stage.random.randint(0, 1_000), 4_000
    return course(
        during(at_ms, cut_ms, Sift("lost notarize", Mute((Content.NOTARIZE,), (holder,)))),
        during(at_ms, cut_ms, Sift("lost certificate", Mute(CERTIFICATES))),
        during(cut_ms - 1, 14_000, apart((holder,), stage.others(holder))),
    )


def displaced_certificates(stage: Stage) -> Course:
    """Views go by without a block while one node is away: it comes back to a gap of many pages, of which
    the others show it the last certificate first."""
    away, *_ = stage.shuffled()
    return course(
        during(1_000, 8 * MINUTE_MS, Sift("lost proposals", Mute((Content.PROPOSAL,)))),
        during(2_000, 8 * MINUTE_MS, apart((away,), stage.others(away))),
    )


def idle_lost_finalize(stage: Stage) -> Course:
    """The last votes to finalize are lost, and then nobody has anything to say for a while."""
    lost = (Content.FINALIZE, Content.FINALIZATION)
    return course(
        during(3_000 + stage.random.randint(0, 2_000), 15_000, Sift("lost finalize", Mute(lost))),
        has_rest=True,
    )


def no_quorum(stage: Stage) -> Course:
    """Half an hour in two halves, of which neither has a quorum."""
    places = stage.random.sample(stage.every, stage.places)
    middle = stage.places // 2
    return course(during(1_500, 30 * MINUTE_MS, apart(tuple(places[:middle]), tuple(places[middle:]))))


def hour_of_nothing(stage: Stage) -> Course:
    """An hour in which no proposal arrives: each view is nullified, and the timers grow to their cap."""
    return course(during(1_500, 60 * MINUTE_MS, Sift("lost proposals", Mute((Content.PROPOSAL,)))))


def hour_alone(stage: Stage) -> Course:
    """An hour in which nobody hears anybody."""
    links = tuple((a, b) for a in stage.every for b in stage.others(a))
    return course(during(1_500, 60 * MINUTE_MS, Cut(links)))
