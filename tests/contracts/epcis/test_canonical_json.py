from __future__ import annotations

import json
import re
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.canonical_json import DEPTH_MAX, NUMBER_DIGITS_MAX, Json, canonical, child, parse
from ledger.errors import LedgerError
from tests.contracts.epcis.samples import BYTES_MAX, VALID, values


def refusal(data: bytes, bytes_max: int = BYTES_MAX) -> LedgerError:
    with pytest.raises(LedgerError) as caught:
        parse(data, bytes_max)
    return caught.value


def typed(value: Any) -> Any:
    """A value with its types made visible: 1, True and Decimal(1) are equal in Python."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value).__name__, value


@given(values)
def test_a_value_comes_back_from_its_canonical_text(value: Json) -> None:
    """parse(canonical(x)) == x, types included."""
    assert typed(parse(canonical(value), BYTES_MAX)) == typed(value)


@given(values, st.integers(0, 4), st.booleans())
def test_one_value_has_one_text(value: Json, indent: int, is_escaped: bool) -> None:
    """White space, the order of keys, escapes and the spelling of a number leave the canonical text alone."""
    spelt = json.dumps(_reversed(value), indent=indent, ensure_ascii=is_escaped, default=_other_spelling)
    other = re.sub(r'"@@(-?[0-9]+e-?[0-9]+)@@"', r"\1", spelt)
    assert canonical(parse(other.encode(), BYTES_MAX)) == canonical(value)


def _reversed(value: Json) -> Any:
    if isinstance(value, dict):
        return {key: _reversed(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [_reversed(item) for item in value]
    return value


def _other_spelling(number: Decimal) -> str:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    return f"@@{'-' if sign else ''}{''.join(map(str, digits))}00e{exponent - 2}@@"


@pytest.mark.parametrize(
    ("spellings", "text"),
    [
        ("1 1.0 10e-1 1E0 0.1e1 1.000 100e-2", "1"),
        ("0 -0 0.0 -0.00 0e5 0E-9", "0"),
        ("26.2 26.20 2.62e1 262E-1 0.262e+2", "26.2"),
        ("-0.5 -5e-1 -0.50", "-0.5"),
        ("100 1e2 1.0E+2 1000e-1", "100"),
        ("0.0000001 1e-7 1.0E-7 10e-8", "1E-7"),
        ("0.000001 1e-6", "0.000001"),
        ("12345678901234567890 12345678901234567890.0", "12345678901234567890"),
    ],
)
def test_numbers_keep_their_exact_value_in_one_form(spellings: str, text: str) -> None:
    """Every spelling of a number has the same canonical text, and that text is a fixed point."""
    for spelling in [*spellings.split(), text]:
        assert canonical(parse(spelling.encode(), BYTES_MAX)) == text.encode(), spelling


def test_neighbouring_numbers_stay_apart() -> None:
    """No number goes through a double: two that share one differ here, as do 0.1 and its double."""
    far = [b"12345678901234567890", b"12345678901234567168", b"0.1", b"0.1000000000000000055511151231257827"]
    assert len(dict.fromkeys(canonical(parse(number, BYTES_MAX)) for number in far)) == len(far)
    assert parse(b"7", BYTES_MAX) != parse(b'"007"', BYTES_MAX)


@pytest.mark.parametrize("sign", ["", "-"])
def test_numbers_have_limits_on_both_sides(sign: str) -> None:
    """NUMBER_DIGITS_MAX digits before and after the point are read, one more is refused, however written."""
    limit = NUMBER_DIGITS_MAX
    for fits in (f"{'9' * limit}", f"1e{limit - 1}", f"1e-{limit}", f"{'9' * limit}.{'9' * limit}"):
        assert canonical(parse(f"{sign}{fits}".encode(), BYTES_MAX))
    huge = "9" * 60
    for long in (
        f"1{'0' * limit}",
        f"1e{limit}",
        f"1e-{limit + 1}",
        f"1e{huge}",
        f"1e-{huge}",
        f"0.{'1' * 99}",
    ):
        assert refusal(f"[{sign}{long}]".encode()).code == "json.number_out_of_range", long
    assert refusal(b"1" * 5000).code == "json.number_out_of_range"
    assert refusal(b"1." + b"0" * 200).code == "json.number_out_of_range"


@pytest.mark.parametrize(
    ("data", "code", "pointer"),
    [
        (b'{"a": 1, "b": {"a": 2, "a": 3}}', "json.duplicate_key", "/b"),
        (b'{"a": 1, "\\u0061": 2}', "json.duplicate_key", ""),
        (b'{"x/y": [1, {"m~n": 1e99}]}', "json.number_out_of_range", "/x~1y/1/m~0n"),
        (b"[1, [NaN]]", "json.malformed", "/1/0"),
        (b"[Infinity]", "json.malformed", "/0"),
        (b'{"a": -Infinity}', "json.malformed", "/a"),
        (b'[0, "\\ud800"]', "json.malformed", "/1"),
        (b'{"a": {"\\udfff": 0}}', "json.malformed", "/a"),
        (b"[1e99", "json.number_out_of_range", ""),
        (b"", "json.malformed", ""),
        (b"{", "json.malformed", ""),
        (b"[1] 2", "json.malformed", ""),
        (b"[01]", "json.malformed", ""),
        (b"{'a': 1}", "json.malformed", ""),
        (b'["\n"]', "json.malformed", ""),
        (b'["\xff"]', "json.malformed", ""),
        (b'["\xed\xa0\x80"]', "json.malformed", ""),
        (b"\xef\xbb\xbf1", "json.malformed", ""),
        (b"\x00", "json.malformed", ""),
    ],
)
def test_refusals_say_where(data: bytes, code: str, pointer: str) -> None:
    """Each malformed text has its code, and a pointer where the fault has a place in the value."""
    problem = refusal(data)
    assert (problem.code, problem.pointer) == (code, pointer)


def test_an_offset_counts_bytes() -> None:
    """The offset of a syntax error counts UTF-8 bytes, not characters."""
    assert "at byte 10" in refusal('["é€"  x]'.encode()).message
    assert "at byte 4" in refusal(b'["\xc3\xa9\xff"]').message


def test_messages_repeat_little_of_what_a_stranger_sent() -> None:
    """A huge key or number is cut in the message."""
    key = b'"' + b"k" * 100_000 + b'"'
    assert len(refusal(b"{" + key + b":1," + key + b":2}").message) < 200
    assert len(refusal(b"9" * 100_000).message) < 200


def test_size_is_limited() -> None:
    """One byte over the limit is refused before anything is parsed."""
    assert parse(b"[1]", 3) == [1]
    assert refusal(b"[1]", 2).code == "json.too_large"


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ('{"k":', "}")])
def test_depth_is_limited_before_parsing(open_: str, close: str) -> None:
    """DEPTH_MAX levels are read, one more is refused; brackets inside strings do not count."""
    for padding in ("1", '"[[[{{{"', r'"\"[[[["', '"\\\\"'):
        side = f'["{"[{" * 40}", '
        deepest = DEPTH_MAX - 1
        data = f"{side}{open_ * deepest}{padding}{close * deepest}]"
        assert parse(data.encode(), BYTES_MAX)
        deeper = f"{side}{open_ * DEPTH_MAX}{padding}{close * DEPTH_MAX}]"
        assert refusal(deeper.encode()).code == "json.too_deep"
    assert refusal(b"[" * 100_000).code == "json.too_deep"
    assert refusal(b'{"a":' * 100_000).code == "json.too_deep"


def test_many_brackets_side_by_side_are_not_deep() -> None:
    """Width is no depth: 10,000 arrays in one array are two levels."""
    assert parse(b"[" + b",".join([b"[]"] * 10_000) + b"]", BYTES_MAX) == [[]] * 10_000


def test_the_verdict_does_not_depend_on_the_stack() -> None:
    """The deepest text is read, and one level more refused, also near the end of the interpreter's stack."""
    deepest = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX

    def descend(levels: int) -> bool:
        if levels:
            return descend(levels - 1)
        return bool(parse(deepest, BYTES_MAX)) and refusal(b"[" + deepest + b"]").code == "json.too_deep"

    assert descend(700)


@given(st.binary(max_size=80))
def test_no_bytes_raise_anything_but_a_ledger_error(data: bytes) -> None:
    """Whatever the bytes, the answer is a value or a LedgerError."""
    _survive(data)


@given(st.sampled_from(VALID), st.data())
def test_no_mutation_of_a_document_raises_anything_but_a_ledger_error(path: Any, data: st.DataObject) -> None:
    """Bytes cut out of, or written into, a real document give a value or a LedgerError."""
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 20)))
    marks = st.sampled_from(
        [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\ud800", b"1e999", b"NaN", b"\xff"]
    )
    _survive(whole[:start] + data.draw(marks) + whole[end:])


def _survive(data: bytes) -> None:
    with suppress(LedgerError):
        text = canonical(parse(data, BYTES_MAX))
        assert canonical(parse(text, BYTES_MAX)) == text


def test_pointers_escape_their_two_marks() -> None:
    """RFC 6901: ~ is ~0 and / is ~1; an index stands as digits."""
    assert child(child("/a", "x/y~z"), 3) == "/a/x~1y~0z/3"


def test_keys_sort_by_code_point() -> None:
    """Beyond the basic plane too, where UTF-16 order would differ."""
    assert canonical({"\U0001f345": 1, "\uff5e": 2, "a": 3, "Z": 4, "": 5}) == (
        '{"":5,"Z":4,"a":3,"\uff5e":2,"\U0001f345":1}'.encode()
    )


def test_strings_escape_what_they_must_and_nothing_else() -> None:
    """Quote, backslash and controls below U+0020; not the slash, DEL, or anything beyond ASCII."""
    assert canonical('"\\/\b\f\n\r\t\x00\x1f\x7f é\u2028') == (
        b'"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f \xc3\xa9\xe2\x80\xa8"'
    )
