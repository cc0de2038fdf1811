"""What people type for goods, quantities, places and parties, read into what an event holds."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, NamedTuple

from cli.exit_code import ExitCode
from cli.failure import Failure
from cli.labels import ON_THE_LABEL, amount_on
from contracts.epcis.canonical_json import Json
from contracts.epcis.scan import parse_scan

_QUANTITY = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,12})?) ?([A-Z0-9]{2,3})?")
_GLN = re.compile(r"[0-9]{13}")
_LOCATION, _PARTY = "414", "417"
_ORGANISATION = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class Amount(NamedTuple):
    """So much of a lot or a class; `uom` "" counts pieces."""

    epc_class: str
    quantity: Decimal
    uom: str

    @property
    def element(self) -> dict[str, Json]:
        """As a quantityElement."""
        number: Json = int(self.quantity) if self.quantity == int(self.quantity) else self.quantity
        found: dict[str, Json] = {"epcClass": self.epc_class, "quantity": number}
        return found | ({"uom": self.uom} if self.uom else {})


def parse_amount(thing: str, quantity: str) -> Amount:
    """A lot and how much of it: `800KGM`, `5.25 KGM`, `40`, or `label` for what the label says.

    Raises:
        Failure: `usage.wrong_quantity`. LedgerError: `identifier.*`.
    """
    if quantity.strip() == ON_THE_LABEL:
        return Amount(parse_scan(thing), *amount_on(thing))
    found = _QUANTITY.fullmatch(quantity.strip())
    if found is None or Decimal(found[1]) == 0:
        raise Failure(
            "usage.wrong_quantity",
            f"{quantity[:40]!r} is no quantity such as 800KGM, 5.25LBR or 40, nor the word label",
            exit_code=ExitCode.USAGE,
        )
    return Amount(parse_scan(thing), Decimal(found[1]), found[2] or "")


def parse_place(text: str) -> str:
    """A place: a bare GLN, anything that `parse_scan` reads, or a URI.

    Raises:
        LedgerError: `identifier.*`.
    """
    return parse_scan(f"({_LOCATION}){text.strip()}" if _GLN.fullmatch(text.strip()) else text)


def parse_party(text: str) -> str:
    """A party: a bare GLN, anything that `parse_scan` reads, or a URI.

    Raises:
        LedgerError: `identifier.*`.
    """
    return parse_scan(f"({_PARTY}){text.strip()}" if _GLN.fullmatch(text.strip()) else text)


def is_organisation_name(text: str) -> bool:
    """Whether the text can only be the name of a member: it is no URI, element string or GLN."""
    return _ORGANISATION.fullmatch(text) is not None and not text.isdigit()


def parse_document(text: str) -> dict[str, Json]:
    """A business document `TYPE=ID`, such as `po=urn:epcglobal:cbv:bt:9521004000007:PO-4711`.

    Raises:
        Failure: `usage.wrong_document`.
    """
    kind, equals, identifier = text.partition("=")
    if not equals or not kind.isalpha() or ":" not in identifier:
        raise Failure(
            "usage.wrong_document",
            f"{text[:80]!r} is no TYPE=URI such as po=urn:epcglobal:cbv:bt:9521004000007:PO-4711",
            exit_code=ExitCode.USAGE,
        )
    return {"type": kind, "bizTransaction": identifier}


FIELDS: Final = ("epcList", "quantityList")


def goods(
    things: tuple[str, ...], amounts: tuple[tuple[str, str], ...], names: tuple[str, str] = FIELDS
) -> dict[str, Any]:
    """The members of an event that name its goods; `names` says what things and amounts are called in it.

    Raises:
        Failure, LedgerError: as `parse_amount`.
    """
    found: dict[str, Any] = {}
    if things:
        found[names[0]] = [parse_scan(each) for each in things]
    if amounts:
        found[names[1]] = [parse_amount(*each).element for each in amounts]
    return found
