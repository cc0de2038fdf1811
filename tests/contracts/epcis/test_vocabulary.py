from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.problems import Problems
from contracts.epcis.terms import check_terms
from contracts.epcis.vocabulary import WORDS, Vocabulary, is_term, stored_term

SIZES = {
    Vocabulary.BIZ_STEP: 41,
    Vocabulary.DISPOSITION: 33,
    Vocabulary.BIZ_TRANSACTION_TYPE: 13,
    Vocabulary.SOURCE_DESTINATION_TYPE: 3,
    Vocabulary.ERROR_REASON: 2,
    Vocabulary.COMPONENT: 14,
}
EVERY = [(vocabulary, word) for vocabulary, words in WORDS.items() for word in sorted(words)]


def spellings(vocabulary: Vocabulary, word: str) -> list[str]:
    urn, web = vocabulary.value
    return [
        word,
        f"urn:epcglobal:cbv:{urn}:{word}",
        f"https://ref.gs1.org/cbv/{web}{word}",
        f"http://ns.gs1.org/cbv/{web}{word}",
        f"cbv:{web}{word}",
    ]


def problems_of(event: Any, bound: dict[str, str] | None = None) -> list[tuple[str, str]]:
    problems = Problems()
    check_terms(event, bound or {}, "/event", problems)
    return [(problem.code, problem.pointer) for problem in problems.found]


def test_the_lists_have_their_size() -> None:
    """As many words as CBV 2.0 has, in every vocabulary."""
    assert {vocabulary: len(words) for vocabulary, words in WORDS.items()} == SIZES


@pytest.mark.parametrize(("vocabulary", "word"), EVERY)
def test_every_word_has_four_spellings(vocabulary: Vocabulary, word: str) -> None:
    """Each is a term, and all are stored as one word."""
    for text in spellings(vocabulary, word):
        assert is_term(text, vocabulary, {}), text
        assert stored_term(text, vocabulary, {}) == word


@pytest.mark.parametrize("vocabulary", [*Vocabulary])
@pytest.mark.parametrize("word", ["transforming", "harvesting", "in_transport", "Shipping", "place"])
def test_what_a_list_lacks_is_refused_in_every_spelling(vocabulary: Vocabulary, word: str) -> None:
    """Words of nobody's, and those of another case."""
    for text in spellings(vocabulary, word):
        assert not is_term(text, vocabulary, {}), text


def test_a_word_of_another_list_is_refused() -> None:
    """A disposition is no business step, however it is spelled; the word `reserved` is one of them alone."""
    for text in spellings(Vocabulary.DISPOSITION, "in_transit"):
        assert not is_term(text, Vocabulary.BIZ_STEP, {}), text


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("https://farm.example/steps/cooling", {}),
        ("urn:gs1:epcisapp:rail:btt:passage", {}),
        ("farm:cooling", {"farm": "https://farm.example/steps/"}),
        ("cbv:my_own_party", {}),
        ("cbv:BizStep-cooling", {"cbv": "https://farm.example/cbv/"}),
        ("https://ref.gs1.org/cbv/BizStep-", {}),
        ("urn:epcglobal:cbv:bizstep:cooling:slow", {}),
    ],
)
def test_terms_of_your_own_are_accepted(text: str, bound: dict[str, str]) -> None:
    """Other URIs, names of bound prefixes, and names in a namespace of GS1 without any of the CBV forms."""
    assert all(is_term(text, vocabulary, bound) for vocabulary in Vocabulary)


def test_a_prefix_that_hides_the_cbv_is_seen_through() -> None:
    """A prefix of one's own that is bound to the CBV's namespace gives no way round the list."""
    assert not is_term("x:BizStep-cooling", Vocabulary.BIZ_STEP, {"x": "https://ref.gs1.org/cbv/"})
    assert is_term("x:BizStep-shipping", Vocabulary.BIZ_STEP, {"x": "https://ref.gs1.org/cbv/"})


def test_every_place_of_an_event_where_a_term_stands() -> None:
    """Each is checked against its own list and told by its pointer."""
    bad = {
        "bizStep": "transforming",
        "disposition": "in_transport",
        "persistentDisposition": {"set": ["active", "broken"], "unset": ["lost"]},
        "bizTransactionList": [{"type": "po"}, {"type": "order"}, {}],
        "sourceList": [{"type": "place"}],
        "destinationList": [{"type": "urn:epcglobal:cbv:sdt:place"}],
        "errorDeclaration": {"reason": "mistake"},
        "sensorElementList": [
            {"sensorReport": [{"component": "x"}, {"component": "cbv:Comp-w", "type": "Odd"}]}
        ],
    }
    assert problems_of(bad) == [
        ("epcis.unknown_term", f"/event/{path}")
        for path in (
            "bizStep",
            "disposition",
            "persistentDisposition/set/1",
            "persistentDisposition/unset/0",
            "bizTransactionList/1/type",
            "sourceList/0/type",
            "destinationList/0/type",
            "errorDeclaration/reason",
            "sensorElementList/0/sensorReport/1/component",
        )
    ]


_VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "set", "reason", "sensorReport", "component"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
_FIELDS = ("bizStep", "persistentDisposition", "sourceList", "errorDeclaration", "sensorElementList")


@given(st.dictionaries(st.sampled_from(_FIELDS), _VALUES))
def test_no_event_breaks_the_check(event: dict[str, Any]) -> None:
    """Fields of any shape are passed over or told, and nothing is raised."""
    assert all(code == "epcis.unknown_term" for code, _ in problems_of(event))
