"""What an event says about things: that they exist, where they are, how they end."""

from __future__ import annotations

import pytest

from contracts.provenance.items import PERSISTENT_MAX, ItemKind, ItemStatus, kind_of
from tests.contracts.chain import START_MS
from tests.contracts.provenance.events import (
    SITES,
    Books,
    amount,
    commission,
    event,
    gtin,
    lot,
    objects,
    pack,
    sscc,
    transform,
    unit,
)

UNIT = unit("farm", "1")
FREE = "https://farm.example/crates/7"


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.mark.parametrize(
    ("item_id", "as_thing", "as_quantity"),
    [
        (unit("farm", "1"), ItemKind.INSTANCE, ItemKind.INSTANCE),
        (lot("farm", "A"), ItemKind.LOT, ItemKind.LOT),
        (gtin("farm"), ItemKind.CLASS, ItemKind.CLASS),
        (gtin("farm") + "/235/1", ItemKind.INSTANCE, ItemKind.INSTANCE),
        (sscc("farm", 1), ItemKind.CONTAINER, ItemKind.CONTAINER),
        (SITES["farm"], ItemKind.PLACE, ItemKind.PLACE),
        (SITES["farm"] + "/254/dock", ItemKind.PLACE, ItemKind.PLACE),
        ("https://id.gs1.org/417/9520000000004", ItemKind.PARTY, ItemKind.PARTY),
        ("https://id.gs1.org/8003/09520000000004123", ItemKind.INSTANCE, ItemKind.LOT),
        (FREE, ItemKind.INSTANCE, ItemKind.LOT),
        ("urn:gdst:a:lot:class:b.1", ItemKind.INSTANCE, ItemKind.LOT),
        ("https://example.com/01/09520000000004/10/x", ItemKind.INSTANCE, ItemKind.LOT),
    ],
)
def test_the_kind_follows_from_identifier_and_list(
    item_id: str, as_thing: ItemKind, as_quantity: ItemKind
) -> None:
    """GS1 keys say what they name; anything else is what the list makes of it."""
    assert (kind_of(item_id, False), kind_of(item_id, True)) == (as_thing, as_quantity)


class TestBeginning:
    def test_commissioning_makes_a_thing_of_the_organisation(self, books: Books) -> None:
        """Maker, owner and holder are the capturing organisation; place and condition are the event's."""
        books.clean("farm", commission(10, UNIT, bizLocation={"id": SITES["farm"]}))
        found = books.see(UNIT)
        assert (found.maker, found.owner, found.custody.holder) == ("farm", "farm", "farm")
        assert (found.commissioned, found.status, found.kind) == (True, ItemStatus.ACTIVE, ItemKind.INSTANCE)
        assert (found.place, found.disposition) == (SITES["farm"], "active")
        assert found.first_time_ms == found.last_time_ms == START_MS + 10_000

    def test_a_thing_that_nobody_commissioned_is_flagged_once(self, books: Books) -> None:
        """It is known from then on; a commissioning that comes late is welcome."""
        assert books.flagged("farm", objects("OBSERVE", 10, UNIT)) == ["item.unknown"]
        assert books.flagged("farm", objects("OBSERVE", 11, UNIT)) == []
        assert books.flagged("farm", commission(5, UNIT)) == ["time.before_last"]
        assert books.see(UNIT).commissioned

    def test_a_thing_is_commissioned_once(self, books: Books) -> None:
        """The second time is flagged, by the same organisation too."""
        books.clean("farm", commission(10, UNIT))
        assert books.flagged("farm", commission(11, UNIT)) == ["item.commissioned_twice"]

    def test_a_lot_grows_at_its_maker_only(self, books: Books) -> None:
        """More of a lot is no second commissioning unless somebody else makes it."""
        quantity = [amount("https://farm.example/lots/1", 5)]
        books.clean("farm", commission(10, q=quantity), commission(11, q=quantity))
        assert books.flagged("packer", commission(12, q=quantity)) == ["item.commissioned_twice"]

    def test_a_class_is_made_by_anybody_entitled(self, books: Books) -> None:
        """A GTIN without a lot is counted, and is nobody's in particular."""
        books.clean("farm", commission(10, q=[amount(gtin("farm"), 5, None)]))
        assert books.see(gtin("farm")).kind is ItemKind.CLASS

    @pytest.mark.parametrize(
        "item_id", [unit("packer", "1"), sscc("packer", 1), "https://id.gs1.org/01/04000001000005/21/1"]
    )
    def test_an_identifier_of_somebody_elses_prefix_is_flagged(self, books: Books, item_id: str) -> None:
        """A member's or a stranger's prefix; a plain URI has no owner."""
        assert books.flagged("farm", commission(10, item_id)) == ["prefix.not_owned"]
        assert books.flagged("farm", commission(10, FREE)) == []

    def test_outputs_and_new_containers_are_held_to_the_prefix(self, books: Books) -> None:
        """Whatever brings an identifier into use counts as commissioning it."""
        books.clean("farm", commission(10, UNIT))
        assert books.flagged("farm", pack(11, sscc("packer", 1), UNIT)) == ["prefix.not_owned"]
        output = transform(12, inputs=[UNIT], outputs=[unit("packer", "9")])
        assert "prefix.not_owned" in books.flagged("farm", output)

    def test_a_lot_is_commissioned_too(self, books: Books) -> None:
        """Its maker and owner are on record."""
        grain = lot("farm", "A")
        books.clean("farm", commission(10, q=[amount(grain, 5)]))
        found = books.see(grain)
        assert (found.commissioned, found.maker, found.owner) == (True, "farm", "farm")

    def test_the_first_time_is_the_least(self, books: Books) -> None:
        """Whatever the order of capture."""
        books.capture(
            "farm", objects("OBSERVE", 20, UNIT), commission(10, UNIT), objects("OBSERVE", 15, UNIT)
        )
        found = books.see(UNIT)
        assert (found.first_time_ms, found.last_time_ms) == (START_MS + 10_000, START_MS + 20_000)

    def test_commissioned_again_elsewhere(self, books: Books) -> None:
        """Who says last that it made a thing has it, also at the same time; a late word does not count."""
        books.clean("farm", commission(10, UNIT))
        books.capture("packer", objects("ADD", 10, UNIT))
        assert books.see(UNIT).custody.holder == "packer"
        books.capture("shop", commission(5, UNIT))
        found = books.see(UNIT)
        assert (found.custody.holder, found.maker) == ("packer", "farm")


class TestPlace:
    def test_the_place_is_the_location_else_the_read_point(self, books: Books) -> None:
        """bizLocation says where it is afterwards; without it, the place where it was seen stands."""
        place, dock = {"id": SITES["farm"]}, {"id": SITES["farm"] + "/254/dock"}
        books.clean("farm", commission(10, UNIT, bizLocation=place, readPoint=dock))
        assert books.see(UNIT).place == place["id"]
        books.clean("farm", objects("OBSERVE", 11, UNIT, readPoint=dock))
        assert books.see(UNIT).place == dock["id"]
        books.clean("farm", objects("OBSERVE", 12, UNIT))
        assert books.see(UNIT).place == dock["id"]

    def test_every_kind_of_event_sees(self, books: Books) -> None:
        """Inputs, outputs, lots, carriers and what a document names are where the event says."""
        place = {"bizLocation": {"id": SITES["farm"]}}
        made, grain, box = unit("farm", "2"), lot("farm", "G"), sscc("farm", 1)
        books.clean(
            "farm", commission(9, UNIT), commission(9, q=[amount(grain, 5)], bizLocation={"id": FREE})
        )
        assert books.see(grain).place == FREE
        oq = [amount(lot("farm", "H"), 1)]
        books.clean(
            "farm", transform(10, inputs=[UNIT], outputs=[made], iq=[amount(grain, 5)], oq=oq, **place)
        )
        books.clean("farm", event("AssociationEvent", "ADD", 11, parentID=box, childEPCs=[made], **place))
        for item_id in (UNIT, made, grain, lot("farm", "H"), box):
            assert books.see(item_id).place == SITES["farm"], item_id
        documents = {"bizTransactionList": [{"bizTransaction": "https://farm.example/po"}]}
        there = {"bizLocation": {"id": FREE}}
        named = {"epcList": [made], "quantityList": [amount(grain, 1)], "parentID": box}
        books.clean("farm", event("TransactionEvent", "OBSERVE", 12, **documents, **there, **named))
        assert [books.see(each).place for each in (made, grain, box)] == [FREE] * 3

    def test_at_one_time_the_later_capture_counts(self, books: Books) -> None:
        """Two sightings of one second."""
        books.clean("farm", commission(10, UNIT, bizLocation={"id": SITES["farm"]}))
        books.clean("farm", objects("OBSERVE", 10, UNIT, bizLocation={"id": FREE}))
        assert books.see(UNIT).place == FREE

    def test_a_late_event_moves_nothing_back(self, books: Books) -> None:
        """Place and condition are those of the latest event time, not of the latest capture."""
        place = {"id": SITES["farm"]}
        books.clean(
            "farm",
            commission(10, UNIT),
            objects("OBSERVE", 20, UNIT, bizLocation=place, disposition="damaged"),
        )
        books.capture("farm", objects("OBSERVE", 15, UNIT, bizLocation={"id": FREE}, disposition="active"))
        found = books.see(UNIT)
        assert (found.place, found.disposition, found.last_time_ms) == (
            place["id"],
            "damaged",
            START_MS + 20_000,
        )

    def test_a_place_of_another_member_is_flagged(self, books: Books) -> None:
        """Registered, part of a registered one, or under its prefix; a place of nobody is not."""
        books.clean("farm", commission(10, UNIT))
        for number, place in enumerate(
            (SITES["shop"], SITES["shop"] + "/254/1", "https://id.gs1.org/414/9520040000026")
        ):
            seen = objects("OBSERVE", 20 + number, UNIT, readPoint={"id": place}, bizLocation={"id": place})
            assert books.flagged("farm", seen) == ["site.not_owned"]
        for number, place in enumerate((SITES["farm"], FREE, "https://id.gs1.org/414/4000001000005")):
            assert books.flagged("farm", objects("OBSERVE", 30 + number, UNIT, readPoint={"id": place})) == []


class TestPersistentDispositions:
    def test_they_hold_until_they_are_lifted(self, books: Books) -> None:
        """Set adds, unset removes, other events leave them."""
        books.clean(
            "farm",
            commission(10, UNIT),
            objects("OBSERVE", 11, UNIT, persistentDisposition={"set": ["recalled", "damaged"]}),
            objects("OBSERVE", 12, UNIT),
            objects("OBSERVE", 13, UNIT, persistentDisposition={"unset": ["damaged"]}),
        )
        assert books.see(UNIT).persistent_dispositions == ("recalled",)

    def test_a_late_hold_holds_and_a_late_release_does_not_release(self, books: Books) -> None:
        """A recall that arrives late must not be lost, and must not be undone by something older."""
        books.clean("farm", commission(10, UNIT), objects("OBSERVE", 20, UNIT))
        books.capture("farm", objects("OBSERVE", 15, UNIT, persistentDisposition={"set": ["recalled"]}))
        books.capture("farm", objects("OBSERVE", 16, UNIT, persistentDisposition={"unset": ["recalled"]}))
        assert books.see(UNIT).persistent_dispositions == ("recalled",)

    def test_their_number_is_bounded(self, books: Books) -> None:
        """Words of other vocabularies can't grow the record without end."""
        words = [f"https://w.example/{number}" for number in range(PERSISTENT_MAX + 5)]
        books.clean(
            "farm", commission(10, UNIT), objects("OBSERVE", 11, UNIT, persistentDisposition={"set": words})
        )
        assert books.see(UNIT).persistent_dispositions == tuple(words[:PERSISTENT_MAX])


class TestEnd:
    @pytest.mark.parametrize(
        ("action", "step", "disposition", "status"),
        [
            ("DELETE", "decommissioning", "inactive", ItemStatus.DECOMMISSIONED),
            ("DELETE", None, None, ItemStatus.DECOMMISSIONED),
            ("DELETE", "destroying", "destroyed", ItemStatus.DESTROYED),
            ("DELETE", None, "disposed", ItemStatus.DESTROYED),
            ("DELETE", None, "retail_sold", ItemStatus.SOLD),
            ("OBSERVE", "retail_selling", "retail_sold", ItemStatus.SOLD),
            ("DELETE", "dispensing", None, ItemStatus.SOLD),
            ("OBSERVE", "inspecting", "retail_sold", ItemStatus.ACTIVE),
            ("OBSERVE", "destroying", None, ItemStatus.ACTIVE),
        ],
    )
    def test_how_a_thing_ends(
        self, books: Books, action: str, step: str | None, disposition: str | None, status: ItemStatus
    ) -> None:
        """DELETE ends, and so does a sale; an OBSERVE of anything else does not."""
        books.clean(
            "farm", commission(10, UNIT), objects(action, 11, UNIT, bizStep=step, disposition=disposition)
        )
        assert books.see(UNIT).status is status

    def test_nothing_happens_after_the_end(self, books: Books) -> None:
        """Any event on a thing that ended is flagged; one from before the end only came late."""
        books.clean("farm", commission(10, UNIT), objects("DELETE", 20, UNIT))
        assert books.flagged("farm", objects("OBSERVE", 20, UNIT)) == ["item.after_end"]
        assert books.flagged("farm", objects("OBSERVE", 15, UNIT)) == ["time.before_last"]
        assert books.see(UNIT).status is ItemStatus.DECOMMISSIONED

    def test_the_first_end_stands(self, books: Books) -> None:
        """A thing that was sold is not destroyed afterwards."""
        books.clean("farm", commission(10, UNIT), objects("OBSERVE", 20, UNIT, bizStep="retail_selling"))
        assert books.flagged("farm", objects("DELETE", 30, UNIT)) == ["item.after_end"]
        assert books.see(UNIT).status is ItemStatus.SOLD

    def test_an_input_is_consumed(self, books: Books) -> None:
        """A transformation can't be undone: its inputs are no more."""
        books.clean("farm", commission(10, UNIT), transform(11, inputs=[UNIT], outputs=[unit("farm", "2")]))
        assert books.see(UNIT).status is ItemStatus.CONSUMED
        assert books.see(unit("farm", "2")).status is ItemStatus.ACTIVE
        again = transform(12, inputs=[UNIT], outputs=[unit("farm", "3")])
        assert books.flagged("farm", again) == ["item.after_end"]


class TestAssociation:
    def test_attached_until_detached(self, books: Books) -> None:
        """A sensor stays with its pallet until it is taken off, alone or with all others."""
        pallet = sscc("farm", 1)
        sensors = [f"https://id.gs1.org/8004/952000{number}" for number in range(3)]
        books.clean("farm", commission(10, *sensors))
        fields = {"parentID": pallet, "childEPCs": sensors}
        books.clean("farm", event("AssociationEvent", "ADD", 11, **fields))
        assert [books.see(sensor).attached_to for sensor in sensors] == [pallet] * 3
        one = {"parentID": pallet, "childEPCs": sensors[:1]}
        books.clean("farm", event("AssociationEvent", "DELETE", 12, **one))
        assert [books.see(sensor).attached_to for sensor in sensors] == ["", pallet, pallet]
        books.clean("farm", event("AssociationEvent", "DELETE", 13, parentID=pallet))
        assert [books.see(sensor).attached_to for sensor in sensors] == ["", "", ""]
        books.clean("farm", event("AssociationEvent", "ADD", 14, **one))
        assert books.see(sensors[0]).attached_to == pallet

    def test_detached_from_elsewhere(self, books: Books) -> None:
        """Taking a sensor off what it is not on changes nothing; at equal times the later capture counts."""
        sensor, crate, pallet = "https://id.gs1.org/8004/9520001", FREE, sscc("farm", 1)
        books.clean("farm", commission(1, sensor))
        for parent in (crate, pallet):
            books.clean("farm", event("AssociationEvent", "ADD", 5, parentID=parent, childEPCs=[sensor]))
        books.clean("farm", event("AssociationEvent", "DELETE", 6, parentID=crate, childEPCs=[sensor]))
        assert books.see(sensor).attached_to == pallet
        books.clean("farm", event("AssociationEvent", "OBSERVE", 7, parentID=pallet, childEPCs=[sensor]))
        assert books.see(sensor).attached_to == pallet

    def test_quantities_of_an_association_have_it_in_their_history(self, books: Books) -> None:
        """Nothing is booked: what is associated stays where it is."""
        grain = lot("farm", "A")
        books.clean("farm", commission(1, q=[amount(grain, 5)]))
        fields = {"parentID": SITES["farm"], "childQuantityList": [amount(grain, 5)]}
        books.clean("farm", event("AssociationEvent", "ADD", 2, **fields))
        assert (books.see(grain).history.event_count, books.loose(grain, "farm")) == (2, "5")

    def test_a_late_association_changes_nothing(self, books: Books) -> None:
        """The latest event time says what a thing is attached to."""
        sensor, places = "https://id.gs1.org/8004/9520001", (SITES["farm"], FREE)
        books.clean("farm", commission(1, sensor))
        for at, place in zip((20, 10), places, strict=True):
            books.capture("farm", event("AssociationEvent", "ADD", at, parentID=place, childEPCs=[sensor]))
        assert books.see(sensor).attached_to == SITES["farm"]


def test_a_transaction_event_links_and_leaves_the_rest(books: Books) -> None:
    """It names a business document; a thing's state is as before, its history has the event."""
    books.clean("farm", commission(10, UNIT))
    documents = [{"type": "po", "bizTransaction": "https://farm.example/po/1"}]
    for at, action in ((11, "ADD"), (12, "OBSERVE"), (13, "DELETE")):
        books.clean(
            "farm", event("TransactionEvent", action, at, bizTransactionList=documents, epcList=[UNIT])
        )
    found = books.see(UNIT)
    assert (found.status, found.custody.holder, found.history.event_count) == (ItemStatus.ACTIVE, "farm", 4)
