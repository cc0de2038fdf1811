from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.epcis.gs1_checks import CHARACTERS_82, check_digit
from contracts.epcis.gs1_keys import Level
from contracts.epcis.identifiers import IDENTIFIER_BYTES_MAX, canonical_id, is_uri, resolve
from contracts.epcis.scan import SCAN_LENGTH_MAX, parse_scan
from ledger.errors import LedgerError

DL = "https://id.gs1.org"
serials = st.text(st.sampled_from(CHARACTERS_82), min_size=1, max_size=20)
companies = st.from_regex(r"[0-9]{6,12}", fullmatch=True)


def refusal(text: str, *, is_scan: bool = False) -> str:
    with pytest.raises(LedgerError) as caught:
        parse_scan(text) if is_scan else canonical_id(text)
    return caught.value.code


def encoded(serial: str) -> str:
    return "".join(f"%{ord(character):02X}" if character in '"%&/<>?#' else character for character in serial)


def test_the_published_digital_link_vectors(shared_data: Path) -> None:
    """Every published pair agrees, and what must not convert does not."""
    with (shared_data / "gs1" / "digital-link.csv").open(newline="") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    assert len(rows) == 36
    for given_text, expected in rows:
        if expected:
            assert canonical_id(given_text) == expected
            assert parse_scan(given_text) == expected
        else:
            assert _link_or_none(given_text) is None, given_text
    assert sum(not expected for _, expected in rows) == 5


def _link_or_none(text: str) -> str | None:
    with suppress(LedgerError):
        found = canonical_id(text)
        return None if found == text else found
    return None


@pytest.mark.parametrize(
    ("text", "canonical", "level"),
    [
        ("urn:epc:id:sgtin:9521002.100101.case-2", f"{DL}/01/19521002001010/21/case-2", Level.INSTANCE),
        ("urn:epc:class:lgtin:9521002.000101.P-0504", f"{DL}/01/09521002001013/10/P-0504", Level.LOT),
        ("urn:epc:idpat:sgtin:9521002.000101.*", f"{DL}/01/09521002001013", Level.CLASS),
        ("urn:epc:id:sscc:9521002.1000000077", f"{DL}/00/195210020000000778", Level.CONTAINER),
        ("urn:epc:id:sgln:9521001.00001.0", f"{DL}/414/9521001000017", Level.LOCATION),
        ("urn:epc:id:sgln:9521001.00001.a%2F2", f"{DL}/414/9521001000017/254/a%2F2", Level.LOCATION),
        ("urn:epc:id:pgln:9521001.00000", f"{DL}/417/9521001000000", Level.PARTY),
        ("urn:epc:id:grai:9521001.00022.334", f"{DL}/8003/09521001000222334", Level.INSTANCE),
        ("urn:epc:idpat:grai:9521001.00022.*", f"{DL}/8003/09521001000222", Level.CLASS),
        ("urn:epc:id:giai:9521002.probe-1", f"{DL}/8004/9521002probe-1", Level.INSTANCE),
        ("urn:epc:id:gsrn:9521002.0000006765", f"{DL}/8018/952100200000067657", Level.PARTY),
        ("urn:epc:id:gsrnp:9521002.0000006765", f"{DL}/8017/952100200000067657", Level.PARTY),
        ("urn:epc:id:gdti:9521002.00008.T-88", f"{DL}/253/9521002000085T-88", Level.INSTANCE),
        ("urn:epc:idpat:gdti:9521002.00008.*", f"{DL}/253/9521002000085", Level.CLASS),
        ("urn:epc:id:sgcn:9521002.00008.44", f"{DL}/255/952100200008544", Level.INSTANCE),
        ("urn:epc:idpat:sgcn:9521002.00008.*", f"{DL}/255/9521002000085", Level.CLASS),
        ("urn:epc:id:cpi:9521002.AB%2F12.77", f"{DL}/8010/9521002AB%2F12/8011/77", Level.INSTANCE),
        ("urn:epc:idpat:cpi:9521002.AB12.*", f"{DL}/8010/9521002AB12", Level.CLASS),
        ("urn:epc:id:itip:9521002.000101.01.02.s", f"{DL}/8006/095210020010130102/21/s", Level.INSTANCE),
        ("urn:epc:idpat:itip:9521002.000101.01.02.*", f"{DL}/8006/095210020010130102", Level.CLASS),
        ("urn:epc:id:upui:9521002.000101.51qI", f"{DL}/01/09521002001013/235/51qI", Level.INSTANCE),
        ("urn:epc:id:ginc:9521002.xyz%2F4", f"{DL}/401/9521002xyz%2F4", Level.OTHER),
        ("urn:epc:id:gsin:9521002.000000004", f"{DL}/402/95210020000000047", Level.OTHER),
        ("URN:EPC:id:sgln:9521001.00001.0", f"{DL}/414/9521001000017", Level.LOCATION),
        ("HTTPS://ID.GS1.ORG/01/09521002001013", f"{DL}/01/09521002001013", Level.CLASS),
        ("https://a.example/b/c/gtin/9521002001013/lot/X?15=2#y", f"{DL}/01/09521002001013/10/X", Level.LOT),
        (f"{DL}/414/9521001000017/254/0", f"{DL}/414/9521001000017", Level.LOCATION),
        (f"{DL}/8013/1987654Ad4X4bL5ttr2310c2K", f"{DL}/8013/1987654Ad4X4bL5ttr2310c2K", Level.CLASS),
        (f"{DL}/01/09521002001013/", f"{DL}/01/09521002001013", Level.CLASS),
        ("urn:epc:id:gid:9521.1.2", "urn:epc:id:gid:9521.1.2", Level.OTHER),
        ("urn:epc:idpat:sgtin:9521002.*.*", "urn:epc:idpat:sgtin:9521002.*.*", Level.OTHER),
        ("urn:gdst:farm.example:lot:7", "urn:gdst:farm.example:lot:7", Level.OTHER),
        ("did:web:farm.example", "did:web:farm.example", Level.OTHER),
        (f"{DL}/8018/952100200000067657/8019/7", f"{DL}/8018/952100200000067657/8019/7", Level.OTHER),
        (f"{DL}/414/9521001000017/7040/1ABC", f"{DL}/414/9521001000017/7040/1ABC", Level.OTHER),
        ("https://farm.example/party/spring", "https://farm.example/party/spring", Level.OTHER),
        ("https://farm.example/01", "https://farm.example/01", Level.OTHER),
        ("https://farm.example", "https://farm.example", Level.OTHER),
    ],
)  # fmt: skip
def test_each_key_has_one_form_and_level(text: str, canonical: str, level: Level) -> None:
    """Each scheme of URN and each form of link, with what it names; other URIs stay as they are."""
    found = resolve(text)
    assert (found.uri, found.level, found.flag) == (canonical, level, "")
    assert canonical_id(text) == parse_scan(text) == canonical
    assert resolve(canonical).uri == canonical
    assert resolve(canonical).level is level


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        (f"{DL}/01/09521002001018/10/X", "identifier.check_digit"),
        ("https://shop.example/gtin/09521002001018", "identifier.check_digit"),
        (f"{DL}/00/195210020000000772", "identifier.check_digit"),
        (f"{DL}/8013/1987654Ad4X4bL5ttr2310cXK", "identifier.check_digit"),
        (f"{DL}/8006/095210020010130201", "identifier.invalid"),
        (f"{DL}/01/0952100200101", "identifier.check_digit"),
        (f"{DL}/01/095210020", "identifier.invalid"),
        (f"{DL}/01/09521002001013/10/{'x' * 21}", "identifier.invalid"),
        (f"{DL}/01/09521002001013/10/", "identifier.invalid"),
        (f"{DL}/01/09521002001013/21/a/10/b", "identifier.invalid"),
        (f"{DL}/01/09521002001013/10/%C3%A9", "identifier.invalid"),
        (f"{DL}/414/9521001000017/10/X", "identifier.invalid"),
        ("urn:epc:id:sgtin:9521002.00101.1", "identifier.invalid"),
        ("urn:epc:id:sgtin:95210.02000101.1", "identifier.invalid"),
        ("urn:epc:id:sgtin:9521002.000101", "identifier.invalid"),
        ("urn:epc:id:sgtin:9521002.000101.", "identifier.invalid"),
        ("urn:epc:id:sgln:9521001.0000X.0", "identifier.invalid"),
        ("urn:epc:id:sgtin:9521001٢.00001.0", "identifier.invalid"),
        ("urn:epc:id:giai:9521002.", "identifier.invalid"),
        ("urn:epc:id:cpi:9521002.ab.1", "identifier.invalid"),
        ("urn:epc:id:cpi:9521002.AB.01", "identifier.invalid"),
        ("urn:epc:raw:96.x3034257BF400B7800004CB2F", "identifier.invalid"),
        ("URN:EPC:tag:sgtin-96:3.9521002.000101.7", "identifier.invalid"),
        ("urn:epc:pat:sgtin-96:3.9521002.*.*", "identifier.invalid"),
        (f"{DL}/8018/952100200000067656/8019/7", "identifier.check_digit"),
        (f"{DL}/8018/952100200000067657/8019/A", "identifier.invalid"),
        (f"{DL}/417/9521001000000/8019/7", "identifier.invalid"),
    ],
)
def test_a_broken_key_is_kept_with_a_flag_in_events_and_refused_from_people(text: str, flag: str) -> None:
    """An event keeps the URI and says what is wrong with it; `canonical_id` and `parse_scan` refuse."""
    found = resolve(text)
    assert (found.uri, found.level, found.flag) == (text, Level.OTHER, flag)
    assert refusal(text) == "identifier.invalid"
    assert refusal(text, is_scan=True) == "identifier.invalid"


@pytest.mark.parametrize(
    "text",
    ["", "42", "Hello World!", "farm", "/a/b", "http:", "a b:c", "urn:a b", "urn:a\tb", "x:\x7f", "x:\u2028",
     "x:<a>", "x:a\n", "1x:a", "x:" + "a" * IDENTIFIER_BYTES_MAX, "x:" + "é" * (IDENTIFIER_BYTES_MAX // 2)],
)  # fmt: skip
def test_what_is_no_absolute_uri_is_refused(text: str) -> None:
    """Bare words, relative references, spaces, controls and what is too long."""
    assert not is_uri(text)
    assert refusal(text) == "identifier.not_uri"
    with pytest.raises(LedgerError) as caught:
        resolve(text)
    assert caught.value.code == "identifier.not_uri"


@given(companies, st.data())
def test_all_spellings_of_a_serialised_item_meet(company: str, data: st.DataObject) -> None:
    """URN, links on any domain under any name, and element strings give one identifier."""
    item = data.draw(st.from_regex(rf"[0-9]{{{13 - len(company)}}}", fullmatch=True))
    serial = data.draw(serials)
    digits = item[0] + company + item[1:]
    gtin = digits + check_digit(digits)
    canonical = canonical_id(f"urn:epc:id:sgtin:{company}.{item}.{encoded(serial)}")
    segment = "".join(f"%{ord(character):02x}" for character in serial)
    escaped = serial.replace("\\", "\\\\").replace("(", "\\(")
    assert canonical.startswith(f"{DL}/01/{gtin}/21/")
    for spelling in (
        canonical,
        f"http://shop.example/some/path/gtin/{gtin}/lot/L/ser/{segment}?17=261231",
        f"({'01'}){gtin}(21){escaped}",
        f"01{gtin}21{serial}",
        f"]C101{gtin}17261231" + f"10L\x1d21{serial}",
        f"\x1d21{serial}\x1d01{gtin}",
    ):
        assert parse_scan(spelling) == canonical, spelling


_URNS = r"urn:epc:(id|class|idpat):(sgtin|sgln|cpi|itip|giai|gdti):[0-9*]{5,13}\.[0-9A-Z.%*]{0,20}"
_SEGMENTS = r"(/(01|gtin|10|21|414|254|8010|8011|253|x|[0-9]{8,18}|%[0-9A-F]{2})){0,9}/?"
_LINKS = rf"https?://(id\.gs1\.org|a\.b){_SEGMENTS}"
_SCANS = r"[\](]?(C1|01|00|10|21)?[)]?[0-9]{0,20}[\x1d(]?(10|21)?[)]?[A-Z(\\]{0,8}"


@given(
    st.text(max_size=60)
    | st.one_of([st.from_regex(form, fullmatch=True) for form in (_URNS, _LINKS, _SCANS)])
)
def test_hostile_text_gives_an_identifier_or_a_ledger_error(text: str) -> None:
    """Nothing else is raised, and every answer is a fixed point."""
    for read in (canonical_id, parse_scan, lambda given_text: resolve(given_text).uri):
        with suppress(LedgerError):
            found = read(text)
            assert canonical_id(found) == found or resolve(found).flag
            assert resolve(found).uri == found


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("(01)09521002001013(10)P-0504", f"{DL}/01/09521002001013/10/P-0504"),
        ("(10)P-0504(01)09521002001013", f"{DL}/01/09521002001013/10/P-0504"),
        ("(01)09521002001013(17)261231(3103)000500(10)A/1", f"{DL}/01/09521002001013/10/A%2F1"),
        ("(01)09521002001013(254)7", f"{DL}/01/09521002001013"),
        ("(00)195210020000000778(02)09521002001013(37)96(10)P-0504", f"{DL}/00/195210020000000778"),
        ("(414)9521001000017(254)gate", f"{DL}/414/9521001000017/254/gate"),
        ("(8010)9521002AB#1(8011)7", f"{DL}/8010/9521002AB%231/8011/7"),
        ("]d2010952100200101310P-0504\x1d91x", f"{DL}/01/09521002001013/10/P-0504"),
        ("]Q1https://shop.example/01/09521002001013", f"{DL}/01/09521002001013"),
        ("]e000195210020000000778", f"{DL}/00/195210020000000778"),
        ("9521002001013", f"{DL}/01/09521002001013"),
        ("19521002001010", f"{DL}/01/19521002001010"),
        ("012345678905", f"{DL}/01/00012345678905"),
        ("95212340", f"{DL}/01/00000095212340"),
        ("  (01)09521002001013\r\n", f"{DL}/01/09521002001013"),
    ],
)
def test_what_scanners_send(text: str, canonical: str) -> None:
    """Bracketed and raw element strings, symbology identifiers, FNC1, and retail bar codes."""
    assert parse_scan(text) == canonical


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Hello World!", "identifier.not_recognised"),
        ("", "identifier.not_recognised"),
        ("(01)09521002001013(91)" + "x" * SCAN_LENGTH_MAX, "identifier.not_recognised"),
        ("(01)09521002001013(17)", "identifier.invalid"),
        ("(01)09521002001013 (10)X", "identifier.invalid"),
        ("(01)09521002001013(1)X", "identifier.not_recognised"),
        ("(01", "identifier.not_recognised"),
        ("(01)(10)X", "identifier.invalid"),
        ("(01)09521002001018", "identifier.invalid"),
        ("0109521002001018", "identifier.invalid"),
        ("9521002001018", "identifier.invalid"),
        ("(10)X", "identifier.invalid"),
        ("(01)09521002001013(00)195210020000000778", "identifier.invalid"),
        ("(01)09521002001013(10)A(235)B", "identifier.invalid"),
        ("(01)09521002001013(10)A(10)B", "identifier.invalid"),
        ("(01)09521002001013(10)é", "identifier.invalid"),
        ("010952100200101", "identifier.invalid"),
        ("010952100200101318X", "identifier.not_recognised"),
        ("42", "identifier.not_recognised"),
        ("\x1d\x1d", "identifier.not_recognised"),
    ],
)
def test_what_people_are_told_to_scan_again(text: str, code: str) -> None:
    """Broken, incomplete and ambiguous scans are refused."""
    assert refusal(text, is_scan=True) == code


def test_a_long_path_costs_little() -> None:
    """Only the end of a path can name a thing; a path of nothing but key names is an opaque URI."""
    text = "https://a.example" + "/01" * 160
    assert resolve(text).uri == text
