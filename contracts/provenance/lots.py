"""The books of a lot: where each quantity of it is, in double entry and exact decimals.

Accounts: on hand of a holder, in transit to a recipient, packed in a container. What one loses
another gains, or a total of the lot takes it up (produced, consumed, destroyed, sold). So at any time
the accounts of a lot in one unit sum to produced - consumed - destroyed - sold. An account may fall below
zero, which is flagged: late and missing events leave a trace, and the sum stays right.

A lot or class has no place of its own; identifiers of classes without a lot are counted in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.epcis.event import Quantity
from contracts.provenance.containers import list_child, unlist_child
from contracts.provenance.events import NAMESPACE
from contracts.provenance.flags import FlagCode
from contracts.provenance.items import UNITS_MAX, Item, Total
from contracts.provenance.quantities import ZERO, add, quantity_of, quantity_text, subtract
from contracts.provenance.recording import Recording
from contracts.provenance.register import Balance, Child, Register
from ledger.codec import Canonical, encode
from ledger.state import StateView, Table

PAGE_ACCOUNTS: Final = 64
Step = Callable[[Decimal, Decimal], Decimal]


class AccountKind(IntEnum):
    """Where a quantity is."""

    ON_HAND = 0  # loose, with a holder
    IN_TRANSIT = 1  # to a recipient, "" where nobody was named
    PACKED = 2  # in a container, and wherever that is


class AccountName(Canonical):
    """An account of a lot. `party` is an organisation, a URI, "" or, for what is packed, the container."""

    kind: AccountKind
    party: str
    uom: str


class AccountPage(Canonical):
    """Accounts of a lot in the order in which they were opened."""

    names: Annotated[tuple[AccountName, ...], Meta(max_length=PAGE_ACCOUNTS)]


class Amount(msgspec.Struct, frozen=True):
    """So much of a lot: a positive quantity in a unit ("" counts pieces)."""

    lot_id: str
    lot: Item
    quantity: Decimal
    uom: str


ACCOUNT_PAGES: Final = Table(NAMESPACE, b"accounts", AccountPage)  # key: lot, zero byte, page of 4 bytes
_EMPTY_TOTAL: Final = ("0", "0", "0", "0")


def on_hand(party: str, uom: str) -> AccountName:
    """What a holder has loose."""
    return AccountName(AccountKind.ON_HAND, party, uom)


def in_transit(recipient: str, uom: str) -> AccountName:
    """What is on its way to a recipient."""
    return AccountName(AccountKind.IN_TRANSIT, recipient, uom)


def packed(container_id: str, uom: str) -> AccountName:
    """What is in a container."""
    return AccountName(AccountKind.PACKED, container_id, uom)


def check_amount(recording: Recording, stated: Quantity, lot: Item) -> Amount | None:
    """The amount that an event states, or None (and a flag) where it states none that can be booked."""
    lot_id, quantity = stated.epc_class, stated.quantity
    if quantity is None:
        recording.flag(FlagCode.LOT_UNSPECIFIED_QUANTITY, lot_id)
        return None
    if quantity <= 0:
        recording.flag(FlagCode.LOT_NOT_POSITIVE, lot_id)
        return None
    unit = stated.uom or ""
    if all(total.uom != unit for total in lot.totals):
        if len(lot.totals) == UNITS_MAX:
            recording.flag(FlagCode.LOT_TOO_MANY_UNITS, lot_id)
            return None
        lot.totals = (*lot.totals, Total(unit, *_EMPTY_TOTAL))
    return Amount(lot_id, lot, quantity, unit)


def move(recording: Recording, amount: Amount, source: AccountName, target: AccountName) -> None:
    """Book an amount from one account to another."""
    withdraw(recording, amount, source)
    deposit(recording, amount, target)


def produce(recording: Recording, amount: Amount, target: AccountName) -> None:
    """Book what came into being."""
    _count(amount, "produced")
    deposit(recording, amount, target)


def use_up(recording: Recording, amount: Amount, source: AccountName, total: str) -> None:
    """Book what is no more: `total` is "consumed", "destroyed" or "sold"."""
    _count(amount, total)
    withdraw(recording, amount, source)


def withdraw(recording: Recording, amount: Amount, name: AccountName) -> None:
    """Take an amount out of an account; below zero it raises the flag of that kind of account."""
    balance = _change(recording.register, amount, name, subtract)
    if balance.quantity < 0:
        recording.flag(_BELOW_ZERO[name.kind], amount.lot_id)


def deposit(recording: Recording, amount: Amount, name: AccountName) -> None:
    """Put an amount into an account."""
    _change(recording.register, amount, name, add)


def quantity_in(register: Register, lot_id: str, name: AccountName) -> Decimal:
    """What stands in an account, also while a capture works on it."""
    balance = register.balance(account_key(lot_id, name))
    return balance.quantity if balance else ZERO


def account_key(lot_id: str, name: AccountName) -> bytes:
    """The key of an account (32 bytes), as its parts together may be longer than a key."""
    return sha256(encode((lot_id, name.kind, name.party, name.uom))).digest()


def account_names(
    state: StateView, lot_id: str, count: int, offset: int, limit: int
) -> tuple[AccountName, ...]:
    """Accounts of a lot that has opened `count`, in the order in which they were opened."""
    found: list[AccountName] = []
    first, last = min(offset, count), min(offset + limit, count)
    for number in range(first // PAGE_ACCOUNTS, (last + PAGE_ACCOUNTS - 1) // PAGE_ACCOUNTS):
        page = ACCOUNT_PAGES.get(state, _page_key(lot_id, number))
        assert page is not None, "every opened account is listed"
        start = number * PAGE_ACCOUNTS
        found += page.names[max(first - start, 0) : last - start]
    return tuple(found)


_BELOW_ZERO: Final = {
    AccountKind.ON_HAND: FlagCode.LOT_NEGATIVE_BALANCE,
    AccountKind.IN_TRANSIT: FlagCode.CUSTODY_NOT_IN_TRANSIT,
    AccountKind.PACKED: FlagCode.CONTAINER_NOT_INSIDE,
}


def _change(register: Register, amount: Amount, name: AccountName, step: Step) -> Balance:
    key = account_key(amount.lot_id, name)
    balance = register.balance(key)
    if balance is None:
        balance = register.open_balance(key)
        _list_account(register, amount, name)
    before = balance.quantity
    balance.quantity = step(before, amount.quantity)
    if name.kind is AccountKind.PACKED:
        _list_packed(register, amount, name, balance, before)
    return balance


def _list_packed(
    register: Register, amount: Amount, name: AccountName, balance: Balance, before: Decimal
) -> None:
    """A container lists a quantity of a lot as long as it is not zero."""
    container = register.item(name.party)
    assert container is not None, "a container has a record"
    child = Child(amount.lot_id, name.uom)
    if not before and balance.quantity:
        balance.page = list_child(register, name.party, container, child)
    elif before and not balance.quantity:
        unlist_child(register, name.party, container, child, balance.page)


def _list_account(register: Register, amount: Amount, name: AccountName) -> None:
    number = amount.lot.accounts
    key = _page_key(amount.lot_id, number // PAGE_ACCOUNTS)
    page = ACCOUNT_PAGES.get(register.state, key) if number % PAGE_ACCOUNTS else None
    ACCOUNT_PAGES.put(register.state, key, AccountPage((*(page.names if page else ()), name)))
    amount.lot.accounts = number + 1


def _count(amount: Amount, field: str) -> None:
    totals = []
    for total in amount.lot.totals:
        if total.uom == amount.uom:
            counted = quantity_text(add(quantity_of(getattr(total, field)), amount.quantity))
            totals.append(msgspec.structs.replace(total, **{field: counted}))
        else:
            totals.append(total)
    amount.lot.totals = tuple(totals)


def _page_key(lot_id: str, number: int) -> bytes:
    return lot_id.encode() + b"\0" + number.to_bytes(4, "big")
