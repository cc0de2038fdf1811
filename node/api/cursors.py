"""Where the next page begins: a height and an offset, so that pages of one walk fit together.

Lists that are paged this way only grow. A page holds nothing that came after the height of
its first page, and a cursor stays good for ever.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote

from ledger.types import Height
from node.api.parameters import CURSOR_LENGTH_MAX, Parameter

_CURSOR = re.compile(r"(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,15})")


class Cursor(NamedTuple):
    """The height that a walk is bound to, and how many entries it has passed."""

    height: Height
    offset: int


def read_cursor(text: str) -> Cursor:
    """The cursor that an earlier page named."""
    found = _CURSOR.fullmatch(text)
    if len(text) > CURSOR_LENGTH_MAX or found is None:
        raise ValueError("expected the cursor of an earlier page")
    return Cursor(Height(int(found[1])), int(found[2]))


def next_path(path: str, start: Cursor, limit: int, *, more: bool, extra: str = "") -> str | None:
    """The path of the page after the one that began at `start`, or None where it was the last."""
    if not more:
        return None
    return f"{quote(path, safe='/%')}?cursor={start.height}-{start.offset + limit}&limit={limit}{extra}"


CURSOR: Final = Parameter(
    "cursor",
    "query",
    read_cursor,
    {"type": "string", "pattern": "^[0-9]{1,16}-[0-9]{1,16}$"},
    "Go on where an earlier page ended; its `next` has the whole path.",
)
