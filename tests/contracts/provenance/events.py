"""Short words for EPCIS events, and a chain that takes them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from contracts.epcis.captured import CapturedEvent
from contracts.epcis.document import capture_event
from contracts.epcis.gs1_keys import check_digit
from contracts.epcis.instant import write_time
from contracts.provenance.capture import CaptureArguments, CaptureResult, EventResult
from contracts.provenance.queries import ItemView, show
from ledger.codec import decode
from ledger.receipt import Status
from ledger.transition import Outcome
from ledger.types import RESULT_BYTES_MAX, TimeMs
from tests.contracts.chain import START_MS, Chain

Json = dict[str, Any]
PREFIXES = {"farm": "952000", "packer": "952001", "carrier": "952002", "center": "952003", "shop": "952004"}
SITES = {
    "farm": "https://id.gs1.org/414/9520000000011",
    "packer": "https://id.gs1.org/414/9520010000018",
    "center": "https://id.gs1.org/414/9520030000012",
    "shop": "https://id.gs1.org/414/9520040000019",
}


def gtin(organisation: str, number: int = 1) -> str:
    digits = f"0{PREFIXES[organisation]}{number:06}"
    return f"https://id.gs1.org/01/{digits}{check_digit(digits)}"


def lot(organisation: str, name: str, number: int = 1) -> str:
    return f"{gtin(organisation, number)}/10/{name}"


def unit(organisation: str, serial: str, number: int = 1) -> str:
    return f"{gtin(organisation, number)}/21/{serial}"


def sscc(organisation: str, number: int) -> str:
    digits = f"0{PREFIXES[organisation]}{number:010}"
    return f"https://id.gs1.org/00/{digits}{check_digit(digits)}"


def party(organisation: str) -> str:
    """The party's identifier: a PGLN under the organisation's prefix."""
    digits = f"{PREFIXES[organisation]}000000"
    return f"https://id.gs1.org/417/{digits}{check_digit(digits)}"


def amount(item_id: str, quantity: object = None, uom: str | None = "KGM") -> Json:
    found: Json = {"epcClass": item_id}
    if quantity is not None:
        exact = Decimal(str(quantity)).normalize()
        found["quantity"] = int(exact) if exact == int(exact) else exact
        if uom is not None:
            found["uom"] = uom
    return found


def event(kind: str, action: str | None, at: int, **fields: Any) -> Json:
    """An event `at` seconds after START_MS."""
    found: Json = {
        "type": kind,
        "eventTime": write_time(TimeMs(START_MS + at * 1000)),
        "eventTimeZoneOffset": "+00:00",
    }
    if action is not None:
        found["action"] = action
    return found | {name: value for name, value in fields.items() if value is not None}


def objects(action: str, at: int, *epcs: str, q: list[Json] | None = None, **fields: Any) -> Json:
    lists: Json = {"epcList": list(epcs)} if epcs or q is None else {}
    return event("ObjectEvent", action, at, **lists, quantityList=q, **fields)


def commission(at: int, *epcs: str, q: list[Json] | None = None, **fields: Any) -> Json:
    return objects("ADD", at, *epcs, q=q, bizStep="commissioning", disposition="active", **fields)


def ship(at: int, *epcs: str, to: str | None = None, q: list[Json] | None = None, **fields: Any) -> Json:
    if to is not None:
        fields["destinationList"] = [{"type": "possessing_party", "destination": party(to)}]
    return objects("OBSERVE", at, *epcs, q=q, bizStep="shipping", disposition="in_transit", **fields)


def receive(at: int, *epcs: str, q: list[Json] | None = None, **fields: Any) -> Json:
    return objects("OBSERVE", at, *epcs, q=q, bizStep="receiving", disposition="in_progress", **fields)


def pack(at: int, parent: str, *children: str, q: list[Json] | None = None, **fields: Any) -> Json:
    lists: Json = {"childEPCs": list(children)} if children else {}
    return event(
        "AggregationEvent",
        "ADD",
        at,
        parentID=parent,
        childQuantityList=q,
        bizStep="packing",
        **lists,
        **fields,
    )


def unpack(at: int, parent: str, *children: str, q: list[Json] | None = None, **fields: Any) -> Json:
    lists: Json = {"childEPCs": list(children)} if children else {}
    return event(
        "AggregationEvent",
        "DELETE",
        at,
        parentID=parent,
        childQuantityList=q,
        bizStep="unpacking",
        **lists,
        **fields,
    )


def transform(
    at: int,
    inputs: list[str] | None = None,
    outputs: list[str] | None = None,
    iq: list[Json] | None = None,
    oq: list[Json] | None = None,
    **fields: Any,
) -> Json:
    return event(
        "TransformationEvent",
        None,
        at,
        inputEPCList=inputs,
        outputEPCList=outputs,
        inputQuantityList=iq,
        outputQuantityList=oq,
        bizStep="packing",
        **fields,
    )


def captured(*events: Json) -> CaptureArguments:
    return CaptureArguments(tuple(capture_event(each) for each in events))


class Books(Chain):
    """A chain of the story's organisations that takes events by their JSON."""

    def capture(self, organisation: str, *events: Json) -> tuple[EventResult, ...]:
        """Capture and give the results, one an event."""
        return results(self.outcome(organisation, *events))

    def outcome(self, organisation: str, *events: Json) -> Outcome:
        return self.send(f"{organisation}/operator", "provenance", "capture", captured(*events))

    def clean(self, organisation: str, *events: Json) -> None:
        """Capture events that must raise no flag."""
        found = self.capture(organisation, *events)
        assert [each.status for each in found] == [Status.ACCEPTED] * len(events), flags(found)

    def flagged(self, organisation: str, *events: Json) -> list[str]:
        """The codes of all flags that a capture raises."""
        return flags(self.capture(organisation, *events))

    def see(self, item_id: str) -> ItemView:
        found = show(self.state, item_id)
        assert found is not None, item_id
        return found

    def loose(self, lot_id: str, organisation: str, uom: str = "KGM") -> str:
        """What an organisation has of a lot outside containers, as text."""
        for holding in self.see(lot_id).holdings:
            if (holding.custody.holder, holding.container, holding.uom) == (organisation, "", uom):
                return f"{holding.quantity:f}"
        return "0"


def results(outcome: Outcome) -> tuple[EventResult, ...]:
    return decode(outcome.result, CaptureResult, RESULT_BYTES_MAX).events


def flags(found: tuple[EventResult, ...]) -> list[str]:
    return [flag.code for each in found for flag in each.flags]


def body_of(event_json: Json) -> CapturedEvent:
    return capture_event(event_json)
