"""Validators that sign against the rules (`network.chaos.liar`): punished, out of the set, and never back.

Who was slashed and who was not is read again by the checker, in a state that it has computed itself.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from ledger.errors import LedgerError
from ledger.evidence import Offence
from network.chaos.cluster import Start, until
from network.chaos.scenario import Scenario
from network.chaos.stage import LEADER, RECOVERY_SECONDS, VALIDATOR, Stage
from network.testnet.probe import ask

OTHER_VALIDATOR: Final = "node-3"  # when both have lied, two are left, with 230 units


def play_lie(name: str, offence: Offence, stage: Stage) -> None:
    """A validator lies until it is out of the set; then an honest process has its key."""
    stage.restart(name, Start(lie=offence))
    stage.liars.add(name)
    stage.hurt(f"{name} lies: {offence.value}")
    stage.goes_on()
    until(partial(_is_named, stage, name, offence), RECOVERY_SECONDS, f"nobody holds evidence against {name}")
    until(partial(_is_out, stage, name), RECOVERY_SECONDS, f"{name} was not slashed and out of the set")
    stage.goes_on()
    stage.restart(name)
    stage.catches_up(name)
    stage.rest(stage.seconds)
    if stage.statuses((name,))[name]["is_voting"]:
        raise LedgerError("chaos.votes", f"{name} was slashed, and votes")


def _is_named(stage: Stage, name: str, offence: Offence) -> bool:
    """Whether an honest node holds evidence of this offence."""
    held = _asked(stage, "/v1/evidence?limit=100").get("evidence", [])
    return any((each["node"], each["offence"]) == (name, offence.value) for each in held)


def _is_out(stage: Stage, name: str) -> bool:
    """Whether a node was slashed, and has no weight any more."""
    said = _asked(stage, "/v1/validators")
    slashed = {each["node"] for each in said.get("slashed", [])}
    return name in slashed and name not in {each["node"] for each in said["validators"]}


def _asked(stage: Stage, path: str) -> dict[str, Any]:
    """What an honest node answers; nothing where it is too busy."""
    stage.cluster.check_alive()
    said = ask(f"http://{stage.cluster.nodes[LEADER].api}", path)
    return said[1] if said is not None and said[0] == 200 else {}


SCENARIOS: Final = (
    Scenario(
        "lies/finalizes",
        "a validator finalizes two blocks in one view: out for good, blocks go on",
        partial(play_lie, VALIDATOR, Offence.TWO_FINALIZE_VOTES),
    ),
    Scenario(
        "lies/proposes",
        "just below a third of what is left proposes two blocks in one view: the same",
        partial(play_lie, OTHER_VALIDATOR, Offence.TWO_PROPOSALS),
    ),
)
