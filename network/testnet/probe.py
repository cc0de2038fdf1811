"""One question to one node of a local network, with a short patience."""

from __future__ import annotations

import http.client
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

ANSWER_BYTES_MAX: Final = 4 << 20
SECONDS: Final = 2.0


def ask(url: str, path: str, seconds: float = SECONDS) -> tuple[int, Any] | None:
    """Status and JSON of a GET, or None where there was no (readable) answer in time."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        return response.status, msgspec.json.decode(response.read(ANSWER_BYTES_MAX))
    except (OSError, http.client.HTTPException, msgspec.MsgspecError):
        return None
    finally:
        connection.close()
