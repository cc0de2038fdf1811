"""Two homes on a disk, with a fork between them: read without a trace, and the culprits named."""

from __future__ import annotations

import fcntl
import hashlib
from contextlib import closing
from pathlib import Path
from random import Random

import msgspec
import pytest

from contracts.genesis import genesis_block
from ledger.accountability import Fork, History
from ledger.block import Block, Header, block_id
from ledger.codec import encode
from ledger.crypto import key_pair
from ledger.errors import LedgerError
from ledger.evidence import check_evidence
from ledger.genesis import Genesis, chain_id
from ledger.members import Node, NodeRole
from ledger.types import Epoch, Height
from ledger.validators import ValidatorSet, validators_hash
from ledger.vote import Certificate, VoteKind
from node.audit import Agreement, audit_homes
from node.genesis_file import genesis_text
from node.home import Home, HomeLock
from node.store.blocks import BlockStore, StoredBlock
from node.store.failure import StoreLost
from node.store.leveldb import LevelDatabase
from node.store.settled import EpochRecord
from tests.contracts.chain import make_genesis
from tests.ledger.forks import ForkedChain, NoFork, draw_stakes, fork_on


def genesis_of(validators: ValidatorSet) -> Genesis:
    """A chain with these validators, each at a node of its own."""
    story = make_genesis()
    nodes = tuple(
        Node(key_pair(bytes([50 + number]) * 32).public, story.organisations[0].id, each.node,
             NodeRole.VALIDATOR, b"certificate", ())
        for number, each in enumerate(validators.validators)
    )  # fmt: skip
    return msgspec.structs.replace(story, nodes=nodes, validators=validators.validators)


class Case:
    """A fork in epoch 0, or in epoch 1 above a last block that both homes share."""

    def __init__(self, seed: int, epoch: int = 0) -> None:
        for attempt in range(1_000):
            random = Random(f"homes/{seed}/{attempt}")
            validators, keys, liars = draw_stakes(random)
            self.genesis = genesis_of(validators)
            self.chain = chain_id(self.genesis)
            self.base = genesis_block(self.genesis)[0]
            self.world = ForkedChain(random, validators, keys, liars, self.chain, Epoch(0))
            self.shared = [self.base]
            if epoch:
                self.shared.append(
                    msgspec.structs.replace(
                        self.world.child(self.base), next_validators_hash=validators_hash(validators)
                    )
                )
                self.world = ForkedChain(random, validators, keys, liars, self.chain, Epoch(1))
            try:
                _, self.first, self.second = fork_on(self.world, self.shared[-1])
            except NoFork:
                continue
            self.validators = validators
            return
        raise AssertionError("no fork was drawn")

    def home(
        self, folder: Path, history: History, certificates: tuple[Certificate, ...] | None = None
    ) -> Home:
        """A home that holds one side; the trunk that both share comes from the side itself."""
        home = Home(folder)
        home.make()
        home.data.mkdir()
        home.genesis.write_text(genesis_text(self.genesis))
        kept = history.certificates if certificates is None else certificates
        database = LevelDatabase(home.data / "blocks", create=True)
        with closing(database):
            BlockStore.create(database, self.chain, Block(self.base, b"", ()))
            blocks = BlockStore(database, self.chain)
            for header in [*self.shared[1:], *self.trunk(history), *history.headers[1:]]:
                blocks.append(self.stored(header, kept))
            blocks.settled.write(kept)
        with HomeLock(home):
            pass  # as a node that ran and stopped leaves it
        return home

    def trunk(self, history: History) -> list[Header]:
        """What both sides share above the base: `fork_on` keeps it in the world's memory."""
        return self.world.trunk[1 : self.world.trunk.index(history.headers[0]) + 1]

    def stored(self, header: Header, kept: tuple[Certificate, ...]) -> StoredBlock:
        identifier = block_id(header)
        own = [each for each in kept if each.kind is VoteKind.FINALIZE and each.block_id == identifier]
        epoch = None
        if header in self.shared[1:]:
            record = EpochRecord(header.height, header.time_ms, self.validators.validators)
            epoch = Epoch(1), record
        return StoredBlock(
            identifier, Block(header, b"", ()), (), encode(own[0]) if own else b"", epoch=epoch
        )

    def homes(self, folder: Path) -> tuple[Home, Home]:
        return self.home(folder / "a", self.first), self.home(folder / "b", self.second)


def contents(home: Home) -> dict[str, tuple[str, int]]:
    """Every file with its hash and the time it was written."""
    return {
        str(path.relative_to(home.root)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(home.root.rglob("*"))
        if path.is_file()
    }


def refusal_of(first: Home, second: Home) -> str:
    with pytest.raises(LedgerError) as refusal:
        audit_homes(first, second)
    return refusal.value.code


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_a_fork_between_homes_names_its_culprits(tmp_path: Path, seed: int, epoch: int) -> None:
    """The first conflicting height, more than a third of the stake, each proved; nobody honest."""
    case = Case(seed, epoch)
    found = audit_homes(*case.homes(tmp_path))
    assert isinstance(found, Fork)
    assert found.height == case.first.headers[1].height
    assert found.epoch == epoch
    assert 3 * found.stake > found.total_stake
    for culprit in found.culprits:
        assert culprit.validator in case.world.liars
        key = check_evidence(culprit.evidence, case.chain, Epoch(epoch), case.validators)
        assert key == culprit.public_key


def test_the_homes_are_only_read(tmp_path: Path) -> None:
    """No file of either home is written, made or removed, by an audit that names or one that does not."""
    case = Case(1)
    homes = case.homes(tmp_path)
    before = [contents(home) for home in homes]
    audit_homes(*homes)
    audit_homes(homes[0], homes[0])
    assert [contents(home) for home in homes] == before


def test_homes_that_agree_are_no_fork(tmp_path: Path) -> None:
    """One chain, one node a few blocks behind the other: no conflict, up to where the shorter one ends."""
    case = Case(2)
    longer = case.home(tmp_path / "a", case.first)
    shorter = case.home(tmp_path / "b", History(case.first.headers[:1], case.first.certificates))
    height = Height(case.first.headers[0].height)
    assert audit_homes(longer, shorter) == audit_homes(shorter, longer) == Agreement(height)


def test_histories_that_lack_certificates_name_nobody(tmp_path: Path) -> None:
    """A home whose certificates are gone is told apart: nobody is accused for want of proof."""
    case = Case(3)
    low, high = sorted(
        (case.first, case.second),
        key=lambda side: min(
            each.view for each in side.certificates
            if each.kind is VoteKind.FINALIZE and each.block_id in [block_id(h) for h in side.headers[1:]]
        ),
    )  # fmt: skip
    bare = tuple(each for each in high.certificates if each.kind is not VoteKind.FINALIZE)
    first, second = case.home(tmp_path / "a", low), case.home(tmp_path / "b", high, bare)
    assert refusal_of(first, second) == "audit.not_final"


def test_a_running_node_is_not_read(tmp_path: Path) -> None:
    """A home whose lock is held is refused; while an audit reads, no node starts in it."""
    case = Case(1)
    first, second = case.homes(tmp_path)
    with HomeLock(first):
        assert refusal_of(first, second) == "home.in_use"
    with first.lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with pytest.raises(LedgerError, match="in use"):
            HomeLock(first)
    assert isinstance(audit_homes(first, second), Fork)


def test_a_copied_home_without_its_lock_is_read(tmp_path: Path) -> None:
    """An auditor works on what it was given: no lock file is made."""
    case = Case(1)
    first, second = case.homes(tmp_path)
    first.lock.unlink()
    assert isinstance(audit_homes(first, second), Fork)
    assert not first.lock.exists()


def test_what_is_no_home_or_another_chain_is_refused(tmp_path: Path) -> None:
    """No blocks, a damaged database, or another genesis: each is said, and nothing is made in its place."""
    case = Case(1)
    first, second = case.homes(tmp_path)
    other = Case(4).homes(tmp_path / "other")[0]
    assert refusal_of(first, other) == "audit.other_chain"
    empty = Home(tmp_path / "empty")
    empty.make()
    empty.genesis.write_text(genesis_text(case.genesis))
    assert refusal_of(first, empty) == "home.missing"
    assert not empty.data.exists()
    (second.data / "blocks" / "CURRENT").unlink()
    with pytest.raises(StoreLost):
        audit_homes(first, second)
    assert not (second.data / "blocks" / "CURRENT").exists()
