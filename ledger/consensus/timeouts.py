"""The constants of consensus, fixed by genesis, and the timers that follow from them.

All in integer milliseconds of monotonic time; no floats, so every node computes the same.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from ledger.codec import Canonical
from ledger.errors import LedgerError

Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]
SmallCount = Annotated[int, Meta(ge=1, le=1_000_000)]

EPOCH_BLOCKS_MIN: Final = 10
"""A quarantine takes about five blocks of one epoch: in shorter ones it never ends."""


class ConsensusParameters(Canonical):
    """What genesis fixes for agreement. The defaults suit validators up to 300 ms apart."""

    delay_first_ms: Milliseconds = 500  # D0: the delay that a view allows for while all goes well
    delay_growth_numerator: SmallCount = 3  # g = 3/2, for each view since the last finalized one
    delay_growth_denominator: SmallCount = 2
    delay_max_ms: Milliseconds = 15_000  # Dmax: growth stops here, so recovery is never far
    drift_ms: Milliseconds = 2_000  # how far a block's time may lie ahead of a voter's wall clock
    retry_ms: Milliseconds = 1_000  # t_retry: how often the unfinished is sent again
    heartbeat_ms: Milliseconds = 60_000  # an idle chain makes a block this long after the last
    status_ms: Milliseconds = 5_000  # how often a node says where it stands
    skip_after_views: SmallCount = 3  # a leader that missed so many views is not waited for
    epoch_blocks: SmallCount = 1_000
    epoch_ms: Milliseconds = 600_000
    certificate_retention_epochs: SmallCount = 2


def check_parameters(parameters: ConsensusParameters) -> None:
    """Refuse constants under which the chain could not go on.

    Raises:
        LedgerError: `parameters.consensus`.
    """
    if parameters.delay_growth_numerator < parameters.delay_growth_denominator:
        raise LedgerError("parameters.consensus", "delays must not shrink: growth is below one")
    if parameters.delay_max_ms < parameters.delay_first_ms:
        raise LedgerError("parameters.consensus", "delay_max_ms is below delay_first_ms")


def turns_while_idle(parameters: ConsensusParameters) -> bool:
    """Whether an idle chain turns with nearly every block: no quarantine ends then, no absence is seen."""
    return parameters.epoch_ms < EPOCH_BLOCKS_MIN * parameters.heartbeat_ms


def check_epochs(parameters: ConsensusParameters) -> None:
    """Refuse epochs in which a validator that lost its record could not come back, on an idle chain either.

    Raises:
        LedgerError: `parameters.epochs`.
    """
    if parameters.epoch_blocks < EPOCH_BLOCKS_MIN:
        raise LedgerError(
            "parameters.epochs",
            f"epoch_blocks {parameters.epoch_blocks}, expected {EPOCH_BLOCKS_MIN} or more",
        )
    if turns_while_idle(parameters):
        raise LedgerError(
            "parameters.epochs",
            f"epoch_ms {parameters.epoch_ms} is below {EPOCH_BLOCKS_MIN} times heartbeat_ms "
            f"{parameters.heartbeat_ms}: an idle chain would turn with nearly every block",
        )


def delay_ms(parameters: ConsensusParameters, distance: int) -> int:
    """d = min(D0 * g**k, Dmax), where k is the number of views since the last finalized one."""
    delay = parameters.delay_first_ms
    for _ in range(distance):
        if delay >= parameters.delay_max_ms:
            break
        grown = delay * parameters.delay_growth_numerator // parameters.delay_growth_denominator
        if grown == delay:
            break  # growth of one: constant timers were asked for
        delay = grown
    return min(delay, parameters.delay_max_ms)


def leader_timeout_ms(parameters: ConsensusParameters, distance: int) -> int:
    """t_leader = 2d: how long a view waits for its proposal."""
    return 2 * delay_ms(parameters, distance)


def advance_timeout_ms(parameters: ConsensusParameters, distance: int) -> int:
    """t_advance = 3d: how long a view may last in all."""
    return 3 * delay_ms(parameters, distance)


def refusal_floor_ms(parameters: ConsensusParameters, distance: int) -> int:
    """How long a view with an invalid block lasts at least: zero at first, then growing: no spinning."""
    return delay_ms(parameters, distance) - parameters.delay_first_ms
