"""The two envelopes that events come in, and the form of each around its events.

Source: EPCIS 2.0 section 9 and its JSON schema 2.0.0.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from contracts.epcis import shapes
from contracts.epcis.problems import Problems, shown
from contracts.epcis.shapes import Shape, a_string, a_time, a_uri


class Form(Enum):
    """What kind of document the events came in."""

    CAPTURE = "EPCISDocument"
    QUERY = "EPCISQueryDocument"
    BARE = "event"  # one event without an envelope


def _events(value: Any, pointer: str, problems: Problems) -> None:
    if type(value) is not list:
        problems.add("epcis.wrong_type", pointer, f"{shown(value)} is no list of events")


def _version(value: Any, pointer: str, problems: Problems) -> None:
    a_string(value, pointer, problems)
    if type(value) is str and not (value == "2" or value.startswith("2.")):
        problems.add("epcis.unknown_version", pointer, f"schema version {shown(value)}, 2.0 was expected")


def _object(fields: dict[str, shapes.Check], *required: str) -> shapes.Check:
    return shapes.an_object(Shape(fields, required, is_extensible=True))


def _anything(value: Any, pointer: str, problems: Problems) -> None:
    """Master data is read by the contract that keeps it."""


_HEADER = {
    "@context": shapes.a_context,
    "id": a_uri,
    "type": a_string,
    "schemaVersion": _version,
    "creationDate": a_time,
}
ENVELOPES: Final = {
    Form.CAPTURE: Shape(
        {
            **_HEADER,
            "instanceIdentifier": a_string,
            "sender": a_string,
            "receiver": a_string,
            "epcisHeader": _object({"epcisMasterData": _anything}),
            "epcisBody": _object({"eventList": _events}, "eventList"),
        },
        ("schemaVersion", "creationDate", "epcisBody"),
        is_extensible=True,
    ),
    Form.QUERY: Shape(
        {
            **_HEADER,
            "epcisBody": _object(
                {
                    "queryResults": _object(
                        {
                            "queryName": a_string,
                            "subscriptionID": a_string,
                            "resultsBody": _object(
                                {"eventList": _events, "vocabularyList": _anything}, "eventList"
                            ),
                        },
                        "queryName",
                        "resultsBody",
                    )
                },
                "queryResults",
            ),
        },
        ("epcisBody",),
        is_extensible=True,
    ),
}
