"""The shapes of answers about ballots, seats, parameters, and what a change would lead to."""

from __future__ import annotations

from typing import Any

from contracts.governance.ballots import BallotStatus
from node.api.models import Count, Hash, Model


class BallotModel(Model):
    """One change, and who said what. Times are block times, in milliseconds.

    `change` has a `type` and that type's fields. `needed` is how many of `seats` must say yes in all;
    `settled_height` is null while the ballot is open; `code` and `pointer` say why a carried change `failed`.
    """

    number: Count
    proposer: str
    reason: str
    change: dict[str, Any]
    status: BallotStatus
    yes: list[str]
    no: list[str]
    seats: Count
    needed: Count
    opened_height: Count
    closes_ms: Count
    settled_height: Count | None
    code: str
    pointer: str


class BallotPage(Model):
    """Ballots from the newest down. `next` is the path of the next page, or null on the last."""

    ballots: list[BallotModel]
    next: str | None


class SeatsModel(Model):
    """The organisations that decide in this epoch, `needed` of them together; `next` after the turn."""

    seats: list[str]
    needed: Count
    next: list[str]


class ParametersModel(Model):
    """The parameters of the next block, and those after the turn where others were chosen."""

    epoch: Count
    parameters: dict[str, Any]
    next: dict[str, Any] | None


class HolderModel(Model):
    """The stake of one organisation."""

    organisation: str
    stake: Count


class PresenceModel(Model):
    """One validator as this node knows it. `signed` counts those `certificates` of this epoch that it signed.

    `is_up`: it is connected, and signs as much as the chain wants.
    """

    node: str
    public_key: Hash
    organisation: str
    is_up: bool
    is_connected: bool
    certificates: Count
    signed: Count
    jailed_until: Count | None


class WeightModel(Model):
    """The weight of one validator in one set."""

    node: str
    public_key: Hash
    stake: Count


class StageModel(Model):
    """The set after so many turns; 0: the one in force.

    `up_stake` is held by validators that are known to be up. `failures` may fail at once, whichever they
    are; without each of `needed` there is no quorum. `organisations`: the largest first.
    """

    turns: Count
    total_stake: Count
    quorum_stake: Count
    up_stake: Count
    failures: Count
    needed: list[str]
    validators: list[WeightModel]
    organisations: list[HolderModel]


class DangerModel(Model):
    """What speaks against the change, and after how many turns it comes first."""

    code: str
    message: str
    turns: Count
    is_warning: bool


class PreviewModel(Model):
    """What the coming turns lead to, if the change were decided now and nobody were absent.

    `is_complete` false: the sets go on changing after the last one shown.
    """

    change: dict[str, Any] | None
    is_complete: bool
    stages: list[StageModel]
    validators: list[PresenceModel]
    dangers: list[DangerModel]
