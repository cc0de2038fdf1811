"""One event as the contracts see it: typed, its identifiers and terms in their one stored form.

The event's own JSON stays beside it untouched (`captured.CapturedEvent.body`); this view is what rules read.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TypeAlias

import msgspec

from ledger.types import TimeMs


class Kind(Enum):
    """The five kinds of EPCIS event; the value is the name in JSON."""

    OBJECT = "ObjectEvent"
    AGGREGATION = "AggregationEvent"
    TRANSACTION = "TransactionEvent"
    TRANSFORMATION = "TransformationEvent"
    ASSOCIATION = "AssociationEvent"


class Action(Enum):
    """What an event does to what it names. A transformation has none."""

    ADD = "ADD"
    OBSERVE = "OBSERVE"
    DELETE = "DELETE"


class Quantity(msgspec.Struct, frozen=True):
    """An amount of a class.

    Args:
        epc_class: canonical identifier of the class or lot.
        quantity: exact; None where the event leaves it open.
        uom: UN/CEFACT Rec. 20 code of 2 or 3 characters; None counts pieces.
    """

    epc_class: str
    quantity: Decimal | None
    uom: str | None


class Typed(msgspec.Struct, frozen=True):
    """A business transaction, source or destination: its type in stored form ("" where none) and its id."""

    type: str
    id: str


class ErrorDeclaration(msgspec.Struct, frozen=True):
    """Says that an earlier event with the same identifier was wrong.

    Args:
        reason: stored form; None where none was given.
    """

    declaration_time_ms: TimeMs
    reason: str | None
    corrective_event_ids: tuple[str, ...]


class Flag(msgspec.Struct, frozen=True):
    """Something noted, not refused: a code and the pointer of the field."""

    code: str
    pointer: str


Epcs: TypeAlias = tuple[str, ...]
Quantities: TypeAlias = tuple[Quantity, ...]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A valid EPCIS event. Identifiers are canonical, CBV terms bare words, lists in the order given; a thing
    that a list names in two spellings stands in it once.

    A list that the event does not have is empty. `sensors` is the number of sensor elements; their content is
    read where cold-chain rules need it.
    """

    kind: Kind
    action: Action | None
    event_time_ms: TimeMs
    event_time_zone_offset: str
    event_id: str | None
    biz_step: str | None
    disposition: str | None
    persistent_set: tuple[str, ...]
    persistent_unset: tuple[str, ...]
    read_point: str | None
    biz_location: str | None
    epcs: Epcs
    quantities: Quantities
    parent: str | None
    children: Epcs
    child_quantities: Quantities
    inputs: Epcs
    input_quantities: Quantities
    outputs: Epcs
    output_quantities: Quantities
    transformation_id: str | None
    biz_transactions: tuple[Typed, ...]
    sources: tuple[Typed, ...]
    destinations: tuple[Typed, ...]
    error_declaration: ErrorDeclaration | None
    has_ilmd: bool
    sensors: int
    flags: tuple[Flag, ...]
