"""Random events against a model that a reader can check by eye: dictionaries and plain sums."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.provenance.history import committed_history
from contracts.provenance.items import ITEMS, ItemStatus
from contracts.provenance.queries import contents, history, show
from ledger.merkle import log
from ledger.receipt import Status
from tests.contracts.provenance.events import (
    Books,
    Json,
    amount,
    commission,
    flags,
    lot,
    objects,
    pack,
    receive,
    ship,
    sscc,
    transform,
    unit,
    unpack,
)

ORGANISATIONS = ("farm", "packer", "shop")
LOTS = tuple(lot("farm", f"L{number}") for number in range(3))
UNITS = tuple(unit("packer", f"U{number}") for number in range(6))
BOXES = tuple(sscc("packer", number) for number in range(4))
THINGS = (*UNITS, *BOXES)

organisations = st.sampled_from(ORGANISATIONS)
lots = st.sampled_from(LOTS)
boxes = st.sampled_from(BOXES)
things = st.sampled_from(THINGS)
quantities = st.decimals("0.001", "1000", places=3)


class BooksMachine(RuleBasedStateMachine):
    """Events happen one after the other, at rising times, said by anybody."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Books()
        self.books.time_ms += 10**12
        self.at = 0
        self.parent: dict[str, str] = {}
        self.holder: dict[str, str] = {}
        self.recipient: dict[str, str] = {}
        self.ended: set[str] = set()
        self.accounts: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        self.made: dict[str, Decimal] = defaultdict(Decimal)
        self.gone: dict[str, Decimal] = defaultdict(Decimal)
        self.commitments: dict[str, list[bytes]] = defaultdict(list)

    # --- what the model says happens ----------------------------------------------------

    def say(self, organisation: str, event: Json, *named: str) -> list[str]:
        found = self.books.capture(organisation, event)
        assert found[0].status in (Status.ACCEPTED, Status.FLAGGED)
        for item_id in dict.fromkeys(named):
            self.commitments[item_id].append(found[0].commitment)
        return flags(found)

    def around(self, item_id: str) -> list[str]:
        found = []
        while item_id in self.parent:
            item_id = self.parent[item_id]
            found.append(item_id)
        return found

    def take_out(self, thing: str) -> None:
        outermost = ([thing, *self.around(thing)])[-1]
        del self.parent[thing]
        self.holder[thing] = self.holder.get(outermost, "")
        self.recipient.pop(thing, None)
        if outermost in self.recipient:
            self.recipient[thing] = self.recipient[outermost]

    def hold(self, thing: str, organisation: str) -> None:
        self.holder[thing] = organisation
        self.recipient.pop(thing, None)

    def tick(self) -> int:
        self.at += 1
        return self.at

    # --- things ---------------------------------------------------------------------------

    @rule(organisation=organisations, thing=things)
    def commission_thing(self, organisation: str, thing: str) -> None:
        self.say(organisation, commission(self.tick(), thing), thing)
        self.ended.discard(thing)
        self.hold(thing, organisation)

    @rule(organisation=organisations, thing=things, to=organisations)
    def ship_thing(self, organisation: str, thing: str, to: str) -> None:
        self.say(organisation, ship(self.tick(), thing, to=to), thing)
        if thing in self.parent:
            self.take_out(thing)
        self.holder[thing], self.recipient[thing] = organisation, to

    @rule(organisation=organisations, thing=things)
    def receive_thing(self, organisation: str, thing: str) -> None:
        self.say(organisation, receive(self.tick(), thing), thing)
        if thing in self.parent:
            self.take_out(thing)
        self.hold(thing, organisation)

    @rule(organisation=organisations, child=things, box=boxes)
    def pack_thing(self, organisation: str, child: str, box: str) -> None:
        raised = self.say(organisation, pack(self.tick(), box, child), box, child)
        if box not in self.parent:
            self.hold(box, organisation)
        if child not in self.parent:
            self.hold(child, organisation)
        is_cycle = child in (box, *self.around(box))
        assert ("container.cycle" in raised) == is_cycle
        if not is_cycle and "container.too_deep" not in raised and self.parent.get(child) != box:
            assert ("container.has_parent" in raised) == (child in self.parent)
            if child in self.parent:
                self.take_out(child)
            self.parent[child] = box

    @rule(organisation=organisations, child=things, box=boxes)
    def unpack_thing(self, organisation: str, child: str, box: str) -> None:
        self.say(organisation, unpack(self.tick(), box, child), box, child)
        if box not in self.parent:
            self.hold(box, organisation)
        if self.parent.get(child) == box:
            self.take_out(child)
            self.hold(child, organisation)

    @rule(organisation=organisations, box=boxes)
    def unpack_all(self, organisation: str, box: str) -> None:
        inside = [child for child in self.parent if self.parent[child] == box]
        packed = [(lot_id, kind) for lot_id, kind, where in self.accounts if (kind, where) == ("packed", box)]
        counted = [lot_id for lot_id, _ in packed if self.accounts[lot_id, "packed", box]]
        self.say(organisation, unpack(self.tick(), box), box, *inside, *counted)
        if box not in self.parent:
            self.hold(box, organisation)
        for child in inside:
            self.take_out(child)
            self.hold(child, organisation)
        for lot_id in counted:
            self.accounts[lot_id, "on hand", organisation] += self.accounts[lot_id, "packed", box]
            self.accounts[lot_id, "packed", box] = Decimal(0)

    @rule(organisation=organisations, thing=things)
    def sell_thing(self, organisation: str, thing: str) -> None:
        self.say(organisation, objects("OBSERVE", self.tick(), thing, bizStep="retail_selling"), thing)
        if thing in self.parent:
            self.take_out(thing)
        self.hold(thing, organisation)
        self.ended.add(thing)

    # --- lots -----------------------------------------------------------------------------

    @rule(organisation=organisations, lot_id=lots, quantity=quantities)
    def commission_lot(self, organisation: str, lot_id: str, quantity: Decimal) -> None:
        self.say(organisation, commission(self.tick(), q=[amount(lot_id, quantity)]), lot_id)
        self.made[lot_id] += quantity
        self.accounts[lot_id, "on hand", organisation] += quantity

    @rule(organisation=organisations, lot_id=lots, quantity=quantities, to=st.none() | organisations)
    def ship_lot(self, organisation: str, lot_id: str, quantity: Decimal, to: str | None) -> None:
        raised = self.say(organisation, ship(self.tick(), q=[amount(lot_id, quantity)], to=to), lot_id)
        self.accounts[lot_id, "on hand", organisation] -= quantity
        self.accounts[lot_id, "in transit", to or ""] += quantity
        is_short = self.accounts[lot_id, "on hand", organisation] < 0
        assert ("lot.negative_balance" in raised) == is_short

    @rule(organisation=organisations, lot_id=lots, quantity=quantities)
    def receive_lot(self, organisation: str, lot_id: str, quantity: Decimal) -> None:
        raised = self.say(organisation, receive(self.tick(), q=[amount(lot_id, quantity)]), lot_id)
        named, unnamed = (lot_id, "in transit", organisation), (lot_id, "in transit", "")
        source = unnamed if self.accounts[named] <= 0 < self.accounts[unnamed] else named
        self.accounts[source] -= quantity
        self.accounts[lot_id, "on hand", organisation] += quantity
        assert ("custody.not_in_transit" in raised) == (self.accounts[source] < 0)

    @rule(organisation=organisations, lot_id=lots, quantity=quantities, box=boxes)
    def pack_lot(self, organisation: str, lot_id: str, quantity: Decimal, box: str) -> None:
        self.say(organisation, pack(self.tick(), box, q=[amount(lot_id, quantity)]), box, lot_id)
        if box not in self.parent:
            self.hold(box, organisation)
        self.accounts[lot_id, "on hand", organisation] -= quantity
        self.accounts[lot_id, "packed", box] += quantity

    @rule(organisation=organisations, lot_id=lots, quantity=quantities, box=boxes)
    def unpack_lot(self, organisation: str, lot_id: str, quantity: Decimal, box: str) -> None:
        raised = self.say(organisation, unpack(self.tick(), box, q=[amount(lot_id, quantity)]), box, lot_id)
        if box not in self.parent:
            self.hold(box, organisation)
        self.accounts[lot_id, "packed", box] -= quantity
        self.accounts[lot_id, "on hand", organisation] += quantity
        assert ("container.not_inside" in raised) == (self.accounts[lot_id, "packed", box] < 0)

    @rule(organisation=organisations, source=lots, into=lots, taken=quantities, given=quantities)
    def transform_lot(
        self, organisation: str, source: str, into: str, taken: Decimal, given: Decimal
    ) -> None:
        event = transform(self.tick(), iq=[amount(source, taken)], oq=[amount(into, given)])
        self.say(organisation, event, source, into)
        self.accounts[source, "on hand", organisation] -= taken
        self.gone[source] += taken
        self.accounts[into, "on hand", organisation] += given
        self.made[into] += given

    @precondition(lambda self: self.at > 5)
    @rule(organisation=organisations, lot_id=lots, quantity=quantities)
    def sell_lot(self, organisation: str, lot_id: str, quantity: Decimal) -> None:
        event = objects("OBSERVE", self.tick(), q=[amount(lot_id, quantity)], bizStep="retail_selling")
        self.say(organisation, event, lot_id)
        self.accounts[lot_id, "on hand", organisation] -= quantity
        self.gone[lot_id] += quantity

    # --- what must always hold ---------------------------------------------------------------

    @invariant()
    def containment_is_the_models(self) -> None:
        for thing in THINGS:
            found = show(self.books.state, thing)
            if found is None:
                assert thing not in self.parent
                continue
            assert found.parent == self.parent.get(thing, "")
            outermost = ([thing, *self.around(thing)])[-1]
            assert found.outermost == outermost
            assert found.custody.holder == self.holder.get(outermost, "")
            assert found.custody.recipient == self.recipient.get(outermost)
            own = ITEMS.get(self.books.state, thing.encode())
            assert own is not None
            assert (own.status is ItemStatus.SOLD) == (thing in self.ended)

    @invariant()
    def contents_are_the_models(self) -> None:
        for box in BOXES:
            inside = contents(self.books.state, box, 1)
            listed_things = [content.id for content in inside.contents if content.uom is None]
            assert sorted(listed_things) == sorted(
                child for child in self.parent if self.parent[child] == box
            )
            listed_lots = {content.id: content.quantity for content in inside.contents if content.uom}
            expected = {
                lot_id: quantity
                for (lot_id, kind, where), quantity in self.accounts.items()
                if (kind, where) == ("packed", box) and quantity
            }
            assert listed_lots == expected

    @invariant()
    def balances_are_the_models(self) -> None:
        for lot_id in LOTS:
            found = show(self.books.state, lot_id)
            if found is None:
                continue
            held = defaultdict(Decimal)
            for holding in found.holdings:
                if holding.container:
                    held["packed", holding.container] += holding.quantity
                elif holding.custody.recipient is not None:
                    held["in transit", holding.custody.recipient] += holding.quantity
                else:
                    held["on hand", holding.custody.holder] += holding.quantity
            expected = {
                (kind, where): quantity
                for (each, kind, where), quantity in self.accounts.items()
                if each == lot_id and quantity
            }
            assert held == expected
            assert sum(held.values(), Decimal(0)) == self.made[lot_id] - self.gone[lot_id]

    @invariant()
    def histories_are_complete(self) -> None:
        for item_id, commitments in self.commitments.items():
            committed = committed_history(self.books.state, item_id)
            assert committed is not None
            assert committed.event_count == len(commitments)
            assert committed.events_root == log.root(commitments)
            page = history(self.books.state, item_id)
            assert page is not None
            assert len(page.lines) == page.total == len(commitments)


BooksMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestBooks = BooksMachine.TestCase
