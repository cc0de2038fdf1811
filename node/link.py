"""The link of a page: a later header that a certificate names, and why the page's last block lies below it.

Every header commits to the ids of all headers before it, in order (`history_root`). Who holds the frontier
of that log at the page's last block needs the roots of the few subtrees between the two and no header of
them: a link has the same small size however many blocks lie under one certificate.

Source: docs/spec/p2p.md, rules B1-B4; docs/adr/0010-links-by-the-history-log.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from ledger.block import Header
from ledger.codec import Canonical
from ledger.errors import LedgerError
from ledger.merkle import log
from ledger.types import BlockId, Bytes32


class Link(Canonical):
    """A header above a page's last block, and the subtrees of ids that lie between, oldest first."""

    header: Header
    subtrees: Annotated[tuple[Bytes32, ...], Meta(max_length=log.EXTENSION_LENGTH_MAX)]


def make_link(header: Header, between: Sequence[BlockId]) -> Link:
    """The link to `header` from the block whose descendants, in order and below it, are `between`."""
    leaves = [log.leaf_hash(identifier) for identifier in between]
    return Link(header, log.extension(header.height - len(between), leaves))


def check_link(link: Link, history: log.Frontier) -> None:
    """Refuse a link to a header that does not come after exactly this history.

    Args:
        history: the frontier over the ids of all headers up to and with the page's last block.

    Raises:
        LedgerError: `page.broken_link`.
    """
    try:
        reached = history.extend(link.header.height, link.subtrees)
    except LedgerError as refusal:
        raise LedgerError("page.broken_link", refusal.message) from None
    if reached.root() != link.header.history_root:
        raise LedgerError(
            "page.broken_link", f"height {link.header.height} has another history than the page's blocks"
        )
