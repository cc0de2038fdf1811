"""The JSON of `/v1/items`: what is known of an item, its history, its trace and its contents.

Quantities are exact decimals in strings; times are milliseconds since 1970 UTC.
"""

from __future__ import annotations

from typing import Any

from node.api.models import CbvEventHash, Count, Hash, Model, Status


class CustodyModel(Model):
    """Who has it. `recipient` null: not in transit; empty: in transit to nobody named."""

    holder: str
    recipient: str | None
    since_ms: int


class TotalModel(Model):
    """What became of a lot in one unit over all time, as exact decimals."""

    uom: str
    produced: str
    consumed: str
    destroyed: str
    sold: str


class HoldingModel(Model):
    """Some of a lot at one place; `quantity` is an exact decimal; `container` is empty for what is loose."""

    uom: str
    quantity: str
    custody: CustodyModel
    container: str
    place: str
    status: str


class ItemHistoryModel(Model):
    """The record that the state root covers: how many events, and the RFC 9162 root over them."""

    event_count: Count
    events_root: Hash
    first_height: Count
    last_height: Count


class ItemModel(Model):
    """What is known of an item, counting what it is packed in. Times are milliseconds since 1970 UTC."""

    id: str
    kind: str
    status: str
    commissioned: bool
    maker: str
    owner: str
    custody: CustodyModel
    place: str
    disposition: str
    persistent_dispositions: list[str]
    parent: str
    outermost: str
    attached_to: str
    children: Count
    first_time_ms: int
    last_time_ms: int
    totals: list[TotalModel]
    holdings: list[HoldingModel]
    holdings_left_off: Count
    history: ItemHistoryModel


class FlagModel(Model):
    """What an event was flagged for."""

    code: str
    subject: str
    count: Count


class EventPlace(Model):
    """Where an event stands: block, transaction in it, event in the transaction; from 0."""

    height: Count
    transaction_index: Count
    event_index: Count


class HistoryLineModel(Model):
    """One event of an item: where it stands, what the item is to it, and the event as EPCIS 2.0 JSON.

    `commitment` is what the chain holds of the event, `cbv_event_hash` the alias by which partners know it.
    """

    place: EventPlace
    transaction_id: Hash
    event_id: str
    record_time_ms: Count
    organisation: str
    parts: list[str]
    status: Status
    is_flagged: bool
    flags: list[FlagModel]
    commitment: Hash
    cbv_event_hash: CbvEventHash
    declared_by: EventPlace | None
    event: dict[str, Any]


class HistoryModel(Model):
    """A page of an item's events, oldest first. `next` is the path of the next page, or null."""

    id: str
    total: Count
    lines: list[HistoryLineModel]
    next: str | None


class TraceNodeModel(ItemModel):
    """An item of a trace as it stands now, `depth` edges from the start."""

    depth: Count


class TraceEdgeModel(Model):
    """One step of the goods: how those of `source` came to be in `target`, and by which event.

    `until_ms`: when what was packed came out; null where it is inside. `quantity` is an exact decimal.
    """

    kind: str
    source: str
    target: str
    place: EventPlace
    event_time_ms: int
    until_ms: int | None
    quantity: str | None
    uom: str | None


class TraceEventModel(Model):
    """An event that edges name: who captured it, in which transaction, when."""

    place: EventPlace
    transaction_id: Hash
    event_id: str
    kind: str
    biz_step: str
    organisation: str
    sender: Hash
    event_time_ms: int
    record_time_ms: Count


class TraceModel(Model):
    """Where goods came from and went, in the order reached; `is_complete`: nothing was left off."""

    id: str
    direction: str
    is_complete: bool
    nodes: list[TraceNodeModel]
    edges: list[TraceEdgeModel]
    events: list[TraceEventModel]


class ContentModel(Model):
    """One entry inside a container, `depth` 1 directly. `quantity` and `uom` are null for a thing."""

    id: str
    container: str
    depth: Count
    quantity: str | None
    uom: str | None


class ContentsModel(Model):
    """What a container holds, depth first; `is_complete`: nothing was left off."""

    id: str
    contents: list[ContentModel]
    is_complete: bool
