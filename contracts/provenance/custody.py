"""Who has the goods, and who they are on their way to.

Custody follows the business step: `shipping` sends, `receiving` and `accepting` take in, `void_shipping`
takes back. Whoever packs, unpacks, uses up, sells or destroys goods has them, whatever the books said; the
difference is flagged. Party identifiers become members where a member is known behind them.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from contracts.epcis.event import Event, Typed
from contracts.provenance import lots
from contracts.provenance.containers import ancestors, effective, free
from contracts.provenance.flags import FlagCode
from contracts.provenance.items import Custody, Item
from contracts.provenance.lots import AccountKind, Amount
from contracts.provenance.recording import Recording
from contracts.provenance.register import Register

RIDING_ACCOUNTS_MAX: Final = 256  # accounts of one lot looked through for a container that carries it


class Move(Enum):
    """What a business step does to custody."""

    SEND = "send"
    TAKE_IN = "take in"
    TAKE_BACK = "take back"


_MOVES: Final = {
    "shipping": Move.SEND,
    "receiving": Move.TAKE_IN,
    "accepting": Move.TAKE_IN,
    "void_shipping": Move.TAKE_BACK,
}


def move_of(event: Event) -> Move | None:
    """What the event does to custody."""
    return _MOVES.get(event.biz_step or "")


def recipient_of(register: Register, event: Event) -> str:
    """Who is to possess the goods, else who runs the place that they are sent to; "" if neither is said."""
    party = _first(event.destinations, "possessing_party")
    if party:
        return register.organisation_of(party) or party
    place = _first(event.destinations, "location")
    return (register.organisation_of(place) or "") if place else ""


def act(recording: Recording, item_id: str, item: Item) -> None:
    """Let the organisation have what it acts on; flag it where somebody else had it or it was on its way."""
    stands = effective(recording.register.item, item_id, item)
    if recording.time_ms < stands.custody.since_ms:
        return
    _flag_foreign(recording, item_id, stands.custody)
    if stands.outermost == item_id:
        item.custody = Custody(recording.organisation, None, recording.time_ms)


def move_thing(recording: Recording, item_id: str, item: Item, move: Move) -> None:
    """Change custody of one thing. That nothing was known of it before is flag enough."""
    is_new = recording.is_new(item_id)
    if not free(recording, item_id, item) or recording.time_ms < item.custody.since_ms:
        return
    match move:
        case Move.SEND:
            _flag_foreign(recording, item_id, item.custody)
            recipient = recipient_of(recording.register, recording.event)
            item.custody = Custody(recording.organisation, recipient, recording.time_ms)
        case Move.TAKE_IN:
            if not is_new:
                _flag_unexpected(recording, item_id, item.custody)
            item.custody = Custody(recording.organisation, None, recording.time_ms)
            owner = _first(recording.event.destinations, "owning_party")
            if owner:
                item.owner = recording.register.organisation_of(owner) or owner
        case Move.TAKE_BACK:
            if item.custody.recipient is None and not is_new:
                recording.flag(FlagCode.CUSTODY_NOT_IN_TRANSIT, item_id)
            if item.custody.holder not in ("", recording.organisation):
                recording.flag(FlagCode.CUSTODY_NOT_HOLDER, item_id)
            item.custody = Custody(recording.organisation, None, recording.time_ms)


def move_amount(recording: Recording, amount: Amount, move: Move) -> None:
    """Change custody of a loose quantity of a lot. What is packed in a thing that is moved rides with it."""
    if _is_riding(recording, amount):
        return
    organisation, uom = recording.organisation, amount.uom
    on_hand = lots.on_hand(organisation, uom)
    match move:
        case Move.SEND:
            recipient = recipient_of(recording.register, recording.event)
            lots.move(recording, amount, on_hand, lots.in_transit(recipient, uom))
        case Move.TAKE_IN:
            lots.move(recording, amount, _incoming(recording.register, amount, organisation), on_hand)
        case Move.TAKE_BACK:
            recipient = recipient_of(recording.register, recording.event)
            lots.move(recording, amount, _incoming(recording.register, amount, recipient), on_hand)


def _incoming(register: Register, amount: Amount, recipient: str) -> lots.AccountName:
    """The account that a received quantity comes from: sent to the recipient, else to nobody named."""
    named, unnamed = lots.in_transit(recipient, amount.uom), lots.in_transit("", amount.uom)
    if lots.quantity_in(register, amount.lot_id, named) <= 0:
        if lots.quantity_in(register, amount.lot_id, unnamed) > 0:
            return unnamed
    return named


def _is_riding(recording: Recording, amount: Amount) -> bool:
    """Whether the lot is packed, at any depth, in a thing that the event moves as well.

    A capture may look so often (`Register.look`); beyond that a quantity counts as loose.
    """
    if not recording.moved:
        return False
    register = recording.register
    opened = min(amount.lot.accounts, RIDING_ACCOUNTS_MAX)
    for name in lots.account_names(register.state, amount.lot_id, amount.lot.accounts, 0, opened):
        if name.kind is not AccountKind.PACKED or name.uom != amount.uom or not register.look():
            continue
        if lots.quantity_in(register, amount.lot_id, name) <= 0:
            continue
        around = [name.party, *(each for each, _ in ancestors(register.item, name.party))]
        if any(container_id in recording.moved for container_id in around):
            return True
    return False


def _flag_foreign(recording: Recording, item_id: str, custody: Custody) -> None:
    if custody.holder not in ("", recording.organisation):
        recording.flag(FlagCode.CUSTODY_NOT_HOLDER, item_id)
    if custody.recipient is not None:
        recording.flag(FlagCode.CUSTODY_IN_TRANSIT, item_id)


def _flag_unexpected(recording: Recording, item_id: str, custody: Custody) -> None:
    if custody.recipient is None:
        recording.flag(FlagCode.CUSTODY_NOT_IN_TRANSIT, item_id)
    elif custody.recipient not in ("", recording.organisation):
        recording.flag(FlagCode.CUSTODY_NOT_RECIPIENT, item_id)


def _first(parties: tuple[Typed, ...], kind: str) -> str | None:
    return next((party.id for party in parties if party.type == kind), None)
