"""The published XML documents: the valid are read, the invalid refused by name, twins are one event."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.epcis.captured import ReadEvent, read_captured
from contracts.epcis.document import Document, check_document
from contracts.epcis.problems import EpcisError
from node.epcis_xml.reading import check_xml

AT = "/epcisBody/eventList/0"
IN_RESULTS = "/epcisBody/queryResults/resultsBody/eventList/0"
REFUSED = {
    "2.0-xml-capture/ObjectEvent_bare_event_without_action": ("epcis.missing_field", "/action"),
    "2.0-xml-capture/ObjectEvent_with_invalid_action": ("epcis.unknown_action", f"{AT}/action"),
    "2.0-xml-capture/ObjectEvent_with_invalid_eventTime_format": ("epcis.bad_time", f"{AT}/eventTime"),
    "2.0-xml-capture/ObjectEvent_with_near_miss_action": ("epcis.unknown_action", f"{AT}/action"),
    "2.0-xml-capture/ObjectEvent_with_unknown_element": ("epcis.unknown_field", f"{AT}/madeUpField"),
    "2.0-xml-capture/ObjectEvent_with_wrong_element_order": ("epcis.wrong_order", f"{AT}/action"),
    "2.0-xml-capture/ObjectEvent_without_eventTime": ("epcis.missing_field", f"{AT}/eventTime"),
    "2.0-xml-query/QueryDocument_with_invalid_action": ("epcis.unknown_action", f"{IN_RESULTS}/action"),
    "2.0-xml-query/QueryDocument_with_invalid_eventType": ("epcis.unknown_kind", f"{IN_RESULTS}/type"),
}
# The two of a pair say different things: another zone of a time, other identifiers.
NO_TWINS = {
    "2.0-xml-capture/Combination_of_different_event",
    "2.0-xml-capture/events/TransformationEvent",
    "2.0-xml-query/Combination_of_different_event",
    "2.0-xml-query/queryDocument",
}


def reads(document: Document) -> list[ReadEvent]:
    pairs = zip(document.events, document.pointers, strict=True)
    return [read_captured(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("folder", "documents", "events"),
    [
        ("epcis/valid/1.2-xml-capture", 19, 40),
        ("epcis/valid/2.0-xml-capture", 43, 72),
        ("epcis/valid/2.0-xml-query", 10, 34),
        ("epcis-event-hash", 6, 18),
    ],
)
def test_all_valid_documents_are_read(shared_data: Path, folder: str, documents: int, events: int) -> None:
    """Each valid document passes every check that its JSON form would."""
    root = shared_data / folder
    paths = [path for path in sorted(root.rglob("*.xml")) if path.parent.name != "queries"]
    found = [reads(check_xml(path.read_bytes())) for path in paths]
    assert (len(found), sum(map(len, found))) == (documents, events)


def test_twins_are_the_same_events(shared_data: Path) -> None:
    """A same-named JSON document says the same events, but where its times or identifiers differ."""
    pairs = []
    for path in sorted((shared_data / "epcis/valid").rglob("*.xml")):
        twin = Path(str(path).replace("-xml-", "-json-")).with_suffix(".json")
        if twin.is_file() and path.parent.name != "queries":
            pairs.append((path, twin))
    for path in sorted((shared_data / "epcis-event-hash").glob("*.xml")):
        twin = path.with_suffix(".jsonld")
        if twin.is_file():
            pairs.append((path, twin))
    assert len(pairs) == 52
    for path, twin in pairs:
        name = str(path.with_suffix("").relative_to(path.parents[2 if "/events/" in str(path) else 1]))
        ours = [read.event for read in reads(check_xml(path.read_bytes()))]
        theirs = [read.event for read in reads(check_document(twin.read_bytes()))]
        assert (ours == theirs) is (name not in NO_TWINS), name


@pytest.mark.parametrize("name", REFUSED)
def test_invalid_documents_are_refused_where_they_are_wrong(shared_data: Path, name: str) -> None:
    """The first problem names the field."""
    with pytest.raises(EpcisError) as caught:
        check_xml((shared_data / f"epcis/invalid/{name}.xml").read_bytes())
    assert (caught.value.code, caught.value.pointer) == REFUSED[name]


def test_a_query_is_no_capture(shared_data: Path) -> None:
    """Requests in XML, sound or not, hold no events to capture."""
    asked = [*(shared_data / "epcis").rglob("queries/*.xml")]
    asked += (shared_data / "epcis/invalid/2.0-xml-query").glob("*missing_value.xml")
    assert len(asked) == 3
    for path in asked:
        with pytest.raises(EpcisError) as caught:
            check_xml(path.read_bytes())
        assert "epcis.not_a_document" in [problem.code for problem in caught.value.problems]
