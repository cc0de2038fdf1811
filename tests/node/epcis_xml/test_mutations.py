"""Documents that were spoiled at random: read or refused with a code, and never half of each."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.captured import read_captured
from ledger.errors import LedgerError
from node.epcis_xml.reading import check_xml

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "epcis" / "xml"
SAMPLES = [path.read_bytes() for path in sorted(EXAMPLES.glob("*.xml"))]
# Parts between tags, so that most documents are still well-formed after a change.
PIECES = [sample.replace(b"<", b"\0<").split(b"\0") for sample in SAMPLES]
STRANGE = (
    b"",
    b"<extension>",
    b"</extension>",
    b"<x:a xmlns:x='urn:x:'>",
    b"<action>ADD</action>",
    b"<epcList/>",
    b"&#9;&amp;",
    b"<!-- -->",
    b"<![CDATA[ ]]>",
    b"<quantity xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:nil='1'/>",
    b"<id xmlns='urn:epcglobal:epcis:xsd:1'>urn:x:y</id>",
    b"<ilmd/>",
    b"<a xmlns:j='urn:farmgate:json' j:is='list' j:in='list'><b j:is='number'>1e9</b></a>",
    "<é xmlns='urn:é'/>".encode(),
)


def read_or_refuse(data: bytes) -> bool:
    """Whether a document is sound; then every validator holds each of its events to be so too."""
    try:
        document = check_xml(data)
    except LedgerError:
        return False
    for captured, pointer in zip(document.events, document.pointers, strict=True):
        read_captured(captured, pointer)
    return True


def test_the_samples_are_sound() -> None:
    """What is spoiled below was whole before."""
    assert all(map(read_or_refuse, SAMPLES))


@given(
    st.sampled_from(SAMPLES), st.lists(st.tuples(st.integers(0, 9_999), st.binary(max_size=3)), max_size=3)
)
def test_bytes_at_random(sample: bytes, changes: list[tuple[int, bytes]]) -> None:
    """Any bytes anywhere."""
    for number, found in changes:
        place = number % len(sample)
        sample = sample[:place] + found + sample[place + len(found) :]
    read_or_refuse(sample)


@given(st.sampled_from(PIECES), st.data())
def test_parts_at_random(pieces: list[bytes], data: st.DataObject) -> None:
    """Tags that are taken out, doubled, moved, or strange ones put in between."""
    changed = list(pieces)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(1, len(changed) - 1))
        match data.draw(st.sampled_from(("drop", "double", "swap", "insert"))):
            case "drop":
                del changed[place : place + data.draw(st.sampled_from((1, 2)))]
            case "double":
                changed[place:place] = changed[place : place + 2]
            case "swap":
                other = data.draw(st.integers(1, len(changed) - 1))
                changed[place], changed[other] = changed[other], changed[place]
            case _:
                changed.insert(place, data.draw(st.sampled_from(STRANGE)))
    read_or_refuse(b"".join(changed))
