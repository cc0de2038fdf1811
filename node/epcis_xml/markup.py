"""JSON members as XML elements and attributes: names, prefixes, text, and marks for what XML can't say."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from contracts.epcis.prefixes import GS1_PREFIXES, is_mentioned, is_prefix_pair
from node.epcis_xml.foreign import JSON, LANGUAGE, SCHEMES, SPACE, VALUE, WRAPPERS
from node.epcis_xml.names import MDA, STANDARD, escaped
from node.epcis_xml.tree import XML, XSI

XML_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_WORD: Final = re.compile(r"[A-Za-z0-9_]+")
_MEASURED: Final = re.compile(r"[A-Za-z_]+")
_TAIL: Final = re.compile(r"[^/#:?]*\Z")
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_TEXT: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#13;"}
_IN_ATTRIBUTE: Final = {**_TEXT, ord('"'): "&quot;", ord("\t"): "&#9;", ord("\n"): "&#10;"}
# No extension is named by these: XML forbids it, or the name would be a field or a mark of ours.
_RESERVED: Final = (*STANDARD, JSON, XML, XSI, "http://www.w3.org/2000/xmlns/")
_XML_NAMESPACES: Final = {**GS1_PREFIXES, "cbvmda": MDA}


class Markup:
    """Writes what EPCIS does not define, and the prefixes that an event needs.

    Args:
        bound: the prefixes in force in the event.
        body: its canonical JSON, in which no prefix that is made up here may be mentioned.
    """

    def __init__(self, bound: dict[str, str], body: bytes) -> None:
        self._bound = bound
        self._body = body
        self._declared = {
            prefix: namespace
            for prefix, namespace in bound.items()
            if _is_free(prefix) and namespace not in _RESERVED
        }
        self._made: dict[str, str] = {}
        self._number = 0

    @staticmethod
    def text(value: str) -> str:
        """Text between tags."""
        return _FORBIDDEN.sub("\ufffd", value).translate(_TEXT)

    @staticmethod
    def scalar(value: Any) -> str:
        """A string, number or truth value as XML Schema writes it."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return format(value, "f") if isinstance(value, Decimal) else str(value)

    @staticmethod
    def is_word(text: str) -> bool:
        """Whether a term is a bare word, and so one of a CBV vocabulary."""
        return _WORD.fullmatch(text) is not None

    def declarations(self) -> str:
        """The namespace declarations that what was written needs."""
        pairs = sorted(self._declared.items())
        return "".join(attribute_of(f"xmlns:{prefix}", namespace) for prefix, namespace in pairs)

    def gs1_word(self, text: str) -> str:
        """A bare word of GS1's web vocabulary as `gs1:word`."""
        return self._vocabulary_word(text, "gs1", "")

    def cbv_word(self, text: str) -> str:
        """A bare name of a component as `cbv:Comp-word`."""
        return self._vocabulary_word(text, "cbv", "Comp-")

    def expanded(self, name: str) -> tuple[str, str]:
        """Namespace and local name of a name that was written: no two attributes may have the same."""
        prefix, colon, local = name.partition(":")
        return (self._declared[prefix], local) if colon else ("", name)

    def name(self, key: str) -> str:
        """The XML name of a JSON key that is `prefix:name`, an absolute URI or a bare name."""
        prefix, colon, local = key.partition(":")
        if not colon:
            return _bare(key)
        namespace = self._bound.get(prefix) or _XML_NAMESPACES.get(prefix)
        if namespace in _RESERVED:
            return _bare(key)
        if namespace is None:
            return self._address(key) if prefix in SCHEMES else _bare(key)
        if not _is_free(prefix):
            return f"{self._made_up(namespace)}:{escaped(local)}"
        self._declared.setdefault(prefix, namespace)
        return f"{prefix}:{escaped(local)}"

    def _address(self, key: str) -> str:
        """The name of a key that is an absolute URI, cut where a vocabulary would cut it."""
        found = _TAIL.search(key)
        assert found is not None, "the pattern matches the empty end"
        namespace, local = key[: found.start()], found.group()
        if not local or not is_prefix_pair("ns", namespace):
            return _bare(key)
        return f"{self._made_up(namespace)}:{escaped(local)}"

    def foreign(self, key: str, value: Any) -> str:
        """The element or elements of an extension."""
        return self._elements(self.name(key), value)

    def _elements(self, name: str, value: Any) -> str:
        if not isinstance(value, list):
            return self._one(name, value, "")
        if not value or any(isinstance(each, list) for each in value):
            inner = "".join(self._wrapped(each) for each in value)
            return f"<{name}{self._marked('is', 'list')}>{inner}</{name}>"
        alone = self._marked("in", "list") if len(value) == 1 else ""
        return "".join(self._one(name, each, alone) for each in value)

    def _wrapped(self, value: Any) -> str:
        """An item of a list that is told as a list."""
        if isinstance(value, list):
            inner = "".join(self._wrapped(each) for each in value)
            return f"<item{self._marked('is', 'list')}>{inner}</item>"
        return self._one("item", value, "")

    def _one(self, name: str, value: Any, marks: str) -> str:
        match value:
            case dict():
                return self._object(name, value, marks)
            case None:
                return f"<{name}{marks}{self._marked('is', 'null')}/>"
            case str():
                keeps = ' xml:space="preserve"' if value != value.strip(SPACE) else ""
                return f"<{name}{marks}{keeps}>{self.text(value)}</{name}>"
            case _:
                kind = "boolean" if isinstance(value, bool) else "number"
                return f"<{name}{marks}{self._marked('is', kind)}>{self.scalar(value)}</{name}>"

    def _object(self, name: str, value: dict[str, Any], marks: str) -> str:
        text, language = value.get(VALUE), value.get(LANGUAGE)
        inner = []
        told = set()
        if isinstance(text, str) and text and text == text.strip(SPACE):
            inner.append(self.text(text))
            told.add(VALUE)
        if isinstance(language, str):
            marks += attribute_of("xml:lang", language)
            told.add(LANGUAGE)
        inner += [self.foreign(key, item) for key, item in value.items() if key not in told]
        if not value.keys() - {VALUE} or not inner:
            marks += self._marked("is", "object")
        return f"<{name}{marks}>{''.join(inner)}</{name}>"

    def _vocabulary_word(self, text: str, prefix: str, head: str) -> str:
        if _MEASURED.fullmatch(text) is None:
            return text
        if prefix in self._bound:
            return f"{GS1_PREFIXES[prefix]}{head}{text}"
        self._declared[prefix] = GS1_PREFIXES[prefix]
        return f"{prefix}:{head}{text}"

    def _marked(self, name: str, value: str) -> str:
        return f' {self._made_up(JSON, "farmgate")}:{name}="{value}"'

    def _made_up(self, namespace: str, wanted: str = "ns") -> str:
        """A prefix for a namespace that the event binds to none."""
        prefix = self._made.get(namespace, "")
        while not prefix:
            self._number += 1
            made = wanted if self._number == 1 else f"{wanted}{self._number}"
            is_taken = made in self._declared or made in self._bound or made in GS1_PREFIXES
            if not is_taken and not is_mentioned(made, self._body):
                prefix = self._made[namespace] = made
                self._declared[made] = namespace
        return prefix


def attribute_of(name: str, value: str) -> str:
    """An attribute with the space before it."""
    told = _FORBIDDEN.sub("\ufffd", value).translate(_IN_ATTRIBUTE)
    return f' {name}="{told}"'


def _bare(key: str) -> str:
    name = escaped(key)
    return f"_x{ord(name[0]):04X}_{name[1:]}" if name in WRAPPERS else name


def _is_free(prefix: str) -> bool:
    """Whether XML lets a document bind a prefix: names that begin with `xml` are its own."""
    return not prefix.lower().startswith("xml")
