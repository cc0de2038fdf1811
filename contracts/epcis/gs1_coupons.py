"""The two North American coupon codes, which are small records of their own: AIs 8110 and 8112.

Source: GS1 US, North American Coupon Application Guideline Using GS1 DataBar Expanded Symbols (8110) and
AI (8112) Coupon Data Specification.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from contracts.epcis.gs1_checks import Check, Fault, csetnumeric, yymmdd

_ANY: Final = "0123456789"
_OF_COMPANY: Final = "0123456"  # lengths of a company prefix or funder, less six
_OF_AMOUNT: Final = "12345"
_REQUIREMENTS: Final = "012349"


class _Broken(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.name)
        self.fault = fault


class _Reader:
    """Reads digits from left to right; what is not as it should be ends the reading."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    @property
    def rest(self) -> str:
        return self.text[self.place :]

    def refuse(self, what: str) -> NoReturn:
        raise _Broken(Fault(f"COUPON_{what}", self.place))

    def digit(self, allowed: str, what: str, invalid: str = "") -> int:
        """One digit of those allowed."""
        if not self.rest:
            self.refuse(f"MISSING_{what}")
        found = self.rest[0]
        if found not in allowed:
            self.refuse(f"INVALID_{invalid or what}")
        self.place += 1
        return int(found)

    def digits(self, count: int, short: str) -> str:
        """So many digits."""
        found = self.rest[:count]
        if len(found) < count:
            self.refuse(short)
        self.place += count
        return found

    def counted(self, allowed: str, what: str, more: int = 0) -> None:
        """A digit that says how many digits follow, `more` besides, and those."""
        count = self.digit(allowed, f"{what}_VLI", f"{what}_LENGTH")
        self.digits(count + more, f"TRUNCATED_{what}")

    def has_field(self, mark: str) -> bool:
        """Whether the optional field with this mark comes next; the mark is then read."""
        is_there = self.rest.startswith(mark)
        self.place += is_there
        return is_there


def couponcode(text: str) -> Fault | None:
    """A coupon: company, offer, what it saves, what must be bought, then optional fields in their order."""
    return _read(text, _coupon)


def couponposoffer(text: str) -> Fault | None:
    """A coupon of a positive offer file: format, funder, offer and serial number."""
    return _read(text, _positive_offer)


CHECKS: Final[dict[str, Check]] = {each.__name__: each for each in (couponcode, couponposoffer)}


# --- inside ---------------------------------------------------------------------------


def _read(text: str, record: Callable[[_Reader], None]) -> Fault | None:
    if (fault := csetnumeric(text)) is not None:
        return fault
    reader = _Reader(text)
    try:
        record(reader)
        if reader.rest:
            reader.refuse("EXCESS_DATA")
    except _Broken as found:
        return found.fault
    return None


def _positive_offer(read: _Reader) -> None:
    read.digit("01", "FORMAT_CODE")
    read.counted(_OF_COMPANY, "FUNDER", 6)
    read.digits(6, "TRUNCATED_OFFER_CODE")
    read.counted(_ANY, "SERIAL_NUMBER", 6)


def _coupon(read: _Reader) -> None:
    read.counted(_OF_COMPANY, "GCP", 6)
    read.digits(6, "TRUNCATED_OFFER_CODE")
    read.counted(_OF_AMOUNT, "SAVE_VALUE")
    _purchase(read, "1ST")
    if read.has_field("1"):
        read.digit("0123", "ADDITIONAL_PURCHASE_RULES_CODE")
        _purchase(read, "2ND")
        _company_of_purchase(read, "2ND")
    if read.has_field("2"):
        _purchase(read, "3RD")
        _company_of_purchase(read, "3RD")
    _validity(read)
    if read.has_field("5"):
        read.counted(_ANY, "SERIAL_NUMBER", 6)
    if read.has_field("6"):
        read.counted("1234567", "RETAILER_GCP_OR_GLN", 6)
    if read.has_field("9"):
        read.digit("01256", "SAVE_VALUE_CODE")
        read.digit("012", "SAVE_VALUE_APPLIES_TO_ITEM")
        read.digit(_ANY, "STORE_COUPON_FLAG")
        read.digit("01", "DONT_MULTIPLY_FLAG")


def _purchase(read: _Reader, which: str) -> None:
    read.counted(_OF_AMOUNT, f"{which}_PURCHASE_REQUIREMENT")
    read.digit(_REQUIREMENTS, f"{which}_PURCHASE_REQUIREMENT_CODE")
    read.digits(3, f"TRUNCATED_{which}_PURCHASE_FAMILY_CODE")


def _company_of_purchase(read: _Reader, which: str) -> None:
    """The company of the goods to buy: a prefix of 6 to 12 digits, or 9 for the coupon's own."""
    what = f"{which}_PURCHASE_GCP"
    count = read.digit(_OF_COMPANY + "9", f"{what}_VLI", f"{what}_LENGTH")
    read.digits(0 if count == 9 else count + 6, f"TRUNCATED_{what}")


def _validity(read: _Reader) -> None:
    end = None
    if read.has_field("3"):
        end = _day(read, "EXPIRATION", "INVALID_EXIPIRATION_DATE")  # GS1 spells its name so
    if read.has_field("4"):
        begin = _day(read, "START", "INVALID_START_DATE")
        if end is not None and begin > end:
            read.refuse("EXPIRATION_BEFORE_START")


def _day(read: _Reader, what: str, invalid: str) -> str:
    found = read.digits(6, f"TOO_SHORT_FOR_{what}_DATE")
    if yymmdd(found) is not None:
        read.place -= 6
        read.refuse(invalid)
    return found
