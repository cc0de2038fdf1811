"""How things and lots come into being, and how things end."""

from __future__ import annotations

from contracts.provenance import containers, custody
from contracts.provenance.flags import FlagCode
from contracts.provenance.items import Custody, Item, ItemKind, ItemStatus
from contracts.provenance.recording import Recording


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


def add_to_lot(recording: Recording, lot_id: str, lot: Item) -> None:
    """More of a lot comes into being. One organisation may add to its lot as often as it likes."""
    if lot.kind is ItemKind.LOT and lot.maker not in ("", recording.organisation):
        recording.flag(FlagCode.ITEM_COMMISSIONED_TWICE, lot_id)
    _check_prefix(recording, lot_id)
    lot.commissioned = True
    lot.maker = lot.maker or recording.organisation
    lot.owner = lot.owner or recording.organisation


def end(recording: Recording, item_id: str, item: Item, status: ItemStatus) -> None:
    """A thing is no more. What ends together with its container stays in it."""
    if containers.free(recording, item_id, item):
        custody.act(recording, item_id, item)
    if item.status is ItemStatus.ACTIVE:
        item.status = status
        item.ended_ms = recording.time_ms


def _check_prefix(recording: Recording, item_id: str) -> None:
    if not recording.register.is_own_identifier(item_id):
        recording.flag(FlagCode.PREFIX_NOT_OWNED, item_id)
