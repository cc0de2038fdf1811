"""Every error code in the source, found by reading it: whatever is passed where a `code` is taken."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

FLOORS = ("ledger", "contracts", "node", "network", "cli")
CODE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def codes_in(root: Path) -> dict[str, set[str]]:
    """Each code, and the files that raise it."""
    trees = {
        path.relative_to(root).as_posix(): ast.parse(path.read_text("utf-8"), str(path))
        for floor in FLOORS
        for path in sorted((root / floor).rglob("*.py"))
    }
    takers = {name for tree in trees.values() for name in _takers(tree)}
    found: dict[str, set[str]] = {}
    for path, tree in trees.items():
        for code in _passed(tree, takers):
            found.setdefault(code, set()).add(path)
    return found


def _takers(tree: ast.AST) -> Iterator[str]:
    """Functions with a parameter `code`, classes with a field of that name, and errors' subclasses."""
    yield "__init__"
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if any(each.arg == "code" for each in (*node.args.args, *node.args.kwonlyargs)):
                    yield node.name
            case ast.ClassDef():
                if _has_field(node) or any(ast.unparse(base).endswith("Error") for base in node.bases):
                    yield node.name


def _has_field(node: ast.ClassDef) -> bool:
    for each in node.body:
        match each:
            case ast.AnnAssign(target=ast.Name(id="code")):
                return True
            case ast.FunctionDef(name="__init__") if any(a.arg == "code" for a in each.args.args):
                return True
    return False


def _passed(tree: ast.AST, takers: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _name(node.func) not in takers:
            continue
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            for code in _constants(argument):
                if CODE.fullmatch(code):
                    yield code


def _constants(argument: ast.expr) -> Iterator[str]:
    """A code may stand by itself, or as one of the two sides of a choice."""
    match argument:
        case ast.Constant(value=str() as text):
            yield text
        case ast.IfExp():
            yield from _constants(argument.body)
            yield from _constants(argument.orelse)


def _name(function: ast.expr) -> str:
    match function:
        case ast.Attribute():
            return function.attr
        case ast.Name():
            return function.id
        case _:
            return ""


def undocumented(found: Mapping[str, set[str]], documented: set[str]) -> list[str]:
    """What to say of each code that the reference lacks."""
    return [
        f"{code} ({', '.join(sorted(paths))})"
        for code, paths in sorted(found.items())
        if code not in documented
    ]
