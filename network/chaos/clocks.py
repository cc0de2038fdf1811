"""One validator whose wall clock is wrong, by seconds or an hour, or jumps from one start to the next."""

from __future__ import annotations

from functools import partial
from typing import Final

from network.chaos.cluster import Start
from network.chaos.scenario import Scenario
from network.chaos.stage import LEADER, VALIDATOR, Stage

SECOND_MS: Final = 1000
OFFSETS: Final = {
    "ahead": 40 * SECOND_MS,
    "behind": -40 * SECOND_MS,
    "hour-ahead": 3600 * SECOND_MS,
    "hour-behind": -3600 * SECOND_MS,
}
JUMPS: Final = (40 * SECOND_MS, -40 * SECOND_MS, 3600 * SECOND_MS, -3600 * SECOND_MS)


def play_offset(offset_ms: int, stage: Stage) -> None:
    """The leader's clock is wrong: its blocks, or the others' for it, are not timely; blocks go on."""
    stage.restart(LEADER, Start(clock_offset_ms=offset_ms))
    stage.hurt(f"{LEADER} {offset_ms / SECOND_MS:+.0f} s")
    stage.goes_on()
    stage.rest(stage.seconds)
    stage.catches_up(LEADER)
    stage.restart(LEADER)


def play_jumps(stage: Stage) -> None:
    """A clock that is elsewhere at each start, forwards and backwards."""
    for offset_ms in JUMPS:
        stage.restart(VALIDATOR, Start(clock_offset_ms=offset_ms))
        stage.hurt(f"{VALIDATOR} {offset_ms / SECOND_MS:+.0f} s")
        stage.goes_on()
        stage.catches_up(VALIDATOR)
    stage.restart(VALIDATOR)


SCENARIOS: Final = (
    *(
        Scenario(
            f"clocks/{name}",
            f"the leader's clock is {offset / SECOND_MS:+.0f} s off: blocks go on",
            partial(play_offset, offset),
        )
        for name, offset in OFFSETS.items()
    ),
    Scenario("clocks/jumps", "a validator's clock jumps with each start: blocks go on", play_jumps),
)
