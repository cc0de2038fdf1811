"""Items to their readers: what is known of one, its history, where it came from and went."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from contracts.epcis.canonical_json import JsonObject, canonical
from contracts.epcis.document import restore_event
from contracts.epcis.event_hash import event_hash
from contracts.epcis.identifiers import canonical_id
from contracts.provenance import queries
from contracts.provenance import trace as tracing
from contracts.provenance.events import EventKey
from contracts.provenance.history import Part
from contracts.provenance.queries import HistoryLine, ItemView
from contracts.provenance.trace import Direction, TraceGraph
from ledger.errors import LedgerError
from ledger.members import KEYS
from ledger.readable import to_readable
from ledger.state import StateView
from ledger.types import Height
from node.api.answers import bytes_answer, check_at, json_answer
from node.api.context import Api
from node.api.cursors import CURSOR, Cursor, next_path
from node.api.item_models import (
    ContentModel,
    ContentsModel,
    CustodyModel,
    EventPlace,
    FlagModel,
    HistoryLineModel,
    HistoryModel,
    HoldingModel,
    ItemHistoryModel,
    ItemModel,
    TotalModel,
    TraceEdgeModel,
    TraceEventModel,
    TraceModel,
    TraceNodeModel,
)
from node.api.models import Status
from node.api.parameters import (
    AT,
    IDENTIFIER_SCHEMA,
    LIMIT,
    PAGE_DEFAULT,
    Parameter,
    one_of,
    read_identifier,
    whole_number,
)
from node.api.recorded import Reader, RecordedEvent
from node.api.routes import Answer, Call, Route
from node.api.tokens import Scope
from node.api.turns import Turns
from node.event_index import Place

NODES_DEFAULT: Final = 500

_ID_TEXT: Final = "An item: GS1 Digital Link, EPC URN or any absolute URI, percent-encoded (a slash as %2F)."
ID: Final = Parameter("id", "path", read_identifier, IDENTIFIER_SCHEMA, _ID_TEXT)
ID_QUERY: Final = Parameter("id", "query", read_identifier, IDENTIFIER_SCHEMA, _ID_TEXT)
DIRECTION: Final = Parameter(
    "direction",
    "query",
    one_of(*(each.value for each in Direction)),
    {"type": "string", "enum": [each.value for each in Direction], "default": "both"},
    "Up: what it came from. Down: what became of it.",
)
DEPTH: Final = Parameter(
    "depth",
    "query",
    whole_number(1, tracing.DEPTH_MAX),
    {"type": "integer", "minimum": 1, "maximum": tracing.DEPTH_MAX, "default": tracing.DEPTH_MAX},
    "How many steps from the item at most.",
)
NODES: Final = Parameter(
    "nodes",
    "query",
    whole_number(1, tracing.NODES_MAX),
    {"type": "integer", "minimum": 1, "maximum": tracing.NODES_MAX, "default": NODES_DEFAULT},
    "How many items the answer holds at most.",
)


async def show(api: Api, call: Call) -> web.StreamResponse:
    """What is known of an item."""
    head, state, item_id = _asked(api, call)
    check_at(call, head)
    found = queries.show(state, item_id)
    if found is None:
        raise _unknown()
    return json_answer(call, ItemModel(**_item(found)), head)


async def history(api: Api, call: Call) -> web.StreamResponse:
    """A page of an item's events, oldest first."""
    head, state, item_id = _asked(api, call)
    at = call.get(AT)
    if at is not None and at > head:
        check_at(call, head)
    start = call.get(CURSOR) or Cursor(head if at is None else at, 0)
    limit = call.get(LIMIT) or PAGE_DEFAULT
    found = queries.history(state, item_id, start.offset, limit + 1)
    if found is None:
        raise _unknown()
    lines = [line for line in found.lines if line.event.height <= start.height]
    events = await Reader(api.service).read(_place(line.event) for line in lines[:limit])
    shown = await _shown(events)
    model = HistoryModel(
        id=item_id,
        total=found.total,
        lines=[_line(*each) for each in zip(lines, events, [name for _, name in shown], strict=False)],
        next=next_path(
            "/v1/items/history",
            start,
            limit,
            more=len(lines) > limit,
            extra=f"&id={quote(item_id, safe='')}",
        ),
    )
    answer = model.model_dump(mode="json")
    for line, (event, _) in zip(answer["lines"], shown, strict=True):
        line["event"] = event  # exact decimals, which JSON of pydantic would round
    return bytes_answer(call, canonical(answer), head)


async def trace(api: Api, call: Call) -> web.StreamResponse:
    """Where an item came from and went."""
    direction = Direction(call.get(DIRECTION) or Direction.BOTH.value)
    async with api.tracing:  # one at a time: a large trace keeps the node busy for a while
        head, state, item_id = _asked(api, call)
        check_at(call, head)
        found = tracing.trace(
            state, item_id, direction, call.get(DEPTH) or tracing.DEPTH_MAX, call.get(NODES) or NODES_DEFAULT
        )
    if found is None:
        raise _unknown()
    model = TraceModel(
        id=item_id,
        direction=direction.value,
        is_complete=found.is_complete,
        nodes=[TraceNodeModel(**_item(node.item), depth=node.depth) for node in found.nodes],
        edges=[
            TraceEdgeModel(
                kind=edge.kind.value,
                source=edge.source,
                target=edge.target,
                place=_place_model(edge.event),
                event_time_ms=edge.event_time_ms,
                until_ms=edge.until_ms,
                quantity=edge.quantity,
                uom=edge.uom,
            )
            for edge in found.edges
        ],
        events=await _events_of(api, state, found),
    )
    return json_answer(call, model, head)


async def contents(api: Api, call: Call) -> web.StreamResponse:
    """What a container holds, at any nesting."""
    head, state, item_id = _asked(api, call)
    check_at(call, head)
    if queries.show(state, item_id) is None:
        raise _unknown()
    found = queries.contents(state, item_id)
    model = ContentsModel(
        id=item_id,
        contents=[
            ContentModel(
                id=each.id,
                container=each.container,
                depth=each.depth,
                quantity=None if each.quantity is None else f"{each.quantity:f}",
                uom=each.uom,
            )
            for each in found.contents
        ],
        is_complete=found.is_complete,
    )
    return json_answer(call, model, head)


def _asked(api: Api, call: Call) -> tuple[Height, StateView, str]:
    """The height and state that the answer is of, and the item's canonical identifier."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    given = call.get(ID)
    try:
        item_id = canonical_id(call.need(ID_QUERY) if given is None else given)
    except LedgerError as problem:
        place = "/query/id" if given is None else "/path/id"
        raise LedgerError(problem.code, problem.message, place) from None
    return api.service.head()[0], api.service.state(), item_id


def _unknown() -> LedgerError:
    return LedgerError("item.unknown", "no event has named this item")


def _item(found: ItemView) -> dict[str, Any]:
    return {
        "id": found.id,
        "kind": found.kind.name.lower(),
        "status": found.status.name.lower(),
        "commissioned": found.commissioned,
        "maker": found.maker,
        "owner": found.owner,
        "custody": CustodyModel(**to_readable(found.custody)),
        "place": found.place,
        "disposition": found.disposition,
        "persistent_dispositions": list(found.persistent_dispositions),
        "parent": found.parent,
        "outermost": found.outermost,
        "attached_to": found.attached_to,
        "children": found.children,
        "first_time_ms": found.first_time_ms,
        "last_time_ms": found.last_time_ms,
        "totals": [TotalModel(**to_readable(total)) for total in found.totals],
        "holdings": [
            HoldingModel(
                uom=each.uom,
                quantity=f"{each.quantity:f}",
                custody=CustodyModel(**to_readable(each.custody)),
                container=each.container,
                place=each.place,
                status=each.status.name.lower(),
            )
            for each in found.holdings
        ],
        "holdings_left_off": found.holdings_left_off,
        "history": ItemHistoryModel(**to_readable(found.history)),
    }


async def _shown(events: list[RecordedEvent]) -> list[tuple[JsonObject, str]]:
    """Each event as EPCIS, with its CBV event hash."""
    found = []
    turns = Turns()
    for event in events:
        restored = restore_event(event.stored)
        found.append((restored, event_hash(restored)))
        await turns.give()
    return found


def _line(line: HistoryLine, event: RecordedEvent, cbv_event_hash: str) -> HistoryLineModel:
    return HistoryLineModel(
        place=_place_model(line.event),
        transaction_id=event.transaction_id.hex(),
        event_id=event.event_id,
        record_time_ms=event.record_time_ms,
        organisation=event.organisation,
        parts=[part.name.lower() for part in Part if part in line.parts and part.name],
        status=Status(event.status.word),
        is_flagged=line.is_flagged,
        flags=[FlagModel(**to_readable(flag)) for flag in event.flags],
        commitment=event.commitment.hex(),
        cbv_event_hash=cbv_event_hash,
        declared_by=None if line.declared_by is None else _place_model(line.declared_by),
        event={},
    )


async def _events_of(api: Api, state: StateView, found: TraceGraph) -> list[TraceEventModel]:
    """The events that the edges name, each once, in recording order."""
    named = sorted({_place(edge.event) for edge in found.edges})
    events = []
    turns = Turns()
    for place in named:
        await turns.give()
        entry = api.events.at(place)
        assert entry is not None, "an event that state knows stands in the index"
        sender = KEYS.get(state, entry.sender)
        events.append(
            TraceEventModel(
                place=EventPlace(
                    height=place.height, transaction_index=place.transaction, event_index=place.event
                ),
                transaction_id=entry.transaction_id.hex(),
                event_id=entry.event_id,
                kind=entry.kind,
                biz_step=entry.biz_step,
                organisation="" if sender is None else sender.organisation,
                sender=entry.sender.hex(),
                event_time_ms=entry.event_time_ms,
                record_time_ms=entry.record_time_ms,
            )
        )
    return events


def _place(key: EventKey) -> Place:
    return Place(Height(key.height), key.transaction_index, key.event_index)


def _place_model(key: EventKey) -> EventPlace:
    return EventPlace(**to_readable(key))


def _routes() -> tuple[Route[Api], ...]:
    """Each question twice: with the identifier in the path, and as `?id=`, which is easier to encode."""
    table = (
        ("", show, "What is known of an item", ItemModel, (AT,)),
        ("/history", history, "The events of an item, oldest first", HistoryModel, (LIMIT, CURSOR, AT)),
        ("/trace", trace, "Where an item came from and went", TraceModel, (DIRECTION, DEPTH, NODES, AT)),
        ("/contents", contents, "What a container holds", ContentsModel, (AT,)),
    )
    routes = []
    for suffix, handler, summary, model, parameters in table:
        answers = (Answer(200, summary + ".", model),)
        for path, named in ((f"/v1/items{suffix}", ID_QUERY), (f"/v1/items/{{id}}{suffix}", ID)):
            routes.append(
                Route(
                    "GET", path, handler, summary, answers, parameters=(named, *parameters), errors=(404, 410)
                )
            )
    return tuple(routes)


ROUTES: Final = _routes()
