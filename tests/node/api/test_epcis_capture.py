"""EPCIS documents in: checked as a whole, signed by the gateway, recorded once, told of as a job."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from contracts.epcis.canonical_json import canonical
from contracts.provenance.capture import EVENTS_MAX
from contracts.provenance.events import recording_id
from ledger.types import TxId
from node.api.epcis.headers import CAPTURE_BYTES_MAX, CAPTURE_EVENTS_MAX
from node.api.tokens import Scope, new_token, revoke_token
from tests.contracts.chain import START_MS
from tests.contracts.provenance.events import objects, unit
from tests.node.api.fakes import GATEWAY, Running

CONTEXT = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"


def document(*events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "@context": [CONTEXT],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2026-01-01T00:00:00Z",
        "epcisBody": {"eventList": list(events)},
        **changes,
    }


def seen(number: int, **changes: Any) -> dict[str, Any]:
    return objects("OBSERVE", number, unit("farm", f"S{number}"), bizStep="inspecting", **changes)


def token(site: Running, *scopes: Scope, expires_ms: int = 0) -> str:
    return new_token(site.home, "scanner", scopes or (Scope.CAPTURE,), START_MS, expires_ms)[1]


async def post(
    site: Running, path: str, body: Any, secret: str | None, **headers: str
) -> tuple[int, dict[str, str], dict[str, Any]]:
    data = body if isinstance(body, bytes) else canonical(body)
    sent = {"Content-Type": "application/json", **headers}
    if secret is not None:
        sent["Authorization"] = f"Bearer {secret}"
    async with site.client.post(site.url(path), data=io.BytesIO(data), headers=sent) as answer:
        text = await answer.text()
        return answer.status, dict(answer.headers), json.loads(text) if text else {}


async def get(site: Running, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    async with site.client.get(site.url(path), headers=headers) as answer:
        return answer.status, json.loads(await answer.text())


async def test_document_becomes_one_signed_transaction(site: Running) -> None:
    """202 with the job's place; the capture's id is the transaction's, signed by the gateway key."""
    status, headers, job = await post(site, "/epcis/capture", document(seen(1), seen(2)), token(site))
    assert status == 202
    assert headers["Location"] == f"/epcis/capture/{job['captureID']}"
    transaction = site.node.pending[TxId(bytes.fromhex(job["captureID"]))]
    assert transaction.body.sender == GATEWAY.public
    assert (job["running"], job["success"], job["captureErrorBehaviour"]) == (True, True, "rollback")
    assert "finishedAt" not in job
    await site.node.seal()
    status, job = await get(site, headers["Location"])
    assert (status, job["running"], job["success"], job["errors"]) == (200, False, True, [])
    assert job["createdAt"] == "2026-01-01T00:00:00.000Z"
    assert job["finishedAt"] == "2026-01-01T00:00:01.000Z"
    assert [each["status"] for each in job["transactions"][0]["events"]] == ["flagged", "flagged"]


async def test_waiting_brings_the_finished_job(site: Running) -> None:
    """`Prefer: wait` answers when the capture is final."""
    _, headers, job = await post(site, "/epcis/capture", document(seen(1)), token(site), Prefer="wait=5")
    assert (job["running"], job["success"]) == (False, True)
    assert headers["Preference-Applied"] == "wait=5"
    assert headers["GS1-EPCIS-Version"] == "2.0.0"


async def test_large_document_becomes_several_transactions(site: Running) -> None:
    """A document beyond one transaction is cut in order; its one job answers for all parts."""
    events = [seen(number) for number in range(1, 2 * EVENTS_MAX + 101)]
    status, _, job = await post(site, "/epcis/capture", document(*events), token(site), Prefer="wait=5")
    assert status == 202
    assert [len(each["events"]) for each in job["transactions"]] == [EVENTS_MAX, EVENTS_MAX, 100]
    assert job["success"]
    again = await get(site, f"/epcis/capture/{job['captureID']}")
    assert again[1]["transactions"] == job["transactions"]


async def test_repeated_event_names_the_first(site: Running) -> None:
    """The same event again is `duplicate`, and says where the first one is; a single event answers 409."""
    secret = token(site)
    await post(site, "/epcis/capture", document(seen(1)), secret, Prefer="wait=5")
    _, _, job = await post(site, "/epcis/capture", document(seen(1)), secret, Prefer="wait=5")
    (event,) = job["transactions"][0]["events"]
    assert (job["transactions"][0]["status"], event["status"]) == ("duplicate", "duplicate")
    assert (event["first"]["height"], event["first"]["event_index"]) == (1, 0)
    assert event["recordingID"] == recording_id(bytes.fromhex(event["first"]["transaction_id"]), 0)
    bare = {"@context": CONTEXT, **seen(2)}
    _, first, _ = await post(site, "/epcis/events", bare, secret)
    status, headers, problem = await post(site, "/epcis/events", bare, secret)
    assert (status, problem["code"]) == (409, "event.duplicate")
    assert problem["type"] == "epcisException:ResourceAlreadyExistsException"
    assert "block 3" in problem["detail"]
    assert headers["Location"] == first["Location"]


async def test_single_event_is_answered_when_recorded(site: Running) -> None:
    """201 with the event's place, from which it is read."""
    bare = {"@context": CONTEXT, **seen(7, eventID="urn:uuid:11111111-2222-3333-4444-555555555555")}
    status, headers, _ = await post(site, "/epcis/events", bare, token(site))
    assert status == 201
    status, found = await get(site, headers["Location"])
    assert status == 200
    (event,) = found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
    assert event["eventID"] == bare["eventID"]


async def test_single_event_goes_on_where_finality_takes_long(site: Running) -> None:
    """Where the event is not final in time the answer is 202 and the job's place."""
    site.node.seals_on_wait = False
    site.node.gives_up_waiting = True
    bare = {"@context": CONTEXT, **seen(7)}
    status, headers, job = await post(site, "/epcis/events", bare, token(site), Prefer="wait=1")
    assert (status, job["running"]) == (202, True)
    assert headers["Location"].startswith("/epcis/capture/")


async def test_one_bad_event_refuses_the_document(site: Running) -> None:
    """Every wrong place is named by its pointer, and nothing of the document is sent."""
    bad = seen(2) | {"eventTime": "yesterday"}
    worse = {key: value for key, value in seen(3).items() if key != "action"}
    status, _, problem = await post(site, "/epcis/capture", document(seen(1), bad, worse), token(site))
    assert status == 400
    assert problem["type"] == "epcisException:ValidationException"
    assert [(each["code"], each["pointer"]) for each in problem["errors"]] == [
        ("epcis.bad_time", "/epcisBody/eventList/1/eventTime"),
        ("epcis.missing_field", "/epcisBody/eventList/2/action"),
    ]
    assert site.node.pending == {}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "json.malformed"),
        (b"\xff\xfe", 400, "json.malformed"),
        (b"[]", 400, "epcis.not_a_document"),
        (b"[" * 100_000, 400, "json.too_deep"),
        (b'{"a":1,"a":2}', 400, "json.duplicate_key"),
        (canonical(document()), 400, "capture.empty"),
        (canonical(document(*[seen(1)] * (CAPTURE_EVENTS_MAX + 1))), 413, "capture.too_many_events"),
        (b" " * (CAPTURE_BYTES_MAX + 1), 413, "body.too_large"),
    ],
    ids=range(8),
)
async def test_hostile_documents_are_refused(site: Running, body: bytes, status: int, code: str) -> None:
    """What is no document, too deep, too long or empty has its code, and nothing is sent."""
    found, _, problem = await post(site, "/epcis/capture", body, token(site))
    assert (found, problem["code"]) == (status, code)
    assert problem["type"].startswith("epcisException:")
    assert site.node.pending == {}


async def test_only_a_token_of_the_site_may_capture(site: Running) -> None:
    """No token, a wrong, a revoked, an expired one: 401. One without the scope: 403."""
    body = document(seen(1))
    reader, revoked = token(site, Scope.READ), token(site)
    late = token(site, expires_ms=START_MS + 1000)
    revoke_token(site.home, _id_of(site, revoked), START_MS)
    site.clock.ms = START_MS + 1000
    for secret, status, code in (
        (None, 401, "token.missing"),
        ("fgt_nonsense", 401, "token.invalid"),
        ("é" * 200, 401, "token.invalid"),
        (revoked, 401, "token.invalid"),
        (late, 401, "token.invalid"),
        (reader, 403, "token.not_allowed"),
    ):
        found, headers, problem = await post(site, "/epcis/capture", body, secret)
        assert (found, problem["code"]) == (status, code)
        assert problem["type"] == "epcisException:SecurityException"
        assert ("WWW-Authenticate" in headers) == (status == 401)
    assert site.node.pending == {}


def _id_of(site: Running, secret: str) -> str:
    return site.api.tokens.check(f"Bearer {secret}", Scope.CAPTURE, START_MS).id


async def test_node_without_gateway_key_cannot_sign(site: Running) -> None:
    """501, and the reason."""
    site.node.gateway_key = None
    status, _, problem = await post(site, "/epcis/capture", document(seen(1)), token(site))
    assert (status, problem["code"]) == (501, "gateway.missing")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/csv"}, 415, "body.media_type"),
        ({"Content-Type": "application/xml"}, 400, "xml.malformed"),
        ({"Content-Encoding": "gzip"}, 415, "body.encoded"),
        ({"Accept": "text/csv"}, 406, "accept.not_available"),
        ({"GS1-CBV-XML-Format": "Always_Web_URI"}, 406, "epcis.format_not_available"),
        ({"GS1-CBV-XML-Format": "Sometimes"}, 400, "parameter.invalid"),
        ({"GS1-EPCIS-Min": "2.1"}, 406, "epcis.version_not_available"),
        ({"GS1-CBV-Max": "1.2.0"}, 406, "epcis.version_not_available"),
        ({"GS1-EPCIS-Min": "two"}, 400, "parameter.invalid"),
        ({"GS1-EPC-Format": "Always_EPC_URN"}, 406, "epcis.format_not_available"),
        ({"GS1-EPC-Format": "Sometimes"}, 400, "parameter.invalid"),
        ({"GS1-Capture-Error-Behaviour": "proceed"}, 501, "epcis.proceed_not_available"),
        ({"GS1-Capture-Error-Behaviour": "maybe"}, 400, "parameter.invalid"),
    ],
)
async def test_headers_that_ask_too_much(
    site: Running, headers: dict[str, str], status: int, code: str
) -> None:
    """What this node never does is refused, not ignored."""
    found, _, problem = await post(site, "/epcis/capture", document(seen(1)), token(site), **headers)
    assert (found, problem["code"]) == (status, code)


async def test_unknown_captures(site: Running) -> None:
    """An id that nobody captured is 404, a transaction of another kind too, and no id at all is 400."""
    other = site.node.sign("farm/admin", "organisations", "revoke_key", b"\x91\xc4\x20" + GATEWAY.public)
    await site.node.seal([other])
    assert (await get(site, "/epcis/capture/" + "ab" * 32))[1]["code"] == "capture.unknown"
    assert (await get(site, f"/epcis/capture/{other.id.hex()}"))[1]["code"] == "capture.unknown"
    status, problem = await get(site, "/epcis/capture/nothing")
    assert (status, problem["code"], problem["pointer"]) == (400, "parameter.invalid", "/path/captureID")


async def test_revoked_gateway_is_told(site: Running) -> None:
    """A gateway key that is no longer in force cannot capture, and the code says why."""
    other = site.node.sign("farm/admin", "organisations", "revoke_key", b"\x91\xc4\x20" + GATEWAY.public)
    await site.node.seal([other])
    status, _, problem = await post(site, "/epcis/capture", document(seen(1)), token(site))
    assert (status, problem["code"]) == (403, "sender.revoked")


async def test_options_say_what_there_is(site: Running) -> None:
    """Versions, limits and methods without a body."""
    async with site.client.options(site.url("/epcis/capture")) as answer:
        assert answer.status == 204
        assert answer.headers["Allow"] == "OPTIONS, POST"
        assert answer.headers["GS1-EPCIS-Max"] == "2.0.0"
        assert answer.headers["GS1-EPCIS-Capture-Limit"] == str(CAPTURE_EVENTS_MAX)
        assert answer.headers["GS1-EPCIS-Capture-File-Size-Limit"] == str(CAPTURE_BYTES_MAX)


async def test_every_valid_document_is_read_back(site: Running, shared_data: Path) -> None:
    """Each event of each valid sample comes back, equal but for record time and an id it lacked."""
    folder = shared_data / "epcis" / "valid" / "2.0-json-capture"
    secret = token(site)
    files = sorted(folder.glob("*.json*"))
    assert files
    for file in files:
        sent = json.loads(file.read_text("utf-8"), parse_float=Decimal)
        status, _, job = await post(site, "/epcis/capture", file.read_bytes(), secret, Prefer="wait=5")
        assert status == 202, (file.name, job)
        events = sent["epcisBody"]["eventList"] if "epcisBody" in sent else [sent]
        results = [each for part in job["transactions"] for each in part["events"]]
        assert len(results) == len(events), file.name
        for event, result in zip(events, results, strict=True):
            place = "/epcis/events/" + quote(result["eventID"], safe="")
            async with site.client.get(site.url(place)) as answer:
                found = json.loads(await answer.text(), parse_float=Decimal)
            listed = found["epcisBody"]["queryResults"]["resultsBody"]["eventList"]
            assert any(_same(event, each) for each in listed), (file.name, event, listed)


def _same(sent: dict[str, Any], found: dict[str, Any]) -> bool:
    ignored = {"recordTime", "@context"} | (set() if "eventID" in sent else {"eventID"})
    return {k: v for k, v in sent.items() if k not in ignored} == {
        k: v for k, v in found.items() if k not in ignored
    }
