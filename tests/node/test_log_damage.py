"""A real consensus log, damaged at every place: refused, or what it says is true, and nobody signs by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ledger.consensus.records import OwnVote, Record, SignerFloor, encode_record
from ledger.consensus.signer import Signer
from ledger.crypto import key_pair
from ledger.types import ChainId, Epoch, View
from ledger.vote import SignedVote, Vote, VoteKind, sign_vote
from node.consensus_log import RECORD, ConsensusLog
from node.store.disk import LocalDisk
from node.store.failure import StoreCorrupted, StoreError, StoreLost
from node.store.journal import Journal
from node.store.journal import Record as Entry

CHAIN, KEY, GENERATION = ChainId(b"c" * 32), key_pair(b"k" * 32), b"g" * 16
STORE = (Epoch(0), View(2))  # the store's last block is final in view 2, whose floor came first


def floor(view: int) -> SignerFloor:
    return SignerFloor(CHAIN, KEY.public, GENERATION, 0, view)


def vote(view: int) -> OwnVote:
    content = Vote(CHAIN, 0, view, VoteKind.NULLIFY, None)
    return OwnVote(SignedVote(content, 0, sign_vote(KEY, content)))


SYNCS: Sequence[Sequence[Record]] = ([vote(1)], [vote(2), floor(2)], [vote(3)], [vote(4)])
ALL: list[Record] = [floor(0), *(record for sync in SYNCS for record in sync)]


async def here(call: Callable[[], None]) -> None:
    call()


def opened(path: Path) -> ConsensusLog:
    journal, entries = Journal.open(LocalDisk(), path)
    return ConsensusLog(journal, entries, here)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a log of a birth and four syncs."""
    path = tmp_path_factory.mktemp("whole") / "records.log"
    Journal.create(LocalDisk(), path, [Entry(RECORD, encode_record(floor(0)))])
    log = opened(path)
    for sync in SYNCS:
        asyncio.run(log.append(sync, ()))
    log.close()
    return path.read_bytes()


def read(path: Path, data: bytes) -> list[Record] | None:
    """What a start reads; None where it refuses, naming the file and the place."""
    path.write_bytes(data)
    try:
        log = opened(path)
    except StoreCorrupted as problem:
        refusal = problem
    else:
        log.close()
        return list(log.records)
    assert str(path) in str(refusal)
    assert refusal.place.startswith("offset ")
    assert path.read_bytes() == data, "a log that is refused is not touched"
    return None


def may_sign(records: Sequence[Record]) -> bool:
    """Whether a signer signs by these records before it has heard of others."""
    signer = Signer(CHAIN, KEY, GENERATION)
    signer.restore(records, STORE)
    return signer.may_sign


def test_the_undamaged_log(tmp_path: Path, whole: bytes) -> None:
    """All of it is read; the signer listens."""
    assert read(tmp_path / "records.log", whole) == ALL
    assert not may_sign(ALL)


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_each_byte_flipped_in_turn(tmp_path: Path, whole: bytes, mask: int) -> None:
    """Refused with its offset, or the last sync is missing as if it had been torn; never another record, and
    never a signature before others were heard."""
    path = tmp_path / "records.log"
    refused = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= mask
        found = read(path, bytes(damaged))
        if found is None:
            refused += 1
            continue
        assert found == ALL[: -len(SYNCS[-1])], f"byte {place}"
        assert not may_sign(found)
    assert refused > len(whole) * 3 // 4


def test_each_length(tmp_path: Path, whole: bytes) -> None:
    """Cut anywhere, the log is refused or a beginning of itself, and nobody signs by it before others were
    heard: below the store's floor not at all."""
    path = tmp_path / "records.log"
    for length in range(len(whole)):
        found = read(path, whole[:length])
        if found is None:
            assert length < 28, "the header came with a rename, so it is never torn"
            continue
        assert found == ALL[: len(found)]
        assert not may_sign(found)
        assert opened(path).records == tuple(found), "what was cut off stays cut off"


def test_a_deleted_log_is_never_made_anew(tmp_path: Path) -> None:
    """It held promises: refused, and nothing is created in its place."""
    with pytest.raises(StoreLost) as caught:
        opened(tmp_path / "records.log")
    assert str(tmp_path / "records.log") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_records_signs_nothing(tmp_path: Path) -> None:
    """What a repair leaves: it opens, and the key is in quarantine."""
    path = tmp_path / "records.log"
    Journal.create(LocalDisk(), path)
    signer = Signer(CHAIN, KEY, GENERATION)
    signer.restore(opened(path).records, STORE)
    assert signer.quarantine_reason == "signer.no_record"


def test_zeros_in_the_place_of_a_block_of_the_disk(tmp_path: Path, whole: bytes) -> None:
    """A run of zeros, as a file system may leave behind: refused, or it took the last records with it, as a
    torn end does; then the signer hears others before it signs."""
    path = tmp_path / "records.log"
    for start in range(28, len(whole) - 64, 16):
        damaged = whole[:start] + bytes(64) + whole[start + 64 :]
        found = read(path, damaged)
        if found is not None:
            assert found == ALL[: len(found)]
            assert start + 64 > len(whole) - 200, "no record that another one vouches for is dropped"
            assert not may_sign(found)


def test_unreadable_is_an_error_of_the_store(tmp_path: Path) -> None:
    """A folder in its place: named, not taken for an empty log."""
    (tmp_path / "records.log").mkdir()
    with pytest.raises(StoreError) as caught:
        opened(tmp_path / "records.log")
    assert caught.value.code == "store.unreadable"
