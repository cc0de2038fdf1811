"""What people ask of the books: an item, its history, what a container holds. Pure reads of one state.

Every answer is bounded: lists come in pages, nesting stops at the depth that packing keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from contracts.provenance import history as histories
from contracts.provenance.containers import Effective, effective
from contracts.provenance.events import EventKey, EventVersion, declaration_of, versions_of
from contracts.provenance.history import HistoryEntry, ItemHistory, Part, committed_history
from contracts.provenance.items import ITEMS, Custody, Item, ItemKind, ItemStatus, Total
from contracts.provenance.lots import AccountKind, account_key, account_names, packed
from contracts.provenance.quantities import quantity_of
from contracts.provenance.register import ACCOUNTS, Child, child_page
from ledger.state import StateView

PAGE_MAX: Final = 1000  # entries of one answer
HOLDINGS_MAX: Final = 1000  # accounts of a lot in one answer
CONTENT_MAX: Final = 10_000  # entries of a container in one answer, at all depths


@dataclass(frozen=True, slots=True)
class Holding:
    """Some of a lot at one place of its books; `quantity` is exact and never zero.

    `container` is empty for what is loose. For what is packed, custody, place and status are those of the
    outermost container.
    """

    uom: str
    quantity: Decimal
    custody: Custody
    container: str
    place: str
    status: ItemStatus


@dataclass(frozen=True, slots=True)
class ItemView:
    """What is known of an item, counting what it is packed in.

    Args:
        owner, custody: parties: organisation ids, URIs or "".
        parent: the container it is in, "" for none; `outermost` the one around all others, or itself.
        attached_to: what it is associated with, "" for nothing.
        children: entries inside it.
        totals, holdings: of a lot or class, per unit.
        holdings_left_off: accounts beyond the bound, which were not read.
        history: the record that the state root covers.
    """

    id: str
    kind: ItemKind
    status: ItemStatus
    commissioned: bool
    maker: str
    owner: str
    custody: Custody
    place: str
    disposition: str
    persistent_dispositions: tuple[str, ...]
    parent: str
    outermost: str
    attached_to: str
    children: int
    first_time_ms: int
    last_time_ms: int
    totals: tuple[Total, ...]
    holdings: tuple[Holding, ...]
    holdings_left_off: int
    history: ItemHistory


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One event of an item: where it stands, what the item is to it, what was said of it.

    `declared_by`: the declaration that the event was wrong.
    """

    event: EventKey
    parts: Part
    is_flagged: bool
    declared_by: EventKey | None


@dataclass(frozen=True, slots=True)
class HistoryView:
    """A page of an item's events, oldest first, and how many there are in all."""

    total: int
    lines: tuple[HistoryLine, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """An entry inside a container. `quantity` and `uom` are None for a thing; `depth` 1: directly inside."""

    id: str
    container: str
    depth: int
    quantity: Decimal | None
    uom: str | None


@dataclass(frozen=True, slots=True)
class ContentView:
    """What a container holds, depth first in packing order; `is_complete`: nothing was left off."""

    contents: tuple[Content, ...]
    is_complete: bool


class Finder:
    """Items of one state, each read once."""

    def __init__(self, state: StateView) -> None:
        self.state = state
        self._items: dict[str, Item | None] = {}

    def __call__(self, item_id: str) -> Item | None:
        """The item's record, not to be changed."""
        if item_id not in self._items:
            self._items[item_id] = ITEMS.get(self.state, item_id.encode())
        return self._items[item_id]


def show(state: StateView, item_id: str) -> ItemView | None:
    """What is known of an item by its canonical identifier, or None."""
    return view(Finder(state), item_id)


def view(find: Finder, item_id: str, holdings_max: int = HOLDINGS_MAX) -> ItemView | None:
    """As `show`, sharing what was read."""
    item = find(item_id)
    if item is None:
        return None
    stands: Effective = effective(find, item_id, item)
    committed = committed_history(find.state, item_id)
    assert committed is not None, "an item that is known has a history"
    return ItemView(
        id=item_id,
        kind=item.kind,
        status=stands.status,
        commissioned=item.commissioned,
        maker=item.maker,
        owner=item.owner,
        custody=stands.custody,
        place=stands.sighting.place,
        disposition=stands.sighting.disposition,
        persistent_dispositions=item.persistent,
        parent=item.containment.parent,
        outermost=stands.outermost,
        attached_to=_attached_to(find, item),
        children=item.contents.entries,
        first_time_ms=item.first_ms,
        last_time_ms=item.last_ms,
        totals=item.totals,
        holdings=_holdings(find, item_id, item, holdings_max),
        holdings_left_off=max(0, item.accounts - holdings_max),
        history=committed,
    )


def history(state: StateView, item_id: str, offset: int = 0, limit: int = PAGE_MAX) -> HistoryView | None:
    """A page of an item's events, at most PAGE_MAX, or None where the item is unknown."""
    item = ITEMS.get(state, item_id.encode())
    if item is None:
        return None
    entries = histories.read(state, item_id, item.tail, offset, min(limit, PAGE_MAX))
    return HistoryView(item.tail.frontier.size, tuple(_line(state, entry) for entry in entries))


def contents(state: StateView, container_id: str, depth_max: int = 16) -> ContentView:
    """What a container holds down to a depth, at most CONTENT_MAX entries; nothing for any other item."""
    find = Finder(state)
    found: list[Content] = []
    is_complete = True
    for content in _inside(find, container_id, 1, depth_max):
        if content is None or len(found) == CONTENT_MAX:
            is_complete = False
            if content is not None:
                break
        else:
            found.append(content)
    return ContentView(tuple(found), is_complete)


def events_called(state: StateView, event_id: str) -> tuple[EventVersion, ...]:
    """The recorded events of an eventID, oldest first: an original and what declares it wrong share one."""
    return versions_of(state, event_id)


def _line(state: StateView, entry: HistoryEntry) -> HistoryLine:
    return HistoryLine(entry.key, Part(entry.parts), entry.is_flagged, declaration_of(state, entry.key))


def _attached_to(find: Finder, item: Item) -> str:
    carrier = find(item.attachment.parent) if item.attachment.parent else None
    return item.attachment.parent if carrier and carrier.session == item.attachment.session else ""


def _holdings(find: Finder, lot_id: str, lot: Item, holdings_max: int) -> tuple[Holding, ...]:
    found: list[Holding] = []
    for name in account_names(find.state, lot_id, lot.accounts, 0, holdings_max):
        account = ACCOUNTS.get(find.state, account_key(lot_id, name))
        quantity = quantity_of(account.quantity) if account else Decimal(0)
        if not quantity:
            continue
        match name.kind:
            case AccountKind.ON_HAND:
                custody = Custody(name.party, None, lot.last_ms)
                found.append(Holding(name.uom, quantity, custody, "", "", ItemStatus.ACTIVE))
            case AccountKind.IN_TRANSIT:
                custody = Custody("", name.party, lot.last_ms)
                found.append(Holding(name.uom, quantity, custody, "", "", ItemStatus.ACTIVE))
            case AccountKind.PACKED:
                container = find(name.party)
                assert container is not None, "a container has a record"
                stands = effective(find, name.party, container)
                place, status = stands.sighting.place, stands.status
                found.append(Holding(name.uom, quantity, stands.custody, name.party, place, status))
    return tuple(found)


def _inside(find: Finder, container_id: str, depth: int, depth_max: int) -> Iterator[Content | None]:
    """What is inside, depth first; None stands for a container that lies too deep to be opened."""
    container = find(container_id)
    if container is None or not container.contents.entries:
        return
    if depth > depth_max:
        yield None
        return
    for page in range(container.contents.pages):
        for child in child_page(find.state, container_id, page):
            yield _content(find.state, container_id, depth, child)
            if child.uom is None:
                yield from _inside(find, child.id, depth + 1, depth_max)


def _content(state: StateView, container_id: str, depth: int, child: Child) -> Content:
    if child.uom is None:
        return Content(child.id, container_id, depth, None, None)
    account = ACCOUNTS.get(state, account_key(child.id, packed(container_id, child.uom)))
    assert account is not None, "what is listed is booked"
    return Content(child.id, container_id, depth, quantity_of(account.quantity), child.uom)
