from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.authority import assign, prefix_length
from contracts.epcis.gs1_checks import CHARACTERS_82, check_digit
from contracts.epcis.identifiers import canonical_id
from contracts.epcis.urn_form import to_urn
from ledger.state import Overlay
from tests.contracts.chain import MemoryState

DL = "https://id.gs1.org"
ESCAPED = {character: f"%{ord(character):02X}" for character in '"%&/<>?#'}


def escaped(text: str) -> str:
    return "".join(ESCAPED.get(character, character) for character in text)


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from("0123456789"), min_size=count, max_size=count)


def texts(most: int, alphabet: str = CHARACTERS_82) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(alphabet), min_size=1, max_size=most).map(escaped)


@st.composite
def urns(draw: st.DrawFn) -> tuple[str, int]:
    """A URN of any scheme, and how long its company prefix is."""
    length = draw(st.integers(6, 12))
    company = draw(digits(length))

    def rest(total: int) -> str:
        return draw(digits(total - length))

    kind = draw(st.sampled_from(["id", "idpat"]))
    last = draw(texts(16)) if kind == "id" else "*"
    number = str(draw(st.integers(1, 10**11)))
    forms = {
        "sgtin": lambda: f"{kind}:sgtin:{company}.{rest(13)}.{last}",
        "lgtin": lambda: f"class:lgtin:{company}.{rest(13)}.{draw(texts(20))}",
        "sscc": lambda: f"id:sscc:{company}.{rest(17)}",
        "sgln": lambda: f"id:sgln:{company}.{rest(12)}.{draw(texts(20))}",
        "pgln": lambda: f"id:pgln:{company}.{rest(12)}",
        "grai": lambda: f"{kind}:grai:{company}.{rest(12)}.{last}",
        "gdti": lambda: f"{kind}:gdti:{company}.{rest(12)}.{last}",
        "sgcn": lambda: f"{kind}:sgcn:{company}.{rest(12)}.{number if kind == 'id' else '*'}",
        "giai": lambda: f"id:giai:{company}.{draw(texts(18))}",
        "ginc": lambda: f"id:ginc:{company}.{draw(texts(18))}",
        "gsin": lambda: f"id:gsin:{company}.{rest(16)}",
        "gsrn": lambda: f"id:gsrn:{company}.{rest(17)}",
        "gsrnp": lambda: f"id:gsrnp:{company}.{rest(17)}",
        "cpi": lambda: (
            f"{kind}:cpi:{company}.{draw(texts(18, '#/0123456789-ABCXYZ'))}.{number if kind == 'id' else '*'}"
        ),
        "itip": lambda: f"{kind}:itip:{company}.{rest(13)}.01.02.{last}",
        "upui": lambda: f"id:upui:{company}.{rest(13)}.{draw(texts(28))}",
    }  # fmt: skip
    return f"urn:epc:{forms[draw(st.sampled_from(sorted(forms)))]()}", length


@given(urns())
def test_a_urn_comes_back_as_it_was(urn: tuple[str, int]) -> None:
    """With the length of its company prefix known, the canonical form of every URN turns into it again."""
    text, length = urn
    assert to_urn(canonical_id(text), lambda _: length) == text


@given(urns(), st.integers(1, 12))
def test_a_urn_of_another_length_names_the_same_thing(urn: tuple[str, int], length: int) -> None:
    """Whatever length is believed, the URN is sound and means the link that it was made of."""
    link = canonical_id(urn[0])
    found = to_urn(link, lambda _: length)
    assert found is None or canonical_id(found) == link


@pytest.mark.parametrize(
    "text",
    [
        f"{DL}/8013/1987654Ad4X4bL5ttr2310c2K",
        f"{DL}/8006/095210020010130102/10/LOT",
        "urn:gdst:farm.example:lot:7",
        "https://farm.example/01/09521002001013",
        f"{DL}/01/09521002001013/22/A",
        f"{DL}/414/9521001000017/7040/1ABC",
        f"{DL}/8004/95A1",
        f"{DL}/8004/952100",
        DL,
    ],
)
def test_what_has_no_urn(text: str) -> None:
    """Keys without a scheme, links that are not canonical, other URIs and assets too short for a prefix."""
    assert to_urn(text, lambda _: 7) is None


def test_the_length_is_that_of_the_prefix_that_a_member_registered() -> None:
    """The ledger knows the prefixes of its members; of a key of anybody else there is no translation."""
    state = Overlay(MemoryState())
    assign(state, "farm", "9521002")
    assign(state, "shop", "95219")

    def urn(link: str) -> str | None:
        return to_urn(link, lambda found: prefix_length(state, found))

    assert urn(f"{DL}/01/19521002001010/21/7") == "urn:epc:id:sgtin:9521002.100101.7"
    assert urn(f"{DL}/00/195210020000000778") == "urn:epc:id:sscc:9521002.1000000077"
    assert urn(f"{DL}/414/9521001000017") is None
    whole = "952191234567"
    short = f"{DL}/414/{whole}{check_digit(whole)}"
    assert urn(short) == "urn:epc:id:sgln:952191.234567.0"  # a URN has no prefix of five digits
