"""Whole nodes and a validator that signed two ways: from one witness to a record on every chain."""

from __future__ import annotations

import asyncio

from contracts.staking.records import OFFENCES
from ledger.evidence import evidence_of
from ledger.genesis import chain_id
from ledger.state import StateView
from ledger.vote import SignedVote, Vote, VoteKind, sign_vote
from network.simulator.whole.laboratory import WholeLaboratory
from network.simulator.whole.scenario import plan_of

CULPRIT, WITNESS = 3, 0


class Accusing(WholeLaboratory):
    """After a second one site sees two votes of another; the run ends when all had time to deal with it."""

    def __init__(self, seed: int, scenario: str) -> None:
        super().__init__(plan_of(seed, 4, scenario))
        self.states: list[StateView] = []

    async def _phases(self, incidents: list[asyncio.Task[None]]) -> None:
        self._loop.call_later(1.0, self._witness)
        await super()._phases(incidents)

    def _witness(self) -> None:
        key = self._consortium.members[CULPRIT].validator
        node = self._sites[WITNESS].node
        assert node is not None
        index = node._executor.committed.validators.index_of(key.public)
        assert index is not None
        chain = chain_id(self._consortium.genesis)
        votes = [Vote(chain, 0, 2, VoteKind.NOTARIZE, block * 32) for block in (b"a", b"b")]
        first, second = (SignedVote(vote, index, sign_vote(key, vote)) for vote in votes)
        node._exchange.accuse(evidence_of(first, second))

    def _judge_end(self) -> None:
        self.states = [site.node.site.state() for site in self._sites if site.node is not None]
        key = self._consortium.members[CULPRIT].validator
        self.slashed = [OFFENCES.get(state, key.public) for state in self.states]
        super()._judge_end()


def test_what_one_site_saw_is_slashed_on_every_chain() -> None:
    """Verified, passed on, reported by one site in its turn, and in the same block everywhere."""
    laboratory = Accusing(2, "whole-calm")
    report = laboratory.run()
    assert report.violations == ()
    first = laboratory.slashed[0]
    assert first is not None
    assert (first.epochs, laboratory.slashed) == ((0,), [first] * 4)
    assert first.burned_units > 0
