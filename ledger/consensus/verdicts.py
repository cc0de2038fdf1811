"""Which vote signatures were found valid already, bound to the exact bytes.

A vote arrives alone, again in a resend and again inside certificates; it is verified once.
Only valid ones are remembered: a flood of bad signatures displaces nothing.
"""

from __future__ import annotations

from typing import Final

from ledger.types import PublicKey, Signature
from ledger.vote import is_vote_signature

VERDICTS_MAX: Final = 16_384  # 128 validators, three kinds, forty views; about 5 MiB


class SignatureCache:
    """Answers as `is_vote_signature` does, and remembers. The oldest half goes when it is full."""

    def __init__(self, verdicts_max: int = VERDICTS_MAX) -> None:
        self._verdicts_max = verdicts_max
        self._valid: dict[tuple[PublicKey, bytes, Signature], None] = {}

    def is_valid(self, public_key: PublicKey, vote_bytes: bytes, signature: Signature) -> bool:
        """Whether the signature over exactly these bytes by exactly this key is valid."""
        verdict = (public_key, vote_bytes, signature)
        if verdict in self._valid:
            return True
        if not is_vote_signature(public_key, vote_bytes, signature):
            return False
        if len(self._valid) >= self._verdicts_max:
            self._valid = dict.fromkeys(list(self._valid)[self._verdicts_max // 2 :])
        self._valid[verdict] = None
        return True

    def __len__(self) -> int:
        return len(self._valid)
