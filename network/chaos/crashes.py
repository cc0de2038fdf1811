"""Processes that end, halt or are stopped: at every fail-point, at random, all at once, in turn."""

from __future__ import annotations

import signal
import time
from functools import partial
from typing import Final

from ledger.errors import LedgerError
from network.chaos.cluster import Start
from network.chaos.scenario import Scenario
from network.chaos.stage import LEADER, OBSERVER, READY_SECONDS, ROLES, VALIDATOR, Stage
from node.failpoints import DESCRIPTIONS, FailPoint

PASSES_MAX: Final = 12  # a fail-point lets at most so many passes go by before it kills
LEADING_TRIES: Final = 6  # it leads 3 of 10 views
RANDOM_KILLS: Final = 8
ROLLING_RESTARTS: Final = 10
CLEAN_STOP_SECONDS: Final = 5.0  # what is promised to an operator
UNREACHED_SECONDS: Final = 3.0
SIGNING: Final = frozenset(
    {FailPoint.BEFORE_SIGNER_RECORD, FailPoint.AFTER_SIGNER_RECORD, FailPoint.AFTER_VOTE_SIGNED}
)


def is_reached(point: FailPoint, role: str) -> bool:
    """Whether a node of this role ever comes by: one without a vote signs nothing."""
    return role != "observer" or point not in SIGNING


def play_failpoint(point: FailPoint, stage: Stage) -> None:
    """Kill a node of each role in turn at one place between two durable steps."""
    for role, name in ROLES.items():
        stage.stop(name)
        if not is_reached(point, role):
            stage.cluster.start(name, Start(failpoint=point.value))
            stage.cluster.wait_answers((name,), READY_SECONDS)
            stage.rest(UNREACHED_SECONDS)
            stage.notes.append(f"{role}: never comes by, and lives")
            stage.restart(name)
            continue
        die_at(stage, point, name, is_leading=role == "leader")
        stage.goes_on()
        stage.start(name)
        stage.catches_up(name)


def die_at(stage: Stage, point: FailPoint, name: str, *, is_leading: bool) -> None:
    """Start a node that dies at a fail-point; who has to lead dies until it does so in a view of its own, not
    for ever. Later each time: while it catches up it passes many a point in views that are long over.

    Raises:
        LedgerError: `chaos.late`, `chaos.exit_code`.
    """
    for attempt in range(1, LEADING_TRIES + 1):
        passes = stage.chance.randint(1, PASSES_MAX * attempt)
        stage.cluster.start(name, Start(failpoint=f"{point.value}:{passes}"))
        stage.ends(name, -signal.SIGKILL)
        leads = any(status["leader"] == name for status in stage.statuses().values())
        stage.hurt(f"{name} killed at pass {passes}{', leading' if leads else ''}")
        if leads or not is_leading:
            return
    stage.notes.append(f"{name} died {LEADING_TRIES} times, and never in a view that it led")


def play_random_kills(stage: Stage) -> None:
    """SIGKILL at moments that nobody chose, one node after the other."""
    for _ in range(RANDOM_KILLS):
        name = stage.chance.choice(stage.cluster.names)
        stage.rest(stage.chance.random())
        stage.kill(name)
        stage.rest(stage.chance.random())
        stage.start(name)
    stage.goes_on()


def play_all_killed(stage: Stage) -> None:
    """Every process dies within a moment, as in a power cut at one provider of all."""
    for name in stage.cluster.names:
        stage.cluster.send_signal(name, signal.SIGKILL)
    for name in stage.cluster.names:
        stage.ends(name, -signal.SIGKILL)
    stage.hurt("killed all")
    stage.start_many(stage.cluster.names)
    stage.goes_on()


def play_quorum_killed(stage: Stage) -> None:
    """Two of four validators die: nothing is final, reads go on; they return, and so does the chain."""
    gone = (LEADER, VALIDATOR)
    for name in gone:
        stage.kill(name)
    stage.stands_still([name for name in stage.cluster.names if name not in gone], stage.seconds)
    stage.start_many(gone)
    stage.goes_on()


def play_paused(stage: Stage) -> None:
    """SIGSTOP, then SIGCONT: a node whose clock jumps, with timers of long ago."""
    for name in (LEADER, OBSERVER):
        stage.signal(name, signal.SIGSTOP)
        try:
            stage.goes_on()
            time.sleep(stage.seconds)
        finally:
            stage.cluster.send_signal(name, signal.SIGCONT)
        stage.catches_up(name)


def play_all_paused(stage: Stage) -> None:
    """All halt at once, as when a host is suspended, and go on together."""
    for name in stage.cluster.names:
        stage.signal(name, signal.SIGSTOP)
    time.sleep(stage.seconds)
    for name in stage.cluster.names:
        stage.cluster.send_signal(name, signal.SIGCONT)
    stage.goes_on()


def play_rolling(stage: Stage) -> None:
    """Restarts one after the other, as an upgrade does them; no more than one node is ever away."""
    for turn in range(ROLLING_RESTARTS):
        name = stage.cluster.names[turn % len(stage.cluster.names)]
        stage.restart(name)
        stage.hurt(f"restarted {name}")
        stage.catches_up(name)
    stage.goes_on()


def play_sigterm(stage: Stage) -> None:
    """SIGTERM under load: closed cleanly, with code 0, within five seconds."""
    for name in (LEADER, OBSERVER):
        began = time.monotonic()
        ended = stage.cluster.stop(name, CLEAN_STOP_SECONDS)
        stage.hurt(f"{name} stopped in {time.monotonic() - began:.1f} s")
        if ended.code != 0:
            raise LedgerError("chaos.exit_code", f"{name} stopped with code {ended.code}, expected 0")
        stage.start(name)


SCENARIOS: Final = (
    *(
        Scenario(
            f"failpoints/{point.value}",
            f"die where {DESCRIPTIONS[point]}: leader, validator, observer in turn",
            partial(play_failpoint, point),
        )
        for point in FailPoint
    ),
    Scenario("crashes/random", f"{RANDOM_KILLS} SIGKILLs at random under load", play_random_kills),
    Scenario("crashes/all", "every process dies at once under load", play_all_killed),
    Scenario("crashes/quorum", "two of four validators die: no blocks, reads go on", play_quorum_killed),
    Scenario("crashes/paused", "SIGSTOP of the leader and the observer while the others go on", play_paused),
    Scenario("crashes/all-paused", "all halt for a while and go on together", play_all_paused),
    Scenario("crashes/rolling", f"{ROLLING_RESTARTS} rolling restarts under load", play_rolling),
    Scenario("crashes/sigterm", "a stop under load is clean and takes less than 5 s", play_sigterm),
)
