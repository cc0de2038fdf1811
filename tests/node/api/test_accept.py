"""What a client would rather read."""

from __future__ import annotations

import pytest

from node.api.accept import CHOICES_MAX, accepted, prefers_xml


@pytest.mark.parametrize(
    ("header", "kinds"),
    [
        ("application/xml", ["application/xml"]),
        ("Text/XML; charset=utf-8 , a/b", ["text/xml", "a/b"]),
        ("a/a;q=0.5, b/b, c/c;q=0.501", ["b/b", "c/c", "a/a"]),
        ("a/a;q=0, b/b;q=0.000, c/c;q=1.000", ["c/c"]),
        ("a/a;q=2, b/b;q=x", ["a/a", "b/b"]),
        (" , ,;q=1", []),
        ("", []),
    ],
)
def test_best_comes_first(header: str, kinds: list[str]) -> None:
    """By quality, then by order; what is malformed counts as if it were not there."""
    assert accepted(header) == kinds


def test_a_long_header_is_cut() -> None:
    """A thousand choices cost no more than the first few."""
    assert len(accepted(",".join(f"a/{number}" for number in range(1_000)))) == CHOICES_MAX


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("application/xml", True),
        ("text/html, application/problem+xml", True),
        ("application/json, application/xml", False),
        ("application/json;q=0.1, application/xml", True),
        ("*/*, application/xml", False),
        ("", False),
    ],
)
def test_refusals_in_xml(header: str, expected: bool) -> None:
    """Only where XML is named before JSON and before anything at all."""
    assert prefers_xml(header) is expected
