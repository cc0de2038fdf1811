"""What a node answers about ballots, seats, parameters and validators, as far as commands read it."""

from __future__ import annotations

from typing import Any

from cli.answers import Answer


class Ballot(Answer, frozen=True):
    """GET /v1/ballots/{number}"""

    number: int
    proposer: str
    reason: str
    change: dict[str, Any]
    status: str
    yes: tuple[str, ...]
    no: tuple[str, ...]
    seats: int
    needed: int
    opened_height: int
    closes_ms: int
    settled_height: int | None
    code: str
    pointer: str


class BallotPage(Answer, frozen=True):
    """GET /v1/ballots"""

    ballots: tuple[Ballot, ...]
    next: str | None


class Seats(Answer, frozen=True):
    """GET /v1/seats"""

    seats: tuple[str, ...]
    needed: int
    next: tuple[str, ...]


class ParametersAnswer(Answer, frozen=True):
    """GET /v1/parameters"""

    epoch: int
    parameters: dict[str, Any]
    next: dict[str, Any] | None


class Unbonding(Answer, frozen=True):
    """Units on their way back to an organisation."""

    release_epoch: int
    units: int


class Standing(Answer, frozen=True):
    """How a validator stands now."""

    organisation: str
    status: str
    next_stake: int
    bonded: int
    leaving: int
    unbonding: tuple[Unbonding, ...]
    signed: int
    absences: int
    jailed_until: int | None = None


class Validator(Answer, frozen=True):
    """A key with stake; `index` is its place in the set."""

    index: int | None
    node: str
    public_key: str
    stake: int
    standing: Standing


class Offences(Answer, frozen=True):
    """A key that was slashed."""

    public_key: str
    node: str
    evidence: str
    height: int
    burned: int


class ValidatorsAnswer(Answer, frozen=True):
    """GET /v1/validators, of the next block"""

    height: int
    epoch: int
    total_stake: int
    quorum_stake: int
    certificates: int
    validators: tuple[Validator, ...]
    others: tuple[Validator, ...]
    slashed: tuple[Offences, ...]


class Weight(Answer, frozen=True):
    """The weight of a validator in one set."""

    node: str
    public_key: str
    stake: int


class Holder(Answer, frozen=True):
    """The stake of an organisation."""

    organisation: str
    stake: int


class Stage(Answer, frozen=True):
    """The set after so many turns."""

    turns: int
    total_stake: int
    quorum_stake: int
    up_stake: int
    failures: int
    needed: tuple[str, ...]
    validators: tuple[Weight, ...]
    organisations: tuple[Holder, ...]


class Presence(Answer, frozen=True):
    """How present a validator is, as the node that was asked knows it."""

    node: str
    public_key: str
    organisation: str
    is_up: bool
    is_connected: bool
    certificates: int
    signed: int
    jailed_until: int | None


class Danger(Answer, frozen=True):
    """What speaks against a change."""

    code: str
    message: str
    turns: int
    is_warning: bool


class Preview(Answer, frozen=True):
    """GET /v1/validators/preview"""

    change: dict[str, Any] | None
    is_complete: bool
    stages: tuple[Stage, ...]
    validators: tuple[Presence, ...]
    dangers: tuple[Danger, ...]
