"""Names and values in the one spelling that the CBV event hash gives them.

Whoever writes an event may write `shipping` or `urn:epcglobal:cbv:bizstep:shipping`, `26` or `26.0`, a URN or
a Digital Link of a domain of their own; in the pre-hash string each thing has one text. No number passes
through a double, nothing is fetched, and nothing is remembered from one event to the next.

Source: docs/spec/cbv-event-hash.md, whose rule ids (CH1 ...) stand beside the code.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from contracts.epcis.canonical_json import Json
from contracts.epcis.gs1_keys import DOMAIN
from contracts.epcis.identifiers import is_uri, resolve
from contracts.epcis.instant import parse_time, write_time
from contracts.epcis.prefixes import GS1_PREFIXES
from contracts.epcis.vocabulary import Vocabulary

CBV: Final = "https://ref.gs1.org/cbv/"
VOC: Final = "https://gs1.org/voc/"  # the web vocabulary under the name that CBV 2.0 gave it

_SPACE: Final = " \t\r\n"  # XML's white space
_CBV_URN = re.compile(r"urn:epcglobal:cbv:([a-z]+):([A-Za-z0-9_]+)")
_CBV_WEB = re.compile(r"https?://(?:ref|ns)\.gs1\.org/cbv/(.+)")
_GS1_WEB = re.compile(r"https?://(?:ref\.)?gs1\.org/voc/(.+)")  # the same vocabulary at both its addresses
_CBV_HEADS: Final = {each.value[0]: each.value[1] for each in Vocabulary}
_GS1_VOCABULARIES: Final = ("https://ref.gs1.org/", "https://ns.gs1.org/", "https://gs1.org/voc/")
_XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"  # what JSON-LD calls `@language`
_MASTER_DATA: Final = "urn:epcglobal:cbv:mda"
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_KEY = re.compile(rf"{re.escape(DOMAIN)}/[0-9]{{2,4}}/.+")
_LEFT_BARE = re.compile(r"%(27|3B|3D)")
_NO_HASHED_KEY: Final = f"{DOMAIN}/8013/"
_WHOLE = re.compile(r"[1-9][0-9]{15,307}")  # at most: what a double can hold at all
_DOUBLE_BITS: Final = 53


class Spelling:
    """The spelling of names and texts under the prefixes in force.

    Args:
        bound: prefix to namespace; GS1's own prefixes count besides, an inline one wins.
    """

    def __init__(self, bound: dict[str, str]) -> None:
        self.bound = bound

    def name(self, name: str) -> str:
        """CH12: a field's name, `{namespace}local` for an extension in either of its forms."""
        prefix, colon, local = name.partition(":")
        if not colon:
            return _XML_LANG if name == "@language" else name
        namespace = None if local.startswith("//") else self._namespace(prefix)
        if namespace is None:
            cut = max(name.rfind(end) for end in ":/#") + 1
            namespace, local = name[:cut], name[cut:]
        if namespace == _MASTER_DATA + ":":
            namespace = _MASTER_DATA
        return f"{{{namespace}}}{local}"

    def scalar(self, value: Json) -> str:
        """A value that holds no others; "" for null."""
        match value:
            case bool():
                return "true" if value else "false"
            case int() | Decimal():
                return number_text(value)
            case str():
                return self.text(value)
            case None:
                return ""
            case _:
                raise AssertionError("an object or a list is no scalar")

    def text(self, text: str) -> str:
        """CH5, CH7, CH9, CH10, CH11: a string, whatever it names in its one spelling."""
        text = text.strip(_SPACE)
        if ":" in text:
            return self._uri(text) if is_uri(text) else text
        return _without_zeros(text) if _FRACTION.fullmatch(text) else text

    def term(self, word: str, head: str) -> str:
        """CH8: a term of a vocabulary whose bare words begin with `head` when written out."""
        text = self.text(word)
        return text if ":" in text or not text else head + text

    def _uri(self, text: str) -> str:
        text = self._expanded(text)
        web = _CBV_WEB.fullmatch(text)
        if web is not None:
            return CBV + web[1]
        voc = _GS1_WEB.fullmatch(text)
        if voc is not None:
            return VOC + voc[1]
        urn = _CBV_URN.fullmatch(text)
        if urn is not None and urn[1] in _CBV_HEADS:
            return CBV + _CBV_HEADS[urn[1]] + urn[2]
        return identifier_text(text) if is_uri(text) else text

    def _expanded(self, text: str) -> str:
        """CH9: a CURIE of GS1's vocabularies written out; one of anybody else's stays as it is."""
        prefix, _, local = text.partition(":")
        namespace = self._namespace(prefix) or ""
        is_gs1 = namespace.startswith(_GS1_VOCABULARIES) and not local.startswith("//")
        return namespace + local if is_gs1 else text

    def _namespace(self, prefix: str) -> str | None:
        return self.bound.get(prefix) or GS1_PREFIXES.get(prefix)


def identifier_text(uri: str) -> str:
    """CH10: a GS1 key as its constrained Digital Link, with the three characters that stay bare."""
    found = resolve(uri)
    if found.flag or found.uri.startswith(_NO_HASHED_KEY):
        return uri
    if _KEY.fullmatch(found.uri) is None:
        return found.uri
    return _LEFT_BARE.sub(lambda escape: chr(int(escape[1], 16)), found.uri)


def number_text(value: int | Decimal) -> str:
    """CH7: a number in plain digits, without an exponent and without zeros at its end."""
    if isinstance(value, int):
        return str(value)
    text = format(value, "f")
    return _without_zeros(text) if "." in text else text


def instant_text(text: str) -> str:
    """CH6: an instant in UTC with milliseconds, rounded half up."""
    return write_time(parse_time(text))


def reading_text(text: str) -> str:
    """CH15: a `stringValue` of digits alone that no double holds, as the published vector has it.

    The nearest number of 53 significant bits, ties to even, found in whole numbers.
    """
    if _WHOLE.fullmatch(text) is None:
        return text
    whole = int(text)
    shift = whole.bit_length() - _DOUBLE_BITS
    if shift <= 0:
        return text
    kept, rest = divmod(whole, 1 << shift)
    half = 1 << (shift - 1)
    return str(kept + (rest > half or (rest == half and kept % 2 == 1)) << shift)


def _without_zeros(text: str) -> str:
    shorter = text.rstrip("0").rstrip(".")
    return "0" if shorter == "-0" else shorter
