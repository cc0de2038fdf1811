"""What EPCIS does not define: extensions and ILMD, kept as JSON says the same.

Text stays text, whatever its `xsi:type`. Attributes are members, as elements are; what repeats is a list.
White space around text is the layout of the document and is dropped but under `xml:space="preserve"`.
What XML can't say otherwise (numbers, truth values, null, lists of one, lists of lists) is told by two
attributes of our own, which `node.epcis_xml.writing` sets and other readers ignore.

Source: EPCIS 2.0 section 10 (JSON binding of extensions); XML Schema part 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from contracts.epcis.canonical_json import NUMBER_LITERAL_MAX, Json, JsonObject, child, parse
from contracts.epcis.problems import Problems, shown
from ledger.errors import LedgerError
from node.epcis_xml.names import STANDARD, Names, unescaped
from node.epcis_xml.tree import XML, XSI, Attribute, Element

JSON: Final = "urn:farmgate:json"  # of the attributes `is` and `in`
VALUE: Final = "@value"  # the text of an element that has attributes or elements besides it
LANGUAGE: Final = "@language"  # JSON-LD's word for xml:lang

_NUMBER: Final = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]{1,9})?")
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}
WRAPPERS: Final = ("extension", "baseExtension")  # of EPCIS 1.2, around what came later
SPACE: Final = " \t\r\n"  # what XML calls white space
SCHEMES: Final = ("http", "https", "urn", "did", "ni")  # of addresses: never prefixes


def number_of(text: str) -> Json | None:
    """The number that XML Schema's decimal or double writes so; None where it is none, `INF` included.

    Raises:
        LedgerError: `json.number_out_of_range`.
    """
    found = _NUMBER.fullmatch(text)
    if found is None or not any(character.isdigit() for character in text.lower().partition("e")[0]):
        return None
    if len(text) > NUMBER_LITERAL_MAX:
        raise LedgerError(
            "json.number_out_of_range", f"a number of more than {NUMBER_LITERAL_MAX} characters"
        )
    sign, whole, fraction, power = found.groups()
    literal = f"{sign.replace('+', '')}{whole or '0'}.{fraction or '0'}{power or ''}"
    return parse(literal.encode(), NUMBER_LITERAL_MAX + 8)


def boolean_of(text: str) -> bool | None:
    """The truth value that XML Schema writes so; None where it is none."""
    return _BOOLEANS.get(text)


def members(element: Element) -> Iterator[Element]:
    """Its elements, with those inside EPCIS's own extension wrappers in their places."""
    for each in element.children:
        if each.name in WRAPPERS and each.namespace in STANDARD:
            yield from members(each)
        else:
            yield each


def kept_attributes(element: Element) -> Iterator[Attribute]:
    """Its attributes but for those that tell how to read it: `xsi:`, `xml:` and our own."""
    return (each for each in element.attributes if each.namespace not in (XSI, XML, JSON))


class Foreign:
    """Reads elements that EPCIS does not define.

    Args:
        names: binds the prefixes.
        problems: where a namespace that no context can bind is noted.
        pointer: of the event or part whose elements are read.
    """

    def __init__(self, names: Names, problems: Problems, pointer: str) -> None:
        self._names = names
        self._problems = problems
        self.pointer = pointer

    def key(self, part: Element | Attribute) -> str:
        """The JSON name of an element or attribute."""
        if part.namespace in STANDARD:
            return unescaped(part.name)
        key = self._names.key(part.namespace, part.name, part.prefix)
        if key is not None:
            return key
        words = f"namespace {shown(part.namespace)} of {shown(part.name)} is no absolute address"
        self._problems.add("epcis.bad_context", child(self.pointer, part.name), words)
        return f"{part.prefix or 'ns'}:{part.name}"

    def curie(self, text: str, element: Element) -> str:
        """A text that may be `prefix:name`, its prefix bound as it is in the element."""
        prefix, colon, _ = text.partition(":")
        if not colon or prefix in SCHEMES:
            return text
        namespace = element.namespace_of(prefix)
        return text if not namespace else self._names.value(text, namespace, prefix)

    def content(self, element: Element, keeps_space: bool = False) -> Json:
        """The JSON that an element holds."""
        space = element.attribute("space", XML)
        keeps_space = keeps_space if space is None else space == "preserve"
        kind = element.attribute("is", JSON)
        if kind == "list":
            return [self.content(each, keeps_space) for each in element.children]
        held = self._held(element, element.children, keeps_space)
        text = element.text if keeps_space and not element.children else element.text.strip(SPACE)
        if not held and kind != "object":
            return self._scalar(text, element, kind)
        if text:
            held[VALUE] = text
        return held

    def object(self, element: Element) -> JsonObject:
        """As `content` of an element that is an object even where it is empty, its wrappers opened."""
        return self._held(element, members(element), False)

    def gather(self, held: dict[str, list[Json]], element: Element, keeps_space: bool = False) -> None:
        """Add what an element holds to what others of its name do."""
        value = self.content(element, keeps_space)
        is_alone = element.attribute("in", JSON) == "list"
        values = held.setdefault(self.key(element), [])
        values.append(_Alone([value]) if is_alone else value)

    def _held(self, element: Element, children: Iterable[Element], keeps_space: bool) -> JsonObject:
        held: dict[str, list[Json]] = {}
        for attribute in kept_attributes(element):
            held.setdefault(self.key(attribute), []).append(self.curie(attribute.value, element))
        language = element.attribute("lang", XML)
        if language is not None:
            held[LANGUAGE] = [language]
        for each in children:
            self.gather(held, each, keeps_space)
        return joined(held)

    def _scalar(self, text: str, element: Element, kind: str | None) -> Json:
        if kind == "null" or element.attribute("nil", XSI) in ("true", "1"):
            return None
        try:
            found = number_of(text) if kind == "number" else None
        except LedgerError:
            found = None  # a number beyond our range stays the text that it is
        if kind == "boolean":
            found = boolean_of(text)
        return self.curie(text, element) if found is None else found


class _Alone(list[Json]):
    """A list of one item, which says so of itself."""


def joined(held: dict[str, list[Json]]) -> JsonObject:
    """Each name with its value, or with the list of its values where they are several."""
    return {name: _joined(values) for name, values in held.items()}


def _joined(values: list[Json]) -> Json:
    plain = [each[0] if isinstance(each, _Alone) else each for each in values]
    return plain[0] if len(plain) == 1 and not isinstance(values[0], _Alone) else plain
