"""What a change would lead to: the sets of the coming turns, and whether the chain would go on. Reads only.

Nobody can know who will be up tomorrow. What can be said is whether those that are known to be up now would
make a quorum of every set on the way, and whether one organisation could stop the chain alone.

Source: docs/spec/governance.md, rules G19-G21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final

from contracts.governance.changes import Change, check_change
from contracts.staking.records import bonds
from contracts.staking.turn import wishes
from contracts.staking.weights import budget_units, next_set
from ledger.epoch import validators_in_force
from ledger.state import Overlay, StateView
from ledger.types import ChainId
from ledger.validators import Validator, ValidatorSet

TURNS_MAX: Final = 48  # looked ahead: by thirds, a stake grows a million times in so many


@dataclass(frozen=True)
class Stage:
    """The set of one epoch: the one in force, or that of a turn to come.

    Args:
        turns: how many turns from now; 0: the set in force.
        owners: the organisation of each validator's key.
    """

    turns: int
    validators: ValidatorSet
    owners: Mapping[bytes, str]

    def stake_of(self, keys: Set[bytes]) -> int:
        """The stake of the validators with these keys."""
        return sum(each.stake for each in self.validators.validators if each.public_key in keys)

    @cached_property
    def spare_stake(self) -> int:
        """How much stake may be missing from a quorum."""
        return self.validators.total_stake - self.validators.quorum_stake

    @cached_property
    def failures(self) -> int:
        """How many validators may fail at once, whichever they are: the largest count first."""
        stakes = sorted((each.stake for each in self.validators.validators), reverse=True)
        return sum(missing <= self.spare_stake for missing in accumulate(stakes))

    @cached_property
    def needed(self) -> tuple[Validator, ...]:
        """The validators without each of which there is no quorum."""
        return tuple(each for each in self.validators.validators if each.stake > self.spare_stake)

    @cached_property
    def holders(self) -> tuple[tuple[str, int], ...]:
        """The stake of each organisation, the largest first."""
        held: dict[str, int] = {}
        for each in self.validators.validators:
            owner = self.owners[each.public_key]
            held[owner] = held.get(owner, 0) + each.stake
        return tuple(sorted(held.items(), key=lambda holder: (-holder[1], holder[0])))


@dataclass(frozen=True, slots=True)
class Outlook:
    """The set in force, and each that follows until nothing changes any more or `TURNS_MAX` is reached."""

    stages: tuple[Stage, ...]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Danger:
    """Why a change should not be made, or (`is_warning`) be thought about, first after so many turns."""

    code: str
    message: str
    turns: int
    is_warning: bool


def outlook(state: StateView, chain_id: ChainId, change: Change | None) -> Outlook:
    """What the next turns lead to if `change` (None: nothing) were decided now, and nobody were absent.

    Raises:
        LedgerError: what refuses the change.
    """
    after = Overlay(state)
    if change is not None:
        check_change(change, chain_id, after)
    owners = {bond.public_key: bond.organisation for bond in bonds(after)}
    stages = [Stage(0, validators_in_force(state), owners)]
    for turns in range(1, TURNS_MAX + 1):
        current = stages[-1].validators
        following = next_set(current, wishes(after, current))
        if following == current:
            return Outlook(tuple(stages), is_complete=True)
        stages.append(Stage(turns, following, owners))
    return Outlook(tuple(stages), is_complete=False)


def dangers(found: Outlook, up: Set[bytes]) -> tuple[Danger, ...]:
    """What speaks against a change, each once, where it first comes.

    Args:
        up: the keys of the validators that are known to be up.
    """
    now, coming = found.stages[0], found.stages[1:]
    kinds = (_no_quorum(coming, up), _one_third(now, coming), _frozen(found), _no_failure(now, coming))
    return tuple(danger for kind in kinds if (danger := next(kind, None)) is not None)


def _no_quorum(coming: tuple[Stage, ...], up: Set[bytes]) -> Iterator[Danger]:
    """Those that are up would not make a quorum: the chain would stand still."""
    for stage in coming:
        stake, wanted = stage.stake_of(up), stage.validators.quorum_stake
        if stake < wanted:
            missing = ", ".join(
                each.node for each in stage.validators.validators if each.public_key not in up
            )
            total = stage.validators.total_stake
            message = (
                f"the validators that are known to be up would hold {stake} of {total} units, and a quorum "
                f"is {wanted}; not known to be up: {missing}"
            )
            yield Danger("outlook.no_quorum", message, stage.turns, is_warning=False)


def _one_third(now: Stage, coming: tuple[Stage, ...]) -> Iterator[Danger]:
    """One organisation could stop the chain alone; a warning where it is no worse than it is already."""
    _, largest_now = now.holders[0]
    for stage in coming:
        holder, held = stage.holders[0]
        total = stage.validators.total_stake
        if stage.validators.is_blocking(held):
            is_worse = held * now.validators.total_stake > largest_now * total
            message = f"{holder} alone would hold {held} of {total} units: without it no block is final"
            yield Danger("outlook.one_third", message, stage.turns, is_warning=not is_worse)


def _frozen(found: Outlook) -> Iterator[Danger]:
    """So few units that no turn could move one: nobody could ever be added, removed or slashed out.

    A warning where it is so already: then the change itself would come to nothing.
    """
    is_old = budget_units(found.stages[0].validators) == 0
    for stage in found.stages[-1:] if is_old else found.stages[1:]:
        if budget_units(stage.validators) == 0:
            message = (
                f"of {stage.validators.total_stake} units none can move at a turn: the set stays for ever"
            )
            yield Danger("outlook.frozen", message, stage.turns, is_warning=is_old)


def _no_failure(now: Stage, coming: tuple[Stage, ...]) -> Iterator[Danger]:
    """No validator may fail any more, where one may now."""
    for stage in coming:
        if now.failures and not stage.failures:
            names = ", ".join(each.node for each in stage.needed)
            message = f"no block would be final without {names}"
            yield Danger("outlook.no_failure", message, stage.turns, is_warning=True)
