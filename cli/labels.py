"""What the labels of goods say besides what they name: how much there is, and which dates hold for it."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from cli.barcodes import full_year
from cli.exit_code import ExitCode
from cli.failure import Failure
from contracts.epcis.gs1_elements import ELEMENTS
from contracts.epcis.scan import read_scan

ON_THE_LABEL: Final = "label"  # typed for a quantity that the label says

_COUNT: Final = "30"
_DATES: Final = {
    "15": ("bestBeforeDate",),
    "16": ("sellByDate",),
    "17": ("itemExpirationDate",),
    "7006": ("firstFreezeDate",),
    "7007": ("harvestStartDate", "harvestEndDate"),
}


def amount_on(label: str) -> tuple[Decimal, str]:
    """The one weight, measure or count of a trade item on its label, and its unit; "" counts pieces.

    Raises:
        Failure: `usage.wrong_quantity` for none or several. LedgerError: `identifier.*`.
    """
    found = [
        (Decimal(datum.value).scaleb(-int(datum.ai[3])), ELEMENTS[datum.ai].unit)
        if ELEMENTS[datum.ai].unit
        else (Decimal(datum.value), "")
        for datum in read_scan(label).data
        if ELEMENTS[datum.ai].unit or datum.ai == _COUNT
    ]
    if len(found) != 1 or not found[0][0]:
        said = " and ".join(f"{number:f}{unit}" for number, unit in found) or "no quantity"
        raise Failure(
            "usage.wrong_quantity",
            f"the label {label[:40]!r} says {said}, where one was expected: type it",
            exit_code=ExitCode.USAGE,
        )
    return found[0]


def master_data(labels: Iterable[str], year: int) -> dict[str, str]:
    """The dates on which all labels agree, as `ilmd` has them; `year` is now and decides the century.

    A month without a day ends with its last day, as the standard reads it.

    Raises:
        LedgerError: `identifier.*`.
    """
    dates = [_dates(label, year) for label in labels]
    first, *others = dates or [{}]
    return {name: day for name, day in first.items() if all(each.get(name) == day for each in others)}


def _dates(label: str, year: int) -> dict[str, str]:
    found = {}
    for datum in read_scan(label).data:
        names = _DATES.get(datum.ai, ())
        days = [datum.value[place : place + 6] for place in range(0, len(datum.value), 6)]
        for name, day in zip(names, days, strict=False):
            found[f"cbvmda:{name}"] = _day(day, year)
    return found


def _day(digits: str, year: int) -> str:
    whole, month, day = full_year(int(digits[:2]), year), int(digits[2:4]), int(digits[4:])
    return f"{whole}-{month:02}-{day or monthrange(whole, month)[1]:02}"
