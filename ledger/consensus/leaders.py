"""Which leaders are worth waiting for.

A leader that let several of its views pass without a proposal, and was not heard since, is
skipped at once. Nobody starts as silent: before anything is known, everyone is waited for.
What is known of a leader outlives an epoch, or short ones would wait for a dead one for ever.
"""

from __future__ import annotations

from ledger.types import PublicKey
from ledger.validators import ValidatorSet


class LeaderWatch:
    """Counts the views that each leader missed since it was last heard."""

    def __init__(self) -> None:
        self._missed: dict[PublicKey, int] = {}

    def keep(self, validators: ValidatorSet) -> None:
        """Forget who is not in the set of the epoch that begins."""
        kept = {key: missed for key, missed in self._missed.items() if validators.index_of(key) is not None}
        self._missed = kept

    def heard(self, validator: PublicKey) -> None:
        """A fresh, verified statement of this validator came."""
        self._missed.pop(validator, None)

    def missed(self, validator: PublicKey) -> None:
        """A view led by this validator was waited for and ended without its proposal."""
        self._missed[validator] = self._missed.get(validator, 0) + 1

    def is_silent(self, validator: PublicKey, skip_after_views: int) -> bool:
        """Whether this validator's views need not be waited for: it missed so many."""
        return self._missed.get(validator, 0) >= skip_after_views
