"""Whole machines together: blocks become final, after faults too."""

from __future__ import annotations

import random

import pytest

from ledger.consensus.events import Halt
from ledger.consensus.messages import CertificatesMessage, Message, VotesMessage
from ledger.consensus.timeouts import EPOCH_BLOCKS_MIN, ConsensusParameters
from ledger.vote import VoteKind
from tests.ledger.consensus.lockstep import Room


@pytest.mark.parametrize("stakes", [[1], [1, 1], [1, 1, 1, 1], [5, 3, 2, 2, 1, 1, 1]])
def test_a_transaction_becomes_final_on_every_node(stakes: list[int]) -> None:
    """One transaction known everywhere is committed everywhere, and the chain falls quiet after it."""
    room = Room(stakes, observers=1).start()
    for transaction in range(1, 6):
        for node in room.nodes:
            node.submit(transaction)
    room.run(10_000)
    assert [node.transactions for node in room.nodes] == [[]] * len(room.nodes)
    assert min(room.heights()) >= 5
    quiet = room.heights()
    room.run(30_000)
    assert room.heights() == quiet
    room.check_agreement()
    room.check_quiet()


def submit(room: Room, transaction: int) -> None:
    for node in room.nodes:
        if node.is_up:
            node.submit(transaction)
        else:
            node.transactions.append(transaction)


def settle(room: Room, transaction: int) -> None:
    """Faults are over: every node finalizes one more transaction soon, and all agree."""
    room.mute = lambda sender, receiver, message: False
    for node in room.nodes:
        if not node.is_up:
            node.start()
    submit(room, transaction)
    started_ms = room.now_ms
    room.run(180_000, lambda: not any(node.transactions for node in room.nodes))
    assert not any(node.transactions for node in room.nodes), (
        f"{room.heights()} after {room.now_ms - started_ms} ms"
    )
    room.run(5_000)
    assert len(frozenset(room.heights())) == 1
    room.check_agreement()
    room.check_quiet()


def test_a_dead_leader_is_skipped() -> None:
    """With one of four dead the chain goes on, and soon the dead leader costs next to nothing."""
    room = Room([1, 1, 1, 1])
    for node in room.nodes[:3]:
        node.start()
    for transaction in range(1, 31):
        submit(room, transaction)
        room.run(60_000, lambda: not any(node.transactions for node in room.nodes[:3]))
    submit(room, 31)
    before_ms = room.now_ms
    room.run(60_000, lambda: not any(node.transactions for node in room.nodes[:3]))
    assert room.now_ms - before_ms < 500
    settle(room, 32)


def test_two_of_four_down_stop_the_chain_and_coming_back_revives_it() -> None:
    """Without a quorum nothing is committed; with it the chain goes on within seconds."""
    room = Room([1, 1, 1, 1]).start()
    submit(room, 1)
    room.run(5_000)
    for node in room.nodes[2:]:
        node.crash()
    submit(room, 2)
    stopped = room.heights()
    room.run(1_800_000)  # half an hour
    assert room.heights() == stopped
    for node in room.nodes[2:]:
        node.start()
    back_ms = room.now_ms
    room.run(180_000, lambda: not any(node.transactions for node in room.nodes))
    assert room.now_ms - back_ms < 2 * 15_000
    settle(room, 3)


def test_all_crash_at_once_and_nothing_is_lost() -> None:
    """Every commit survives, and the chain resumes from what the logs hold."""
    room = Room([1, 1, 1, 1]).start()
    for transaction in range(1, 11):
        submit(room, transaction)
        room.run(35)
    committed = [list(node.committed) for node in room.nodes]
    for node in room.nodes:
        node.crash()
    room.run(1_000)
    for node in room.nodes:
        node.start()
    settle(room, 99)
    for before, node in zip(committed, room.nodes, strict=True):
        assert node.committed[: len(before)] == before


def test_all_crash_right_after_nullify() -> None:
    """The flags come back from the logs: resends leave the nullified view, and no one signs against it."""
    room = Room([1, 1, 1, 1]).start()
    room.mute = lambda sender, receiver, message: True
    submit(room, 1)
    room.run(1_600)
    for node in room.nodes:
        node.crash()
    settle(room, 2)


@pytest.mark.parametrize("stakes", [[1, 1, 1, 1], [4, 3, 2, 2, 1, 1, 1]])
def test_a_partition_heals(stakes: list[int]) -> None:
    """Halves that can't reach a quorum commit nothing; healed, they go on together."""
    room = Room(stakes).start()
    half = len(stakes) // 2
    room.mute = lambda sender, receiver, message: (sender < half) != (receiver < half)
    submit(room, 1)
    room.run(120_000)
    assert max(room.heights()) == 0
    settle(room, 2)


def test_an_isolated_node_catches_up() -> None:
    """A node that missed hundreds of blocks follows again by certificates alone."""
    room = Room([1, 1, 1, 1]).start()
    room.mute = lambda sender, receiver, message: 3 in (sender, receiver)
    room.can_hear = lambda sender, receiver: 3 not in (sender, receiver)  # type: ignore[method-assign]
    for transaction in range(1, 201):
        submit(room, transaction)
        room.run(100)
    assert room.heights()[3] == 0
    assert room.heights()[0] > 100
    room.can_hear = lambda sender, receiver: True  # type: ignore[method-assign]
    settle(room, 999)


@pytest.mark.parametrize("seed", range(12))
def test_loss_crashes_and_restarts(seed: int) -> None:
    """Thirty percent of messages lost, nodes crashing: agreement holds, and progress returns."""
    chance = random.Random(seed)
    room = Room(chance.choice([[1, 1, 1, 1], [3, 1, 1, 1, 1], [4, 3, 2, 2, 1, 1, 1]])).start()
    room.mute = lambda sender, receiver, message: chance.random() < 0.3
    for transaction in range(1, 120):
        submit(room, transaction)
        room.run(chance.randrange(2_000))
        node = chance.choice(room.nodes)
        if node.is_up:
            node.crash()
        else:
            node.start()
        room.check_agreement()
    assert max(room.heights()) > 0
    settle(room, 999)


def is_of_finality(message: Message) -> bool:
    match message:
        case VotesMessage(votes=votes):
            return any(signed.vote.kind is VoteKind.FINALIZE for signed in votes)
        case CertificatesMessage(certificates=certificates):
            return any(certificate.kind is VoteKind.FINALIZE for certificate in certificates)
        case _:
            return False


@pytest.mark.parametrize("views", [3, 4, 8])
def test_after_a_power_cut_a_lost_record_is_no_second_holder(views: int) -> None:
    """All restart with notarized views of which they still check the bodies, one without its record: in the
    certificates that come it meets its own old signatures, halts for none of them, and signs again."""
    room = Room([1, 1, 1, 1]).start()
    room.mute = lambda sender, receiver, message: is_of_finality(message)
    submit(room, 1)
    room.run(60_000, lambda: all(node.machine.state.view == views for node in room.nodes))
    for node in room.nodes:
        node.crash()
    room.run(1_000)
    lost, *others = room.nodes
    lost.disk.records.clear()
    settle(room, 2)
    assert lost.signer is not None
    assert lost.signer.is_quarantined
    for transaction in range(3, 20):
        submit(room, transaction)
        room.run(1_000)
    assert not lost.of(Halt)
    assert lost.signer.may_sign
    assert all(node.signer is not None and node.signer.may_sign for node in others)
    room.check_quiet()


def test_a_quarantine_ends_in_the_shortest_epochs_that_a_real_chain_may_have() -> None:
    """Reports, six certificates and a block that is not the last find room between two turns."""
    room = Room([1, 1, 1, 1], ConsensusParameters(epoch_blocks=EPOCH_BLOCKS_MIN))
    lost = room.nodes[0]
    lost.disk.records.clear()
    room.start()
    for transaction in range(1, 100):
        submit(room, transaction)
        room.run(300)
    assert lost.machine.epoch > 5
    assert lost.signer is not None
    assert lost.signer.may_sign
    room.check_agreement()


def test_logs_stay_small() -> None:
    """After two hundred blocks each log holds the records of the last few views only."""
    room = Room([1, 1, 1, 1]).start()
    for transaction in range(1, 201):
        submit(room, transaction)
        room.run(200)
    assert min(room.heights()) >= 200
    assert max(len(node.disk.records) for node in room.nodes) < 20
