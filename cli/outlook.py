"""What a change would make of the validators, in words; and the refusal of one that would stop the chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.governance_answers import Danger, Presence, Preview, Stage
from cli.wording import counted

if TYPE_CHECKING:
    from cli.output import Output
    from cli.session import Session
    from contracts.governance.changes import Change

ADVICE: Final = {
    "outlook.no_quorum": "start what is down, or take a smaller step; --force goes on all the same",
    "outlook.frozen": "keep at least four units in the set; --force goes on all the same",
    "outlook.one_third": "take fewer units, or give others more first; --force goes on all the same",
}


def preview_of(session: Session, change: Change | None) -> Preview:
    """What the coming turns lead to.

    Raises:
        Refused: what refuses the change itself.
    """
    from ledger.codec import encode

    query = "" if change is None else f"?change={encode(change).hex()}"
    return session.client.get(f"/v1/validators/preview{query}", Preview)


def check_outlook(session: Session, change: Change, *, is_forced: bool) -> None:
    """Say what would become of the set, and refuse what would stop the chain.

    Raises:
        Failure: `outlook.no_quorum`, `outlook.one_third`, `outlook.frozen`, unless it is forced.
            Refused, as `preview_of`.
    """
    found = preview_of(session, change)
    for line in summary(found):
        session.output.note(line)
    check_dangers(session, found, is_forced=is_forced)


def check_dangers(session: Session, found: Preview, *, is_forced: bool) -> None:
    """Tell every warning, and refuse the first danger that is more than one.

    Raises:
        Failure: as `check_outlook`.
    """
    for danger in found.dangers:
        if danger.is_warning or is_forced:
            session.output.note(f"warning: {_when(danger)}{danger.message}  [{danger.code}]")
            continue
        raise Failure(
            danger.code,
            f"{_when(danger)}{danger.message}",
            advice=ADVICE.get(danger.code, "--force goes on all the same"),
            exit_code=ExitCode.REJECTED,
        )


def summary(found: Preview) -> list[str]:
    """One line for the set in force and each that is shown, and one for who is not up."""
    lines = [f"{_stage_name(stage):<8}  {stage_words(stage)}" for stage in shown_stages(found)]
    if len(found.stages) == 1:
        lines.append("the set stays as it is")
    if not found.is_complete:
        lines.append(f"and further changes after turn {found.stages[-1].turns}")
    away = [f"{each.node} ({why_not_up(each)})" for each in found.validators if not each.is_up]
    if away:
        lines.append(f"not known to be up: {', '.join(away)}")
    return lines


def text(output: Output, found: Preview) -> str:
    """The whole preview for people."""
    stages = shown_stages(found)
    headings = ("validator", "organisation", *(_stage_name(stage) for stage in stages), "up")
    weights = [{each.public_key: each.stake for each in stage.validators} for stage in stages]
    rows = [
        (
            each.node,
            each.organisation,
            *(weight.get(each.public_key, 0) for weight in weights),
            "yes" if each.is_up else f"no: {why_not_up(each)}",
        )
        for each in found.validators
    ]
    return "\n".join((*summary(found), "", output.table(headings, rows)))


def shown_stages(found: Preview) -> Sequence[Stage]:
    """The set in force, the next one, and the last: what lies between changes step by step."""
    stages = found.stages
    return stages if len(stages) <= 3 else (stages[0], stages[1], stages[-1])


def stage_words(stage: Stage) -> str:
    """A set in words: how much stake, what the quorum is, who may fail."""
    size = len(stage.validators)
    if stage.failures:
        fail = f"any {stage.failures} may fail"
    elif len(stage.needed) == size:
        fail = "none may fail: all must be up"
    else:
        fail = f"no block is final without {', '.join(stage.needed)}"
    return (
        f"{counted(size, 'validator')} with {stage.total_stake} units, a quorum is {stage.quorum_stake}; "
        f"{fail}; {stage.up_stake} units are up"
    )


def why_not_up(presence: Presence) -> str:
    """Why a validator is not known to be up."""
    if presence.jailed_until is not None:
        return f"jailed until epoch {presence.jailed_until}"
    if not presence.is_connected:
        return "not connected"
    return f"signed {presence.signed} of {presence.certificates}"


def _stage_name(stage: Stage) -> str:
    return f"turn {stage.turns}" if stage.turns else "now"


def _when(danger: Danger) -> str:
    return f"after {counted(danger.turns, 'turn')} of the epoch " if danger.turns else ""
