"""Who may speak on this chain, as its readers see it: organisations, keys, nodes."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from contracts import membership
from ledger.errors import LedgerError
from ledger.members import KEYS, ORGANISATIONS, Key, Organisation, Site, nodes_in_force
from node.api.answers import check_at, json_answer
from node.api.context import Api
from node.api.cursors import CURSOR, Cursor, next_path
from node.api.models import (
    KeyModel,
    KeysModel,
    NodeModel,
    NodesModel,
    OrganisationModel,
    OrganisationsModel,
    SiteModel,
    SitesModel,
)
from node.api.parameters import (
    AT,
    HASH_SCHEMA,
    LIMIT,
    NAME_SCHEMA,
    PAGE_DEFAULT,
    Parameter,
    read_hash,
    read_name,
)
from node.api.routes import Answer, Call, Route
from node.api.tokens import Scope

PUBLIC_KEY: Final = Parameter("public_key", "path", read_hash, HASH_SCHEMA, "An Ed25519 public key.")
ORGANISATION: Final = Parameter("id", "path", read_name, NAME_SCHEMA, "The organisation's id.")


async def organisations(api: Api, call: Call) -> web.StreamResponse:
    """A page of the members, in the order in which they were admitted."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    start, limit = call.get(CURSOR) or Cursor(head, 0), call.get(LIMIT) or PAGE_DEFAULT
    found = membership.organisations(api.service.state(), start.offset, limit + 1)
    model = OrganisationsModel(
        organisations=[_organisation(each) for each in found[:limit]],
        next=next_path("/v1/organisations", start, limit, more=len(found) > limit),
    )
    return json_answer(call, model, head)


async def organisation(api: Api, call: Call) -> web.StreamResponse:
    """One member."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    found = ORGANISATIONS.get(api.service.state(), call.need(ORGANISATION).encode())
    if found is None:
        raise LedgerError("organisation.unknown", "no member has this id")
    return json_answer(call, _organisation(found), head)


async def organisation_keys(api: Api, call: Call) -> web.StreamResponse:
    """The keys of a member that are in force."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    _check_known(api, call)
    found = membership.keys(api.service.state(), call.need(ORGANISATION))
    return json_answer(call, KeysModel(keys=[_key(each) for each in found]), head)


async def organisation_sites(api: Api, call: Call) -> web.StreamResponse:
    """A page of the sites of a member, in the order in which they were registered."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    _check_known(api, call)
    name = call.need(ORGANISATION)
    start, limit = call.get(CURSOR) or Cursor(head, 0), call.get(LIMIT) or PAGE_DEFAULT
    found = membership.sites(api.service.state(), name, start.offset, limit + 1)
    model = SitesModel(
        sites=[_site(each) for each in found[:limit]],
        next=next_path(f"/v1/organisations/{name}/sites", start, limit, more=len(found) > limit),
    )
    return json_answer(call, model, head)


async def key(api: Api, call: Call) -> web.StreamResponse:
    """Whose key it is, and whether it is in force."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    found = KEYS.get(api.service.state(), call.need(PUBLIC_KEY))
    if found is None:
        raise LedgerError("key.unknown", "no organisation has this key")
    return json_answer(call, _key(found), head)


async def nodes(api: Api, call: Call) -> web.StreamResponse:
    """Every node that may connect."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    check_at(call, head)
    connected = {peer.public_key for peer in api.service.status().peers if peer.connected}
    listed = [
        NodeModel(
            name=each.name,
            organisation=each.organisation,
            role=each.role.value,
            public_key=each.public_key.hex(),
            addresses=list(each.addresses),
            is_connected=each.public_key in connected or each.name == api.service.name,
        )
        for each in nodes_in_force(api.service.state())
    ]
    return json_answer(call, NodesModel(nodes=listed), head)


def _organisation(found: Organisation) -> OrganisationModel:
    return OrganisationModel(id=found.id, title=found.title, gs1_prefixes=list(found.gs1_prefixes))


def _key(found: Key) -> KeyModel:
    return KeyModel(
        public_key=found.public_key.hex(),
        organisation=found.organisation,
        label=found.label,
        roles=[role.value for role in found.roles],
        added_height=found.added_height,
        revoked_height=found.revoked_height,
    )


def _site(found: Site) -> SiteModel:
    return SiteModel(id=found.id, organisation=found.organisation, title=found.title)


def _check_known(api: Api, call: Call) -> None:
    if ORGANISATIONS.get(api.service.state(), call.need(ORGANISATION).encode()) is None:
        raise LedgerError("organisation.unknown", "no member has this id")


ROUTES: Final[tuple[Route[Api], ...]] = (
    Route(
        "GET",
        "/v1/organisations",
        organisations,
        "The members, in the order in which they were admitted",
        (Answer(200, "A page.", OrganisationsModel),),
        parameters=(LIMIT, CURSOR, AT),
        errors=(404, 410),
    ),
    Route(
        "GET",
        "/v1/organisations/{id}",
        organisation,
        "One member",
        (Answer(200, "The organisation.", OrganisationModel),),
        parameters=(ORGANISATION, AT),
        errors=(404, 410),
    ),
    Route(
        "GET",
        "/v1/organisations/{id}/keys",
        organisation_keys,
        "The keys of a member that are in force",
        (Answer(200, "The keys, ascending.", KeysModel),),
        parameters=(ORGANISATION, AT),
        errors=(404, 410),
    ),
    Route(
        "GET",
        "/v1/organisations/{id}/sites",
        organisation_sites,
        "The sites of a member",
        (Answer(200, "A page.", SitesModel),),
        parameters=(ORGANISATION, LIMIT, CURSOR, AT),
        errors=(404, 410),
    ),
    Route(
        "GET",
        "/v1/keys/{public_key}",
        key,
        "Whose key it is, and whether it is in force",
        (Answer(200, "The key.", KeyModel),),
        parameters=(PUBLIC_KEY, AT),
        errors=(404, 410),
    ),
    Route(
        "GET",
        "/v1/nodes",
        nodes,
        "Every node that may connect",
        (Answer(200, "The nodes, by identity.", NodesModel),),
        parameters=(AT,),
        errors=(404, 410),
    ),
)
