"""What is kept beside a final block for disputes: why it stood where it stood, and what made it final."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical
from ledger.vote import Certificate, SignedProposal

GAP_MAX: Final = 4096
JUSTIFICATION_BYTES_MAX: Final = 64 << 20


class Justification(Canonical):
    """The proposal, a certificate of the block, the nullifications of the gap before it, its finalization.

    What this node never saw is None or empty: a block that came by catching up has its finalization only.
    `finalization` may be that of a descendant.
    """

    proposal: SignedProposal | None
    certificate: Certificate | None
    gap: Annotated[tuple[Certificate, ...], Meta(max_length=GAP_MAX)]
    finalization: Certificate
