"""Who was joined to whom by an event: what tracing walks along.

Packing and unpacking, transformation, association: each such event leaves one record of its members,
under its place in the chain, beside which the members' histories name the event. An event with very
many members goes on in pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Annotated, Final

from msgspec import Meta

from contracts.epcis.event import Quantity
from contracts.provenance.events import NAMESPACE, EventKey, key_bytes
from contracts.provenance.quantities import quantity_text
from ledger.codec import Canonical
from ledger.state import Overlay, StateView, Table
from ledger.types import Counter

INLINE_MEMBERS: Final = 128  # of each side; both sides stay below STATE_VALUE_BYTES_MAX
PAGE_MEMBERS: Final = 256
SESSION_EVENTS_MAX: Final = 1024  # of one transformationID


class LinkKind(IntEnum):
    """What joined the members."""

    PACK = 0
    UNPACK = 1
    TRANSFORM = 2
    ATTACH = 3
    DETACH = 4


class Side(IntEnum):
    """Children or inputs stand on the left, outputs on the right."""

    LEFT = 0
    RIGHT = 1


class Member(Canonical):
    """One member: `quantity` and `uom` are None for a thing; "" is a quantity that was left open."""

    id: str
    quantity: str | None
    uom: str | None


Members = tuple[Member, ...]
InlineMembers = Annotated[Members, Meta(max_length=INLINE_MEMBERS)]


class Link(Canonical):
    """An event's members: the first of each side, and how many there are.

    Args:
        parent: container or carrier; "" for a transformation.
        transformation_id: joins partial transformations; "" where there is none.
        event_time_ms: when it happened.
    """

    kind: LinkKind
    parent: str
    transformation_id: str
    event_time_ms: int
    left_count: Counter
    right_count: Counter
    left: InlineMembers
    right: InlineMembers


class MemberPage(Canonical):
    """Members beyond the first, in order."""

    members: Annotated[Members, Meta(max_length=PAGE_MEMBERS)]


class Session(Canonical):
    """The events of one transformationID, oldest first."""

    events: Annotated[tuple[EventKey, ...], Meta(max_length=SESSION_EVENTS_MAX)]


LINKS: Final = Table(NAMESPACE, b"link", Link)  # key: `key_bytes` of the event
MEMBER_PAGES: Final = Table(NAMESPACE, b"members", MemberPage)  # key: the same, side of 1 byte, page of 4
SESSIONS: Final = Table(NAMESPACE, b"transformation", Session)  # key: transformationID


def things(item_ids: Iterable[str]) -> Members:
    """Members that are one thing each."""
    return tuple([Member(item_id, None, None) for item_id in item_ids])


def amounts(quantities: Iterable[Quantity]) -> Members:
    """Members that are counted, as the event states them."""
    return tuple(
        [
            Member(
                each.epc_class, "" if each.quantity is None else quantity_text(each.quantity), each.uom or ""
            )
            for each in quantities
        ]
    )


def add_link(
    state: Overlay,
    event: EventKey,
    kind: LinkKind,
    event_time_ms: int,
    parent: str,
    left: Members,
    right: Members = (),
    transformation_id: str = "",
) -> None:
    """Write the members of an event."""
    link = Link(
        kind,
        parent,
        transformation_id,
        event_time_ms,
        len(left),
        len(right),
        left[:INLINE_MEMBERS],
        right[:INLINE_MEMBERS],
    )
    LINKS.put(state, key_bytes(event), link)
    for side, members in ((Side.LEFT, left), (Side.RIGHT, right)):
        rest = members[INLINE_MEMBERS:]
        for number in range(0, len(rest), PAGE_MEMBERS):
            key = _page_key(event, side, number // PAGE_MEMBERS)
            MEMBER_PAGES.put(state, key, MemberPage(rest[number : number + PAGE_MEMBERS]))


def join_session(state: Overlay, transformation_id: str, event: EventKey) -> bool:
    """Add an event to those of a transformationID; False where it has as many as it may."""
    known = SESSIONS.get(state, transformation_id.encode()) or Session(())
    if len(known.events) == SESSION_EVENTS_MAX:
        return False
    SESSIONS.put(state, transformation_id.encode(), Session((*known.events, event)))
    return True


def link_of(state: StateView, event: EventKey) -> Link | None:
    """The members of an event, or None where it joined nobody."""
    return LINKS.get(state, key_bytes(event))


def members_of(state: StateView, event: EventKey, link: Link, side: Side, members_max: int) -> Members:
    """The first `members_max` members of one side."""
    count, members = (link.left_count, link.left) if side is Side.LEFT else (link.right_count, link.right)
    number = 0
    while len(members) < min(count, members_max):
        page = MEMBER_PAGES.get(state, _page_key(event, side, number))
        assert page is not None, "every member that was counted was written"
        members = (*members, *page.members)
        number += 1
    return members[:members_max]


def session_of(state: StateView, transformation_id: str) -> tuple[EventKey, ...]:
    """The events of a transformationID, oldest first."""
    known = SESSIONS.get(state, transformation_id.encode())
    return known.events if known else ()


def _page_key(event: EventKey, side: Side, number: int) -> bytes:
    return key_bytes(event) + bytes([side]) + number.to_bytes(4, "big")
