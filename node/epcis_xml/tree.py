"""XML from strangers into a tree of bounded size, by expat, in one pass.

What it refuses: any document type declaration, so that there are no entities to expand, no external
subset to fetch and no default attributes; encodings other than UTF-8 and UTF-16; what is nested too
deep, holds too many nodes or an attribute too long. Comments and processing instructions are skipped.

Source: XML 1.0 (fifth edition); Namespaces in XML 1.0.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from xml.parsers import expat

from contracts.epcis.document import DOCUMENT_BYTES_MAX
from ledger.errors import LedgerError

DEPTH_MAX: Final = 32  # of elements; the deepest documents in use reach 15
NODES_MAX: Final = 1 << 18  # elements, attributes and namespace declarations: some 100 MiB at worst
PREFIXES_IN_SCOPE_MAX: Final = 128  # at one element; looking one up walks them
STRETCH_BYTES: Final = 16 << 10  # between two steps: some 2 ms; expat reads an unfinished tag again at each
ATTRIBUTES_MAX: Final = 1 << 10  # of one element, which is read in one step; a sensor report has 23
ATTRIBUTE_LENGTH_MAX: Final = 16 << 10  # characters; a URI in an event has at most 512

XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
XML: Final = "http://www.w3.org/XML/1998/namespace"

_ENCODINGS: Final = ("utf-8", "utf-16")
_SEPARATOR: Final = "\n"  # stands in no name; expat refuses a namespace that holds it


class Attribute(NamedTuple):
    """An attribute; `namespace` and `prefix` are empty where its name has no prefix."""

    namespace: str
    name: str
    prefix: str
    value: str


class Scope(NamedTuple):
    """A namespace declaration and those around it; the prefix is empty for the default namespace."""

    prefix: str
    namespace: str
    outer: Scope | None
    size: int


@dataclass(slots=True)
class Element:
    """An element.

    Args:
        namespace: empty where there is none.
        name: its local name.
        prefix: as it was written, empty where there was none.
        line: where it begins.
        scope: the innermost of the declarations in force in it.
        children: elements only, in order.
        texts: its own text in pieces, whatever stands between them.
    """

    namespace: str
    name: str
    prefix: str
    line: int
    scope: Scope | None
    attributes: tuple[Attribute, ...]
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of its own text as it stands, white space included."""
        return "".join(self.texts)

    def attribute(self, name: str, namespace: str = "") -> str | None:
        """The value of an attribute; None where it is not there."""
        for each in self.attributes:
            if each.name == name and each.namespace == namespace:
                return each.value
        return None

    def namespace_of(self, prefix: str) -> str | None:
        """The namespace that a prefix stands for in this element."""
        scope = self.scope
        while scope is not None:
            if scope.prefix == prefix:
                return scope.namespace
            scope = scope.outer
        return XML if prefix == "xml" else None


def parse_xml(data: bytes) -> Generator[None, None, Element]:
    """The root of a document, returned after some steps of bounded length.

    Raises:
        LedgerError: `xml.*`; the message names the line.
    """
    if len(data) > DOCUMENT_BYTES_MAX:
        raise LedgerError("xml.too_large", f"{len(data)} bytes, at most {DOCUMENT_BYTES_MAX} are allowed")
    if data.count(b"<") + data.count(b"=") > 3 * NODES_MAX:  # before expat makes anything of them
        raise _too_many()
    builder = _Builder()
    try:
        for start in range(0, len(data), STRETCH_BYTES):
            builder.parser.Parse(data[start : start + STRETCH_BYTES], False)
            yield
        builder.parser.Parse(b"", True)
    except expat.ExpatError as problem:
        words = f"no XML: {expat.ErrorString(problem.code)} at line {problem.lineno}, column {problem.offset}"
        raise LedgerError("xml.malformed", words) from None
    assert builder.root is not None, "a well-formed document has a root"
    return builder.root


class _Builder:
    """Builds the tree out of expat's calls."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._scope: Scope | None = None
        self._nodes = 0
        self.parser = parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        parser.namespace_prefixes = True
        parser.ordered_attributes = True
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartNamespaceDeclHandler = self._bound
        parser.StartElementHandler = self._started
        parser.EndElementHandler = self._ended
        parser.CharacterDataHandler = self._read

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        if not version.startswith("1."):
            raise LedgerError("xml.malformed", f"XML of version {version[:40]!r}, expected 1.0")
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            shown = encoding[:40]
            raise LedgerError("xml.encoding", f"the encoding is {shown!r}, expected UTF-8 or UTF-16")

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: bool) -> None:
        line = self.parser.CurrentLineNumber
        raise LedgerError("xml.doctype", f"a document type declaration at line {line}; none is read")

    def _bound(self, prefix: str | None, namespace: str | None) -> None:
        self._count(1)
        size = 1 if self._scope is None else self._scope.size + 1
        if size > PREFIXES_IN_SCOPE_MAX:
            words = f"more than {PREFIXES_IN_SCOPE_MAX} namespace declarations in force"
            raise LedgerError("xml.too_many_prefixes", f"{words} at line {self.parser.CurrentLineNumber}")
        self._scope = Scope(prefix or "", namespace or "", self._scope, size)

    def _started(self, name: str, values: list[str]) -> None:
        line = self.parser.CurrentLineNumber
        self._count(1 + len(values) // 2)
        if len(values) > 2 * ATTRIBUTES_MAX:
            words = f"an element of more than {ATTRIBUTES_MAX:,} attributes at line {line}"
            raise LedgerError("xml.too_many_attributes", words)
        if len(self._open) >= DEPTH_MAX:
            raise LedgerError("xml.too_deep", f"nested deeper than {DEPTH_MAX} elements at line {line}")
        namespace, local, prefix = _split(name)
        attributes = tuple(
            _attribute(*_split(name), value, line)
            for name, value in zip(values[::2], values[1::2], strict=True)
        )
        element = Element(namespace, local, prefix, line, self._scope, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _ended(self, name: str) -> None:
        self._open.pop()
        self._scope = self._open[-1].scope if self._open else None

    def _read(self, text: str) -> None:
        self._open[-1].texts.append(text)

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > NODES_MAX:
            raise _too_many()


def _attribute(namespace: str, name: str, prefix: str, value: str, line: int) -> Attribute:
    if len(value) > ATTRIBUTE_LENGTH_MAX:
        words = f"the attribute {name[:40]!r} at line {line} has {len(value)} characters"
        raise LedgerError("xml.attribute_too_long", f"{words}, at most {ATTRIBUTE_LENGTH_MAX} are allowed")
    return Attribute(namespace, name, prefix, value)


def _split(name: str) -> tuple[str, str, str]:
    """Namespace, local name and prefix of a name as expat gives it."""
    if _SEPARATOR not in name:
        return "", name, ""
    namespace, local, *prefix = name.split(_SEPARATOR)
    return namespace, local, prefix[0] if prefix else ""


def _too_many() -> LedgerError:
    words = f"more than {NODES_MAX:,} elements, attributes and namespace declarations"
    return LedgerError("xml.too_many_nodes", words)
