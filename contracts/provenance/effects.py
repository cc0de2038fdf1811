"""What each kind of event does to the books.

ADD creates, DELETE ends, OBSERVE changes nothing but place, condition and custody; packing (`packing`)
moves nothing out of a lot; a transformation (`transforming`) uses up its inputs and makes its outputs.
An error declaration changes nothing yet: it is recorded, and shown with the original that it calls wrong.

Source: EPCIS 2.0 section 7.4; docs/concepts/provenance.md.
"""

from __future__ import annotations

from typing import Final, assert_never

from contracts.epcis.event import Action, Kind, Quantity
from contracts.provenance import custody, lots
from contracts.provenance.custody import Move
from contracts.provenance.flags import FlagCode
from contracts.provenance.history import Part
from contracts.provenance.items import Attachment, ItemStatus
from contracts.provenance.links import LinkKind, add_link, amounts, things
from contracts.provenance.making import add_to_lot, commission, end
from contracts.provenance.packing import apply_aggregation
from contracts.provenance.recording import Recording
from contracts.provenance.transforming import apply_transformation

_SALES: Final = ("retail_selling", "dispensing")
_SOLD: Final = ("retail_sold", "dispensed")
_GONE: Final = ("destroyed", "disposed")
_PART_OF: Final = {Action.ADD: Part.CREATED, Action.OBSERVE: Part.OBSERVED, Action.DELETE: Part.ENDED}
_ASSOCIATED: Final = {
    Action.ADD: Part.ATTACHED,
    Action.OBSERVE: Part.OBSERVED,
    Action.DELETE: Part.DETACHED,
}
_TOTAL_OF: Final = {
    ItemStatus.DESTROYED: "destroyed",
    ItemStatus.DECOMMISSIONED: "destroyed",
    ItemStatus.SOLD: "sold",
}


def apply(recording: Recording) -> None:
    """Change the books as the event says."""
    _check_places(recording)
    if recording.event.error_declaration is not None:
        _apply_declaration(recording)
        return
    match recording.event.kind:
        case Kind.OBJECT:
            _apply_object(recording)
        case Kind.AGGREGATION:
            apply_aggregation(recording)
        case Kind.TRANSACTION:
            _apply_transaction(recording)
        case Kind.TRANSFORMATION:
            apply_transformation(recording)
        case Kind.ASSOCIATION:
            _apply_association(recording)
        case _ as never:
            assert_never(never)


# --- ObjectEvent ------------------------------------------------------------------


def _apply_object(recording: Recording) -> None:
    action = recording.event.action
    assert action is not None, "validation asks for it"
    for item_id in recording.event.epcs:
        _apply_to_thing(recording, action, item_id)
    for quantity in recording.event.quantities:
        _apply_to_quantity(recording, action, quantity)


def _apply_to_thing(recording: Recording, action: Action, item_id: str) -> None:
    item = recording.meet(item_id, _PART_OF[action], is_made=action is Action.ADD)
    ending, move = _ending(recording), _move(recording)
    if item.is_counted:
        recording.flag(FlagCode.LOT_UNSPECIFIED_QUANTITY, item_id)
    else:
        if action is Action.ADD:
            commission(recording, item_id, item)
        if ending is not None:
            end(recording, item_id, item, ending)
        elif move is not None:
            custody.move_thing(recording, item_id, item, move)
    recording.sight(item)


def _apply_to_quantity(recording: Recording, action: Action, quantity: Quantity) -> None:
    is_made = action is Action.ADD
    lot = recording.meet(quantity.epc_class, _PART_OF[action], is_quantity=True, is_made=is_made)
    recording.sight(lot)
    ending, move = _ending(recording), _move(recording)
    if is_made:
        add_to_lot(recording, quantity.epc_class, lot)
    elif ending is None and move is None:
        return
    amount = lots.check_amount(recording, quantity, lot)
    if amount is None:
        return
    on_hand = lots.on_hand(recording.organisation, amount.uom)
    if is_made:
        lots.produce(recording, amount, on_hand)
    if ending is not None:
        lots.use_up(recording, amount, on_hand, _TOTAL_OF[ending])
    elif move is not None:
        custody.move_amount(recording, amount, move)


def _ending(recording: Recording) -> ItemStatus | None:
    """How an ObjectEvent ends what it names, if it does. A sale ends, whatever its action."""
    event = recording.event
    if event.action is Action.ADD:
        return None
    if event.biz_step in _SALES:
        return ItemStatus.SOLD
    if event.action is Action.OBSERVE:
        return None
    if event.disposition in _SOLD:
        return ItemStatus.SOLD
    if event.biz_step == "destroying" or event.disposition in _GONE:
        return ItemStatus.DESTROYED
    return ItemStatus.DECOMMISSIONED


def _move(recording: Recording) -> Move | None:
    """What an ObjectEvent does to custody. What is created on receipt is at the receiver's already."""
    move = custody.move_of(recording.event)
    return None if recording.event.action is Action.ADD and move is not Move.SEND else move


# --- the other kinds ----------------------------------------------------------------


def _apply_transaction(recording: Recording) -> None:
    event = recording.event
    part = Part.UNLINKED if event.action is Action.DELETE else Part.LINKED
    move = custody.move_of(event)
    for item_id in (*((event.parent,) if event.parent else ()), *event.epcs):
        item = recording.meet(item_id, part)
        if move is not None and not item.is_counted:
            custody.move_thing(recording, item_id, item, move)
        recording.sight(item)
    for quantity in event.quantities:
        lot = recording.meet(quantity.epc_class, part, is_quantity=True)
        recording.sight(lot)
        amount = lots.check_amount(recording, quantity, lot) if move is not None else None
        if move is not None and amount is not None:
            custody.move_amount(recording, amount, move)


def _apply_association(recording: Recording) -> None:
    event = recording.event
    assert event.action is not None, "validation asks for it"
    assert event.parent is not None, "and for the parent"
    carrier = recording.meet(event.parent, Part.CARRIER, is_made=event.action is Action.ADD)
    recording.sight(carrier)
    if event.action is Action.DELETE and not event.children and not event.child_quantities:
        carrier.session += 1
    part = _ASSOCIATED[event.action]
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
        members = (*things(event.children), *amounts(event.child_quantities))
        add_link(recording.register.state, recording.key, kind, recording.time_ms, event.parent, members)


def _apply_declaration(recording: Recording) -> None:
    """An error declaration names the same items as its original: it joins their histories, no more."""
    event = recording.event
    named = (*event.epcs, *event.children, *event.inputs, *event.outputs)
    for item_id in (*((event.parent,) if event.parent else ()), *named):
        recording.meet(item_id, Part.DECLARATION)
    quantities = (*event.quantities, *event.child_quantities, *event.input_quantities)
    for quantity in (*quantities, *event.output_quantities):
        recording.meet(quantity.epc_class, Part.DECLARATION, is_quantity=True)


def _check_places(recording: Recording) -> None:
    event = recording.event
    for place in dict.fromkeys((event.read_point, event.biz_location)):
        if place is not None:
            owner = recording.register.organisation_of(place)
            if owner not in (None, recording.organisation):
                recording.flag(FlagCode.SITE_NOT_OWNED, place)
