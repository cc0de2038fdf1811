"""What a predicate looks at: one recorded event, and what the chain knows of the places and things in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from contracts.epcis.canonical_json import JsonObject
from contracts.epcis.captured import CapturedEvent, parse_body
from contracts.epcis.event import Event, Quantity
from contracts.epcis.prefixes import read_context
from contracts.epcis.problems import Problems
from contracts.epcis.validate import KINDS
from contracts.epcis.view import view
from contracts.master_data import MasterKind

MasterData: TypeAlias = "Callable[[MasterKind, str], Mapping[str, str]]"
"""The attributes of an identifier, by bare CBV name or as they were given; empty where nothing is known."""


def no_master_data(kind: MasterKind, item_id: str) -> Mapping[str, str]:
    """A chain that knows nothing of what identifiers stand for."""
    return {}


@dataclass(frozen=True, slots=True)
class Facts:
    """One event, as queries see it.

    Args:
        event: the typed view, identifiers canonical.
        fields: the event's own JSON.
        bound: the prefixes in force in it.
        event_id: the client's, or the one that the ledger gave.
        record_time_ms: that of its block.
    """

    event: Event
    fields: JsonObject
    bound: Mapping[str, str]
    event_id: str
    record_time_ms: int
    master_data: MasterData = no_master_data

    def quantities(self) -> Iterator[Quantity]:
        """Every quantity element of the event."""
        event = self.event
        yield from event.quantities
        yield from event.child_quantities
        yield from event.input_quantities
        yield from event.output_quantities

    def sensor_elements(self) -> list[dict[str, Any]]:
        """The sensor elements, as JSON."""
        return listed(self.fields.get("sensorElementList"))

    def sensor_metadata(self) -> list[dict[str, Any]]:
        """The metadata of each sensor element that has some."""
        return [each["sensorMetadata"] for each in self.sensor_elements() if "sensorMetadata" in each]

    def sensor_reports(self) -> list[dict[str, Any]]:
        """The reports of all sensor elements."""
        return [report for each in self.sensor_elements() for report in each["sensorReport"]]


def facts_of(
    captured: CapturedEvent, event_id: str, record_time_ms: int, master_data: MasterData = no_master_data
) -> Facts:
    """The facts of an event that is recorded, and therefore valid."""
    fields = parse_body(captured)
    bound = dict(captured.prefixes)
    if "@context" in fields:
        bound |= read_context(fields["@context"], "", Problems())[0]
    event = view(fields, KINDS[str(fields["type"])], bound, "")
    return Facts(event, fields, bound, event_id, record_time_ms, master_data)


def listed(value: Any) -> list[dict[str, Any]]:
    """A list of objects that may not be there."""
    return value if isinstance(value, list) else []
