"""One parent a thing, no cycle, and what is inside moves with what is around it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from contracts.provenance.containers import DEPTH_MAX
from contracts.provenance.events import EventKey
from contracts.provenance.items import ITEMS, ItemKind, ItemStatus
from contracts.provenance.links import Member, link_of
from contracts.provenance.queries import contents
from contracts.provenance.register import PAGE_CHILDREN
from tests.contracts.provenance.events import (
    SITES,
    Books,
    amount,
    commission,
    event,
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

UNITS = tuple(unit("farm", f"{number}") for number in range(4))
BOX, PALLET = sscc("farm", 1), sscc("farm", 2)
LOT = lot("farm", "A")


@pytest.fixture
def books() -> Books:
    found = Books()
    found.clean("farm", commission(10, *UNITS, q=[amount(LOT, 100)]))
    return found


def inside(books: Books, container: str) -> list[str]:
    return [content.id for content in contents(books.state, container, 1).contents]


class TestPacking:
    def test_what_is_packed_moves_with_its_container(self, books: Books) -> None:
        """Two levels up is shipped, received and seen; the unit has the pallet's holder and place."""
        books.clean("farm", pack(20, BOX, *UNITS[:2]), pack(21, PALLET, BOX))
        books.clean("farm", ship(30, PALLET, to="center"))
        books.clean("center", receive(40, PALLET, bizLocation={"id": SITES["center"]}))
        found = books.see(UNITS[0])
        assert (found.parent, found.outermost) == (BOX, PALLET)
        assert (found.custody.holder, found.place) == ("center", SITES["center"])

    def test_what_is_unpacked_stays_where_its_container_was(self, books: Books) -> None:
        """It has custody and place of its own from then on."""
        books.clean("farm", pack(20, BOX, UNITS[0]), ship(30, BOX, to="center"))
        books.clean(
            "center", receive(40, BOX, bizLocation={"id": SITES["center"]}), unpack(50, BOX, UNITS[0])
        )
        books.clean("center", ship(60, BOX, to="farm"))
        found = books.see(UNITS[0])
        assert (found.parent, found.custody.holder, found.custody.recipient) == ("", "center", None)
        assert found.place == SITES["center"]

    def test_unpacking_without_children_empties_the_container(self, books: Books) -> None:
        """Things and quantities come out, all of them, and each has the event in its history."""
        books.clean("farm", pack(20, BOX, *UNITS, q=[amount(LOT, 40)]))
        assert books.see(BOX).children == 5
        counts = [books.see(each).history.event_count for each in (*UNITS, LOT)]
        books.clean("farm", unpack(30, BOX))
        assert (books.see(BOX).children, inside(books, BOX)) == (0, [])
        assert books.loose(LOT, "farm") == "100"
        assert [books.see(each).history.event_count for each in (*UNITS, LOT)] == [n + 1 for n in counts]
        link = link_of(books.state, EventKey(books.height, 0, 0))
        assert link is not None
        assert link.left == (*(Member(each, None, None) for each in UNITS), Member(LOT, "40", "KGM"))

    def test_contents_at_any_nesting(self, books: Books) -> None:
        """Depth first, in packing order, with exact quantities; a depth bound says what it leaves off."""
        books.clean("farm", pack(20, BOX, UNITS[1], UNITS[0], q=[amount(LOT, 0.125)]))
        books.clean("farm", pack(21, PALLET, UNITS[3], BOX))
        found = contents(books.state, PALLET)
        assert [(each.id, each.container, each.depth) for each in found.contents] == [
            (UNITS[3], PALLET, 1),
            (BOX, PALLET, 1),
            (UNITS[1], BOX, 2),
            (UNITS[0], BOX, 2),
            (LOT, BOX, 2),
        ]
        assert str(found.contents[-1].quantity) == "0.125"
        assert found.is_complete
        shallow = contents(books.state, PALLET, 1)
        assert ([each.id for each in shallow.contents], shallow.is_complete) == ([UNITS[3], BOX], False)

    def test_looking_at_a_box_leaves_it_where_it_is(self, books: Books) -> None:
        """An OBSERVE takes no box off its pallet and makes no container of what holds nothing."""
        books.clean("farm", pack(20, BOX, UNITS[0]), pack(21, PALLET, BOX))
        seen = {"parentID": BOX, "childEPCs": [UNITS[0]]}
        books.clean("farm", event("AggregationEvent", "OBSERVE", 30, **seen))
        assert books.see(BOX).parent == PALLET
        books.clean("farm", unpack(40, BOX, UNITS[0]))
        other = {"parentID": UNITS[1], "childEPCs": [UNITS[0]]}
        assert books.flagged("farm", event("AggregationEvent", "OBSERVE", 40, **other)) == [
            "container.not_inside"
        ]
        assert books.see(UNITS[1]).kind is ItemKind.INSTANCE

    def test_the_depth_below_a_container_is_not_forgotten(self, books: Books) -> None:
        """A leaf packed beside a deep box leaves the pallet as deep as it was."""
        books.clean("farm", pack(20, BOX, UNITS[0]), pack(21, PALLET, BOX), pack(22, PALLET, UNITS[1]))
        record = ITEMS.get(books.state, PALLET.encode())
        assert record is not None
        assert record.contents.levels == 2

    def test_places_follow_packing_and_looking(self, books: Books) -> None:
        """Container, content and lot are where the event says, also when they are only looked at."""
        here, there = {"id": SITES["farm"]}, {"id": SITES["farm"] + "/254/store"}
        packed = pack(20, BOX, UNITS[0], q=[amount(LOT, 1)], bizLocation=here, disposition="in_progress")
        books.clean("farm", packed)
        assert books.see(UNITS[0]).disposition == "in_progress"
        assert [books.see(each).place for each in (BOX, UNITS[0], LOT)] == [here["id"]] * 3
        seen = {"parentID": BOX, "childEPCs": [UNITS[0], UNITS[1]], "childQuantityList": [amount(LOT, 1)]}
        books.capture("farm", event("AggregationEvent", "OBSERVE", 30, bizLocation=there, **seen))
        assert [books.see(each).place for each in (BOX, UNITS[1], LOT)] == [there["id"]] * 3
        books.clean("farm", unpack(40, BOX, disposition="active", bizLocation=here))
        assert [books.see(each).place for each in (BOX, UNITS[0], LOT)] == [here["id"]] * 3
        assert books.see(UNITS[0]).disposition == "active"

    def test_whoever_opens_an_inner_box_has_what_was_in_it(self, books: Books) -> None:
        """The pallet around it stays with its holder; what came out is at the one who took it."""
        books.clean("farm", pack(20, BOX, UNITS[0]), pack(21, PALLET, BOX))
        assert books.flagged("packer", unpack(30, BOX, UNITS[0])) == ["custody.not_holder"]
        assert (books.see(UNITS[0]).custody.holder, books.see(BOX).custody.holder) == ("packer", "farm")
        books.clean("farm", pack(40, BOX, UNITS[1]), ship(50, PALLET, to="shop"))
        books.capture("packer", unpack(50, BOX, UNITS[1]))
        custody = books.see(UNITS[1]).custody
        assert (custody.holder, custody.recipient) == ("packer", None)

    def test_packing_takes_over_what_is_packed(self, books: Books) -> None:
        """A loose unit of somebody else is flagged; one in a container of one's own is not."""
        assert books.flagged("packer", pack(20, sscc("packer", 1), UNITS[0])) == ["custody.not_holder"]
        books.clean("packer", unpack(30, sscc("packer", 1), UNITS[0]))
        assert books.see(UNITS[0]).custody.holder == "packer"
        books.clean("farm", pack(40, BOX, UNITS[1]), ship(41, BOX, to="packer"))
        books.clean("packer", receive(42, BOX))
        assert books.flagged("packer", pack(43, sscc("packer", 2), UNITS[1])) == ["container.has_parent"]
        books.clean("farm", pack(50, PALLET, UNITS[2]))
        stolen = books.flagged("packer", pack(51, sscc("packer", 2), UNITS[2]))
        assert stolen == ["custody.not_holder", "container.has_parent"]

    def test_a_case_with_a_serial_becomes_a_container(self, books: Books) -> None:
        """Anything may hold things, whatever its identifier says."""
        books.clean("farm", pack(20, UNITS[0], UNITS[1]))
        assert books.see(UNITS[0]).kind is ItemKind.CONTAINER

    def test_a_large_container_spreads_over_pages(self, books: Books) -> None:
        """Packing rewrites the last page only; taking things out leaves exactly the others."""
        many = [unit("farm", f"m{number}") for number in range(3 * PAGE_CHILDREN + 5)]
        books.clean("farm", commission(20, *many), pack(21, BOX, *many))
        assert inside(books, BOX) == many
        record = ITEMS.get(books.state, BOX.encode())
        assert record is not None
        assert record.contents.pages == 4
        books.clean("farm", unpack(30, BOX, *many[: 2 * PAGE_CHILDREN]))
        assert inside(books, BOX) == many[2 * PAGE_CHILDREN :]
        books.clean("farm", pack(40, BOX, many[0]))
        assert inside(books, BOX) == [*many[2 * PAGE_CHILDREN :], many[0]]
        books.clean("farm", unpack(50, BOX))
        assert books.see(BOX).children == 0
        books.clean("farm", pack(60, BOX, *many[:2]))
        assert inside(books, BOX) == many[:2]


class TestFlags:
    def test_a_thing_has_one_parent(self, books: Books) -> None:
        """Packing it elsewhere is flagged and takes it out of the first; packing it again changes nothing."""
        books.clean("farm", pack(20, BOX, UNITS[0]), pack(21, BOX, UNITS[0]))
        assert books.flagged("farm", pack(22, PALLET, UNITS[0])) == ["container.has_parent"]
        assert (inside(books, BOX), inside(books, PALLET)) == ([], [UNITS[0]])

    def test_only_what_is_inside_comes_out(self, books: Books) -> None:
        """Unpacking something else is flagged and changes nothing for it."""
        books.clean("farm", pack(20, BOX, UNITS[0]), pack(20, PALLET, UNITS[1]))
        assert books.flagged("farm", unpack(30, BOX, UNITS[1])) == ["container.not_inside"]
        assert (inside(books, BOX), inside(books, PALLET)) == ([UNITS[0]], [UNITS[1]])

    def test_more_of_a_lot_than_is_inside(self, books: Books) -> None:
        """Taking out more than was packed is flagged; the books stay balanced."""
        books.clean("farm", pack(20, BOX, q=[amount(LOT, 10)]))
        assert books.flagged("farm", unpack(30, BOX, q=[amount(LOT, 12)])) == ["container.not_inside"]
        assert books.loose(LOT, "farm") == "102"
        assert [str(each.quantity) for each in books.see(LOT).holdings if each.container] == ["-2"]

    def test_seen_inside_what_it_is_not_in(self, books: Books) -> None:
        """An OBSERVE that disagrees is flagged and changes nothing; one older than the packing is not."""
        books.clean("farm", pack(20, BOX, UNITS[0]))
        seen = {"parentID": BOX, "childEPCs": [UNITS[0], UNITS[1]]}
        assert books.flagged("farm", event("AggregationEvent", "OBSERVE", 30, **seen)) == [
            "container.not_inside"
        ]
        assert inside(books, BOX) == [UNITS[0]]
        alone = {"parentID": PALLET, "childEPCs": [UNITS[0]]}
        assert "container.not_inside" not in books.flagged(
            "farm", event("AggregationEvent", "OBSERVE", 15, **alone)
        )

    def test_no_container_is_inside_itself(self, books: Books) -> None:
        """Directly or around a corner: flagged, and nothing is packed."""
        books.clean("farm", pack(20, BOX, UNITS[0]), pack(21, PALLET, BOX))
        assert books.flagged("farm", pack(22, BOX, PALLET)) == ["container.cycle"]
        assert books.flagged("farm", pack(23, BOX, BOX)) == ["container.cycle"]
        assert (books.see(BOX).parent, books.see(PALLET).parent) == (PALLET, "")

    @pytest.mark.parametrize("from_the_top", [True, False])
    def test_nesting_is_bounded(self, books: Books, from_the_top: bool) -> None:
        """DEPTH_MAX containers around a thing and no more, whether built downwards or upwards."""
        chain = [UNITS[0], *(sscc("farm", 100 + number) for number in range(DEPTH_MAX + 1))]
        steps = list(pairwise(chain))
        last = steps[-1]
        if from_the_top:
            steps, last = steps[1:][::-1], steps[0]
        else:
            steps = steps[:-1]
        for number, (child, parent) in enumerate(steps):
            assert "container.too_deep" not in books.flagged("farm", pack(20 + number, parent, child))
        assert books.flagged("farm", pack(90, last[1], last[0])) == ["container.too_deep"]
        assert books.see(last[0]).parent == ""

    @pytest.mark.parametrize("act", ["ship", "receive", "consume", "destroy", "sell"])
    def test_acting_on_what_is_still_packed(self, books: Books, act: str) -> None:
        """It is flagged, and the thing is out of its container from then on."""
        books.clean("farm", pack(20, BOX, *UNITS[:2]))
        acts = {
            "ship": ship(30, UNITS[0], to="packer"),
            "receive": receive(30, UNITS[0]),
            "consume": transform(30, inputs=[UNITS[0]], outputs=[unit("farm", "out")]),
            "destroy": objects("DELETE", 30, UNITS[0], bizStep="destroying"),
            "sell": objects("OBSERVE", 30, UNITS[0], bizStep="retail_selling"),
        }
        assert "container.not_unpacked" in books.flagged("farm", acts[act])
        assert inside(books, BOX) == [UNITS[1]]

    def test_named_together_with_its_container(self, books: Books) -> None:
        """An event that lists pallet and content, in any order, moves the pallet, and nothing is flagged."""
        books.clean("farm", pack(20, BOX, *UNITS[:2]))
        books.clean("farm", ship(30, UNITS[0], BOX, UNITS[1], to="packer"))
        books.clean("packer", receive(40, UNITS[0], BOX, UNITS[1]))
        found = books.see(UNITS[0])
        assert (found.parent, found.custody.holder) == (BOX, "packer")
        books.clean("packer", objects("DELETE", 50, UNITS[0], BOX, bizStep="destroying"))
        assert books.see(UNITS[0]).status is books.see(UNITS[1]).status is ItemStatus.DESTROYED

    def test_a_lot_among_things_seen_inside(self, books: Books) -> None:
        """It has no single container to be in."""
        books.clean("farm", pack(20, BOX, UNITS[0]))
        seen = {"parentID": BOX, "childEPCs": [UNITS[0], LOT]}
        books.clean("farm", event("AggregationEvent", "OBSERVE", 30, **seen))

    def test_a_quantity_left_open(self, books: Books) -> None:
        """An unspecified amount can't be booked: flagged, and the books stay."""
        assert books.flagged("farm", pack(20, BOX, q=[amount(LOT)])) == ["lot.unspecified_quantity"]
        assert books.flagged("farm", pack(21, BOX, LOT)) == ["lot.unspecified_quantity"]
        assert (books.loose(LOT, "farm"), inside(books, BOX)) == ("100", [])

    def test_what_is_inside_changes_hands_with_its_container(self, books: Books) -> None:
        """The receiver of the box may ship it on together with a unit in it, or the unit alone."""
        books.clean("farm", pack(20, BOX, *UNITS[:2]), ship(30, BOX, to="packer"))
        books.clean("packer", receive(40, BOX), ship(50, UNITS[0], BOX, to="shop"))
        books.clean("shop", receive(60, UNITS[0], BOX))
        assert books.flagged("shop", ship(70, UNITS[1], to="farm")) == ["container.not_unpacked"]


class TestLate:
    def test_a_packing_line_that_reports_after_the_truck_has_left(self, books: Books) -> None:
        """The unit is inside although its pallet's later events were captured first."""
        books.clean("farm", pack(20, BOX, UNITS[1]), ship(40, BOX, to="center"))
        books.clean("center", receive(50, BOX))
        assert books.flagged("farm", pack(30, BOX, UNITS[0])) == ["time.before_last"]
        found = books.see(UNITS[0])
        assert (found.parent, found.custody.holder) == (BOX, "center")

    def test_a_packing_older_than_the_last_unpacking(self, books: Books) -> None:
        """What was taken out later is not put back."""
        books.clean("farm", pack(20, BOX, UNITS[0]), unpack(40, BOX, UNITS[0]))
        books.capture("farm", pack(30, PALLET, UNITS[0]))
        assert books.see(UNITS[0]).parent == ""

    def test_an_unpacking_older_than_the_last_packing(self, books: Books) -> None:
        """What was put in later is not taken out."""
        books.clean("farm", pack(40, BOX, UNITS[0]))
        books.capture("farm", unpack(30, BOX, UNITS[0]))
        assert books.see(UNITS[0]).parent == BOX

    def test_an_act_older_than_the_packing(self, books: Books) -> None:
        """A late event does not pull a thing out of the container it was packed in since."""
        books.clean("farm", pack(40, BOX, UNITS[0]))
        assert books.flagged("farm", ship(30, UNITS[0], to="packer")) == ["time.before_last"]
        assert books.see(UNITS[0]).parent == BOX
        record = ITEMS.get(books.state, UNITS[0].encode())
        assert record is not None
        assert record.custody.recipient is None

    def test_an_act_at_the_time_of_the_packing(self, books: Books) -> None:
        """Of events at one time the later captured is the later one."""
        books.clean("farm", pack(40, BOX, UNITS[0]))
        assert books.flagged("farm", ship(40, UNITS[0], to="packer")) == ["container.not_unpacked"]
        assert books.see(UNITS[0]).parent == ""

    def test_unpacking_at_the_time_of_the_packing(self, books: Books) -> None:
        """In and out in one second."""
        books.clean("farm", pack(20, BOX, UNITS[0]), unpack(20, BOX, UNITS[0]))
        assert books.see(UNITS[0]).parent == ""

    def test_unpacking_at_the_time_of_the_receipt(self, books: Books) -> None:
        """Received and unpacked in one breath: the unit is the receiver's."""
        books.clean("farm", pack(20, BOX, UNITS[0]), ship(30, BOX, to="packer"))
        books.clean("packer", receive(40, BOX), unpack(40, BOX, UNITS[0]))
        assert books.see(UNITS[0]).custody.holder == "packer"


class TestEnds:
    @pytest.mark.parametrize(
        ("step", "status"),
        [("destroying", ItemStatus.DESTROYED), ("decommissioning", ItemStatus.ACTIVE)],
    )
    def test_the_end_of_a_container(self, books: Books, step: str, status: ItemStatus) -> None:
        """What is inside is destroyed with it; a label that goes out of use ends nothing."""
        books.clean("farm", pack(20, BOX, UNITS[0]), objects("DELETE", 30, BOX, bizStep=step))
        assert books.see(UNITS[0]).status is status

    def test_acting_on_what_lies_in_a_container_out_of_use(self, books: Books) -> None:
        """Whoever peeled off the label has unpacked it: no flag."""
        books.clean("farm", pack(20, BOX, UNITS[0]), objects("DELETE", 30, BOX, bizStep="decommissioning"))
        books.clean("farm", ship(40, UNITS[0], to="packer"))
        assert books.see(UNITS[0]).parent == ""
