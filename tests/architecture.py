"""The floors of the house, and what may not happen on the two that every validator must agree on.

A rule reads the syntax tree of one module and yields what breaks it; nothing is imported or run. `RULES`
lists them all, and test_architecture.py holds them against the house and against planted faults.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import TypeVar

from tests.unordered import unordered_reads

# From the ground up: a floor imports itself and the floors before it.
FLOORS = ("ledger", "contracts", "node", "network", "cli")
DETERMINISTIC = ("ledger", "contracts")
# What stands beside the floors in the tree; the product imports none of it.
NEVER_IMPORTED = frozenset({"tests", "bench", "examples", "docs", "deploy"})

# Pure computing only. A library added here is a promise: the same answer on every validator, for ever.
LEDGER_LIBRARIES = frozenset(
    "__future__ abc bisect collections dataclasses enum functools hashlib heapq itertools msgspec operator "
    "struct types typing".split()
)
# `datetime` and `decimal` as types of values; `ast` and `dis` to compile contracts and check what came out.
CONTRACTS_LIBRARIES = LEDGER_LIBRARIES | frozenset("ast datetime decimal dis json re urllib.parse".split())
LIBRARIES = {"ledger": LEDGER_LIBRARIES, "contracts": CONTRACTS_LIBRARIES}

# One door each: the folder or file that may import it. plyvel, besides, stands in one file of its folder.
DOORS = {"nacl": "ledger/crypto.py", "plyvel": "node/store"}

OUTSIDE_WORLD = frozenset({"open", "input", "print", "breakpoint", "__import__", "eval"})
# Of a module that imports datetime: the reads of clock and local zone, and the ways back to a float.
CLOCK_READS = frozenset({"now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp"})
FLOAT_READS = frozenset({"timestamp", "total_seconds"})
EMPTY_NAMES = frozenset(
    {"util", "utils", "helper", "helpers", "base", "manager", "managers", "common", "misc"}
)


Node = TypeVar("Node", bound=ast.AST)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One broken rule at one line; its text is what a red test prints."""

    path: str
    line: int
    found: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.found}"


@dataclass(frozen=True)
class Module:
    """One source file, by its path from the root of the repository."""

    path: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    @property
    def floor(self) -> str:
        return PurePosixPath(self.path).parts[0]

    def find(self, node: ast.AST, found: str) -> Finding:
        return Finding(self.path, getattr(node, "lineno", 1), found)

    def nodes(self, kind: type[Node]) -> Iterator[Node]:
        return (node for node in ast.walk(self.tree) if isinstance(node, kind))


Rule = Callable[[Module], Iterator[Finding]]


def imports_of(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Each import of a module as (node, absolute dotted name); those only a type checker runs count too."""
    package = PurePosixPath(module.path).parent.parts
    for node in module.nodes(ast.Import):
        yield from ((node, alias.name) for alias in node.names)
    for origin in module.nodes(ast.ImportFrom):
        start = package[: len(package) - origin.level + 1] if origin.level else ()
        stem = ".".join((*start, *filter(None, [origin.module])))
        # `from urllib import parse` names the module in its second half, so both halves are given.
        yield from ((origin, f"{stem}.{alias.name}") for alias in origin.names)


def is_within(name: str, allowed: frozenset[str]) -> bool:
    """Whether a dotted name is one of the allowed ones, or lies inside one of them."""
    parts = name.split(".")
    return any(".".join(parts[:length]) in allowed for length in range(1, len(parts) + 1))


def imports_go_down(module: Module) -> Iterator[Finding]:
    """cli -> network -> node -> contracts -> ledger, never back, and never out to tests or benchmarks."""
    above = frozenset(FLOORS[FLOORS.index(module.floor) + 1 :]) | NEVER_IMPORTED
    for node, name in imports_of(module):
        if is_within(name, above):
            yield module.find(node, f"{module.floor}/ imports {name}, which stands above it")


def libraries_are_listed(module: Module) -> Iterator[Finding]:
    """ledger/ and contracts/ import only what is on the list, whose entries are pure computing."""
    allowed = LIBRARIES.get(module.floor)
    if allowed is None:
        return
    for node, name in imports_of(module):
        is_door = any(is_within(name, frozenset({library})) for library in DOORS)
        if not is_door and not is_within(name, allowed | frozenset(FLOORS)):
            yield module.find(node, f"{name} is not on the allow-list of {module.floor}/")


def doors_are_used(module: Module) -> Iterator[Finding]:
    """nacl is imported in ledger/crypto.py alone, plyvel below node/store alone."""
    for node, name in imports_of(module):
        for library, door in DOORS.items():
            is_inside = PurePosixPath(module.path).is_relative_to(door)
            if is_within(name, frozenset({library})) and not is_inside:
                yield module.find(node, f"{name} is imported outside {door}")


def floats_are_absent(module: Module) -> Iterator[Finding]:
    """No float is written, made or divided into being; to ask whether a value is one stays allowed."""
    if module.floor not in DETERMINISTIC:
        return
    questions = set(_questions_of_type(module))
    for node in ast.walk(module.tree):
        match node:
            case ast.Constant(value=float() | complex() as value):
                yield module.find(node, f"the literal {value} is a float")
            case ast.Name(id="float" | "complex" as name, ctx=ast.Load()) if node not in questions:
                yield module.find(node, f"{name} is used")
            case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
                yield module.find(node, "`/` gives a float; use `//`, or a Decimal context's divide")
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="json"), attr="load" | "loads"), keywords=keywords
            ):
                if not any(keyword.arg == "parse_float" for keyword in keywords):
                    yield module.find(node, "json reads floats unless parse_float says what to read")
            case _:
                pass


def _questions_of_type(module: Module) -> Iterator[ast.AST]:
    """The names that stand in `isinstance(x, float)`, `type(x) is float` and `case float():`."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
                yield from ast.walk(kinds)
            case ast.Compare(comparators=comparators):
                yield from comparators
            case ast.MatchClass(cls=kind):
                yield kind
            case _:
                pass


def identity_is_unread(module: Module) -> Iterator[Finding]:
    """hash() depends on the process's seed and id() on its memory; neither is called or handed on."""
    if module.floor not in DETERMINISTIC:
        return
    for name in module.nodes(ast.Name):
        if name.id in {"hash", "id"} and isinstance(name.ctx, ast.Load):
            yield module.find(name, f"{name.id}() differs between processes")
    for attribute in module.nodes(ast.Attribute):
        if attribute.attr == "__hash__":
            yield module.find(attribute, "__hash__ differs between processes")


def world_is_outside(module: Module) -> Iterator[Finding]:
    """No built-in function that reads or writes outside, and none that imports past the list."""
    if module.floor not in DETERMINISTIC:
        return
    for name in module.nodes(ast.Name):
        if name.id in OUTSIDE_WORLD and isinstance(name.ctx, ast.Load):
            yield module.find(name, f"{name.id} reaches outside of the floor")


def clocks_are_unread(module: Module) -> Iterator[Finding]:
    """datetime holds values here: nothing asks it for the present, for the local zone, or for a float."""
    uses_datetime = any(is_within(name, frozenset({"datetime"})) for _, name in imports_of(module))
    if module.floor not in DETERMINISTIC or not uses_datetime:
        return
    for call in module.nodes(ast.Call):
        match call.func:
            case ast.Attribute(attr=name) if name in CLOCK_READS:
                yield module.find(call, f"{name}() reads the clock or the local zone")
            case ast.Attribute(attr=name) if name in FLOAT_READS:
                yield module.find(call, f"{name}() is a float; divide by a timedelta with `//`")
            case ast.Attribute(attr="astimezone") if not call.args and not call.keywords:
                yield module.find(call, "astimezone() without a zone reads the local one")
            case _:
                pass


def sets_are_sorted(module: Module) -> Iterator[Finding]:
    """No set is read in memory order; `sorted(...)` around it makes the order everybody's."""
    if module.floor in DETERMINISTIC:
        for node in unordered_reads(module.tree):
            yield module.find(node, "a set is read in memory order; sort it first")


def names_say_something(module: Module) -> Iterator[Finding]:
    """A module is named after its one noun: not utils, helpers, base or manager."""
    path = PurePosixPath(module.path)
    for part in (*path.parent.parts, path.stem):
        if part in EMPTY_NAMES:
            yield Finding(module.path, 1, f"the name {part!r} says nothing of what is inside")


RULES: tuple[Rule, ...] = (
    imports_go_down,
    libraries_are_listed,
    doors_are_used,
    floats_are_absent,
    identity_is_unread,
    world_is_outside,
    clocks_are_unread,
    sets_are_sorted,
    names_say_something,
)
