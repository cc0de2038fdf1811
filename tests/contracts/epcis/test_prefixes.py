from __future__ import annotations

from typing import Any

import pytest

from contracts.epcis.prefixes import (
    GS1_CONTEXT,
    PREFIXES_MAX,
    check_unknown_contexts,
    expand,
    is_mentioned,
    is_prefix_pair,
    mentions,
    read_context,
)
from contracts.epcis.problems import Problems
from contracts.epcis.vocabulary import Vocabulary, stored_term

FARM = "https://ns.farmgate.example/farm/"


def read(context: Any) -> tuple[dict[str, str], tuple[str, ...], list[tuple[str, str]]]:
    problems = Problems()
    bound, unknown = read_context(context, "/@context", problems)
    return bound, unknown, [(problem.code, problem.pointer) for problem in problems.found]


@pytest.mark.parametrize(
    "address",
    [
        GS1_CONTEXT,
        "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
        "http://ref.gs1.org/standards/epcis/2.0.1/epcis-context.jsonld",
        "https://gs1.github.io/EPCIS/epcis-context.jsonld",
    ],
)
def test_gs1_contexts_are_known_by_address(address: str) -> None:
    """Alone or in a list, and bind no inline prefix."""
    assert read(address) == ({}, (), [])
    assert read([address]) == ({}, (), [])


def test_inline_pairs_bind_and_the_last_wins() -> None:
    """Objects and lists of objects; a later binding of one prefix replaces an earlier."""
    assert read({"a": FARM, "b": "urn:x:"})[0] == {"a": FARM, "b": "urn:x:"}
    assert read([GS1_CONTEXT, {"a": FARM}, {"a": "urn:x:", "@version": 1, "@protected": True}])[0] == {
        "a": "urn:x:"
    }


@pytest.mark.parametrize(
    ("entry", "pointer"),
    [
        ({"@vocab": FARM}, "/@context/@vocab"),
        ({"@base": FARM}, "/@context/@base"),
        ({"a": {"@id": FARM}}, "/@context/a"),
        ({"a": None}, "/@context/a"),
        ({"a": "relative/"}, "/@context/a"),
        ({"a": "urn:with space"}, "/@context/a"),
        ({"a": "urn:" + "x" * 600}, "/@context/a"),
        ({"a b": FARM}, "/@context/a b"),
        ({"a:b": FARM}, "/@context/a:b"),
        ({"é": FARM}, "/@context/é"),
        ({"": FARM}, "/@context/"),
        ({"x/y": FARM}, "/@context/x~1y"),
        ({"http": FARM}, "/@context/http"),
        ({"URN": FARM}, "/@context/URN"),
    ],
)
def test_what_else_json_ld_allows_is_refused_by_name(entry: Any, pointer: str) -> None:
    """Keywords, term definitions, odd prefixes, and prefixes that would capture addresses and URNs."""
    assert read(entry) == ({}, (), [("epcis.bad_context", pointer)])


def test_a_context_has_limits_and_types() -> None:
    """Numbers and null are no context; PREFIXES_MAX prefixes fit, one more does not."""
    assert read(7)[2] == [("epcis.wrong_type", "/@context")]
    assert read([None, ["a"]])[2] == [
        ("epcis.wrong_type", "/@context/0"),
        ("epcis.wrong_type", "/@context/1"),
    ]
    many = {f"p{number}": FARM for number in range(PREFIXES_MAX)}
    assert read(many)[2] == []
    assert read(many | {"q": FARM})[2] == [("epcis.bad_context", "/@context")]


def test_a_prefix_pair_is_plain() -> None:
    """A name of ASCII letters, digits, and three marks; an absolute namespace."""
    assert is_prefix_pair("a-b_c.1", FARM)
    assert not is_prefix_pair("1a", FARM)
    assert not is_prefix_pair("a", "farm/")
    assert not is_prefix_pair("a\n", FARM)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("farm:x", FARM + "x"),
        ("cbv:BizStep-x", "https://ref.gs1.org/cbv/BizStep-x"),
        ("other:x", "other:x"),
        ("farm://x", "farm://x"),
        ("word", "word"),
        ("urn:epc:id:x", "urn:epc:id:x"),
        ("gs1:x", "https://gs1.example/x"),
    ],
)
def test_expansion(text: str, full: str) -> None:
    """Inline bindings win over GS1's; addresses and unbound names stay."""
    assert expand(text, {"farm": FARM, "gs1": "https://gs1.example/"}) == full


def test_mentions_are_read_off_the_text() -> None:
    """Keys and values count, wherever they stand; a name inside other text does not."""
    body = b'{"a:x":{"y":["b:z"]},"text":"see c:d","d":"e"}'
    assert [name for name in "abcde" if is_mentioned(name, body)] == ["a", "b"]
    assert list(mentions(body)) == ["a", "b"]


@pytest.mark.parametrize(
    ("event", "is_refused"),
    [
        ({"fish:species": "cod"}, True),
        ({"farm:crop": {"fish:species": "cod"}}, True),
        ({"farm:crop": [{"species": "cod"}]}, True),
        ({"ilmd": {"species": "cod"}}, True),
        ({"readPoint": {"id": "urn:x:1", "fish:pier": 2}}, True),
        ({"farm:crop": {"farm:name": 1}, "bizStep": "shipping", "readPoint": {"id": "x"}}, False),
        ({"gs1:x": 1, "https://ns.example/x": 2, "urn:x:y": {"@type": "z"}}, False),
        ({"@context": {"fish": "urn:fish:"}, "bizStep": "x"}, False),
    ],
)
def test_an_unknown_context_is_refused_only_where_something_may_need_it(
    event: dict[str, Any], is_refused: bool
) -> None:
    """A name that nothing known defines could be the unknown context's; without one it does no harm."""
    problems = Problems()
    left = check_unknown_contexts(("/@context/1",), event, {"farm": FARM}, problems)
    assert left == (() if is_refused else ("/@context/1",))
    found = [(problem.code, problem.pointer) for problem in problems.found]
    assert found == [("epcis.unknown_context", "/@context/1")] * is_refused


@pytest.mark.parametrize(
    ("vocabulary", "urn", "web"),
    [
        (Vocabulary.BIZ_STEP, "bizstep", "BizStep"),
        (Vocabulary.DISPOSITION, "disp", "Disp"),
        (Vocabulary.BIZ_TRANSACTION_TYPE, "btt", "BTT"),
        (Vocabulary.SOURCE_DESTINATION_TYPE, "sdt", "SDT"),
        (Vocabulary.ERROR_REASON, "er", "ER"),
    ],
)
def test_the_four_spellings_of_a_term_meet(vocabulary: Vocabulary, urn: str, web: str) -> None:
    """Bare word, URN, web URI and CURIE are stored as the bare word; another list's term stays as it is."""
    spellings = [
        "some_word",
        f"urn:epcglobal:cbv:{urn}:some_word",
        f"https://ref.gs1.org/cbv/{web}-some_word",
        f"http://ns.gs1.org/cbv/{web}-some_word",
        f"cbv:{web}-some_word",
        f"v:{web}-some_word",
    ]
    bound = {"v": "https://ref.gs1.org/cbv/"}
    assert [stored_term(text, vocabulary, bound) for text in spellings] == ["some_word"] * len(spellings)
    assert stored_term("urn:epcglobal:cbv:xyz:w", vocabulary, {}) == "urn:epcglobal:cbv:xyz:w"
    assert stored_term("https://ref.gs1.org/cbv/Xyz-w", vocabulary, {}) == "https://ref.gs1.org/cbv/Xyz-w"
    assert stored_term("farm:w", vocabulary, {"farm": FARM}) == FARM + "w"
    assert stored_term(f"urn:epcglobal:cbv:{urn}:a:b", vocabulary, {}) == f"urn:epcglobal:cbv:{urn}:a:b"
