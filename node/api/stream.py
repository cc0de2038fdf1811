"""Final blocks and their events as they come: server-sent events that resume exactly.

Each height gives one `block` entry and then one `event` entry for each EPCIS event it recorded, with
the ids `height-0`, `height-1` and so on. A client that sends the last id it has seen goes on with the one
after it, so it sees each entry once, whatever was lost on the way.

Source: WHATWG HTML, section 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from aiohttp import web

from contracts.epcis.canonical_json import Json, canonical
from contracts.epcis.document import restore_event
from contracts.epcis.event_hash import event_hash
from ledger.errors import LedgerError
from ledger.state import StateView
from ledger.types import Height
from node.api.answers import HEIGHT_HEADER
from node.api.context import STREAMS_OF_CLIENT_MAX, Api
from node.api.parameters import HEIGHT_SCHEMA, Parameter, read_height
from node.api.recorded import RecordedEvent, events_in
from node.api.routes import Answer, Call, Route
from node.api.tokens import Scope
from node.service import BlockRecord

RETRY_MS: Final = 2000  # what a browser waits before it connects again
PATH: Final = "/v1/stream"
INDEX_MAX: Final = 2**31

_ID = re.compile(r"(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,9})")


class Position(NamedTuple):
    """An entry of the stream; entry 0 is the block, 1 its first event."""

    height: Height
    entry: int


def read_position(text: str) -> Position:
    """The entry that an id names."""
    found = _ID.fullmatch(text)
    if found is None or int(found[2]) > INDEX_MAX:
        raise ValueError("expected an id of this stream: height-index")
    return Position(Height(int(found[1])), int(found[2]))


FROM: Final = Parameter(
    "from",
    "query",
    read_height,
    HEIGHT_SCHEMA,
    "The height to begin with; without it and without Last-Event-ID, the next block.",
)
LAST_EVENT_ID: Final = Parameter(
    "Last-Event-ID",
    "header",
    read_position,
    {"type": "string", "pattern": "^[0-9]{1,16}-[0-9]{1,10}$"},
    "The id of the last entry seen; the stream goes on after it. It overrules `from`.",
)


async def stream(api: Api, call: Call) -> web.StreamResponse:
    """Send entries until the client goes away or the node stops."""
    api.authorise(call.request.headers.get("Authorization"), Scope.READ)
    head = api.service.head()[0]
    last = call.get(LAST_EVENT_ID)
    begin = call.get(FROM)
    if last is None:
        last = Position(Height((head + 1 if begin is None else begin) - 1), INDEX_MAX)
    if last.height > head + 1:
        raise LedgerError("stream.in_future", f"the last final block is {head}", "/query/from")
    start = last.height + 1 if last.entry == INDEX_MAX else last.height
    with _counted(api, call.request.remote or ""):
        records = api.service.follow(Height(start))
        return await _send(api, call.request, records, last)


async def _send(
    api: Api, request: web.Request, records: AsyncIterator[BlockRecord], last: Position
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
            HEIGHT_HEADER: str(api.service.head()[0]),
        }
    )
    await response.prepare(request)
    stopping = asyncio.create_task(api.stopping.wait())
    following: asyncio.Task[BlockRecord] | None = None
    try:
        await _write(api, response, f"retry: {RETRY_MS}\n\n".encode())
        while not api.stopping.is_set():
            if following is None:
                following = asyncio.ensure_future(anext(records))
            await asyncio.wait(
                {following, stopping},
                timeout=api.settings.stream_comment_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if following.done():
                record, following = following.result(), None
                for chunk in entries(record, api.service.state(), last):
                    await _write(api, response, chunk)
            elif not stopping.done():
                await _write(api, response, b": keep-alive\n\n")
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    except StopAsyncIteration:  # the node ends its streams before it says that it stops
        return response
    finally:
        await _end(stopping, following, records)
    return response


async def _end(
    stopping: asyncio.Task[bool],
    following: asyncio.Task[BlockRecord] | None,
    records: AsyncIterator[BlockRecord],
) -> None:
    tasks = [stopping] if following is None else [stopping, following]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    close = getattr(records, "aclose", None)
    if close is not None:
        await close()


async def _write(api: Api, response: web.StreamResponse, chunk: bytes) -> None:
    """Write, and take a client that does not read for one that is gone."""
    async with asyncio.timeout(api.settings.answer_seconds):
        await response.write(chunk)


def entries(record: BlockRecord, state: StateView, last: Position) -> Iterator[bytes]:
    """What the stream says of a block, from the entry after `last` on."""
    height = Height(record.block.header.height)
    if Position(height, 0) > last:
        yield _entry(Position(height, 0), "block", _block(record))
    for index, event in enumerate(events_in(record, state), 1):
        if Position(height, index) > last:
            yield _entry(Position(height, index), "event", _event(event))


def _entry(position: Position, name: str, data: dict[str, Json]) -> bytes:
    text = canonical(data)  # holds no line end: control characters in strings are escaped
    return f"id: {position.height}-{position.entry}\nevent: {name}\ndata: ".encode() + text + b"\n\n"


def _block(record: BlockRecord) -> dict[str, Json]:
    header = record.block.header
    return {
        "id": record.id.hex(),
        "height": header.height,
        "time_ms": header.time_ms,
        "state_root": header.state_root.hex(),
        "transaction_count": header.transaction_count,
        "event_count": header.event_count,
    }


def _event(event: RecordedEvent) -> dict[str, Json]:
    restored = restore_event(event.stored)
    return {
        "height": event.place.height,
        "transaction_index": event.place.transaction,
        "event_index": event.place.event,
        "transaction_id": event.transaction_id.hex(),
        "event_id": event.event_id,
        "organisation": event.organisation,
        "status": event.status.word,
        "flags": [flag.code for flag in event.flags],
        "commitment": event.commitment.hex(),
        "cbv_event_hash": event_hash(restored),
        "event": restored,
    }


@contextmanager
def _counted(api: Api, client: str) -> Iterator[None]:
    """Count the open streams of a client.

    Raises:
        LedgerError: `stream.too_many`.
    """
    if api.streams_of.get(client, 0) >= STREAMS_OF_CLIENT_MAX:
        raise LedgerError("stream.too_many", f"{STREAMS_OF_CLIENT_MAX} streams of this client are open")
    api.streams_of[client] = api.streams_of.get(client, 0) + 1
    api.metrics.streams.inc()
    try:
        yield
    finally:
        api.metrics.streams.dec()
        api.streams_of[client] -= 1
        if not api.streams_of[client]:
            del api.streams_of[client]


ROUTES: Final[tuple[Route[Api], ...]] = (
    Route(
        "GET",
        PATH,
        stream,
        "Final blocks and their events as they come",
        (
            Answer(
                200,
                "Server-sent events named `block` and `event`, with ids `height-index`.",
                media_type="text/event-stream",
                schema={"type": "string"},
            ),
        ),
        parameters=(FROM, LAST_EVENT_ID),
        errors=(429,),
        is_long=True,
    ),
)
