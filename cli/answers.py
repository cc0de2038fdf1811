"""What a node answers, as far as commands read it. Fields that a newer node adds are passed over."""

from __future__ import annotations

from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """An object of the REST interface."""


class Peer(Answer, frozen=True):
    """Another node, as the one that was asked sees it."""

    name: str
    role: str
    public_key: str
    connected: bool
    problem: str = ""


class Status(Answer, frozen=True):
    """GET /v1/status"""

    chain_id: str
    node: str
    role: str
    height: int
    block_id: str
    state_root: str
    lag_blocks: int
    peers: tuple[Peer, ...]
    version: str
    epoch: int = 0
    view: int = 0
    network: str = ""
    organisation: str = ""
    time_ms: int = 0
    leader: str = ""
    pending_transactions: int = 0
    unsettled_views: int = 0
    is_voting: bool = False
    reason: str = ""


class Receipt(Answer, frozen=True):
    """What became of a transaction in its block; `result` is hex."""

    status: str
    code: str
    pointer: str
    result: str
    events: tuple[str, ...]


class Submitted(Answer, frozen=True):
    """POST /v1/transactions with one transaction."""

    id: str
    status: str
    height: int | None = None
    index: int | None = None
    receipt: Receipt | None = None


class TransactionAnswer(Answer, frozen=True):
    """GET /v1/transactions/{id}"""

    id: str
    status: str
    height: int | None
    index: int | None
    receipt: Receipt | None
    sender: str
    contract: str
    method: str
    valid_until: int
    size_bytes: int


class BlockTransaction(Answer, frozen=True):
    """One transaction of a block."""

    id: str
    index: int
    sender: str
    contract: str
    method: str
    size_bytes: int
    status: str
    code: str
    events: tuple[str, ...]


class BlockAnswer(Answer, frozen=True):
    """GET /v1/blocks/{height}"""

    id: str
    header: dict[str, Any]
    transactions: tuple[BlockTransaction, ...]


class Evidence(Answer, frozen=True):
    """A piece of GET /v1/evidence; `bytes` is the proof, hex."""

    id: str
    epoch: int
    view: int
    offence: str
    validator: int
    node: str
    public_key: str
    is_reported: bool
    bytes: str


class EvidencePage(Answer, frozen=True):
    """GET /v1/evidence"""

    evidence: tuple[Evidence, ...]
    next: str | None


class BlockSummary(Answer, frozen=True):
    """A line of GET /v1/blocks"""

    id: str
    height: int
    time_ms: int
    transaction_count: int
    event_count: int


class BlockPage(Answer, frozen=True):
    """GET /v1/blocks"""

    blocks: tuple[BlockSummary, ...]
    next: str | None


class Organisation(Answer, frozen=True):
    """A member."""

    id: str
    title: str
    gs1_prefixes: tuple[str, ...]


class OrganisationPage(Answer, frozen=True):
    """GET /v1/organisations"""

    organisations: tuple[Organisation, ...]
    next: str | None


class Key(Answer, frozen=True):
    """A key of an organisation; `revoked_height` 0: in force."""

    public_key: str
    organisation: str
    label: str
    roles: tuple[str, ...]
    added_height: int
    revoked_height: int


class KeyPage(Answer, frozen=True):
    """GET /v1/organisations/{id}/keys"""

    keys: tuple[Key, ...]


class Site(Answer, frozen=True):
    """A place of an organisation."""

    id: str
    organisation: str
    title: str


class SitePage(Answer, frozen=True):
    """GET /v1/organisations/{id}/sites"""

    sites: tuple[Site, ...]
    next: str | None


class Node(Answer, frozen=True):
    """A node that may connect."""

    name: str
    organisation: str
    role: str
    public_key: str
    addresses: tuple[str, ...]
    is_connected: bool


class NodePage(Answer, frozen=True):
    """GET /v1/nodes"""

    nodes: tuple[Node, ...]


class Custody(Answer, frozen=True):
    """Who has it; `recipient` is null unless it is on its way."""

    holder: str
    recipient: str | None
    since_ms: int


class Total(Answer, frozen=True):
    """What became of a lot in one unit."""

    uom: str
    produced: str
    consumed: str
    destroyed: str
    sold: str


class Holding(Answer, frozen=True):
    """Some of a lot at one place."""

    uom: str
    quantity: str
    custody: Custody
    container: str
    place: str
    status: str


class Item(Answer, frozen=True, kw_only=True):
    """GET /v1/items/{id}"""

    id: str
    kind: str
    status: str
    commissioned: bool
    maker: str
    owner: str
    custody: Custody
    place: str
    disposition: str
    parent: str
    children: int
    first_time_ms: int
    last_time_ms: int
    persistent_dispositions: tuple[str, ...] = ()
    outermost: str = ""
    attached_to: str = ""
    totals: tuple[Total, ...] = ()
    holdings: tuple[Holding, ...] = ()
    holdings_left_off: int = 0
    depth: int = 0


class EventPlace(Answer, frozen=True, order=True):
    """Where an event stands."""

    height: int
    transaction_index: int
    event_index: int


class Flag(Answer, frozen=True):
    """What an event was flagged for."""

    code: str
    subject: str
    count: int


class HistoryLine(Answer, frozen=True):
    """One event of an item."""

    place: EventPlace
    transaction_id: str
    event_id: str
    record_time_ms: int
    organisation: str
    parts: tuple[str, ...]
    status: str
    is_flagged: bool
    flags: tuple[Flag, ...]
    declared_by: EventPlace | None
    event: dict[str, Any]


class HistoryPage(Answer, frozen=True):
    """GET /v1/items/{id}/history"""

    id: str
    total: int
    lines: tuple[HistoryLine, ...]
    next: str | None


class TraceEdge(Answer, frozen=True):
    """How the goods of `source` came to be in `target`."""

    kind: str
    source: str
    target: str
    place: EventPlace
    event_time_ms: int
    until_ms: int | None
    quantity: str | None
    uom: str | None


class TraceEvent(Answer, frozen=True):
    """An event that edges name."""

    place: EventPlace
    transaction_id: str
    event_id: str
    kind: str
    biz_step: str
    organisation: str
    sender: str
    event_time_ms: int
    record_time_ms: int


class Trace(Answer, frozen=True):
    """GET /v1/items/{id}/trace"""

    id: str
    direction: str
    is_complete: bool
    nodes: tuple[Item, ...]
    edges: tuple[TraceEdge, ...]
    events: tuple[TraceEvent, ...]


class Fault(Answer, frozen=True):
    """One place of a document that is wrong."""

    code: str
    detail: str
    pointer: str = ""


class Problem(Answer, frozen=True):
    """The body of a refusal (RFC 9457)."""

    code: str
    detail: str
    title: str = ""
    pointer: str = ""
    errors: tuple[Fault, ...] = ()
