"""Timers grow by integers, reach a cap and stay there; buckets bound what a peer can draw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.consensus.buckets import PEERS_TRACKED_MAX, TokenBuckets
from ledger.consensus.events import Peer
from ledger.consensus.timeouts import (
    ConsensusParameters,
    advance_timeout_ms,
    check_parameters,
    delay_ms,
    leader_timeout_ms,
    refusal_floor_ms,
)
from ledger.errors import LedgerError

DEFAULTS = ConsensusParameters()


def test_the_delay_grows_by_half_and_is_capped() -> None:
    """d = min(500 * 1.5**k, 15,000), in whole milliseconds."""
    assert [delay_ms(DEFAULTS, k) for k in range(5)] == [500, 750, 1125, 1687, 2530]
    assert delay_ms(DEFAULTS, 9) == 15_000
    assert delay_ms(DEFAULTS, 10**9) == 15_000


def test_timers_are_two_and_three_delays() -> None:
    """t_leader = 2d, t_advance = 3d; an invalid block's floor is zero at first and grows with k."""
    assert (leader_timeout_ms(DEFAULTS, 0), advance_timeout_ms(DEFAULTS, 0)) == (1_000, 1_500)
    assert (leader_timeout_ms(DEFAULTS, 99), advance_timeout_ms(DEFAULTS, 99)) == (30_000, 45_000)
    assert [refusal_floor_ms(DEFAULTS, k) for k in (0, 1, 99)] == [0, 250, 14_500]


@given(st.integers(0, 200), st.integers(1, 5), st.integers(1, 5))
def test_the_delay_never_shrinks_or_exceeds_the_cap(distance: int, numerator: int, denominator: int) -> None:
    """For any permitted growth the delay is monotone in k and at most Dmax, and the loop ends."""
    if numerator < denominator:
        numerator, denominator = denominator, numerator
    parameters = ConsensusParameters(
        delay_growth_numerator=numerator, delay_growth_denominator=denominator, delay_first_ms=1
    )
    assert delay_ms(parameters, distance) <= delay_ms(parameters, distance + 1) <= parameters.delay_max_ms


@pytest.mark.parametrize(
    "parameters",
    [
        ConsensusParameters(delay_growth_numerator=1, delay_growth_denominator=2),
        ConsensusParameters(delay_first_ms=500, delay_max_ms=499),
    ],
)
def test_shrinking_timers_are_refused(parameters: ConsensusParameters) -> None:
    """Genesis can't fix timers that shrink."""
    with pytest.raises(LedgerError) as refusal:
        check_parameters(parameters)
    assert refusal.value.code == "parameters.consensus"
    check_parameters(DEFAULTS)


def test_a_bucket_empties_and_refills() -> None:
    """A peer gets the burst at once, then the rate, and other peers are not touched by it."""
    buckets = TokenBuckets(capacity=2, per_second=1)
    granted = [buckets.take(Peer(1), 0) for _ in range(3)]
    assert granted == [True, True, False]
    assert buckets.take(Peer(2), 0)
    assert not buckets.take(Peer(1), 999)
    assert buckets.take(Peer(1), 1_000)
    assert [buckets.take(Peer(1), 100_000) for _ in range(3)] == [True, True, False]


def test_the_number_of_buckets_is_bounded() -> None:
    """Many peers leave no more than the limit behind."""
    buckets = TokenBuckets(capacity=1, per_second=1)
    for peer in range(3 * PEERS_TRACKED_MAX):
        buckets.take(Peer(peer), 0)
    assert len(buckets) == PEERS_TRACKED_MAX
