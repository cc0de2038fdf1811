"""What is known of one thing: an instance, a container, a lot or a class, a place that carries things.

The record is kept under the thing's canonical identifier. Its registers are separate, each with the
time of the event that set it: an event that is captured late moves no register back.
A thing inside a container moves with it: its own custody and place rest until it is unpacked
(`containers.effective`). A lot or class is in many hands at once: its custody and containers stand
in its books (`lots`).
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.provenance.events import NAMESPACE
from contracts.provenance.history import EMPTY_TAIL, HistoryTail
from ledger.codec import Canonical
from ledger.state import Table
from ledger.types import Counter

PERSISTENT_MAX: Final = 64  # dispositions that hold at once; the CBV has 33
UNITS_MAX: Final = 16  # units of measure that one lot is counted in

_KIND = re.compile(r"https://id\.gs1\.org/(?:(00)/|(414)/|(417)/|(01|8006)/[0-9]+(/21/|/235/|/10/)?)")


class ItemKind(IntEnum):
    """What an identifier names, as far as this contract treats it differently."""

    INSTANCE = 0
    CONTAINER = 1  # a logistic unit, or anything that had something packed into it
    LOT = 2  # also any identifier that quantities are counted of
    CLASS = 3
    PLACE = 4
    PARTY = 5


class ItemStatus(IntEnum):
    """Whether a thing is still there, or how it ended."""

    ACTIVE = 0
    CONSUMED = 1  # went into a transformation
    DESTROYED = 2
    DECOMMISSIONED = 3  # its identifier is out of use
    SOLD = 4  # left the chain over a counter


class Custody(Canonical):
    """Who has it. A party is an organisation's id, or a URI where no member is known behind it.

    Args:
        holder: "" where nobody is known.
        recipient: None: not in transit. "": in transit to nobody named. Else the party it was sent to.
        since_ms: event time of the last change.
    """

    holder: str
    recipient: str | None
    since_ms: int


class Sighting(Canonical):
    """Where it was last, and in what condition; "" where an event has not said it."""

    place: str
    disposition: str
    since_ms: int


class Containment(Canonical):
    """What it is packed in: "" for nothing. `page` is where the container lists it."""

    parent: str
    page: Counter
    since_ms: int


class Attachment(Canonical):
    """What it is associated with. It ends too when the parent's session moves on (all were detached)."""

    parent: str
    session: Counter
    since_ms: int


class Contents(Canonical):
    """What is inside.

    Args:
        entries: how many the pages list.
        pages: they stand on pages 0 to `pages` - 1, some of which may be empty and missing.
        levels: at least as many as containers are nested below this one, itself included; 0 when empty.
    """

    entries: Counter
    pages: Counter
    levels: Counter


class Total(Canonical):
    """What became of a lot in one unit over all time, as canonical texts of exact decimals."""

    uom: str
    produced: str
    consumed: str
    destroyed: str
    sold: str


BEGINNING_MS: Final = -(2**53)  # before every event time: a register that no event has set yet
NOBODY: Final = Custody("", None, BEGINNING_MS)
UNSEEN: Final = Sighting("", "", BEGINNING_MS)
NOWHERE: Final = Containment("", 0, BEGINNING_MS)
UNATTACHED: Final = Attachment("", 0, BEGINNING_MS)
EMPTY: Final = Contents(0, 0, 0)


class Item(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The record. Mutable, unlike all others: a capture changes it many times and encodes it once.

    Args:
        commissioned: an ADD or a transformation said that it exists; else it was only seen.
        maker: the organisation that commissioned it.
        owner: a party, "" where none is known. Possession is another matter: `custody`.
        first_ms, last_ms: the least and greatest event time.
        ended_ms: event time of the end, where the status is not ACTIVE.
        session: how often everything attached to it was detached at once.
        accounts: how many accounts of this lot `lots` lists.
    """

    kind: ItemKind
    status: ItemStatus
    commissioned: bool
    maker: str
    owner: str
    custody: Custody
    sighting: Sighting
    persistent: Annotated[tuple[str, ...], Meta(max_length=PERSISTENT_MAX)]
    containment: Containment
    attachment: Attachment
    contents: Contents
    first_ms: int
    last_ms: int
    ended_ms: int
    session: Counter
    accounts: Counter
    totals: Annotated[tuple[Total, ...], Meta(max_length=UNITS_MAX)]
    tail: HistoryTail

    @property
    def is_counted(self) -> bool:
        """Whether it is a matter of quantities, not one thing."""
        return self.kind in (ItemKind.LOT, ItemKind.CLASS)


ITEMS: Final = Table(NAMESPACE, b"item", Item)  # key: canonical id


def new_item(kind: ItemKind, time_ms: int) -> Item:
    """A thing that nothing is known of but that an event of this time names it."""
    return Item(
        kind,
        ItemStatus.ACTIVE,
        False,
        "",
        "",
        NOBODY,
        UNSEEN,
        (),
        NOWHERE,
        UNATTACHED,
        EMPTY,
        time_ms,
        time_ms,
        0,
        0,
        0,
        (),
        EMPTY_TAIL,
    )


def kind_of(item_id: str, is_quantity: bool) -> ItemKind:
    """The kind of a canonical identifier that a list of things, or of quantities, names."""
    found = _KIND.match(item_id)
    if found is None:
        return ItemKind.LOT if is_quantity else ItemKind.INSTANCE
    container, place, party, trade_item, qualifier = found.groups()
    if container:
        return ItemKind.CONTAINER
    if place:
        return ItemKind.PLACE
    if party:
        return ItemKind.PARTY
    assert trade_item, "the expression has no other alternative"
    if qualifier == "/10/":
        return ItemKind.LOT
    return ItemKind.INSTANCE if qualifier else ItemKind.CLASS
