"""What each kind of event does to the books.

ADD creates, DELETE ends, OBSERVE changes nothing but place, condition and custody; packing moves
nothing out of the lot; a transformation uses up its inputs and makes its outputs. An error declaration
changes nothing yet: it is recorded, and what it says of the original is shown with it.

Source: EPCIS 2.0 section 7.4; docs/concepts/provenance.md.
"""

from __future__ import annotations

from typing import Final, assert_never

from contracts.epcis.event import Action, Kind, Quantity
from contracts.provenance import containers, custody, lots
from contracts.provenance.custody import Move
from contracts.provenance.flags import FlagCode
from contracts.provenance.history import Part
from contracts.provenance.items import Attachment, Custody, Item, ItemKind, ItemStatus
from contracts.provenance.links import LinkKind, Member, add_link, join_session
from contracts.provenance.lots import Amount
from contracts.provenance.quantities import quantity_text
from contracts.provenance.recording import Recording

_SALES: Final = ("retail_selling", "dispensing")
_SOLD: Final = ("retail_sold", "dispensed")
_GONE: Final = ("destroyed", "disposed")
_TOTAL_OF: Final = {
    ItemStatus.CONSUMED: "consumed",
    ItemStatus.DESTROYED: "destroyed",
    ItemStatus.DECOMMISSIONED: "destroyed",
    ItemStatus.SOLD: "sold",
}


def apply(recording: Recording) -> None:
    """Change the books as the event says."""
    _check_places(recording)
    if recording.event.error_declaration is not None:
        _declare(recording)
        return
    match recording.event.kind:
        case Kind.OBJECT:
            _object(recording)
        case Kind.AGGREGATION:
            _aggregation(recording)
        case Kind.TRANSACTION:
            _transaction(recording)
        case Kind.TRANSFORMATION:
            _transformation(recording)
        case Kind.ASSOCIATION:
            _association(recording)
        case _ as never:
            assert_never(never)


# --- the five kinds ---------------------------------------------------------------


def _object(recording: Recording) -> None:
    event = recording.event
    for item_id in event.epcs:
        _object_thing(recording, item_id)
    for quantity in event.quantities:
        _object_quantity(recording, quantity)


def _object_thing(recording: Recording, item_id: str) -> None:
    action = recording.event.action
    is_new = recording.register.item(item_id) is None
    part = _PART_OF[action or Action.OBSERVE]
    item = recording.meet(item_id, part, is_made=action is Action.ADD)
    if item.is_counted:
        recording.flag(FlagCode.LOT_UNSPECIFIED_QUANTITY, item_id)
        return
    move = custody.move_of(recording.event)
    if action is Action.ADD:
        commission(recording, item_id, item)
        if move is Move.SEND:
            custody.move_thing(recording, item_id, item, move, is_new=False)
    elif _end(recording) is not None:
        end(recording, item_id, item, _end(recording) or ItemStatus.DECOMMISSIONED)
    elif move is not None:
        custody.move_thing(recording, item_id, item, move, is_new)
    recording.sight(item)


def _object_quantity(recording: Recording, quantity: Quantity) -> None:
    action = recording.event.action
    part = _PART_OF[action or Action.OBSERVE]
    lot = recording.meet(quantity.epc_class, part, is_quantity=True, is_made=action is Action.ADD)
    recording.sight(lot)
    ending, move = _end(recording), custody.move_of(recording.event)
    if action is Action.ADD:
        _make_lot(recording, quantity.epc_class, lot)
    elif ending is None and move is None:
        return
    amount = lots.check_amount(recording, quantity.epc_class, lot, quantity.quantity, quantity.uom)
    if amount is None:
        return
    on_hand = lots.on_hand(recording.organisation, amount.uom)
    if action is Action.ADD:
        lots.produce(recording, amount, on_hand)
    if ending is not None:
        lots.use_up(recording, amount, on_hand, _TOTAL_OF[ending])
    elif move is Move.SEND or (move is not None and action is not Action.ADD):
        custody.move_amount(recording, amount, move)


def _aggregation(recording: Recording) -> None:
    event = recording.event
    if event.parent is not None:
        _meet_container(recording, event.parent)
    match event.action:
        case Action.ADD:
            assert event.parent is not None, "validation asks for it"
            _pack_all(recording, event.parent)
        case Action.DELETE:
            assert event.parent is not None, "validation asks for it"
            _unpack(recording, event.parent)
        case _:
            _look_inside(recording)


def _transaction(recording: Recording) -> None:
    event = recording.event
    part = Part.UNLINKED if event.action is Action.DELETE else Part.LINKED
    move = custody.move_of(event)
    for item_id in (*((event.parent,) if event.parent else ()), *event.epcs):
        is_new = recording.register.item(item_id) is None
        item = recording.meet(item_id, part)
        if move is not None and not item.is_counted:
            custody.move_thing(recording, item_id, item, move, is_new)
        recording.sight(item)
    for quantity in event.quantities:
        lot = recording.meet(quantity.epc_class, part, is_quantity=True)
        recording.sight(lot)
        if move is not None:
            amount = lots.check_amount(recording, quantity.epc_class, lot, quantity.quantity, quantity.uom)
            if amount is not None:
                custody.move_amount(recording, amount, move)


def _transformation(recording: Recording) -> None:
    event = recording.event
    for item_id in event.inputs:
        item = recording.meet(item_id, Part.INPUT)
        if item.is_counted:
            recording.flag(FlagCode.LOT_UNSPECIFIED_QUANTITY, item_id)
        else:
            end(recording, item_id, item, ItemStatus.CONSUMED)
            recording.sight(item)
    for quantity in event.input_quantities:
        lot = recording.meet(quantity.epc_class, Part.INPUT, is_quantity=True)
        amount = lots.check_amount(recording, quantity.epc_class, lot, quantity.quantity, quantity.uom)
        if amount is not None:
            on_hand = lots.on_hand(recording.organisation, amount.uom)
            lots.use_up(recording, amount, on_hand, "consumed")
    for item_id in event.outputs:
        item = recording.meet(item_id, Part.OUTPUT, is_made=True)
        if item.is_counted:
            _make_lot(recording, item_id, item)
            recording.flag(FlagCode.LOT_UNSPECIFIED_QUANTITY, item_id)
        else:
            commission(recording, item_id, item)
            recording.sight(item)
    for quantity in event.output_quantities:
        lot = recording.meet(quantity.epc_class, Part.OUTPUT, is_quantity=True, is_made=True)
        _make_lot(recording, quantity.epc_class, lot)
        recording.sight(lot)
        amount = lots.check_amount(recording, quantity.epc_class, lot, quantity.quantity, quantity.uom)
        if amount is not None:
            lots.produce(recording, amount, lots.on_hand(recording.organisation, amount.uom))
    _link_transformation(recording)


def _association(recording: Recording) -> None:
    event = recording.event
    assert event.parent is not None, "validation asks for it"
    carrier = recording.meet(event.parent, Part.CARRIER, is_made=event.action is Action.ADD)
    recording.sight(carrier)
    if event.action is Action.DELETE and not event.children and not event.child_quantities:
        carrier.session += 1
    parts = {Action.ADD: Part.ATTACHED, Action.DELETE: Part.DETACHED}
    part = parts.get(event.action or Action.OBSERVE, Part.OBSERVED)
    for child_id in event.children:
        child = recording.meet(child_id, part)
        recording.sight(child)
        if recording.time_ms < child.attachment.since_ms:
            continue
        if part is Part.ATTACHED:
            child.attachment = Attachment(event.parent, carrier.session, recording.time_ms)
        elif part is Part.DETACHED and child.attachment.parent == event.parent:
            child.attachment = Attachment("", 0, recording.time_ms)
    for quantity in event.child_quantities:
        recording.meet(quantity.epc_class, part, is_quantity=True)
    if part is not Part.OBSERVED:
        kind = LinkKind.ATTACH if part is Part.ATTACHED else LinkKind.DETACH
        _link_children(recording, kind, (*_things(event.children), *_amounts(event.child_quantities)))


def _declare(recording: Recording) -> None:
    """An error declaration names the same items as its original: it joins their histories, no more."""
    event = recording.event
    things = (*event.epcs, *event.children, *event.inputs, *event.outputs)
    for item_id in (*((event.parent,) if event.parent else ()), *things):
        recording.meet(item_id, Part.DECLARATION)
    quantities = (*event.quantities, *event.child_quantities, *event.input_quantities)
    for quantity in (*quantities, *event.output_quantities):
        recording.meet(quantity.epc_class, Part.DECLARATION, is_quantity=True)


# --- making and ending --------------------------------------------------------------


def commission(recording: Recording, item_id: str, item: Item) -> None:
    """A thing comes into being at the organisation's."""
    if item.commissioned:
        recording.flag(FlagCode.ITEM_COMMISSIONED_TWICE, item_id)
    _check_prefix(recording, item_id)
    item.commissioned = True
    item.maker = item.maker or recording.organisation
    item.owner = item.owner or recording.organisation
    item.status = ItemStatus.ACTIVE
    if recording.time_ms >= item.custody.since_ms:
        item.custody = Custody(recording.organisation, None, recording.time_ms)


def end(recording: Recording, item_id: str, item: Item, status: ItemStatus) -> None:
    """A thing is no more. What ends together with its container stays in it."""
    if containers.free(recording, item_id, item):
        custody.act(recording, item_id, item)
    if item.status is ItemStatus.ACTIVE:
        item.status = status
        item.ended_ms = recording.time_ms


def _make_lot(recording: Recording, lot_id: str, lot: Item) -> None:
    """More of a lot comes into being. One organisation may add to its lot as often as it likes."""
    if lot.kind is ItemKind.LOT and lot.maker not in ("", recording.organisation):
        recording.flag(FlagCode.ITEM_COMMISSIONED_TWICE, lot_id)
    _check_prefix(recording, lot_id)
    lot.commissioned = True
    lot.maker = lot.maker or recording.organisation
    lot.owner = lot.owner or recording.organisation


def _end(recording: Recording) -> ItemStatus | None:
    """How an ObjectEvent ends what it names, if it does."""
    event = recording.event
    if event.action is Action.ADD:
        return None
    if event.biz_step in _SALES:
        return ItemStatus.SOLD
    if event.action is not Action.DELETE:
        return None
    if event.disposition in _SOLD:
        return ItemStatus.SOLD
    if event.biz_step == "destroying" or event.disposition in _GONE:
        return ItemStatus.DESTROYED
    return ItemStatus.DECOMMISSIONED


# --- packing -----------------------------------------------------------------------


def _meet_container(recording: Recording, container_id: str) -> None:
    event = recording.event
    is_new = recording.register.item(container_id) is None
    container = recording.meet(container_id, Part.CONTAINER, is_made=event.action is Action.ADD)
    move = custody.move_of(event)
    if event.action is Action.ADD and is_new:
        commission(recording, container_id, container)
    elif event.action is not Action.OBSERVE:
        custody.act(recording, container_id, container)
    if move is Move.SEND or (move is not None and event.action is Action.OBSERVE):
        custody.move_thing(recording, container_id, container, move, is_new)
    recording.sight(container)
    if event.action is Action.ADD and container.kind is ItemKind.INSTANCE:
        container.kind = ItemKind.CONTAINER


def _pack_all(recording: Recording, container_id: str) -> None:
    event = recording.event
    for child_id in event.children:
        child = recording.meet(child_id, Part.PACKED)
        _pack_thing(recording, child_id, child, container_id)
    for quantity in event.child_quantities:
        lot = recording.meet(quantity.epc_class, Part.PACKED, is_quantity=True)
        recording.sight(lot)
        amount = lots.check_amount(recording, quantity.epc_class, lot, quantity.quantity, quantity.uom)
        if amount is not None:
            source = lots.on_hand(recording.organisation, amount.uom)
            lots.move(recording, amount, source, lots.packed(container_id, amount.uom))
    members = (*_things(event.children), *_amounts(event.child_quantities))
    _link_children(recording, LinkKind.PACK, members)


def _pack_thing(recording: Recording, child_id: str, child: Item, container_id: str) -> None:
    container = recording.register.item(container_id)
    assert container is not None, "the event named it"
    if child.is_counted:
        recording.flag(FlagCode.LOT_UNSPECIFIED_QUANTITY, child_id)
        return
    if not child.containment.parent:
        custody.act(recording, child_id, child)
    containers.pack(recording, child_id, child, container_id, container)
    recording.sight(child)


def _unpack(recording: Recording, container_id: str) -> None:
    event = recording.event
    container = recording.register.item(container_id)
    assert container is not None, "the event named it"
    if not event.children and not event.child_quantities:
        _unpack_all(recording, container_id, container)
        return
    for child_id in event.children:
        child = recording.meet(child_id, Part.UNPACKED)
        _unpack_thing(recording, child_id, child, container_id)
    for quantity in event.child_quantities:
        lot = recording.meet(quantity.epc_class, Part.UNPACKED, is_quantity=True)
        recording.sight(lot)
        amount = lots.check_amount(recording, quantity.epc_class, lot, quantity.quantity, quantity.uom)
        if amount is not None:
            _unpack_amount(recording, amount, container_id)
    members = (*_things(event.children), *_amounts(event.child_quantities))
    _link_children(recording, LinkKind.UNPACK, members)


def _unpack_all(recording: Recording, container_id: str, container: Item) -> None:
    """Everything that is inside comes out, as if the event had named it."""
    members: list[Member] = []
    for entry in tuple(containers.entries(recording.register, container_id, container)):
        child = recording.meet(entry.id, Part.UNPACKED, is_quantity=entry.uom is not None)
        if entry.uom is None:
            _unpack_thing(recording, entry.id, child, container_id)
            members.append(Member(entry.id, None, None))
            continue
        inside = lots.packed(container_id, entry.uom)
        quantity = lots.quantity_in(recording.register, entry.id, inside)
        members.append(Member(entry.id, quantity_text(quantity), entry.uom))
        recording.sight(child)
        _unpack_amount(recording, Amount(entry.id, child, quantity, entry.uom), container_id)
    _link_children(recording, LinkKind.UNPACK, tuple(members))


def _unpack_thing(recording: Recording, child_id: str, child: Item, container_id: str) -> None:
    if recording.time_ms >= child.containment.since_ms:
        if child.containment.parent == container_id:
            containers.take_out(recording, child_id, child)
            child.custody = _held(recording, child.custody)
        else:
            recording.flag(FlagCode.CONTAINER_NOT_INSIDE, child_id)
    recording.sight(child)


def _unpack_amount(recording: Recording, amount: Amount, container_id: str) -> None:
    target = lots.on_hand(recording.organisation, amount.uom)
    lots.move(recording, amount, lots.packed(container_id, amount.uom), target)


def _held(recording: Recording, before: Custody) -> Custody:
    """Custody of what somebody took out; whoever it belonged to was flagged with the container."""
    if recording.time_ms < before.since_ms:
        return before
    return Custody(recording.organisation, None, recording.time_ms)


def _look_inside(recording: Recording) -> None:
    """An OBSERVE says what is inside; the books stay, a difference is flagged."""
    event = recording.event
    for child_id in event.children:
        child = recording.meet(child_id, Part.OBSERVED)
        is_late = recording.time_ms < child.containment.since_ms
        if event.parent and not is_late and not child.is_counted:
            if child.containment.parent != event.parent:
                recording.flag(FlagCode.CONTAINER_NOT_INSIDE, child_id)
        recording.sight(child)
    for quantity in event.child_quantities:
        lot = recording.meet(quantity.epc_class, Part.OBSERVED, is_quantity=True)
        recording.sight(lot)


# --- checks and links ----------------------------------------------------------------


def _check_places(recording: Recording) -> None:
    event = recording.event
    for place in dict.fromkeys((event.read_point, event.biz_location)):
        if place is not None:
            owner = recording.register.organisation_of(place)
            if owner not in (None, recording.organisation):
                recording.flag(FlagCode.SITE_NOT_OWNED, place)


def _check_prefix(recording: Recording, item_id: str) -> None:
    if not recording.register.is_own_identifier(item_id):
        recording.flag(FlagCode.PREFIX_NOT_OWNED, item_id)


def _link_children(recording: Recording, kind: LinkKind, members: tuple[Member, ...]) -> None:
    event = recording.event
    state = recording.register.state
    add_link(state, recording.key, kind, event.event_time_ms, event.parent or "", members)


def _link_transformation(recording: Recording) -> None:
    event, state = recording.event, recording.register.state
    session = event.transformation_id or ""
    inputs = (*_things(event.inputs), *_amounts(event.input_quantities))
    outputs = (*_things(event.outputs), *_amounts(event.output_quantities))
    kind = LinkKind.TRANSFORM
    add_link(state, recording.key, kind, event.event_time_ms, "", inputs, outputs, session)
    if session and not join_session(state, session, recording.key):
        recording.flag(FlagCode.TRANSFORMATION_TOO_LONG, session)


def _things(item_ids: tuple[str, ...]) -> tuple[Member, ...]:
    return tuple([Member(item_id, None, None) for item_id in item_ids])


def _amounts(quantities: tuple[Quantity, ...]) -> tuple[Member, ...]:
    return tuple(
        [
            Member(
                each.epc_class,
                "" if each.quantity is None else quantity_text(each.quantity),
                each.uom or "",
            )
            for each in quantities
        ]
    )


_PART_OF: Final = {Action.ADD: Part.CREATED, Action.OBSERVE: Part.OBSERVED, Action.DELETE: Part.ENDED}
