"""What an AggregationEvent does: things and quantities go into a container, come out, or are seen inside.

Packing moves nothing out of a lot: its quantity goes from loose on hand to packed, wherever the container is.
"""

from __future__ import annotations

from contracts.epcis.event import Action, Quantity
from contracts.provenance import containers, custody, lots
from contracts.provenance.custody import Move
from contracts.provenance.flags import FlagCode
from contracts.provenance.history import Part
from contracts.provenance.items import Custody, Item, ItemKind
from contracts.provenance.links import LinkKind, Member, add_link, amounts, things
from contracts.provenance.lots import Amount
from contracts.provenance.making import commission
from contracts.provenance.quantities import quantity_text
from contracts.provenance.recording import Recording


def apply_aggregation(recording: Recording) -> None:
    """Change the books as an AggregationEvent says."""
    parent = recording.event.parent
    if parent is not None:
        _meet_container(recording, parent)
    match recording.event.action:
        case Action.ADD:
            assert parent is not None, "validation asks for it"
            _pack(recording, parent)
        case Action.DELETE:
            assert parent is not None, "validation asks for it"
            _unpack(recording, parent)
        case _:
            _look_inside(recording)


def _meet_container(recording: Recording, container_id: str) -> None:
    event = recording.event
    is_packing = event.action is Action.ADD
    container = recording.meet(container_id, Part.CONTAINER, is_made=is_packing)
    move = custody.move_of(event)
    if is_packing and recording.is_new(container_id):
        commission(recording, container_id, container)
    elif event.action is not Action.OBSERVE:
        custody.act(recording, container_id, container)
    if move is Move.SEND or (move is not None and event.action is Action.OBSERVE):
        custody.move_thing(recording, container_id, container, move)
    recording.sight(container)
    if is_packing and container.kind is ItemKind.INSTANCE:
        container.kind = ItemKind.CONTAINER


def _pack(recording: Recording, container_id: str) -> None:
    event = recording.event
    container = recording.register.item(container_id)
    assert container is not None, "the event named it"
    for child_id in event.children:
        child = recording.meet(child_id, Part.PACKED)
        _pack_thing(recording, child_id, child, container_id, container)
        recording.sight(child)
    for quantity in event.child_quantities:
        amount = _meet_amount(recording, quantity, Part.PACKED)
        if amount is not None:
            source = lots.on_hand(recording.organisation, amount.uom)
            lots.move(recording, amount, source, lots.packed(container_id, amount.uom))
    _link(recording, LinkKind.PACK, (*things(event.children), *amounts(event.child_quantities)))


def _pack_thing(recording: Recording, child_id: str, child: Item, container_id: str, container: Item) -> None:
    if child.is_counted:
        recording.flag(FlagCode.LOT_UNSPECIFIED_QUANTITY, child_id)
        return
    custody.act(recording, child_id, child)
    containers.pack(recording, child_id, child, container_id, container)


def _unpack(recording: Recording, container_id: str) -> None:
    event = recording.event
    if not event.children and not event.child_quantities:
        _unpack_all(recording, container_id)
        return
    for child_id in event.children:
        child = recording.meet(child_id, Part.UNPACKED)
        _unpack_thing(recording, child_id, child, container_id)
        recording.sight(child)
    for quantity in event.child_quantities:
        amount = _meet_amount(recording, quantity, Part.UNPACKED)
        if amount is not None:
            _unpack_amount(recording, amount, container_id)
    _link(recording, LinkKind.UNPACK, (*things(event.children), *amounts(event.child_quantities)))


def _unpack_all(recording: Recording, container_id: str) -> None:
    """Everything that is inside comes out, as if the event had named it."""
    container = recording.register.item(container_id)
    assert container is not None, "the event named it"
    members: list[Member] = []
    for entry in tuple(containers.entries(recording.register, container_id, container)):
        child = recording.meet(entry.id, Part.UNPACKED)
        if entry.uom is None:
            _unpack_thing(recording, entry.id, child, container_id)
            members.append(Member(entry.id, None, None))
        else:
            inside = lots.packed(container_id, entry.uom)
            quantity = lots.quantity_in(recording.register, entry.id, inside)
            _unpack_amount(recording, Amount(entry.id, child, quantity, entry.uom), container_id)
            members.append(Member(entry.id, quantity_text(quantity), entry.uom))
        recording.sight(child)
    _link(recording, LinkKind.UNPACK, tuple(members))


def _unpack_thing(recording: Recording, child_id: str, child: Item, container_id: str) -> None:
    if recording.time_ms < child.containment.since_ms:
        return
    if child.containment.parent == container_id:
        containers.take_out(recording, child_id, child)
        # Whoever had it before was flagged with the container.
        if recording.time_ms >= child.custody.since_ms:
            child.custody = Custody(recording.organisation, None, recording.time_ms)
    elif not recording.is_new(child_id):
        recording.flag(FlagCode.CONTAINER_NOT_INSIDE, child_id)


def _unpack_amount(recording: Recording, amount: Amount, container_id: str) -> None:
    target = lots.on_hand(recording.organisation, amount.uom)
    lots.move(recording, amount, lots.packed(container_id, amount.uom), target)


def _look_inside(recording: Recording) -> None:
    """An OBSERVE says what is inside; the books stay, a difference is flagged."""
    event = recording.event
    for child_id in event.children:
        child = recording.meet(child_id, Part.OBSERVED)
        is_comparable = not recording.is_new(child_id) and not child.is_counted
        if event.parent and is_comparable and recording.time_ms >= child.containment.since_ms:
            if child.containment.parent != event.parent:
                recording.flag(FlagCode.CONTAINER_NOT_INSIDE, child_id)
        recording.sight(child)
    for quantity in event.child_quantities:
        recording.sight(recording.meet(quantity.epc_class, Part.OBSERVED, is_quantity=True))


def _meet_amount(recording: Recording, quantity: Quantity, part: Part) -> Amount | None:
    lot = recording.meet(quantity.epc_class, part, is_quantity=True)
    recording.sight(lot)
    return lots.check_amount(recording, quantity, lot)


def _link(recording: Recording, kind: LinkKind, members: tuple[Member, ...]) -> None:
    parent = recording.event.parent or ""
    add_link(recording.register.state, recording.key, kind, recording.time_ms, parent, members)
