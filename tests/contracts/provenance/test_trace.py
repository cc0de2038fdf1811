"""Tracing reaches what it must, leaves what it should, and ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.provenance import links
from contracts.provenance import trace as tracing
from contracts.provenance.events import EventKey
from contracts.provenance.items import ItemStatus
from contracts.provenance.links import INLINE_MEMBERS, PAGE_MEMBERS
from contracts.provenance.trace import Direction, EdgeKind, TraceGraph, trace
from tests.contracts.provenance.events import (
    Books,
    amount,
    commission,
    event,
    lot,
    objects,
    pack,
    sscc,
    transform,
    unit,
    unpack,
)
from tests.contracts.provenance.story import CASES, HARVEST, PACKED, PALLET, SHOP_PALLET, told

STORY = told()


def graph(books: Books, item_id: str, way: Direction = Direction.BOTH, **bounds: int) -> TraceGraph:
    found = trace(books.state, item_id, way, **bounds)
    assert found is not None
    return found


def reached(found: TraceGraph) -> set[str]:
    return {node.item.id for node in found.nodes}


def units(organisation: str, number: int, name: str = "u") -> list[str]:
    return [unit(organisation, f"{name}{index}") for index in range(number)]


class TestStory:
    def test_down_from_the_field(self) -> None:
        """Every case, the packed lot and both pallets are found, with where each is now."""
        found = graph(STORY, HARVEST[0], Direction.DOWN)
        assert reached(found) == {HARVEST[0], PACKED, *CASES, PALLET, SHOP_PALLET}
        assert found.is_complete
        where = {node.item.id: node.item for node in found.nodes}
        holders = [where[case].custody.holder for case in CASES]
        assert holders == ["shop"] * 5 + ["center"] * 5
        assert [where[case].status for case in CASES[:3]] == [
            ItemStatus.SOLD,
            ItemStatus.SOLD,
            ItemStatus.ACTIVE,
        ]

    def test_up_from_the_shop(self) -> None:
        """One case leads to both fields and to the pallets it came on, to no other case."""
        found = graph(STORY, CASES[0], Direction.UP)
        assert reached(found) == {CASES[0], *HARVEST, PALLET, SHOP_PALLET}
        made = [edge for edge in found.edges if edge.kind is EdgeKind.TRANSFORMATION]
        assert [(edge.source, edge.quantity, edge.uom) for edge in made] == [
            (HARVEST[0], "120.5", "KGM"),
            (HARVEST[1], "80", "KGM"),
        ]
        assert all(edge.event == EventKey(4, 0, 0) for edge in made)

    def test_an_edge_knows_when_goods_came_out(self) -> None:
        """A case was on the first pallet from packing to unpacking."""
        found = graph(STORY, CASES[0], Direction.DOWN)
        stays = {edge.target: edge for edge in found.edges}
        first = stays[PALLET]
        assert first.until_ms is not None
        assert (first.until_ms - first.event_time_ms) == 40_000

    def test_from_a_pallet_both_ways(self) -> None:
        """A pallet stands for what was on it: its cases, their fields, and where they went on."""
        found = graph(STORY, PALLET)
        assert reached(found) == {PALLET, *CASES, *HARVEST, SHOP_PALLET}

    def test_depths_count_edges(self) -> None:
        """The start is at 0; an item has the least number of edges to it."""
        depths = {node.item.id: node.depth for node in graph(STORY, HARVEST[0], Direction.DOWN).nodes}
        assert (depths[HARVEST[0]], depths[CASES[0]], depths[PALLET]) == (0, 1, 2)
        from_pallet = {node.item.id: node.depth for node in graph(STORY, PALLET, Direction.UP).nodes}
        assert (from_pallet[CASES[0]], from_pallet[HARVEST[0]]) == (1, 2)


class TestReach:
    def test_a_carrier_does_not_spread_the_trace(self) -> None:
        """Tracing one unit down does not reach what lies beside it, nor what that became."""
        books, (one, two) = Books(), units("farm", 2)
        box = sscc("farm", 1)
        books.clean("farm", commission(1, one, two), pack(2, box, one, two), unpack(3, box))
        books.clean("farm", transform(4, inputs=[two], outputs=[unit("farm", "out")]))
        assert reached(graph(books, one, Direction.DOWN)) == {one, box}

    def test_a_reused_crate_keeps_its_loads_apart(self) -> None:
        """Goods follow a crate only while they are in it."""
        books, (one, two) = Books(), units("farm", 2)
        crate, first, second = "https://farm.example/crate", sscc("farm", 1), sscc("farm", 2)
        books.clean("farm", commission(1, one, two, crate))
        books.clean("farm", pack(2, crate, one), pack(3, first, crate), unpack(4, first), unpack(5, crate))
        books.clean("farm", pack(6, crate, two), pack(7, second, crate))
        assert reached(graph(books, one, Direction.DOWN)) == {one, crate, first}
        assert reached(graph(books, two, Direction.DOWN)) == {two, crate, second}

    def test_a_container_that_is_used_up_takes_its_content_along(self) -> None:
        """Down from the content through the consumed pallet to the output, and up again."""
        books, (one, two) = Books(), units("farm", 2)
        box, out = sscc("farm", 1), unit("farm", "out")
        books.clean(
            "farm", commission(1, one, two), pack(2, box, one), transform(3, inputs=[box], outputs=[out])
        )
        assert reached(graph(books, one, Direction.DOWN)) == {one, box, out}
        assert reached(graph(books, out, Direction.UP)) == {out, box, one}
        assert two not in reached(graph(books, out))

    def test_packed_and_used_in_one_second(self) -> None:
        """Both ends of a stay belong to it."""
        books, (one, _) = Books(), units("farm", 2)
        box, out = sscc("farm", 1), unit("farm", "out")
        books.clean("farm", commission(1, one), pack(3, box, one), transform(3, inputs=[box], outputs=[out]))
        assert reached(graph(books, out, Direction.UP)) == {out, box, one}
        assert reached(graph(books, one, Direction.DOWN)) == {one, box, out}

    def test_moved_from_box_to_box(self) -> None:
        """A stay ends when the thing is packed elsewhere, and what the box did later is not its concern."""
        books, (one, _) = Books(), units("farm", 2)
        boxes, pallet = [sscc("farm", number) for number in range(3)], sscc("farm", 9)
        books.clean("farm", commission(1, one))
        for number, box in enumerate(boxes):
            books.capture("farm", pack(10 * (number + 1), box, one))
        books.clean("farm", pack(25, pallet, boxes[0]))
        found = graph(books, one, Direction.DOWN)
        assert reached(found) == {one, *boxes}
        stays = [edge.until_ms and edge.until_ms - edge.event_time_ms for edge in found.edges]
        assert stays == [10_000, 10_000, None]

    def test_what_was_put_in_after_the_use_is_no_origin(self) -> None:
        """Up from an output, a crate counts with what was in it then."""
        books, (one, two) = Books(), units("farm", 2)
        crate, out = "https://farm.example/crate", unit("farm", "out")
        books.clean("farm", commission(1, one, two, crate), pack(2, crate, one))
        books.clean("farm", transform(3, inputs=[crate], outputs=[out]))
        books.capture("farm", pack(9, crate, two))
        assert two not in reached(graph(books, out, Direction.UP))

    def test_partial_transformations_are_one(self) -> None:
        """Inputs and outputs that a transformationID joins belong together, whichever came first."""
        books = Books()
        one, two, three, four = (lot("farm", name) for name in "ABCD")
        batch = {"transformationID": "https://farm.example/batch/1"}
        books.clean("farm", commission(1, q=[amount(one, 10), amount(two, 10)]))
        books.clean(
            "farm", transform(2, iq=[amount(one, 5)], **batch), transform(3, oq=[amount(three, 4)], **batch)
        )
        books.clean("farm", transform(4, iq=[amount(two, 5)], oq=[amount(four, 5)], **batch))
        assert reached(graph(books, three, Direction.UP)) == {three, one, two}
        assert reached(graph(books, two, Direction.DOWN)) == {two, three, four}

    def test_very_many_parts_are_not_joined(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A transformationID joins a bounded number of events; the next is flagged and stands alone."""
        monkeypatch.setattr(links, "SESSION_EVENTS_MAX", 2)
        books = Books()
        one, two = lot("farm", "A"), lot("farm", "B")
        batch = {"transformationID": "https://farm.example/batch/1"}
        books.clean("farm", commission(1, q=[amount(one, 10)]))
        books.clean("farm", *(transform(2 + n, iq=[amount(one, 1)], **batch) for n in range(2)))
        assert books.flagged("farm", transform(5, oq=[amount(two, 1)], **batch)) == [
            "transformation.too_long"
        ]
        assert reached(graph(books, one, Direction.DOWN)) == {one}

    def test_a_lot_in_a_container(self) -> None:
        """Down from a lot to the pallet that holds some of it, with the quantity."""
        books, grain, box = Books(), lot("farm", "A"), sscc("farm", 1)
        books.clean("farm", commission(1, q=[amount(grain, 10)]), pack(2, box, q=[amount(grain, 2.5)]))
        (edge,) = graph(books, grain, Direction.DOWN).edges
        assert (edge.source, edge.target, edge.quantity, edge.uom, edge.until_ms) == (
            grain,
            box,
            "2.5",
            "KGM",
            None,
        )
        books.clean("farm", unpack(3, box, q=[amount(grain, 1)]))
        assert graph(books, grain, Direction.DOWN).edges[0].until_ms is None
        books.clean("farm", unpack(4, box, q=[amount(grain, 1.5)]))
        assert graph(books, grain, Direction.DOWN).edges[0].until_ms is not None
        other = sscc("farm", 2)
        books.clean("farm", pack(5, other, q=[amount(grain, 1)]), unpack(9, other))
        edge = graph(books, grain, Direction.DOWN).edges[0]
        assert edge.until_ms is not None
        assert edge.until_ms - edge.event_time_ms == 2_000

    def test_an_implicit_unpacking_ends_the_stay(self) -> None:
        """A unit that was sold out of its box is not followed with the box."""
        books, (one, _) = Books(), units("farm", 2)
        box, pallet = sscc("farm", 1), sscc("farm", 2)
        books.clean("farm", commission(1, one), pack(2, box, one))
        books.capture("farm", objects("OBSERVE", 3, one, bizStep="retail_selling"))
        books.clean("farm", pack(4, pallet, box))
        assert reached(graph(books, one, Direction.DOWN)) == {one, box}

    def test_what_is_attached_is_shown_and_not_followed(self) -> None:
        """A sensor's pallet appears, what else is on it does not."""
        books, (one, _) = Books(), units("farm", 2)
        sensor, box = "https://id.gs1.org/8004/9520001", sscc("farm", 1)
        books.clean("farm", commission(1, one, sensor), pack(2, box, one))
        books.clean("farm", event("AssociationEvent", "ADD", 3, parentID=box, childEPCs=[sensor]))
        found = graph(books, sensor)
        assert reached(found) == {sensor, box}
        assert [edge.kind for edge in found.edges] == [EdgeKind.ASSOCIATION]

    def test_an_event_with_very_many_members(self) -> None:
        """Members beyond the first pages are followed too."""
        number = INLINE_MEMBERS + 2 * PAGE_MEMBERS + 7
        books, field = Books(), lot("farm", "A")
        made = units("farm", number)
        books.clean("farm", commission(1, q=[amount(field, 10)]))
        books.clean("farm", transform(2, iq=[amount(field, 10)], outputs=made))
        found = graph(books, field, Direction.DOWN, nodes_max=2000)
        assert reached(found) == {field, *made}
        assert reached(graph(books, made[-1], Direction.UP)) == {made[-1], field}


class TestBounds:
    def test_an_unknown_item(self) -> None:
        """There is no graph around what nobody named."""
        assert trace(Books().state, unit("farm", "1")) is None

    def test_a_ring_of_transformations_ends(self) -> None:
        """Goods that come back into an earlier lot are walked once."""
        books = Books()
        ring = [lot("farm", name) for name in "ABC"]
        books.clean("farm", commission(1, q=[amount(each, 10) for each in ring]))
        for number in range(3):
            source, target = ring[number], ring[(number + 1) % 3]
            books.clean("farm", transform(2 + number, iq=[amount(source, 1)], oq=[amount(target, 1)]))
        for way in Direction:
            found = graph(books, ring[0], way)
            assert reached(found) == set(ring)
            assert found.is_complete
            assert len(found.edges) == 3

    @pytest.mark.parametrize(("depth", "complete"), [(0, False), (1, False), (2, True), (64, True)])
    def test_the_depth_is_bounded_and_said(self, depth: int, complete: bool) -> None:
        """A graph that stops short says so."""
        found = graph(STORY, HARVEST[0], Direction.DOWN, depth_max=depth)
        assert found.is_complete is complete
        assert max(node.depth for node in found.nodes) == min(depth, 2)

    @given(nodes=st.integers(-1, 20), way=st.sampled_from(list(Direction)))
    def test_the_nodes_are_bounded_and_said(self, nodes: int, way: Direction) -> None:
        """Never more than asked for, every edge joins two of them, and complete if nothing is missing."""
        whole = graph(STORY, PALLET, way)
        found = graph(STORY, PALLET, way, nodes_max=nodes)
        assert len(found.nodes) <= max(nodes, 1)
        assert all(edge.source in reached(found) and edge.target in reached(found) for edge in found.edges)
        assert found.is_complete == (len(found.nodes) == len(whole.nodes))

    def test_the_work_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A state that somebody filled with links can't hold a node for long."""
        monkeypatch.setattr(tracing, "STEPS_MAX", 5)
        assert not graph(STORY, PALLET).is_complete
        monkeypatch.setattr(tracing, "STEPS_MAX", 10_000)
        monkeypatch.setattr(tracing, "ENTRIES_MAX", 1)
        assert not graph(STORY, PALLET).is_complete

    def test_the_edges_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Many links between few items are cut off and said."""
        monkeypatch.setattr(tracing, "EDGES_A_NODE_MAX", 1)
        found = graph(STORY, PALLET, nodes_max=20)
        assert (len(found.edges), found.is_complete) == (20, False)

    def test_one_state_gives_one_answer(self) -> None:
        """Order of nodes and edges is that of the histories."""
        assert graph(STORY, PALLET) == graph(told(), PALLET)
