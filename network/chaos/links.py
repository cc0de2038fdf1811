"""Networks that break: parts that do not hear each other, for good or in turns; loss; narrow links."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from network.chaos.sandbox import Need
from network.chaos.scenario import Scenario
from network.chaos.stage import LEADER, OBSERVER, VALIDATOR, Stage
from network.chaos.wire import part

LOSS_PERMILLE: Final = 300
SLOW_KILOBITS: Final = 256
FLAPS: Final = 6
FLAP_SECONDS: Final = 1.5


def play_halves(stage: Stage) -> None:
    """Two and two: neither half has a quorum, nothing becomes final; healed, one chain goes on."""
    first, second, third, fourth, *others = stage.cluster.names
    part(stage.wire, ((first, second, *others), (third, fourth)))
    stage.hurt("two and two")
    stage.stands_still(stage.cluster.names, stage.seconds)
    stage.mend_links()
    stage.goes_on()


def play_minority(stage: Stage) -> None:
    """One alone: the others go on, it stands still and answers reads, then it catches up."""
    others = [name for name in stage.cluster.names if name != VALIDATOR]
    part(stage.wire, (others, (VALIDATOR,)))
    stage.hurt(f"{VALIDATOR} alone")
    stage.stands_still((VALIDATOR,), stage.seconds)
    stage.goes_on()
    stage.mend_links()
    stage.catches_up(VALIDATOR)


def play_leader_alone(stage: Stage) -> None:
    """The validator with the most stake alone: the others go on without it."""
    others = [name for name in stage.cluster.names if name != LEADER]
    part(stage.wire, (others, (LEADER,)))
    stage.hurt(f"{LEADER} alone")
    stage.goes_on()
    stage.rest(stage.seconds)
    stage.mend_links()
    stage.catches_up(LEADER)


def play_one_way(stage: Stage) -> None:
    """One hears the others and is not heard; then it is heard and hears nothing."""
    others = [name for name in stage.cluster.names if name != LEADER]
    for mute in (True, False):
        for other in others:
            stage.wire.cut(*((LEADER, other) if mute else (other, LEADER)))
        stage.hurt(f"{LEADER} {'is not heard' if mute else 'hears nothing'}")
        stage.goes_on()
        stage.rest(stage.seconds / 2)
        stage.mend_links()
        stage.catches_up(LEADER)


def play_ring(stage: Stage) -> None:
    """Each validator reaches two of the other three: no two see the same network."""
    first, second, third, fourth = stage.validators
    part(stage.wire, ((first,), (third,)))
    part(stage.wire, ((second,), (fourth,)))
    stage.hurt("a ring")
    stage.goes_on()
    stage.rest(stage.seconds)
    stage.mend_links()


def play_flapping(stage: Stage) -> None:
    """Links that come and go, now of one validator, now of another."""
    for turn in range(FLAPS):
        name = stage.validators[turn % len(stage.validators)]
        part(stage.wire, ([each for each in stage.cluster.names if each != name], (name,)))
        stage.hurt(f"{name} away")
        stage.rest(FLAP_SECONDS)
        stage.mend_links()
        stage.rest(FLAP_SECONDS * stage.chance.random())
    stage.goes_on()


def play_loss(stage: Stage) -> None:
    """A third of all packets lost, everywhere: slower, and it goes on."""
    stage.wire.lose(stage.cluster.names, LOSS_PERMILLE)
    stage.hurt(f"{LOSS_PERMILLE // 10} % lost")
    stage.goes_on()
    stage.rest(stage.seconds)
    stage.mend_links()


def play_slow(stage: Stage) -> None:
    """One validator and the observer behind narrow links: the others are not held up."""
    for name in (VALIDATOR, OBSERVER):
        stage.wire.slow(name, SLOW_KILOBITS)
        stage.hurt(f"{name} at {SLOW_KILOBITS} kbit/s")
    stage.goes_on()
    stage.rest(stage.seconds)
    stage.mend_links()


_BY_THE_WIRE: Final = (
    Scenario("links/halves", "two and two: no blocks while it lasts, one chain after", play_halves),
    Scenario("links/minority", "one validator alone: the others go on, it catches up", play_minority),
    Scenario("links/leader", "the validator with the most stake alone: the others go on", play_leader_alone),
    Scenario("links/one-way", "a leader that is not heard, then one that hears nothing", play_one_way),
    Scenario("links/ring", "each validator reaches two of three: blocks go on", play_ring),
    Scenario("links/flapping", f"{FLAPS} times a validator's links go and come", play_flapping),
    Scenario("links/loss", f"{LOSS_PERMILLE // 10} % loss on every link: blocks go on", play_loss),
    Scenario("links/slow", f"a validator and an observer behind {SLOW_KILOBITS} kbit/s", play_slow),
)

# What a machine without namespaces plays is played everywhere: else nobody would know that it works.
_BY_RELAYS: Final = tuple(
    replace(
        each,
        name=each.name.replace("links/", "relays/"),
        summary=f"by relays: {each.summary}",
        needs=(Need.KERNEL_LINKS,),
        is_by_relays=True,
    )
    for each in _BY_THE_WIRE
)

SCENARIOS: Final = (*_BY_THE_WIRE, *_BY_RELAYS)
