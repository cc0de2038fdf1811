"""Trials of disks: writes that tear, vanish or fail, and disks that are not the ones that were written."""

from __future__ import annotations

from typing import Final

from network.simulator.faults import BadDisk, Crash, DiskTrouble, Origin, Sift, Swap
from network.simulator.node import CrashPoint
from network.simulator.scripts.course import Course, Stage, course, during
from network.simulator.sieve import CERTIFICATES, VOTES, Content, Mute

NEWS: Final = (Content.PROPOSAL, Content.BODY, Content.CHAIN, *VOTES.values(), *CERTIFICATES.values())


def _at_each(stage: Stage, point: CrashPoint) -> Course:
    crashes = []
    for turn, place in enumerate(stage.shuffled() * 2):
        at_ms = 400 + turn * 1_700
        crashes.append(during(at_ms, at_ms + 1_600, Crash((place,), point)))
    return course(*crashes)


def torn_writes(stage: Stage) -> Course:
    """Each node in turn, twice, loses power in the middle of a write to its log."""
    return _at_each(stage, CrashPoint.TORN)


def lost_writes(stage: Stage) -> Course:
    """Each node in turn, twice, loses all of what it was writing."""
    return _at_each(stage, CrashPoint.LOST)


def failed_writes(stage: Stage) -> Course:
    """One write of each node in turn is refused: it stops there, and goes on when it is started again."""
    order = stage.shuffled()
    spans = [(400 + turn * 2_500, place) for turn, place in enumerate(order)]
    troubles = [during(at, at + 2_300, BadDisk(place, DiskTrouble.FAILING)) for at, place in spans]
    return course(*troubles)


def full_disk(stage: Stage) -> Course:
    """One disk is full for a while: the node stops as often as it is started; the others go on."""
    place = stage.random.choice(stage.honest)
    return course(during(700, 10_000, BadDisk(place, DiskTrouble.FULL)))


def corrupt_log(stage: Stage) -> Course:
    """A log is unreadable: no start. The operator puts it away, and the node starts in quarantine."""
    place = stage.random.choice(stage.honest)
    return course(during(3_000, 7_000, BadDisk(place, DiskTrouble.CORRUPT)))


def _swap(stage: Stage, origin: Origin) -> Course:
    """The node starts with the other disk while no vote, certificate or proposal reaches it: only where the
    others stand and what clients want, so that it has every reason to sign again where it stood."""
    place, donor, *_ = stage.shuffled()
    at_ms = stage.random.randint(400, 4_000)
    back_ms = at_ms + stage.random.choice((900, 4_000))
    lost = Sift("lost news", Mute(NEWS, stage.others(place)))
    return course(
        during(at_ms, back_ms, Swap(place, origin, donor)),
        during(back_ms - 1, back_ms + stage.random.choice((1, 6_000)), lost),
        tail_ms=4_000,
    )


def older_disk(stage: Stage) -> Course:
    """A node is restored from a copy of its home, on another host or in place, or of its log alone, that
    lacks what it signed since."""
    return _swap(stage, stage.random.choice((Origin.OLDER_HOME, Origin.OLDER_IN_PLACE, Origin.OLDER_LOG)))


def other_disk(stage: Stage) -> Course:
    """A node is started with a copy of another node's disk."""
    return _swap(stage, Origin.OTHER_NODE)
