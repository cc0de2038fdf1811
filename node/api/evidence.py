"""Who signed against the rules: the evidence that this node holds, with the proof itself."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from aiohttp import web

from contracts.staking.reporting import is_reported
from ledger.errors import LedgerError
from ledger.evidence import Evidence, accused, encode_evidence, evidence_id, offence_of
from ledger.types import HEIGHT_MAX, VALIDATORS_MAX
from node.api.answers import json_answer
from node.api.context import Api
from node.api.models import EvidenceModel, EvidencePage
from node.api.parameters import HASH_SCHEMA, LIMIT, PAGE_DEFAULT, Parameter, read_hash
from node.api.routes import Answer, Call, Route
from node.api.tokens import Scope

_AFTER = re.compile(r"(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,2})")


class After(NamedTuple):
    """The last entry of the page before: its epoch, and the accused validator's index."""

    epoch: int
    validator: int


def read_after(text: str) -> After:
    """The place that an earlier page named."""
    found = _AFTER.fullmatch(text)
    if found is None or int(found[1]) > HEIGHT_MAX or int(found[2]) >= VALIDATORS_MAX:
        raise ValueError("expected EPOCH-VALIDATOR, as an earlier page named it")
    return After(int(found[1]), int(found[2]))


ID: Final = Parameter("id", "path", read_hash, HASH_SCHEMA, "The evidence's id.")
AFTER: Final = Parameter(
    "after",
    "query",
    read_after,
    {"type": "string", "pattern": "^[0-9]{1,16}-[0-9]{1,3}$"},
    "Go on after this entry; an earlier page's `next` has the whole path.",
)


async def evidence(api: Api, call: Call) -> web.StreamResponse:
    """A page of what is held, by ascending epoch and validator."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    after, limit = call.get(AFTER) or After(-1, -1), call.get(LIMIT) or PAGE_DEFAULT
    found = [each for each in api.service.evidence() if _place(each) > after]
    listed = found[:limit]
    following = None
    if len(found) > limit:
        last = _place(listed[-1])
        following = f"/v1/evidence?after={last.epoch}-{last.validator}&limit={limit}"
    page = EvidencePage(evidence=[_model(api, each) for each in listed], next=following)
    return json_answer(call, page, api.service.head()[0])


async def one(api: Api, call: Call) -> web.StreamResponse:
    """One piece of evidence."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    wanted = call.need(ID)
    found = next((each for each in api.service.evidence() if evidence_id(each) == wanted), None)
    if found is None:
        raise LedgerError("evidence.unknown", "this node holds no such evidence")
    return json_answer(call, _model(api, found), api.service.head()[0])


def _place(held: Evidence) -> After:
    place = accused(held)
    return After(place.epoch, place.validator)


def _model(api: Api, held: Evidence) -> EvidenceModel:
    place = accused(held)
    validators = api.service.epoch_validators(place.epoch)
    culprit = None if validators is None else validators.validators[place.validator]
    return EvidenceModel(
        id=evidence_id(held).hex(),
        epoch=place.epoch,
        view=place.view,
        offence=offence_of(held).value,
        validator=place.validator,
        node="" if culprit is None else culprit.node,
        public_key="" if culprit is None else culprit.public_key.hex(),
        is_reported=is_reported(api.service.state(), held),
        bytes=encode_evidence(held).hex(),
    )


ROUTES: Final[tuple[Route[Api], ...]] = (
    Route(
        "GET",
        "/v1/evidence",
        evidence,
        "Who signed against the rules, by epoch and validator",
        (Answer(200, "A page.", EvidencePage),),
        parameters=(AFTER, LIMIT),
    ),
    Route(
        "GET",
        "/v1/evidence/{id}",
        one,
        "One piece of evidence, with the proof",
        (Answer(200, "The evidence.", EvidenceModel),),
        parameters=(ID,),
        errors=(404,),
    ),
)
