"""One EPCIS event from the few things that a person says. Pure: the clock and the chain are the caller's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from contracts.epcis.canonical_json import JsonObject
from contracts.epcis.prefixes import GS1_CONTEXT


@dataclass(frozen=True, slots=True)
class Setting:
    """When and where, with which papers, from whom to whom. Identifiers are canonical."""

    time: datetime  # with a zone
    place: str = ""
    is_leaving: bool = False  # the goods are not at the place afterwards
    step: str = ""
    disposition: str = ""
    documents: tuple[JsonObject, ...] = ()
    source_party: str = ""
    destination_party: str = ""
    source_place: str = ""
    destination_place: str = ""


def object_event(action: str, setting: Setting, goods: JsonObject) -> JsonObject:
    """Goods were made, seen or ended."""
    return _event("ObjectEvent", setting, {**goods, "action": action})


def aggregation_event(action: str, parent: str, setting: Setting, goods: JsonObject) -> JsonObject:
    """Goods were packed in a container, or taken out of it."""
    return _event("AggregationEvent", setting, {"parentID": parent, **goods, "action": action})


def transformation_event(setting: Setting, goods: JsonObject) -> JsonObject:
    """Goods were used up to make others."""
    return _event("TransformationEvent", setting, goods)


_PARTY: Final = "possessing_party"
_PLACE: Final = "location"


def _event(kind: str, setting: Setting, what: JsonObject) -> JsonObject:
    offset = setting.time.strftime("%z")
    event: dict[str, Any] = {
        "@context": GS1_CONTEXT,
        "type": kind,
        "eventTime": setting.time.isoformat(timespec="milliseconds"),
        "eventTimeZoneOffset": f"{offset[:3]}:{offset[3:5]}",
        **what,
    }
    if setting.step:
        event["bizStep"] = setting.step
    if setting.disposition:
        event["disposition"] = setting.disposition
    if setting.place:
        event["readPoint"] = {"id": setting.place}
        if not setting.is_leaving:
            event["bizLocation"] = {"id": setting.place}
    if setting.documents:
        event["bizTransactionList"] = list(setting.documents)
    sources = _ends("source", setting.source_party, setting.source_place)
    destinations = _ends("destination", setting.destination_party, setting.destination_place)
    if sources:
        event["sourceList"] = sources
    if destinations:
        event["destinationList"] = destinations
    return event


def _ends(name: str, party: str, place: str) -> list[dict[str, str]]:
    found = [(_PARTY, party), (_PLACE, place)]
    return [{"type": kind, name: identifier} for kind, identifier in found if identifier]
