"""Whole nodes through turns of epochs: under load, with loss, asleep, joining, leaving, all down at once."""

from __future__ import annotations

from random import Random

import pytest

from ledger.consensus.events import Commit, EpochEnded
from ledger.consensus.messages import CertificatesMessage, Message, ProposalMessage, VotesMessage
from ledger.consensus.timeouts import ConsensusParameters
from ledger.vote import VoteKind
from tests.ledger.consensus.lockstep import Room, set_of

PARAMETERS = ConsensusParameters(epoch_blocks=3)
FAIR = [1, 1, 1, 1]


def room_of(stakes: list[int] = FAIR, *later: list[int]) -> Room:
    """A room whose epochs have three blocks; the sets of the later epochs by number of the key."""
    room = Room(stakes, PARAMETERS)
    room.sets += [set_of(each) for each in later]
    return room.start()


def load(room: Room, blocks: int) -> None:
    """One transaction after the other, given to every node, until it is final on all that are up."""
    for _ in range(blocks):
        room.transactions_made += 1
        for node in room.nodes:
            node.submit(room.transactions_made)
        room.run(120_000, lambda: not any(node.transactions for node in room.nodes if node.is_up))


def epochs(room: Room) -> list[int]:
    return [node.machine.epoch for node in room.nodes if node.is_up]


def test_epochs_turn_under_load() -> None:
    """Ten blocks are three turns: everyone agrees, nobody is accused, no turn costs a timeout."""
    room = room_of()
    load(room, 10)
    assert epochs(room) == [3, 3, 3, 3]
    assert room.heights() == [10, 10, 10, 10]
    assert room.now_ms < 10 * PARAMETERS.delay_first_ms
    room.check_agreement()
    room.check_quiet()


def test_sets_change_at_the_turn_and_at_no_other_time() -> None:
    """One joins, one leaves, one gains weight: each signs as long as it is in the set."""
    room = room_of([1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 1, 2, 1], [0, 1, 1, 2, 1])
    load(room, 12)
    assert epochs(room) == [4] * 5
    room.check_agreement()
    room.check_quiet()
    for number, node in enumerate(room.nodes):
        key = node.signer.public_key if node.signer is not None else b""
        signed = {
            vote.vote.epoch
            for sender, _, message in room.sent
            if sender == number and isinstance(message, VotesMessage)
            for vote in message.votes
        }
        assert signed == {epoch for epoch in range(5) if room.set_of(epoch).index_of(key) is not None} - {4}


@pytest.mark.parametrize("lost", [VoteKind.FINALIZE, VoteKind.NOTARIZE])
def test_a_last_block_whose_votes_are_lost_is_proposed_again_and_ends_its_epoch(lost: VoteKind) -> None:
    """Nothing may follow it to make it final: without its votes the next leaders repeat it until it is."""
    room = room_of()
    load(room, 2)

    def is_lost(sender: int, receiver: int, message: Message) -> bool:
        votes = message.votes if isinstance(message, VotesMessage) else ()
        certificates = message.certificates if isinstance(message, CertificatesMessage) else ()
        kinds = [vote.vote.kind for vote in votes] + [each.kind for each in certificates]
        return room.now_ms < until_ms and lost in kinds

    until_ms = room.now_ms + 4_000
    room.mute = is_lost
    load(room, 4)
    repeated = [
        message
        for _, _, message in room.sent
        if isinstance(message, ProposalMessage)
        and message.parent_certificate is not None
        and message.parent_certificate.block_id == message.signed.proposal.block_id
    ]
    assert bool(repeated) is (lost is VoteKind.FINALIZE)
    assert epochs(room) == [2, 2, 2, 2]
    room.check_agreement()
    room.check_quiet()


def test_a_node_that_slept_through_three_turns_is_led_through_each() -> None:
    """It comes back in an old epoch, and nobody speaks of that one any more."""
    room = room_of()
    load(room, 1)
    room.nodes[3].crash()
    load(room, 10)
    room.nodes[3].start()
    room.nodes[3].transactions.clear()
    load(room, 2)
    assert epochs(room) == [4, 4, 4, 4]
    assert len(room.nodes[3].of(EpochEnded)) == 4
    assert len(set(room.heights())) == 1
    room.check_agreement()
    room.check_quiet()


@pytest.mark.parametrize("seed", range(12))
def test_crashes_and_loss_around_turns(seed: int) -> None:
    """Seeded: a fifth of all messages lost, a node or all of them down and up again; then all go on."""
    random = Random(seed)
    room = room_of([1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0])
    room.mute = lambda sender, receiver, message: random.random() < 0.2
    for _ in range(8):
        room.transactions_made += 1
        for node in room.nodes:
            node.submit(room.transactions_made)
        room.run(random.randint(20, 900))
        victims = random.choice([room.nodes, random.sample(room.nodes, 1), []])
        for node in victims:
            node.crash()
        room.run(random.randint(20, 900))
        for node in victims:
            node.start()
            for other in room.nodes:
                if other is not node and other.is_up:
                    node.connected(other)
                    other.connected(node)
    room.mute = lambda sender, receiver, message: False
    load(room, 4)
    assert len(set(room.heights())) == 1
    assert min(epochs(room)) == max(epochs(room)) >= 2
    room.check_agreement()
    room.check_quiet()
    for node in room.nodes:
        heights = [commit.height for commit in node.of(Commit)]  # type: ignore[attr-defined]
        assert heights == sorted(heights)
