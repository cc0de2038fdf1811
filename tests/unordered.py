"""Where a module reads a set in the order in which it happens to lie in memory.

That order depends on the hash seed of the process, so two validators would differ. Nothing is run: an
expression is known to be a set by its form, by its annotation in the same module, or by what was assigned to
its name. Sets that come from another module without a word of their type are beyond this check.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

SET_TYPES = frozenset({"set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet"})
SET_WRAPPERS = frozenset({"Final", "ClassVar", "Annotated", "Optional", "Union"})
SET_METHODS = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
VIEW_METHODS = frozenset({"keys", "items"})
SET_OPERATORS = (ast.BitOr, ast.BitAnd, ast.BitXor, ast.Sub)

# What gives the same answer in any order, so that a generator over a set may stand inside.
ORDER_FREE = frozenset({"sorted", "set", "frozenset", "len", "any", "all", "sum", "min", "max"})
# What keeps the order that it finds.
ORDER_KEEPING = frozenset(
    "list tuple iter next enumerate zip map filter reversed bytes bytearray chain islice deque".split()
)
ORDER_KEEPING_METHODS = frozenset({"join", "fromkeys", "extend", "from_iterable"})

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Known:
    """The names that hold a set: variables of one scope; attributes and callables of the whole module."""

    variables: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    callables: frozenset[str] = frozenset()


def unordered_reads(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield each node that reads a set in memory order, once, in no promised order."""
    attributes = frozenset(_set_attributes(tree))
    callables = frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, FUNCTIONS) and _is_set_type(node.returns)
    )
    yield from _reads_in_scope(tree, Known(frozenset(), attributes, callables))


def _reads_in_scope(scope: ast.AST, outer: Known) -> Iterator[ast.AST]:
    """What a module or function reads unordered, and the functions inside it, which see its names too."""
    nodes = _own_nodes(scope)
    known = outer
    # Twice, so that `b = a | c` is known although `a` was learnt in the same pass.
    for _ in range(2):
        known = replace(known, variables=known.variables.union(_set_variables(nodes, known)))
    yield from _reads(nodes, known)
    for node in nodes:
        if isinstance(node, FUNCTIONS):
            yield from _reads_in_scope(node, known)


def _own_nodes(scope: ast.AST) -> tuple[ast.AST, ...]:
    """Every node of a scope but those inside its functions; a class body belongs to the scope around it."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, FUNCTIONS):
            waiting.extend(ast.iter_child_nodes(node))
    return tuple(found)


def _is_set_type(annotation: ast.expr | None) -> bool:
    match annotation:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in SET_TYPES
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            if name in SET_WRAPPERS:
                return any(_is_set_type(part) for part in getattr(inner, "elts", [inner]))
            return name in SET_TYPES
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _is_set_type(left) or _is_set_type(right)
        case _:
            return False


def _is_set(value: ast.expr | None, known: Known) -> bool:
    match value:
        case ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.Name(id=name):
            return name in known.variables
        case ast.Attribute(attr=name):
            return name in known.attributes
        case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in SET_METHODS and _is_set(
            inner, known
        ):
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in known.callables
        case ast.BinOp(left=left, op=operator, right=right) if isinstance(operator, SET_OPERATORS):
            return any(_is_set(side, known) or _is_view(side) for side in (left, right))
        case ast.IfExp(body=left, orelse=right):
            return _is_set(left, known) or _is_set(right, known)
        case ast.NamedExpr(value=inner):
            return _is_set(inner, known)
        case _:
            return False


def _is_view(value: ast.expr) -> bool:
    """Whether this is `mapping.keys()` or `.items()`: ordered alone, a set once an operator joins it."""
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in VIEW_METHODS
    )


def _set_attributes(tree: ast.Module) -> Iterator[str]:
    """Fields of classes and of `self` that this module annotates as a set or assigns one; properties too."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(body=body):
                for line in body:
                    if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                        if _is_set_type(line.annotation):
                            yield line.target.id
                    elif isinstance(line, FUNCTIONS) and line.decorator_list and _is_set_type(line.returns):
                        yield line.name
            case ast.AnnAssign(target=ast.Attribute(attr=name), annotation=annotation) if _is_set_type(
                annotation
            ):
                yield name
            case ast.Assign(targets=[ast.Attribute(attr=name)], value=value) if _is_set(value, Known()):
                yield name
            case _:
                pass


def _set_variables(nodes: Iterable[ast.AST], known: Known) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.arg(arg=name, annotation=annotation) if _is_set_type(annotation):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if _is_set_type(annotation):
                yield name
            case ast.Assign(targets=targets, value=value) if _is_set(value, known):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if _is_set(value, known):
                yield name
            case _:
                pass


def _reads(nodes: tuple[ast.AST, ...], known: Known) -> Iterator[ast.AST]:
    free = {generator for node in nodes for generator in _order_free_generators(node)}
    for node in nodes:
        match node:
            case ast.For(iter=source) | ast.AsyncFor(iter=source) | ast.YieldFrom(value=source):
                reads = _is_set(source, known)
            case (
                ast.ListComp(generators=loops)
                | ast.DictComp(generators=loops)
                | ast.GeneratorExp(generators=loops)
            ):
                reads = node not in free and any(_is_set(loop.iter, known) for loop in loops)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                reads = any(isinstance(part, ast.Starred) and _is_set(part.value, known) for part in parts)
            case ast.Assign(targets=[ast.Tuple() | ast.List()], value=source):
                reads = _is_set(source, known)
            case ast.Call():
                reads = _is_ordered_call(node, known)
            case _:
                reads = False
        if reads:
            yield node


def _order_free_generators(node: ast.AST) -> Iterator[ast.AST]:
    """The generators whose order is lost at once: `sorted(f(x) for x in some_set)`."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[ast.GeneratorExp() | ast.ListComp() as inner, *_]):
            if name in ORDER_FREE:
                yield inner
        case _:
            pass


def _is_ordered_call(call: ast.Call, known: Known) -> bool:
    """Whether a call keeps the order of a set that it is given, or takes "the first" of one."""
    if any(isinstance(argument, ast.Starred) and _is_set(argument.value, known) for argument in call.args):
        return True
    gets_set = any(_is_set(argument, known) for argument in call.args)
    match call.func:
        case ast.Attribute(value=owner, attr="pop") if not call.args and _is_set(owner, known):
            return True
        case ast.Attribute(attr=name) if name in ORDER_KEEPING_METHODS:
            return gets_set
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in ORDER_KEEPING and gets_set
        case _:
            return False
