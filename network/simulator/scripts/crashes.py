"""Trials of processes: killed at the worst moment, one by one and all together."""

from __future__ import annotations

from network.simulator.faults import ClockJump, Crash, Sift
from network.simulator.node import CrashPoint
from network.simulator.scripts.course import Course, Stage, course, during
from network.simulator.sieve import Content, Mute


def crash_each(stage: Stage) -> Course:
    """Each node in turn is killed under load, where it stands."""
    crashes = []
    for turn, place in enumerate(stage.shuffled()):
        at_ms = 600 + turn * 1_500 + stage.random.randint(0, 400)
        crashes.append(during(at_ms, at_ms + 900, Crash((place,), CrashPoint.NOW)))
    return course(*crashes)


def crash_all(stage: Stage) -> Course:
    """All at once, three times: where they stand, before a sync, after one."""
    points = (CrashPoint.NOW, CrashPoint.BEFORE_SYNC, CrashPoint.AFTER_SYNC)
    crashes = []
    for turn, point in enumerate(points):
        at_ms = 900 + turn * 3_500 + stage.random.randint(0, 300)
        crashes.append(during(at_ms, at_ms + 500, Crash(stage.honest, point)))
    return course(*crashes)


def crash_after_nullify(stage: Stage) -> Course:
    """No proposal arrives, so all nullify; and each dies when its vote is durable and has not left."""
    muted = Sift("lost proposals", Mute((Content.PROPOSAL,)))
    at_ms = 700 + stage.random.randint(0, 500)
    crash = Crash(stage.honest, CrashPoint.AFTER_NULLIFY, patience_ms=6_000)
    return course(during(300, 9_000, muted), during(at_ms, at_ms + 6_500, crash))


def vote_unsent(stage: Stage) -> Course:
    """Each in turn dies when a vote is durable and has not left; at last all of them do."""
    crashes = []
    for turn, place in enumerate(stage.shuffled()):
        at_ms = 500 + turn * 1_800
        crashes.append(during(at_ms, at_ms + 1_600, Crash((place,), CrashPoint.AFTER_VOTE)))
    last_ms = 500 + len(stage.honest) * 1_800
    crashes.append(during(last_ms, last_ms + 2_000, Crash(stage.honest, CrashPoint.AFTER_VOTE)))
    return course(*crashes)


def rolling_restarts(stage: Stage) -> Course:
    """Ten restarts, node after node, each as soon as the one before is back."""
    order = stage.shuffled()
    crashes = []
    for turn in range(10):
        at_ms = 500 + turn * 900
        crashes.append(during(at_ms, at_ms + 600, Crash((order[turn % len(order)],), CrashPoint.NOW)))
    return course(*crashes)


def skewed_clocks(stage: Stage) -> Course:
    """One clock 40 s ahead, another 40 s behind; each jumps when it is set right, one of them backwards."""
    fast, slow, *_ = stage.shuffled()
    return course(
        during(500, 9_000, ClockJump(fast, 40_000)),
        during(1_500, 12_000, ClockJump(slow, -40_000)),
        during(9_500, 11_000, ClockJump(fast, 1_500)),
    )
