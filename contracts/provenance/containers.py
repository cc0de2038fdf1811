"""What is packed in what: one parent a thing, no cycle, entries listed on pages.

A container keeps no list of its own: each page is a record, so that one event about a pallet of
5,000 rewrites only the pages it touches. A thing knows its page. Quantities of lots are listed too;
how much it is stands in the books of the lot (`lots`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from contracts.provenance.flags import FlagCode
from contracts.provenance.items import (
    EMPTY,
    Containment,
    Contents,
    Custody,
    Item,
    ItemStatus,
    Sighting,
)
from contracts.provenance.recording import Recording
from contracts.provenance.register import PAGE_CHILDREN, Child, Register

DEPTH_MAX: Final = 16  # containers nested: item, inner, case, tote, pallet, trailer, with room
Find = Callable[[str], Item | None]


@dataclass(frozen=True, slots=True)
class Effective:
    """How a thing stands, counting what it is packed in: `outermost` is itself where it is not packed."""

    outermost: str
    custody: Custody
    sighting: Sighting
    status: ItemStatus


def ancestors(find: Find, item_id: str) -> list[tuple[str, Item]]:
    """The containers around a thing, innermost first."""
    found: list[tuple[str, Item]] = []
    item = find(item_id)
    while item is not None and item.containment.parent:
        parent = find(item.containment.parent)
        assert parent is not None, "a container has a record"
        found.append((item.containment.parent, parent))
        assert len(found) <= DEPTH_MAX, "packing keeps the depth"
        item = parent
    return found


def effective(find: Find, item_id: str, item: Item) -> Effective:
    """Custody, place and end of a thing: its outermost container's, once it is packed.

    A container that is merely out of use does not end what it holds; one that was consumed,
    destroyed or sold does.
    """
    around = ancestors(find, item_id)
    if not around:
        return Effective(item_id, item.custody, item.sighting, item.status)
    outermost_id, outermost = around[-1]
    status = item.status
    for _, container in around:
        if status is ItemStatus.ACTIVE and container.status is not ItemStatus.DECOMMISSIONED:
            status = container.status
    sighting = Sighting(
        outermost.sighting.place or item.sighting.place,
        item.sighting.disposition,
        max(outermost.sighting.since_ms, item.sighting.since_ms),
    )
    return Effective(outermost_id, outermost.custody, sighting, status)


def pack(recording: Recording, child_id: str, child: Item, parent_id: str, parent: Item) -> None:
    """Put a thing into a container, where there is room.

    A thing that is inside another one is taken out of it first. An event that is older than the
    thing's last packing or unpacking changes nothing.
    """
    if recording.time_ms < child.containment.since_ms or child.containment.parent == parent_id:
        return
    if not _is_room(recording, child_id, child, parent_id):
        return
    if child.containment.parent:
        recording.flag(FlagCode.CONTAINER_HAS_PARENT, child_id)
        take_out(recording, child_id, child)
    page = list_child(recording.register, parent_id, parent, Child(child_id, None))
    child.containment = Containment(parent_id, page, recording.time_ms)
    _raise_levels(recording.register, parent_id, parent, child.contents.levels + 1)


def take_out(recording: Recording, child_id: str, child: Item) -> None:
    """Take a thing out of its container; it has the custody and place of the container from now on."""
    register = recording.register
    stands = effective(register.item, child_id, child)
    parent_id = child.containment.parent
    parent = register.item(parent_id)
    assert parent is not None, "a container has a record"
    unlist_child(register, parent_id, parent, Child(child_id, None), child.containment.page)
    child.containment = Containment("", 0, max(recording.time_ms, child.containment.since_ms))
    child.custody = stands.custody
    child.sighting = stands.sighting


def free(recording: Recording, item_id: str, item: Item) -> bool:
    """Make a thing that the event moves or ends stand alone; False where it rides in another thing it names.

    Acting on a thing that is still packed takes it out and is flagged.
    """
    if not item.containment.parent:
        return True
    around = ancestors(recording.register.item, item_id)
    if any(container_id in recording.moved for container_id, _ in around):
        return False
    if recording.time_ms < item.containment.since_ms:
        return False
    if around[0][1].status is not ItemStatus.DECOMMISSIONED:
        recording.flag(FlagCode.CONTAINER_NOT_UNPACKED, item_id)
    take_out(recording, item_id, item)
    return True


# --- pages ---------------------------------------------------------------------


def list_child(register: Register, container_id: str, container: Item, child: Child) -> int:
    """Add an entry to a container; the page where it stands."""
    contents = container.contents
    last = contents.pages - 1
    if last < 0 or len(register.children(container_id, last)) == PAGE_CHILDREN:
        last += 1
    register.children(container_id, last).append(child)
    container.contents = Contents(contents.entries + 1, last + 1, max(contents.levels, 1))
    return last


def unlist_child(register: Register, container_id: str, container: Item, child: Child, page: int) -> None:
    """Remove an entry of a container from the page where it stands."""
    register.children(container_id, page).remove(child)
    contents = container.contents
    if contents.entries == 1:
        container.contents = EMPTY
    else:
        container.contents = Contents(contents.entries - 1, contents.pages, contents.levels)


def entries(register: Register, container_id: str, container: Item) -> Iterator[Child]:
    """Every entry of a container in listing order, as it is when its page is reached."""
    for page in range(container.contents.pages):
        yield from tuple(register.children(container_id, page))


def _is_room(recording: Recording, child_id: str, child: Item, parent_id: str) -> bool:
    around = ancestors(recording.register.item, parent_id)
    if child_id == parent_id or any(container_id == child_id for container_id, _ in around):
        recording.flag(FlagCode.CONTAINER_CYCLE, child_id)
        return False
    if len(around) + 1 + child.contents.levels > DEPTH_MAX:
        recording.flag(FlagCode.CONTAINER_TOO_DEEP, child_id)
        return False
    return True


def _raise_levels(register: Register, container_id: str, container: Item, levels: int) -> None:
    """Let a container and those around it know how deep they are now at least."""
    around = [(container_id, container), *ancestors(register.item, container_id)]
    for _, each in around:
        if each.contents.levels >= levels:
            return
        each.contents = msgspec.structs.replace(each.contents, levels=levels)
        levels += 1
