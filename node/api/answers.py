"""Writing an answer: JSON, the height it is true for, and a tag by which a client need not fetch it twice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from ledger.errors import LedgerError
from ledger.types import Height
from node.api.parameters import AT
from node.api.routes import Call

HEIGHT_HEADER: Final = "X-Ledger-Height"
JSON: Final = "application/json"
ETAG_BYTES: Final = 16


def json_answer(
    call: Call, model: BaseModel, height: Height, *, status: int = 200, media_type: str = JSON
) -> web.Response:
    """An answer to a read, true at `height`; 304 where the client has it already."""
    return bytes_answer(call, model.model_dump_json().encode(), height, status=status, media_type=media_type)


def bytes_answer(
    call: Call,
    body: bytes,
    height: Height,
    *,
    status: int = 200,
    media_type: str = JSON,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The same over bytes that are already written."""
    tag = hashlib.sha256(body).hexdigest()[: 2 * ETAG_BYTES]
    sent = {HEIGHT_HEADER: str(height), "ETag": f'"{tag}"', "Cache-Control": "no-cache", **(headers or {})}
    if status == 200 and _is_known(call.request, tag):
        return web.Response(status=304, headers=sent)
    return web.Response(body=body, status=status, content_type=media_type, headers=sent)


def _is_known(request: web.Request, tag: str) -> bool:
    try:
        known = request.if_none_match or ()
    except ValueError:  # a header that cannot be read is a header that is not there
        return False
    return any(each.value in {tag, "*"} for each in known)


def check_at(call: Call, head: Height) -> None:
    """Refuse `?at=` a height whose state is not the one at hand.

    Raises:
        LedgerError: `at.in_future`, `at.not_kept`.
    """
    at = call.get(AT)
    if at is None or at == head:
        return
    if at > head:
        raise LedgerError("at.in_future", f"the last final block is {head}", "/query/at")
    raise LedgerError(
        "at.not_kept",
        f"state is kept at the last final block, {head}; ask for a proof or a history",
        "/query/at",
    )
