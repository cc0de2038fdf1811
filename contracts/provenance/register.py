"""The records that one capture works on: each is read once, changed in memory, and written once at the end.

A capture of twenty events about one pallet touches the pallet's record twenty times; what the state
tree pays for is the number of keys.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta

from contracts import authority
from contracts.provenance.events import NAMESPACE
from contracts.provenance.items import ITEMS, Item
from contracts.provenance.quantities import ZERO, quantity_of, quantity_text
from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.members import ORGANISATIONS
from ledger.state import Overlay, StateView, Table
from ledger.types import Bytes32, Counter

PARTS_MAX: Final = 20_000  # items of all events of a capture: a pallet of 5,000 packed and unpacked, twice
PAGE_CHILDREN: Final = 64  # entries of a container listed on one page: 33 kB with the longest identifiers

LOOKS_MAX: Final = 20_000  # accounts read to find what carries a lot: at 3 us each, no capture is slow for it


class Child(Canonical):
    """An entry of a container: one thing (`uom` None), or some of a lot in a unit ("" counts pieces)."""

    id: str
    uom: str | None


class ChildPage(Canonical):
    """Some entries of a container, in the order in which they came."""

    children: Annotated[tuple[Child, ...], Meta(min_length=1, max_length=PAGE_CHILDREN)]


class Account(Canonical):
    """A quantity of a lot at one place of the books, which `lots` describes; never rounded, may be negative.

    `page`: where the container lists it, for what is packed.
    """

    quantity: str
    page: Counter


CHILD_PAGES: Final = Table(NAMESPACE, b"children", ChildPage)  # key: `page_key`
ACCOUNTS: Final = Table(NAMESPACE, b"account", Account)  # key: `lots.account_key`, 32 bytes
AccountKey = Bytes32


class Balance:
    """An account while a capture works on it."""

    __slots__ = ("page", "quantity")

    def __init__(self, quantity: Decimal, page: int) -> None:
        self.quantity = quantity
        self.page = page


class Register:
    """The working set above a state."""

    def __init__(self, state: Overlay, organisation: str) -> None:
        self.state = state
        self.organisation = organisation
        member = ORGANISATIONS.get(state, organisation.encode())
        self._own_prefixes = member.gs1_prefixes if member else ()
        self._items: dict[str, Item | None] = {}
        self._pages: dict[bytes, list[Child]] = {}
        self._balances: dict[bytes, Balance] = {}
        self._places: dict[str, str | None] = {}
        self._parts = 0
        self._looks = 0

    def count_part(self) -> None:
        """Count one more (item, event) of this capture.

        Raises:
            LedgerError: `capture.too_many_items`.
        """
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise LedgerError(
                "capture.too_many_items",
                f"more than {PARTS_MAX} items over all events, counting what an unpacked container held",
                "/events",
            )

    def look(self) -> bool:
        """Count one more account that is only looked at; False where there were too many in this capture."""
        self._looks += 1
        return self._looks <= LOOKS_MAX

    # --- items --------------------------------------------------------------------

    def item(self, item_id: str) -> Item | None:
        """The record of a thing, free to change, or None where none is known."""
        if item_id not in self._items:
            self._items[item_id] = ITEMS.get(self.state, item_id.encode())
        return self._items[item_id]

    def add_item(self, item_id: str, item: Item) -> None:
        """Begin the record of a thing."""
        self._items[item_id] = item

    # --- pages of containers and accounts of lots ------------------------------------

    def children(self, container_id: str, page: int) -> list[Child]:
        """The entries of a page, free to change; an empty one is removed in the end."""
        key = page_key(container_id, page)
        if key not in self._pages:
            stored = CHILD_PAGES.get(self.state, key)
            self._pages[key] = list(stored.children) if stored else []
        return self._pages[key]

    def balance(self, key: bytes) -> Balance | None:
        """The account under a key, free to change, or None where none was opened."""
        if key not in self._balances:
            stored = ACCOUNTS.get(self.state, key)
            if stored is None:
                return None
            self._balances[key] = Balance(quantity_of(stored.quantity), stored.page)
        return self._balances[key]

    def open_balance(self, key: bytes) -> Balance:
        """A new account that holds nothing."""
        balance = Balance(ZERO, 0)
        self._balances[key] = balance
        return balance

    # --- members --------------------------------------------------------------------

    def is_own_identifier(self, item_id: str) -> bool:
        """Whether the organisation may issue it: its own GS1 prefix, or no GS1 identifier at all."""
        digits = authority.gs1_digits(item_id)
        return digits is None or digits.startswith(self._own_prefixes)

    def organisation_of(self, place_or_party: str) -> str | None:
        """Which member runs a place or is a party."""
        if place_or_party not in self._places:
            self._places[place_or_party] = authority.organisation_of_place(self.state, place_or_party)
        return self._places[place_or_party]

    # --- the end --------------------------------------------------------------------

    def write(self) -> None:
        """Put every record that was worked on into the state, in the order of first use."""
        for item_id, item in self._items.items():
            if item is not None:
                ITEMS.put(self.state, item_id.encode(), item)
        for key, children in self._pages.items():
            if children:
                CHILD_PAGES.put(self.state, key, ChildPage(tuple(children)))
            else:
                CHILD_PAGES.delete(self.state, key)
        for key, balance in self._balances.items():
            ACCOUNTS.put(self.state, key, Account(quantity_text(balance.quantity), balance.page))


def page_key(container_id: str, page: int) -> bytes:
    """The key of a page of a container."""
    return container_id.encode() + b"\0" + page.to_bytes(4, "big")


def child_page(state: StateView, container_id: str, page: int) -> tuple[Child, ...]:
    """The entries of a page as the state holds them."""
    stored = CHILD_PAGES.get(state, page_key(container_id, page))
    return stored.children if stored else ()
