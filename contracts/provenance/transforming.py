"""What a TransformationEvent does: inputs are used up, outputs come into being, and both are linked."""

from __future__ import annotations

from contracts.provenance import lots
from contracts.provenance.flags import FlagCode
from contracts.provenance.history import Part
from contracts.provenance.items import ItemStatus
from contracts.provenance.links import LinkKind, add_link, amounts, join_session, things
from contracts.provenance.making import add_to_lot, commission, end
from contracts.provenance.recording import Recording


def apply_transformation(recording: Recording) -> None:
    """Change the books as a TransformationEvent says."""
    _use_up(recording)
    _bring_forth(recording)
    _link(recording)


def _use_up(recording: Recording) -> None:
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
        recording.sight(lot)
        amount = lots.check_amount(recording, quantity, lot)
        if amount is not None:
            lots.use_up(recording, amount, lots.on_hand(recording.organisation, amount.uom), "consumed")


def _bring_forth(recording: Recording) -> None:
    event = recording.event
    for item_id in event.outputs:
        item = recording.meet(item_id, Part.OUTPUT, is_made=True)
        if item.is_counted:
            add_to_lot(recording, item_id, item)
            recording.flag(FlagCode.LOT_UNSPECIFIED_QUANTITY, item_id)
        else:
            commission(recording, item_id, item)
        recording.sight(item)
    for quantity in event.output_quantities:
        lot = recording.meet(quantity.epc_class, Part.OUTPUT, is_quantity=True, is_made=True)
        add_to_lot(recording, quantity.epc_class, lot)
        recording.sight(lot)
        amount = lots.check_amount(recording, quantity, lot)
        if amount is not None:
            lots.produce(recording, amount, lots.on_hand(recording.organisation, amount.uom))


def _link(recording: Recording) -> None:
    event, state = recording.event, recording.register.state
    session = event.transformation_id or ""
    inputs = (*things(event.inputs), *amounts(event.input_quantities))
    outputs = (*things(event.outputs), *amounts(event.output_quantities))
    kind = LinkKind.TRANSFORM
    add_link(state, recording.key, kind, event.event_time_ms, "", inputs, outputs, session)
    if session and not join_session(state, session, recording.key):
        recording.flag(FlagCode.TRANSFORMATION_TOO_LONG, session)
