"""A trace as a tree: every item once, however tangled the graph."""

from __future__ import annotations

import io
import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cli.answers import Custody, EventPlace, Item, Trace, TraceEdge
from cli.output import Output
from cli.tracing import Places, tree_text

NOBODY = Custody("", None, 0)


class NoPlaces(Places):
    """Knows no place and asks nobody."""

    def __init__(self) -> None:
        """Nothing to keep."""

    def title(self, place: str, organisation: str) -> str:
        return place

    def learn(self, organisation: str) -> None:
        """Nothing to learn."""


def item(name: str, depth: int) -> Item:
    return Item(
        id=name, kind="instance", status="active", commissioned=True, maker="", owner="", custody=NOBODY,
        place="", disposition="", parent="", children=0, first_time_ms=0, last_time_ms=0, depth=depth,
    )  # fmt: skip


def edge(source: str, target: str) -> TraceEdge:
    return TraceEdge("transformation", source, target, EventPlace(1, 0, 0), 0, None, None, None)


def tree(trace: Trace) -> list[str]:
    out = Output(is_plain=True, stdout=io.StringIO(), stderr=io.StringIO())
    return tree_text(out, NoPlaces(), trace).splitlines()


def trace(depths: dict[str, int], edges: list[tuple[str, str]]) -> Trace:
    nodes = tuple(item(f"urn:x:{name}", depth) for name, depth in depths.items())
    made = tuple(edge(f"urn:x:{source}", f"urn:x:{target}") for source, target in edges)
    return Trace(nodes[0].id, "both", True, nodes, made, ())


def test_words_say_the_direction() -> None:
    """What something was made from, and what it became."""
    lines = tree(trace({"case": 0, "lot": 1, "jar": 1}, [("lot", "case"), ("case", "jar")]))
    assert lines[1].startswith("├─ made from urn:x:lot")
    assert lines[2].startswith("└─ became urn:x:jar")


def test_second_way_is_not_repeated() -> None:
    """An item that two ways lead to is drawn once; the second way points to it."""
    lines = tree(trace({"a": 0, "b": 1, "c": 1, "d": 2}, [("b", "a"), ("c", "a"), ("d", "b"), ("d", "c")]))
    assert sum("(see above)" in line for line in lines) == 1


def test_long_chain() -> None:
    """A chain of thousands is drawn without reaching a limit of the interpreter."""
    count = 3_000
    depths = {str(number): number for number in range(count)}
    lines = tree(trace(depths, [(str(number + 1), str(number)) for number in range(count - 1)]))
    assert len(lines) == count


def test_incomplete_trace_says_so() -> None:
    """A trace that was cut off ends with a line that tells."""
    cut = msgspec.structs.replace(trace({"a": 0}, []), is_complete=False)
    assert "--depth" in tree(cut)[-1]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=60), st.integers(1, 13))
def test_any_graph(edges: list[tuple[int, int]], count: int) -> None:
    """Whatever a node answers, each item is drawn at most once and drawing ends."""
    depths = {str(number): number for number in range(count)}
    lines = tree(trace(depths, [(str(a), str(b)) for a, b in edges]))
    drawn = [re.findall(r"urn:x:[0-9]+", line) for line in lines if "(see above)" not in line]
    names = [name for line in drawn for name in line]
    assert len(names) == len(set(names))
