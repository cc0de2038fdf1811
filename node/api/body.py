"""Reading a request's body: its media type, its size and its patience, each bounded.

A body that trickles would hold a connection for ever: the whole of it has to come within
`seconds`. Nothing is ever decompressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ledger.errors import LedgerError
from node.api.problems import Refusal

CHUNK_BYTES: Final = 64 << 10
MEDIA_TYPE_LENGTH_MAX: Final = 200


def media_type(request: web.Request, allowed: Sequence[str]) -> str:
    """The body's media type, without parameters.

    Raises:
        LedgerError: `body.media_type`, `body.encoded`.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Refusal("body.encoded", "a compressed body is not read; send it plain", {"Accept-Encoding": ""})
    found = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if found not in allowed:
        shown = repr(found[:MEDIA_TYPE_LENGTH_MAX]) if found else "none"
        raise Refusal(
            "body.media_type",
            f"the body's media type is {shown}, expected {' or '.join(allowed)}",
            {"Accept-Post": ", ".join(allowed)},
        )
    return found


async def read_body(request: web.Request, bytes_max: int, seconds: float) -> bytes:
    """The whole body.

    Raises:
        LedgerError: `body.too_large`, `body.timed_out`, `body.malformed`; the connection ends then.
    """
    if request.content_length is not None and request.content_length > bytes_max:
        raise _too_large(bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                body += chunk
                if len(body) > bytes_max:
                    raise _too_large(bytes_max)
    except TimeoutError:
        raise LedgerError("body.timed_out", f"the body did not arrive within {seconds:g} s") from None
    except (HttpProcessingError, web.RequestPayloadError) as problem:
        raise LedgerError("body.malformed", f"the body is not framed as HTTP says: {problem}") from None
    return bytes(body)


def _too_large(bytes_max: int) -> LedgerError:
    return LedgerError("body.too_large", f"at most {bytes_max} bytes are read here")
