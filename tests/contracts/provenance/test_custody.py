"""Who has the goods: sent by the holder, taken in by the recipient, flagged where it is otherwise."""

from __future__ import annotations

import pytest

from contracts.provenance import register
from tests.contracts.chain import START_MS
from tests.contracts.provenance.events import (
    SITES,
    Books,
    amount,
    commission,
    event,
    lot,
    objects,
    pack,
    party,
    receive,
    ship,
    sscc,
    transform,
    unit,
    unpack,
)

UNIT = unit("farm", "1")
LOT = lot("farm", "A")


@pytest.fixture
def books() -> Books:
    found = Books()
    found.clean("farm", commission(10, UNIT))
    return found


def custody(books: Books, item_id: str = UNIT) -> tuple[str, str | None]:
    found = books.see(item_id).custody
    return found.holder, found.recipient


class TestThings:
    def test_sent_and_taken_in(self, books: Books) -> None:
        """In transit the sender still has it; then the recipient does."""
        books.clean("farm", ship(20, UNIT, to="packer"))
        assert custody(books) == ("farm", "packer")
        books.clean("packer", receive(30, UNIT))
        assert custody(books) == ("packer", None)
        assert books.see(UNIT).custody.since_ms == START_MS + 30_000

    def test_the_recipient_may_be_named_by_place(self, books: Books) -> None:
        """A destination that is a site, or a place under a member's prefix, names the member."""
        destination = [{"type": "location", "destination": SITES["packer"] + "/254/dock"}]
        books.clean("farm", ship(20, UNIT, destinationList=destination))
        assert custody(books) == ("farm", "packer")

    def test_a_recipient_outside_stays_an_identifier(self, books: Books) -> None:
        """Whom no member stands behind is known by what the event calls it; unnamed is unnamed."""
        outside = "https://stranger.example/shop"
        destination = [{"type": "possessing_party", "destination": outside}]
        books.clean("farm", ship(20, UNIT, destinationList=destination))
        assert custody(books) == ("farm", outside)
        assert books.flagged("packer", receive(30, UNIT)) == ["custody.not_recipient"]
        books.clean("packer", ship(40, UNIT))
        assert custody(books) == ("packer", "")
        books.clean("shop", receive(50, UNIT))

    def test_only_the_holder_ships(self, books: Books) -> None:
        """A stranger's shipment is flagged, and followed: it is the latest word on where the goods are."""
        assert books.flagged("packer", ship(20, UNIT, to="shop")) == ["custody.not_holder"]
        assert custody(books) == ("packer", "shop")

    def test_what_is_in_transit_is_not_shipped_again(self, books: Books) -> None:
        """A second shipment on the way is flagged."""
        books.clean("farm", ship(20, UNIT, to="packer"))
        assert books.flagged("farm", ship(21, UNIT, to="shop")) == ["custody.in_transit"]

    def test_what_was_not_sent_is_not_received(self, books: Books) -> None:
        """A receipt without a shipment is flagged, unless the thing was not known at all."""
        assert books.flagged("packer", receive(20, UNIT)) == ["custody.not_in_transit"]
        assert custody(books) == ("packer", None)
        assert books.flagged("packer", receive(20, unit("farm", "new"))) == ["item.unknown"]

    def test_the_recipient_receives(self, books: Books) -> None:
        """Somebody else's receipt is flagged and followed."""
        books.clean("farm", ship(20, UNIT, to="packer"))
        assert books.flagged("shop", receive(30, UNIT)) == ["custody.not_recipient"]
        assert custody(books) == ("shop", None)

    def test_a_void_shipment_comes_back(self, books: Books) -> None:
        """Taken back by its sender; by another, or when nothing was sent, it is flagged."""
        void = objects("OBSERVE", 30, UNIT, bizStep="void_shipping")
        books.clean("farm", ship(20, UNIT, to="packer"), void)
        assert custody(books) == ("farm", None)
        again = objects("OBSERVE", 31, UNIT, bizStep="void_shipping")
        assert books.flagged("farm", again) == ["custody.not_in_transit"]
        books.clean("farm", ship(40, UNIT, to="packer"))
        other = objects("OBSERVE", 41, UNIT, bizStep="void_shipping")
        assert books.flagged("shop", other) == ["custody.not_holder"]

    def test_a_late_shipment_does_not_undo_a_receipt(self, books: Books) -> None:
        """Captured after the receipt, the shipment is late and the recipient keeps the goods."""
        books.capture("packer", receive(30, UNIT))
        assert books.flagged("farm", ship(20, UNIT, to="packer")) == ["time.before_last"]
        assert custody(books) == ("packer", None)

    def test_ownership_is_another_matter(self, books: Books) -> None:
        """Receipt changes the owner only where it names one."""
        books.clean("farm", ship(20, UNIT, to="packer"))
        books.clean("packer", receive(30, UNIT))
        assert books.see(UNIT).owner == "farm"
        books.clean("packer", ship(40, UNIT, to="shop"))
        owner = [{"type": "owning_party", "destination": party("shop")}]
        books.clean("shop", receive(50, UNIT, destinationList=owner))
        assert books.see(UNIT).owner == "shop"

    @pytest.mark.parametrize("kind", ["unpack", "pack", "consume", "destroy", "sell"])
    def test_whoever_acts_on_goods_has_them(self, books: Books, kind: str) -> None:
        """Packing, unpacking, using up, destroying, selling without custody is flagged and moves custody."""
        box = sscc("farm", 1)
        books.clean("farm", pack(20, box, UNIT))
        acts = {
            "unpack": unpack(30, box, UNIT),
            "pack": pack(30, box, UNIT),
            "consume": transform(30, inputs=[box], outputs=["https://x.example/1"]),
            "destroy": objects("DELETE", 30, box, bizStep="destroying"),
            "sell": objects("OBSERVE", 30, box, bizStep="retail_selling"),
        }
        assert "custody.not_holder" in books.flagged("packer", acts[kind])
        assert custody(books, box) == ("packer", None)

    def test_packed_and_shipped_at_once(self, books: Books) -> None:
        """An aggregation at shipping packs and sends; one at receiving takes in."""
        box = sscc("farm", 1)
        destination = [{"type": "possessing_party", "destination": party("packer")}]
        books.clean("farm", pack(20, box, UNIT) | {"bizStep": "shipping", "destinationList": destination})
        assert custody(books) == ("farm", "packer")
        fields = {"parentID": box, "childEPCs": [UNIT], "bizStep": "receiving"}
        books.clean("packer", event("AggregationEvent", "OBSERVE", 30, **fields))
        assert custody(books) == ("packer", None)

    def test_looking_is_free(self, books: Books) -> None:
        """A carrier or an inspector that only observes takes nothing over and raises nothing."""
        books.clean("farm", ship(20, UNIT, to="packer"))
        books.clean("carrier", objects("OBSERVE", 21, UNIT, bizStep="transporting"))
        books.clean("carrier", objects("OBSERVE", 22, UNIT, bizStep="inspecting"))
        assert custody(books) == ("farm", "packer")

    def test_custody_also_follows_a_transaction_event(self, books: Books) -> None:
        """Goods received against a purchase order are received."""
        books.clean("farm", ship(20, UNIT, to="packer"))
        fields = {
            "bizTransactionList": [{"type": "po", "bizTransaction": "https://x.example/po"}],
            "epcList": [UNIT],
            "bizStep": "receiving",
        }
        books.clean("packer", event("TransactionEvent", "ADD", 30, **fields))
        assert custody(books) == ("packer", None)

    def test_quantities_follow_a_transaction_event(self) -> None:
        """Quantities are booked at a custody step, and only there; a lot among the things is not moved."""
        books = Books()
        books.clean("farm", commission(10, q=[amount(LOT, 10)]))
        order: dict[str, object] = {"bizTransactionList": [{"bizTransaction": "https://x.example/po"}]}
        order |= {"quantityList": [amount(LOT, 4)]}
        books.clean("farm", event("TransactionEvent", "ADD", 20, **order))
        assert books.loose(LOT, "farm") == "10"
        books.clean("farm", event("TransactionEvent", "ADD", 30, bizStep="shipping", **order))
        assert books.loose(LOT, "farm") == "6"
        order |= {"quantityList": [amount(LOT)]}
        books.clean("farm", event("TransactionEvent", "ADD", 40, **order))
        thing: dict[str, object] = {"bizTransactionList": order["bizTransactionList"], "epcList": [LOT]}
        books.clean("farm", event("TransactionEvent", "ADD", 50, bizStep="shipping", **thing))
        assert books.loose(LOT, "farm") == "6"

    def test_events_of_one_time_are_in_order_of_capture(self, books: Books) -> None:
        """Shipped, received and packed in one second."""
        books.clean("farm", ship(20, UNIT, to="packer"))
        books.clean("packer", receive(20, UNIT), pack(20, sscc("packer", 1), UNIT))
        assert custody(books) == ("packer", None)
        assert books.flagged("farm", unpack(20, sscc("packer", 1))) == ["custody.not_holder"]

    def test_custody_also_follows_an_aggregation_seen_at_shipping(self, books: Books) -> None:
        """A pallet observed with its content at shipping is shipped."""
        box = sscc("farm", 1)
        books.clean("farm", pack(20, box, UNIT))
        destination = [{"type": "possessing_party", "destination": party("packer")}]
        fields = {"parentID": box, "childEPCs": [UNIT], "bizStep": "shipping", "destinationList": destination}
        books.clean("farm", event("AggregationEvent", "OBSERVE", 30, **fields))
        assert custody(books) == ("farm", "packer")

    def test_created_and_shipped_at_once(self, books: Books) -> None:
        """An ADD at shipping makes and sends."""
        destination = [{"type": "possessing_party", "destination": party("packer")}]
        books.clean(
            "farm", objects("ADD", 20, unit("farm", "2"), bizStep="shipping", destinationList=destination)
        )
        assert custody(books, unit("farm", "2")) == ("farm", "packer")
        books.clean("farm", objects("ADD", 20, unit("farm", "3"), bizStep="receiving"))
        assert custody(books, unit("farm", "3")) == ("farm", None)


class TestLots:
    @pytest.fixture
    def books(self) -> Books:
        found = Books()
        found.clean("farm", commission(10, q=[amount(LOT, 800)]))
        return found

    def on_its_way(self, books: Books, to: str) -> str:
        for holding in books.see(LOT).holdings:
            if (holding.custody.recipient, holding.container) == (to, ""):
                return f"{holding.quantity:f}"
        return "0"

    def test_a_quantity_moves_from_hand_to_hand(self, books: Books) -> None:
        """Part of a lot is sent; on the way it is nobody's stock."""
        books.clean("farm", ship(20, q=[amount(LOT, 300.5)], to="packer"))
        assert (books.loose(LOT, "farm"), self.on_its_way(books, "packer")) == ("499.5", "300.5")
        books.clean("packer", receive(30, q=[amount(LOT, 300.5)]))
        assert (books.loose(LOT, "packer"), self.on_its_way(books, "packer")) == ("300.5", "0")

    def test_what_is_short_at_receipt_stays_in_transit(self, books: Books) -> None:
        """800 shipped, 795 received: 5 are still on the books, on their way."""
        books.clean("farm", ship(20, q=[amount(LOT, 800)], to="packer"))
        books.clean("packer", receive(30, q=[amount(LOT, 795)]))
        assert (books.loose(LOT, "packer"), self.on_its_way(books, "packer")) == ("795", "5")

    def test_more_received_than_sent_is_flagged(self, books: Books) -> None:
        """The surplus shows as less than nothing in transit."""
        books.clean("farm", ship(20, q=[amount(LOT, 800)], to="packer"))
        assert books.flagged("packer", receive(30, q=[amount(LOT, 805)])) == ["custody.not_in_transit"]
        assert self.on_its_way(books, "packer") == "-5"

    def test_more_shipped_than_there_is_is_flagged(self, books: Books) -> None:
        """The sender's stock falls below zero, and is right again when the missing event arrives."""
        assert books.flagged("farm", ship(20, q=[amount(LOT, 900)], to="packer")) == ["lot.negative_balance"]
        assert books.loose(LOT, "farm") == "-100"
        books.clean("farm", commission(15, q=[amount(LOT, 100)]))
        assert books.loose(LOT, "farm") == "0"

    def test_a_shipment_to_nobody_named_is_received_by_anybody(self, books: Books) -> None:
        """What was sent without a recipient comes from there, once nothing was sent to the receiver."""
        books.clean("farm", ship(20, q=[amount(LOT, 100)]), ship(21, q=[amount(LOT, 50)], to="shop"))
        books.clean("shop", receive(30, q=[amount(LOT, 50)]))
        books.clean("shop", receive(31, q=[amount(LOT, 100)]))
        assert (self.on_its_way(books, ""), self.on_its_way(books, "shop")) == ("0", "0")

    def test_a_receipt_before_its_shipment_balances_in_the_end(self, books: Books) -> None:
        """Sums do not depend on the order of capture."""
        assert books.flagged("packer", receive(30, q=[amount(LOT, 300)])) == ["custody.not_in_transit"]
        books.clean("farm", ship(20, q=[amount(LOT, 300)], to="packer"))
        assert (books.loose(LOT, "packer"), self.on_its_way(books, "packer")) == ("300", "0")

    def test_a_void_shipment_returns_the_quantity(self, books: Books) -> None:
        """It names the recipient that it was sent to."""
        quantity = [amount(LOT, 300)]
        books.clean("farm", ship(20, q=quantity, to="packer"))
        destination = [{"type": "possessing_party", "destination": party("packer")}]
        books.clean(
            "farm", objects("OBSERVE", 21, q=quantity, bizStep="void_shipping", destinationList=destination)
        )
        assert (books.loose(LOT, "farm"), self.on_its_way(books, "packer")) == ("800", "0")

    def test_a_lot_that_rides_in_a_container_is_not_moved_twice(self, books: Books) -> None:
        """An event that names the pallet and what is on it ships the pallet; the loose stock stays."""
        box, pallet = sscc("farm", 1), sscc("farm", 2)
        books.clean("farm", pack(20, box, q=[amount(LOT, 100)]), pack(21, pallet, box))
        books.clean("farm", ship(30, pallet, q=[amount(LOT, 100)], to="packer"))
        assert books.loose(LOT, "farm") == "700"
        books.clean("packer", receive(40, pallet, q=[amount(LOT, 100)]))
        assert books.loose(LOT, "packer") == "0"
        (packed,) = [holding for holding in books.see(LOT).holdings if holding.container]
        assert (packed.container, packed.custody.holder, packed.quantity) == (box, "packer", 100)

    def test_looking_for_a_carrier_is_bounded(self, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
        """A capture that would look through very many accounts takes quantities for loose in the end."""
        monkeypatch.setattr(register, "LOOKS_MAX", 1)
        box = sscc("farm", 1)
        books.clean("farm", pack(20, box, q=[amount(LOT, 10)]))
        twice = [amount(LOT, 1), amount(LOT, 2)]
        books.clean("farm", ship(30, box, q=twice, to="packer"))
        assert self.on_its_way(books, "packer") == "2"

    def test_a_lot_beside_a_container_moves_by_itself(self, books: Books) -> None:
        """Only what is in the container, in that unit, rides; what was taken out before does not."""
        box, empty = sscc("farm", 1), sscc("farm", 2)
        books.clean("farm", commission(11, q=[amount(LOT, 9, None)]), pack(20, box, q=[amount(LOT, 9, None)]))
        books.clean("farm", ship(30, box, q=[amount(LOT, 100)], to="packer"))
        assert (books.loose(LOT, "farm"), self.on_its_way(books, "packer")) == ("700", "100")
        quantity = [amount(LOT, 50)]
        books.clean("farm", pack(40, empty, q=quantity), unpack(41, empty, q=quantity))
        books.clean("farm", ship(42, empty, q=quantity, to="shop"))
        assert (books.loose(LOT, "farm"), self.on_its_way(books, "shop")) == ("650", "50")
