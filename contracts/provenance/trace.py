"""Tracing: from an item up to what it was made of, and down to what became of it.

Two kinds of stop. Goods are followed wherever they go: through transformations, and from a container to
what was packed in it. A carrier is a container that goods lie in: it is followed only while they are
inside, and only outwards, so that a trace of one case does not spread to everything on its pallet.
Times are event times, because events are captured late and out of order; transformations of goods are
followed whatever their time, because a recall must rather reach too far.

The walk is breadth first in the order of histories, so one state gives one answer. It ends at a depth
and at a number of nodes, edges, history entries and steps; `is_complete` says whether it ended by itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from contracts.provenance import history as histories
from contracts.provenance.events import EventKey
from contracts.provenance.history import Part
from contracts.provenance.items import Item
from contracts.provenance.links import Link, LinkKind, Member, Side, link_of, members_of, session_of
from contracts.provenance.lots import account_key, packed
from contracts.provenance.queries import Finder, ItemView, view
from contracts.provenance.register import ACCOUNTS
from ledger.state import StateView

DEPTH_MAX: Final = 64
NODES_MAX: Final = 5_000
EDGES_A_NODE_MAX: Final = 16  # of a graph, on average
ENTRIES_MAX: Final = 4_096  # of one item's history
STEPS_MAX: Final = 100_000  # members and links looked at; some 20 us each
HOLDINGS_A_NODE_MAX: Final = 100
_ALWAYS: Final = (-(2**62), 2**62)  # a window of event times in ms, both ends within it
_LINKING: Final = Part.INPUT | Part.OUTPUT | Part.CONTAINER | Part.PACKED | Part.UNPACKED | Part.ATTACHED


class Direction(Enum):
    """Which way to follow the goods."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


class EdgeKind(Enum):
    """How the goods of `source` came to be in `target`."""

    TRANSFORMATION = "transformation"
    AGGREGATION = "aggregation"
    ASSOCIATION = "association"


@dataclass(frozen=True, slots=True)
class TraceNode:
    """An item of the graph as it stands now; `depth` edges from the start."""

    item: ItemView
    depth: int


@dataclass(frozen=True, slots=True)
class TraceEdge:
    """One step of the goods.

    Args:
        event: the event that made it: a transformation, a packing, an association.
        event_time_ms, until_ms: when it happened; when what was packed came out, None where it is inside.
        quantity, uom: of the member that is counted (exact text), else None.
    """

    kind: EdgeKind
    source: str
    target: str
    event: EventKey
    event_time_ms: int
    until_ms: int | None
    quantity: str | None
    uom: str | None


@dataclass(frozen=True, slots=True)
class TraceGraph:
    """Nodes and edges in the order in which they were reached, the start first."""

    start: str
    nodes: tuple[TraceNode, ...]
    edges: tuple[TraceEdge, ...]
    is_complete: bool


class _As(Enum):
    """What an item is to the walk."""

    GOODS = 0
    CARRIER = 1


Window = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Stop:
    """An item to go on from."""

    item_id: str
    role: _As
    window: Window
    depth: int


@dataclass(frozen=True, slots=True)
class _Joined:
    """An event of an item that joined it to others."""

    event: EventKey
    part: Part
    link: Link


def trace(
    state: StateView,
    item_id: str,
    direction: Direction = Direction.BOTH,
    depth_max: int = DEPTH_MAX,
    nodes_max: int = 500,
) -> TraceGraph | None:
    """The graph around an item, or None where the item is unknown.

    Args:
        item_id: canonical identifier.
        depth_max: edges from the start, at most DEPTH_MAX.
        nodes_max: items in the answer, at most NODES_MAX.
    """
    find = Finder(state)
    if find(item_id) is None:
        return None
    graph = _Graph(find, min(nodes_max, NODES_MAX))
    for way in (Direction.UP, Direction.DOWN):
        if direction in (way, Direction.BOTH):
            _Walk(graph, way, min(depth_max, DEPTH_MAX)).run(item_id)
    return graph.answer(item_id)


class _Graph:
    """What was reached so far, within its bounds."""

    def __init__(self, find: Finder, nodes_max: int) -> None:
        self.find = find
        self.is_complete = True
        self.nodes_max = max(nodes_max, 1)
        self._depths: dict[str, int] = {}
        self._edges: dict[tuple[EdgeKind, str, str, EventKey], TraceEdge] = {}
        self._joined: dict[str, list[_Joined]] = {}
        self._links: dict[EventKey, Link | None] = {}
        self._steps = 0

    def step(self) -> bool:
        """Count one step; False where there were too many."""
        self._steps += 1
        if self._steps > STEPS_MAX:
            self.is_complete = False
        return self._steps <= STEPS_MAX

    def link(self, event: EventKey) -> Link | None:
        """The members of an event, read once."""
        if event not in self._links:
            self._links[event] = link_of(self.find.state, event)
        return self._links[event]

    def holds(self, item_id: str) -> bool:
        """Whether an item was reached already."""
        return item_id in self._depths

    def reach(self, item_id: str, depth: int) -> bool:
        """Add a node; False where there is no room for another one."""
        known = self._depths.get(item_id)
        if known is None and len(self._depths) == self.nodes_max:
            self.is_complete = False
            return False
        self._depths[item_id] = depth if known is None else min(known, depth)
        return True

    def join(self, edge: TraceEdge) -> bool:
        """Add an edge; False where there is no room for another one."""
        key = (edge.kind, edge.source, edge.target, edge.event)
        if key not in self._edges and len(self._edges) == self.nodes_max * EDGES_A_NODE_MAX:
            self.is_complete = False
            return False
        self._edges.setdefault(key, edge)
        return True

    def joined(self, item_id: str) -> list[_Joined]:
        """The events that joined an item to others, in the order of its history."""
        if item_id not in self._joined:
            self._joined[item_id] = self._read_joined(item_id)
        return self._joined[item_id]

    def answer(self, start: str) -> TraceGraph:
        """All of it. An edge that leads to a node left off is left off too."""
        nodes = []
        for item_id, depth in self._depths.items():
            item = view(self.find, item_id, HOLDINGS_A_NODE_MAX)
            assert item is not None, "only known items are reached"
            nodes.append(TraceNode(item, depth))
        edges = tuple(
            edge
            for edge in self._edges.values()
            if edge.source in self._depths and edge.target in self._depths
        )
        return TraceGraph(start, tuple(nodes), edges, self.is_complete)

    def _read_joined(self, item_id: str) -> list[_Joined]:
        item, state = self.find(item_id), self.find.state
        assert item is not None, "only known items are reached"
        if item.tail.frontier.size > ENTRIES_MAX:
            self.is_complete = False
        found = []
        for entry in histories.read(state, item_id, item.tail, 0, ENTRIES_MAX):
            part = Part(entry.parts) & _LINKING
            link = self.link(entry.key) if part and self.step() else None
            if link is not None:
                found.append(_Joined(entry.key, part, link))
        return found


class _Walk:
    """One direction of a trace."""

    def __init__(self, graph: _Graph, way: Direction, depth_max: int) -> None:
        self._graph = graph
        self._way = way
        self._depth_max = depth_max
        self._queue: deque[_Stop] = deque()
        self._windows: dict[tuple[str, _As], Window] = {}

    def run(self, item_id: str) -> None:
        """Walk from an item until nothing is left or there is no room."""
        self._go(_Stop(item_id, _As.GOODS, _ALWAYS, 0))
        while self._queue:
            stop = self._queue.popleft()
            for joined in self._graph.joined(stop.item_id):
                self._follow(stop, joined)

    def _go(self, stop: _Stop) -> None:
        """Plan a stop, unless the walk was there with the same or a wider window."""
        key = (stop.item_id, stop.role)
        seen = self._windows.get(key)
        if seen is not None and seen[0] <= stop.window[0] and stop.window[1] <= seen[1]:
            return
        if not self._reach(stop.item_id, stop.depth):
            return
        low, high = seen or stop.window
        window = min(low, stop.window[0]), max(high, stop.window[1])
        self._windows[key] = window
        self._queue.append(_Stop(stop.item_id, stop.role, window, stop.depth))

    def _reach(self, item_id: str, depth: int) -> bool:
        """Add a node; False where it is new and lies too deep, or there is no room for it."""
        if depth > self._depth_max:
            is_known = self._graph.holds(item_id)
            self._graph.is_complete &= is_known
            return is_known
        return self._graph.reach(item_id, depth)

    def _follow(self, stop: _Stop, joined: _Joined) -> None:
        part, is_goods = joined.part, stop.role is _As.GOODS
        is_within = stop.window[0] <= joined.link.event_time_ms <= stop.window[1]
        if Part.PACKED in part:
            self._into_container(stop, joined)
        if Part.CONTAINER in part and is_goods and is_within and joined.link.kind is LinkKind.PACK:
            self._to_contents(stop, joined)
        if Part.INPUT in part and self._way is Direction.DOWN and (is_goods or is_within):
            self._through(stop, joined, Side.RIGHT)
        if Part.OUTPUT in part and self._way is Direction.UP and is_goods:
            self._through(stop, joined, Side.LEFT)
        if Part.ATTACHED in part and is_goods and is_within:
            self._to_carrier(stop, joined)

    def _into_container(self, stop: _Stop, joined: _Joined) -> None:
        """To the container that the item was packed in, while it was inside."""
        container_id, start_ms = joined.link.parent, joined.link.event_time_ms
        until_ms = self._until(stop.item_id, joined)
        low = max(stop.window[0], start_ms)
        high = min(stop.window[1], _ALWAYS[1] if until_ms is None else until_ms)
        if low > high:
            return
        member = self._member(joined, stop.item_id)
        self._join(EdgeKind.AGGREGATION, stop.item_id, container_id, joined, member, until_ms)
        self._go(_Stop(container_id, _As.CARRIER, (low, high), stop.depth + 1))

    def _to_contents(self, stop: _Stop, joined: _Joined) -> None:
        """To what was packed in the item: up, what it was before; down, what became of it."""
        packed_ms = joined.link.event_time_ms
        window = (_ALWAYS[0], packed_ms) if self._way is Direction.UP else (packed_ms, _ALWAYS[1])
        for member in self._members(joined.event, joined.link, Side.LEFT):
            if not self._graph.step() or not self._reach(member.id, stop.depth + 1):
                continue
            inside = self._packing_of(member.id, joined.event)
            until_ms = self._until(member.id, inside) if inside else None
            self._join(EdgeKind.AGGREGATION, member.id, stop.item_id, joined, member, until_ms)
            self._go(_Stop(member.id, _As.GOODS, window, stop.depth + 1))

    def _through(self, stop: _Stop, joined: _Joined, side: Side) -> None:
        """To the other side of a transformation, all parts of which count as one."""
        for event, link in self._parts(joined):
            for member in self._members(event, link, side):
                if not self._graph.step() or not self._reach(member.id, stop.depth + 1):
                    continue
                there = _Joined(event, joined.part, link)
                ends = (stop.item_id, member.id) if side is Side.RIGHT else (member.id, stop.item_id)
                self._join(EdgeKind.TRANSFORMATION, *ends, there, member, None)
                time_ms = joined.link.event_time_ms
                window = _ALWAYS if side is Side.RIGHT else (_ALWAYS[0], time_ms)
                self._go(_Stop(member.id, _As.GOODS, window, stop.depth + 1))

    def _to_carrier(self, stop: _Stop, joined: _Joined) -> None:
        """To what the item is associated with; nothing is followed from there."""
        carrier_id = joined.link.parent
        self._join(EdgeKind.ASSOCIATION, stop.item_id, carrier_id, joined, None, None)
        self._reach(carrier_id, stop.depth + 1)

    def _join(
        self,
        kind: EdgeKind,
        source: str,
        target: str,
        joined: _Joined,
        member: Member | None,
        until_ms: int | None,
    ) -> None:
        quantity, uom = (member.quantity, member.uom) if member else (None, None)
        time_ms = joined.link.event_time_ms
        self._graph.join(TraceEdge(kind, source, target, joined.event, time_ms, until_ms, quantity, uom))

    # --- reading ------------------------------------------------------------------------

    def _members(self, event: EventKey, link: Link, side: Side) -> tuple[Member, ...]:
        """Members of an event: as many as its size let it name."""
        return members_of(self._graph.find.state, event, link, side, STEPS_MAX)

    def _member(self, joined: _Joined, item_id: str) -> Member | None:
        """How an event names what it packed; a thing has nothing more to say."""
        item = self._graph.find(item_id)
        if item is None or not item.is_counted:
            return None
        members = self._members(joined.event, joined.link, Side.LEFT)
        return next((member for member in members if member.id == item_id), None)

    def _parts(self, joined: _Joined) -> list[tuple[EventKey, Link]]:
        state, session = self._graph.find.state, joined.link.transformation_id
        if not session:
            return [(joined.event, joined.link)]
        found = [(event, self._graph.link(event)) for event in session_of(state, session)]
        return [(event, link) for event, link in found if link is not None]

    def _packing_of(self, item_id: str, event: EventKey) -> _Joined | None:
        """The packing of a member as its own history has it."""
        return next((each for each in self._graph.joined(item_id) if each.event == event), None)

    def _until(self, item_id: str, joined: _Joined) -> int | None:
        """When what was packed came out again; None where it is inside still."""
        item = self._graph.find(item_id)
        assert item is not None, "only known items are reached"
        start_ms, container_id = joined.link.event_time_ms, joined.link.parent
        history = self._graph.joined(item_id)
        if item.is_counted:
            return self._emptied(item, item_id, container_id, history)
        ends = [
            each.link.event_time_ms
            for each in history
            if each.event != joined.event and _ends(each, container_id, start_ms)
        ]
        if ends:
            return min(ends)
        is_inside = item.containment.parent == container_id
        return None if is_inside else max(item.containment.since_ms, start_ms)

    def _emptied(self, lot: Item, lot_id: str, container_id: str, history: list[_Joined]) -> int | None:
        """When the last of a lot left a container; None while there is some inside."""
        state = self._graph.find.state
        for total in lot.totals:
            account = ACCOUNTS.get(state, account_key(lot_id, packed(container_id, total.uom)))
            if account is not None and account.quantity != "0":
                return None
        times = [
            each.link.event_time_ms
            for each in history
            if Part.UNPACKED in each.part and each.link.parent == container_id
        ]
        return max(times, default=None)


def _ends(joined: _Joined, container_id: str, start_ms: int) -> bool:
    """Whether an event ended what began at `start_ms`: it took the thing out, or put it elsewhere."""
    if joined.link.event_time_ms < start_ms:
        return False
    is_same = joined.link.parent == container_id
    return (Part.UNPACKED in joined.part and is_same) or (Part.PACKED in joined.part and not is_same)
