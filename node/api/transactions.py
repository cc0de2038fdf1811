"""Transactions in, singly or in batches, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta

from ledger.codec import decode
from ledger.errors import LedgerError
from ledger.receipt import Receipt
from ledger.types import TRANSACTION_BYTES_MAX, TxId
from node.api.answers import json_answer
from node.api.body import media_type, read_body
from node.api.context import WAITS_MAX, Api
from node.api.models import (
    BatchModel,
    BatchResultModel,
    ReceiptModel,
    Status,
    SubmittedModel,
    TransactionModel,
)
from node.api.parameters import AT, HASH_SCHEMA, Parameter, read_hash, wait_seconds
from node.api.problems import Refusal
from node.api.routes import Answer, Body, Call, Route
from node.api.tokens import Scope
from node.api.turns import Turns
from node.service import Submitted, TransactionRecord

ONE: Final = "application/vnd.farmgate.tx"
BATCH: Final = "application/vnd.farmgate.tx-batch"
BATCH_TRANSACTIONS_MAX: Final = 1000
BATCH_BYTES_MAX: Final = 4 << 20  # a block's worth

_Batch = Annotated[tuple[bytes, ...], Meta(min_length=1, max_length=BATCH_TRANSACTIONS_MAX)]

ID: Final = Parameter("id", "path", read_hash, HASH_SCHEMA, "The transaction's id.")
PREFER: Final = Parameter(
    "Prefer",
    "header",
    wait_seconds,
    {"type": "string", "examples": ["wait=5"]},
    "`wait=S`: answer when all are final, or after S seconds (30 at most) with what is known then.",
)


async def post(api: Api, call: Call) -> web.StreamResponse:
    """Admit one transaction or a batch."""
    kind = media_type(call.request, (ONE, BATCH))
    bytes_max = TRANSACTION_BYTES_MAX if kind == ONE else BATCH_BYTES_MAX
    body = await read_body(call.request, bytes_max, api.settings.body_seconds)
    return await (_post_one if kind == ONE else _post_batch)(api, call, body)


async def _post_one(api: Api, call: Call, raw: bytes) -> web.StreamResponse:
    submitted = submit(api, raw)
    if submitted.id is None or submitted.status == Status.REFUSED.value:
        raise LedgerError(submitted.code, submitted.message, submitted.pointer)
    await wait_for(api, call, [submitted.id])
    record = api.service.transaction(submitted.id)
    answer = SubmittedModel(id=submitted.id.hex(), status=Status(submitted.status))
    if record is not None and record.receipt is not None:
        answer = SubmittedModel(
            id=submitted.id.hex(),
            status=_settled(submitted, record.receipt),
            height=record.height,
            index=record.index,
            receipt=receipt_model(record.receipt),
        )
    return _accepted(api, call, answer, f"/v1/transactions/{submitted.id.hex()}")


async def _post_batch(api: Api, call: Call, body: bytes) -> web.StreamResponse:
    raws: tuple[bytes, ...] = decode(body, _Batch, BATCH_BYTES_MAX)
    answers = []
    turns = Turns()
    for raw in raws:
        answers.append(submit(api, raw))
        await turns.give()
    admitted = [each.id for each in answers if each.id is not None and each.status != Status.REFUSED.value]
    await wait_for(api, call, admitted)
    results = []
    for each in answers:
        results.append(_batch_result(api, each))
        await turns.give()
    return _accepted(api, call, BatchModel(results=results), None)


def submit(api: Api, raw: bytes) -> Submitted:
    """Hand a transaction to the node, and count it."""
    api.metrics.transaction_bytes.observe(len(raw))
    submitted = api.service.submit(raw)
    api.metrics.transactions.labels(submitted.status).inc()
    return submitted


def _batch_result(api: Api, submitted: Submitted) -> BatchResultModel:
    if submitted.id is None or submitted.status == Status.REFUSED.value:
        return BatchResultModel(
            id=None if submitted.id is None else submitted.id.hex(),
            status=Status.REFUSED,
            code=submitted.code,
            detail=submitted.message,
            pointer=submitted.pointer,
        )
    record = api.service.transaction(submitted.id)
    receipt = None if record is None else record.receipt
    return BatchResultModel(
        id=submitted.id.hex(),
        status=Status(submitted.status) if receipt is None else _settled(submitted, receipt),
        code="" if receipt is None else receipt.code,
        pointer="" if receipt is None else receipt.pointer,
        height=None if record is None else record.height,
        index=None if record is None else record.index,
        receipt=None if receipt is None else receipt_model(receipt),
    )


def _settled(submitted: Submitted, receipt: Receipt) -> Status:
    """A transaction that was final before it came is a duplicate, whatever its receipt says."""
    if submitted.status == Status.DUPLICATE.value:
        return Status.DUPLICATE
    return Status(receipt.status.word)


def _accepted(api: Api, call: Call, model: BatchModel | SubmittedModel, location: str | None) -> web.Response:
    answer = json_answer(call, model, api.service.head()[0], status=202)
    answer.headers["Cache-Control"] = "no-store"
    if location is not None:
        answer.headers["Location"] = location
    if call.get(PREFER) is not None:
        answer.headers["Preference-Applied"] = f"wait={call.get(PREFER)}"
    return answer


async def wait_for(api: Api, call: Call, transaction_ids: Sequence[TxId], seconds_default: int = 0) -> None:
    """Wait as the client prefers, until all of them are final or the node stops.

    Raises:
        LedgerError: `requests.too_many_at_once`; the transactions are on their way all the same.
    """
    wish = call.get(PREFER)
    seconds = seconds_default if wish is None else wish
    if not seconds or not transaction_ids:
        return
    async with _counted_wait(api):
        stopping = asyncio.create_task(api.stopping.wait())
        waiting = asyncio.create_task(api.service.wait(transaction_ids, seconds))
        try:
            await asyncio.wait({stopping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, waiting):
                task.cancel()
            await asyncio.gather(stopping, waiting, return_exceptions=True)


@asynccontextmanager
async def _counted_wait(api: Api) -> AsyncIterator[None]:
    if api.waits >= WAITS_MAX:
        raise Refusal(
            "requests.too_many_at_once",
            "the transaction was taken; too many requests wait already, ask for it by its id",
            {},
        )
    api.waits += 1
    try:
        yield
    finally:
        api.waits -= 1


async def get(api: Api, call: Call) -> web.StreamResponse:
    """A transaction that waits or is final."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    record = api.service.transaction(TxId(call.need(ID)))
    at = call.get(AT)
    if at is not None and at > head:
        raise LedgerError("at.in_future", f"the last final block is {head}", "/query/at")
    if record is None or (at is not None and (record.height is None or record.height > at)):
        raise LedgerError(
            "transaction.unknown", "neither waiting here nor in a final block; it may wait at another node"
        )
    return json_answer(call, transaction_model(record), head)


def transaction_model(record: TransactionRecord) -> TransactionModel:
    """A transaction as JSON."""
    body = record.transaction.body
    return TransactionModel(
        id=record.transaction.id.hex(),
        status=Status.PENDING if record.receipt is None else Status(record.receipt.status.word),
        height=record.height,
        index=record.index,
        receipt=None if record.receipt is None else receipt_model(record.receipt),
        sender=body.sender.hex(),
        contract=body.contract,
        method=body.method,
        valid_until=body.valid_until,
        size_bytes=len(record.transaction.raw),
    )


def receipt_model(receipt: Receipt) -> ReceiptModel:
    """A receipt as JSON."""
    return ReceiptModel(
        transaction_id=receipt.transaction_id.hex(),
        status=Status(receipt.status.word),
        code=receipt.code,
        pointer=receipt.pointer,
        result=receipt.result.hex(),
        events=[commitment.hex() for commitment in receipt.events],
    )


ROUTES: Final[tuple[Route[Api], ...]] = (
    Route(
        "POST",
        "/v1/transactions",
        post,
        "Submit a transaction, or a batch of them",
        (
            Answer(202, "One: where it stands.", SubmittedModel),
            Answer(202, "A batch: one result each, in its order.", BatchModel),
        ),
        parameters=(PREFER,),
        body=Body(
            (ONE, BATCH),
            BATCH_BYTES_MAX,
            "The canonical bytes of a signed transaction, or a MessagePack array of such byte strings.",
        ),
        errors=(403, 408, 413, 415),
    ),
    Route(
        "GET",
        "/v1/transactions/{id}",
        get,
        "A transaction, and what became of it",
        (Answer(200, "The transaction.", TransactionModel),),
        parameters=(ID, AT),
        errors=(404,),
    ),
)
