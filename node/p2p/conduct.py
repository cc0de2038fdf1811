"""How peers behave: a score that fades, and who has to stay away for a while. No clock, no sockets here.

A peer that offends past the threshold is put out for BAN_SECONDS. Validators are put out one by one, never so
many at once that the chain could stop: a bug of ours that calls everybody an offender must not isolate us.

Source: docs/spec/p2p.md, rules C1-C4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

SCORE_MAX: Final = 1_000
FADE_PER_SECOND: Final = 20
BAN_SECONDS: Final = 10.0


class Offence(Enum):
    """What a peer did that a correct one does not do. The value is its weight."""

    MALFORMED = 1_000  # a frame or message that no correct node makes: once is enough
    INVALID = 50  # a transaction or vote with a bad signature or form: it should have refused it itself
    FALSE_EVIDENCE = 500  # it accuses somebody of what was never signed: a slip once, a lie twice
    UNSOLICITED = 5  # an answer that nobody asked for
    DUPLICATE = 1  # the same transaction again: happens after a restart


@dataclass(slots=True)
class _Record:
    score: float = 0.0
    since: float = 0.0
    banned_until: float = 0.0


class Conduct:
    """The scores of all peers. `is_validator` and `validators` tell who counts for the limit on bans."""

    def __init__(self, is_validator: Callable[[bytes], bool], validators: Callable[[], int]) -> None:
        self._is_validator = is_validator
        self._validators = validators
        self._records: dict[bytes, _Record] = {}

    def note(self, peer: bytes, offence: Offence, count: int, now: float) -> bool:
        """Count an offence; True says that the peer has to go now (and stays away for BAN_SECONDS)."""
        record = self._records.setdefault(peer, _Record(since=now))
        record.score = self._faded(record, now) + offence.value * count
        record.since = now
        if record.score < SCORE_MAX or not self._may_ban(peer, now):
            return False
        record.score = 0.0
        record.banned_until = now + BAN_SECONDS
        return True

    def is_banned(self, peer: bytes, now: float) -> bool:
        """Whether a peer has to stay away now."""
        record = self._records.get(peer)
        return record is not None and now < record.banned_until

    def score(self, peer: bytes, now: float) -> float:
        """A peer's score, 0 where it behaves."""
        record = self._records.get(peer)
        return 0.0 if record is None else self._faded(record, now)

    def keep(self, peers: frozenset[bytes]) -> None:
        """Forget whoever is no member any more."""
        self._records = {peer: record for peer, record in self._records.items() if peer in peers}

    def _faded(self, record: _Record, now: float) -> float:
        return max(0.0, record.score - FADE_PER_SECOND * (now - record.since))

    def _may_ban(self, peer: bytes, now: float) -> bool:
        if not self._is_validator(peer):
            return True
        out = sum(self._is_validator(other) for other in self._records if self.is_banned(other, now))
        return 3 * (out + 1) < self._validators()
