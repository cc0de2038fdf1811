"""Queries over a chain: orders, limits and pages, and the index against a plain loop over all events."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.api.epcis import walk
from node.api.epcis.query.query import read_url_query
from node.api.epcis.walk import PageStart, read_page
from tests.contracts.provenance.events import SITES, amount, lot, objects, sscc, unit
from tests.contracts.provenance.story import CASES, chapters
from tests.node.api.fakes import FakeNode, Running, running

Json = dict[str, Any]


async def pages(site: Running, **parameters: Any) -> list[Json]:
    """All events of a query, page by page, each page's link followed."""
    found: list[Json] = []
    url: str | None = f"/epcis/events?{urlencode(parameters)}"
    for _ in range(100):
        if url is None:
            return found
        async with site.client.get(site.url(url)) as answer:
            page = json.loads(await answer.text(), parse_float=Decimal)
            assert answer.status == 200, page
            link = answer.headers.get("Link")
        found += page["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        url = None if link is None else link.split(">")[0][1:]
    raise AssertionError("the pages have no end")


async def refused(site: Running, **parameters: Any) -> tuple[int, str, str]:
    async with site.client.get(site.url(f"/epcis/events?{urlencode(parameters)}")) as answer:
        problem = json.loads(await answer.text())
        return answer.status, problem["code"], problem["type"].partition(":")[2]


@pytest.mark.parametrize("per_page", [1, 4, 100])
@pytest.mark.parametrize("direction", [None, "ASC", "DESC"])
@pytest.mark.parametrize("by", ["eventTime", "recordTime"])
async def test_orders(told: Running, by: str, direction: str | None, per_page: int) -> None:
    """Events come sorted by a time, the latest first unless it is said otherwise, on pages of any size."""
    every = await pages(told, perPage=100)
    asked = {"orderBy": by, "perPage": per_page} | ({"orderDirection": direction} if direction else {})
    found = await pages(told, **asked)
    expected = sorted(every, key=lambda event: str(event[by]), reverse=direction != "ASC")
    assert [event[by] for event in found] == [event[by] for event in expected]
    assert sorted(map(str, found)) == sorted(map(str, every))


async def test_order_by_extension(site: Running) -> None:
    """Numbers sort by worth, and events without the field come last whatever the direction."""
    values: list[Any] = [10, 9, None, Decimal("9.5"), "text"]
    shown = [
        objects("OBSERVE", number, unit("farm", f"S{number}"), **{"ex:rank": value})
        | {"@context": {"ex": "https://ns.example.com/"}}
        for number, value in enumerate(values)
    ]
    await site.node.seal([site.node.capture("farm/operator", *shown)])
    for direction, expected in (
        ("ASC", [9, Decimal("9.5"), 10, "text", None]),
        ("DESC", ["text", 10, Decimal("9.5"), 9, None]),
    ):
        found = await pages(site, orderBy="ex:rank", orderDirection=direction, perPage=2)
        assert [event.get("ex:rank") for event in found] == expected


async def test_times_narrow_an_order(told: Running) -> None:
    """Bounds of the event's time and an order by it fit together, both ways."""
    every = await pages(told, perPage=100, orderBy="eventTime", orderDirection="ASC")
    low, high = every[3]["eventTime"], every[8]["eventTime"]
    bounds = {"GE_eventTime": low, "LT_eventTime": high, "orderBy": "eventTime", "perPage": 2}
    assert await pages(told, **bounds, orderDirection="ASC") == every[3:8]
    assert await pages(told, **bounds) == every[3:8][::-1]
    assert await pages(told, **(bounds | {"LT_eventTime": low})) == []


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59Z"])
async def test_any_year_is_ordered(told: Running, time: str) -> None:
    """Events of the first and the last year that can be written are recorded and sorted like all others."""
    event = objects("OBSERVE", 1, CASES[9]) | {"eventTime": time}
    receipt = (await told.node.seal([told.node.capture("farm/operator", event)])).receipts[0]
    assert not receipt.code, receipt.code
    found = await pages(told, orderBy="eventTime", orderDirection="ASC", perPage=3)
    assert [each["eventTime"] for each in found] == sorted(each["eventTime"] for each in found)
    assert time in (found[0]["eventTime"], found[-1]["eventTime"])


async def test_first_events_of_an_order(told: Running) -> None:
    """eventCountLimit gives the first so many over all pages together."""
    every = await pages(told, orderBy="eventTime", perPage=100)
    for per_page in (1, 2, 3, 100):
        found = await pages(told, orderBy="eventTime", eventCountLimit=3, perPage=per_page)
        assert found == every[:3]


async def test_too_many_events(told: Running) -> None:
    """maxEventCount refuses a larger answer as a whole and lets one of just that size through."""
    count = sum(len(events) for _, events in chapters())
    assert len(await pages(told, maxEventCount=count, perPage=3)) == count
    too_large = (413, "query.too_large", "QueryTooLargeException")
    assert await refused(told, maxEventCount=count - 1) == too_large


async def test_work_is_bounded(told: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many candidates end a page in recording order, and refuse what would have to see them all."""
    every = await pages(told, perPage=100)
    monkeypatch.setattr(walk, "ENTRIES_MAX", 4)
    assert await pages(told, perPage=100) == every
    too_complex = (413, "query.too_complex", "QueryTooComplexException")
    for order in ("eventTime", "recordTime"):
        assert await pages(told, orderBy=order, orderDirection="ASC") == sorted(
            every, key=lambda event: str(event[order])
        )
        assert len(await pages(told, orderBy=order, perPage=2)) == len(every)
    assert await refused(told, orderBy="ex:rank") == too_complex
    assert await refused(told, orderBy="eventTime", MATCH_anyEPC=CASES[0]) == too_complex
    monkeypatch.setattr(walk, "ENTRIES_MAX", 1000)
    monkeypatch.setattr(walk, "EVENTS_READ_MAX", 4)
    assert await pages(told, perPage=100) == every
    assert await refused(told, maxEventCount=100) == too_complex
    assert await refused(told, orderBy="ex:rank") == too_complex


async def test_pages_are_stable_while_the_chain_goes_on(told: Running) -> None:
    """An ordered walk neither repeats nor misses an event, though new ones would sort before."""
    every = await pages(told, orderBy="eventTime", perPage=100)
    found: list[Json] = []
    parameters: Json = {"orderBy": "eventTime", "perPage": 3}
    for number in range(50):
        query = urlencode(parameters)
        async with told.client.get(told.url(f"/epcis/events?{query}")) as answer:
            page = json.loads(await answer.text(), parse_float=Decimal)
            link = answer.headers.get("Link")
        found += page["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        if link is None:
            break
        parameters = {
            name: each[0] for name, each in parse_qs(urlsplit(link.split(">")[0][1:]).query).items()
        }
        fresh = objects("OBSERVE", 10_000 + number, CASES[9])
        await told.node.seal([told.node.capture("farm/operator", fresh)])
    assert found == every


# --- the index against a plain loop -----------------------------------------------------

THINGS = [unit("farm", f"S{number}") for number in range(4)] + [sscc("farm", 1)]
LOTS = [lot("farm", f"L{number}") for number in range(3)]
STEPS = ["shipping", "receiving", "packing"]


@st.composite
def events(draw: st.DrawFn) -> Json:
    at = draw(st.integers(0, 30))
    epcs = draw(st.lists(st.sampled_from(THINGS), max_size=3, unique=True))
    classes = draw(st.lists(st.sampled_from(LOTS), max_size=2, unique=True))
    quantities = [amount(each, draw(st.integers(1, 5))) for each in classes] or None
    if draw(st.booleans()) and epcs:
        return {
            **objects("OBSERVE", at),
            "type": "AggregationEvent",
            "parentID": draw(st.sampled_from(THINGS)),
            "childEPCs": epcs,
        } | {"epcList": None}
    place = draw(st.sampled_from(sorted(SITES.values())))
    return objects(
        "OBSERVE", at, *epcs, q=quantities, bizStep=draw(st.sampled_from(STEPS)), readPoint={"id": place}
    )


def has(event: Json, *names: str) -> list[str]:
    found: list[str] = []
    for name in names:
        listed = event.get(name) or []
        listed = [listed] if isinstance(listed, str) else listed
        found += [each if isinstance(each, str) else each["epcClass"] for each in listed]
    return found


CHOICES: dict[str, tuple[list[str], Callable[[Json, list[str]], bool]]] = {
    "MATCH_anyEPC": (THINGS, lambda e, v: bool({*has(e, "epcList", "childEPCs", "parentID")} & {*v})),
    "MATCH_epc": (THINGS, lambda e, v: bool({*has(e, "epcList", "childEPCs")} & {*v})),
    "MATCH_parentID": (THINGS, lambda e, v: e.get("parentID") in v),
    "MATCH_epcClass": (LOTS, lambda e, v: bool({*has(e, "quantityList")} & {*v})),
    "EQ_bizStep": (STEPS, lambda e, v: e.get("bizStep") in v),
    "EQ_readPoint": (sorted(SITES.values()), lambda e, v: e.get("readPoint", {}).get("id") in v),
    "eventType": (["ObjectEvent", "AggregationEvent"], lambda e, v: e["type"] in v),
}
QUERIES = st.lists(st.sampled_from(sorted(CHOICES)), max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries(
        {
            name: st.lists(st.sampled_from(CHOICES[name][0]), min_size=1, max_size=2, unique=True)
            for name in names
        }
    )
)


@settings(max_examples=40)
@given(
    st.lists(events(), min_size=1, max_size=12),
    st.lists(QUERIES, min_size=1, max_size=6),
    st.integers(1, 5),
    st.sampled_from([None, "ASC", "DESC"]),
)
async def test_index_path_equals_plain_loop(
    tmp_path_factory: pytest.TempPathFactory,
    shown: list[Json],
    asked: list[dict[str, list[str]]],
    per_page: int,
    direction: str | None,
) -> None:
    """Whatever index answers a query, it gives what a loop over all recorded events picks, in its order."""
    home: Path = tmp_path_factory.mktemp("home")
    node = FakeNode()
    distinct: list[Json] = []
    for number, event in enumerate(shown):
        clean = {name: value for name, value in event.items() if value is not None}
        distinct.append(clean | {"eventID": f"urn:x:{number}"})
    distinct = [e for e in distinct if has(e, "epcList", "childEPCs", "quantityList")]
    async with running(home, node=node) as site:
        for start in range(0, len(distinct), 3):
            await node.seal([node.capture("farm/operator", *distinct[start : start + 3])])
        for query in asked:
            expected = [e for e in distinct if all(CHOICES[name][1](e, v) for name, v in query.items())]
            parameters = [(name, "|".join(values)) for name, values in query.items()]
            if direction is not None:
                parameters += [("orderBy", "eventTime"), ("orderDirection", direction)]
                # Equal times come in recording order, which a descending walk turns round as well.
                ranks = {event["eventID"]: rank for rank, event in enumerate(distinct)}
                expected.sort(
                    key=lambda e: (str(e["eventTime"]), ranks[e["eventID"]]), reverse=direction == "DESC"
                )
            read = read_url_query(parameters)
            found: list[str] = []
            begin: PageStart | None = PageStart(node.head()[0])
            while begin is not None:
                page = await read_page(site.api, read, begin, per_page)
                found += [event.event_id for event in page.events]
                begin = page.following
            assert found == [event["eventID"] for event in expected]
