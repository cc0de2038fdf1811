"""The site to its interfaces: who voted on which block, as long as the sets are kept."""

from __future__ import annotations

from typing import cast

from contracts.membership import node_named
from ledger.consensus.timeouts import ConsensusParameters
from ledger.genesis import StakingParameters
from ledger.types import Height
from ledger.validators import ValidatorSet
from node.exchange import Exchange
from node.site import Site
from tests.ledger.chain import voters_of
from tests.node.room import Room


async def test_each_block_has_the_voters_of_its_own_epoch() -> None:
    """A last block its own epoch's, the next one the next epoch's; none once the evidence period is over."""
    consensus = ConsensusParameters(epoch_blocks=2)
    staking = StakingParameters(evidence_epochs=1, unbonding_epochs=1)
    room = Room(consensus=consensus, staking=staking)
    own = node_named(room.executor.committed.world, "node-0")
    assert own is not None
    site = Site(own, room.executor, cast(Exchange, None), None)  # reads of final blocks ask nobody
    first = ValidatorSet(room.genesis.validators)
    assert site.validators(Height(0)) == site.validators(Height(1)) == first
    await room.grow(4, transactions=False)
    for height, voters in enumerate([first, first, first, voters_of(1), voters_of(1), voters_of(2)]):
        expected = None if voters is first else voters
        assert site.validators(Height(height)) == expected, height
    assert site.validators(Height(6)) is None
