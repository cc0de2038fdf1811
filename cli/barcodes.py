"""What a scanned code says, in words that a clerk reads: dates as dates, weights with their unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from contracts.epcis.barcode import Datum, lacking
from contracts.epcis.gs1_elements import ELEMENTS, conflict
from contracts.epcis.scan import Scan, read_scan
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from cli.output import Output

_COUNTS: Final = ("30", "37")
_AMOUNTS: Final = ("390", "392", "394")  # the fourth digit of the AI counts decimals
_AMOUNTS_WITH_CURRENCY: Final = ("391", "393")
_TEMPERATURES: Final = {"4330": "°F", "4331": "°C", "4332": "°F", "4333": "°C"}
_YEARS_AHEAD_MAX: Final = 50  # two digits of a year mean one from 49 years ago to 50 years ahead


def answer(texts: Sequence[str], year: int) -> dict[str, Any]:
    """All that the codes of one item say together; `year` is now, and decides the century of short years.

    Raises:
        LedgerError: `identifier.*`, for the first text that is broken.
    """
    scans = [_read(text, number, len(texts)) for number, text in enumerate(texts, 1)]
    data = tuple(chain.from_iterable(scan.data for scan in scans))
    others = {datum.ai: conflict(datum.ai, [each.ai for each in data]) for datum in data}
    return {
        "codes": [_code(text, scan, year) for text, scan in zip(texts, scans, strict=True)],
        "missing": [
            {"ai": ai, "title": ELEMENTS[ai].title, "needs": wanted} for ai, wanted in lacking(data).items()
        ],
        "conflicts": [
            {"ai": ai, "title": ELEMENTS[ai].title, "with": other} for ai, other in others.items() if other
        ],
    }


def answer_text(output: Output, found: dict[str, Any]) -> str:
    """The same for people."""
    blocks = [_code_text(output, code) for code in found["codes"]]
    blocks += [
        f"({each['ai']}) {each['title']} needs {each['needs']} on the same item" for each in found["missing"]
    ]
    blocks += [
        f"({each['ai']}) {each['title']} cannot be on an item with ({each['with']})"
        for each in found["conflicts"]
    ]
    return "\n\n".join(blocks)


def meaning(datum: Datum, year: int) -> str:
    """A value in plain words; "" where it is plain already."""
    ai, value = datum.ai, datum.value
    element = ELEMENTS[ai]
    if element.unit:
        return f"{_shifted(value, int(ai[3]))} {element.unit}"
    if ai in _COUNTS:
        return str(int(value))
    if ai[:3] in _AMOUNTS:
        return _shifted(value, int(ai[3])) + (" %" if ai[:3] == "394" else "")
    if ai[:3] in _AMOUNTS_WITH_CURRENCY:
        return f"{_shifted(value[3:], int(ai[3]))} in currency {value[:3]}"
    if ai in _TEMPERATURES:
        sign = "-" if value.endswith("-") else ""
        return f"{sign}{_shifted(value.rstrip('-'), 2)} {_TEMPERATURES[ai]}"
    return (" to " if ai == "7007" else " ").join(_moments(datum, year))


def full_year(two_digits: int, year: int) -> int:
    """The year with these last digits that is nearest, as the standard reads it."""
    found = year - year % 100 + two_digits
    if found - year > _YEARS_AHEAD_MAX:
        return found - 100
    return found + 100 if found - year < _YEARS_AHEAD_MAX - 99 else found


# --- inside ---------------------------------------------------------------------------


def _read(text: str, number: int, of: int) -> Scan:
    try:
        return read_scan(text)
    except LedgerError as problem:
        which = f"code {number} of {of}: " if of > 1 else ""
        raise LedgerError(problem.code, which + problem.message) from None


def _code(text: str, scan: Scan, year: int) -> dict[str, Any]:
    elements = [
        {
            "ai": datum.ai,
            "title": ELEMENTS[datum.ai].title,
            "value": datum.value,
            "means": meaning(datum, year),
        }
        for datum in scan.data
    ]
    names = [{"id": each.uri, "level": each.level.value} for each in scan.identifiers]
    return {"text": text, "form": scan.form.value, "identifiers": names, "elements": elements}


def _code_text(output: Output, code: dict[str, Any]) -> str:
    pairs = [("code", code["text"]), ("form", code["form"])]
    pairs += [(each["level"], each["id"]) for each in code["identifiers"]] or [("names", "nothing by itself")]
    lines = [output.fields(pairs)]
    if code["elements"]:
        rows = [(f"({each['ai']})", each["title"], each["value"], each["means"]) for each in code["elements"]]
        lines.append(output.table(("AI", "WHAT", "VALUE", "MEANS"), rows))
    return "\n".join(lines)


def _shifted(digits: str, decimals: int) -> str:
    return f"{Decimal(digits).scaleb(-decimals):f}"


def _moments(datum: Datum, year: int) -> Iterator[str]:
    """The dates and times among the parts of a value."""
    clock, rest = "", datum.value
    for part in ELEMENTS[datum.ai].parts:
        piece, rest = rest[: part.most], rest[part.most :]
        check = part.checks[0] if part.checks and piece else ""
        if check in ("yymmdd", "yymmd0"):
            yield _day(str(full_year(int(piece[:2]), year)) + piece[2:])
        elif check == "yyyymmdd":
            yield _day(piece)
        elif check == "hhmi":
            yield f"{piece[:2]}:{piece[2:]}"
        elif check in ("hh", "mi", "ss"):
            clock += (":" if clock else "") + piece
    if clock:
        yield clock if ":" in clock else f"{clock}:00"


def _day(digits: str) -> str:
    """A date; only its month where no day is given (00)."""
    year, month, day = digits[:-4], digits[-4:-2], digits[-2:]
    return f"{year}-{month}" if day == "00" else f"{year}-{month}-{day}"
