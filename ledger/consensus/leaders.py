"""Which leaders are worth waiting for.

A leader that let several of its views pass without a proposal, and was not heard since, is
skipped at once. Nobody starts as silent: before anything is known, everyone is waited for.
"""

from __future__ import annotations


class LeaderWatch:
    """Counts the views that each leader missed since it was last heard."""

    def __init__(self, skip_after_views: int) -> None:
        self._skip_after_views = skip_after_views
        self._missed: dict[int, int] = {}

    def heard(self, validator: int) -> None:
        """A fresh, verified statement of this validator came."""
        self._missed.pop(validator, None)

    def missed(self, validator: int) -> None:
        """A view led by this validator was waited for and ended without its proposal."""
        self._missed[validator] = self._missed.get(validator, 0) + 1

    def is_silent(self, validator: int) -> bool:
        """Whether this validator's views need not be waited for."""
        return self._missed.get(validator, 0) >= self._skip_after_views
