"""The top-level collections list what recorded events have, and lead to the events that have it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, unquote

import pytest

from tests.contracts.provenance.events import SITES, objects, unit
from tests.contracts.provenance.story import CASES, PALLET, SHOP_PALLET, chapters
from tests.node.api.fakes import Running

ALL = [event for _, events in chapters() for event in events]
EXPECTED: dict[str, set[str]] = {
    "eventTypes": {event["type"] for event in ALL},
    "bizSteps": {event["bizStep"] for event in ALL if "bizStep" in event},
    "dispositions": {event["disposition"] for event in ALL if "disposition" in event},
    "readPoints": {event["readPoint"]["id"] for event in ALL if "readPoint" in event},
    "bizLocations": {event["bizLocation"]["id"] for event in ALL if "bizLocation" in event},
    "epcs": {*CASES, PALLET, SHOP_PALLET},
}
FIELD = {"eventTypes": "type", "bizSteps": "bizStep", "dispositions": "disposition"}


async def get(site: Running, path: str) -> tuple[int, Any, str | None]:
    async with site.client.get(site.url(path)) as answer:
        link = answer.headers.get("Link")
        return answer.status, json.loads(await answer.text()), link and link.split(">")[0][1:]


async def walk(site: Running, path: str) -> list[str]:
    found: list[str] = []
    following: str | None = path
    for _ in range(200):
        if following is None:
            return found
        status, page, following = await get(site, following)
        assert (status, page["type"]) == (200, "Collection")
        found += page["member"]
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("per_page", [1, 3, 100])
@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_lists_hold_each_value_once(told: Running, name: str, per_page: int) -> None:
    """Each value that an event has is listed once, on pages of any size."""
    found = await walk(told, f"/epcis/{name}?perPage={per_page}")
    assert len(found) == len(set(found))
    assert set(found) == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_values_lead_to_their_events(told: Running, name: str) -> None:
    """Every value listed leads to `events`, and there to exactly the events that have it."""
    for value in await walk(told, f"/epcis/{name}?perPage=100"):
        path = f"/epcis/{name}/{quote(value, safe='')}"
        assert (await get(told, path))[1]["member"] == ["events"]
        status, found, _ = await get(told, f"{path}/events?perPage=100")
        assert status == 200
        events = found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        if name in FIELD:
            expected = [event for event in ALL if event.get(FIELD[name]) == value]
        elif name == "epcs":
            expected = [event for event in ALL if value in json.dumps(event, default=str)]
        else:
            expected = [event for event in ALL if event.get(name[:-1], {}).get("id") == value]
        assert [event["eventTime"] for event in events] == [event["eventTime"] for event in expected]


async def test_events_of_a_value_take_a_query(told: Running) -> None:
    """Other parameters hold too, pages lead on under the same path, and the implied one is refused."""
    path = f"/epcis/readPoints/{quote(SITES['center'], safe='')}/events"
    status, found, link = await get(told, f"{path}?EQ_bizStep=shipping%7Creceiving&perPage=1")
    assert status == 200
    assert link is not None
    assert unquote(link).startswith(unquote(path))
    _, second, _ = await get(told, link)
    steps = [
        page["epcisBody"]["queryResults"]["resultsBody"]["eventList"][0]["bizStep"]
        for page in (found, second)
    ]
    assert steps == ["receiving", "shipping"]
    status, problem, _ = await get(told, f"{path}?EQ_readPoint=urn:x:y")
    assert (status, problem["type"]) == (400, "epcisException:QueryParameterException")


async def test_every_spelling_of_a_value(told: Running) -> None:
    """A path takes a value in any spelling of the CBV and of GS1 keys."""
    for path in (
        "bizSteps/" + quote("urn:epcglobal:cbv:bizstep:shipping", safe=""),
        "bizSteps/" + quote("https://ref.gs1.org/cbv/BizStep-shipping", safe=""),
        "epcs/urn:epc:id:sgtin:952001.0000008.C0",
    ):
        assert (await get(told, f"/epcis/{path}"))[0] == 200, path


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("bizSteps/dancing", 404, "value.unknown"),
        ("eventTypes/AssociationEvent", 404, "value.unknown"),
        ("eventTypes/AssociationEvent/events", 404, "value.unknown"),
        ("eventTypes/Nothing", 400, "parameter.invalid"),
        ("epcs/no%20uri", 400, "parameter.invalid"),
        ("epcs/urn:x:nobody/events", 404, "value.unknown"),
        ("epcs?nextPageToken=1-abc", 400, "parameter.invalid"),
        ("bizSteps?nextPageToken=1-abcd", 400, "parameter.invalid"),
        ("bizSteps?EQ_bizStep=shipping", 400, "parameter.unknown"),
        ("nothing", 404, "route.unknown"),
    ],
)
async def test_what_is_unknown(told: Running, path: str, status: int, code: str) -> None:
    """Values that nobody has and paths that say nothing are refused by a name of their own."""
    found, problem, _ = await get(told, f"/epcis/{path}")
    assert (found, problem["code"]) == (status, code)


@pytest.mark.parametrize("name", ["bizSteps", "epcs"])
async def test_walks_are_bound_to_their_height(told: Running, name: str) -> None:
    """Values that come while a walk goes on are left to the next walk."""
    _, page, following = await get(told, f"/epcis/{name}?perPage=1")
    fresh = [
        objects("OBSERVE", 900 + number, unit("shop", f"NEW{number}"), bizStep=step)
        for number, step in enumerate(("storing", "stocking", "holding", "inspecting"))
    ]
    await told.node.seal([told.node.capture("shop/operator", *fresh)])
    assert following is not None
    assert {*page["member"], *await walk(told, following)} == EXPECTED[name]
    assert len(await walk(told, f"/epcis/{name}")) == len(EXPECTED[name]) + 4


@pytest.mark.parametrize(
    "value", ["urn:x:é" + "é" * 250, "urn:x:" + "x" * 500, "https://a.example/a/b?c=d#e%00"]
)
async def test_hostile_terms_are_listed(site: Running, value: str) -> None:
    """A business step of another vocabulary, as long as one may be, is recorded and listed."""
    receipt = (
        await site.node.seal(
            [site.node.capture("farm/operator", objects("OBSERVE", 1, CASES[0], bizStep=value))]
        )
    ).receipts[0]
    assert not receipt.code, receipt.code
    assert await walk(site, "/epcis/bizSteps") == [value]


async def test_top_level_and_options(told: Running) -> None:
    """The root names what there is, and every path says its methods and the standard's headers."""
    names = await walk(told, "/epcis")
    assert {*EXPECTED, "events", "capture"} <= {*names}
    for name in EXPECTED:
        for path in (name, f"{name}/x", f"{name}/x/events"):
            async with told.client.options(told.url(f"/epcis/{path}")) as answer:
                assert answer.status == 204
                assert answer.headers["Allow"] == "OPTIONS, GET"
                assert answer.headers["GS1-EPCIS-Version"] == "2.0.0"


async def test_in_xml_there_are_events_and_no_lists(told: Running) -> None:
    """The standard has a form in XML for events; who takes nothing else gets no list under a wrong name."""
    only_xml = {"Accept": "application/xml"}
    for path in ("/epcis", "/epcis/bizSteps", "/epcis/queries"):
        async with told.client.get(told.url(path), headers=only_xml) as answer:
            assert answer.status == 406, path
    async with told.client.get(told.url("/epcis/eventTypes/ObjectEvent/events"), headers=only_xml) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/xml"
        assert b"<ObjectEvent" in await answer.read()
    both = {"Accept": "application/xml, application/json;q=0.5"}
    async with told.client.get(told.url("/epcis/bizSteps"), headers=both) as answer:
        assert answer.content_type == "application/json"
