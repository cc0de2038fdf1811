"""Documents of a site's clients: checked, cut, signed with the organisation's gateway key, and sent.

Every event of a document is checked before any is sent, so a document is taken as a whole or not at
all. One transaction holds some hundred events; a larger document makes several, in order. The
capture's id names them, so that any node can answer for it and none has to remember.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from contracts.arguments import encode_arguments
from contracts.epcis.captured import CapturedEvent, read_captured
from contracts.epcis.document import Document, split_document
from contracts.epcis.instant import write_time
from contracts.epcis.problems import EpcisError, Problems
from contracts.provenance.capture import CONTRACT, EVENTS_MAX, CaptureArguments, EventResult
from contracts.provenance.events import recording_id
from ledger.codec import encode
from ledger.crypto import KeyPair
from ledger.epoch import parameters_in_force
from ledger.errors import LedgerError
from ledger.receipt import Status
from ledger.transaction import Transaction, TransactionBody, sign_transaction
from ledger.types import ARGUMENTS_BYTES_MAX, NONCE_BYTES, Height, TimeMs, TxId
from node.api.answers import bytes_answer
from node.api.body import media_type, read_body
from node.api.context import Api
from node.api.epcis.headers import (
    CAPTURE_BYTES_MAX,
    CAPTURE_EVENTS_MAX,
    CAPTURE_TRANSACTIONS_MAX,
    DOCUMENTS,
    JSON,
    SAID,
    SAID_OF_CAPTURE,
    TEXT_XML,
    XML,
    answer_type,
    check_headers,
)
from node.api.epcis.job_xml import job_xml
from node.api.parameters import Parameter
from node.api.problems import Refusal, problem_of
from node.api.recorded import capture_results
from node.api.routes import Call
from node.api.tokens import Scope
from node.api.transactions import PREFER, submit, wait_for
from node.api.turns import Turns
from node.epcis_xml.reading import split_xml
from node.event_index import METHOD, is_capture
from node.pace import Slices, sliced
from node.service import TransactionRecord

EVENT_WAIT_SECONDS: Final = 10  # a single event is answered when it is final, or after this

_CAPTURE_ID = re.compile(rf"[0-9a-f]{{64}}(?:\.[0-9a-f]{{64}}){{0,{CAPTURE_TRANSACTIONS_MAX - 1}}}")


def read_capture_id(text: str) -> tuple[TxId, ...]:
    """The transactions that a capture's id names."""
    if not _CAPTURE_ID.fullmatch(text):
        raise ValueError("expected the id of a capture, as its Location named it")
    return tuple(TxId(bytes.fromhex(part)) for part in text.split("."))


CAPTURE_ID: Final = Parameter(
    "captureID",
    "path",
    read_capture_id,
    {"type": "string", "pattern": f"^{_CAPTURE_ID.pattern}$"},
    "The capture's id: the id of its transaction, or of its several transactions joined by dots.",
)


async def post_document(api: Api, call: Call) -> web.StreamResponse:
    """Capture a document: 202 with the place of the job."""
    document = await _read(api, call)
    transactions = await _sign(api, document)
    for transaction in transactions:
        _submit(api, transaction)
    ids = [transaction.id for transaction in transactions]
    await wait_for(api, call, ids)
    location = f"/epcis/capture/{_join(ids)}"
    answer = _answer(call, _job(api, ids), 202, api.service.head()[0])
    answer.headers["Location"] = location
    if call.get(PREFER) is not None:
        answer.headers["Preference-Applied"] = f"wait={call.get(PREFER)}"
    return answer


async def get_job(api: Api, call: Call) -> web.StreamResponse:
    """Where a capture stands."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    check_headers(call.request)
    return _answer(call, _job(api, call.need(CAPTURE_ID)), 200, api.service.head()[0])


async def post_event(api: Api, call: Call) -> web.StreamResponse:
    """Capture one event and answer when it is recorded: 201 with its place."""
    document = await _read(api, call)
    if len(document.events) != 1:
        raise LedgerError(
            "capture.not_one_event",
            f"{len(document.events)} events; a document of many goes to /epcis/capture",
        )
    (transaction,) = await _sign(api, document)
    _submit(api, transaction)
    await wait_for(api, call, [transaction.id], EVENT_WAIT_SECONDS)
    record = api.service.transaction(transaction.id)
    head = api.service.head()[0]
    if record is None or record.receipt is None:
        answer = _answer(call, _job(api, [transaction.id]), 202, head)
        answer.headers["Location"] = f"/epcis/capture/{_join([transaction.id])}"
        return answer
    if record.receipt.status is Status.REFUSED:
        raise LedgerError(record.receipt.code, "the ledger refused the event", record.receipt.pointer)
    (result,) = capture_results(record.receipt)
    if result.status is Status.DUPLICATE:
        raise _duplicate(result)
    answer = web.Response(status=201, headers={**SAID, "Location": _event_path(result.event_id)})
    answer.headers["X-Ledger-Height"] = str(head)
    return answer


def _duplicate(result: EventResult) -> Refusal:
    first = result.first
    assert first is not None, "a duplicate names the first"
    where = f"block {first.height}, transaction {first.transaction_id.hex()}, event {first.event_index}"
    return Refusal(
        "event.duplicate",
        f"recorded before as {first.event_id} in {where}",
        {"Location": _event_path(first.event_id)},
    )


async def _read(api: Api, call: Call) -> Document:
    """The document in a request, each of its events checked.

    Raises:
        LedgerError: `token.*`, `body.*`, `capture.*`, `json.*`, `xml.*`, `epcis.*`.
    """
    api.tokens.check(call.request.headers.get("Authorization"), Scope.CAPTURE, api.now_ms())
    check_headers(call.request)
    answer_type(call.request)
    kind = media_type(call.request, DOCUMENTS)
    data = await read_body(call.request, CAPTURE_BYTES_MAX, api.settings.body_seconds)
    is_xml = kind in (XML, TEXT_XML)
    document = await sliced(split_xml(data), Slices()) if is_xml else split_document(data)
    if len(document.events) > CAPTURE_EVENTS_MAX:
        raise LedgerError(
            "capture.too_many_events",
            f"{len(document.events)} events, at most {CAPTURE_EVENTS_MAX} are taken",
        )
    problems = Problems()
    turns = Turns()
    for captured, pointer in zip(document.events, document.pointers, strict=True):
        _check(captured, pointer, problems)
        await turns.give()
    problems.raise_any()
    return document


def _check(captured: CapturedEvent, pointer: str, problems: Problems) -> None:
    try:
        read_captured(captured, pointer)
    except EpcisError as found:
        for problem in found.problems:
            problems.add(problem.code, problem.pointer, problem.message)
    except LedgerError as found:
        problems.add(found.code, found.pointer, found.message)


async def _sign(api: Api, document: Document) -> list[Transaction]:
    """The transactions that capture a document, signed with the gateway key.

    Raises:
        LedgerError: `capture.empty`, `capture.too_large`, `gateway.missing`.
    """
    key = api.service.gateway()
    if key is None:
        raise LedgerError(
            "gateway.missing", "this node holds no gateway key of its organisation; it cannot sign"
        )
    if not document.events:
        raise LedgerError("capture.empty", "the document holds no events")
    parts = _parts(document.events)
    if len(parts) > CAPTURE_TRANSACTIONS_MAX:
        raise LedgerError(
            "capture.too_large",
            f"{len(parts)} transactions, at most {CAPTURE_TRANSACTIONS_MAX} are made of one document",
        )
    height = api.service.head()[0]
    valid_until = height + parameters_in_force(api.service.state()).replay_window_blocks // 2
    signed = [_transaction(api, key, part, valid_until) for part in parts]
    for transaction in signed:
        api.remember_capture(transaction.id, valid_until)
    api.metrics.captured_events.inc(len(document.events))
    return signed


def _parts(events: Sequence[CapturedEvent]) -> list[tuple[CapturedEvent, ...]]:
    """The events in order, cut so that each part fits one transaction."""
    parts: list[list[CapturedEvent]] = [[]]
    size = 0
    for event in events:
        weight = len(encode(event)) + 8
        if parts[-1] and (len(parts[-1]) == EVENTS_MAX or size + weight > ARGUMENTS_BYTES_MAX):
            parts.append([])
            size = 0
        parts[-1].append(event)
        size += weight
    return [tuple(part) for part in parts]


def _transaction(api: Api, key: KeyPair, events: tuple[CapturedEvent, ...], valid_until: int) -> Transaction:
    body = TransactionBody(
        api.service.chain_id,
        key.public,
        secrets.token_bytes(NONCE_BYTES),
        valid_until,
        CONTRACT,
        METHOD,
        encode_arguments(CaptureArguments(events)),
    )
    return sign_transaction(body, key)


def _submit(api: Api, transaction: Transaction) -> None:
    submitted = submit(api, transaction.raw)
    if submitted.status == "refused":
        raise LedgerError(submitted.code, submitted.message, submitted.pointer)


# --- the job ---------------------------------------------------------------------


class _Word(Enum):
    """Where a transaction of a capture stands."""

    PENDING = "pending"
    FINAL = "final"
    LOST = "lost"  # it expired before a block took it


@dataclass(frozen=True, slots=True)
class _Part:
    """One transaction of a capture. `time_ms` is that of its block, or of its signing."""

    id: TxId
    word: _Word
    record: TransactionRecord | None
    time_ms: int


def _job(api: Api, ids: Sequence[TxId]) -> dict[str, Any]:
    """A capture as the standard's job, and beside it what became of each event.

    Raises:
        LedgerError: `capture.unknown`.
    """
    parts = [_part(api, transaction_id) for transaction_id in ids]
    signed = [api.captures[part.id].time_ms for part in parts if part.id in api.captures]
    errors = [error for part in parts for error in _errors(part)]
    job: dict[str, Any] = {
        "captureID": _join(ids),
        "createdAt": write_time(TimeMs(min(signed or [part.time_ms for part in parts]))),
        "running": any(part.word is _Word.PENDING for part in parts),
        "success": not errors,
        "captureErrorBehaviour": "rollback",
        "errors": errors,
        "transactions": [_summary(part) for part in parts],
    }
    if not job["running"]:
        job["finishedAt"] = write_time(TimeMs(max(part.time_ms for part in parts)))
    return job


def _part(api: Api, transaction_id: TxId) -> _Part:
    record, signed = api.service.transaction(transaction_id), api.captures.get(transaction_id)
    if record is not None and is_capture(record.transaction):
        if record.receipt is None:
            return _Part(transaction_id, _Word.PENDING, record, signed.time_ms if signed else api.now_ms())
        block = api.service.block(record.height or Height(0))
        assert block is not None, "a transaction with a receipt stands in a block"
        return _Part(transaction_id, _Word.FINAL, record, block.block.header.time_ms)
    if record is not None or signed is None:
        raise LedgerError("capture.unknown", "no capture with this id; it may wait at another node")
    is_lost = api.service.head()[0] >= signed.valid_until
    return _Part(transaction_id, _Word.LOST if is_lost else _Word.PENDING, None, signed.time_ms)


def _errors(part: _Part) -> list[dict[str, Any]]:
    if part.word is _Word.LOST:
        lost = LedgerError("transaction.expired", "no block took it before it expired; send it again")
        return [msgspec.to_builtins(problem_of(lost, "", is_epcis=True))]
    receipt = None if part.record is None else part.record.receipt
    if receipt is None or receipt.status is not Status.REFUSED:
        return []
    refused = LedgerError(receipt.code, "the ledger refused the capture", receipt.pointer)
    return [msgspec.to_builtins(problem_of(refused, "", is_epcis=True))]


def _summary(part: _Part) -> dict[str, Any]:
    summary: dict[str, Any] = {"id": part.id.hex(), "status": part.word.value, "events": []}
    if part.record is None or part.record.receipt is None:
        return summary
    receipt = part.record.receipt
    summary |= {"status": receipt.status.word, "height": part.record.height, "index": part.record.index}
    if receipt.status is not Status.REFUSED:
        results = enumerate(capture_results(receipt))
        summary["events"] = [_event(part.id, index, result) for index, result in results]
    return summary


def _event(transaction_id: TxId, index: int, result: EventResult) -> dict[str, Any]:
    """What became of an event. Of a repeated one the recording id is that of the first."""
    first = result.first
    told: dict[str, Any] = {
        "eventID": result.event_id,
        "recordingID": recording_id(transaction_id, index)
        if first is None
        else recording_id(first.transaction_id, first.event_index),
        "status": result.status.word,
        "flags": [flag.code for flag in result.flags],
    }
    if first is not None:
        told["first"] = {
            "eventID": first.event_id,
            "height": first.height,
            "transaction_index": first.transaction_index,
            "event_index": first.event_index,
            "transaction_id": first.transaction_id.hex(),
        }
    return told


def _answer(call: Call, job: dict[str, Any], status: int, head: Height) -> web.Response:
    is_xml = answer_type(call.request) == XML
    return bytes_answer(
        call,
        job_xml(job) if is_xml else msgspec.json.encode(job),
        head,
        status=status,
        media_type=XML if is_xml else JSON,
        headers={**SAID, **SAID_OF_CAPTURE},
    )


def _join(ids: Sequence[TxId]) -> str:
    return ".".join(each.hex() for each in ids)


def _event_path(event_id: str) -> str:
    return f"/epcis/events/{quote(event_id, safe='')}"
