"""EPCIS in XML over HTTP: documents in, events, jobs and refusals out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from contracts.epcis.captured import read_captured
from node.api.epcis.job_xml import job_xml
from node.api.tokens import Scope
from node.epcis_xml.reading import check_xml
from tests.node.api.fakes import Running
from tests.node.api.test_epcis_capture import document, get, post, seen, token

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "epcis" / "xml"
NEW = (EXAMPLES / "harvest-2.0.xml").read_bytes()
OLD = (EXAMPLES / "harvest-1.2.xml").read_bytes()
BARE = (
    b"<ObjectEvent><eventTime>2026-01-01T00:00:00Z</eventTime>"
    b"<eventTimeZoneOffset>+00:00</eventTimeZoneOffset><eventID>urn:x:bare</eventID>"
    b"<epcList><epc>urn:x:1</epc></epcList><action>OBSERVE</action></ObjectEvent>"
)
JOB = "{urn:epcglobal:epcis-capture:xsd:2}EPCISCaptureJob"
PROBLEM = "{urn:ietf:rfc:7807}"


async def send(site: Running, path: str, data: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent = {"Content-Type": "application/xml", "Authorization": f"Bearer {token(site)}", **headers}
    async with site.client.post(site.url(path), data=io.BytesIO(data), headers=sent) as answer:
        return answer.status, dict(answer.headers), await answer.read()


async def read(
    site: Running, path: str, accept: str = "application/xml"
) -> tuple[int, dict[str, str], bytes]:
    async with site.client.get(site.url(path), headers={"Accept": accept}) as answer:
        return answer.status, dict(answer.headers), await answer.read()


def fields_of(data: bytes) -> list[dict[str, Any]]:
    """The events of an XML document, but for what the ledger adds."""
    found = [read_captured(event).fields for event in check_xml(data).events]
    return [{name: value for name, value in each.items() if name != "recordTime"} for each in found]


@pytest.mark.parametrize("kind", ["application/xml", "text/xml; charset=utf-8"])
async def test_xml_in_and_out(site: Running, kind: str) -> None:
    """A document in XML is captured, and a page of events in XML has the same events."""
    status, headers, _ = await send(site, "/epcis/capture", NEW, Prefer="wait=5", **{"Content-Type": kind})
    assert (status, headers["Content-Type"]) == (202, "application/json")
    status, headers, body = await read(site, "/epcis/events")
    assert (status, headers["Content-Type"]) == (200, "application/xml")
    assert headers["GS1-CBV-XML-Format"] == "Always_URN"
    assert fields_of(body) == fields_of(NEW)
    one = quote("urn:uuid:2a6f3e0e-6f0a-4d5e-9d6b-1d6d1c0a0002", safe="")
    assert fields_of((await read(site, f"/epcis/events/{one}", "text/xml"))[2]) == fields_of(NEW)[1:]


async def test_both_versions_and_json_are_one_event(site: Running) -> None:
    """What came in XML 1.2 is there in JSON, and the same in XML 2.0 is a duplicate."""
    await send(site, "/epcis/capture", OLD, Prefer="wait=5")
    _, found = await get(site, "/epcis/events")
    events = found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert [each["bizStep"] for each in events] == ["commissioning", "https://steps.farm.example/washing"]
    _, _, job = await post(
        site, "/epcis/capture", NEW, token(site), Prefer="wait=5", **{"Content-Type": "text/xml"}
    )
    assert [each["status"] for each in job["transactions"][0]["events"]] == ["duplicate", "duplicate"]


async def test_a_job_in_xml(site: Running) -> None:
    """The job has the standard's fields in its order, and what became of each event beside them."""
    _, headers, body = await send(site, "/epcis/capture", NEW, Prefer="wait=5", Accept="application/xml")
    assert headers["Content-Type"] == "application/xml"
    job = ElementTree.fromstring(body)
    assert job.tag == JOB
    assert [each.tag for each in job][:6] == [
        "captureID",
        "running",
        "success",
        "createdAt",
        "finishedAt",
        "captureErrorBehaviour",
    ]
    assert (job.findtext("running"), job.findtext("success")) == ("false", "true")
    ours = job.find("{urn:farmgate:capture}transactions")
    assert ours is not None
    assert [each.text for each in ours.findall("events/eventID")] == [
        each["eventID"] for each in fields_of(NEW)
    ]
    again = await read(site, headers["Location"])
    assert ElementTree.fromstring(again[2]).findtext("captureID") == job.findtext("captureID")


def test_a_job_that_failed_tells_why() -> None:
    """Errors are listed with the members of a problem; of events that were not recorded nothing is told."""
    job = {
        "captureID": "ab",
        "running": False,
        "success": False,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "captureErrorBehaviour": "rollback",
        "errors": [
            {"type": "epcisException:X", "title": "Gone", "status": 410, "code": "a.b", "detail": "<&>"}
        ],
        "transactions": [],
    }
    found = ElementTree.fromstring(job_xml(job))
    (error,) = found.findall("errors/error")
    assert [(each.tag, each.text) for each in error] == [
        ("type", "epcisException:X"),
        ("title", "Gone"),
        ("status", "410"),
        ("detail", "<&>"),
    ]
    assert found.findtext("finishedAt") is None


async def test_one_event_in_xml(site: Running) -> None:
    """A bare event is recorded and has its place; once more it is refused, in XML where that is wanted."""
    status, headers, _ = await send(site, "/epcis/events", BARE)
    assert (status, headers["Location"]) == (201, "/epcis/events/urn%3Ax%3Abare")
    status, headers, body = await send(site, "/epcis/events", BARE, Accept="application/xml")
    assert (status, headers["Content-Type"]) == (409, "application/problem+xml")
    problem = ElementTree.fromstring(body)
    assert problem.findtext(f"{PROBLEM}type") == "epcisException:ResourceAlreadyExistsException"
    assert problem.findtext(f"{PROBLEM}code") == "event.duplicate"


async def test_refusals_name_every_fault(site: Running) -> None:
    """A refused document is told of in XML with each code and JSON pointer, what the client sent escaped."""
    bad = NEW.replace(b"<action>ADD</action>", b"<action>&lt;&amp;</action>", 1)
    status, headers, body = await send(site, "/epcis/capture", bad, Accept="application/xml")
    assert (status, headers["Content-Type"]) == (400, "application/problem+xml")
    problem = ElementTree.fromstring(body)
    assert problem.findtext(f"{PROBLEM}status") == "400"
    (fault,) = problem.findall(f"{PROBLEM}errors/{PROBLEM}i")
    assert fault.findtext(f"{PROBLEM}pointer") == "/epcisBody/eventList/0/action"
    assert "<&" in (fault.findtext(f"{PROBLEM}detail") or "")
    status, headers, _ = await send(site, "/epcis/capture", bad)
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>', 400, "xml.doctype"),
        (b"<a>" * 100_000, 400, "xml.too_deep"),
        (b"<a>" + b"<b/>" * 500_000 + b"</a>", 413, "xml.too_many_nodes"),
        (b"{}", 400, "xml.malformed"),
        (b"", 400, "xml.malformed"),
        (b"<a/>", 400, "epcis.not_a_document"),
        (b"<a>" + b" " * (3 << 20), 413, "body.too_large"),
    ],
)
async def test_hostile_bodies_are_refused(site: Running, data: bytes, status: int, code: str) -> None:
    """Each with its code, and nothing is signed."""
    found, _, body = await send(site, "/epcis/capture", data, Accept="text/xml")
    assert (found, ElementTree.fromstring(body).findtext(f"{PROBLEM}code")) == (status, code)
    assert not site.node.pending


async def test_xml_is_chosen_by_the_client(site: Running) -> None:
    """JSON where both are as good, XML where it comes first or is the only one."""
    await post(site, "/epcis/capture", document(seen(1)), token(site, Scope.CAPTURE), Prefer="wait=5")
    for accept, kind in (
        ("*/*", "application/json"),
        ("application/json;q=0.5, application/xml", "application/xml"),
        ("application/ld+json, text/xml", "application/ld+json"),
        ("text/csv, text/*", "application/xml"),
    ):
        status, headers, _ = await read(site, "/epcis/events", accept)
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, kind)
    status, headers, _ = await read(site, "/epcis/events", "text/csv")
    assert (status, headers["Content-Type"]) == (406, "application/problem+json")
    status, headers, _ = await read(site, "/v1/nothing")
    assert headers["Content-Type"] == "application/problem+json"


async def test_every_valid_document_is_read_back_in_xml(site: Running, shared_data: Path) -> None:
    """Each event of each valid XML sample comes back in XML as it went in, but for what the ledger adds."""
    paths = [
        *(shared_data / "epcis/valid").rglob("*-xml-*/*.xml"),
        *(shared_data / "epcis/valid").rglob("events/*.xml"),
    ]
    assert len(paths) > 60
    for path in sorted(paths):
        sent = fields_of(path.read_bytes())
        status, _, job = await post(
            site,
            "/epcis/capture",
            path.read_bytes(),
            token(site),
            Prefer="wait=5",
            **{"Content-Type": "text/xml"},
        )
        assert (status, job["success"]) == (202, True), path.name
        results = [each for part in job["transactions"] for each in part["events"]]
        for event, result in zip(sent, results, strict=True):
            _, _, body = await read(site, "/epcis/events/" + quote(result["eventID"], safe=""))
            expected = {"eventID": result["eventID"]} | event
            assert _without_context(expected) in map(_without_context, fields_of(body)), path.name


def _without_context(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "@context"}
