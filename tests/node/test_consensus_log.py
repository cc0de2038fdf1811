"""The consensus log: one sync for records and bodies, forgetting what is settled, and crashes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import node.consensus_log as log_module
from ledger.block import Block, block_id
from ledger.codec import encode
from ledger.consensus.messages import ProposalMessage
from ledger.consensus.records import (
    HeldCertificate,
    HeldProposal,
    OwnVote,
    Record,
    SignerFloor,
    encode_record,
)
from ledger.types import Epoch, View
from ledger.vote import (
    Certificate,
    Proposal,
    SignedProposal,
    SignedVote,
    Vote,
    VoteKind,
    sign_proposal,
    sign_vote,
)
from node.consensus_log import BODY, RECORD, ConsensusLog
from node.store.failure import StoreFailed
from node.store.journal import Journal
from node.store.journal import Record as Entry
from node.store.memory_disk import MemoryDisk
from tests.ledger.chain import CHAIN, VOTERS, build, genesis_tip, grow, make_transaction

PATH = Path("/data/consensus/records.log")
TIP = grow(genesis_tip(), 1)
KEY = VOTERS[0]


def floor(view: int) -> SignerFloor:
    return SignerFloor(CHAIN, KEY.public, b"g" * 16, 0, view)


def vote(view: int) -> OwnVote:
    content = Vote(CHAIN, 0, view, VoteKind.NULLIFY, None)
    return OwnVote(SignedVote(content, 0, sign_vote(KEY, content)))


def certificate(view: int) -> HeldCertificate:
    content = Vote(CHAIN, 0, view, VoteKind.NULLIFY, None)
    return HeldCertificate(Certificate(content, ((0, sign_vote(KEY, content)),)))


def block(number: int) -> Block:
    return build(TIP, make_transaction(nonce=number)).block


def held(view: int, of: Block) -> HeldProposal:
    content = Proposal(CHAIN, 0, view, view - 1, block_id(of.header))
    signed = SignedProposal(content, 0, sign_proposal(KEY, content))
    return HeldProposal(ProposalMessage(signed, of.header, None, ()))


async def here(call: Callable[[], None]) -> None:
    call()


def opened(disk: MemoryDisk) -> ConsensusLog:
    journal, entries = Journal.open(disk, PATH, on_failure=lambda failure: None)
    return ConsensusLog(journal, entries, here)


def new_log(*records: Record) -> tuple[ConsensusLog, MemoryDisk]:
    disk = MemoryDisk()
    Journal.create(disk, PATH, [Entry(RECORD, encode_record(each)) for each in records])
    return opened(disk), disk


async def test_what_was_appended_survives_a_crash() -> None:
    """Records in order, and the bodies that live proposals name."""
    log, disk = new_log(floor(0))
    made = block(1)
    records = (held(1, made), vote(1), certificate(1))
    await log.append(records, [made])
    disk.crash()
    again = opened(disk)
    assert again.records == (floor(0), *records) == log.records
    assert again.bodies == (made,) == log.bodies


async def test_records_and_bodies_share_one_sync() -> None:
    """However many there are; the disk is asked once."""
    log, disk = new_log()
    syncs = []
    disk.fault = lambda operation, path, data: syncs.append(1) if operation == "sync" else None
    await log.append([vote(view) for view in range(1, 20)], [block(1), block(2)])
    assert len(syncs) == 1


async def test_a_sync_that_fails_is_never_a_success() -> None:
    """The caller is told before anything that follows the record could leave."""
    log, disk = new_log(floor(0))

    def fail(operation: str, path: Path, data: bytes) -> None:
        if operation == "sync":
            raise OSError(5, "Input/output error")

    disk.fault = fail
    with pytest.raises(StoreFailed):
        await log.append([vote(1)], [])
    disk.fault = None
    disk.crash()
    assert opened(disk).records == (floor(0),)


async def test_a_body_is_written_once() -> None:
    """A block that is proposed again in a later view is not stored again."""
    log, disk = new_log()
    made = block(1)
    await log.append([held(1, made)], [made])
    size = len(disk.read(PATH, 1 << 30))
    await log.append([held(2, made)], [made])
    assert len(disk.read(PATH, 1 << 30)) - size < len(encode(made)) + len(encode_record(held(2, made)))
    assert log.bodies == (made,)


async def test_a_dropped_proposal_takes_its_body_along() -> None:
    """Unless a later view names it too."""
    log, _ = new_log()
    one, other = block(1), block(2)
    await log.append([held(1, one), held(2, other), held(3, one)], [one, other])
    await log.drop(Epoch(0), View(3))
    assert log.records == (held(3, one),)
    assert log.bodies == (one,)


async def test_the_body_of_a_vote_stays_without_its_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    """D6: a block is voted final by its notarization alone too; through a rewrite and a start it is held."""
    monkeypatch.setattr(log_module, "REWRITE_BYTES", 4_000)
    log, disk = new_log()
    made = block(1)
    content = Vote(CHAIN, 0, 60, VoteKind.FINALIZE, block_id(made.header))
    voted = OwnVote(SignedVote(content, 0, sign_vote(KEY, content)))
    await log.append([vote(view) for view in range(1, 60)], [])
    await log.append([voted], [made])
    before = len(disk.read(PATH, 1 << 30))
    await log.drop(Epoch(0), View(60))
    assert len(disk.read(PATH, 1 << 30)) < before // 4
    assert log.bodies == (made,)
    assert opened(disk).bodies == (made,)
    await log.drop(Epoch(0), View(61))
    assert log.bodies == ()


async def test_the_signers_last_floor_is_never_dropped() -> None:
    """Below it the signer never signs again: the one record that must stay whatever becomes final."""
    log, _ = new_log(floor(0))
    await log.append([floor(2), vote(3), floor(4), vote(5), vote(7)], [])
    await log.drop(Epoch(0), View(6))
    assert log.records == (floor(4), vote(7))
    await log.drop(Epoch(1), View(0))
    assert log.records == (floor(4),)


async def test_the_view_itself_stays() -> None:
    """What is dropped lies below it."""
    log, _ = new_log()
    await log.append([vote(4), vote(5)], [])
    await log.drop(Epoch(0), View(5))
    assert log.records == (vote(5),)


async def test_a_mostly_dead_file_is_written_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shrinks, holds exactly what lives, survives a crash, and goes on."""
    monkeypatch.setattr(log_module, "REWRITE_BYTES", 4_000)
    log, disk = new_log(floor(0))
    made = block(1)
    await log.append([vote(view) for view in range(1, 60)], [])
    await log.append([held(60, made)], [made])
    before = len(disk.read(PATH, 1 << 30))
    await log.drop(Epoch(0), View(60))
    assert len(disk.read(PATH, 1 << 30)) < before // 4
    await log.append([vote(61)], [])
    disk.crash()
    again = opened(disk)
    assert sorted(map(encode_record, again.records)) == sorted(
        map(encode_record, (floor(0), held(60, made), vote(61)))
    )
    assert again.bodies == (made,)


async def test_a_file_that_mostly_lives_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropping little writes nothing."""
    monkeypatch.setattr(log_module, "REWRITE_BYTES", 1_000)
    log, disk = new_log()
    await log.append([vote(view) for view in range(1, 20)], [])
    before = disk.read(PATH, 1 << 30)
    await log.drop(Epoch(0), View(3))
    assert disk.read(PATH, 1 << 30) == before
    log.close()


def test_a_body_that_no_live_proposal_names_is_not_brought_back() -> None:
    """What lies dead in the file stays dead after a start."""
    disk = MemoryDisk()
    Journal.create(disk, PATH, [Entry(BODY, encode(block(1))), Entry(RECORD, encode_record(floor(0)))])
    assert opened(disk).bodies == ()
