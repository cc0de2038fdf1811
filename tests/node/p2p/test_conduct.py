"""Conduct: what is one offence too many, and who may never be put out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.p2p.conduct import BAN_SECONDS, FADE_PER_SECOND, SCORE_MAX, Conduct, Offence

PEERS = [bytes([number]) * 32 for number in range(10)]


def conduct(validators: int = 7) -> Conduct:
    return Conduct(lambda peer: peer in PEERS[:validators], lambda: validators)


def test_one_malformed_frame_is_enough() -> None:
    """No correct node makes one."""
    scores = conduct()
    assert scores.note(PEERS[0], Offence.MALFORMED, 1, 0.0)
    assert scores.is_banned(PEERS[0], BAN_SECONDS - 0.1)
    assert not scores.is_banned(PEERS[0], BAN_SECONDS)
    assert not scores.is_banned(PEERS[1], 0.0)


def test_invalid_weighs_more_than_duplicate() -> None:
    """Twenty invalid transactions at once put a peer out; so many duplicates do not."""
    scores = conduct()
    assert not scores.note(PEERS[0], Offence.DUPLICATE, 20, 0.0)
    assert not scores.note(PEERS[1], Offence.INVALID, 19, 0.0)
    assert scores.note(PEERS[1], Offence.INVALID, 1, 0.0)
    assert (
        Offence.MALFORMED.value
        > Offence.FALSE_EVIDENCE.value
        > Offence.INVALID.value
        > Offence.UNSOLICITED.value
        > Offence.DUPLICATE.value
    )


def test_a_score_fades() -> None:
    """Now and then an offence is forgiven: a rate below the fading never adds up."""
    scores = conduct()
    for second in range(1000):
        assert not scores.note(PEERS[0], Offence.DUPLICATE, FADE_PER_SECOND, float(second))
    assert scores.score(PEERS[0], 1001.0) == 0.0


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(list(Offence)), st.integers(1, 3000))),
    st.integers(1, 10),
)
def test_never_a_third_of_the_validators_at_once(
    offences: list[tuple[int, Offence, int]], count: int
) -> None:
    """Whatever is reported, less than a third of the validators are out at any one time."""
    scores = conduct(count)
    for step, (peer, offence, times) in enumerate(offences):
        now = step * 0.5
        scores.note(PEERS[peer], offence, times, now)
        assert 3 * sum(scores.is_banned(each, now) for each in PEERS[:count]) < count


def test_observers_are_put_out_without_such_a_limit() -> None:
    """They do not vote: the chain goes on without them."""
    scores = conduct(0)
    assert all(scores.note(peer, Offence.MALFORMED, 1, 0.0) for peer in PEERS)


def test_who_leaves_is_forgotten() -> None:
    """Memory is bounded by the members."""
    scores = conduct()
    scores.note(PEERS[0], Offence.INVALID, 5, 0.0)
    assert scores.score(PEERS[0], 0.0) == 250 < SCORE_MAX
    scores.keep(frozenset(PEERS[1:]))
    assert scores.score(PEERS[0], 0.0) == 0.0
