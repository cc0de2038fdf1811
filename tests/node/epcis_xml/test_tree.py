"""XML from strangers: what is refused, with which code, before it costs more than a bounded effort."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from contracts.epcis.document import DOCUMENT_BYTES_MAX
from ledger.errors import LedgerError
from node.epcis_xml.tree import (
    ATTRIBUTE_LENGTH_MAX,
    ATTRIBUTES_MAX,
    DEPTH_MAX,
    NODES_MAX,
    PREFIXES_IN_SCOPE_MAX,
    Element,
)
from node.epcis_xml.tree import parse_xml as parse_in_steps
from node.pace import drained


def parse_xml(data: bytes) -> Element:
    return drained(parse_in_steps(data))


SECONDS_MAX = 20.0  # of this process, its memory being traced; untraced the costliest takes one
MEMORY_MAX = 256 << 20

LAUGHS = "".join(f"<!ENTITY l{n + 1} '" + f"&l{n};" * 10 + "'>" for n in range(9))
MANY_ATTRIBUTES = " ".join(f"b{n}=''" for n in range(NODES_MAX))
TOO_MANY_ATTRIBUTES = " ".join(f"b{n}=''" for n in range(ATTRIBUTES_MAX + 1))
MANY_PREFIXES = " ".join(f"xmlns:b{n}='urn:b'" for n in range(PREFIXES_IN_SCOPE_MAX + 1))
BOMBS = {
    "entities": (f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a>&l9;</a>', "xml.doctype"),
    "quadratic": (f'<!DOCTYPE a [<!ENTITY x "{"A" * 100_000}">]><a>{"&x;" * 10_000}</a>', "xml.doctype"),
    "external": ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>', "xml.doctype"),
    "parameter": ('<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/">%p;]><a/>', "xml.doctype"),
    "subset": ('<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>', "xml.doctype"),
    "empty": ("<!DOCTYPE a><a/>", "xml.doctype"),
    "deep": ("<a>" * (DEPTH_MAX + 1) + "</a>" * (DEPTH_MAX + 1), "xml.too_deep"),
    "very deep": ("<a>" * 400_000, "xml.too_deep"),
    "elements": ("<a>" + "<b/>" * NODES_MAX + "</a>", "xml.too_many_nodes"),
    "many elements": ("<a>" + "<b/>" * 1_600_000 + "</a>", "xml.too_many_nodes"),
    "attributes": (f"<a {MANY_ATTRIBUTES}/>", "xml.too_many_nodes"),
    "an element's attributes": (f"<a {TOO_MANY_ATTRIBUTES}/>", "xml.too_many_attributes"),
    "prefixes": (f"<a {MANY_PREFIXES}/>", "xml.too_many_prefixes"),
    "attribute": (f'<a b="{"c" * (ATTRIBUTE_LENGTH_MAX + 1)}"/>', "xml.attribute_too_long"),
    "huge attribute": (f'<a b="{"c" * (DOCUMENT_BYTES_MAX - 20)}"/>', "xml.attribute_too_long"),
    "undefined entity": ("<a>&nbsp;</a>", "xml.malformed"),
    "nothing": ("", "xml.malformed"),
    "two roots": ("<a/><b/>", "xml.malformed"),
    "cut off": ("<a><b>", "xml.malformed"),
    "twice": ('<a b="1" b="2"/>', "xml.malformed"),
    "unbound prefix": ("<x:a/>", "xml.malformed"),
    "character zero": ("<a>&#0;</a>", "xml.malformed"),
    "surrogate": ("<a>&#xD800;</a>", "xml.malformed"),
    "other version": ('<?xml version="2.0"?><a/>', "xml.malformed"),
    "latin": ('<?xml version="1.0" encoding="ISO-8859-1"?><a/>', "xml.encoding"),
    "utf-7": ('<?xml version="1.0" encoding="UTF-7"?>+ADw-a/>', "xml.encoding"),
    "unheard": ('<?xml version="1.0" encoding="no-such"?><a/>', "xml.encoding"),
    "long encoding": (f'<?xml version="1.0" encoding="x{"y" * 5_000}"?><a/>', "xml.encoding"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_text_is_refused_in_bounded_effort(name: str) -> None:
    """Each is refused with its code, within seconds and a bounded memory."""
    text, code = BOMBS[name]
    data = text.encode()
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(LedgerError) as caught:
            parse_xml(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == code
    assert time.process_time() - began < SECONDS_MAX
    assert peak < MEMORY_MAX
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<a>\xff\xfe</a>", "xml.malformed"),
        (b"<a>\xed\xa0\x80</a>", "xml.malformed"),
        (b"<a>\xc0\xaf</a>", "xml.malformed"),
        (b"<a>\x00</a>", "xml.malformed"),
        (b"\xff\xfe\x00\x00<\x00\x00\x00", "xml.malformed"),
        ("<a/>".encode("utf-32"), "xml.malformed"),
        (b"<" * (DOCUMENT_BYTES_MAX + 1), "xml.too_large"),
    ],
)
def test_hostile_bytes_are_refused(data: bytes, code: str) -> None:
    """No broken UTF-8, no other encoding in disguise, no more than a document may have."""
    with pytest.raises(LedgerError) as caught:
        parse_xml(data)
    assert caught.value.code == code


def test_nothing_outside_is_read(tmp_path: Path) -> None:
    """An external entity is refused at its declaration: the file's words are nowhere in the answer."""
    secret = tmp_path / "secret"
    secret.write_text("not for you")
    data = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'.encode()
    with pytest.raises(LedgerError) as caught:
        parse_xml(data)
    assert "not for you" not in caught.value.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_both_encodings_of_xml_are_read(encoding: str) -> None:
    """UTF-8 and UTF-16, with and without a byte order mark, say the same."""
    root = parse_xml("<a b='ü'>日本<!-- no --><?no no?>語</a>".encode(encoding))
    assert (root.text, root.attribute("b")) == ("日本語", "ü")


def test_the_deepest_and_the_largest_are_read() -> None:
    """At each limit a document is still read."""
    root = parse_xml(("<a>" * DEPTH_MAX + "</a>" * DEPTH_MAX).encode())
    assert len(root.children) == 1
    root = parse_xml(("<a>" + "<b/>" * (NODES_MAX - 1) + "</a>").encode())
    assert len(root.children) == NODES_MAX - 1
    root = parse_xml(f'<a b="{"c" * ATTRIBUTE_LENGTH_MAX}"/>'.encode())
    assert len(root.attribute("b") or "") == ATTRIBUTE_LENGTH_MAX


def test_names_have_their_namespaces() -> None:
    """Prefixes count where they are bound, and a binding ends with its element."""
    root = parse_xml(
        b'<a xmlns="urn:d" xmlns:p="urn:p" p:x="1" y="2"><p:b xmlns:p="urn:q"/><p:c/><d xmlns=""/></a>'
    )
    assert (root.namespace, root.name, root.prefix) == ("urn:d", "a", "")
    assert (root.attribute("x", "urn:p"), root.attribute("y")) == ("1", "2")
    assert [(each.namespace, each.name) for each in root.children] == [
        ("urn:q", "b"),
        ("urn:p", "c"),
        ("", "d"),
    ]
    assert root.children[0].namespace_of("p") == "urn:q"
    assert root.children[1].namespace_of("p") == "urn:p"
    assert root.namespace_of("unbound") is None
