"""EPCIS events out: filters that hold, pages that neither repeat nor miss, refusals that say which."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from contracts.epcis.instant import write_time
from contracts.provenance.events import recording_id
from ledger.types import TimeMs
from tests.contracts.chain import START_MS, key_of
from tests.contracts.provenance.events import objects, unit
from tests.contracts.provenance.story import CASES, HARVEST, PACKED, PALLET, chapters
from tests.node.api.fakes import Running

ALL = [event for _, events in chapters() for event in events]


async def ask(site: Running, **parameters: Any) -> tuple[int, dict[str, Any], str | None]:
    query = urlencode(parameters)
    async with site.client.get(site.url(f"/epcis/events?{query}")) as answer:
        link = answer.headers.get("Link")
        return answer.status, json.loads(await answer.text(), parse_float=Decimal), link


async def events(site: Running, **parameters: Any) -> list[dict[str, Any]]:
    status, found, link = await ask(site, perPage=100, **parameters)
    assert status == 200, found
    assert link is None
    listed: list[dict[str, Any]] = found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    return listed


def plain(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ("recordTime", "eventID")}


async def test_all_events_come_in_recording_order(told: Running) -> None:
    """Without a filter every event comes, in the order of recording, with the time of its block."""
    found = await events(told)
    assert [plain(event) for event in found] == ALL
    times = [event["recordTime"] for event in found]
    assert times == sorted(times)
    assert times[0] == write_time(TimeMs(START_MS + 1000))
    assert all(event["eventID"].startswith("urn:uuid:") for event in found)


@pytest.mark.parametrize("per_page", [1, 3, 7, 100])
async def test_pages_fit_together(told: Running, per_page: int) -> None:
    """Pages of any size give the whole list once, though the chain goes on between them."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"perPage": per_page}
    for number in range(100):
        status, page, link = await ask(told, **query)
        assert status == 200
        found += page["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        if link is None:
            break
        await told.node.seal(
            [told.node.capture("farm/operator", objects("OBSERVE", number, unit("farm", "X")))]
        )
        url, rel = link.split(";")
        assert rel.strip() == 'rel="next"'
        query = {name: values[0] for name, values in parse_qs(urlsplit(url.strip("<>")).query).items()}
        assert query["perPage"] == str(per_page)
    assert [plain(event) for event in found] == ALL


@pytest.mark.parametrize(
    ("parameters", "holds"),
    [
        ({"eventType": "AggregationEvent"}, lambda e: e["type"] == "AggregationEvent"),
        (
            {"eventType": "AggregationEvent|TransformationEvent"},
            lambda e: e["type"] in ("AggregationEvent", "TransformationEvent"),
        ),
        ({"EQ_action": "OBSERVE"}, lambda e: e.get("action") == "OBSERVE"),
        ({"EQ_bizStep": "shipping"}, lambda e: e.get("bizStep") == "shipping"),
        (
            {"EQ_bizStep": "https://ref.gs1.org/cbv/BizStep-receiving|urn:epcglobal:cbv:bizstep:shipping"},
            lambda e: e.get("bizStep") in ("receiving", "shipping"),
        ),
        ({"MATCH_anyEPC": PALLET}, lambda e: PALLET in (*e.get("epcList", ()), e.get("parentID"))),
        ({"MATCH_parentID": PALLET}, lambda e: e.get("parentID") == PALLET),
        ({"MATCH_outputEPC": CASES[3]}, lambda e: CASES[3] in e.get("outputEPCList", ())),
        (
            {"MATCH_anyEPCClass": HARVEST[0]},
            lambda e: (
                HARVEST[0]
                in [q["epcClass"] for name in ("quantityList", "inputQuantityList") for q in e.get(name, ())]
            ),
        ),
        (
            {"MATCH_outputEPCClass": PACKED},
            lambda e: PACKED in [q["epcClass"] for q in e.get("outputQuantityList", ())],
        ),
        (
            {"MATCH_anyEPC": CASES[0], "EQ_bizStep": "retail_selling"},
            lambda e: e.get("bizStep") == "retail_selling",
        ),
        ({"EXISTS_errorDeclaration": "true"}, lambda e: False),
        ({"EXISTS_errorDeclaration": "false"}, lambda e: True),
        ({"MATCH_anyEPC": "urn:example:nobody"}, lambda e: False),
    ],
    ids=range(14),
)
async def test_filters_hold(told: Running, parameters: dict[str, str], holds: Any) -> None:
    """A query gives exactly the events that a plain loop over all of them picks."""
    expected = [event for event in ALL if holds(event)]
    assert [plain(event) for event in await events(told, **parameters)] == expected


async def test_every_spelling_of_an_item_finds_it(told: Running) -> None:
    """An EPC URN finds what was captured as a Digital Link."""
    link = await events(told, MATCH_epc=CASES[0])
    urn = await events(told, MATCH_epc="urn:epc:id:sgtin:952001.0000008.C0")
    assert link == urn != []


async def test_times_bound_an_event(told: Running) -> None:
    """GE includes its instant and LT does not, for the event's time and for the record time."""
    all_of_them = await events(told)
    for name in ("eventTime", "recordTime"):
        middle = all_of_them[5][name]
        at_least = await events(told, **{f"GE_{name}": middle})
        before = await events(told, **{f"LT_{name}": middle})
        assert at_least == [event for event in all_of_them if event[name] >= middle]
        assert before == [event for event in all_of_them if event[name] < middle]
        assert len(at_least) + len(before) == len(all_of_them)


async def test_events_by_identifier(told: Running) -> None:
    """An event is found by its id in the path and by EQ_eventID; one nobody recorded is 404."""
    wanted = (await events(told))[4]
    assert await events(told, EQ_eventID=f"urn:x:nobody|{wanted['eventID']}") == [wanted]
    async with told.client.get(told.url("/epcis/events/" + quote(wanted["eventID"], safe=""))) as answer:
        assert answer.status == 200
        found = json.loads(await answer.text(), parse_float=Decimal)
    assert found["epcisBody"]["queryResults"]["resultsBody"]["eventList"] == [wanted]
    async with told.client.get(told.url("/epcis/events/urn%3Ax%3Anobody")) as answer:
        problem = json.loads(await answer.text())
        assert (answer.status, problem["code"]) == (404, "event.unknown")
        assert problem["type"] == "epcisException:NoSuchNameException"


@pytest.mark.parametrize(
    "event_id", ["ni:///sha-256;ab%c?ver=CBV2.0", "https://e.example/a/b?c=d#e", "urn:x:é;+ &"]
)
async def test_identifiers_survive_the_path(site: Running, event_id: str) -> None:
    """An event id with slashes, question marks and other letters is found by its percent-encoded path."""
    event = objects("OBSERVE", 1, unit("farm", "X"), eventID=event_id.replace(" ", ""))
    receipt = (await site.node.seal([site.node.capture("farm/operator", event)])).receipts[0]
    assert not receipt.code, receipt.code
    async with site.client.get(site.url("/epcis/events/") + quote(event["eventID"], safe="")) as answer:
        assert answer.status == 200, await answer.text()


async def test_declaration_and_original_come_together(site: Running) -> None:
    """An event and the declaration that it was wrong share an identifier; both are answered, oldest first."""
    event = objects("OBSERVE", 1, unit("farm", "X"), eventID="urn:x:one")
    wrong = {"declarationTime": "2026-01-02T00:00:00Z", "reason": "incorrect_data"}
    declared = {**event, "errorDeclaration": wrong}
    await site.node.seal([site.node.capture("farm/operator", event)])
    await site.node.seal([site.node.capture("farm/operator", declared)])
    async with site.client.get(site.url("/epcis/events/urn%3Ax%3Aone")) as answer:
        found = json.loads(await answer.text())["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert [plain(each) for each in found] == [plain(event), plain(declared)]
    assert [plain(e) for e in await events(site, EXISTS_errorDeclaration="true")] == [plain(declared)]


async def called(site: Running, event_id: str) -> list[dict[str, Any]]:
    """What the path answers for an identifier; 404 is nobody."""
    async with site.client.get(site.url("/epcis/events/") + quote(event_id, safe="")) as answer:
        found = json.loads(await answer.text())
        if answer.status == 404:
            assert found["code"] == "event.unknown"
            return []
        listed: list[dict[str, Any]] = found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
        return listed


async def test_recording_id_names_one_event(site: Running) -> None:
    """Events that share an eventID have each a recording id; that of a repeated one leads to the first."""
    shared = [objects("OBSERVE", number, unit("farm", "X"), eventID="urn:x:one") for number in (1, 2, 3)]
    first = site.node.capture("farm/operator", *shared[:2])
    second = site.node.capture("farm/operator", shared[1], shared[2])
    await site.node.seal([first])
    await site.node.seal([second])
    assert len(await called(site, "urn:x:one")) == 3
    for transaction, index, event in (
        (first, 0, shared[0]),
        (first, 1, shared[1]),
        (second, 0, shared[1]),
        (second, 1, shared[2]),
    ):
        (found,) = await called(site, recording_id(transaction.id, index))
        assert plain(found) == plain(event)
        assert found["recordTime"] == write_time(TimeMs(START_MS + (2000 if event is shared[2] else 1000)))


async def test_recording_id_is_the_ledgers(site: Running) -> None:
    """An eventID in its form takes nobody's place; what no capture recorded is nobody."""
    honest = objects("OBSERVE", 1, unit("farm", "X"))
    first = site.node.capture("farm/operator", honest)
    name = recording_id(first.id, 0)
    false = objects("OBSERVE", 2, unit("farm", "X"), eventID=name)
    bad = site.node.sign("farm/operator", "provenance", "capture", b"\x91\x91\x92\x90\xc4\x02{}")
    other = site.node.sign(
        "farm/admin", "organisations", "revoke_key", b"\x91\xc4\x20" + key_of("shop/operator").public
    )
    await site.node.seal([first, site.node.capture("farm/operator", false), bad, other])
    assert [plain(each) for each in await called(site, name)] == [plain(honest)]
    assert [plain(each) for each in await events(site, EQ_eventID=name)] == [plain(false)]
    waiting = site.node.capture("farm/operator", objects("OBSERVE", 3, unit("farm", "X")))
    site.node.submit(waiting.raw)
    nobodies = [recording_id(each.id, 0) for each in (bad, other, waiting)]
    nobodies += [recording_id(first.id, 1), f"{name}0", name.upper(), name[:-1] + "00", name[:-1] + "99999"]
    for nobody in (*nobodies, recording_id(bytes(32), 0)):
        assert await called(site, nobody) == [], nobody


@pytest.mark.parametrize(
    ("parameters", "status", "code", "name"),
    [
        ({"eventTpye": "ObjectEvent"}, 400, "parameter.unknown", "QueryParameterException"),
        ({"eventType": "Event"}, 400, "parameter.invalid", "QueryParameterException"),
        ({"EQ_action": ""}, 400, "parameter.invalid", "QueryParameterException"),
        ({"GE_eventTime": "2026"}, 400, "parameter.invalid", "QueryParameterException"),
        ({"MATCH_anyEPC": "no uri"}, 400, "parameter.invalid", "QueryParameterException"),
        (
            {"MATCH_anyEPC": "urn:epc:idpat:sgtin:1.*.*"},
            400,
            "parameter.invalid",
            "QueryParameterException",
        ),
        ({"orderBy": "EventTime"}, 400, "parameter.invalid", "QueryParameterException"),
        ({"EQ_ILDM_lot": "1"}, 400, "parameter.unknown", "QueryParameterException"),
        ({"perPage": "0"}, 400, "parameter.invalid", "QueryParameterException"),
        ({"perPage": "٣"}, 400, "parameter.invalid", "QueryParameterException"),
        ({"nextPageToken": "1-2-3"}, 400, "parameter.invalid", "QueryParameterException"),
        ({"nextPageToken": "1-2-99999-0"}, 400, "parameter.invalid", "QueryParameterException"),
        (
            {"EQ_eventID": "|".join(map(str, range(101)))},
            413,
            "query.too_complex",
            "QueryTooComplexException",
        ),
    ],
    ids=range(13),
)
async def test_queries_that_are_not_understood(
    site: Running, parameters: dict[str, str], status: int, code: str, name: str
) -> None:
    """What is unknown, malformed or unanswered is refused by the standard's exception, never ignored."""
    found, problem, _ = await ask(site, **parameters)
    assert (found, problem["code"], problem["type"]) == (status, code, f"epcisException:{name}")


async def test_page_token_of_another_future_is_bounded(told: Running) -> None:
    """A forged token shows nothing that is not final, and no more than there is."""
    status, found, link = await ask(told, nextPageToken="9007199254740991-0-0-0", perPage=100)
    assert (status, link) == (200, None)
    assert len(found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]) == len(ALL)
    status, found, _ = await ask(told, nextPageToken="9999999999999999-9999999999999999-0-0")
    assert (status, found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]) == (200, [])
