"""What the contract notes instead of refusing. docs/reference/flags.md explains each code.

A code is stable for ever: receipts hold it.
"""

from __future__ import annotations

from enum import Enum

from ledger.codec import Canonical
from ledger.types import Code, Counter


class FlagCode(Enum):
    """The flags that provenance raises. The domain's checks of identifiers add `identifier.*`."""

    EVENT_ID_REUSED = "event_id.reused"
    DECLARATION_NO_ORIGINAL = "error_declaration.no_original"
    DECLARATION_NOT_CAPTURER = "error_declaration.not_capturer"
    DECLARATION_DIFFERS = "error_declaration.differs"
    TIME_FUTURE = "time.future"
    TIME_BEFORE_LAST = "time.before_last"
    ITEM_UNKNOWN = "item.unknown"
    ITEM_AFTER_END = "item.after_end"
    ITEM_COMMISSIONED_TWICE = "item.commissioned_twice"
    PREFIX_NOT_OWNED = "prefix.not_owned"
    SITE_NOT_OWNED = "site.not_owned"
    CUSTODY_NOT_HOLDER = "custody.not_holder"
    CUSTODY_IN_TRANSIT = "custody.in_transit"
    CUSTODY_NOT_IN_TRANSIT = "custody.not_in_transit"
    CUSTODY_NOT_RECIPIENT = "custody.not_recipient"
    CONTAINER_HAS_PARENT = "container.has_parent"
    CONTAINER_NOT_INSIDE = "container.not_inside"
    CONTAINER_NOT_UNPACKED = "container.not_unpacked"
    CONTAINER_CYCLE = "container.cycle"
    CONTAINER_TOO_DEEP = "container.too_deep"
    LOT_NEGATIVE_BALANCE = "lot.negative_balance"
    LOT_UNSPECIFIED_QUANTITY = "lot.unspecified_quantity"
    LOT_NOT_POSITIVE = "lot.not_positive"
    LOT_TOO_MANY_UNITS = "lot.too_many_units"
    TRANSFORMATION_TOO_LONG = "transformation.too_long"


class RaisedFlag(Canonical):
    """A flag of one event.

    Args:
        code: a `FlagCode`, or `identifier.check_digit`, `identifier.invalid`.
        subject: the first thing that it concerns: an item, a place, or a JSON pointer into the capture.
        count: how many things of this event it concerns.
    """

    code: Code
    subject: str
    count: Counter
