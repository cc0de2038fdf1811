"""Evidence that this node holds, in the block database: a few small records beside the blocks.

Key: epoch 8, validator index 2, big-endian, so one validator has one record an epoch and key order
is the order of lists. Evidence is verified before it is written and is not verified again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ledger.errors import LedgerError
from ledger.evidence import Evidence, accused, decode_evidence, encode_evidence
from node.store.database import Database
from node.store.failure import StoreCorrupted

_EVIDENCE: Final = b"E"
_END: Final = b"\xff" * 10


class EvidenceStore:
    """The records of one node, over a database that others share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> tuple[Evidence, ...]:
        """Everything that is held, by ascending epoch and validator.

        Raises:
            StoreCorrupted
        """
        return tuple(
            self._read(key, value) for key, value in self._database.scan(_EVIDENCE, _EVIDENCE + _END)
        )

    def write(self, added: Iterable[Evidence], dropped: Iterable[Evidence]) -> None:
        """Keep some and forget others, in one synced batch; another thread may wait for it."""
        batch: dict[bytes, bytes | None] = {_key(evidence): encode_evidence(evidence) for evidence in added}
        batch.update((_key(evidence), None) for evidence in dropped)
        if batch:
            self._database.write(batch)

    def _read(self, key: bytes, value: bytes) -> Evidence:
        try:
            evidence = decode_evidence(value)
        except LedgerError as refusal:
            raise StoreCorrupted(self._database.path, f"evidence {key.hex()}", str(refusal)) from None
        if _key(evidence) != key:
            raise StoreCorrupted(self._database.path, f"evidence {key.hex()}", "it accuses somebody else")
        return evidence


def _key(evidence: Evidence) -> bytes:
    place = accused(evidence)
    return _EVIDENCE + place.epoch.to_bytes(8, "big") + place.validator.to_bytes(2, "big")
