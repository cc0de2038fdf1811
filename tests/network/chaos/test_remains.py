"""What a stopped node left is read whole, from a copy, and damage is never read over."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.codec import encode
from ledger.consensus.records import HeldCertificate, OwnVote, Record, encode_record
from ledger.crypto import key_pair
from ledger.genesis import chain_id
from ledger.vote import Certificate, SignedVote, Vote, VoteKind, sign_vote
from network.chaos.remains import Remains, read_remains
from network.chaos.statements import Statement
from network.testnet.found import found_network
from network.testnet.plan import plan_network
from node.consensus_log import RECORD
from node.genesis_file import read_genesis
from node.home import Home
from node.store.disk import LocalDisk
from node.store.failure import StoreError
from node.store.journal import Journal
from node.store.journal import Record as Entry

START_MS = 1_767_225_600_000
BLOCK = b"b" * 32
KEYS = [key_pair(bytes([number]) * 32) for number in (1, 2, 3)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The home of a validator that has seen block 0 and nothing else."""
    plan = plan_network(tmp_path / "net", validators=1, observers=0, base_port=30_000)
    found_network(plan, START_MS)
    return Home(plan.nodes[0].home)


def read(home: Home, *kept: Path) -> Remains:
    return read_remains("node-0", home, chain_id(read_genesis(home.genesis)), kept)


def files(home: Home) -> dict[str, tuple[int, bytes]]:
    """Everything below the data folder: when it was changed and what it holds."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(home.data.rglob("*"))
        if path.is_file()
    }


def signed(kind: VoteKind, block_id: bytes | None) -> Certificate:
    vote = Vote(b"c" * 32, 2, 9, kind, block_id)
    return Certificate(vote, tuple((index, sign_vote(key, vote)) for index, key in enumerate(KEYS)))


def write_log(path: Path, *records: Record) -> None:
    Journal.create(LocalDisk(), path, [Entry(RECORD, encode_record(record)) for record in records])


def test_reads_a_copy(home: Home) -> None:
    """Blocks, state and root are read, and not a byte of the home is changed by it."""
    before = files(home)
    remains = read(home)
    assert files(home) == before
    assert [each.block.header.height for each in remains.blocks] == [0]
    assert remains.state_height == 0
    assert remains.state_root == remains.blocks[0].block.header.state_root
    assert remains.statements == ()


def test_statements(home: Home, tmp_path: Path) -> None:
    """Votes and certificates of the log count, and so do those of logs that were put aside."""
    certificate = signed(VoteKind.NULLIFY, None)
    write_log(home.consensus_log, HeldCertificate(certificate))
    vote = Vote(b"c" * 32, 2, 9, VoteKind.NOTARIZE, BLOCK)
    write_log(tmp_path / "kept.log", OwnVote(SignedVote(vote, 3, sign_vote(KEYS[0], vote))))
    nullified = [Statement(2, index, 9, "nullify", None) for index in range(3)]
    assert list(read(home).statements) == nullified
    assert list(read(home, tmp_path / "kept.log").statements) == [
        *nullified,
        Statement(2, 3, 9, "notarize", BLOCK),
    ]


@pytest.mark.parametrize("damage", ["blocks/CURRENT", "state/CURRENT", "consensus/records.log"])
def test_damage(home: Home, damage: str) -> None:
    """A store that does not open, and a log that is damaged, are said to be so."""
    write_log(home.consensus_log, HeldCertificate(signed(VoteKind.NULLIFY, None)))
    assert encode(read(home).state_root)
    (home.data / damage).write_bytes(b"damaged")
    with pytest.raises(StoreError):
        read(home)
