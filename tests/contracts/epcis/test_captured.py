from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.canonical_json import canonical
from contracts.epcis.captured import EVENT_BYTES_MAX, CapturedEvent, read_captured
from contracts.epcis.prefixes import PREFIXES_MAX
from ledger.codec import decode, encode
from ledger.errors import LedgerError
from tests.contracts.epcis.samples import BYTES_MAX, captured_of, captured_samples, fields_of

FARM = ("farm", "https://ns.farmgate.example/farm/")
ALSO = ("also", "https://ns.farmgate.example/also/")
FIELDS: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2026-05-04T18:00:00Z",
    "eventTimeZoneOffset": "+00:00",
    "action": "OBSERVE",
    "epcList": ["urn:x:1"],
    "farm:a": 1,
    "also:b": 2,
}
SAMPLES = captured_samples()


def refusal(captured: CapturedEvent) -> tuple[str, str]:
    with pytest.raises(LedgerError) as caught:
        read_captured(captured, "/e/3")
    return caught.value.code, caught.value.pointer


@pytest.mark.parametrize("captured", SAMPLES)
def test_a_captured_event_travels(captured: CapturedEvent) -> None:
    """It comes back from its encoding, and reads."""
    assert decode(encode(captured), CapturedEvent, BYTES_MAX) == captured
    assert read_captured(captured).fields == fields_of(captured)


@pytest.mark.parametrize(
    "body",
    [
        canonical(FIELDS) + b" ",
        b" " + canonical(FIELDS),
        canonical(FIELDS).replace(b'"also:b":2', b'"also:b":2.0'),
        canonical(FIELDS).replace(b'"also:b":2', b'"also:b": 2'),
        canonical(FIELDS).replace(b"urn:x:1", b"urn:x:\\u0031"),
        b'{"b":1,"a":2}',
        b"[]",
        b"12",
        b'"x"',
    ],
)
def test_a_body_has_one_spelling(body: bytes) -> None:
    """White space, another order, another spelling of a number or string, or no object at all: refused."""
    assert refusal(CapturedEvent((), body)) == ("epcis.not_canonical", "/e/3")


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b'{"a":1,"a":1}', "json.duplicate_key", "/e/3"),
        (b'{"a":[1e99]}', "json.number_out_of_range", "/e/3/a/0"),
        (b"{", "json.malformed", "/e/3"),
        (b"{}" + b" " * EVENT_BYTES_MAX, "json.too_large", "/e/3"),
    ],
)
def test_a_body_is_json(body: bytes, code: str, pointer: str) -> None:
    """What JSON refuses is refused with the event's place before its pointer."""
    assert refusal(CapturedEvent((), body)) == (code, pointer)


@pytest.mark.parametrize(
    "prefixes",
    [
        (FARM, ALSO),
        (ALSO, ALSO),
        (ALSO, FARM, ("unused", "urn:x:")),
        (("also", "relative"),),
        (("al so", "urn:x:"),),
        (("urn", "urn:x:"),),
    ],
)
def test_prefixes_have_one_form(prefixes: Any) -> None:
    """Sorted, each once, well formed, and every one of them mentioned."""
    assert read_captured(captured_of(FIELDS, ALSO, FARM))
    assert refusal(captured_of(FIELDS, *prefixes)) == ("epcis.bad_prefixes", "/e/3")


def test_a_prefix_that_the_event_binds_is_not_inherited() -> None:
    """The event's own binding is in force, so the document's would say nothing."""
    fields = FIELDS | {"@context": [dict([FARM])]}
    assert read_captured(captured_of(fields, ALSO))
    assert refusal(captured_of(fields, ALSO, FARM)) == ("epcis.bad_prefixes", "/e/3")


def test_sizes_are_limited_before_anything_is_read() -> None:
    """A body or a list of prefixes beyond its limit is no captured event."""
    big = encode(((), b"x" * (EVENT_BYTES_MAX + 1)))
    many = encode((tuple((f"p{number:03}", "urn:x:") for number in range(PREFIXES_MAX + 1)), b"{}"))
    for data in (big, many, encode(((), b"{"))):
        with pytest.raises(LedgerError) as caught:
            decode(data, CapturedEvent, BYTES_MAX)
        assert caught.value.code == "encoding.malformed"


@given(st.sampled_from(SAMPLES), st.data())
def test_no_mutation_of_a_body_raises_anything_but_a_ledger_error(
    captured: CapturedEvent, data: st.DataObject
) -> None:
    """Bytes cut out of, or written into, a body give the event or a LedgerError."""
    body = captured.body
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 8)))
    written = data.draw(
        st.binary(max_size=4) | st.sampled_from([b'"', b"{", b"}", b",", b":", b"0", b"-", b".5"])
    )
    with suppress(LedgerError):
        read_captured(CapturedEvent(captured.prefixes, body[:start] + written + body[end:]))
