"""How the members decide, to its readers: ballots, seats, parameters, and what a change would lead to."""

from __future__ import annotations

from typing import Final, cast

from aiohttp import web

from contracts.governance.ballots import Ballot, ballot_count, ballot_numbered, ballots, status_at
from contracts.governance.changes import CHANGE_BYTES_MAX, Change
from contracts.governance.outlook import Danger, Outlook, Stage, dangers, outlook
from contracts.governance.seats import next_seats, seats
from contracts.staking.records import BONDS, NEXT_PARAMETERS
from ledger.codec import decode
from ledger.epoch import epoch_in_force, parameters_in_force
from ledger.errors import LedgerError
from ledger.readable import to_readable
from ledger.state import StateView
from ledger.types import HEIGHT_MAX
from node.api.answers import check_at, json_answer
from node.api.context import Api
from node.api.governance_models import (
    BallotModel,
    BallotPage,
    DangerModel,
    HolderModel,
    ParametersModel,
    PresenceModel,
    PreviewModel,
    SeatsModel,
    StageModel,
    WeightModel,
)
from node.api.parameters import AT, LIMIT, PAGE_DEFAULT, Parameter, whole_number
from node.api.routes import Answer, Call, Route
from node.api.tokens import Scope
from node.presence import Presence, presences


def read_change(text: str) -> Change:
    """A change in its canonical bytes, as lower-case hex."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if not data or data.hex() != text:
        raise ValueError("expected the canonical bytes of a change as lower-case hexadecimal digits")
    try:
        return cast(Change, decode(data, Change, CHANGE_BYTES_MAX))  # type: ignore[arg-type]  # a union of records
    except LedgerError as problem:
        raise ValueError(f"no change: {problem.message}") from None


NUMBER_SCHEMA: Final = {"type": "integer", "minimum": 1, "maximum": HEIGHT_MAX}
NUMBER: Final = Parameter(
    "number", "path", whole_number(1, HEIGHT_MAX), NUMBER_SCHEMA, "The ballot's number."
)
BEFORE: Final = Parameter(
    "before", "query", whole_number(1, HEIGHT_MAX), NUMBER_SCHEMA, "List ballots below this number."
)
CHANGE: Final = Parameter(
    "change",
    "query",
    read_change,
    {"type": "string", "pattern": "^([0-9a-f]{2})+$", "maxLength": 2 * CHANGE_BYTES_MAX},
    "What would be decided, in its canonical bytes; without it, what is decided already.",
)


async def all_ballots(api: Api, call: Call) -> web.StreamResponse:
    """A page of ballots, the newest first."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    state, limit = api.service.state(), call.get(LIMIT) or PAGE_DEFAULT
    before = call.get(BEFORE) or ballot_count(state) + 1
    listed = [_ballot(api, each) for each in ballots(state, before, limit)]
    following = None
    if listed and listed[-1].number > 1:
        following = f"/v1/ballots?before={listed[-1].number}&limit={limit}"
    return json_answer(call, BallotPage(ballots=listed, next=following), head)


async def one_ballot(api: Api, call: Call) -> web.StreamResponse:
    """One ballot."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    found = ballot_numbered(api.service.state(), call.need(NUMBER))
    return json_answer(call, _ballot(api, found), head)


async def all_seats(api: Api, call: Call) -> web.StreamResponse:
    """Who decides."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    state = api.service.state()
    seated = seats(state)
    model = SeatsModel(seats=list(seated), needed=_needed(len(seated)), next=list(next_seats(state)))
    return json_answer(call, model, head)


async def parameters(api: Api, call: Call) -> web.StreamResponse:
    """What the consortium chose."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    state = api.service.state()
    chosen = NEXT_PARAMETERS.get(state, b"")
    model = ParametersModel(
        epoch=epoch_in_force(state).epoch,
        parameters=to_readable(parameters_in_force(state)),
        next=None if chosen is None else to_readable(chosen),
    )
    return json_answer(call, model, head)


async def preview(api: Api, call: Call) -> web.StreamResponse:
    """The sets of the coming turns, who of them is up, and what speaks against the change."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    state, change = api.service.state(), call.get(CHANGE)
    found = outlook(state, api.service.chain_id, change)
    voters = {key.public_key: key.node for stage in found.stages for key in stage.validators.validators}
    present = presences(api.service, voters)
    up = frozenset(key for key, presence in present.items() if presence.is_up)
    model = PreviewModel(
        change=None if change is None else to_readable(change),
        is_complete=found.is_complete,
        stages=[_stage(each, up) for each in found.stages],
        validators=[_presence(state, found, key, voters[key], present[key]) for key in voters],
        dangers=[_danger(each) for each in dangers(found, up)],
    )
    return json_answer(call, model, head)


def _needed(seats: int) -> int:
    """How many of so many seats carry a ballot."""
    return 2 * seats // 3 + 1


def _ballot(api: Api, found: Ballot) -> BallotModel:
    return BallotModel(
        number=found.number,
        proposer=found.proposer,
        reason=found.reason,
        change=to_readable(found.change),
        status=status_at(found, api.service.status().time_ms),
        yes=list(found.yes),
        no=list(found.no),
        seats=found.seats,
        needed=_needed(found.seats),
        opened_height=found.opened_height,
        closes_ms=found.closes_ms,
        settled_height=found.settled_height or None,
        code=found.code,
        pointer=found.pointer,
    )


def _stage(stage: Stage, up: frozenset[bytes]) -> StageModel:
    return StageModel(
        turns=stage.turns,
        total_stake=stage.validators.total_stake,
        quorum_stake=stage.validators.quorum_stake,
        up_stake=stage.stake_of(up),
        failures=stage.failures,
        needed=[each.node for each in stage.needed],
        validators=[
            WeightModel(node=each.node, public_key=each.public_key.hex(), stake=each.stake)
            for each in stage.validators.validators
        ],
        organisations=[HolderModel(organisation=name, stake=held) for name, held in stage.holders],
    )


def _presence(
    state: StateView, found: Outlook, public_key: bytes, node: str, presence: Presence
) -> PresenceModel:
    bond = BONDS.get(state, public_key)
    return PresenceModel(
        node=node,
        public_key=public_key.hex(),
        organisation=found.stages[0].owners[public_key],
        is_up=presence.is_up,
        is_connected=presence.is_connected,
        certificates=presence.certificates,
        signed=presence.signed,
        jailed_until=(bond.jailed_until or None) if bond else None,
    )


def _danger(danger: Danger) -> DangerModel:
    return DangerModel(
        code=danger.code, message=danger.message, turns=danger.turns, is_warning=danger.is_warning
    )


ROUTES: Final[tuple[Route[Api], ...]] = (
    Route(
        "GET",
        "/v1/ballots",
        all_ballots,
        "What the members decide and decided, the newest first",
        (Answer(200, "A page.", BallotPage),),
        parameters=(BEFORE, LIMIT, AT),
        errors=(404, 410),
    ),
    Route(
        "GET",
        "/v1/ballots/{number}",
        one_ballot,
        "One ballot: the change, and who said what",
        (Answer(200, "The ballot.", BallotModel),),
        parameters=(NUMBER, AT),
        errors=(404, 410),
    ),
    Route(
        "GET",
        "/v1/seats",
        all_seats,
        "Which organisations decide, now and after the turn",
        (Answer(200, "The seats.", SeatsModel),),
        parameters=(AT,),
        errors=(404, 410),
    ),
    Route(
        "GET",
        "/v1/parameters",
        parameters,
        "The parameters in force, and those after the turn",
        (Answer(200, "The parameters.", ParametersModel),),
        parameters=(AT,),
        errors=(404, 410),
    ),
    Route(
        "GET",
        "/v1/validators/preview",
        preview,
        "What a change would make of the validators, turn by turn, and what speaks against it",
        (Answer(200, "The sets.", PreviewModel),),
        parameters=(CHANGE,),
        errors=(404,),
    ),
)
