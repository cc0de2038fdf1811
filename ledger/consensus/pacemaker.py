"""The timers of a view, of repair and of the idle chain: monotonic milliseconds, all capped.

An idle chain runs no view timer. From the moment a view wakes, its proposal has 2d and the
view 3d, where d grows with the number of views since the last finalized one, up to a cap.

Source: docs/spec/consensus.md, rules P1-P6.
"""

from __future__ import annotations

from ledger.consensus.timeouts import (
    ConsensusParameters,
    advance_timeout_ms,
    delay_ms,
    leader_timeout_ms,
    refusal_floor_ms,
)


class Pacemaker:
    """Knows when things fall due; what then happens is the machine's business."""

    def __init__(self, parameters: ConsensusParameters) -> None:
        self._parameters = parameters
        self.entered_at_ms = 0
        self.awake_at_ms: int | None = None
        self._committed_at_ms = 0
        self._retry_at_ms: int | None = None
        self._status_at_ms = 0
        self._wake_asked_ms: int | None = None

    def start(self, now_ms: int) -> None:
        """Begin to count: the heartbeat, and the first beacon at once."""
        self.entered_at_ms = self._committed_at_ms = self._status_at_ms = now_ms

    # --- the view ---------------------------------------------------------------

    def enter(self, now_ms: int) -> None:
        """A view begins; it sleeps until something wakes it."""
        self.entered_at_ms, self.awake_at_ms = now_ms, None

    def set_awake(self, is_awake: bool, now_ms: int) -> None:
        """Arm the timers of the view at the moment of waking, disarm them when nothing is left to do."""
        if not is_awake:
            self.awake_at_ms = None
        elif self.awake_at_ms is None:
            self.awake_at_ms = now_ms

    def empty_block_at_ms(self, distance: int) -> int | None:
        """When a leader helps an unfinalized parent with an empty block: after d, so that the finalization
        that is on its way has time to arrive, and the block has d left."""
        if self.awake_at_ms is None:
            return None
        return self.awake_at_ms + delay_ms(self._parameters, distance)

    def leader_timeout_at_ms(self, distance: int) -> int | None:
        """When the wait for the proposal ends; None while the view sleeps."""
        if self.awake_at_ms is None:
            return None
        return self.awake_at_ms + leader_timeout_ms(self._parameters, distance)

    def advance_timeout_at_ms(self, distance: int) -> int | None:
        """When the wait for the view's quorum ends; None while the view sleeps."""
        if self.awake_at_ms is None:
            return None
        return self.awake_at_ms + advance_timeout_ms(self._parameters, distance)

    def refusal_at_ms(self, distance: int) -> int:
        """When a view with an invalid block may be nullified."""
        return self.entered_at_ms + refusal_floor_ms(self._parameters, distance)

    # --- the idle chain -----------------------------------------------------------

    def committed(self, now_ms: int) -> None:
        """A block was committed: the next heartbeat counts from here, and nothing is overdue."""
        self._committed_at_ms = now_ms
        self._retry_at_ms = None

    @property
    def heartbeat_at_ms(self) -> int:
        """When the chain shows that it lives, whatever the clock in the headers says."""
        return self._committed_at_ms + self._parameters.heartbeat_ms

    def is_status_due(self, now_ms: int) -> bool:
        """Whether to say where this node stands; then the next time is set."""
        if now_ms < self._status_at_ms:
            return False
        self._status_at_ms = now_ms + self._parameters.status_ms
        return True

    # --- repair ------------------------------------------------------------------

    def is_retry_due(self, now_ms: int) -> bool:
        """Whether to send the unfinished again; then the timer waits to be armed anew."""
        if self._retry_at_ms is None or now_ms < self._retry_at_ms:
            return False
        self._retry_at_ms = None
        return True

    def arm_retry(self, is_unfinished: bool, now_ms: int) -> None:
        """Run the timer while anything is unfinished; a sleeping view does at the slow rate of the beacon."""
        is_asleep = self.awake_at_ms is None
        interval_ms = self._parameters.status_ms if is_asleep else self._parameters.retry_ms
        if not is_unfinished:
            self._retry_at_ms = None
        elif self._retry_at_ms is None or self._retry_at_ms > now_ms + interval_ms:
            self._retry_at_ms = now_ms + interval_ms

    # --- the one alarm -------------------------------------------------------------

    def woke(self) -> None:
        """The alarm rang, maybe a little early: whatever is still to come must be asked for anew."""
        self._wake_asked_ms = None

    def next_wake_ms(self, now_ms: int, deadlines_ms: list[int | None]) -> int | None:
        """The earliest deadline still to come, if the driver was not asked for it already."""
        every = [*deadlines_ms, self.heartbeat_at_ms, self._retry_at_ms, self._status_at_ms]
        wake_ms = min(deadline for deadline in every if deadline is not None and deadline > now_ms)
        if wake_ms == self._wake_asked_ms:
            return None
        self._wake_asked_ms = wake_ms
        return wake_ms
