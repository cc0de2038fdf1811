"""The intake: clients are answered at once, peers' batches are bounded, and blame is for form alone."""

from __future__ import annotations

import asyncio

import pytest

import node.intake as intake_module
from ledger.codec import encode
from ledger.mempool import Mempool
from ledger.transaction import SignedBody
from ledger.types import ChainId, PublicKey, TxId
from node.executor import Submission
from node.intake import ASKED_FOR, Intake, is_excusable
from node.pace import Slices
from tests.ledger.refusals import code_of
from tests.node.room import Room

PEER, OTHER = PublicKey(b"p" * 32), PublicKey(b"o" * 32)


class Door:
    """An intake that writes down what it tells others."""

    def __init__(self, room: Room | None = None) -> None:
        self.room = room or Room()
        self.admitted: list[tuple[TxId, PublicKey | None]] = []
        self.seen: list[tuple[TxId, PublicKey]] = []
        self.blamed: list[tuple[PublicKey, str]] = []
        self.intake = Intake(
            self.room.executor,
            lambda *told: self.admitted.append(told),
            lambda *told: self.seen.append(told),
            lambda *told: self.blamed.append(told),
        )

    async def drain(self) -> None:
        """Let the intake look at all that waits."""
        task = asyncio.create_task(self.intake.run())
        for _ in range(self.intake.waiting + 2):
            await asyncio.sleep(0)
        assert self.intake.waiting == 0
        assert not task.done()
        task.cancel()


def test_a_client_is_answered_at_once() -> None:
    """With id and outcome; what is new is passed on once, with nobody it came from."""
    door = Door()
    made = door.room.transaction()
    assert door.intake.submit(made.raw) == (made.id, Submission.PENDING)
    assert door.intake.submit(made.raw) == (made.id, Submission.PENDING)
    assert door.admitted == [(made.id, None)]


def test_a_clients_refusal_is_its_own() -> None:
    """The code reaches the client, nothing is passed on, and no peer is blamed."""
    door = Door()
    assert code_of(lambda: door.intake.submit(b"?")) == "encoding.malformed"
    assert (door.admitted, door.blamed, len(door.room.executor.mempool)) == ([], [], 0)


async def test_a_peers_batch_is_admitted_and_noted() -> None:
    """Each is seen at that peer; what is new is passed on as coming from it."""
    door = Door()
    made = [door.room.transaction(nonce) for nonce in range(3)]
    door.intake.submit(made[0].raw)
    door.intake.receive(PEER, [each.raw for each in made])
    await door.drain()
    assert door.seen == [(each.id, PEER) for each in made]
    assert door.admitted == [(made[0].id, None), *((each.id, PEER) for each in made[1:])]
    assert door.blamed == []


async def test_only_what_no_correct_peer_relays_is_blamed() -> None:
    """Form and signature are the same everywhere; membership, expiry and room are not."""
    door = Door(Room(Mempool(transactions_max=1)))
    room = door.room
    good = room.transaction(1)
    wrong = {
        b"?": "encoding.malformed",
        encode(SignedBody(good.body, bytes(64))): "transaction.bad_signature",
        room.transaction(chain=ChainId(bytes(32))).raw: "transaction.wrong_chain",
        bytes(1 + (1 << 20)): "transaction.too_large",
    }
    excusable = [
        room.transaction(2, sender="stranger").raw,
        room.transaction(3, valid_until=0).raw,
        room.transaction(4, valid_until=90).raw,
        good.raw,
        room.transaction(5).raw,  # the mempool is full by now
    ]
    door.intake.receive(PEER, [*wrong, *excusable])
    await door.drain()
    assert door.blamed == [(PEER, code) for code in wrong.values()]
    assert door.admitted == [(good.id, PEER)]


async def test_nobody_is_blamed_for_what_was_asked_for() -> None:
    """A block's transactions were not looked at by who answers; good ones are admitted all the same."""
    door = Door()
    good = door.room.transaction(1)
    door.intake.receive(ASKED_FOR, [b"?", good.raw])
    await door.drain()
    assert door.blamed == []
    assert good.id in door.room.executor.mempool


def test_codes_that_excuse() -> None:
    """By code, so that a new refusal of state is excusable unless somebody decides otherwise."""
    assert is_excusable("sender.revoked")
    assert is_excusable("mempool.full")
    assert not is_excusable("encoding.non_canonical")
    assert not is_excusable("transaction.bad_signature")


async def test_what_waits_is_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a batch is lost and counted; when there is room again it is taken again."""
    monkeypatch.setattr(intake_module, "WAITING_MAX", 2)
    door = Door()
    raws = [door.room.transaction(nonce).raw for nonce in range(5)]
    door.intake.receive(PEER, raws)
    assert (door.intake.waiting, door.intake.lost) == (2, 3)
    await door.drain()
    door.intake.receive(PEER, raws[2:4])
    await door.drain()
    assert (len(door.admitted), door.intake.lost) == (4, 3)


async def test_what_waits_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large transactions fill the queue sooner; a small one may still fit; looking at them makes room."""
    room = Room()
    large = [room.transaction(nonce, arguments=b"a=" + bytes(1000)).raw for nonce in range(3)]
    small = room.transaction(9).raw
    monkeypatch.setattr(intake_module, "WAITING_BYTES_MAX", 2 * len(large[0]) + len(small))
    door = Door(room)
    door.intake.receive(PEER, [*large, small])
    assert (door.intake.waiting, door.intake.lost) == (3, 1)
    await door.drain()
    door.intake.receive(PEER, large)
    assert door.intake.lost == 2
    await door.drain()
    assert len(door.admitted) == 3


async def test_a_peer_that_fills_the_room_loses_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another peer's transactions find a place, and are admitted in turn with those of the first."""
    monkeypatch.setattr(intake_module, "WAITING_MAX", 6)
    door = Door()
    raws = [door.room.transaction(nonce) for nonce in range(9)]
    door.intake.receive(PEER, [each.raw for each in raws[:7]])
    door.intake.receive(OTHER, [each.raw for each in raws[7:]])
    assert (door.intake.waiting, door.intake.lost) == (6, 3)
    await door.drain()
    assert [peer for _, peer in door.seen] == [PEER, OTHER, PEER, OTHER, PEER, PEER]


async def test_others_get_their_turn_while_a_long_batch_is_admitted() -> None:
    """With slices of no length one transaction a turn is looked at."""
    door = Door()
    door.room.executor.pace = Slices(0)
    door.intake.receive(PEER, [door.room.transaction(nonce).raw for nonce in range(20)])
    task = asyncio.create_task(door.intake.run())
    left = []
    for _ in range(21):
        await asyncio.sleep(0)
        left.append(door.intake.waiting)
    task.cancel()
    assert left == [*range(19, -1, -1), 0]
