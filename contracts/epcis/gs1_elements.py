"""What every application identifier (AI) of a GS1 element string means, holds, needs beside it and rules out.

One line an AI: its title, the parts of its value, and its partners. Partners are judged over everything that
one item carries, not over one symbol. The table says nothing about how an element string is cut into AIs.

Source: GS1 General Specifications sections 3 (formats), 4.13 (pairs of AIs) and 7.8 (fixed lengths); GS1
Digital Link URI Syntax 1.3 (keys and their qualifiers).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple


class Part(NamedTuple):
    """A part of a value.

    Args:
        kind: N digits, X character set 82, Y character set 39, Z base64 as in links.
        least, most: how many characters; only the last part may vary.
        checks: names of the checks of its content (`gs1_checks`).
        is_optional: whether the value may end before it.
    """

    kind: str
    least: int
    most: int
    checks: tuple[str, ...] = ()
    is_optional: bool = False


class Element(NamedTuple):
    """What is known of an AI.

    Args:
        ai: two to four digits.
        title: in plain words.
        parts: of the value, in order.
        needs: groups of AIs of which one must be complete on the item; `n` stands for any digit.
        excludes: AIs that may not be on the item besides it.
        sequences: for the key of a Digital Link, the qualifiers that may follow, in order; None for others.
        is_attribute: whether it may stand in the query of a Digital Link.
        unit: of a measure, as UN/ECE Recommendation 20 has it; "" for all else.
    """

    ai: str
    title: str
    parts: tuple[Part, ...]
    needs: tuple[tuple[str, ...], ...] = ()
    excludes: tuple[str, ...] = ()
    sequences: tuple[tuple[str, ...], ...] | None = None
    is_attribute: bool = True
    unit: str = ""

    @property
    def length_max(self) -> int:
        """The most characters that a value may have."""
        return sum(part.most for part in self.parts)


def does_match(pattern: str, ai: str) -> bool:
    """Whether an AI is meant by a partner of the table: `01`, `310n`, `31nn`."""
    return len(pattern) == len(ai) and all(
        wanted in ("n", digit) for wanted, digit in zip(pattern, ai, strict=True)
    )


def missing(ai: str, present: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """The groups of AIs of which one would do, where an AI has none of them among those present; else ()."""
    needs, there = ELEMENTS[ai].needs, tuple(present)
    has = any(all(any(does_match(each, one) for one in there) for each in group) for group in needs)
    return () if has else needs


def conflict(ai: str, present: Iterable[str]) -> str | None:
    """The first AI among those present that this one rules out."""
    patterns = ELEMENTS[ai].excludes
    return next(
        (one for one in present if one != ai and any(does_match(each, one) for each in patterns)), None
    )


# --- the table ------------------------------------------------------------------------


def _part(kind: str, size: str, checks: str, *, is_optional: bool = False) -> Part:
    least, _, most = size.rpartition("-")
    return Part(kind, int(least or most), int(most), tuple(checks.split()), is_optional)


def _n(size: str, checks: str = "") -> Part:
    return _part("N", size, checks)


def _x(size: str, checks: str = "") -> Part:
    return _part("X", size, checks)


def _or_not(part: Part) -> Part:
    return part._replace(is_optional=True)


def _is(
    ais: str,
    title: str,
    *parts: Part,
    needs: str = "",
    excludes: str = "",
    key: str | None = None,
    link: bool = True,
    unit: str = "",
) -> tuple[Element, ...]:
    """The elements of one AI, or of a range `3100-3105` that share everything."""
    first, _, last = ais.rpartition("-")
    numbers = range(int(first or last), int(last) + 1)
    groups = tuple(tuple(group.split("+")) for group in needs.split())
    sequences = None if key is None else tuple(tuple(each.split()) for each in key.split("|") if each)
    return tuple(
        Element(
            f"{number:0{len(last)}}", title, parts, groups, tuple(excludes.split()), sequences, link, unit
        )
        for number in numbers
    )


_GOODS: Final = "01 02 03 8006 8026"
_ITEM: Final = "01 02"
_UNIT: Final = "01 03 8006"
_PATIENT: Final = "8017 8018"
_VARIABLE: Final = "30 31nn 32nn 35nn 36nn"
_GLN: Final = _n("13", "csum gcppos1")
_DAY: Final = _n("6", "yymmdd")
_DAY_OR_MONTH: Final = _n("6", "yymmd0")
_MINUTE: Final = _n("4", "hhmi")
_COUNTRY: Final = _n("3", "iso3166")
_YES: Final = _n("1", "yesno")

# Three digits of the AI, what is measured, the unit; the fourth digit says how many decimals there are.
_OF_TRADE_ITEMS: Final = """
    310 net weight KGM|311 length MTR|312 width MTR|313 height MTR|314 area MTK|315 net volume LTR
    316 net volume MTQ|320 net weight LBR|321 length INH|322 length FOT|323 length YRD|324 width INH
    325 width FOT|326 width YRD|327 height INH|328 height FOT|329 height YRD|350 area INK|351 area FTK
    352 area YDK|356 net weight APZ|357 net volume OZA|360 net volume QT|361 net volume GLL
    364 net volume INQ|365 net volume FTQ|366 net volume YDQ"""
_OF_LOGISTIC_UNITS: Final = """
    330 gross weight KGM|331 length MTR|332 width MTR|333 height MTR|334 area MTK|335 volume LTR
    336 volume MTQ|340 gross weight LBR|341 length INH|342 length FOT|343 length YRD|344 width INH
    345 width FOT|346 width YRD|347 height INH|348 height FOT|349 height YRD|353 area INK|354 area FTK
    355 area YDK|362 volume QT|363 volume GLL|367 volume INQ|368 volume FTQ|369 volume YDQ"""


def _measures(lines: str, needs: str) -> Iterable[Element]:
    for line in re.split(r"[|\n]", lines.strip()):
        head, *words, unit = line.split()
        yield from _is(
            f"{head}0-{head}5", " ".join(words), _n("6"), needs=needs, excludes=f"{head}n", unit=unit
        )


_TABLE: Final = (
    _is("00", "SSCC", _n("18", "csum gcppos2"), key=""),
    _is("01", "GTIN", _n("14", "csum gcppos2"), excludes="255 37", key="22 10 21|235"),
    _is("02", "GTIN of contained items", _n("14", "csum gcppos2"), needs="37", excludes="01 03"),
    _is("03", "made-to-order GTIN", _n("14", "csum gcppos2"), excludes="01 02 37 235", link=False),
    _is("10", "batch or lot", _x("1-20"), needs=_GOODS),
    _is("11", "production date", _DAY_OR_MONTH, needs=_GOODS),
    _is("12", "due date", _DAY_OR_MONTH, needs="8020"),
    _is("13", "packaging date", _DAY_OR_MONTH, needs=_GOODS),
    _is("15", "best before date", _DAY_OR_MONTH, needs=_GOODS),
    _is("16", "sell by date", _DAY_OR_MONTH, needs=_GOODS),
    _is("17", "expiry date", _DAY_OR_MONTH, needs="01 02 03 255 8006 8026"),
    _is("20", "product variant", _n("2"), needs=_GOODS),
    _is("21", "serial number", _x("1-20"), needs=_UNIT, excludes="235", link=False),
    _is("22", "consumer product variant", _x("1-20"), needs="01", link=False),
    _is("235", "third party serial", _x("1-28"), needs="01", link=False),
    _is("240", "additional item identification", _x("1-30"), needs=_GOODS),
    _is("241", "customer part number", _x("1-30"), needs=_GOODS),
    _is("242", "made-to-order variant", _n("1-6"), needs="01 02 8006 8026"),
    _is("243", "packaging component", _x("1-20"), needs="01 03"),
    _is("250", "secondary serial number", _x("1-30"), needs="01+21 03+21 8006+21"),
    _is("251", "reference to source", _x("1-30"), needs=_UNIT),
    _is("253", "GDTI", _n("13", "csum gcppos1"), _or_not(_x("1-17")), key=""),
    _is("254", "GLN extension", _x("1-20"), needs="414", link=False),
    _is("255", "GCN", _n("13", "csum gcppos1"), _or_not(_n("1-12")),
        excludes="01 02 415 8006 8020 8026", key=""),
    _is("30", "variable count", _n("1-8"), needs=_ITEM),
    tuple(_measures(_OF_TRADE_ITEMS, _ITEM)),
    tuple(_measures(_OF_LOGISTIC_UNITS, "00 01")),
    tuple(_measures("337 kilograms per square metre 28", "01")),
    _is("37", "count of contained items", _n("1-8"), needs="00+02 00+8026"),
    _is("3900-3909", "amount payable", _n("1-15"), needs="255 8020", excludes="390n 391n 394n 8111"),
    _is("3910-3919", "amount payable, with currency", _n("3", "iso4217"), _n("1-15"),
        needs="8020", excludes="391n"),
    _is("3920-3929", "price", _n("1-15"), needs="01+30 01+31nn 01+32nn 01+35nn 01+36nn",
        excludes="392n 393n"),
    _is("3930-3939", "price, with currency", _n("3", "iso4217"), _n("1-15"),
        needs=_VARIABLE, excludes="393n"),
    _is("3940-3943", "percentage off", _n("4"), needs="255", excludes="394n 8111"),
    _is("3950-3955", "price per unit of measure", _n("6"), needs=_VARIABLE, excludes="392n 393n 395n 8005"),
    _is("400", "order number", _x("1-30")),
    _is("401", "GINC", _x("1-30", "gcppos1"), key=""),
    _is("402", "GSIN", _n("17", "csum gcppos1"), key=""),
    _is("403", "routing code", _x("1-30"), needs="00"),
    _is("410", "ship to", _GLN),
    _is("411", "bill to", _GLN),
    _is("412", "purchased from", _GLN),
    _is("413", "ship for", _GLN),
    _is("414", "GLN of a location", _GLN, key="254|7040"),
    _is("415", "GLN of the invoicing party", _GLN, needs="8020", key="8020"),
    _is("416", "GLN of production or service", _GLN),
    _is("417", "GLN of a party", _GLN, key="7040"),
    _is("420", "ship to postcode", _x("1-20"), excludes="421"),
    _is("421", "ship to country and postcode", _COUNTRY, _x("1-9"), excludes="4307"),
    _is("422", "country of origin", _COUNTRY, needs=_GOODS, excludes="426"),
    _is("423", "country of initial processing", _COUNTRY, *[_or_not(_COUNTRY)] * 4,
        needs="01 02 03", excludes="426"),
    _is("424", "country of processing", _COUNTRY, needs="01 02 03", excludes="426"),
    _is("425", "country of disassembly", _COUNTRY, *[_or_not(_COUNTRY)] * 4,
        needs="01 02 03", excludes="426"),
    _is("426", "country of the full process", _COUNTRY, needs="01 02 03"),
    _is("427", "subdivision of origin", _x("1-3"), needs="01+422 02+422 03+422"),
    _is("4300", "ship to company", _x("1-35", "pcenc"), needs="00"),
    _is("4301", "ship to name", _x("1-35", "pcenc"), needs="00"),
    _is("4302", "ship to address line 1", _x("1-70", "pcenc"), needs="00"),
    _is("4303", "ship to address line 2", _x("1-70", "pcenc"), needs="4302"),
    _is("4304", "ship to suburb", _x("1-70", "pcenc"), needs="00"),
    _is("4305", "ship to locality", _x("1-70", "pcenc"), needs="00"),
    _is("4306", "ship to region", _x("1-70", "pcenc"), needs="00"),
    _is("4307", "ship to country", _x("2", "iso3166alpha2"), needs="00"),
    _is("4308", "ship to telephone", _x("1-30"), needs="00"),
    _is("4309", "ship to position", _n("10", "latitude"), _n("10", "longitude"), needs="00"),
    _is("4310", "return to company", _x("1-35", "pcenc"), needs="00"),
    _is("4311", "return to name", _x("1-35", "pcenc"), needs="00"),
    _is("4312", "return to address line 1", _x("1-70", "pcenc"), needs="00"),
    _is("4313", "return to address line 2", _x("1-70", "pcenc"), needs="4312"),
    _is("4314", "return to suburb", _x("1-70", "pcenc"), needs="00"),
    _is("4315", "return to locality", _x("1-70", "pcenc"), needs="00"),
    _is("4316", "return to region", _x("1-70", "pcenc"), needs="00"),
    _is("4317", "return to country", _x("2", "iso3166alpha2"), needs="00"),
    _is("4318", "return to postcode", _x("1-20"), needs="00"),
    _is("4319", "return to telephone", _x("1-30"), needs="00"),
    _is("4320", "service", _x("1-35", "pcenc"), needs="00"),
    _is("4321", "dangerous goods", _YES, needs="00"),
    _is("4322", "may be left without signature", _YES, needs="00"),
    _is("4323", "signature needed", _YES, needs="00"),
    _is("4324", "deliver not before", _DAY_OR_MONTH, _MINUTE, needs="00"),
    _is("4325", "deliver not after", _DAY_OR_MONTH, _MINUTE, needs="00"),
    _is("4326", "release date", _DAY, needs="00"),
    _is("4330", "highest temperature, Fahrenheit", _n("6"), _or_not(_x("1", "hyphen")),
        needs="00", excludes="4331"),
    _is("4331", "highest temperature, Celsius", _n("6"), _or_not(_x("1", "hyphen")),
        needs="00", excludes="4330"),
    _is("4332", "lowest temperature, Fahrenheit", _n("6"), _or_not(_x("1", "hyphen")),
        needs="00", excludes="4333"),
    _is("4333", "lowest temperature, Celsius", _n("6"), _or_not(_x("1", "hyphen")),
        needs="00", excludes="4332"),
    _is("7001", "NATO stock number", _n("13"), needs="01 02 8006 8026"),
    _is("7002", "meat cut", _x("1-30"), needs=_ITEM),
    _is("7003", "expiry date and time", _DAY, _MINUTE, needs="01 02 03"),
    _is("7004", "active potency", _n("1-4"), needs="01+10 03+10"),
    _is("7005", "catch area", _x("1-12"), needs=_ITEM),
    _is("7006", "first freeze date", _DAY, needs=_ITEM),
    _is("7007", "harvest date", _DAY, _or_not(_DAY), needs=_ITEM),
    _is("7008", "aquatic species", _x("1-3"), needs=_ITEM),
    _is("7009", "fishing gear", _x("1-10"), needs=_ITEM),
    _is("7010", "production method", _x("1-2"), needs="01 02 03"),
    _is("7011", "test by date", _DAY, _or_not(_MINUTE), needs="01 02 03"),
    _is("7020", "refurbishment lot", _x("1-20"), needs="01+416 03+416 8006+416"),
    _is("7021", "functional status", _x("1-20"), needs=_UNIT),
    _is("7022", "revision status", _x("1-20"), needs="01+7021 03+7021 8006+7021"),
    _is("7023", "GIAI of an assembly", _x("1-30", "gcppos1")),
    _is("7030-7039", "processor with country", _n("3", "iso3166999"), _x("1-27"), needs=_ITEM),
    _is("7040", "economic operator, facility or machine", _n("1"), _x("1"), _x("1"), _x("1", "importeridx"),
        link=False),
    _is("7041", "freight unit type", _x("1-4", "packagetype"), needs="00", link=False),
    _is("710", "national healthcare number, PZN", _x("1-20"), needs="01"),
    _is("711", "national healthcare number, CIP", _x("1-20"), needs="01"),
    _is("712", "national healthcare number, CN", _x("1-20"), needs="01"),
    _is("713", "national healthcare number, DRN", _x("1-20"), needs="01"),
    _is("714", "national healthcare number, AIM", _x("1-20"), needs="01"),
    _is("715", "national healthcare number, NDC", _x("1-20"), needs="01"),
    _is("716", "national healthcare number, AIC", _x("1-20"), needs="01"),
    _is("717", "national healthcare number, SRN", _x("1-20"), needs="01"),
    _is("7230-7239", "certification", _x("2"), _x("1-28"), needs="01 8004"),
    _is("7240", "protocol", _x("1-20"), needs="01 8006", excludes="03"),
    _is("7241", "media type", _n("2", "mediatype"), needs=_PATIENT),
    _is("7242", "version control number", _x("1-25"), needs=_PATIENT),
    _is("7250", "date of birth", _n("8", "yyyymmdd"), needs="8018", excludes="7251"),
    _is("7251", "date and time of birth", _n("8", "yyyymmdd"), _MINUTE, needs="8018", excludes="7250"),
    _is("7252", "biological sex", _n("1", "iso5218"), needs="8018"),
    _is("7253", "family name", _x("1-40", "pcenc"), needs=_PATIENT, excludes="7256 7259"),
    _is("7254", "given name", _x("1-40", "pcenc"), needs=_PATIENT, excludes="7256 7259"),
    _is("7255", "name suffix", _x("1-10"), needs=_PATIENT, excludes="7256 7259"),
    _is("7256", "full name", _x("1-90", "pcenc"), needs=_PATIENT),
    _is("7257", "address of a person", _x("1-70", "pcenc"), needs="8018"),
    _is("7258", "birth sequence", _x("3", "posinseqslash"), needs="8018+7259"),
    _is("7259", "baby of", _x("1-40", "pcenc"), needs="8018", excludes="7256"),
    _is("8001", "roll dimensions", _n("4", "nonzero"), _n("5", "nonzero"), _n("3", "nonzero"),
        _n("1", "winding"), _n("1"), needs="01"),
    _is("8002", "mobile telephone identifier", _x("1-20")),
    _is("8003", "GRAI", _n("1", "zero"), _n("13", "csum gcppos1"), _or_not(_x("1-16")), key=""),
    _is("8004", "GIAI", _x("1-30", "gcppos1"), key="7040"),
    _is("8005", "price per unit", _n("6"), needs=_ITEM),
    _is("8006", "ITIP", _n("14", "csum gcppos2"), _n("4", "pieceoftotal"),
        excludes="01 03 37", key="22 10 21"),
    _is("8007", "IBAN", _x("1-34", "iban"), needs="415"),
    _is("8008", "production date and time", _DAY, _n("2", "hh"), _or_not(_n("2", "mi")),
        _or_not(_n("2", "ss")), needs="01 02 03"),
    _is("8009", "optical sensor indicator", _x("1-50"), needs="00 01 03"),
    _is("8010", "CPID", _part("Y", "1-30", "gcppos1"), key="8011"),
    _is("8011", "CPID serial number", _n("1-12", "nozeroprefix"), needs="8010", link=False),
    _is("8012", "software version", _x("1-20"), needs=_UNIT),
    _is("8013", "GMN", _x("1-25", "csumalpha gcppos1"), key=""),
    _is("8014", "MUDI", _x("1-25", "csumalpha gcppos1 hasnondigit"), needs="01", link=False),
    _is("8017", "GSRN of a provider", _n("18", "csum gcppos1"), excludes="8018", key="8019"),
    _is("8018", "GSRN of a recipient", _n("18", "csum gcppos1"), excludes="8017", key="8019"),
    _is("8019", "service relation instance", _n("1-10"), needs=_PATIENT, link=False),
    _is("8020", "payment slip reference", _x("1-25"), needs="415", link=False),
    _is("8026", "ITIP of contained items", _n("14", "csum gcppos2"), _n("4", "pieceoftotal"),
        needs="37", excludes="02 03 8006"),
    _is("8030", "digital signature", _part("Z", "1-90", ""),
        needs="00 01+21 03+21 253 255 8003 8004 8006+21 8010+8011 8017 8018"),
    _is("8040", "IMEI", _n("15"), needs="01+21", link=False),
    _is("8041", "second IMEI", _n("15"), needs="01+21+8040", link=False),
    _is("8042", "embedded SIM", _n("32"), needs="01+21+8040", link=False),
    _is("8043", "physical SIM", _n("18"), _or_not(_n("1-2")), needs="01+21+8040", link=False),
    _is("8110", "coupon, North America", _x("1-70", "couponcode")),
    _is("8111", "loyalty points of a coupon", _n("4"), needs="255"),
    _is("8112", "coupon of an offer file, North America", _x("1-70", "couponposoffer")),
    _is("8200", "product address", _x("1-70"), needs="01", link=False),
    _is("90", "agreed between partners", _x("1-30")),
    _is("91-99", "company internal", _x("1-90")),
)  # fmt: skip

ELEMENTS: Final[dict[str, Element]] = {each.ai: each for row in _TABLE for each in row}
AI_DIGITS: Final = {ai[:2]: len(ai) for ai in ELEMENTS}  # how many digits an AI has, by its first two

# Values that end by themselves, by the first two digits of the AI; FNC1 ends all others, also those of one
# length. The standard fixes these for good, for AIs to come as well.
FIXED: Final = {
    "00": 18, "01": 14, "02": 14, "03": 14, "04": 16,
    **dict.fromkeys("11 12 13 14 15 16 17 18 19".split(), 6),
    "20": 2,
    **dict.fromkeys("31 32 33 34 35 36".split(), 6),
    "41": 13,
}  # fmt: skip
