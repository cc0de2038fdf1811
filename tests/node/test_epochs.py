"""What the store knows of epochs, and what the driver and the roster make of a turn."""

from __future__ import annotations

import pytest

from contracts.genesis import genesis_block
from ledger.consensus.events import FIRST_OBSERVER, EpochBegun, EpochEnded, OldEpoch, Peer, Received
from ledger.consensus.messages import CertificatesMessage
from ledger.consensus.signer import Signer
from ledger.consensus.timeouts import ConsensusParameters
from ledger.members import Node, NodeRole
from ledger.types import BlockId, Epoch, Height, PublicKey
from ledger.validators import Validator, ValidatorSet
from ledger.vote import VoteKind
from node.epochs import epoch_in_force, what_ended
from node.exchange import Roster
from tests.contracts.chain import key_of
from tests.node.room import VOTER, Room, SteadyNotes
from tests.node.test_driver import ANNA, BERT, GENERATION, KEYS, Site, machine_of, status, tell, turns

EPOCH_BLOCKS = 3


def room() -> Room:
    return Room(rules=SteadyNotes(), consensus=ConsensusParameters(epoch_blocks=EPOCH_BLOCKS))


async def grown(blocks: int) -> Room:
    made = room()
    await made.grow(blocks)
    return made


# --- the store ----------------------------------------------------------------------------


async def test_the_first_epoch_stands_on_the_genesis_block() -> None:
    """No certificate made that final, and none is needed."""
    made = room()
    begun = epoch_in_force(made.stores.blocks, made.executor.committed)
    header, _ = genesis_block(made.genesis)
    assert (begun.epoch, begun.base, begun.finalization) == (0, header, None)


@pytest.mark.parametrize(("blocks", "epoch"), [(2, 0), (3, 1), (5, 1), (6, 2), (10, 3)])
async def test_the_epoch_in_force_stands_on_the_last_block_of_the_one_before(blocks: int, epoch: int) -> None:
    """Right at the turn, and anywhere between two."""
    made = await grown(blocks)
    begun = epoch_in_force(made.stores.blocks, made.executor.committed)
    assert (begun.epoch, begun.base.height) == (epoch, epoch * EPOCH_BLOCKS)
    assert begun.validators == made.executor.committed.validators
    if epoch:
        assert begun.finalization is not None
        assert begun.finalization.kind is VoteKind.FINALIZE
        assert (begun.finalization.vote.epoch, begun.base.epoch) == (epoch - 1, epoch - 1)


async def test_what_ended_an_epoch_is_found_for_each_that_has_a_successor() -> None:
    """Its last block's own finalization; nothing for the epoch in force, the one to come, or far ones."""
    made = await grown(10)
    for epoch in range(3):
        found = what_ended(made.stores.blocks, Epoch(epoch))
        assert found is not None
        assert found.block_id == made.stores.blocks.id_at(Height((epoch + 1) * EPOCH_BLOCKS))
        assert found.vote.epoch == epoch
    for epoch in (3, 4, 1 << 40):
        assert what_ended(made.stores.blocks, Epoch(epoch)) is None


async def test_an_old_epoch_is_found_by_halving() -> None:
    """A stranger's question costs a few reads, however long the chain is."""
    made = await grown(40)
    blocks, reads = made.stores.blocks, 0
    original = blocks.header

    def counted(height: Height) -> object:
        nonlocal reads
        reads += 1
        return original(height)

    blocks.header = counted  # type: ignore[method-assign, assignment]
    assert what_ended(blocks, Epoch(4)) is not None
    assert reads <= 7


# --- the roster ---------------------------------------------------------------------------


def node(name: str) -> Node:
    return Node(PublicKey(name.encode().ljust(32)), "farm", name, NodeRole.VALIDATOR, b"", ())


def set_of(*names: str) -> ValidatorSet:
    return ValidatorSet(tuple(Validator(key_of(name).public, 1, name) for name in names))


def test_numbers_follow_the_set_in_force_and_no_other() -> None:
    """Members may change within an epoch and numbers stay; the turn numbers anew, and nobody is mistaken."""
    anna, bert, cleo = (node(name) for name in ("anna", "bert", "cleo"))
    keys = {each.name: PublicKey(each.public_key) for each in (anna, bert, cleo)}
    roster = Roster(set_of("anna", "bert"), [anna, bert])
    roster.update([anna, bert, cleo])
    assert [roster.peer(keys[name]) for name in ("anna", "bert", "cleo")] == [0, 1, FIRST_OBSERVER]
    roster.begin_epoch(set_of("bert", "cleo"))
    assert [roster.peer(keys[name]) for name in ("bert", "cleo")] == [0, 1]
    assert roster.peer(keys["anna"]) >= FIRST_OBSERVER
    assert roster.key(Peer(0)) == keys["bert"]
    assert roster.key(FIRST_OBSERVER) is None, "the number that cleo had as an observer is nobody's now"
    roster.begin_epoch(set_of("anna", "bert"))
    assert [roster.peer(keys[name]) for name in ("anna", "bert", "cleo")] == [0, 1, FIRST_OBSERVER]


# --- the driver ---------------------------------------------------------------------------


async def test_the_driver_begins_the_epoch_that_the_last_block_decided() -> None:
    """Peers are numbered anew before anything else is heard, what waited in the queue too."""
    site = Site(await grown(EPOCH_BLOCKS - 1))
    async with site.running():
        await site.room.grow(1)
        tip = site.room.executor.committed
        finalization = site.room.certificate(tip.id, site.room.view_at(tip.header.height))
        before = len(site.sets)
        site.tell(EpochEnded(Epoch(0), tip.id, finalization))
        tell(site, KEYS[ANNA], status(7))
        await turns()
        begun, heard = site.heard[-2:]
        assert begun == EpochBegun(
            Epoch(1), tip.validators, tip.parameters.consensus, tip.header, finalization
        )
        assert heard == Received(ANNA, status(7))
        assert site.sets[before:] == [tip.validators]
        assert (site.driver.epoch, site.driver.final_view) == (1, 0)


async def test_the_driver_answers_for_old_epochs_from_the_store() -> None:
    """With what ended them; about an epoch that it knows no end of it says nothing."""
    site = Site(await grown(3 * EPOCH_BLOCKS))
    ended = what_ended(site.room.stores.blocks, Epoch(0))
    assert ended is not None
    async with site.running():
        site.done.clear()
        await site.does(OldEpoch(BERT, Epoch(0)), OldEpoch(BERT, Epoch(9)))
        assert site.done == [(BERT, CertificatesMessage((ended,)))]


async def test_a_lone_validator_turns_epochs() -> None:
    """The real machine and the real executor: epoch after epoch, each block in the one that it belongs to."""
    made = room()
    signer = Signer(made.chain_id, VOTER, GENERATION)
    site = Site(made, machine_of(made, signer))
    site.driver._signer = signer
    async with site.running():
        for number in range(3 * EPOCH_BLOCKS + 1):
            made.executor.admit(made.transaction(number, valid_until=made.height + 9).raw)
            site.driver.transactions_pending(is_new=True)
            await turns(200)
        assert made.height == 3 * EPOCH_BLOCKS + 1
        assert site.driver.epoch == 3
        assert site.driver.is_voting
        headers = [made.stores.blocks.header(Height(height)) for height in range(1, made.height + 1)]
        assert [each.epoch for each in headers if each is not None] == [
            (height - 1) // EPOCH_BLOCKS for height in range(1, made.height + 1)
        ]
    identifier = made.stores.blocks.id_at(Height(EPOCH_BLOCKS))
    assert identifier is not None
    assert what_ended(made.stores.blocks, Epoch(0)).block_id == BlockId(identifier)  # type: ignore[union-attr]


async def test_consensus_begins_in_the_epoch_of_the_chain_as_it_is_then() -> None:
    """Lost blocks may come back over a turn between the making of a node and its taking part."""
    made = room()
    site = Site(made)
    site.driver._make_consensus = lambda: machine_of(made, None)
    await made.grow(EPOCH_BLOCKS + 1)
    async with site.running():
        assert site.driver.epoch == 1
        assert site.sets == [made.executor.committed.validators]
