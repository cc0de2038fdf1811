"""Who votes: the set at a height, how each of its validators stands, and who was ever slashed."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from contracts.staking.attendance import attendance
from contracts.staking.records import Offences, offences
from contracts.staking.standing import Standing, standings
from ledger.epoch import epoch_in_force
from ledger.errors import LedgerError
from ledger.types import Height
from ledger.validators import ValidatorSet
from node.api.answers import json_answer
from node.api.context import Api
from node.api.models import (
    OffencesModel,
    StandingModel,
    UnbondingModel,
    ValidatorModel,
    ValidatorsModel,
)
from node.api.parameters import HEIGHT_SCHEMA, Parameter, read_height
from node.api.routes import Answer, Call, Route
from node.api.tokens import Scope

HEIGHT: Final = Parameter(
    "height",
    "query",
    read_height,
    HEIGHT_SCHEMA,
    "The height of the block that is voted on; without it the next.",
)


async def validators(api: Api, call: Call) -> web.StreamResponse:
    """Who votes on the block at a height; on the next one, with how each of them stands."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    height = call.get(HEIGHT)
    if height is None or height == head + 1:
        return json_answer(call, _now(api, head), head)
    return json_answer(call, _then(api, height, head), head)


def _now(api: Api, head: Height) -> ValidatorsModel:
    """The set in force, everybody else on the roll, and the slashed."""
    state = api.service.state()
    voters = api.service.validators(Height(head + 1))
    assert voters is not None, "the set in force is kept"
    listed = [_validator(each) for each in standings(state)]
    return ValidatorsModel(
        height=head + 1,
        epoch=epoch_in_force(state).epoch,
        total_stake=voters.total_stake,
        quorum_stake=voters.quorum_stake,
        certificates=attendance(state).certificates,
        validators=[each for each in listed if each.index is not None],
        others=[each for each in listed if each.index is None],
        slashed=[_offences(each) for each in offences(state)],
    )


def _then(api: Api, height: Height, head: Height) -> ValidatorsModel:
    """The set of a block that is final, as long as it is kept.

    Raises:
        LedgerError: `validators.unknown`.
    """
    voters, record = api.service.validators(height), api.service.block(height)
    if voters is None or record is None:
        message = f"the validators of height {height} are not known here; the last block is {head}"
        raise LedgerError("validators.unknown", message)
    return ValidatorsModel(
        height=height,
        epoch=record.block.header.epoch,
        total_stake=voters.total_stake,
        quorum_stake=voters.quorum_stake,
        validators=_set(voters),
    )


def _set(voters: ValidatorSet) -> list[ValidatorModel]:
    return [
        ValidatorModel(index=index, node=each.node, public_key=each.public_key.hex(), stake=each.stake)
        for index, each in enumerate(voters.validators)
    ]


def _validator(standing: Standing) -> ValidatorModel:
    bond = standing.bond
    return ValidatorModel(
        index=standing.index,
        node=bond.node,
        public_key=bond.public_key.hex(),
        stake=standing.stake,
        standing=StandingModel(
            organisation=bond.organisation,
            status=standing.status,
            next_stake=standing.next_stake,
            bonded=bond.bonded_units,
            leaving=bond.leaving_units,
            unbonding=[
                UnbondingModel(release_epoch=each.release_epoch, units=each.units) for each in bond.unbonding
            ],
            signed=standing.signed,
            absences=bond.absences,
            jailed_until=bond.jailed_until or None,
        ),
    )


def _offences(record: Offences) -> OffencesModel:
    return OffencesModel(
        public_key=record.public_key.hex(),
        node=record.node,
        evidence=record.first_evidence.hex(),
        height=record.first_height,
        burned=record.burned_units,
    )


ROUTES: Final[tuple[Route[Api], ...]] = (
    Route(
        "GET",
        "/v1/validators",
        validators,
        "Who votes on the block at a height",
        (Answer(200, "The set.", ValidatorsModel),),
        parameters=(HEIGHT,),
        errors=(404,),
    ),
)
