"""A trace for people: the goods as a tree, and the events that moved them as a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from cli.answers import HistoryLine, HistoryPage, Item, SitePage, Trace, TraceEdge
from cli.client import Refused
from cli.wording import event_time, instant, part_words, place_of, short_id, step_words

if TYPE_CHECKING:
    from cli.client import Client
    from cli.output import Output

PAGE: Final = 100
LINES_MAX: Final = 1_000  # of one item's history, for a list that a person reads
ITEMS_MAX: Final = 200  # whose histories are fetched for a journey
SITE_PAGES_MAX: Final = 10  # of one organisation


@dataclass(frozen=True, slots=True)
class Stage:
    """One event of a journey and the items of the trace that it names."""

    line: HistoryLine
    items: tuple[str, ...]


class Places:
    """The titles of places, asked for once an organisation."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._titles: dict[str, str] = {}
        self._known: set[str] = set()

    def title(self, place: str, organisation: str) -> str:
        """What an organisation calls a place of its own; the identifier where it does not say."""
        self.learn(organisation)
        return self._titles.get(place) or short_id(place)

    def learn(self, organisation: str) -> None:
        """Get to know the places of an organisation."""
        if organisation and organisation not in self._known:
            self._known.add(organisation)
            for page in self._pages(organisation):
                self._titles |= {site.id: site.title for site in page.sites}

    def _pages(self, organisation: str) -> Iterator[SitePage]:
        path: str | None = f"/v1/organisations/{quote(organisation)}/sites?limit={PAGE}"
        for _ in range(SITE_PAGES_MAX):
            if path is None:
                return
            try:
                page = self._client.get(path, SitePage)
            except Refused:
                return
            yield page
            path = page.next


def history_of(client: Client, item_id: str, lines_max: int = LINES_MAX) -> list[HistoryLine]:
    """The events of an item, oldest first, at most so many.

    Raises:
        Refused, Unreachable.
    """
    path: str | None = f"/v1/items/history?id={quote(item_id, safe='')}&limit={PAGE}"
    lines: list[HistoryLine] = []
    while path is not None and len(lines) < lines_max:
        page = client.get(path, HistoryPage)
        lines += page.lines
        path = page.next
    return lines[:lines_max]


def journey(client: Client, trace: Trace) -> list[Stage]:
    """Every event of the traced items, in the order in which they were recorded."""
    lines: dict[tuple[int, int, int], HistoryLine] = {}
    named: dict[tuple[int, int, int], list[str]] = {}
    for node in trace.nodes[:ITEMS_MAX]:
        for line in history_of(client, node.id):
            key = (line.place.height, line.place.transaction_index, line.place.event_index)
            lines[key] = line
            named.setdefault(key, []).append(node.id)
    return [Stage(lines[key], tuple(named[key])) for key in sorted(lines)]


def journey_text(output: Output, places: Places, stages: list[Stage]) -> str:
    """The stages as a table: when, what, where, and who signed it at which height."""
    rows = [
        (
            event_time(stage.line.event),
            step_words(stage.line.event),
            places.title(place_of(stage.line.event), stage.line.organisation),
            short_id(stage.items[0]) + (f" +{len(stage.items) - 1}" if len(stage.items) > 1 else ""),
            stage.line.organisation,
            stage.line.place.height,
        )
        for stage in stages
    ]
    return output.table(("when", "what", "where", "goods", "signed by", "height"), rows)


def history_text(output: Output, places: Places, lines: list[HistoryLine]) -> str:
    """The events of one item as a table."""
    rows = [
        (
            event_time(line.event),
            step_words(line.event),
            part_words(line.parts),
            places.title(place_of(line.event), line.organisation),
            line.organisation,
            line.place.height,
            line.status + (" (withdrawn)" if line.declared_by else ""),
            ", ".join(flag.code for flag in line.flags),
        )
        for line in lines
    ]
    return output.table(("when", "what", "part", "where", "signed by", "height", "status", "flags"), rows)


def tree_text(output: Output, places: Places, trace: Trace) -> str:
    """The graph as a tree from the item that was asked for; a second way to the same item is not repeated."""
    for event in trace.events:
        places.learn(event.organisation)
    tree = _Tree(output, places, trace)
    lines = list(tree.lines(trace.id))
    if not trace.is_complete:
        lines.append("… the trace goes on; --depth and --nodes show more of it")
    return "\n".join(lines)


class _Tree:
    def __init__(self, output: Output, places: Places, trace: Trace) -> None:
        self._output = output
        self._places = places
        self._items = {node.id: node for node in trace.nodes}
        self._events = {event.place: event for event in trace.events}
        self._edges: dict[str, list[TraceEdge]] = {}
        self._shown: set[str] = set()
        for edge in trace.edges:
            self._edges.setdefault(edge.source, []).append(edge)
            self._edges.setdefault(edge.target, []).append(edge)

    def lines(self, start: str) -> Iterator[str]:
        """The tree below one item, depth first, without recursion: a chain may be long."""
        yield self._item(start)
        self._shown.add(start)
        stack = [(start, "", iter(self._ways(start)))]
        while stack:
            item_id, indent, ways = stack[-1]
            step = next(ways, None)
            if step is None:
                stack.pop()
                continue
            edge, is_last = step
            other = edge.source if edge.target == item_id else edge.target
            is_known = other in self._shown
            branch = "└─ " if is_last else "├─ "
            yield f"{indent}{branch}{self._edge(edge, item_id)}{'  (see above)' if is_known else ''}"
            if not is_known:
                self._shown.add(other)
                stack.append((other, indent + ("   " if is_last else "│  "), iter(self._ways(other))))

    def _ways(self, item_id: str) -> list[tuple[TraceEdge, bool]]:
        """The edges to items that the tree has not reached from elsewhere, the last one marked."""
        ways = [edge for edge in self._edges.get(item_id, ()) if not self._is_way_back(edge, item_id)]
        return [(edge, index == len(ways) - 1) for index, edge in enumerate(ways)]

    def _is_way_back(self, edge: TraceEdge, item_id: str) -> bool:
        other = edge.source if edge.target == item_id else edge.target
        item, reached = self._items.get(other), self._items.get(item_id)
        return item is None or (reached is not None and item.depth < reached.depth)

    def _item(self, item_id: str) -> str:
        item = self._items[item_id]
        words = _state(item, self._places)
        return f"{self._output.styled(short_id(item_id), 'bold')}  {words}"

    def _edge(self, edge: TraceEdge, item_id: str) -> str:
        is_target = edge.target == item_id
        other = edge.source if is_target else edge.target
        words = _WORDS.get(edge.kind, (edge.kind, edge.kind))[is_target]
        amount = f" {edge.quantity} {edge.uom or 'pieces'}" if edge.quantity else ""
        event = self._events.get(edge.place)
        signer = f" by {event.organisation}" if event else ""
        dim = f"{instant(edge.event_time_ms)}{signer}, height {edge.place.height}"
        name = self._output.styled(short_id(other), "bold")
        item = self._items.get(other)
        fate = f" ({item.status})" if item is not None and item.status not in ("active", "unknown") else ""
        return f"{words}{amount} {name}{fate}  {self._output.styled(dim, 'dim')}"


_WORDS: Final = {  # seen from the source, seen from the target
    "transformation": ("became", "made from"),
    "aggregation": ("was packed in", "contained"),
    "association": ("was attached to", "carried"),
}


def _state(item: Item, places: Places) -> str:
    """How an item stands, in a few words."""
    place = places.title(item.place, item.custody.holder) if item.place else ""
    holder = item.custody.holder
    if item.custody.recipient is not None:
        holder = f"{holder} to {item.custody.recipient or 'somebody'}"
    amounts = [f"{total.produced} {total.uom or 'pieces'} made" for total in item.totals[:2]]
    words = [item.status, item.disposition.replace("_", " "), *amounts, holder, place]
    return ", ".join(dict.fromkeys(word for word in words if word))


def item_text(output: Output, places: Places, item: Item) -> str:
    """Everything that is known of one item."""
    custody = item.custody
    pairs: list[tuple[str, Any]] = [
        ("identifier", item.id),
        ("kind", item.kind),
        ("status", item.status if item.commissioned else f"{item.status} (never commissioned)"),
        ("disposition", item.disposition),
        ("holder", custody.holder),
        ("on its way to", custody.recipient),
        ("place", places.title(item.place, custody.holder) if item.place else ""),
        ("made by", item.maker),
        ("owner", item.owner),
        ("packed in", short_id(item.parent) if item.parent else ""),
        ("attached to", short_id(item.attached_to) if item.attached_to else ""),
        ("holds", f"{item.children} things" if item.children else ""),
        ("conditions", item.persistent_dispositions),
        ("first event", instant(item.first_time_ms)),
        ("last event", instant(item.last_time_ms)),
    ]
    text = output.fields([(name, value) for name, value in pairs if value not in (None, "", ())])
    totals = [
        (each.uom or "pieces", each.produced, each.consumed, each.destroyed, each.sold)
        for each in item.totals
    ]
    if totals:
        text += "\n\n" + output.table(("unit", "made", "used up", "destroyed", "sold"), totals)
    holdings = [
        (
            each.quantity,
            each.uom or "pieces",
            each.custody.holder,
            each.custody.recipient,
            short_id(each.container) if each.container else "loose",
        )
        for each in item.holdings
    ]
    if holdings:
        text += "\n\n" + output.table(("quantity", "unit", "holder", "on its way to", "in"), holdings)
    if item.holdings_left_off:
        text += f"\n… and {item.holdings_left_off} more"
    return text
