"""What became of one transaction of a block, in words that stay the same for ever.

A receipt holds codes, never exception texts: texts change between releases and
receipts are hashed into the header.
"""

from __future__ import annotations

from enum import IntEnum

from ledger.codec import Canonical, encode
from ledger.types import Bytes32, Code


class Status(IntEnum):
    """The result words, the same in every interface."""

    ACCEPTED = 0
    FLAGGED = 1  # recorded, with something a person should look at
    REFUSED = 2  # nothing changed but replay record and quota
    DUPLICATE = 3  # the same content was recorded before; the result names the first

    @property
    def word(self) -> str:
        """The word that people and scripts see."""
        return self.name.lower()


class Receipt(Canonical):
    """Outcome of a transaction.

    `code` and `pointer` are empty unless the status is REFUSED; `result` is what the
    method answered (its own canonical record); `events` are the commitments of the
    EPCIS events it recorded, in order.
    """

    transaction_id: Bytes32
    status: Status
    code: Code
    pointer: str
    result: bytes
    events: tuple[Bytes32, ...]


def receipt_bytes(receipt: Receipt) -> bytes:
    """The leaf that stands in the receipts tree."""
    return encode(receipt)
